"""Conservative backfilling: every job has a guaranteed start, which later ones must not delay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from simulator.errors import PolicyError
from simulator.policies.decisions import Start, Wake
from simulator.policies.scheduling.planned import NodeGuarantees
from simulator.policies.views import Floats, SchedulerView
from simulator.scheduling.guarantees import guarantee_pass


@dataclass
class Guarantees:
    """What is remembered from pass to pass.

    Parameters
    ----------
    start_s : float array, shape (jobs,)
        Guaranteed start by job index, NaN for none.
    capacity_gpus : int
        GPUs in service at the last pass.
    by_node : NodeGuarantees, or None
        What is remembered instead where jobs share nodes or nodes are kept for somebody.
    """

    start_s: Floats = field(default_factory=lambda: np.empty(0))
    capacity_gpus: int = 0
    by_node: NodeGuarantees | None = None


@dataclass(frozen=True)
class Conservative:
    """Give every job the earliest start that delays no guarantee, and start those whose time has come.

    Exact semantics are in docs/scheduling-semantics.md. It needs an estimate of every job. Where jobs share nodes or
    nodes are kept for somebody it plans by node, else it counts GPUs.
    """

    acts_always: ClassVar[bool] = True
    """A job gets its guarantee when it arrives, on a full machine too."""
    needs_estimates: ClassVar[bool] = True
    """It cannot promise anything behind a job without an estimate."""

    def remember(self) -> Guarantees:
        """Return where guarantees are kept during a run."""
        return Guarantees()

    def schedule(self, view: SchedulerView) -> Sequence[Start | Wake]:
        """Return the jobs to start now, and when the next guarantee falls due."""
        queue, kept = view.queue, view.memory
        assert isinstance(kept, Guarantees)
        is_usable = np.isfinite(queue.requested_s) & (queue.requested_s > 0)
        if not is_usable.all():
            job = queue.known.job[queue.job[~is_usable][0]]
            reason = f"job {job} has no usable estimate: a guarantee rests on a positive, finite one"
            raise PolicyError(type(self).__name__, view.now_s, reason)
        compresses = view.ended_early or view.capacity_gpus > kept.capacity_gpus
        kept.capacity_gpus = view.capacity_gpus
        if kept.by_node is None and (view.shares_nodes or view.has_windows):
            kept.by_node = NodeGuarantees()
        if kept.by_node is not None:  # also when the last window is over: what was promised stays promised
            return kept.by_node.pass_over(view, compresses)
        if len(kept.start_s) == 0:
            kept.start_s = np.full(len(queue.known.submit_s), np.nan)
        start_s = kept.start_s[queue.job]
        guarantee_pass(
            view.now_s,
            view.free_gpus,
            view.running.gpus,
            view.running.end_s,
            queue.gpus,
            queue.requested_s,
            start_s,
            compresses,
        )
        kept.start_s[queue.job] = start_s
        due = start_s <= view.now_s
        kept.start_s[queue.job[due]] = np.nan  # one that comes back to the queue is promised anew
        ahead = start_s[start_s > math.nextafter(view.now_s, math.inf)]
        wake = [Wake(float(ahead.min()))] if len(ahead) and math.isfinite(ahead.min()) else []
        return [*(Start(job) for job in queue.job[due].tolist()), *wake]
