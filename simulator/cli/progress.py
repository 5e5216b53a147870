"""The progress of a study: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from simulator.cli.screen import note

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from simulator.experiments.compare import Progress

_WORDS = {
    "discarding": "starting again: an interrupted study in the same place is discarded (--resume would have kept it)",
    "compiling": "compiling kernels (first run only)",
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
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("replications"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield OnTerminal(bar)


class OnTerminal:
    """A bar with the time left."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None)

    def update(self, progress: Progress) -> None:
        """Move the bar; say in words what is not a replication."""
        if progress.stage in _WORDS:
            self._bar.console.print(_WORDS[progress.stage], markup=False, highlight=False)
        if progress.total:
            self._bar.update(self._task, completed=progress.done, total=progress.total)


class Lines:
    """A line now and then."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self._first_done: int | None = None

    def update(self, progress: Progress) -> None:
        """Print a line at the start, every ten seconds and at the end."""
        now = time.monotonic()
        if progress.stage in _WORDS:
            note(_WORDS[progress.stage])
            return
        if self._first_done is None:
            self._first_done = progress.done
            self._started = self._last = now
            resumed = f", {progress.resumed} of them finished before" if progress.resumed else ""
            note(f"{progress.total} replications of variants to do{resumed}")
        elif progress.done == progress.total or now - self._last >= LINE_EVERY_S:
            self._last = now
            note(f"{progress.done} of {progress.total} done, {self._left(progress, now)}")

    def _left(self, progress: Progress, now: float) -> str:
        spent = now - self._started
        new = progress.done - (self._first_done or 0)
        if progress.done == progress.total or not new:
            return f"{spent:.0f} s"
        return f"{spent:.0f} s, about {spent / new * (progress.total - progress.done):.0f} s left"
