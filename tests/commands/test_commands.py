"""The commands with steps whose work is replaced by a few written bytes: order, staleness, refusals, interruptions."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bireal_hw import __version__, cli
from bireal_hw.commands.verbs import VERBS
from bireal_hw.errors import BirealError
from bireal_hw.models.networks import NETWORKS
from bireal_hw.results.lower import LowerFile
from bireal_hw.run.build import Build, Figures
from bireal_hw.run.engine import STEPS
from bireal_hw.schema import write
from bireal_hw.steps import import_file

pytestmark = pytest.mark.torch

RUN = Path("build/bireal18-digits")
MADE = {
    "train": ("checkpoint.ckpt", "train.json", "metrics.csv", "curves.png"),
    "export": ("model.onnx", "export.json"),
    "lower": ("graph.json", "graph.svg", "lower.json"),
    "fold": ("pynq-z2/folding.toml",),
    "rtl": ("pynq-z2/rtl/top.sv",),
    "sim": ("pynq-z2/sim.json",),
}
SIM: dict[str, object] = {
    "run": "bireal18-digits",
    "untrained": False,
    "board": "pynq-z2",
    "images": 4,
    "images_from": "random",
    "frames": 4,
    "runs": 2,
    "latency_cycles": 900,
    "seconds_build": 1.5,
    "seconds_run": 0.5,
    "mismatches": 0,
    "outputs_compared": 40,
    "first_mismatch": None,
    "cycles_per_frame": 576,
    "cycles_predicted": 576,
    "bottleneck": "conv1",
    "fifos": [
        {"name": name, "depth": 9, "highest_fill": fill}
        for name, fill in zip("abcdef", (9, 8, 9, 0, 9, 9), strict=True)
    ],
}


LOWERED = LowerFile(
    run="net", exact=True, images=8, tensors=5, saturated=0, zeros=0, largest=0, spread=1.5, rms=0, agreement=1,
    pixels="stored", moved=[],
)  # fmt: skip


class Bench:
    """Runs commands and remembers which steps did their work."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.worked: list[str] = []
        self.problems: dict[str, BaseException] = {}
        self.report = SIM

    def work(self, name: str) -> Callable[[Build, Path], Figures]:
        def work(build: Build, folder: Path) -> Figures:
            self.worked.append(name)
            if name in ("train", "export"):
                build.record_values()
            for made in MADE[name]:
                (folder / made).parent.mkdir(parents=True, exist_ok=True)
                sources = [build.path / read for read in STEPS[name].paths(build, STEPS[name].reads)]
                texts = [source.read_text() for source in sources if source.is_file()]
                (folder / made).write_text(f"{name}({','.join(texts)}) {build.values['width']}")
                if made == LowerFile.file:
                    write(folder / made, LOWERED)
                if made.endswith("sim.json"):
                    (folder / made).write_text(json.dumps(self.report))
                if name in self.problems:
                    raise self.problems[name]
            return {"files": str(len(MADE[name]))}

        return work

    def __call__(self, line: str, status: int = 0) -> str:
        """Run a command, check its exit status, and return what it said: stderr if it failed."""
        self.worked.clear()
        assert cli.run(line.split()) == status
        out, err = self.capsys.readouterr()
        assert err.count("\n") == (1 if status else 0), err
        return err.strip() if status else out


