"""What happens to an interrupted job: replace nodes, queue again, or give up."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.policies.decisions import Fail, Recovery, Replace, Requeue
from simulator.policies.fields import parameter
from simulator.policies.views import InterruptionView


@dataclass(frozen=True)
class ReplaceNodes:
    """Keep the surviving nodes and take spares; wait for them if there are none."""

    give_up_after: int = parameter(
        0, "fail after this many interruptions in a row without new saved work; 0: never", at_least=0
    )

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        if 0 < self.give_up_after <= view.interruptions_without_progress:
            return Fail()
        return Replace()


@dataclass(frozen=True)
class RequeueJob:
    """Give all nodes back and queue again at the original place."""

    give_up_after: int = parameter(
        0, "fail after this many interruptions in a row without new saved work; 0: never", at_least=0
    )

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        if 0 < self.give_up_after <= view.interruptions_without_progress:
            return Fail()
        return Requeue()


@dataclass(frozen=True)
class ReplaceOrRequeue:
    """Take spares or idle nodes while there are enough; queue again instead of waiting."""

    give_up_after: int = parameter(
        0, "fail after this many interruptions in a row without new saved work; 0: never", at_least=0
    )

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        if 0 < self.give_up_after <= view.interruptions_without_progress:
            return Fail()
        return Replace() if view.lost_nodes <= view.spares_free + view.idle_nodes else Requeue()


@dataclass(frozen=True)
class GiveUp:
    """End the job as failed at its first interruption."""

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        return Fail()
