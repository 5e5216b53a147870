"""The command line: one file per verb, nothing heavy loaded before a verb needs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong input, 130 interrupted."""
    from simulator.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows "?", not a traceback
    app(prog_name="simulator")
