"""Fixtures that tests of several folders share."""

from __future__ import annotations

import pytest


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out of reports, which take almost all their time; what figures show is tested in test_report."""
    import simulator.report

    monkeypatch.setattr(simulator.report, "all_plots", lambda results: [])
