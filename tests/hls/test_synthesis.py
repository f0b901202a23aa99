"""What only a synthesiser compiles: its pragmas after the preprocessor, its restrictions, its results."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.assets import asset
from bireal_hw.golden import run
from bireal_hw.hls import generate
from bireal_hw.hls.gpp import headers
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.folding import fold
from bireal_hw.passes.placement import place
from tests.networks import mixed, random_images, tiny, two_streams

pytestmark = pytest.mark.hls

STAND_INS = Path(__file__).with_name("synthesis")
LIBRARY = sorted((asset("hls/include") / "bireal").glob("*.hpp"))
SYNTHESISED = ("-D__SYNTHESIS__", "-DAP_INT_MAX_W=4096", "-I", str(STAND_INS), "-isystem", str(headers()))
CLANG = next(filter(shutil.which, ["clang++", *(f"clang++-{version}" for version in range(21, 12, -1))]), None)
clang = pytest.mark.skipif(CLANG is None, reason="clang is not installed: apt install clang")
COMPILERS = ["g++", pytest.param(CLANG, marks=clang, id="clang++")]

PRAGMAS = (
    r"INLINE",
    r"DATAFLOW",
    r"UNROLL",
    r"PIPELINE II=\d+ style=(stp|flp|frp)",
    r"LOOP_TRIPCOUNT min=[\w:]+ max=[\w:]+",
    r"STABLE variable=\w+",
    r"DEPENDENCE variable=\w+ (inter|intra) (RAW|WAR|WAW)( distance=\d+)? (true|false)",
    r"ARRAY_PARTITION variable=\w+ complete( dim=\d+)?",
    r"ARRAY_RESHAPE variable=\w+ complete dim=\d+",
    r"BIND_STORAGE variable=\w+ type=(rom_1p|ram_2p) impl=(bram|lutram)",
    r"STREAM variable=\w+ depth=\d+",
    r"INTERFACE axis port=\w+",
    r"INTERFACE m_axi port=\w+ offset=slave bundle=\w+ depth=\d+",
    r"INTERFACE s_axilite port=\w+ bundle=control",
)
"""The pragmas that UG1399 has, as far as they are used here, with the words that it allows."""
STANDARD = {"std::uint8_t", "std::uint16_t", "std::uint32_t", "std::uint64_t", "std::enable_if"}
STANDARD |= {"std::int8_t", "std::int16_t", "std::int32_t", "std::int64_t"}
"""What of the standard library is types alone."""


def preprocessed(text: str, *flags: str) -> str:
    """What a synthesiser reads of our own files, without what they include of others."""
    command = ["g++", "-std=c++14", "-E", *SYNTHESISED, "-I", str(asset("hls/include")), *flags, "-x", "c++", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    own, kept = False, []
    for line in done.splitlines():
        if marker := re.match(r'# \d+ "([^"]*)"', line):
            own = not re.search(r"/(ap_types|synthesis|include/c\+\+|usr)/", marker[1])
        elif own:
            kept.append(line)
    return "\n".join(kept)


@pytest.fixture(scope="module")
def library() -> str:
    return preprocessed("".join(f'#include "bireal/{path.name}"\n' for path in LIBRARY))


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> str:
    return preprocessed(f'#include "{built(mixed(9, 7, 3, 6, seed=35), tmp_path_factory.mktemp("top"))}/top.cpp"\n')


def built(graph: Graph, folder: Path) -> Path:
    generate(graph, fold(graph, 3_000), folder / "a project", "xc7z020clg400-1", 100)
    return folder / "a project"


def test_the_open_headers_redefine_words_of_pragmas() -> None:
    """The vendor's do so too: a pragma that the preprocessor expands is not the one that was written."""
    assert "#define INLINE inline" in (headers() / "ap_common.h").read_text()


@pytest.mark.parametrize("text", ["library", "top"])
def test_every_pragma_is_legal_after_the_preprocessor(text: str, request: pytest.FixtureRequest) -> None:
    read: str = request.getfixturevalue(text)
    found = re.findall(r"^\s*#pragma (.*)$", read, re.MULTILINE)
    assert len(found) > 100
    illegal = [line for line in found if not any(re.fullmatch(f"HLS {legal}", line.strip()) for legal in PRAGMAS)]
    assert illegal == []
    assert "BIREAL_PRAGMA" not in read
    assert "_Pragma" not in read


def test_every_function_is_a_process_or_inlined(library: str) -> None:
    """A helper without a hint stays a module of its own, with a handshake, where the tool thinks it large enough."""
    code = re.sub(r"\s+", " ", re.sub(r"^\s*#pragma (.*)$", r"PRAGMA(\1)", library, flags=re.MULTILINE))
    bodies = list(re.finditer(r"([^;{}]*\))(?: const)? \{ ?((?:PRAGMA\([^)]*\) ?)*)", code))
    helpers = []
    for found in bodies:
        signature, pragmas = found[1], found[2]
        if signature.count("(") != signature.count(")"):
            continue  # a loop
        if re.match(r"(else )?if\b|while\b", signature.strip()) or "constexpr" in signature:
            continue
        if "int frames" in signature or re.search(
            r"void (deal|multiply|load|finish|store|arrive|run_pass)\(", signature
        ):
            continue  # processes, of all frames and of a pass of the engine
        helpers.append(signature)
        assert "PRAGMA(HLS INLINE)" in pragmas, signature
    assert len(helpers) > 20


