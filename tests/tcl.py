"""Runs a generated Tcl script with the tools' commands replaced by ones that note their words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_END, _BETWEEN = "\x1e", "\x1f"
_TKINTER = """
import os, sys, tkinter
tcl = tkinter.Tcl()
tcl.createcommand("exit", lambda status: os._exit(int(status)))  # tkinter has removed Tcl's own
tcl.eval("source {" + sys.argv[1] + "}")
"""
_FRAME = """
rename exit leave
proc exit {{{{status 0}}}} {{ set ::status $status; error exit }}
proc note {{name words}} {{ puts -nonewline $::calls [join [list $name {{*}}$words] {between}]{end} }}
foreach name {{{names}}} {{ proc $name args [format {{note %s $args}} $name] }}
{stubs}
set file [open {{{script}}}]
set whole [info complete [read $file]]
close $file
set status 9
set calls [open {{{calls}}} w]
if {{$whole && [catch {{source {{{script}}}}} message] && $message ne "exit"}} {{ puts stderr $message; set status 1 }}
close $calls
leave $status
"""


@dataclass(frozen=True)
class Run:
    """What a script did.

    Attributes:
        calls: of the tools' commands, each with its words.
        status: 1 after an error, 9 if braces or quotes are open at the end of the script.
        errors: what went to the error channel.
    """

    calls: list[tuple[str, ...]]
    status: int
    errors: str

    def words(self, name: str) -> list[tuple[str, ...]]:
        """The words of every call of a command."""
        return [call[1:] for call in self.calls if call[0] == name]


def run_tcl(script: Path, names: tuple[str, ...], stubs: str = "", **environment: str) -> Run:
    """Source a script in a Tcl interpreter: tclsh, or Python's tkinter.

    Args:
        script: the file.
        names: commands that only note their words.
        stubs: Tcl that defines further commands; `note NAME {WORDS}` notes a call.
        environment: variables that the script sees.
    """
    calls, frame = script.parent / "calls.txt", script.parent / "frame.tcl"
    text = {"names": " ".join(names), "stubs": stubs, "script": script, "calls": calls}
    frame.write_text(_FRAME.format(between="\\x1f", end="\\x1e", **text))
    if tclsh := shutil.which("tclsh"):
        command = [tclsh, str(frame)]
    else:
        pytest.importorskip("tkinter", reason="a Tcl interpreter is wanted: tclsh, or Python's tkinter")
        command = [sys.executable, "-c", _TKINTER, str(frame)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    noted = calls.read_text().split(_END)[:-1] if calls.exists() else []
    return Run([tuple(call.split(_BETWEEN)) for call in noted], done.returncode, done.stderr.strip())
