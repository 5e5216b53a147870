"""Bus bandwidth of a collective by message size, beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter

from simulator.report.style import FAINT, INK, PaperFigure, clean_value_axis, footnote, paper, variant_looks

if TYPE_CHECKING:
    import pandas as pd


def busbw_picture(modelled: pd.DataFrame, measured: pd.DataFrame | None = None) -> PaperFigure:
    """Return bus bandwidth over message size, the model as a line coloured by algorithm, measurements as dots.

    Parameters
    ----------
    modelled : DataFrame
        As ``experiments.collectives.collective`` returns it.
    measured : DataFrame, optional
        Columns ``bytes`` and ``busbw`` of a measurement.
    """
    used = list(dict.fromkeys(_used(modelled)))
    looks = variant_looks(used)
    with paper():
        figure = PaperFigure(3.4)
        axes = figure.subplots()
        axes.plot(modelled["bytes"], modelled["busbw"] / 1e9, color=FAINT, linewidth=1.0, zorder=1)
        for name in used:
            mine = [each == name for each in _used(modelled)]
            rows = modelled[mine]
            axes.plot(
                rows["bytes"], rows["busbw"] / 1e9, color=looks[name].colour, marker=".", linestyle="", label=name
            )
        if measured is not None:
            axes.plot(
                measured["bytes"],
                measured["busbw"] / 1e9,
                color=INK,
                marker="o",
                markersize=5,
                markerfacecolor="none",
                linestyle="",
                label="measured",
            )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _size(value)))
        axes.set_xlabel("Message size (K, M, G are powers of 1024)")
        axes.set_ylabel("Bus bandwidth (GB/s)")
        axes.set_ylim(bottom=0.0)
        clean_value_axis(axes, "y")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        facts = modelled.attrs
        footnote(
            figure, f"{facts['op']} of {facts['ranks']:,} GPUs on {facts['fabric']}, transport {facts['transport']}."
        )
    return figure


def _used(modelled: pd.DataFrame) -> list[str]:
    pairs = zip(modelled["algorithm"], modelled["protocol"], strict=True)
    return [f"{algorithm.replace('_', ' ')} ({protocol})" for algorithm, protocol in pairs]


def _size(value: float) -> str:
    for unit in ("", "K", "M"):
        if value < 1024.0:
            return f"{value:.0f}{unit}"
        value /= 1024.0
    return f"{value:.0f}G"
