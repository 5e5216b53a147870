"""Every figure of a report, in the order in which readers meet them."""

from __future__ import annotations

from simulator.report.plots.common import Missing, Plot
from simulator.report.plots.incidents import anatomy_plot, phases_plot
from simulator.report.plots.ledger import ledger_plot
from simulator.report.plots.metrics import StudyTables, answer_plot, overview_plot, plot_metric
from simulator.report.plots.network import links_plot, slowdown_plot, steps_plot
from simulator.report.plots.pareto import pareto_plot
from simulator.report.plots.published import published_plot
from simulator.report.plots.queues import accounts_plot, gantt_plot, queue_plot, slowdowns_plot, waits_plot
from simulator.report.plots.states import occupancy_plot, states_plot
from simulator.report.results import Results

__all__ = ["Missing", "Plot", "StudyTables", "all_plots", "plot_metric"]

_PLOTS = (
    answer_plot,
    ledger_plot,
    overview_plot,
    anatomy_plot,
    phases_plot,
    steps_plot,
    slowdown_plot,
    links_plot,
    waits_plot,
    slowdowns_plot,
    queue_plot,
    accounts_plot,
    gantt_plot,
    states_plot,
    occupancy_plot,
    pareto_plot,
    published_plot,
)


def all_plots(results: Results) -> list[Plot | Missing]:
    """Return every figure that the results can fill, and for the others why not."""
    return [plot(results) for plot in _PLOTS]
