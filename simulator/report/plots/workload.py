"""A fitted workload beside its trace: run times, sizes, the week, and times between submissions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, PercentFormatter
from numpy.typing import NDArray

from simulator.report.plots.common import Plot
from simulator.report.style import FAINT, PaperFigure, clean_value_axis, footnote, paper
from simulator.workload.fitting import hours_of_week, size_class
from simulator.workload.submissions import Sample, Submissions, WallClock
from simulator.workload.synthetic import DAY_S, HOUR_S, WorkloadModel

NAME, HEADING = "workload", "Fitted workload beside its trace"

_TRACE, _DRAWN = "#23366F", "#E08A3C"
_CLASS_COLOURS = ("#23366F", "#1B7C7D", "#E08A3C", "#8E2B56")
_MOST_CLASSES = 4
_MOST_POINTS = 2000
_TIMES = ((1.0, "1 s"), (60.0, "1 min"), (HOUR_S, "1 h"), (DAY_S, "1 day"), (30 * DAY_S, "30 days"))


def workload_plot(sample: Sample, drawn: Submissions, model: WorkloadModel) -> Plot:
    """Return the figure that compares a trace with jobs drawn from its model.

    Parameters
    ----------
    sample : Sample
        The trace.
    drawn : Submissions
        As many jobs drawn from the model.
    model : WorkloadModel
        The model.
    """
    trace = sample.jobs
    with paper():
        figure = PaperFigure(6.9, 7.6)
        axes = figure.subplots(2, 2)
        _run_times(axes[0, 0], trace, drawn)
        _sizes(axes[0, 1], trace, drawn)
        _week(axes[1, 0], trace, model, sample.clock)
        _gaps(axes[1, 1], trace, drawn)
        footnote(figure, f"{len(trace):,} jobs of the trace, as many drawn once from the fitted model.")
    load = [float(np.sum(jobs.gpus * jobs.run_s)) for jobs in (trace, drawn)]
    return Plot(
        NAME,
        HEADING,
        "Cumulative shares of run times by size, shares of jobs and of GPU time by size, submissions per hour over "
        f"the week, and times between submissions: trace ({len(trace):,} jobs) against as many drawn from the model.",
        f"Drawn GPU time is {load[1] / load[0]:.3g} times that of the trace; median run time "
        f"{np.median(drawn.run_s):.4g} s against {np.median(trace.run_s):.4g} s.",
        figure,
    )


def _cumulative(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values and the share of the sample up to each, thinned to what a figure can show."""
    share = np.linspace(0.0, 1.0, min(_MOST_POINTS, len(values)))
    return np.quantile(values, share, method="inverted_cdf"), share


