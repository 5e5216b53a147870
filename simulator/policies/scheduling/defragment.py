"""Defragmentation: small jobs move together so that whole nodes come free for one that waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.policies.decisions import Migrate, Scheduling, Wake
from simulator.policies.fields import parameter
from simulator.policies.scheduling.ordered import BACKFILL_MEANING, Backfill, starts_in_order
from simulator.policies.scheduling.room import nodes_open_to, whole_nodes
from simulator.policies.views import SchedulerView

HOUR_S = 3600.0


@dataclass(frozen=True)
class Defragment:
    """First in, first out with backfilling; when the first job that waits lacks whole nodes, empty shared ones for it.

    The shared nodes with fewest GPUs in use are emptied, if all jobs on them save their work and fit, by best fit, on
    other shared nodes. That happens only if it makes room for the job that waits, if that one would otherwise wait for
    ``min_gain`` by the estimates, and with no more than ``most_per_hour`` moves in any hour.
    """

    backfill: Backfill = parameter("easy", BACKFILL_MEANING)
    most_per_hour: int = parameter(60, "moves in any hour", at_least=1)
    min_gain: float = parameter(300.0, "wait that moves must save a job", unit="duration", at_least=0.0)

    def remember(self) -> list[float]:
        """Return where the times of the last moves are kept during a run."""
        return []

    def schedule(self, view: SchedulerView) -> Sequence[Scheduling]:
        """Return the jobs to start and to move now."""
        starts = starts_in_order(view, None, self.backfill)
        if not view.shares_nodes or len(starts) == len(view.queue):
            return starts
        if starts:
            return [*starts, Wake(view.now_s)]  # once these have started
        return self._moves(view)

    def _moves(self, view: SchedulerView) -> list[Scheduling]:
        """Return moves that free the nodes the first job lacks, none if there are not enough or they do not pay."""
        queue, nodes, memory = view.queue, view.nodes, view.memory
        assert nodes.tenant_job is not None
        assert nodes.tenant_gpus is not None
        wanted, lacking = int(queue.nodes[0]), int(queue.nodes[0]) - whole_nodes(view, 0)
        is_shared = nodes.holder == -2
        if queue.shares[0] or lacking <= 0 or wanted > len(nodes.free_at_s):
            return []
        if np.partition(nodes.free_at_s, wanted - 1)[wanted - 1] < view.now_s + self.min_gain:
            return []
        leaving = set(view.running.job[view.running.is_leaving].tolist())
        used = nodes.tenant_gpus.sum(axis=1)
        room = np.where(is_shared, nodes.free_gpus, 0)
        avoid = ~is_shared
        moves: list[int] = []
        shared = np.flatnonzero(is_shared & (nodes.free_gpus > 0) & nodes_open_to(view, 0))
        for node in shared[np.argsort(used[shared], kind="stable")].tolist():
            jobs = nodes.tenant_job[node][nodes.tenant_gpus[node] > 0].tolist()
            is_target = room[node] < nodes.free_gpus[node]
            if is_target or not all(queue.known.saves[job] and job not in leaving for job in jobs):
                continue
            after = room.copy()
            after[node] = 0
            moved: list[int] = []
            for job in sorted(jobs, key=lambda job: -int(queue.known.gpus[job])):
                gpus = int(queue.known.gpus[job])
                fitting = np.flatnonzero(after >= gpus)
                if len(fitting) == 0:
                    break
                after[fitting[np.argmin(after[fitting])]] -= gpus
                moved.append(job)
            if len(moved) < len(jobs):
                continue
            room, lacking = after, lacking - 1
            avoid[node] = True
            moves += moved
            if lacking == 0:
                break
        memory[:] = [time_s for time_s in memory if time_s > view.now_s - HOUR_S]
        if lacking > 0 or len(memory) + len(moves) > self.most_per_hour:
            return []
        memory += [view.now_s] * len(moves)
        return [Migrate(job, avoid) for job in moves]
