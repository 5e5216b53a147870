"""Starting jobs in an order, with or without backfilling: what most scheduling policies come down to."""

from __future__ import annotations

from typing import Literal

import numpy as np

from simulator.policies.decisions import Start
from simulator.policies.views import Ints, SchedulerView
from simulator.scheduling.backfill import easy_pass, fifo_pass
from simulator.scheduling.node_pass import node_pass

Backfill = Literal["none", "easy"]
BACKFILL_MEANING = "whether later jobs may start before the first that waits"


def starts_in_order(view: SchedulerView, order: Ints | None = None, backfill: Backfill = "none") -> list[Start]:
    """Return the jobs that start when the queue is served in this order.

    Parameters
    ----------
    view : SchedulerView
        What the policy sees.
    order : int array, shape (queued,), optional
        Positions in the queue, the first to be served first; the queue's own order by default.
    backfill : {"none", "easy"}
        Whether the first job that does not fit stops the pass, or gets a reservation that later ones must not delay.
        The exact rules are in docs/scheduling-semantics.md.
    """
    if view.shares_nodes or view.has_windows:
        return _by_node(view, order, backfill)
    gpus, requested_s, job = view.queue.gpus, view.queue.requested_s, view.queue.job
    if order is not None:
        gpus, requested_s, job = gpus[order], requested_s[order], job[order]
    if backfill == "none":
        return [Start(each) for each in job[: fifo_pass(gpus, view.free_gpus)].tolist()]
    started = np.empty(len(job), dtype=np.int64)
    count = easy_pass(gpus, requested_s, view.running.gpus, view.running.end_s, view.free_gpus, view.now_s, started)
    return [Start(each) for each in job[started[:count]].tolist()]


def _by_node(view: SchedulerView, order: Ints | None, backfill: Backfill) -> list[Start]:
    queue, nodes = view.queue, view.nodes
    row = np.arange(len(queue)) if order is None else order
    count = len(nodes.free_gpus)
    started, apart = np.empty(len(row), np.int64), np.zeros(len(row), np.bool_)
    promised = np.zeros(count, np.bool_)
    tenant_end_s, tenant_gpus = nodes.tenant_end_s, nodes.tenant_gpus
    if tenant_end_s is None or tenant_gpus is None:
        tenant_end_s, tenant_gpus = np.zeros((count, 1)), np.zeros((count, 1), np.int64)
    n_started, _, _ = node_pass(
        queue.nodes[row],
        queue.gpus[row],
        queue.shares[row],
        queue.requested_s[row],
        queue.account[row],
        nodes.gpus_per_node,
        view.now_s,
        nodes.free_gpus,
        nodes.free_at_s,
        tenant_end_s,
        tenant_gpus,
        nodes.windows,
        backfill == "easy",
        started,
        apart,
        promised,
    )
    chosen = zip(queue.job[row[started[:n_started]]].tolist(), apart[:n_started].tolist(), strict=True)
    return [Start(job, promised if is_apart else None) for job, is_apart in chosen]
