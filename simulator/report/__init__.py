"""Figures, tables and the report of a results folder."""

from __future__ import annotations

import html
import os
from pathlib import Path

import pandas as pd

from simulator.report.html import report_page
from simulator.report.plots import Missing, Plot, StudyTables, all_plots, plot_metric
from simulator.report.results import Results, read_results
from simulator.report.tables import study_answer, summary_table
from simulator.report.terminal import terminal_text

__all__ = [
    "Results",
    "StudyTables",
    "plot_metric",
    "read_results",
    "study_answer",
    "study_html",
    "terminal_report",
    "write_report",
]


def write_report(folder: Path) -> Path:
    """Write ``figures/`` and ``report.html`` of a results folder, again where they exist, and return the page's path.

    Figures that the results cannot fill are not written, figures of an earlier report are removed, and the page says
    what is missing and why. Equal results give equal bytes.

    Raises
    ------
    InputError
        The folder is not a results folder or one of its files is damaged.
    """
    results = read_results(Path(folder))
    drawn = all_plots(results)
    figures = results.folder / "figures"
    figures.mkdir(exist_ok=True)
    embedded = [(plot, _write_figure(figures, plot)) for plot in drawn if isinstance(plot, Plot)]
    _remove_stale(figures, {plot.name for plot, _ in embedded})
    page = results.folder / "report.html"
    _replace(page, report_page(results, embedded, [gap for gap in drawn if isinstance(gap, Missing)]).encode())
    return page


def terminal_report(folder: Path, width: int = 100) -> str:
    """Return question, answer and tables of a results folder as plain text, no line longer than ``width``.

    Raises
    ------
    InputError
        The folder is not a results folder or one of its files is damaged.
    """
    return terminal_text(read_results(Path(folder)), width)


def study_html(folder: Path) -> str:
    """Return answer and summary of a results folder as HTML, for notebooks.

    Raises
    ------
    InputError
        The folder is not a results folder or one of its files is damaged.
    """
    results = read_results(Path(folder))
    table = summary_table(results)
    frame = pd.DataFrame(table.rows, columns=table.headers)
    sentence, note = html.escape(study_answer(results).sentence), html.escape(table.note)
    return f"<p>{sentence}</p>{frame.to_html(index=False)}<p><small>{note}</small></p>"


def _write_figure(folder: Path, plot: Plot) -> bytes:
    svg = plot.figure.svg()
    _replace(folder / f"{plot.name}.svg", svg)
    _replace(folder / f"{plot.name}.png", plot.figure.png())
    return svg


def _remove_stale(folder: Path, names: set[str]) -> None:
    for path in sorted(folder.iterdir()):
        if path.suffix in {".png", ".svg"} and path.stem not in names:
            path.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that readers meet the old one or the new one, never half of it."""
    sibling = path.with_name(f".{path.name}.new")
    sibling.write_bytes(content)
    os.replace(sibling, path)