@pytest.fixture
def run(workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    bench = Bench(capsys)
    for name in MADE:
        monkeypatch.setitem(
            STEPS, name, dataclasses.replace(STEPS[name], work=bench.work(name), check=lambda build: None)
        )
    monkeypatch.setattr(import_file, "lower", lambda path, options: None)  # an import tries its file before it takes it
    monkeypatch.setattr(import_file, "copy", shutil.copyfile)
    return bench


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_verb_runs_what_it_needs_and_no_more(run: Bench) -> None:
    out = run("rtl")
    assert run.worked == ["train", "export", "lower", "fold", "rtl"]
    assert all(f"build/bireal18-digits/{name}" in out for name in ("checkpoint.ckpt", "model.onnx", "graph.json"))
    out = run("sim")
    assert run.worked == ["sim"]
    assert out.count("up to date") == 5


def test_the_verb_itself_always_runs_but_training_never_again(run: Bench) -> None:
    run("lower")
    run("lower")
    assert run.worked == ["lower"]
    run("train")
    assert run.worked == []


def test_a_changed_source_makes_the_next_step_run(run: Bench) -> None:
    run("sim")
    (RUN / "graph.json").write_text("changed")
    run("sim")
    assert run.worked == ["fold", "rtl", "sim"]
    (RUN / "checkpoint.ckpt").write_text("changed")
    run("sim")
    assert run.worked == ["export", "lower", "fold", "rtl", "sim"]


def test_a_new_date_alone_changes_nothing(run: Bench) -> None:
    run("rtl")
    (RUN / "checkpoint.ckpt").touch()
    (RUN / "graph.json").touch()
    run("sim")
    assert run.worked == ["sim"]


def test_a_missing_output_is_made_again(run: Bench) -> None:
    run("rtl")
    (RUN / "model.onnx").unlink()
    run("rtl")
    assert run.worked == ["export", "rtl"]  # the file came out as it was, so the graph made from it still holds


def test_settings_of_a_step_count(run: Bench) -> None:
    run("sim")
    run("sim target_fps=500")
    assert run.worked == ["fold", "sim"]  # the folding came out as it was, so the hardware made from it still holds
    run("sim target_fps=500 images=9")
    assert run.worked == ["sim"]


def test_a_changed_program_counts(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run("sim")
    monkeypatch.setattr("bireal_hw.run.provenance.parts", lambda module: {"ops": "another version"})
    run("sim")
    assert run.worked == ["export", "lower", "fold", "rtl", "sim"]


def test_boards_are_built_beside_each_other(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run("rtl")
    monkeypatch.setitem(MADE, "fold", ("kv260/folding.toml",))
    monkeypatch.setitem(MADE, "rtl", ("kv260/rtl/top.sv",))
    run("rtl board=kv260")
    assert run.worked == ["fold", "rtl"]
    assert (RUN / "pynq-z2/rtl/top.sv").exists()
    assert (RUN / "kv260/rtl/top.sv").exists()


def test_values_not_given_are_read_from_the_run(run: Bench) -> None:
    run("export width=0.5 run=mine seed=3")
    run("lower run=mine")
    assert json.loads(Path("build/mine/steps.json").read_text())["values"]["width"] == 0.5
    assert (Path("build/mine") / "graph.json").read_text().endswith(" 0.5")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("width=0.5", "width=0.25, not width=0.5"),
        ("image=48x64", "image=16x16, not image=48x64"),
        ("shortcut_bits=8", "shortcut_bits=16, not shortcut_bits=8"),
        ("seed=1", "seed=0, not seed=1"),
        ("untrained=1", "untrained=0, not untrained=1"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "sim"])
def test_a_contradiction_stops(run: Bench, verb: str, given: str, text: str) -> None:
    run("train")
    before = contents(RUN)
    assert run(f"{verb} {given}", status=1) == (
        f"error: run 'bireal18-digits' has {text}: choose another run=NAME, "
        f"for example run=bireal18-digits-{given.replace('=', '')}"
    )
    assert run.worked == []
    assert contents(RUN) == before


@pytest.mark.parametrize(
    ("first", "second"),
    [("epochs=7", "epochs=3"), ("batch=16", "batch=32"), ("learning_rate=0.01", "learning_rate=0.02"),
     ("label=a", "label=b"), ("image_column=a", "image_column=b")],
)  # fmt: skip
def test_how_it_is_trained_is_fixed_too(run: Bench, first: str, second: str) -> None:
    run(f"train {first}")
    run(f"sim {first}")
    assert run(f"train {second}", status=1) == (
        f"error: run 'bireal18-digits' has {first}, not {second}: choose another run=NAME, "
        f"for example run=bireal18-digits-{second.replace('=', '')}"
    )


RECIPE = """
epochs = 2

[[stage]]
name = "binary"
learning_rate = 0.006
"""


@pytest.mark.parametrize(
    ("edited", "text"),
    [
        (RECIPE.replace("0.006", "0.007"), "binary.learning_rate=0.006, mine.toml now has binary.learning_rate=0.007"),
        (RECIPE.replace("epochs = 2", "epochs = 3"), "epochs=2, mine.toml now has epochs=3"),
        (RECIPE.replace("binary", "last"), "binary.name=binary, mine.toml now has no binary.name"),
        (RECIPE + '[[stage]]\nname = "more"', "no more.name, mine.toml now has more.name=more"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "sim"])
def test_a_recipe_file_that_was_edited_stops(run: Bench, verb: str, edited: str, text: str) -> None:
    Path("mine.toml").write_text(RECIPE)
    run("train recipe=mine.toml")
    Path("mine.toml").write_text(f"# a remark\n{RECIPE}")
    run(f"{verb} recipe=mine.toml")
    Path("mine.toml").write_text(edited)
    run.worked.clear()
    assert run(f"{verb} recipe=mine.toml", status=1) == (
        f"error: run 'bireal18-digits' was trained with {text}: choose another run=NAME"
    )
    assert run.worked == []
    run(verb)  # whoever does not name the file goes on with the network that is there
    ledger = json.loads((RUN / "steps.json").read_text())
    del ledger["steps"]["train"]["record"]["settings"]["binary.flips"]  # as an earlier version wrote it
    (RUN / "steps.json").write_text(json.dumps(ledger))
    Path("mine.toml").write_text(RECIPE)
    run(f"{verb} recipe=mine.toml")
    Path("mine.toml").unlink()
    run(verb)


def test_numbers_of_a_recipe_file_that_do_not_count_are_told(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise BirealError("enough")

    monkeypatch.setattr("bireal_hw.training.fit.train", stop)
    Path("mine.toml").write_text(RECIPE + "weight_decay = 0.1")
    hint = "hint: {} is that of data set 'digits', not the {} of the recipe: {}= wins\n"
    epochs, batch = hint.format("epochs=30", 2, "epochs"), hint.format("batch=64", 128, "batch")
    for words, told in (("", [epochs, batch]), ("epochs=5", [batch]), ("batch=32 epochs=30", [])):
        assert cli.run(["train", "recipe=mine.toml", *words.split()]) == 1
        out = capsys.readouterr().out
        assert [one for one in (epochs, batch) if one in out] == told
    assert cli.run(["train"]) == 1  # nobody expects the numbers of a shipped recipe
    assert "of the recipe" not in capsys.readouterr().out


def test_an_image_that_cannot_become_hardware_leaves_nothing(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("train run=big image=1024", "export run=big untrained=1 classes=10 image=544x960"):
        assert cli.run(words.split()) == 1
        assert capsys.readouterr().err.startswith("error: image=")
        assert not Path("build/big").exists()
    for words in ("batch=1", "batch=x", "learning_rate=0", "learning_rate=nan", "learning_rate=11"):
        assert cli.run(["train", words]) == 1
        assert capsys.readouterr().err.startswith(f"error: {words} is out of range: ")


def test_the_same_values_again_are_no_contradiction(run: Bench) -> None:
    run("train width=0.5 image=32")
    run("train image=32x32 model=bireal18 width=0.50")
    assert run.worked == []


def test_a_training_that_left_nothing_binds_nobody(run: Bench) -> None:
    run.problems["train"] = BirealError("no images")
    assert run("train width=0.5", status=1) == "error: no images"
    run.problems.clear()
    run("train width=1")
    assert json.loads((RUN / "steps.json").read_text())["values"]["width"] == 1


def test_untrained_networks_need_no_training(run: Bench) -> None:
    out = run("sim untrained=1 width=0.125")
    assert run.worked == ["export", "lower", "fold", "rtl", "sim"]
    assert "untrained: random weights" in out
    assert "untrained: random weights" in run("lower")
    assert run("train", status=1) == (
        "error: run 'bireal18-digits' has random weights, so there is nothing to train: choose another run=NAME"
    )


def test_untrained_does_not_go_with_everything(run: Bench) -> None:
    assert run("export untrained=1 epochs=3", status=1) == (
        "error: epochs=3 does not go with untrained=1: nothing is trained"
    )
    assert run("export untrained=1 dataset=folder", status=1) == (
        "error: classes= is needed: untrained=1 reads no data set, so 'folder' cannot bring its own"
    )
    assert not (RUN / "model.onnx").exists()


def test_a_folding_stays_as_it_was_asked_for(run: Bench) -> None:
    run("rtl target_fps=3000 clock=150")
    run("sim")
    assert run.worked == ["sim"]
    run("sim clock=200")
    assert run.worked == ["fold", "rtl", "sim"]
    assert settings("fold")["target_fps"] == 3000
    run("sim target_fps=4000")
    assert settings("fold") == {"clock": 200, "target_fps": 4000, "folding": None, "content": None}
    Path("mine.toml").write_text("# one")
    run("sim folding=mine.toml")
    assert (settings("fold")["target_fps"], settings("fold")["folding"]) == (None, "mine.toml")
    run("sim")
    assert run.worked == ["sim"]
    Path("mine.toml").write_text("# two")
    run("sim")
    assert run.worked == ["fold", "sim"]  # what comes out of the replaced step is the same again


def settings(step: str) -> dict[str, object]:
    ledger: dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]] = json.loads((RUN / "steps.json").read_text())
    return ledger["steps"][f"pynq-z2/{step}"]["record"]["settings"]


@pytest.mark.parametrize("verb", ["export", "sim", "fold", "report", "zoo", "hls", "synth", "crosscheck"])
def test_a_name_alone_is_that_of_a_run_that_exists(run: Bench, verb: str) -> None:
    assert run(f"{verb} run=other", status=1) == ("error: run 'other' does not exist: make train run=other starts it")
    run("train")
    run.worked.clear()
    assert run(f"{verb} run=bireal18-digts", status=1) == (
        "error: run 'bireal18-digts' does not exist: did you mean 'bireal18-digits'? "
        "make train run=bireal18-digts starts it"
    )
    assert run(f"{verb} run=q", status=1) == (
        "error: run 'q' does not exist: there are bireal18-digits; make train run=q starts it"
    )
    assert [path.name for path in Path("build").iterdir() if path.name != "crosscheck"] == ["bireal18-digits"]
    assert run.worked == []


@pytest.mark.parametrize("words", ["", "run=new untrained=1", "model=bireal34"])
def test_a_report_starts_no_run(run: Bench, words: str) -> None:
    assert "does not exist" in run(f"report {words}", status=1)
    assert run.worked == []
    assert not Path("build").exists() or not list(Path("build").iterdir())


def test_what_says_more_than_a_name_starts_a_run(run: Bench) -> None:
    run("sim run=bireal18-digit5 seed=5")
    assert run.worked[0] == "train"
    run("train run=bireal18-digits2")
    assert run.worked == ["train"]


def test_the_board_stays_as_it_was(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def on(board: str, line: str) -> list[str]:
        monkeypatch.setitem(MADE, "fold", (f"{board}/folding.toml",))
        monkeypatch.setitem(MADE, "rtl", (f"{board}/rtl/top.sv",))
        out = run(line)
        assert f"run bireal18-digits, {board}" in out
        return run.worked

    on("kv260", "rtl board=kv260")
    assert on("kv260", "fold clock=150") == ["fold"]  # not of the default board
    assert not (RUN / "pynq-z2").exists()
    on("pynq-z2", "rtl board=pynq-z2")
    assert on("pynq-z2", "fold") == ["fold"]
    on("kv260", "fold board=kv260")
    assert on("kv260", "rtl") == ["rtl"]
    ledger = json.loads((RUN / "steps.json").read_text())
    assert ledger["steps"]["kv260/fold"]["record"]["settings"]["clock"] == 150
    assert ledger["steps"]["pynq-z2/fold"]["record"]["settings"]["clock"] is None


def test_random_weights_for_large_images_are_a_run_of_their_own(run: Bench) -> None:
    run("export")
    run("export untrained=1 image=224")
    values = json.loads(Path("build/bireal18-folder/steps.json").read_text())["values"]
    assert [values[key] for key in ("width", "image", "channels", "classes")] == [1.0, [224, 224], 3, 1000]


def test_a_file_starts_a_run_of_its_own(run: Bench) -> None:
    Path("net.onnx").write_text("one")
    run("rtl net.onnx")
    assert run.worked == ["lower", "fold", "rtl"]
    assert Path("build/net/model.onnx").read_text() == "one"
    run("rtl net.onnx")
    assert run.worked == ["rtl"]
    Path("net.onnx").write_text("two")
    run("rtl net.onnx")
    assert run.worked == ["lower", "fold", "rtl"]
    Path("net.onnx").unlink()
    run("sim run=net")
    assert run.worked == ["sim"]


def test_the_file_of_a_run_is_that_run(run: Bench) -> None:
    run("export")
    run(f"lower {RUN / 'model.onnx'}")
    assert run.worked == ["lower"]
    assert (RUN / "graph.json").exists()


def test_files_that_do_not_fit(run: Bench) -> None:
    Path("net.onnx").write_text("one")
    assert run("lower other.onnx", status=1) == "error: other.onnx does not exist: did you mean 'net.onnx'?"
    assert run("lower net.onnx width=0.5", status=1) == (
        "error: width=0.5 does not go with net.onnx: the file brings its network"
    )
    assert run("train net.onnx", status=2) == (
        "error: train takes no file: it starts before net.onnx; the verbs after export take one"
    )
    run("lower net.onnx")
    assert run("sim run=net width=0.5", status=1) == (
        "error: width=0.5 does not go with net.onnx: the file brings its network"
    )
    assert run("export run=net", status=1) == (
        "error: run 'net' was imported from net.onnx, so there is nothing to export: choose another run=NAME"
    )
    run("export")
    assert run("lower net.onnx run=bireal18-digits", status=1) == (
        "error: run 'bireal18-digits' has a network of its own, not net.onnx: choose another run=NAME"
    )
    Path("my net.onnx").write_text("one")
    assert cli.run(["lower", "my net.onnx"]) == 1
    assert run.capsys.readouterr().err == (
        "error: run=my net is out of range: letters, digits, '_', '-' and '.', at most 100, the first no '-' or '.'\n"
    )


@pytest.mark.parametrize("verb", MADE)
def test_what_breaks_a_step_off_leaves_earlier_results(run: Bench, verb: str) -> None:
    run("sim")
    if verb == "train":
        (RUN / "checkpoint.ckpt").unlink()
    before = contents(RUN)
    run.problems[verb] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        cli.run([verb])
    assert contents(RUN) == before


@pytest.mark.parametrize("verb", MADE)
def test_an_error_in_a_step_leaves_earlier_results(run: Bench, verb: str) -> None:
    run.problems[verb] = BirealError("layer 3:\n  too wide")
    assert run("sim", status=1) == "error: layer 3: too wide"
    finished = list(MADE)[: list(MADE).index(verb)]
    assert run.worked == [*finished, verb]
    assert {name for step in finished for name in MADE[step]} | {"steps.json"} >= set(contents(RUN))
    run.problems.clear()
    run("sim")
    assert run.worked == list(MADE)[len(finished) :]


def test_an_unexpected_error_is_not_hidden(run: Bench) -> None:
    run.problems["lower"] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        cli.run(["lower"])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "; FIFOs that were full: a, c, e and 1 more"),
        ({"fifos": []}, ""),
        ({"fifos": [{"name": "b", "depth": 9, "highest_fill": 9}]}, "; FIFOs that were full: b"),
    ],
)
@pytest.mark.parametrize("cycles", [575, 605])
def test_other_cycles_than_predicted_fail_and_the_figures_stay(
    run: Bench, cycles: int, change: dict[str, object], line: str
) -> None:
    run.report = SIM | {"cycles_per_frame": cycles} | change
    slow = f"error: {cycles} cycles per frame, 576 predicted; the slowest part is conv1"
    assert run("sim", status=1) == slow + line
    assert json.loads((RUN / "pynq-z2/sim.json").read_text())["cycles_per_frame"] == cycles
    run.report = SIM | {"cycles_per_frame": None}  # not measured: nothing is claimed
    run("sim")


def test_a_mismatch_fails_and_names_the_place(run: Bench) -> None:
    run.report = SIM | {
        "mismatches": 2,
        "first_mismatch": {"layer": "conv1", "index": [0, 1, 2, 3], "want": 4, "got": 5},
    }
    assert run("sim", status=1) == (
        "error: 2 of 40 outputs differ from the golden model; first: layer conv1 at [0, 1, 2, 3]: wanted 4, got 5"
    )
    assert json.loads((RUN / "pynq-z2/sim.json").read_text())["mismatches"] == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"values": {}}', '{"values": {"model": "bireal18"}, "steps": {}}'])
