"""Fixtures that tests of several folders share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out of reports: nearly all their time; tests/interface/test_report.py looks at them."""
    import simulator.report

    monkeypatch.setattr(simulator.report, "all_plots", lambda results: [])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Ctrl-C through to this process and to those it starts, also under nohup or in the background of a script.

    Both ignore it, and a process hands that on to all it starts.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
