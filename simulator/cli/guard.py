"""From exceptions to one line and an exit code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from simulator.errors import InputError, SimulatorError

P = ParamSpec("P")

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
MOST_ERRORS = 20
"""Errors of one input that are told."""


def guarded(verb: Callable[P, None]) -> Callable[P, None]:
    """Return the verb with errors on purpose turned into ``error: ...`` on stderr and an exit code.

    Anything else is a fault of ours and keeps its traceback.
    """

    @functools.wraps(verb)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            verb(*args, **kwargs)
            sys.stdout.flush()  # here, so that a closed pipe is met where click can be quiet about it
        except InputError as error:
            for one in error.each[:MOST_ERRORS]:
                _tell(one)
            if more := len(error.each[MOST_ERRORS:]):
                print(f"and {more} more errors", file=sys.stderr)
            raise typer.Exit(WRONG_INPUT) from None
        except SimulatorError as error:
            _tell(error)
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt as interrupt:
            print(str(interrupt) or "interrupted; nothing was kept", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    return wrapped


def _tell(error: SimulatorError) -> None:
    notes = getattr(error, "__notes__", [])
    where = f" ({'; '.join(notes)})" if notes else ""
    print(f"error: {' '.join(str(error).split())}{where}", file=sys.stderr)
