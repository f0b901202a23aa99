"""The command `predict`: what a network sees in pictures, by the golden model, the hardware, or a board's logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.markup import escape
from rich.table import Table

from bireal_hw import golden
from bireal_hw.commands.verb import CONSOLE, OF_FOLDING, of_run
from bireal_hw.errors import BirealError, VerdictError
from bireal_hw.files import replacing, write_json
from bireal_hw.ir.graph import Graph, load
from bireal_hw.ir.op import Array
from bireal_hw.preprocess import PictureError, read_picture
from bireal_hw.run.build import Build
from bireal_hw.run.config import BACKENDS
from bireal_hw.run.engine import ensure
from bireal_hw.run.images import view_of
from bireal_hw.run.network import BUILD
from bireal_hw.sim.network import simulate_network

FOLDER = "predict"
SUFFIXES = (
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"
)  # fmt: skip
"""Files of a folder that are pictures, as for training, whose list lies behind torch."""
SIDE = 320
"""Pixels of the longer side of what is drawn."""
SHOWN = 5
"""Classes in the table."""
FEW = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], float)
"""Colours of a map from its smallest value to its largest: five of viridis."""

Pixels = NDArray[np.uint8]


def _predict(build: Build) -> int:
    files = _files(build.config.picture)
    _check(files)
    given = _numbers(Path(build.config.logits)) if build.config.logits else None
    ensure(build, "lower")
    graph = load(build.path / "graph.json")
    images = np.stack([_read(file, graph, view_of(build.values)) for file in files])
    logits, how = _logits(build, graph, images, given)
    values = logits / 2.0**graph.output.dtype.frac
    with replacing(build.path / FOLDER) as folder:
        folder.mkdir()
        names = graph.info.get("class_names") or [str(index) for index in range(graph.output.size)]
        records = (
            _classes(files, images, values, names, folder)
            if graph.output.pixels == 1
            else _maps(files, images, values.reshape(len(files), *graph.output.shape), folder)
        )
        write_json(folder / "predict.json", {"by": how, "pictures": records})
    CONSOLE.print(f"by {how}; pictures with their labels: {build.path / FOLDER}", soft_wrap=True)
    return 0


def _files(given: str | None) -> list[Path]:
    """Return the picture, or those of a folder; raises BirealError if there is none."""
    if given is None:
        raise BirealError("predict needs picture=: an image file, or a folder of them")
    path = Path(given)
    if path.is_file():
        return [path]
    found = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
    if not found:
        raise BirealError(f"picture={given} holds no picture: files that end in {' '.join(SUFFIXES)}")
    return found


def _check(files: list[Path]) -> None:
    """Raise BirealError for what is no picture, before the network is made."""
    for file in files:
        try:
            read_picture(file, (1, 1), 3)
        except PictureError as error:
            raise BirealError(f"{file} cannot be read: {error}") from None


def _read(file: Path, graph: Graph, view: float) -> Pixels:
    height, width, channels = graph.input.shape
    if channels not in (1, 3):
        raise BirealError(f"a network of {channels} channels reads no pictures: they have 1 or 3")
    try:
        return read_picture(file, (height, width), channels, view)
    except PictureError as error:
        raise BirealError(f"{file} cannot be read: {error}") from None


def _logits(build: Build, graph: Graph, images: Pixels, given: Array | None) -> tuple[Array, str]:
    """Return integer logits (N, numbers of the output), and by what they were computed."""
    if given is not None:
        file, count, size = build.config.logits, len(images), graph.output.size
        if given.size != count * size:
            raise BirealError(
                f"logits={file} holds {given.size:,} numbers, and {count} pictures of {size} have {count * size:,}: "
                "give those of picture=, in the order of their names"
            )
        return given.reshape(count, size).astype(np.int64), f"the logits in {file}"
    if build.config.by == "rtl":
        ensure(build, "rtl")
        graph, folding = build.folded()
        found = simulate_network(graph, folding, build.path / build.board.name / "rtl", images, builds=BUILD / "sim")
        if found.mismatches:
            raise VerdictError(f"the hardware differs from the golden model in {found.mismatches:,} logits")
        return golden.run(graph, images), f"the simulated SystemVerilog for {build.board.name}"
    return golden.run(graph, images), "the golden model"


def _numbers(file: Path) -> Array:
    """Read a board's logits, as `numpy.save` or `numpy.savetxt` wrote what the driver returned."""
    try:
        return np.asarray(np.load(file) if file.suffix == ".npy" else np.loadtxt(file, ndmin=2))
    except (OSError, ValueError) as error:
        raise BirealError(f"logits={file} cannot be read: {error}; write it with numpy.save or numpy.savetxt") from None


