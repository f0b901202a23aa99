import json
import os
import re
import signal
from pathlib import Path

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.files import content_hash, read_json
from bireal_hw.run.rundir import RunDir


@pytest.fixture
def run(workdir: Path) -> RunDir:
    folder = RunDir(workdir / "build" / "one")
    folder.path.mkdir(parents=True)
    return folder


def write(run: RunDir, text: str, *outputs: str) -> None:
    with run.publish("step", list(outputs), {"record": text}) as stage:
        for output in outputs:
            (stage / output).parent.mkdir(parents=True, exist_ok=True)
            (stage / output).write_text(text)


def test_files_appear_with_their_entry(run: RunDir) -> None:
    write(run, "a", "x.json", "board/y.json")
    assert (run.path / "x.json").read_text() == "a"
    assert (run.path / "board/y.json").read_text() == "a"
    assert run.ledger()["steps"] == {"step": {"record": "a"}}
    assert sorted(path.name for path in run.path.iterdir()) == ["board", "steps.json", "x.json"]


def test_a_folder_is_replaced_whole(run: RunDir) -> None:
    write(run, "a", "rtl/old.sv")
    for text in ("b", "c"):
        with run.publish("step", ["rtl"], {}) as stage:
            (stage / "rtl").mkdir()
            (stage / "rtl" / f"{text}.sv").write_text(text)
    assert [path.name for path in (run.path / "rtl").iterdir()] == ["c.sv"]


def test_an_output_that_is_not_made_again_goes(run: RunDir) -> None:
    write(run, "a", "sim.json", "waves.fst")
    with run.publish("step", ["sim.json", "waves.fst"], {}) as stage:
        (stage / "sim.json").write_text("b")
    assert (run.path / "sim.json").read_text() == "b"
    assert not (run.path / "waves.fst").exists()


@pytest.mark.parametrize("problem", [BirealError("no"), KeyboardInterrupt(), RuntimeError("bug")])
def test_a_step_that_fails_leaves_everything_as_it_was(run: RunDir, problem: BaseException) -> None:
    write(run, "a", "x.json")

    def fail() -> None:
        with run.publish("step", ["x.json"], {"record": "b"}) as stage:
            (stage / "x.json").write_text("half")
            raise problem

    with pytest.raises(type(problem)):
        fail()
    assert (run.path / "x.json").read_text() == "a"
    assert run.ledger()["steps"] == {"step": {"record": "a"}}
    assert sorted(path.name for path in run.path.iterdir()) == ["steps.json", "x.json"]


def test_ctrl_c_waits_while_files_are_exchanged(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    write(run, "a", "x.json", "y.json")
    rename = RunDir._replace

    def press_and_rename(self: RunDir, stage: Path, output: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        rename(self, stage, output)

    monkeypatch.setattr(RunDir, "_replace", press_and_rename)
    with pytest.raises(KeyboardInterrupt):
        write(run, "b", "x.json", "y.json")
    assert (run.path / "x.json").read_text() == (run.path / "y.json").read_text() == "b"
    assert run.ledger()["steps"] == {"step": {"record": "b"}}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_processes_cannot_hold_one_run(run: RunDir) -> None:
    with run.locked():
        expected = "run 'one' is in use by another process: wait for it, or choose another run=NAME"
        with pytest.raises(BirealError, match=re.escape(expected)), RunDir(run.path).locked():
            pass
    with run.locked():
        pass


def test_the_lock_removes_what_a_killed_process_left(run: RunDir) -> None:
    (run.path / ".stage-abc").mkdir()
    (run.path / ".stage-abc" / "half.json").write_text("x")
    (run.path / ".stage-steps.json").write_text("x")
    write(run, "a", "x.json")
    with run.locked():
        assert sorted(path.name for path in run.path.iterdir()) == [".lock", "steps.json", "x.json"]
    assert sorted(path.name for path in run.path.iterdir()) == ["steps.json", "x.json"]


def test_an_empty_run_leaves_no_folder(workdir: Path) -> None:
    folder = RunDir(workdir / "build" / "empty")
    with folder.locked():
        pass
    assert not folder.path.exists()


def test_a_build_folder_that_cannot_be_written(workdir: Path) -> None:
    Path("build").write_text("a file, where the folder should be")
    with (
        pytest.raises(BirealError, match=r"^cannot write to build/one: build is a file, not a folder$"),
        RunDir(Path("build/one")).locked(),
    ):
        pass


BROKEN = {
    "": "not JSON (Expecting value: line 1 column 1 (char 0))",
    '{"values": {}, "st': "not JSON (Unterminated string starting at: line 1 column 16 (char 15))",
    "[1]": None,
    '{"values": {}}': None,
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_ledger(run: RunDir, text: str) -> None:
    path = run.path / "steps.json"
    path.write_text(text)
    remedy = f"remove the folder {run.path}, or choose another run=NAME"
    expected = {
        "[1]": f"{path} is no JSON object: it is not a file of bireal-hw; {remedy}",
        '{"values": {}}': f"{path} lacks 'steps': it is not a file of bireal-hw; {remedy}",
    }.get(text, f"{path} cannot be read: {BROKEN[text]}; {remedy}")
    with pytest.raises(BirealError, match=f"^{re.escape(expected)}$"):
        run.ledger()


def test_a_ledger_of_the_wrong_types(run: RunDir) -> None:
    (run.path / "steps.json").write_text('{"values": [], "steps": {}}')
    with pytest.raises(
        BirealError, match=r"is broken: 'values' is not an object; remove the folder \S+, or choose another"
    ):
        run.ledger()


def test_json_that_is_no_text(workdir: Path) -> None:
    Path("x.json").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BirealError, match=r"^x.json cannot be read: not JSON \(.+\); remove it to make it again$"):
        read_json(Path("x.json"))


def test_a_hash_depends_on_names_and_contents_only(workdir: Path) -> None:
    def folder(name: str, files: dict[str, str]) -> str:
        for file, text in files.items():
            path = workdir / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return content_hash(workdir / name)

    first = folder("a", {"x": "1", "sub/y": "2"})
    os.utime(workdir / "a" / "x", (0, 0))
    assert first == content_hash(workdir / "a") == folder("b", {"sub/y": "2", "x": "1"})
    assert first == folder("c", {"x": "1", "sub/y": "2", "__pycache__/z.pyc": "3"})
    assert len({first, folder("d", {"x": "1", "sub/z": "2"}), folder("e", {"x": "1", "sub/y": "3"})}) == 3
    assert content_hash(workdir / "nothing") == ""


def test_the_ledger_is_readable(run: RunDir) -> None:
    write(run, "a", "x.json")
    assert json.loads((run.path / "steps.json").read_text()) == {"values": {}, "steps": {"step": {"record": "a"}}}
