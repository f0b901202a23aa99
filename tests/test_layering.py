"""Data flows one way; this test walks every import, those inside functions and `import_module("...")` too."""

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from bireal_hw import structure

PACKAGE = Path(__file__).parent.parent / "bireal_hw"

# Which parts of bireal_hw a part may import; everybody may use these.
COMMON = {"errors", "ending", "files", "schema", "toml", "tools", "__version__"}
ALLOWED = {
    "errors": set(),
    "ending": set(),
    "toml": set(),
    "assets": set(),
    "tools": set(),
    "doctor": set(),
    "structure": set(),
    "files": set(),
    "schema": set(),
    "boards": set(),
    "preprocess": set(),
    "models": set(),
    "training": {"models", "export", "preprocess"},  # a training ends with the accuracy of the deploy model
    "export": {"models", "ir", "ops", "lowering"},  # a random network comes with its graph
    "ir": set(),
    "engine": {"ir"},
    "ops": {"ir", "engine"},
    "lowering": {"ir", "ops", "golden"},  # which is held against the file
    "passes": {"ir", "ops", "engine"},
    "golden": {"ir", "ops"},
    "synth": {"rtl", "passes", "ir", "ops", "assets", "boards"},
    "analysis": {"synth", "rtl", "passes", "ir", "ops", "boards"},
    "picture": {"passes", "ir", "ops"},
    "rtl": {"ir", "ops", "passes", "assets"},
    "zynq": {"golden", "rtl", "sim", "passes", "ir", "ops", "assets"},
    "hls": {"zynq", "golden", "sim", "passes", "ir", "ops", "assets"},
    "crosscheck": {"golden", "passes", "ir", "ops"},
    "sim": {"golden", "rtl", "passes", "ir", "ops", "engine", "assets", "boards"},
    "zoo": set(),
    "results": {"analysis", "hls", "sim", "synth"},
    "run": {  # no step
        "assets",
        "boards",
        "ir",
        "lowering",
        "models",
        "passes",
        "preprocess",
        "results",
        "training",
        "zoo",
    },
    "report": {"run", "results", "analysis", "boards", "hls", "picture", "sim", "synth", "passes", "ir", "ops"},
}
EVERYTHING = {"steps", "bench", "commands", "api", "cli", "__main__", "__init__"}
TRAIN_ONLY = {"torch", "brevitas", "lightning", "kornia", "datasets", "sklearn", "torchmetrics", "torchvision"}
MAY_TRAIN = {"models", "training", "export"}
# `graph.load` must see every layer type registered, whatever else its caller imported; the package's face gives out
# the API when one of its names is first used, and everybody else takes the version from it.
EXCEPTIONS = {("ir/graph.py", "bireal_hw.ops"), ("__init__.py", "bireal_hw.api")}

FILES = sorted(PACKAGE.rglob("*.py"))


def imports(source: str) -> set[str]:
    """Return the dotted names a module imports, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                assert isinstance(node.args[0], ast.Constant), "the name of an imported module is written out"
                found.add(str(node.args[0].value))
    return found


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def violations(part: str, names: set[str]) -> set[str]:
    """Return the imports that a part may not have."""
    wrong = {name for name in names if name.split(".")[0] in TRAIN_ONLY and part not in MAY_TRAIN}
    if part not in EVERYTHING:
        allowed = ALLOWED[part] | COMMON | {part}
        ours = {name for name in names if name.split(".")[0] == "bireal_hw"}
        wrong |= {name for name in ours if [*name.split("."), ""][1] not in allowed}
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_data(path: Path) -> None:
    name = str(path.relative_to(PACKAGE))
    allowed = {module for file, module in EXCEPTIONS if file == name}
    assert violations(part_of(path), imports(path.read_text()) - allowed) == set()


def test_ir_needs_numpy_only() -> None:
    known = {"numpy", "bireal_hw", *sys.stdlib_module_names}
    for path in (PACKAGE / "ir").rglob("*.py"):
        assert {name.split(".")[0] for name in imports(path.read_text())} <= known, path


def test_every_part_has_a_rule() -> None:
    assert {part_of(path) for path in FILES} - EVERYTHING <= set(ALLOWED)


def test_every_exception_is_needed() -> None:
    for file, module in EXCEPTIONS:
        assert module in imports((PACKAGE / file).read_text())


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("golden", "import torch"),
        ("ir", "from bireal_hw.ops import Op"),
        ("rtl", "def f():\n    from bireal_hw.sim import network"),
        ("lowering", "import importlib\nimportlib.import_module('bireal_hw.export')"),
        ("steps", "import torch"),
    ],
)
def test_a_wrong_import_is_seen(part: str, source: str) -> None:
    assert violations(part, imports(source))


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def defining(name: str, modules: Iterable[str]) -> str | None:
    """Return the module that an imported name is, or is a member of."""
    parts = name.split(".")
    return next((module for end in (len(parts), len(parts) - 1) if (module := ".".join(parts[:end])) in modules), None)


def circles(reads: dict[str, set[str]]) -> list[list[str]]:
    """Return groups of modules that need each other, those that are in none left out (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(reads[name]):
            if other not in index:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == index[name]:
            group = [stack.pop()]
            while group[-1] != name:
                group.append(stack.pop())
            found.append(sorted(group))

    for name in sorted(reads):
        if name not in index:
            visit(name)
    return [group for group in found if len(group) > 1]


def test_no_circle_between_files() -> None:
    """Imports inside functions and for the type checker count too; those of EXCEPTIONS happen while a program runs."""
    modules = {module_of(path): path for path in FILES}
    reads: dict[str, set[str]] = {}
    for name, path in modules.items():
        names = imports(path.read_text())
        names -= {module for file, module in EXCEPTIONS if file == str(path.relative_to(PACKAGE))}
        reads[name] = {module for one in names if (module := defining(one, modules))} - {name}
    assert circles(reads) == []


def test_the_drawing_of_the_structure_is_of_these_imports() -> None:
    drawn = (PACKAGE.parent / "docs" / "img" / "structure.svg").read_text()
    assert structure.svg() == drawn, "make it again: python -m bireal_hw.structure docs/img/structure.svg"
    with pytest.raises(ValueError, match=r"^a circle: b <- c <- b$"):
        structure.rows({"a": {"b"}, "b": {"c"}, "c": {"b"}})


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert defining("a.b.name", ["a", "a.b", "a.c"]) == "a.b"
    assert defining("numpy.array", ["a"]) is None
