"""Misuses of the driver: what it says of each."""

import shutil
import sys
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image


def session(board: Any, driver: Any) -> Any:
    found: dict[str, str] = {}

    def said(name: str, action: Any) -> None:
        try:
            action()
            found[name] = "nothing"
        except (driver.NetworkError, ValueError) as error:
            found[name] = f"{type(error).__name__}: {error}".replace(str(board.folder.parent), "DIR")

    network = driver.Network(board.folder / "bireal.bit")
    starts = board.read(board.plan["registers"]["BEATS_IN"])
    good = np.fromfile(board.folder / "vectors" / "images.bin", np.uint8).reshape(-1, *network.image)[:4]
    inputs = {
        "floats of 0..1": (good / 255).astype(np.float32),
        "mean and deviation": (good / 255 - 0.45) / 0.22,
        "floats of 0..255": good.astype(np.float32),
        "NaN": np.full(good.shape, np.nan),
        "int8": (good.astype(int) - 128).astype(np.int8),
        "16 bits": good.astype(np.uint16) * 256,
        "bool": good > 128,
        "objects": good.astype(object),
        "larger": good.repeat(2, axis=1).repeat(2, axis=2),
        "channels first": good.transpose(0, 3, 1, 2),
        "alpha": np.concatenate([good] * 4, axis=3)[..., :4],
        "gray for colour": good[..., :1],
        "flat": good.reshape(4, -1),
        "one image": good[0],
        "a list of different ones": [good[0], good[1][:-1]],
        "a number": 7,
        "a dictionary": {"image": good},
        "pictures and arrays": [good[0], "a.jpg"],
        "no such file": "nowhere.png",
    }
    for name, value in inputs.items():
        said(name, lambda value=value: network.logits(value))
    closed = Image.fromarray(good[0])
    closed.close()
    said("a closed image", lambda: network.logits(closed))
    said("pixels without a range", lambda: network.logits(Image.new("F", (8, 8))))
    said("nothing to measure", lambda: network.measure(0))
    (board.folder / "text.png").write_text("no picture")
    said("no picture", lambda: network.logits(board.folder / "text.png"))
    found["started"] = str(board.read(board.plan["registers"]["BEATS_IN"]) - starts)

    board.limit = 800
    said("no memory", lambda: network.logits(good))
    board.limit = 1 << 27

    network.about["identity"], identity = "0" * 16, network.about["identity"]
    said("loaded since", lambda: network.logits(good))
    network.about["identity"] = identity

    other = board.folder.parent / "other"
    shutil.copytree(board.folder, other)

    def opened(name: str) -> None:
        said(name, lambda: driver.Network(other / "bireal.bit"))

    said("no bitstream", lambda: driver.Network(board.folder / "other.bit"))
    said("no .bit", lambda: driver.Network(board.folder / "bireal.hwh"))
    (other / "bireal.hwh").unlink()
    opened("no .hwh")
    (other / "bireal.hwh").touch()
    text = (other / "network.json").read_text()
    (other / "network.json").write_text(text.replace(identity, identity[::-1]))
    opened("another network")
    (other / "network.json").write_text(text[:-9])
    opened("damaged json")
    (other / "network.json").write_text(text.replace('"frac"', '"fraction"'))
    opened("another json")
    (other / "network.json").write_text("7")
    opened("a number for json")
    (other / "network.json").unlink()
    opened("no json")
    (other / "network.json").write_text(text)
    logits = other / "vectors" / "logits.txt"
    lines = logits.read_text().splitlines()
    for name, kept in {"fewer logits": lines[:-1], "no logits": []}.items():
        logits.write_text("\n".join(kept))
        said(name, lambda: driver.Network(other / "bireal.bit").selftest())
    shutil.rmtree(other / "vectors")
    said("no vectors", lambda: driver.Network(other / "bireal.bit").selftest())

    cells = dict(board.cells)
    board.cells.pop("network")
    opened("another design")
    board.cells = cells | {"network": cells["network"] | {"registers": {}}}
    opened("no registers")
    board.cells = cells
    stand_in: Any = ModuleType("pynq")
    stand_in.allocate = board.allocate

    def not_root(path: str) -> None:
        raise OSError("Root permissions required.")

    def no_device(path: str) -> None:
        raise RuntimeError("No Devices Found")

    stand_in.Overlay = not_root
    real, sys.modules["pynq"] = sys.modules["pynq"], stand_in
    opened("not root")
    stand_in.Overlay = no_device
    opened("no device")
    del sys.modules["pynq"]
    (other / "pynq.py").write_text("import cffi_of_the_image")
    sys.path.insert(0, str(other))
    opened("half of pynq")
    sys.path.remove(str(other))
    sys.modules["pynq"] = None  # type: ignore[assignment]
    opened("no pynq")
    sys.modules["pynq"] = real

    # What is fine.
    x, y = np.meshgrid(np.arange(50), np.arange(40))
    picture = Image.fromarray(np.stack([5 * x, 6 * y, x + y], -1).astype(np.uint8))
    picture.save(other / "a.png")
    kinds = {mode: picture.convert(mode) for mode in ("RGB", "L", "RGBA", "P", "1", "CMYK")}
    pictures = [
        network.logits(one).tolist() for one in (other / "a.png", str(other / "a.png"), [picture], *kinds.values())
    ]
    predicted = network.predict(picture)[0]
    empty = network.logits(good[:0]).shape, network.logits([]).shape, network.predict([])
    views = [network.logits(one).tolist() for one in (good, list(good), np.asfortranarray(good))]
    with network:
        pass
    again = network.logits(good).tolist()
    most, network._most = network._most, 3
    parts = network.logits(good).tolist(), network.measure(4)["cycles_per_frame"]
    network._most = most
    return {
        "said": found,
        "pictures": pictures,
        "predicted": (predicted.name, predicted.probability, predicted.probabilities.tolist()),
        "empty": empty,
        "views": [*views, again],
        "parts": parts,
        "main": driver.main([str(other / "a.png")]),
    }
