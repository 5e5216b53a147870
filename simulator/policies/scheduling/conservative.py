"""Conservative backfilling: jobs have planned starts, which later ones must not delay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from simulator.errors import PolicyError
from simulator.policies.decisions import Start, Wake
from simulator.policies.fields import parameter
from simulator.policies.scheduling.counted_guarantees import CountedGuarantees
from simulator.policies.scheduling.node_plan import NodePlan
from simulator.policies.views import SchedulerView

DEPTH = 100
"""Jobs that are planned by node where nothing else is said (assumption)."""


@dataclass
class Memory:
    """What is remembered from pass to pass.

    Parameters
    ----------
    capacity_gpus : int
        GPUs in service at the last pass.
    plan : CountedGuarantees, NodePlan, or None
        Planned starts, from the first pass on.
    """

    capacity_gpus: int = 0
    plan: CountedGuarantees | NodePlan | None = None


@dataclass(frozen=True)
class Conservative:
    """Give jobs the earliest start that delays no planned one, and start those whose time has come.

    Exact semantics are in docs/scheduling-semantics.md. It needs an estimate of every job. It counts GPUs and plans
    every job, or plans by node where jobs share nodes or some are kept for somebody. Names in brackets are Slurm's.
    """

    depth: int | Literal["all"] | None = parameter(
        None, "by node: how many jobs of the queue have a planned start; 100 by default (bf_max_job_test)", at_least=1
    )
    window: float | None = parameter(
        None, "by node: how far ahead starts are planned; no limit by default (bf_window)", unit="duration", at_least=1
    )
    resolution: float | None = parameter(
        None, "by node: ends are rounded up to multiples of it; exact by default (bf_resolution)",
        unit="duration", at_least=1,
    )  # fmt: skip

    acts_always: ClassVar[bool] = True
    """A job gets its planned start when it arrives, on a full machine too."""
    needs_estimates: ClassVar[bool] = True
    """It cannot plan anything behind a job without an estimate."""
    keys_by_node: ClassVar[tuple[str, ...]] = ("depth", "window", "resolution")
    """Keys that have a meaning only where it plans by node."""

    def remember(self) -> Memory:
        """Return where planned starts are kept during a run."""
        return Memory()

    def schedule(self, view: SchedulerView) -> Sequence[Start | Wake]:
        """Return the jobs to start now, and when the next planned start falls due."""
        queue, known, memory = view.queue, view.queue.known, view.memory
        assert isinstance(memory, Memory)
        is_usable = np.isfinite(queue.requested_s) & (queue.requested_s > 0)
        if not is_usable.all():
            job = known.job[queue.job[~is_usable][0]]
            reason = f"job {job} has no usable estimate: a planned start rests on a positive, finite one"
            raise PolicyError(type(self).__name__, view.now_s, reason)
        moves = view.ended_early or view.capacity_gpus > memory.capacity_gpus
        memory.capacity_gpus = view.capacity_gpus
        if memory.plan is None:  # until the end of the run: what was planned stays planned
            has_keys = self.depth not in (None, "all") or self.window is not None or self.resolution is not None
            if view.shares_nodes or view.has_windows or has_keys:
                depth = None if self.depth == "all" else self.depth or DEPTH
                memory.plan = NodePlan(known, view.nodes, depth, self.window or math.inf, self.resolution or 0.0)
            else:
                memory.plan = CountedGuarantees(len(known.submit_s), known.gpus, view.now_s)
        return memory.plan.pass_over(view, moves)
