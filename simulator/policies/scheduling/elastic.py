"""Elastic width: jobs start as wide as fits, shrink when somebody waits and grow when nobody does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from typing import ClassVar

import numpy as np

from simulator.policies.decisions import Resize, Scheduling, Start, Wake
from simulator.policies.fields import parameter
from simulator.policies.scheduling.ordered import BACKFILL_MEANING, Backfill, starts_in_order
from simulator.policies.scheduling.room import nodes_open_to, whole_nodes
from simulator.policies.views import Bools, Ints, SchedulerView


@dataclass(frozen=True)
class Elastic:
    """First in, first out with widths that follow the load.

    The first job that does not fit at its nominal width starts on the nodes that are free if it can run on so few. If
    not, running jobs give up nodes, just as many as it needs at least (one for a part of a node), each node from the
    job that slows down least.
    While nobody waits free nodes go one by one to the job that gains most. A job's width changes no sooner than
    ``min_interval`` after its start or its last change, and it grows only for a speed-up of ``least_gain``: a change
    costs a restart. Speeds are those of the jobs' goodput curves. Jobs that save nothing keep their width.
    """

    backfill: Backfill = parameter("easy", BACKFILL_MEANING)
    min_interval: float = parameter(600.0, "time between changes of a job's width", unit="duration", at_least=0.0)
    least_gain: float = parameter(0.05, "relative speed-up for which a job grows", at_least=0.0, at_most=100.0)

    acts_always: ClassVar[bool] = True
    """It acts on a full machine, and with nobody waiting."""

    def remember(self) -> dict[int, float]:
        """Return where the time of each job's last change is kept during a run."""
        return {}

    def schedule(self, view: SchedulerView) -> Sequence[Scheduling]:
        """Return the decisions of this pass."""
        if len(view.queue) == 0:
            return self._grow(view)
        if view.running.is_leaving.any():  # somebody is giving nodes up
            return starts_in_order(view, None, self.backfill)
        started = starts_in_order(view)
        if started:
            return [*started, Wake(view.now_s)]  # what is left once these have started
        job, known = int(view.queue.job[0]), view.queue.known
        missing = 1  # a part of a node that fits nowhere
        if not known.shares[job]:
            free = min(whole_nodes(view, 0), int(known.most[job]))
            missing = int(known.fewest[job]) - free
            if missing <= 0:
                return [Start(job, nodes=free), Wake(view.now_s)]
        changes, again_s = self._shrink(view, missing)
        if changes:
            return [*changes, Wake(view.now_s)]
        return [Wake(again_s), *starts_in_order(view, None, self.backfill)]

    def _shrink(self, view: SchedulerView, needed: int) -> tuple[list[Resize], float]:
        """Return changes that free so many nodes, none if they cannot; and when more jobs may change."""
        ready, again_s = self._changeable(view)
        running, known = view.running, view.running.known
        width = running.gpus // view.nodes.gpus_per_node
        is_open = nodes_open_to(view, 0)
        # Only nodes that the waiting job may use are worth giving up.
        held, jobs = np.sort(view.nodes.holder[is_open]), running.job[ready]
        useful = np.searchsorted(held, jobs, side="right") - np.searchsorted(held, jobs)
        limit = np.maximum(known.fewest[jobs], width[ready] - useful)
        if int((width[ready] - limit).sum()) < needed:
            return [], again_s
        return self._deal(view, ready, width, -1, needed, limit, is_open if view.has_windows else None), again_s

    def _grow(self, view: SchedulerView) -> list[Scheduling]:
        """Return changes that use the free nodes."""
        if view.free_nodes == 0:
            return []
        ready, again_s = self._changeable(view)
        running, known = view.running, view.running.known
        width = running.gpus // view.nodes.gpus_per_node
        limit = known.most[running.job[ready]]
        return [Wake(again_s), *self._deal(view, ready, width, 1, view.free_nodes, limit)]

    def _changeable(self, view: SchedulerView) -> tuple[Ints, float]:
        """Return positions of running jobs whose width may change now, and when the next one's may."""
        running, known, memory = view.running, view.running.known, view.memory
        elastic = (known.fewest < known.most)[running.job] & known.saves[running.job] & ~running.is_leaving
        places = np.flatnonzero(elastic)
        last_s = np.array([memory.get(job, -np.inf) for job in running.job[places].tolist()])
        from_s = np.maximum(running.start_s[places], last_s) + self.min_interval
        later = from_s[from_s > view.now_s]
        # Not twice in one instant either, whatever the interval: that could go on for ever.
        ready = (from_s <= view.now_s) & (last_s < view.now_s)
        return places[ready], float(later.min()) if len(later) else np.inf

    def _deal(
        self,
        view: SchedulerView,
        places: Ints,
        width: Ints,
        step: int,
        count: int,
        limit: Ints,
        gives: Bools | None = None,
    ) -> list[Resize]:
        """Give (step 1) or take (-1) nodes one by one where speed changes best; return the changes.

        ``limit`` is how wide, or how narrow, each of the jobs at ``places`` can get.
        """
        running, known = view.running, view.running.known
        new = {place: int(width[place]) for place in places.tolist()}
        speed = {place: known.curves[known.width[running.job[place]]].speed for place in new}
        last = dict(zip(places.tolist(), limit.tolist(), strict=True))

        def next_gain(place: int) -> tuple[float, int]:
            nodes = new[place]
            if nodes == last[place]:
                return np.inf, place
            return -speed[place](nodes + step) / speed[place](nodes), place

        heap = [next_gain(place) for place in new]
        heapify(heap)
        for _ in range(count):
            if not heap or heap[0][0] == np.inf:
                break
            place = heap[0][1]
            new[place] += step
            heapreplace(heap, next_gain(place))
        changes = []
        for place, nodes in new.items():
            gain = speed[place](nodes) / speed[place](int(width[place])) - 1.0
            if nodes != width[place] and (step < 0 or gain >= self.least_gain):
                job = int(running.job[place])
                view.memory[job] = view.now_s
                changes.append(Resize(job, nodes, gives))
        return changes
