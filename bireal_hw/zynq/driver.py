"""Runs a network in the logic of a Zynq from Python, with PYNQ 2.7 to 3.x.

Copy to one folder of the board: this file, `network.json`, `preprocess.py`, `vectors/`, and the bitstream with its
description, `bireal.bit` and `bireal.hwh`; of a network whose weights lie in memory also `weights.bin`. As root, with
PYNQ's Python and its variables, which a login shell has (`sudo bash -lc python3`) and the board's Jupyter:

    from driver import Network

    with Network("bireal.bit") as network:
        network.selftest()                         # every logit of the recorded images
        for found in network.predict("cat.jpg"):   # a picture, several, or uint8 (N, height, width, channels)
            print(found.name, found.probability)

`python3 driver.py` does the self-test and measures; `python3 driver.py PICTURE...` says what is in pictures. It needs
NumPy beside PYNQ, and Pillow for pictures. Works with the SystemVerilog's IP and with that of Vitis HLS.
"""

# ruff: noqa: T201 - on the board there is nothing else to say it with

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
LONGEST = 2**26 - 1
"""Bytes that one transfer of the DMA moves at most, as the block design sets it up."""
SLOW = 4.0
"""Times the computed time that a run may take before it counts as stuck."""
SPARE = 0.5
"""Seconds that it gets besides: Linux may be busy."""
ASKED = 128
"""Times that a run is asked in its computed time whether it is over: what it waits behind its end is lost."""
RESET = 0.5
"""Seconds that a reset may take, which are some microseconds."""
PAGE = 4096
"""Multiple of bytes at which a network's memory begins."""
BEAT = 8
"""Bytes that a port of the network to memory moves in a cycle."""
START = "sudo bash -lc 'python3 driver.py'"
"""What is typed on the board: `sudo -E` alone has neither PYNQ's Python nor XILINX_XRT on the images since 2.7."""
KEYS = ("identity", "image", "output", "class_names", "frac", "view", "cycles_per_frame", "clock_mhz", "errors")
"""What network.json has to hold."""
_CHANNELS = "MM2S: the DMA sends images; S2MM: it takes logits"
DMA_ERRORS = {4: "an internal error", 5: "an error of the memory", 6: "an address that nothing answers"}
"""Bits of the status registers MM2S_DMASR and S2MM_DMASR (PG021)."""


_WHAT = {"weights": "the weights", "maps": "the maps"}
"""Memory that a network with weights in memory takes, beside that of a batch."""


class NetworkError(RuntimeError):
    """The hardware or what belongs to it is not as it should be; the text says what to do."""


class Prediction(NamedTuple):
    """What a network finds in an image: the class, its probability, and those of all classes in their order."""

    name: str
    probability: float
    probabilities: np.ndarray


