"""Runs of a tiny network whose long steps are replaced by what they would leave: results in the documented form."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bireal_hw import cli
from bireal_hw.analysis.memories import memories, record
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.files import write_json
from bireal_hw.passes.dataflow import Dataflow, elaborate
from bireal_hw.run.build import Build, Figures
from bireal_hw.run.engine import STEPS
from bireal_hw.synth.resources import KINDS, capacity
from tests.networks import tiny

BOARD = "pynq-z2"
CURVES = b"\x89PNG\r\n\x1a\n not quite a picture"
TRAIN = {
    "epochs": 30,
    "seed": 0,
    "params_binary": 431,
    "params_real": 87,
    "train_images": 1433,
    "test_images": 364,
    "top1_trained": 98.9,
    "top1_float": 98.63,
    "top1_deploy": 98.08,
    "seconds": 245.6,
}
EXPORT = {"classes": list("abcde"), "frac": 8, "m_c": [128], "max_intermediate": {"stem": 68421, "layer1.0": 59110}}


class Run:
    """A run whose steps leave what a test wants; `changes` go into the file of that name."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys = capsys
        self.monkeypatch = monkeypatch
        self.changes: dict[str, dict[str, Any]] = {}
        self.worked: list[str] = []
        works = {"train": self.train, "export": self.export, "sim": self.sim, "hls": self.hls, "synth": self.synth}
        works |= {"board": self.board, "board_hls": self.board_hls}
        for name, work in works.items():
            step = dataclasses.replace(STEPS[name], work=self.noted(name, work), check=lambda build: None)
            monkeypatch.setitem(STEPS, name, step)
        self.folder = Path("build/net")

    def noted(self, name: str, work: Callable[[Build, Path], None]) -> Callable[[Build, Path], Figures]:
        def run(build: Build, folder: Path) -> Figures:
            self.worked.append(name)
            work(build, folder)
            return {"made": name}

        return run

    def __call__(self, line: str, status: int = 0) -> str:
        """Run a command, check its exit status, and return what it said: stderr if it failed."""
        self.worked.clear()
        assert cli.run(line.split()) == status, self.capsys.readouterr().err
        out, err = self.capsys.readouterr()
        assert err.count("\n") == (1 if status else 0), err
        return err.strip() if status else out

    def page(self) -> Document:
        """Return the page that stands in the run's folder."""
        return Document((self.folder / "report.html").read_text())

    def json(self, name: str) -> dict[str, Any]:
        """Return a result of the default board, or of the network."""
        path = self.folder / BOARD / name
        content: dict[str, Any] = json.loads((path if path.exists() else self.folder / name).read_text())
        return content

    def leave(self, build: Build, path: Path, content: dict[str, Any]) -> None:
        write_json(path, build.marks | content | self.changes.get(path.name, {}))

    def train(self, build: Build, folder: Path) -> None:
        build.values["epochs"] = 30
        build.record_values()
        (folder / "checkpoint.ckpt").write_text("weights")
        (folder / "metrics.csv").write_text("epoch\n")
        (folder / "curves.png").write_bytes(CURVES)
        self.leave(build, folder / "train.json", TRAIN)

    def export(self, build: Build, folder: Path) -> None:
        build.record_values()
        write(tiny(seed=build.values["seed"]), folder / "model.onnx")
        self.leave(build, folder / "export.json", EXPORT)

    def sim(self, build: Build, folder: Path) -> None:
        flow = flow_of(build)
        fifos = [one for one in flow.instances if one.binding.module == "br_fifo"]
        fills = [
            {"name": one.name, "depth": one.binding.parameters["Depth"], "highest_fill": 3 + index}
            for index, one in enumerate(fifos)
        ]
        frames = {"frames": 4, "runs": 2, "latency_cycles": 12345, "fifos": fills}
        self.leave(build, folder / build.board.name / "sim.json", comparison(build, flow, 4, 40) | frames)

    def hls(self, build: Build, folder: Path) -> None:
        left_out = {"skipped": "no tool", "command": "vitis-run later"}
        content = comparison(build, flow_of(build), 256, 1280) | {"synthesis": left_out, "bitstream": left_out}
        (folder / build.board.name / "hls").mkdir(parents=True)
        self.leave(build, folder / build.board.name / "hls.json", content)

    def board(self, build: Build, folder: Path) -> None:
        speeds = [
            {"images": count, "cycles": 10**8 * count // fps, "run_cycles": 9, "frames_per_second": fps}
            for count, fps in ((1, 600), (63, 2910))
        ]
        measured = {"clock_mhz": 100, "speeds": speeds, "frames_per_second": 2912, "network_frames_per_second": 3000}
        more = {"latency_ms": 1.625, "cycles_per_frame": 34_343.0, "cycles_to_first_logit": 166_667}
        self.leave(build, folder / build.board.name / "board.json", driven(build) | measured | more)

    def board_hls(self, build: Build, folder: Path) -> None:
        self.leave(build, folder / build.board.name / "board_hls.json", driven(build) | {"outputs_compared": 321})

    def synth(self, build: Build, folder: Path) -> None:
        graph, _ = build.folded()
        held = record(memories(flow_of(build), build.board.family))
        layers = [
            {"name": node.name, "lut": 100 + index, "ff": 7 * index, "bram36": index / 2, "uram": 0, "dsp": index % 3}
            for index, node in enumerate(graph)
        ]
        used = {kind: sum(layer[kind] for layer in layers) for kind in KINDS}  # type: ignore[misc]
        have = capacity(build.board)
        kinds = {kind: {"used": used[kind], "available": getattr(have, kind), "source": "yosys"} for kind in KINDS}
        about = {"board": build.board.name, "part": build.board.part, "fits": True, "yosys": "0.70", "layers": layers}
        more = {"predicted": used | {"lut": 1111}, "whole": used | {"lut": 999}, "memories": held.plain()}
        self.leave(build, folder / build.board.name / "synth.json", kinds | about | more)


def flow_of(build: Build) -> Dataflow:
    return elaborate(*build.folded())


def comparison(build: Build, flow: Dataflow, images: int, outputs: int) -> dict[str, Any]:
    """Return what sim.json and hls.json have in common."""
    return {
        "board": build.board.name,
        "images": images,
        "images_from": "random",
        "outputs_compared": outputs,
        "mismatches": 0,
        "first_mismatch": None,
        "cycles_per_frame": flow.cycles,
        "cycles_predicted": flow.cycles,
        "bottleneck": flow.bottleneck,
        "seconds_build": 12.25,
        "seconds_run": 3.5,
    }


def driven(build: Build) -> dict[str, Any]:
    """Return what board.json and board_hls.json have in common."""
    fault = {"fault": "DMA stuck", "told": "NetworkError: the DMA <sends> no image", "seconds": 0.00634, "usable": True}
    return {
        "board": build.board.name,
        "identity": "0123456789abcdef",
        "images": 64,
        "images_from": "random",
        "batches": [1, 63],
        "outputs_compared": 320,
        "mismatches": 0,
        "mismatches_stalled": 0,
        "faults": [fault, fault | {"fault": "Ctrl-C", "told": "KeyboardInterrupt"}],
        "seconds_run": 21.5,
    }


VOID = {"meta", "link", "br", "hr", "img", "input", "col", "base", "embed", "source", "track", "wbr"}
LOADING = {"link", "base", "iframe", "object", "embed", "audio", "video", "source", "form"}
ADDRESSES = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background", "ping"}
BLOCKS = {"p", "div", "dl", "ul", "table", "section", "figure", "h1", "h2", "h3", "pre", "details", "svg"}


class Document(HTMLParser):
    """A page, checked while it is read: elements close in order, ids stand once, nothing is loaded from anywhere.

    Attributes:
        text: all text outside of scripts and styles.
        scripts: number of script elements.
        ids: of all elements.
        tables: by class, the rows of each as lists of cell texts.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.wanted: list[str] = []
        self.scripts = 0
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self._table: list[list[str]] | None = None
        self.feed(source)
        self.close()
        assert self.stack == []
        assert len(set(self.ids)) == len(self.ids)
        assert set(self.wanted) <= set(self.ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._opened(tag, attrs)
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID or "svg" in self.stack, f"<{tag}/> closes nothing in HTML"
        self._opened(tag, attrs)

    def _opened(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in LOADING
        assert not (tag in BLOCKS and "p" in self.stack), f"<{tag}> in a paragraph"
        self.scripts += tag == "script"
        for name, value in attrs:
            value = value or ""
            assert not name.startswith("on"), f"{name}={value}"
            for address in re.findall(r"url\(([^)]*)", value) + ([value] if name in ADDRESSES else []):
                assert address.startswith(("#", "data:")), f"{name}={value}"
                self.wanted += [address[1:]] if address.startswith("#") else []
            if name == "id":
                self.ids.append(value)
            if name in ("aria-labelledby", "aria-describedby"):
                self.wanted += value.split()
            if name == "class" and tag == "table":
                self._table = self.tables.setdefault(value, [])
        if tag == "img":
            assert dict(attrs)["alt"]
        if self._table is not None and tag == "tr":
            self._table.append([])
        if self._table is not None and tag in ("td", "th"):
            self._table[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag
        if tag == "table":
            self._table = None

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] in ("style", "script"):
            assert not any(word in data for word in ("@import", "url(", "http", "fetch", "XMLHttpRequest"))
            return
        self.text += data
        if self._table and self._table[-1] and {"td", "th"} & set(self.stack):
            self._table[-1][-1] += data

    def rows(self, name: str) -> list[list[str]]:
        """Return the rows of a table without its head, each cell's text on one line."""
        return [[" ".join(cell.split()) for cell in row] for row in self.tables[name][1:]]

    def said(self) -> str:
        """Return all text on one line."""
        return " ".join(self.text.split())
