"""An order of the queue together with preemption and limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.policies.decisions import Preempt, Scheduling
from simulator.policies.scheduling.ordered import starts_in_order
from simulator.policies.scheduling.preemptive import Preemptive
from simulator.policies.views import Ints, SchedulerView
from simulator.scheduling.limits import LimitColumns, never_within, within_limits
from simulator.telemetry.submissions import Submissions
from simulator.units import count_of


@dataclass(frozen=True)
class Limit:
    """Most GPUs and most jobs that somebody may run at once; infinite for no limit."""

    gpus: float = np.inf
    jobs: float = np.inf


@dataclass(frozen=True)
class Limits:
    """Limits of accounts, of groups of them (physics for physics/theory), and of users.

    Parameters
    ----------
    accounts, users : mapping of str to Limit
        By name.
    each_account, each_user : Limit or None
        Of every single account and user beside those.
    """

    accounts: Mapping[str, Limit]
    users: Mapping[str, Limit]
    each_account: Limit | None = None
    each_user: Limit | None = None

    def columns(self, known: Submissions) -> LimitColumns:
        """Return the limits by numbers of the accounts and users of a run."""
        found: list[Limit] = []

        def held_by(name: str, own: Mapping[str, Limit], each: Limit | None, number: dict[str, int]) -> list[int]:
            groups = [name[:end] for end, letter in enumerate(name) if letter == "/"]
            mine = []
            for whole in (*groups, name):
                if whole in own:
                    if whole not in number:
                        number[whole] = len(found)
                        found.append(own[whole])
                    mine.append(number[whole])
            if each is not None and name:
                mine.append(len(found))
                found.append(each)
            return mine

        numbers: dict[str, int] = {}
        of_accounts = [held_by(name, self.accounts, self.each_account, numbers) for name in known.accounts]
        numbers = {}
        of_users = [held_by(name, self.users, self.each_user, numbers) for name in known.users]
        columns = []
        for rows in (of_accounts, of_users):
            columns.append(np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64))
            columns.append(np.array([limit for row in rows for limit in row], dtype=np.int64))
        gpus, jobs = (np.array([getattr(limit, key) for limit in found], dtype=np.float64) for key in ("gpus", "jobs"))
        return LimitColumns(gpus, jobs, *columns)


@dataclass(frozen=True)
class Combined:
    """Serve the queue in the order of a policy, within limits, and preempt for the first job that does not fit.

    Parameters
    ----------
    ordering : object
        A policy with ``order(view)`` and ``backfill``.
    preemption : Preemptive or None
        Whom to take off, how and after what time.
    limits : Limits or None
        What accounts and users may run at once.
    """

    ordering: Any
    preemption: Preemptive | None = None
    limits: Limits | None = None

    def __post_init__(self) -> None:
        if hasattr(self.ordering, "usage_half_life_s"):  # the engine keeps usage only for policies that have it
            object.__setattr__(self, "usage_half_life_s", self.ordering.usage_half_life_s)

    @property
    def acts_always(self) -> bool:
        """Whether it acts on a full machine, too."""
        return self.preemption is not None

    def remember(self) -> dict[str, Any]:
        """Return where the limits by number, and who has been preempted, are kept during a run."""
        return {}

    def refuses(self, known: Submissions) -> dict[int, str]:
        """Return which jobs are larger than a limit."""
        if self.limits is None:
            return {}
        never = never_within(self.limits.columns(known), known.account, known.user, known.gpus)
        return {
            job: f"asks for {count_of(int(known.gpus[job]), 'GPU')}, more than its account or user may have"
            for job in np.flatnonzero(never).tolist()
        }

    def schedule(self, view: SchedulerView) -> Sequence[Scheduling]:
        """Return the decisions of this pass."""
        queue, running = view.queue, view.running
        order = self.ordering.order(view)
        order = np.arange(len(queue)) if order is None else order
        if self.limits is not None:
            if "limits" not in view.memory:
                view.memory["limits"] = self.limits.columns(queue.known)
            held = (running.account, running.user, running.gpus)
            inside = within_limits(view.memory["limits"], *held, queue.account, queue.user, queue.gpus, order)
            order = order[inside]
        if len(order) == 0:
            return []
        if self.preemption is None:
            return starts_in_order(view, order, self.ordering.backfill)
        preempted: set[int] = view.memory.setdefault("preempted", set())
        if preempted:
            preempted.intersection_update([*queue.job.tolist(), *running.job.tolist()])
        found = self.preemption.serve_order(view, behind(order, queue.job, queue.priority, preempted))
        preempted.update(each.job for each in found if isinstance(each, Preempt))
        return found


def behind(order: Ints, queued: Ints, priority: Ints, preempted: Collection[int]) -> Ints:
    """Return an order in which no job that was preempted stands before a job of a higher class.

    Whatever the order says of the two: else it would start again on the nodes that it has just left for the other.

    Parameters
    ----------
    order : int array
        Positions in the queue, the first to be served first.
    queued, priority : int arrays, shape (queue,)
        Jobs of the queue and their classes.
    preempted : collection of int
        Jobs that have been preempted.
    """
    again = np.isin(queued[order], list(preempted))
    if not again.any():
        return order
    classes, places = priority[order], np.arange(len(order))
    key = places.astype(np.float64)
    for place in np.flatnonzero(again).tolist():
        higher = places[classes > classes[place]]
        key[place] = max(place, higher[-1] + 0.5) if len(higher) else place
    return order[np.argsort(key, kind="stable")]
