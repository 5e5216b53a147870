"""The goodput ledger: where the GPU time of each variant goes."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from simulator.report.numbers import percent, plain
from simulator.report.plots.common import (
    CUT_NOTE,
    Missing,
    Plot,
    cut_rows,
    is_cut,
    name_rows,
    row_inches,
    stacked_rows,
)
from simulator.report.results import Results
from simulator.report.style import BUCKET_LOOK, PaperFigure, clean_value_axis, footnote, paper
from simulator.report.tables import ledger_shares
from simulator.units import count_of

NAME, HEADING = "ledger", "Where the GPU time goes"
_CROWDED = 0.4
_VISIBLE = 5e-5


def ledger_plot(results: Results) -> Plot | Missing:
    """Return stacked bars of the share of GPU time per variant, and below them a zoom into what is not productive."""
    shares = ledger_shares(results)
    if shares.empty:
        return Missing(NAME, HEADING, "the results hold no ledger")
    shares = shares.loc[:, shares.max() > _VISIBLE]
    if list(shares.columns) == ["productive"]:
        return Missing(NAME, HEADING, "all of it is productive")
    zoomed, left_out = _zoom(shares)
    sample = count_of(results.replications, "replication")
    with paper():
        figure = _drawn(shares, zoomed, left_out)
        footnote(figure, f"Share of the machine's GPU time, {sample} of each variant together.")
    productive = shares.get("productive", pd.Series(0.0, index=shares.index))
    parts = "; ".join(f"{plain(name)} {percent(value, 1)}" for name, value in productive.items())
    panels = f" Top: all GPU time. Bottom: everything except {' and '.join(left_out)}, enlarged."
    panels += CUT_NOTE if is_cut(zoomed) else ""
    return Plot(
        NAME,
        HEADING,
        f"Every GPU-second of the machine lands in exactly one bucket.{'' if zoomed.empty else panels} "
        f"Shares in percent of GPU time, {sample} of each variant together.",
        f"Stacked bars of the goodput ledger by variant. Productive share: {parts}.",
        figure,
    )


def _zoom(shares: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out productive time, and idle time where it would hide everything else in most variants."""
    left_out = [name for name in ("productive",) if name in shares]
    rest = shares.drop(columns=left_out)
    total = rest.sum(axis=1)
    if "idle" in rest and total.median() > _CROWDED and (rest["idle"] / total).median() > _CROWDED:
        left_out.append("idle")
        rest = rest.drop(columns="idle")
    return rest, left_out


def _drawn(shares: pd.DataFrame, zoomed: pd.DataFrame, left_out: list[str]) -> PaperFigure:
    panels = 1 if zoomed.empty else 2
    legend_rows = -(-shares.shape[1] // 4)
    figure = PaperFigure(panels * (0.75 + row_inches(len(shares)) * len(shares)) + 0.2 * legend_rows + 0.45)
    top, *below = figure.subplots(panels, 1, squeeze=False)[:, 0]
    stacked_rows(top, shares, BUCKET_LOOK)
    _finish(top, list(shares.index), "all GPU time (%)", 1.0)
    if below:
        end = cut_rows(below[0], zoomed, BUCKET_LOOK, lambda total: percent(total, 2))
        _finish(below[0], list(shares.index), f"all except {' and '.join(left_out)} (%)", end * 1.19)
    handles, labels = top.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4)
    return figure


def _finish(axes: Axes, names: list[str], label: str, end: float) -> None:
    name_rows(axes, names)
    axes.set_xlim(0, end)
    axes.xaxis.set_major_formatter(lambda share, _place: f"{share * 100:.10g}")
    axes.set_xlabel(label)
    clean_value_axis(axes)