def test_a_broken_ledger_stops(run: Bench, text: str) -> None:
    run("export")
    (RUN / "steps.json").write_text(text)
    before = contents(RUN)
    assert run("lower", status=1).startswith("error: build/bireal18-digits/steps.json ")
    assert contents(RUN) == before


def test_an_unwritable_build_folder(run: Bench) -> None:
    Path("build").write_text("")
    assert run("train", status=1) == "error: cannot write to build/bireal18-digits: build is a file, not a folder"


def test_wrong_command_lines(run: Bench) -> None:
    assert (
        run("trian", status=2)
        == f"error: unknown command 'trian': did you mean 'train'? choose from {', '.join(VERBS)}"
    )
    assert run("train --modle=bireal18", status=2).startswith("error: unknown variable 'modle': did you mean 'model'?")
    assert run("train bireal18", status=2) == (
        "error: 'bireal18' is not understood: write key=value, for example model=bireal18"
    )
    assert run("train dataset=cifra10", status=1) == (
        "error: unknown data set 'cifra10': did you mean 'cifar10'? "
        "choose from digits, cifar10, mnist, folder, rooms, nyu, owner/name on the Hugging Face hub"
    )
    assert run("train digit", status=2) == (
        "error: 'digit' is not understood: write key=value, for example dataset=digits"
    )
    assert run("info bireal19", status=1) == (
        f"error: unknown model 'bireal19': did you mean 'bireal18'? choose from {', '.join(NETWORKS)}"
    )
    assert run("info epochs=3", status=2) == (
        "error: info does not use epochs=3: it takes model, width, image, classes, channels, shortcut_bits, config"
    )
    assert run("train board=kv260", status=2).startswith("error: train does not use board=kv260: it takes model, ")
    assert run("sim cosim=1", status=2).startswith("error: sim does not use cosim=1: it takes a file, model, ")
    assert run("info net.onnx", status=2) == (
        "error: info is about a model by its name: bireal-hw check net.onnx lists the nodes of a file"
    )
    for name in ("net.md", "my.network.h5"):
        assert run(f"sim {name}", status=2) == (
            f"error: '{name}' is no QONNX file: sim takes one whose name ends in .onnx"
        )
    assert run("--vrsion", status=2) == (
        "error: No such option: --vrsion (Possible options: --version): bireal-hw --help lists commands and options"
    )
    assert run("--run=mine train", status=2) == (
        "error: No such option: --run: bireal-hw --help lists commands and options"
    )
    assert run("train -x", status=2) == "error: '-x' is not understood: write key=value, for example model=bireal18"
    assert not Path("build").exists() or not list(Path("build").iterdir())


