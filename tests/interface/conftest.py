"""A results folder with its report, made once for the tests of reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_page import Page
from synthetic_results import write_results

from simulator.report import write_report


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = write_results(tmp_path_factory.mktemp("report") / "study")
    assert write_report(place) == place / "report.html"
    return place


@pytest.fixture(scope="session")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))
