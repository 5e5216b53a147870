"""What all figures share: the finished plot, stacked bars, the list of variants on an axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from simulator.report.numbers import compact, plain, shortened, wrapped
from simulator.report.style import Look, PaperFigure, edge_of

_ROW_INCHES, _CLOSE_ROW_INCHES, _MOST_WIDE_ROWS = 0.30, 0.21, 8

CUT_NOTE = " Bars with an arrow are cut off."
_FAR = 3.0
_FAR_AWAY = 10.0
_MOST_SAMPLES = 250
_FEWEST_TICKS = 4
MOST_LABELS = 7
"""Labels that fit along an axis of the full width."""

Ticks = tuple[tuple[float, str], ...]
"""Values with what is written at them, rising."""

DURATIONS: Ticks = (
    *((float(n), f"{n} s") for n in (1, 2, 5, 10, 20, 30)),
    *((60.0 * n, f"{n} min") for n in (1, 2, 5, 10, 20, 30)),
    *((3600.0 * n, f"{n} h") for n in (1, 2, 4, 8, 12)),
    *((86400.0 * n, f"{n} day" + "s" * (n > 1)) for n in (1, 2, 4, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000)),
)
"""Seconds as people write them, for axes on a log scale."""

_WHOLE_DURATIONS: Ticks = tuple((v, t) for v, t in DURATIONS if t.split()[0] in ("1", "10", "100", "1000"))

_DECADES: Ticks = tuple((10.0**k, compact(10.0**k)) for k in range(-3, 13))
NUMBERS: Ticks = tuple((n * 10.0**k, compact(n * 10.0**k)) for k in range(-3, 13) for n in (1, 2, 5))
"""Numbers, for axes on a log scale."""


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


def log_axis(
    axes: Axes, axis: str, least: float, greatest: float, ticks: Ticks, most_labels: int = MOST_LABELS
) -> None:
    """Make an axis logarithmic from a tick below ``least`` to one above ``greatest``, with few ticks.

    Parameters
    ----------
    axes : Axes
    axis : {"x", "y"}
    least, greatest : float
        What is shown, above 0.
    ticks : Ticks
        `DURATIONS` or `NUMBERS`.
    most_labels : int
        Of more ticks every second, third, ... one has a label.
    """
    for chosen in (_WHOLE_DURATIONS if ticks is DURATIONS else _DECADES, ticks):
        low = max((value for value, _ in chosen if value <= least), default=chosen[0][0])
        high = min((value for value, _ in chosen if value >= greatest and value > low), default=chosen[-1][0])
        shown = [(value, text) for value, text in chosen if low <= value <= high]
        if len(shown) >= _FEWEST_TICKS:
            break
    where = axes.xaxis if axis == "x" else axes.yaxis
    (axes.set_xscale if axis == "x" else axes.set_yscale)("log")
    (axes.set_xlim if axis == "x" else axes.set_ylim)(low / 1.12, high * 1.12)
    step = -(-len(shown) // most_labels)
    where.set_ticks([value for value, _ in shown], [text if k % step == 0 else "" for k, (_, text) in enumerate(shown)])
    where.set_minor_locator(NullLocator())


def row_inches(rows: int) -> float:
    """Return the height of one of so many rows of a horizontal chart; many rows stand closer."""
    return _ROW_INCHES if rows <= _MOST_WIDE_ROWS else _CLOSE_ROW_INCHES


def equals_together(pictures: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the variants whose pictures differ, each with its title, which counts those that look like it."""
    alike: dict[str, int] = {}
    for name, picture in pictures.items():
        first = next((other for other in alike if pictures[other].equals(picture)), name)
        alike[first] = alike.get(first, 0) + 1
    return {name: _title(plain(name), count, len(pictures)) for name, count in alike.items()}


def _title(name: str, count: int, of: int) -> str:
    if count == 1:
        return name
    return "all variants" if count == of else f"{shortened(name, 26)} and {count - 1} like it"


def time_unit(until_s: float) -> tuple[str, float]:
    """Return the unit of an axis of time that ends there, and its seconds."""
    return ("days", 86400.0) if until_s > 3 * 86400 else ("h", 3600.0)


def thinned(wide: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Average runs of samples so that at most 250 remain; the first instant of a run stands for it."""
    size = -(-len(wide) // _MOST_SAMPLES)
    if size == 1:
        return wide, 1
    groups = np.arange(len(wide)) // size
    means = wide.groupby(groups).mean()
    means.index = wide.index[::size]
    return means, size


def name_rows(axes: Axes, names: Sequence[str], width: int = 18, lines: int = 2) -> None:
    """Write names along the vertical axis, the first on top; of many, each on one line."""
    if len(names) > _MOST_WIDE_ROWS:
        width, lines = 4 * width // 3, 1
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


def near_together(spans: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return where an axis ends that leaves out what is far from all else; None where nothing is.

    Up to a quarter of the spans are left out, as few as make the axis a tenth of its length.
    """
    if not spans:
        return None
    lows, highs = np.array(spans).T
    middles = (lows + highs) / 2
    by_distance = np.argsort(-np.abs(middles - np.median(middles)), kind="stable")
    for count in range(1, len(spans) // 4 + 1):
        rest = by_distance[count:]
        low, high = float(lows[rest].min()), float(highs[rest].max())
        if 0.0 < _FAR_AWAY * (high - low) <= highs.max() - lows.min():
            return low, high
    return None


def legible_end(totals: pd.Series) -> float:
    """Return where to end the axis of bars so that a few far above the others do not make these illegible."""
    usual = float(totals[totals <= _FAR * totals.median()].max())
    return 1.5 * usual if 0 < usual < float(totals.max()) / 1.5 else float(totals.max())


def is_cut(shares: pd.DataFrame) -> bool:
    """Return whether ``cut_rows`` cuts a bar off."""
    totals = shares.sum(axis=1)
    return legible_end(totals) < float(totals.max())


def parts_up_to(shares: pd.DataFrame, end: float) -> pd.DataFrame:
    """Return the parts of each stacked bar as far as they lie below ``end``."""
    reached = shares.cumsum(axis=1).clip(upper=end)
    return reached.diff(axis=1).fillna({shares.columns[0]: reached.iloc[:, 0]})


def cut_rows(axes: Axes, shares: pd.DataFrame, looks: Mapping[str, Look], text: Callable[[float], str]) -> float:
    """Draw stacked bars with their totals, those far above the others cut off, and return where the axis ends."""
    totals = shares.sum(axis=1)
    end = legible_end(totals)
    stacked_rows(axes, parts_up_to(shares, end), looks)
    for row, total in enumerate(totals):
        label = text(float(total))
        label_end(axes, min(float(total), end), row, label if total <= end else f"{label} →")
    return end