def test_version_and_help_at_every_level(run: Bench) -> None:
    assert run("--version") == run("-V") == f"bireal-hw {__version__}\n"
    assert run("-h") == run("--help") == run("")
    for verb in VERBS:
        assert run(f"{verb} -h") == run(f"{verb} --help")
        assert "Usage" in run(f"{verb} model=bireal18 -h")


def test_completion(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    with pytest.raises(SystemExit):
        cli.run(["--show-completion", "bash"])
    assert "complete_bash" in run.capsys.readouterr().out
    monkeypatch.setenv("_BIREAL_HW_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("COMP_WORDS", "bireal-hw s")
    with pytest.raises(SystemExit):
        cli.run([])
    assert run.capsys.readouterr().out.split() == ["sim", "synth", "study"]


def test_options_may_be_written_with_dashes(run: Bench) -> None:
    run("train --width 0.5 --seed=3")
    values = json.loads((RUN / "steps.json").read_text())["values"]
    assert (values["width"], values["seed"]) == (0.5, 3)


def test_info_prints_the_published_counts(run: Bench) -> None:
    out = run("info bireal18")
    assert "10,985,472 binary, 704,040 real; memory 33.51 Mbit instead of 374.1" in out
    assert "1,676,279,808 binary, 137,793,536 real; 1.64e+08 operations (64 binary = 1), 11.06 times fewer" in out


def test_help_names_every_command_and_variable(run: Bench) -> None:
    assert all(f" {name} " in run("--help") for name in VERBS)
    text = run("train --help")
    assert all(f"{name}=" in text for name in ("model", "epochs", "shortcut_bits", "config"))
    assert not any(f"{name}=" in text for name in ("target_fps", "board", "waves", "seeds", "cosim"))
    assert "target_fps=" in run("rtl --help")
    assert "run=" in run("zoo --help")
    assert "classes=" in run("info --help")
    assert not any("epochs=" in run(f"{verb} --help") for verb in ("zoo", "info", "bench"))
