"""Quotas: every account has its GPUs, and may borrow those that others leave idle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.policies.decisions import Scheduling
from simulator.policies.fields import Numbers, parameter
from simulator.policies.scheduling.preempting import Preempting
from simulator.policies.views import Floats, Ints, SchedulerView
from simulator.scheduling.quotas import within_quota
from simulator.telemetry.submissions import Submissions
from simulator.units import count_of


@dataclass(frozen=True)
class Quota(Preempting):
    """Serve jobs within the quota of their account first, in order of submission, then borrowers; reclaim from these.

    A job is within its quota when its account's other running jobs and those served before it leave room for it. A
    running job has borrowed when the jobs of its account that started before it and are within the quota leave no room
    for it. When a job within its quota does not fit, borrowers are preempted, the last to have started first.
    """

    quotas: Numbers = parameter((), "GPUs of each account; an account without an entry has none", at_least=0.0)
    borrowing: bool = parameter(True, "whether an account may use more than its quota while others leave it idle")

    def remember(self) -> dict[str, Floats]:
        """Return where the quotas by account number are kept during a run."""
        return {}

    def refuses(self, known: Submissions) -> dict[int, str]:
        """Return which jobs are larger than the quota of their account, where nobody borrows."""
        if self.borrowing:
            return {}
        quotas = dict(self.quotas)
        quota = np.array([quotas.get(name, 0.0) for name in known.accounts])
        own = quota[known.account]
        return {
            job: f"asks for {count_of(int(known.gpus[job]), 'GPU')}; its account "
            f"{known.accounts[known.account[job]]!r} has a quota of {own[job]:g} and must not borrow"
            for job in np.flatnonzero(known.gpus > own).tolist()
        }

    def schedule(self, view: SchedulerView) -> Sequence[Scheduling]:
        """Return the decisions of this pass."""
        queue, running = view.queue, view.running
        quota = self._by_number(view)
        by_start = np.argsort(running.start_s, kind="stable")
        stays = by_start[~running.is_leaving[by_start]]
        owns = np.ones(len(running), dtype=np.bool_)
        owns[stays] = within_quota(running.account[stays], running.gpus[stays], np.zeros(len(quota)), quota)
        used = np.zeros(len(quota))
        np.add.at(used, running.account[stays], running.gpus[stays])
        inside = within_quota(queue.account, queue.gpus, used, quota)
        order: Ints = np.flatnonzero(inside)
        if self.borrowing:
            order = np.concatenate((order, np.flatnonzero(~inside)))
        preference = by_start[::-1]
        return self.serve(view, order, lambda head: ~owns & inside[head], preference)

    def _by_number(self, view: SchedulerView) -> Floats:
        memory: dict[str, Floats] = view.memory
        if "quota" not in memory:
            quotas = dict(self.quotas)
            memory["quota"] = np.array([quotas.get(name, 0.0) for name in view.queue.known.accounts])
        return memory["quota"]
