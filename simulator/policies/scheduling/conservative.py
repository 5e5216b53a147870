"""Conservative backfilling: every job has a guaranteed start, which later ones must not delay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.errors import PolicyError
from simulator.policies.decisions import Start, Wake
from simulator.policies.scheduling.counted_guarantees import CountedGuarantees
from simulator.policies.scheduling.node_guarantees import NodeGuarantees
from simulator.policies.views import SchedulerView


@dataclass
class Memory:
    """What is remembered from pass to pass.

    Parameters
    ----------
    capacity_gpus : int
        GPUs in service at the last pass.
    guarantees : CountedGuarantees, NodeGuarantees, or None
        Guarantees, from the first pass on.
    """

    capacity_gpus: int = 0
    guarantees: CountedGuarantees | NodeGuarantees | None = None


@dataclass(frozen=True)
class Conservative:
    """Give every job the earliest start that delays no guarantee, and start those whose time has come.

    Exact semantics are in docs/scheduling-semantics.md. It needs an estimate of every job. It counts GPUs, or
    plans by node where jobs share nodes or some are kept for somebody.
    """

    acts_always: ClassVar[bool] = True
    """A job gets its guarantee when it arrives, on a full machine too."""
    needs_estimates: ClassVar[bool] = True
    """It cannot promise anything behind a job without an estimate."""

    def remember(self) -> Memory:
        """Return where guarantees are kept during a run."""
        return Memory()

    def schedule(self, view: SchedulerView) -> Sequence[Start | Wake]:
        """Return the jobs to start now, and when the next guarantee falls due."""
        queue, known, memory = view.queue, view.queue.known, view.memory
        assert isinstance(memory, Memory)
        is_usable = np.isfinite(queue.requested_s) & (queue.requested_s > 0)
        if not is_usable.all():
            job = known.job[queue.job[~is_usable][0]]
            reason = f"job {job} has no usable estimate: a guarantee rests on a positive, finite one"
            raise PolicyError(type(self).__name__, view.now_s, reason)
        compresses = view.ended_early or view.capacity_gpus > memory.capacity_gpus
        memory.capacity_gpus = view.capacity_gpus
        if memory.guarantees is None:
            if view.shares_nodes or view.has_windows:  # until the end of the run: what was promised stays promised
                memory.guarantees = NodeGuarantees(known, view.nodes, view.now_s)
            else:
                memory.guarantees = CountedGuarantees(len(known.submit_s), known.gpus, view.now_s)
        return memory.guarantees.pass_over(view, compresses)
