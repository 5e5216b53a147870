"""What happens to an interrupted job: replace nodes, queue again, go on narrower, or give up."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.policies.decisions import Fail, Recovery, Replace, Requeue, Shrink
from simulator.policies.fields import parameter
from simulator.policies.views import InterruptionView

DAY_S = 86400.0


def give_up_after() -> int:
    """Return the key that ends a job which makes no progress."""
    key: int = parameter(0, "fail after this many interruptions in a row without new saved work; 0: never", at_least=0)
    return key


@dataclass(frozen=True)
class ReplaceNodes:
    """Keep the surviving nodes and take spares; wait for them if there are none."""

    give_up_after: int = give_up_after()

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        if 0 < self.give_up_after <= view.interruptions_without_progress:
            return Fail()
        return Replace()


@dataclass(frozen=True)
class RequeueJob:
    """Give all nodes back and queue again at the original place, after a pause that grows from time to time.

    The n-th pause is ``backoff`` times ``backoff_growth`` to the power of n - 1, and ``longest_backoff`` at most.
    """

    give_up_after: int = give_up_after()
    most_requeues: int = parameter(0, "fail instead of queueing again more often than this; 0: never", at_least=0)
    backoff: float = parameter(0.0, "pause before the job is in the queue again for the first time", unit="duration")
    backoff_growth: float = parameter(2.0, "factor from one pause to the next", at_least=1.0, at_most=1000.0)
    longest_backoff: float = parameter(DAY_S, "no pause is longer", unit="duration")

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        if 0 < self.give_up_after <= view.interruptions_without_progress:
            return Fail()
        return self.requeue(view.requeues)

    def requeue(self, before: int) -> Recovery:
        """Return the decision for a job that has queued again so many times before."""
        if 0 < self.most_requeues <= before:
            return Fail()
        pause_s = self.backoff
        for _ in range(before):
            if pause_s == 0.0 or pause_s >= self.longest_backoff or self.backoff_growth == 1.0:
                break
            pause_s *= self.backoff_growth
        return Requeue(min(pause_s, self.longest_backoff))


@dataclass(frozen=True)
class ReplaceOrRequeue(RequeueJob):
    """Take spares or idle nodes while there are enough; queue again instead of waiting."""

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        if 0 < self.give_up_after <= view.interruptions_without_progress:
            return Fail()
        return Replace() if _are_replaceable(view) else self.requeue(view.requeues)


@dataclass(frozen=True)
class ReplaceOrShrink(RequeueJob):
    """Take spares or idle nodes while there are enough; else go on with those left, or queue again if they are too few.

    Only elastic jobs can go on with fewer nodes.
    """

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        if 0 < self.give_up_after <= view.interruptions_without_progress:
            return Fail()
        if _are_replaceable(view):
            return Replace()
        return Shrink() if view.nodes_left >= view.fewest_nodes else self.requeue(view.requeues)


@dataclass(frozen=True)
class GiveUp:
    """End the job as failed at its first interruption."""

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        return Fail()


def _are_replaceable(view: InterruptionView) -> bool:
    return view.lost_nodes <= view.spares_free + view.idle_nodes