def test_every_loop_of_a_process_tells_its_length(library: str) -> None:
    loops = re.findall(r"for \(Countdown<[^\n]*\n((?:\s*#pragma [^\n]*\n)+)", re.sub(r"\n\s*\n", "\n", library))
    assert len(loops) > 15
    for pragmas in loops:
        assert re.search(r"PIPELINE II=1 style=flp\s+#pragma HLS LOOP_TRIPCOUNT min=([\w:]+) max=\1\s", pragmas), (
            pragmas
        )


@pytest.mark.parametrize("text", ["library", "top"])
def test_of_the_standard_library_only_types_are_used(text: str, request: pytest.FixtureRequest) -> None:
    assert set(re.findall(r"std::\w+", request.getfixturevalue(text))) <= STANDARD


def test_a_port_is_asked_once_in_an_iteration(library: str) -> None:
    """Two questions and a read of a port are two accesses in an iteration, which may cost an interval of 2."""
    assert ".empty()" not in library
    assert library.count(".read_nb(") == 4  # the two convolutions, the engine's weights and its constants


def test_tables_are_plain_integers_where_they_are_exact() -> None:
    text = '#include "bireal/common.hpp"\n' + "".join(
        f'static_assert(std::is_integral<bireal::Entry<{bits}>>::value == {str(plain).lower()}, "");\n'
        f'static_assert(sizeof(bireal::Entry<{bits}>) == {-(-bits // 8)} || !{str(plain).lower()}, "");\n'
        for bits, plain in {8: True, 16: True, 32: True, 64: True, 7: False, 9: False, 24: False, 63: False}.items()
    )
    command = ["g++", "-std=c++14", *SYNTHESISED, "-I", str(asset("hls/include")), "-fsyntax-only", "-x", "c++", "-"]
    assert subprocess.run(command, input=text, text=True, capture_output=True, check=False).stderr == ""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    "graph",
    [tiny(), mixed(9, 7, 3, 6, seed=35), two_streams(), place(tiny(16, 8, 3, 8), "sign2")],
    ids=["tiny", "all kinds", "two streams", "engine"],
)
def test_the_synthesised_path_gives_the_logits(graph: Graph, compiler: str, tmp_path: Path) -> None:
    """The top as synthesis sees it, under all warnings, behind the test bench as C simulation sees it."""
    project = built(graph, tmp_path)
    images = random_images(graph, 4)
    (tmp_path / "images.bin").write_bytes(images.tobytes())
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
    common = [compiler, "-std=c++14", "-O0", *warnings]
    plain = ["-DAP_INT_MAX_W=4096", "-isystem", str(headers())]
    subprocess.run([*common, *SYNTHESISED, "-c", f"{project}/top.cpp", "-o", tmp_path / "top.o"], check=True)
    subprocess.run([*common, *plain, f"{project}/tb.cpp", tmp_path / "top.o", "-o", tmp_path / "tb"], check=True)
    command = [tmp_path / "tb", tmp_path]
    subprocess.run(command, cwd=project, check=True, timeout=120, stdout=subprocess.DEVNULL)
    got = np.loadtxt(tmp_path / "computed.txt", int, ndmin=2)
    np.testing.assert_array_equal(got, run(graph, images).reshape(got.shape))


@clang
def test_nothing_is_recursive_or_called_through_a_pointer(tmp_path: Path) -> None:
    """Asked of the compiled text of a network with every kind of layer, before anything is inlined."""
    project = built(mixed(9, 7, 3, 6, seed=35), tmp_path)
    command = [str(CLANG), "-std=c++14", "-O0", *SYNTHESISED, "-Wno-unknown-pragmas", "-S", "-emit-llvm"]
    subprocess.run([*command, f"{project}/top.cpp", "-o", tmp_path / "top.ll"], check=True)
    calls: dict[str, set[str]] = {}
    for name, body in re.findall(
        r'^define [^@]*@"?([\w$.]+)"?\((.*?)^}', (tmp_path / "top.ll").read_text(), re.M | re.S
    ):
        if re.match(r"_ZN?K?\d*6bireal|_Z10bireal_top", name):
            assert not re.search(r"\b(call|invoke) [^@\n]*%\w+\(", body), f"{name} calls through a pointer"
            calls[name] = set(re.findall(r'\b(?:call|invoke) [^@\n]*@"?([\w$.]+)"?\(', body))
    assert len(calls) > 60

    def reached(name: str, path: tuple[str, ...] = ()) -> None:
        assert name not in path, f"{name} calls itself"
        for other in calls.get(name, ()):
            reached(other, (*path, name))

    for name in calls:
        reached(name)