class Network:
    """A network in the board's logic; also a context manager, which frees its memory.

    Attributes:
        about: network.json: image, class names, scale of the logits, identity, cycles of a frame.
        kind: `rtl` or `hls`, as the design says.
    """

    def __init__(self, bitstream: str | Path = HERE / "bireal.bit") -> None:
        """Load the bitstream, find network and DMA in it, and refuse it if it is another network's.

        Raises NetworkError: a file is missing, PYNQ is, the user is not root, or the design is not this network's.
        """
        path = Path(bitstream)
        self.about = _about(path)
        self._weights = _weights(path, self.about)
        self.image = tuple(self.about["image"])
        self.output = tuple(self.about["output"])
        self._folder = path.resolve().parent
        self._buffers: dict[str, Any] = {}
        pynq = _pynq()
        self._allocate = pynq.allocate
        try:
            self._overlay = pynq.Overlay(str(path))
            self._open()
        except NetworkError:
            self._free()
            raise
        except Exception as error:
            self._free()
            raise NetworkError(_why_not_loaded(error, path)) from error

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory of the network; it can be used again, and takes new memory then."""
        if "maps" in self._buffers and self._loaded() == self.about["identity"]:
            self._stop()
        self._free()

    def _free(self) -> None:
        for buffer in self._buffers.values():
            buffer.freebuffer()
        self._buffers = {}

    def logits(self, images: Any) -> np.ndarray:
        """Compute integer logits of any number of images; value = integer * 2^-frac, `about["frac"]`.

        Args:
            images: uint8 (N, height, width, channels) with values 0 to 255; or pictures of any size and kind, files or
                images of Pillow, one or a list, which are cut and scaled as the network was trained and tested.

        Returns:
            int32 (N, classes), or (N, height, width, channels) where the network gives a map.

        Raises ValueError for anything else: it would give logits too, of other images. Raises NetworkError when the
        hardware does not answer in time or tells an error; it is usable again afterwards.
        """
        pixels = np.ascontiguousarray(self._pixels(images))
        parts = [self._run(pixels[first : first + self._most]) for first in range(0, len(pixels), self._most)]
        logits = np.concatenate(parts) if parts else np.empty((0, self._size), np.int32)
        height, width, channels = self.output
        return logits if height * width == 1 else logits.reshape(-1, height, width, channels)

    def predict(self, images: Any) -> list[Prediction]:
        """Say what is in images, of the kinds that `logits` takes: the class of the largest logit, first of equals."""
        if self.output[0] * self.output[1] > 1:
            raise ValueError("this network gives a map of {} x {} and no class: use logits".format(*self.output))
        return [_prediction(row, self.about) for row in self.logits(images)]

    def selftest(self) -> int:
        """Compute the recorded images and compare every logit with the golden model's; return how many images.

        Raises NetworkError if the vectors are missing or a logit differs.
        """
        images, wanted = self._vectors()
        got = self.logits(images).reshape(wanted.shape)
        if (got != wanted).any():
            image, index = (int(x) for x in np.argwhere(got != wanted)[0])
            found, want = got[image, index], wanted[image, index]
            raise NetworkError(
                f"{int((got != wanted).sum())} of {wanted.size} logits differ, the first in image {image}: "
                f"logit {index} is {found}, not {want}; make bitstream and folder anew from one network"
            )
        return len(images)

    def measure(self, count: int = 56) -> dict[str, float]:
        """Measure with random images.

        Returns:
            frames_per_second: of a batch of `count`, with all copies; network_frames_per_second: what the cycles of a
            frame allow at the design's clock; latency_ms: of a single image; and, of the SystemVerilog's IP,
            cycles_per_frame, cycles_to_first_logit and the shares of the batch's cycles in which the network had to
            wait for images (waits_in), had no room for them (stalls_in), or had to wait until logits were taken
            (stalls_out); of a network with weights in memory also the bytes of a frame, and a second, that it moves
            there and back (memory_bytes_per_frame, memory_bytes_per_second).
        """
        if count < 1:
            raise ValueError(f"count={count}: give at least one image to measure with")
        images = np.random.RandomState(0).randint(0, 256, (count, *self.image), np.uint8)
        self._room(1)
        start = time.perf_counter()
        self.logits(images[:1])
        latency = time.perf_counter() - start
        self._room(min(count, self._most))
        start = time.perf_counter()
        self.logits(images)
        seconds = time.perf_counter() - start
        found = {
            "frames_per_second": count / seconds,
            "network_frames_per_second": self._clock / self.about["cycles_per_frame"],
            "latency_ms": 1e3 * latency,
        }
        if self.kind == "rtl":
            cycles = max(self._read("CYCLES"), 1)
            count = self._read("IMAGES")  # of the last run
            found["cycles_per_frame"] = cycles / count
            found["cycles_to_first_logit"] = self._read("FIRST_LOGIT")
            for name in ("waits_in", "stalls_in", "stalls_out"):
                found[name] = self._read(name.upper()) / cycles
        if self._weights:
            moved = BEAT * (self._read("BEATS_READ") + self._read("BEATS_WRITTEN"))
            found["memory_bytes_per_frame"] = moved / count
            found["memory_bytes_per_second"] = moved * self._clock / cycles
        return found

    def reset(self) -> None:
        """End whatever is going on in network and DMA; both are usable afterwards."""
        self._settled = False  # if this is interrupted, the next run does it
        if self.kind == "rtl":
            self._write("CONTROL", 2)
            if not self._is_soon(lambda: not self._read("STATUS") & 8):
                if not self._weights:
                    raise NetworkError("the network's reset does not end")
                self._overlay.download()  # it waits for answers of memory, which do not come
                self._set_bases()
        else:
            self._overlay.download()  # the kernel has no reset of its own
        for channel in ("MM2S", "S2MM"):
            self._dma.write(self._dma_registers[channel + "_DMACR"], 4)
            if not self._is_soon(lambda name=channel + "_DMACR": not self._dma.read(self._dma_registers[name]) & 4):
                raise NetworkError("the DMA's reset does not end: load the bitstream again")
        self._settled = True

    # ---- what is in the design --------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Find the cells, their registers by name, and check whose they are."""
        cells = self._overlay.ip_dict
        network = _cell(cells, ("bireal_ip", "bireal_top"), "network")
        dma = _cell(cells, ("axi_dma",), "DMA")
        self._network, self._dma = (_attribute(self._overlay, name) for name in (network, dma))
        self._registers = _offsets(cells[network], network)
        self._dma_registers = _offsets(cells[dma], dma)
        self.kind = "rtl" if "IDENTITY_LOW" in self._registers else "hls"
        self._image_bytes = int(np.prod(self.image))
        self._size = int(np.prod(self.output))
        self._most = LONGEST // max(self._image_bytes, 4 * self._size)  # images of a run
        self._clock = 1e6 * self.about["clock_mhz"]
        identity = str(cells[network].get("type", "")).partition(":hls_")[2].partition(":")[0]
        if self.kind == "rtl":
            identity = self._loaded()
        if identity != self.about["identity"]:
            wanted = self.about["identity"]
            raise NetworkError(
                f"the bitstream is of network {identity or '?'}, network.json of {wanted}: copy both from one folder"
            )
        if self._weights:
            self._place_weights()
        self.reset()

    def _loaded(self) -> str:
        """Return the identity of the network that is in the logic now; of Vitis HLS's kernel, what was loaded."""
        if self.kind != "rtl":
            return str(self.about["identity"])
        return f"{self._read('IDENTITY_HIGH'):08x}{self._read('IDENTITY_LOW'):08x}"

    def _place_weights(self) -> None:
        """Give the network its memory: weights that are as in their file, and room for maps."""
        weights = self._buffer("weights", len(self._weights) + PAGE, np.uint8)
        self._buffer("maps", self.about["memory"]["maps"] + PAGE, np.uint8)
        start = self._base("weights") - weights.device_address
        weights[start : start + len(self._weights)] = np.frombuffer(self._weights, np.uint8)
        weights.flush()
        self._set_bases()

    def _base(self, name: str) -> int:
        """Return the first address of a page in a buffer, which has one to spare."""
        buffer = self._buffers[name]
        base = -(-buffer.device_address // PAGE) * PAGE
        if base + buffer.size > 1 << 32:
            raise NetworkError(
                f"the memory for {name} is at {base:#x}, and the network's addresses have 32 bits: free memory below"
            )
        return int(base)

    def _set_bases(self) -> None:
        """Tell the network where its memory is; which counts from the next reset on."""
        self._write("WEIGHTS_BASE", self._base("weights"))
        self._write("MAPS_BASE", self._base("maps"))

    def _stop(self) -> None:
        """Keep the network in reset, so that nothing of it reads or writes memory."""
        self._write("WEIGHTS_BASE", 0)
        self._write("MAPS_BASE", 0)
        self._write("CONTROL", 2)
        if not self._is_soon(lambda: not self._read("STATUS") & 8):
            self._overlay.download()

    def _read(self, name: str) -> int:
        return int(self._network.read(self._registers[name]))

    def _write(self, name: str, value: int) -> None:
        self._network.write(self._registers[name], value)

    # ---- a run ------------------------------------------------------------------------------------------------------

    def _run(self, images: np.ndarray) -> np.ndarray:
        """Compute one batch; after anything but success network and DMA are reset."""
        count = len(images)
        if self._loaded() != self.about["identity"]:  # nothing is written to what is not this network
            raise NetworkError(f"network {self._loaded()} was loaded since: make this Network anew")
        if not self._settled:
            self.reset()
        self._settled = False
        try:
            pixels, logits = self._room(count)
            if self._weights and "maps" not in self._buffers:  # it was closed
                self._place_weights()
            elif self._weights and self._read("WEIGHTS_BASE") != self._base("weights"):  # another Network was opened
                self._set_bases()
                self.reset()
            pixels[: images.size] = images.reshape(-1)
            pixels.flush()
            self._start(count, pixels, logits)
            self._wait(count)
            self._settled = True
            logits.invalidate()
            return np.array(logits[: count * self._size]).reshape(count, self._size)
        except BaseException:  # Ctrl-C too: nothing may go on behind the caller's back
            self.reset()
            raise

    def _room(self, count: int) -> tuple[Any, Any]:
        """Return memory for images and logits of a batch."""
        pixels = self._buffer("pixels", count * self._image_bytes, np.uint8)
        return pixels, self._buffer("logits", count * self._size, np.int32)

    def _buffer(self, name: str, size: int, kind: Any) -> Any:
        """Return memory for the DMA of at least this size; kept for the next batch."""
        if name not in self._buffers or self._buffers[name].size < size:
            if name in self._buffers:
                self._buffers.pop(name).freebuffer()
            try:
                self._buffers[name] = self._allocate((size,), kind)
            except (MemoryError, RuntimeError) as error:
                raise NetworkError(
                    f"no memory for {_WHAT.get(name, 'a batch')} of {size:,} numbers ({error}): "
                    + ("close() others" if name in _WHAT else "give fewer images at once, or close() others")
                ) from error
        return self._buffers[name]

    def _start(self, count: int, pixels: Any, logits: Any) -> None:
        """Start network and DMA; logits are waited for before an image is sent."""
        if self.kind == "rtl":
            self._write("STATUS", 2)
            self._write("ERRORS", 0xFFFFFFFF)
            self._write("IMAGES", count)
        else:
            self._write("frames", count)
        self._transfer("S2MM", "DA", logits.device_address, 4 * count * self._size)
        if self.kind == "rtl":
            self._write("CONTROL", 1)
        else:
            self._write("CTRL", 1)
        self._transfer("MM2S", "SA", pixels.device_address, count * self._image_bytes)

    def _transfer(self, channel: str, address: str, at: int, size: int) -> None:
        registers, write = self._dma_registers, self._dma.write
        write(registers[channel + "_DMACR"], 1)
        write(registers[channel + "_" + address], at & 0xFFFFFFFF)
        if at >> 32:
            write(registers[channel + "_" + address + "_MSB"], at >> 32)
        write(registers[channel + "_LENGTH"], size)

    def _wait(self, count: int) -> None:
        """Wait until all logits are in memory; raises NetworkError with what the counters tell."""
        expected = count * self.about["cycles_per_frame"] / self._clock
        limit = SLOW * expected + SPARE
        start, pause = time.monotonic(), min(expected / ASKED, 0.01)
        while True:
            states = {name: self._dma.read(self._dma_registers[name + "_DMASR"]) for name in ("MM2S", "S2MM")}
            for name, what in (("MM2S", "reading images"), ("S2MM", "writing logits")):
                for bit, text in DMA_ERRORS.items():
                    if states[name] >> bit & 1:
                        raise NetworkError(f"the DMA stopped {what} with {text}: {self._progress(count)}")
            errors = self._errors()
            if all(state & 2 for state in states.values()) and self._is_idle():
                if errors:
                    raise NetworkError(f"{'; '.join(errors)}: {self._progress(count)}")
                return
            if time.monotonic() - start > limit:
                raise NetworkError(f"no end after {limit:.3g} s: {self._diagnosis(count, states, errors)}")
            time.sleep(pause)

    def _is_idle(self) -> bool:
        if self.kind == "rtl":
            return bool(self._read("STATUS") & 1)
        return bool(self._read("CTRL") & 4)

    def _errors(self) -> list[str]:
        """What the network's sticky error bits say."""
        if self.kind != "rtl":
            return []
        bits = self._read("ERRORS")
        return [text for number, text in enumerate(self.about["errors"].values()) if bits >> number & 1]

    def _progress(self, count: int) -> str:
        """How far the network came, as far as it counts."""
        if self.kind != "rtl":
            return f"{count} images were asked for"
        done, taken = self._read("IMAGES_DONE"), self._read("BEATS_IN") * self._beat()
        whole = count * self._image_bytes
        return f"it had taken {min(taken, whole):,} of {whole:,} bytes and computed {done} of {count} images"

    def _beat(self) -> int:
        return self._read("VERSION") >> 16 & 0xFF

    def _diagnosis(self, count: int, states: dict[str, int], errors: list[str]) -> str:
        """What a run that does not end is waiting for."""
        progress = self._progress(count)
        if errors:
            return f"{'; '.join(errors)}; {progress}"
        if self.kind != "rtl":
            missing = [name for name, state in states.items() if not state & 2]
            return f"not done: {' and '.join(missing) or 'the kernel'} ({_CHANNELS}); {progress}"
        if self._weights and self._read("STATUS") & 32 and not self._moves():
            return f"memory does not answer the network's ports; {progress}"
        if not self._read("BEATS_IN"):
            return f"the DMA sends no image; {progress}"
        names = ("STALLS_OUT", "WAITS_IN", "STALLS_IN")
        before = {name: self._read(name) for name in names}
        now = {name: self._read(name) for name in names}  # what grows is what is being waited for
        if now["STALLS_OUT"] > before["STALLS_OUT"]:
            return f"the DMA takes no logits ({now['STALLS_OUT']:,} cycles); {progress}"
        if not self._read("STATUS") & 16:
            idle = now["WAITS_IN"] > before["WAITS_IN"]
            who = "the DMA has stopped sending images" if idle else "the network takes no more images"
            waited = f"({now['WAITS_IN']:,} cycles without one, {now['STALLS_IN']:,} without room)"
            return f"{who} {waited}; {progress}"
        if states["S2MM"] & 2:
            return f"the DMA does not send all of its images; {progress}"
        return f"the network gives no logits although it has its images; {progress}"

    def _moves(self) -> bool:
        """Whether the network's ports to memory move anything."""
        counts = []
        for _ in range(2):
            counts.append([self._read(name) for name in ("BEATS_READ", "BEATS_WRITTEN")])
            time.sleep(1e-5)
        return counts[0] != counts[1]

    def _is_soon(self, done: Any) -> bool:
        """Whether something comes true within the time that a reset may take."""
        start = time.monotonic()
        while not done():
            if time.monotonic() - start > RESET:
                return False
            time.sleep(1e-5)
        return True

    # ---- images -----------------------------------------------------------------------------------------------------

    def _pixels(self, images: Any) -> np.ndarray:
        """Return uint8 (N, height, width, channels): arrays as they are, pictures as training reads them."""
        if _is_picture(images):
            images = [images]
        if isinstance(images, (list, tuple)) and images and all(_is_picture(one) for one in images):
            return np.stack([self._picture(one) for one in images])
        if isinstance(images, np.ndarray):
            return checked(images, self.image)
        if isinstance(images, (list, tuple)) and not images:
            return np.empty((0, *self.image), np.uint8)
        if isinstance(images, (list, tuple)) and all(isinstance(one, np.ndarray) for one in images):
            shapes = sorted({one.shape for one in images})
            if len(shapes) > 1:
                raise ValueError(f"the arrays of the list have shapes {', '.join(map(str, shapes))}: give equal ones")
            return checked(np.stack(images), self.image)
        kind = type(images).__name__
        if isinstance(images, (list, tuple)):
            kind += f" of {', '.join(sorted({type(one).__name__ for one in images}))}"
        raise ValueError(
            f"images of type {kind} are none: give uint8 {_shape(self.image)}, or pictures as files or images of Pillow"
        )

    def _picture(self, source: Any) -> np.ndarray:
        try:
            from preprocess import PictureError, read_picture  # type: ignore[import-not-found]  # lies beside this file
        except ModuleNotFoundError as error:
            package = {"PIL": "pillow"}.get(str(error.name), str(error.name))
            here = package == "preprocess"
            remedy = "copy preprocess.py beside driver.py" if here else f"pip3 install {package}"
            raise NetworkError(f"pictures need {package}, which is missing: {remedy}") from None
        if hasattr(source, "save") and hasattr(source, "mode"):  # an image of Pillow
            file = io.BytesIO()
            try:
                source.save(file, "PNG" if source.mode not in ("CMYK", "YCbCr", "LAB", "HSV") else "TIFF")
            except Exception as error:  # Pillow raises many types
                raise ValueError(f"the image, of mode {source.mode}, cannot be read: {_first_line(error)}") from None
            file.seek(0)
            name: Any = "the image"
            source = file
        else:
            name = source
            if not Path(source).is_file():
                raise ValueError(f"{name}: there is no such file")
        try:
            pixels: np.ndarray = read_picture(source, self.image[:2], self.image[2], self.about["view"])
            return pixels
        except PictureError as error:
            raise ValueError(f"{name} cannot be read: {error}") from None

    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        folder = self._folder / "vectors"
        try:
            images = np.fromfile(folder / "images.bin", np.uint8).reshape((-1, *self.image))
            logits = np.loadtxt((folder / "logits.txt").read_text().splitlines(), dtype=np.int64, ndmin=2)
            if logits.shape != (len(images), self._size) or not images.size:
                raise ValueError(f"{len(images)} images, and logits {logits.shape}")
            return images, logits
        except (OSError, ValueError) as error:
            raise NetworkError(
                f"the vectors in {folder} cannot be read ({error}): copy the folder to the board"
            ) from None


def checked(images: np.ndarray, image: tuple[int, ...]) -> np.ndarray:
    """Return images as they are; raises ValueError unless they are uint8 (N, height, width, channels)."""
    wanted = f"pixels are {images.dtype} {images.shape}; expected uint8 {_shape(image)}, values 0 to 255 as in a file"
    if images.dtype != np.uint8:
        if images.dtype.kind == "f" and images.size and np.isnan(images).any():
            raise ValueError(f"{wanted}: some are NaN")
        if images.dtype.kind == "f" and images.size and images.min() >= 0 and images.max() <= 1:
            raise ValueError(f"{wanted}: undo the scaling to 0..1, which the network does not want")
        if images.dtype.kind in "fi" and images.size and images.min() < 0:
            raise ValueError(f"{wanted}: leave out mean and deviation, as the network subtracts its own mean")
        if images.dtype.kind in "fiu" and images.size and images.max() > 255:
            raise ValueError(f"{wanted}: the largest is {images.max():g}; divide 16-bit pixels by 256 first")
        if images.dtype.kind in "fiu":
            raise ValueError(f"{wanted}: images.astype(np.uint8) if they are whole numbers")
        raise ValueError(wanted)
    if images.shape[1:] == image:
        return images
    rows, columns, channels = image
    if images.shape == image:
        raise ValueError(f"{wanted}: one image is images[None]")
    if channels == 1 and images.shape[1:] == (rows, columns):
        raise ValueError(f"{wanted}: one channel more is images[..., None]")
    if images.ndim != 4:
        raise ValueError(wanted)
    if images.shape[1] in (1, 3, 4) and images.shape[3] not in (1, 3, 4):
        raise ValueError(f"{wanted}: channels come last, images.transpose(0, 2, 3, 1)")
    if images.shape[1:3] != (rows, columns):
        raise ValueError(f"{wanted}: give the pictures as files, which are cut and scaled as the network was tested")
    raise ValueError(f"{wanted}: give the pictures as files, which get {channels} channel{'s' * (channels > 1)}")


def _shape(image: tuple[int, ...]) -> str:
    return f"(N, {', '.join(map(str, image))})"


def _is_picture(one: Any) -> bool:
    return isinstance(one, (str, Path)) or (hasattr(one, "save") and hasattr(one, "mode") and hasattr(one, "size"))


def _prediction(logits: np.ndarray, about: dict[str, Any]) -> Prediction:
    values = logits * 2.0 ** -about["frac"]
    weights = np.exp(values - values.max())
    probabilities = weights / weights.sum()
    best = int(np.argmax(logits))
    return Prediction(about["class_names"][best], float(probabilities[best]), probabilities)


def _about(bitstream: Path) -> dict[str, Any]:
    """Read network.json; first of all see that everything lies beside the bitstream."""
    if bitstream.suffix != ".bit":
        raise NetworkError(f"{bitstream} is no bitstream: its name ends in .bit")
    if not bitstream.is_file():
        near = sorted(path.name for path in bitstream.resolve().parent.glob("*.bit"))
        there = f"there are {', '.join(near)}" if near else "make it with Vivado: docs/zynq.md"
        raise NetworkError(f"there is no {bitstream}: {there}")
    hwh = bitstream.with_suffix(".hwh")
    if not hwh.is_file():
        raise NetworkError(f"there is no {hwh}, by which PYNQ knows what is in the bitstream: copy it beside it")
    file = bitstream.with_name("network.json")
    try:
        about: dict[str, Any] = json.loads(file.read_text())
        if lacking := [key for key in KEYS if key not in about]:
            raise ValueError(f"{lacking[0]!r} is missing")
    except FileNotFoundError:
        raise NetworkError(
            f"there is no {file}, which says what the network is: copy it beside the bitstream"
        ) from None
    except (OSError, TypeError, ValueError) as error:
        raise NetworkError(f"{file} is damaged ({error}): copy it again") from None
    return about


def _weights(bitstream: Path, about: dict[str, Any]) -> bytes:
    """Read and check the file that a network with weights in memory has beside its bitstream; others have none."""
    if "memory" not in about:
        return b""
    wanted = about["memory"]
    file = bitstream.with_name(wanted["weights"])
    again = "copy it again, from the folder of the bitstream"
    try:
        found = file.read_bytes()
    except FileNotFoundError:
        raise NetworkError(f"there is no {file}, the network's weights: copy it beside the bitstream") from None
    except OSError as error:
        raise NetworkError(f"{file} cannot be read ({error.strerror}): {again}") from None
    magic, identity = (int(word, 16).to_bytes(8, "little") for word in wanted["header"])
    if found[:8] != magic:
        raise NetworkError(f"{file} is no file of weights: {again}")
    if len(found) >= 16 and found[8:16] != identity:
        theirs = int.from_bytes(found[8:16], "little")
        raise NetworkError(f"{file} has weights {theirs:014x}, network.json wants {wanted['header'][1][2:]}: {again}")
    if len(found) != wanted["bytes"]:
        raise NetworkError(f"{file} has {len(found):,} bytes, not {wanted['bytes']:,}: {again}")
    if hashlib.sha256(found).hexdigest() != wanted["sha256"]:
        raise NetworkError(f"{file} is damaged, as its checksum says: {again}")
    return found


def _pynq() -> Any:
    try:
        import pynq

        return pynq
    except ImportError as error:
        what = "is not here" if error.name == "pynq" else f"cannot be imported ({error})"
        raise NetworkError(f"pynq {what}: this runs on the board, with the Python of its image: {START}") from None


def _why_not_loaded(error: Exception, path: Path) -> str:
    text = _first_line(error)
    here = f"{START}, or a notebook of the board's Jupyter"
    if isinstance(error, PermissionError) or "root" in text.lower():
        return f"only root may load a bitstream: {here}"
    if "no devices found" in text.lower():
        return f"PYNQ finds no logic to load, as where XILINX_XRT is not set: {here}"
    return f"{path} cannot be loaded: {text}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _cell(cells: dict[str, Any], types: Sequence[str], what: str) -> str:
    """Return the name of the only cell of one of some types."""
    found = [name for name, cell in cells.items() if any(kind in str(cell.get("type", "")) for kind in types)]
    if len(found) != 1:
        have = ", ".join(found or sorted(cells)) or "nothing"
        number = "several cells" if found else "no cell"
        raise NetworkError(f"the design has {number} that could be its {what} ({have}): is this bireal_hw's bitstream?")
    return found[0]


def _attribute(overlay: Any, path: str) -> Any:
    for name in path.split("/"):
        overlay = getattr(overlay, name)
    return overlay


def _offsets(cell: dict[str, Any], name: str) -> dict[str, int]:
    """Return the addresses of a cell's registers, by name, as the design's description gives them."""
    registers = {key: int(str(one["address_offset"]), 0) for key, one in (cell.get("registers") or {}).items()}
    if not registers:
        raise NetworkError(f"the .hwh names no registers of {name}: make it anew with Vivado 2020.2 or later")
    return registers


def _lines(network: Network) -> Iterator[str]:
    yield f"self-test: every logit of {network.selftest()} images is the golden model's"
    for key, value in network.measure().items():
        yield f"{key.replace('_', ' ')}: {value:,.4g}"


def main(words: Sequence[str]) -> int:
    """Say what is in pictures, or do the self-test and measure; the exit status is 0 if all went well."""
    if any(word in ("-h", "--help") for word in words):
        print("python3 driver.py [PICTURE...]: what is in pictures; without one the self-test and frames per second")
        return 0
    for word in words:
        if not Path(word).is_file():
            print(f"error: there is no picture {word}", file=sys.stderr)
            return 1
    try:
        with Network() as network:
            if not words:
                for line in _lines(network):
                    print(line)
            else:
                for word, found in zip(words, network.predict(list(words))):  # noqa: B905 - Python 3.8
                    print(f"{word}: {found.name} ({100 * found.probability:.1f} %)")
    except (NetworkError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
