"""What all figures share: the finished plot, stacked bars, the list of variants on an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simulator.report.numbers import wrapped
from simulator.report.style import Look, PaperFigure, edge_of

ROW_INCHES = 0.30
"""Height of one variant in a horizontal chart."""


@dataclass(frozen=True)
class Plot:
    """A finished figure.

    Parameters
    ----------
    name : str
        File name without ending.
    heading : str
        Heading above it in the report.
    caption : str
        What it shows, with units, interval and sample size.
    alternative : str
        The same for readers who cannot see it, with the main numbers.
    figure : PaperFigure
    """

    name: str
    heading: str
    caption: str
    alternative: str
    figure: PaperFigure


@dataclass(frozen=True)
class Missing:
    """A figure that could not be drawn, and why."""

    name: str
    heading: str
    reason: str


def count_of(number: int, noun: str) -> str:
    """Return "1 replication", "30 replications"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def name_rows(axes: Axes, names: Sequence[str], width: int = 18, lines: int = 2) -> None:
    """Write names along the vertical axis, the first on top."""
    axes.set_yticks(range(len(names)), [wrapped(name, width, lines) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)


def stacked_rows(axes: Axes, shares: pd.DataFrame, looks: Mapping[str, Look], thickness: float = 0.66) -> None:
    """Draw one horizontal stacked bar for each row of ``shares``, one part for each column."""
    left = np.zeros(len(shares))
    rows = np.arange(len(shares))
    for column in shares.columns:
        width = shares[column].to_numpy(dtype=float)
        look = looks[column]
        axes.barh(
            rows,
            width,
            height=thickness,
            left=left,
            color=look.colour,
            hatch=look.hatch or None,
            edgecolor=edge_of(look),
            linewidth=0.4,
            label=column.replace("_", " "),
        )
        left += width


def label_end(axes: Axes, value: float, row: int, text: str) -> None:
    """Write a text right of the end of a horizontal bar."""
    axes.annotate(text, (value, row), (3, 0), textcoords="offset points", va="center", fontsize=8)
