"""Slurm's multifactor priority: age, fair share, size and class of priority, weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from simulator.policies.decisions import Start
from simulator.policies.fields import Numbers, parameter
from simulator.policies.scheduling.ordered import BACKFILL_MEANING, Backfill, starts_in_order
from simulator.policies.views import Floats, Ints, SchedulerView
from simulator.scheduling.fairness import AccountTree, account_tree, classic_factor, fair_tree_factor

WEEK_S = 7 * 86400.0
FACTORS = {"fair_tree": fair_tree_factor, "classic": classic_factor}


@dataclass(frozen=True)
class Multifactor:
    """Serve the queue by a weighted sum of factors between 0 and 1, the greatest first; by submission among equals.

    Notes
    -----
    * age: time since submission ÷ ``max_age``, 1 from then on. Jobs older than that no longer gain on each other by
      age: only submission decides among those that are equal in everything else.
    * fair share: of the job's account, from usage that is worth half as much after every ``half_life``.
    * size: GPUs ÷ GPUs of the machine, or 1 minus that with ``favors_small``.
    * class: class of priority ÷ the highest class of the workload, which stands for partition and quality of service.

    Defaults of ``max_age`` and half-life are Slurm's (PriorityMaxAge, PriorityDecayHalfLife); Slurm's weights are 0
    until a site sets them, those here let fair share decide, then class, then age.

    References
    ----------
    Slurm, "Multifactor Priority Plugin", slurm.schedmd.com/priority_multifactor.html.
    """

    weight_age: float = parameter(1000.0, "weight of the age factor", at_least=0.0)
    weight_fair_share: float = parameter(10000.0, "weight of the fair-share factor", at_least=0.0)
    weight_size: float = parameter(0.0, "weight of the size factor", at_least=0.0)
    weight_class: float = parameter(1000.0, "weight of the class of priority", at_least=0.0)
    max_age: float = parameter(WEEK_S, "age at which the age factor reaches 1", unit="duration", at_least=1.0)
    favors_small: bool = parameter(False, "whether the size factor favours small jobs instead of large ones")
    fair_share: Literal["fair_tree", "classic"] = parameter(
        "fair_tree", "formula of the fair-share factor: order in the tree of accounts, or 2^(-usage/share)"
    )
    half_life: float = parameter(
        WEEK_S, "time after which usage counts half in the fair-share factor", unit="duration", at_least=1.0
    )
    shares: Numbers = parameter(
        (),
        "shares by name of an account, or of a group before a slash (physics/theory); 1 for all others",
        at_least=0.0,
    )
    backfill: Backfill = parameter("easy", BACKFILL_MEANING)

    @property
    def usage_half_life_s(self) -> float:
        """Half-life of the usage that the view shows."""
        return self.half_life

    def order(self, view: SchedulerView) -> Ints:
        """Return positions in the queue, the first to be served first."""
        return np.argsort(-self.priorities(view), kind="stable")

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        """Return the jobs to start now."""
        return starts_in_order(view, self.order(view), self.backfill)

    def priorities(self, view: SchedulerView) -> Floats:
        """Return the priority of every queued job."""
        queue, known = view.queue, view.queue.known
        assert view.usage_gpu_s is not None
        age = np.minimum((view.now_s - queue.submit_s) / self.max_age, 1.0)
        size = queue.gpus / (len(view.nodes.free_gpus) * view.nodes.gpus_per_node)
        factor = FACTORS[self.fair_share](_tree_of(known.accounts, self.shares), view.usage_gpu_s)
        highest = max(int(known.priority.max()), 1)
        return np.asarray(
            self.weight_age * age
            + self.weight_fair_share * factor[queue.account]
            + self.weight_size * (1.0 - size if self.favors_small else size)
            + self.weight_class * queue.priority / highest
        )


@lru_cache(maxsize=8)
def _tree_of(accounts: tuple[str, ...], shares: Numbers) -> AccountTree:
    """Return the tree of accounts; shares of accounts that submit nothing do not matter."""
    return account_tree(accounts, dict(shares))