def _time_axis(axes: Axes, least: float, greatest: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(least, greatest)
    shown = [(value, text) for value, text in _TIMES if least <= value <= greatest]
    axes.set_xticks([value for value, _ in shown], [text for _, text in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=True)


def _groups(trace: Submissions) -> Iterator[tuple[str, int, int]]:
    """Yield label, least and greatest class of at most four groups of sizes with about equal GPU time above 1 GPU."""
    classes = size_class(trace.gpus)
    weight = np.bincount(classes, trace.gpus * trace.run_s)
    present = np.flatnonzero(np.bincount(classes))
    if len(present) <= _MOST_CLASSES:
        bounds = [(int(each), int(each)) for each in present]
    else:
        first, rest = int(present[0]), present[1:]
        place = np.minimum((np.cumsum(weight[rest]) - weight[rest] / 2) / weight[rest].sum() * 3, 2.999).astype(int)
        bounds = [(first, first)]
        bounds += [(int(rest[place == part][0]), int(rest[place == part][-1])) for part in np.unique(place)]
    for low, high in bounds:
        sizes = trace.gpus[(classes >= low) & (classes <= high)]
        least, greatest = int(sizes.min()), int(sizes.max())
        unit = "GPU" if greatest == 1 else "GPUs"
        yield (f"{least} {unit}" if least == greatest else f"{least} to {greatest} {unit}"), low, high


def _run_times(axes: Axes, trace: Submissions, drawn: Submissions) -> None:
    axes.set_title("Run time by size")
    of_trace, of_drawn = size_class(trace.gpus), size_class(drawn.gpus)
    for colour, (label, low, high) in zip(_CLASS_COLOURS, _groups(trace), strict=False):
        axes.plot(*_cumulative(trace.run_s[(of_trace >= low) & (of_trace <= high)]), color=colour, label=label)
        rows = (of_drawn >= low) & (of_drawn <= high)
        if rows.any():
            axes.plot(
                *_cumulative(drawn.run_s[rows]), color=colour, linestyle=(0, (1.2, 1.2)), linewidth=2.0, alpha=0.7
            )
    _time_axis(axes, max(1.0, float(trace.run_s.min())), float(max(trace.run_s.max(), drawn.run_s.max())))
    axes.set_xlabel("run time (logarithmic)")
    axes.set_ylabel("share of jobs")
    axes.legend(loc="upper left", title="solid: trace, dotted: drawn", title_fontsize=8, alignment="left")


def _sizes(axes: Axes, trace: Submissions, drawn: Submissions) -> None:
    axes.set_title("Jobs and GPU time by size")
    most = int(max(size_class(trace.gpus).max(), size_class(drawn.gpus).max())) + 1
    place = np.arange(most)
    for side, (jobs, colour, name) in ((-1, (trace, _TRACE, "trace")), (1, (drawn, _DRAWN, "drawn"))):
        classes = size_class(jobs.gpus)
        count, time = np.bincount(classes, minlength=most), np.bincount(classes, jobs.gpus * jobs.run_s, most)
        axes.bar(place + side * 0.2, count / count.sum(), 0.38, color=colour, label=f"jobs, {name}")
        where, shares = place + side * 0.2, time / time.sum()
        axes.plot(
            where,
            shares,
            "D",
            color=colour,
            markeredgecolor="white",
            markeredgewidth=1.2,
            markersize=6.5,
            label=f"GPU time, {name}",
        )
    labels = ["1", *(f"{2 ** (k - 1) + 1}-{2**k}" if k > 1 else "2" for k in range(1, most))]
    axes.set_xticks(place, labels)
    if most > 6:
        axes.tick_params(axis="x", rotation=45)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_ylim(0, 1.35 * axes.dataLim.y1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("GPUs of a job")
    axes.set_ylabel("share")
    axes.legend(loc="upper right", ncols=2, columnspacing=1.0, handletextpad=0.5)
    clean_value_axis(axes, "y")


def _week(axes: Axes, trace: Submissions, model: WorkloadModel, clock: WallClock) -> None:
    axes.set_title("Submissions over the week" + ("" if clock.is_known else " (first day unknown)"))
    came, exposure_s = hours_of_week(trace.submit_s, float(trace.submit_s[-1]), clock)
    rate = np.full(168, np.nan)
    np.divide(came * HOUR_S, exposure_s, out=rate, where=exposure_s > 0)
    hours = np.arange(168) + 0.5
    axes.plot(hours, rate, ".", color=_TRACE, markersize=3.5, label="trace")
    axes.step(
        np.arange(169),
        np.append(model.rhythm.week, model.rhythm.week[-1]) * model.jobs_per_s * HOUR_S,
        where="post",
        color=_DRAWN,
        label="model",
    )
    axes.set_xlim(0, 168)
    # Single bursts must not flatten the week.
    axes.set_ylim(0, 1.15 * float(np.nanpercentile(rate, 98)))
    axes.set_xticks(np.arange(8) * 24, [""] * 8)
    axes.set_xticks(np.arange(7) * 24 + 12, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], minor=True)
    axes.tick_params(axis="x", which="minor", length=0)
    axes.grid(visible=True, which="major")
    axes.set_ylabel("jobs per hour")
    axes.set_xlabel("hour of the week (clock of the trace)")
    axes.legend(loc="upper right", ncols=2)


def _gaps(axes: Axes, trace: Submissions, drawn: Submissions) -> None:
    axes.set_title("Time between submissions")
    for jobs, colour, name in ((trace, _TRACE, "trace"), (drawn, _DRAWN, "drawn")):
        gaps_s = np.maximum(np.diff(jobs.submit_s), 1.0)
        axes.plot(*_cumulative(gaps_s), color=colour, label=name)
    mean_s = float(trace.submit_s[-1]) / max(1, len(trace) - 1)
    share = np.linspace(0.0, 0.9999, _MOST_POINTS)
    poisson_s = np.maximum(-mean_s * np.log1p(-share), 1.0)
    axes.plot(poisson_s, share, color=FAINT, linewidth=1.0, linestyle=":", label="Poisson, same mean")
    _time_axis(axes, 1.0, float(max(np.diff(trace.submit_s).max(), np.diff(drawn.submit_s).max(), 60.0)))
    axes.set_xlabel("time to the next job (logarithmic)")
    axes.set_ylabel("share of jobs")
    axes.legend(loc="upper left")