def _classes(
    files: list[Path], images: Pixels, values: NDArray[np.float64], names: list[str], folder: Path
) -> list[dict[str, object]]:
    """Print classes and probabilities, draw every picture with its label, and return what was found."""
    weights = np.exp(values - values.max(axis=1, keepdims=True))
    shares = weights / weights.sum(axis=1, keepdims=True)
    table = Table(show_edge=False, title_justify="left")
    for heading in ("picture", "is", "probability", "then"):
        table.add_column(heading, justify="right" if heading == "probability" else "left", overflow="fold")
    records: list[dict[str, object]] = []
    for number, (file, image, share) in enumerate(zip(files, images, shares, strict=True)):
        order = np.argsort(-share, kind="stable")
        best, rest = order[0], order[1:SHOWN]
        others = ", ".join(f"{names[one]} {share[one]:.1%}" for one in rest if share[one] >= 0.001)
        table.add_row(escape(str(file)), escape(names[best]), f"{share[best]:.1%}", escape(others))
        records.append(
            {"file": str(file), "class": names[best], "probabilities": dict(zip(names, share.tolist(), strict=True))}
        )
        label = f"{names[best]} {share[best]:.1%}"
        _draw([_shown(file, image), image], label).save(folder / f"{number:04d}-{file.stem}.png")
    CONSOLE.print(table)
    return records


def _maps(files: list[Path], images: Pixels, maps: NDArray[np.float64], folder: Path) -> list[dict[str, object]]:
    """Draw every picture beside its map, and return the maps' ranges; the maps themselves go to a file."""
    table = Table(show_edge=False, title_justify="left")
    for heading in ("picture", "map", "smallest", "largest"):
        table.add_column(heading, justify="left" if heading == "picture" else "right", overflow="fold")
    records: list[dict[str, object]] = []
    for number, (file, image, found) in enumerate(zip(files, images, maps, strict=True)):
        low, high, size = float(found.min()), float(found.max()), "x".join(map(str, found.shape))
        table.add_row(escape(str(file)), size, f"{low:.3f}", f"{high:.3f}")
        records.append({"file": str(file), "smallest": low, "largest": high})
        colours = _colours(found[..., 0])
        _draw([_shown(file, image), colours], f"{low:.3f} to {high:.3f}").save(folder / f"{number:04d}-{file.stem}.png")
    np.save(folder / "maps.npy", maps)
    CONSOLE.print(table)
    return records


def _colours(values: NDArray[np.float64]) -> Pixels:
    """Colour a map (H, W), from its smallest value to its largest."""
    span = values.max() - values.min()
    place = (values - values.min()) / (span or 1) * (len(FEW) - 1)
    channels = [np.interp(place, np.arange(len(FEW)), FEW[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _shown(file: Path, image: Pixels) -> Pixels:
    """Return the picture as it is, in RGB, at the size that it is drawn in."""
    with Image.open(file) as picture:
        picture.thumbnail((SIDE, SIDE))
        return np.asarray(picture.convert("RGB"))


def _draw(pictures: list[Pixels], label: str) -> Image.Image:
    """Put pictures side by side, at equal height, above a line of text."""
    font = ImageFont.load_default(16)
    height = max(SIDE // 2, pictures[0].shape[0])
    made = []
    for pixels in pictures:
        flat = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        one = Image.fromarray(flat).convert("RGB")
        made.append(one.resize((max(1, round(one.width * height / one.height)), height), Image.Resampling.NEAREST))
    strip = 28
    page = Image.new("RGB", (sum(one.width for one in made) + 8 * (len(made) - 1), height + strip), "white")
    left = 0
    for one in made:
        page.paste(one, (left, 0))
        left += one.width + 8
    ImageDraw.Draw(page).text((4, height + 4), label, "black", font)
    return page


VERB = of_run(
    "predict",
    f"say what is in pictures, by {', '.join(BACKENDS)}, or a board's logits=",
    (*OF_FOLDING, "picture", "by", "logits"),
    _predict,
)
