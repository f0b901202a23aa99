"""Sends images to a network on a board over a serial line and reads its class and logits.

It stands alone, beside `network.json`, `preprocess.py` and `vectors/`: copy the folder to where the board is plugged
in. Needs pyserial, and Pillow and numpy for pictures.

    python host.py --port /dev/ttyUSB0             # the test images: every logit against the golden model's
    python host.py --port /dev/ttyUSB0 seven.png   # a picture, cut and scaled to its size; a .bin file: raw bytes
"""

# ruff: noqa: T201 - what it finds goes to the terminal, without the packages of bireal_hw

from __future__ import annotations

import argparse
import binascii
import json
import struct
import sys
import time
from pathlib import Path
from typing import Any, Protocol

SYNC = 0xB1
"""First byte of a frame."""
HEADER, CHECK = 5, 2
"""Bytes of a frame in front of its payload (sync, tag, length) and behind it."""
ERRORS = {
    1: "the image has a length that the network does not take",
    2: "an image arrived with a wrong checksum",
    3: "an image broke off",
    4: "the board has no room for another image yet",
    5: "a byte arrived broken: is the speed of the line the board's?",
}
TRIES = 3
"""Times that an image is sent before its error is the caller's."""
TIMEOUT = 1.0
"""Seconds without a byte after which an answer is given up: more than the board waits inside a frame."""


class LinkError(Exception):
    """The board did not answer, or not with the logits."""


class Line(Protocol):
    """A serial line, as pyserial's `Serial` opens it with a timeout."""

    def write(self, data: bytes, /) -> object:
        """Send bytes."""

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, or fewer if the line stays silent for the timeout."""
        ...


def checksum(data: bytes) -> bytes:
    """Return the CRC-16 of bytes, high byte first."""
    return binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "big")


def frame(tag: int, payload: bytes) -> bytes:
    r"""Put a payload into a frame with a tag from 0 to 255.

    >>> frame(7, b"\x01\x02").hex(" ")
    'b1 07 00 00 02 01 02 bb 42'
    """
    body = bytes([tag]) + len(payload).to_bytes(3, "big") + payload
    return bytes([SYNC]) + body + checksum(body)


class Link:
    """A network at the other end of a line."""

    def __init__(self, line: Line, image_bytes: int, classes: int) -> None:
        """Args: the line, the bytes of an image, and the number of logits that come back for one."""
        self.line, self.image_bytes, self.classes = line, image_bytes, classes
        self.tag = 0

    def logits(self, image: bytes) -> list[int]:
        """Return the integer logits of an image: rows from the top, pixels from the left, channels ascending.

        Raises:
            LinkError: it did not come through in some tries.
        """
        for left in reversed(range(TRIES)):
            self.tag = (self.tag + 1) % 256
            self.line.write(frame(self.tag, image))
            try:
                return self._result(self.tag)
            except LinkError:
                if not left:
                    raise
                self.settle()
        raise AssertionError("unreachable")

    def settle(self) -> None:
        """Wait until the line is silent, and forget what came: the board has given up a broken frame by then."""
        while self.line.read(4096):
            pass

    def _result(self, tag: int) -> list[int]:
        """Wait for the logits with a tag; what comes with others belongs to images that were given up."""
        while True:
            found, payload = self.reply()
            if len(payload) == 1:
                raise LinkError(ERRORS.get(payload[0], f"error {payload[0]}"))
            if found == tag:
                return list(struct.unpack(f">{self.classes}i", payload))

    def reply(self) -> tuple[int, bytes]:
        """Return tag and payload of the next frame: 4 bytes a logit, or one byte that says what was wrong.

        Raises:
            LinkError: none comes, or it is broken.
        """
        while self._read(1)[0] != SYNC:
            pass
        head = self._read(HEADER - 1)
        length = int.from_bytes(head[1:], "big")
        if length not in (1, 4 * self.classes):
            raise LinkError(f"an answer of {length} bytes arrived: is this the network's folder?")
        rest = self._read(length + CHECK)
        if checksum(head + rest[:length]) != rest[length:]:
            raise LinkError("an answer arrived with a wrong checksum")
        return head[0], rest[:length]

    def _read(self, size: int) -> bytes:
        data = self.line.read(size)
        if len(data) < size:
            raise LinkError("the board does not answer")
        return data


def best(logits: list[int]) -> int:
    """Return the class: the lowest index of the largest logit."""
    return logits.index(max(logits))


def read_image(path: Path, shape: tuple[int, int, int], view: float) -> bytes:
    """Read raw bytes (.bin), or a picture as evaluation does: `view` of its middle at (height, width, channels)."""
    height, width, channels = shape
    if path.suffix == ".bin":
        data = path.read_bytes()
    else:
        from preprocess import PictureError, read_picture  # type: ignore[import-not-found]  # lies beside this file

        try:
            data = read_picture(path, (height, width), channels, view).tobytes()
        except PictureError as error:
            raise LinkError(f"{path} cannot be read: {error}") from None
    if len(data) != height * width * channels:
        raise LinkError(f"{path} has {len(data)} bytes, an image of this network {height * width * channels}")
    return data


def check_vectors(link: Link, folder: Path) -> int:
    """Compare the logits of the images in a folder with those beside them; return how many differ."""
    stored = (folder / "images.bin").read_bytes()
    wanted = [list(map(int, line.split())) for line in (folder / "logits.txt").read_text().splitlines()]
    size = link.image_bytes
    start = time.perf_counter()
    found = [link.logits(stored[size * index : size * (index + 1)]) for index in range(len(wanted))]
    seconds = time.perf_counter() - start
    wrong = sum(a != b for one, other in zip(found, wanted, strict=True) for a, b in zip(one, other, strict=True))
    print(f"{len(wanted)} images in {seconds:.3f} s; {wrong} of {len(wanted) * link.classes} logits differ")
    return wrong


def classify(link: Link, about: dict[str, Any], path: Path) -> None:
    """Print the class and the logits of one image."""
    start = time.perf_counter()
    logits = link.logits(read_image(path, tuple(about["image"]), about["view"]))
    seconds = time.perf_counter() - start
    values = " ".join(f"{logit * 2.0 ** -about['frac']:.3f}" for logit in logits)
    print(f"{path}: {about['class_names'][best(logits)]} ({1e3 * seconds:.1f} ms; logits {values})")


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; the exit status is 0 if every logit was as it should be."""
    parser = argparse.ArgumentParser(description="Sends images to a network on a board and prints their classes.")
    parser.add_argument("images", nargs="*", type=Path, help="pictures, or raw bytes in .bin files; none: test images")
    parser.add_argument("--port", default="/dev/ttyUSB0", help="serial port of the board (default /dev/ttyUSB0)")
    given = parser.parse_args(words)
    here = Path(__file__).resolve().parent
    try:
        import serial

        about = json.loads((here / "network.json").read_text())
        height, width, channels = about["image"]
        with serial.Serial(given.port, about["baud"], timeout=TIMEOUT) as line:
            link = Link(line, height * width * channels, len(about["class_names"]))
            link.settle()
            for path in given.images:
                classify(link, about, path)
            return 0 if given.images or not check_vectors(link, here / "vectors") else 1
    except ModuleNotFoundError as error:
        package = {"serial": "pyserial", "PIL": "pillow"}.get(str(error.name), error.name)
        print(f"error: the package '{package}' is missing: pip install {package}", file=sys.stderr)
    except (LinkError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
