"""The progress of a study: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from simulator.cli.screen import COMPILING, note

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from simulator.experiments.compare import Progress

_WORDS = {
    "discarding": "starting again: an interrupted study in the same place is discarded (--resume would have kept it)",
    "compiling": COMPILING,
    "writing": "writing tables, figures and report",
}

LINE_EVERY_S = 10.0
"""Distance of progress lines where there is no terminal."""


class Display(Protocol):
    """Takes the progress of a study."""

    def update(self, progress: Progress) -> None:
        """Show where the study stands."""
        ...


@contextlib.contextmanager
def shown() -> Iterator[Display]:
    """Return the display that fits stderr, closed at the end."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("replications"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield OnTerminal(bar)


class OnTerminal:
    """A bar with the time left."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, left="")

    def update(self, progress: Progress) -> None:
        """Move the bar; say in words what is not a replication."""
        if progress.stage in _WORDS:
            self._bar.console.print(_WORDS[progress.stage], markup=False, highlight=False)
        if progress.total:
            self._bar.update(self._task, completed=progress.done, total=progress.total, left=_left(progress))


class Lines:
    """A line now and then."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self._is_begun = False

    def update(self, progress: Progress) -> None:
        """Print a line at the start, every ten seconds and at the end."""
        now = time.monotonic()
        if progress.stage in _WORDS:
            note(_WORDS[progress.stage])
            return
        if not self._is_begun:
            self._is_begun = True
            self._started = self._last = now
            resumed = f", {progress.resumed} of them finished before" if progress.resumed else ""
            note(f"{progress.total} replications of variants to do{resumed}")
        elif progress.done == progress.total or now - self._last >= LINE_EVERY_S:
            self._last = now
            left = _left(progress)
            spent = f"{now - self._started:.0f} s"
            note(f"{progress.done} of {progress.total} done, {spent}" + (f", {left}" if left else ""))


def _left(progress: Progress) -> str:
    """Return the time left in words; empty where there is none or nothing says."""
    return f"about {timedelta(seconds=round(progress.left_s))} left" if progress.left_s > 0.0 else ""
