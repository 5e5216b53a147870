"""What a policy may ask for. The engine checks and applies decisions; a policy never changes the world itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Start:
    """Start a queued job now.

    Parameters
    ----------
    job : int
        Index of the job as the view gave it.
    avoid : bool array, optional
        Nodes it must not take, because they are promised to somebody.
    nodes : int, optional
        Width in nodes of an elastic job; its nominal one by default.
    """

    job: int
    avoid: Any = None
    nodes: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Give a queued job some of its nodes, which it keeps while it waits for the others: no gang.

    Parameters
    ----------
    job : int
        Index of the job.
    nodes : int
        How many more nodes it gets now; it starts when it has all.
    """

    job: int
    nodes: int


@dataclass(frozen=True, slots=True)
class Preempt:
    """Take a running job off its nodes; it saves what it can, and queues again at its original place.

    Parameters
    ----------
    job : int
        Index of the job.
    grace_s : float
        Time it may go on before it has to be gone.
    by : int, optional
        Index of the job that its nodes are for.
    comes_back : bool
        Whether it queues again; otherwise it ends there.
    """

    job: int
    grace_s: float = 0.0
    by: int | None = None
    comes_back: bool = True


@dataclass(frozen=True, slots=True)
class Resize:
    """Let an elastic job go on with another number of nodes, after it has saved its work.

    Parameters
    ----------
    job : int
        Index of the job.
    nodes : int
        Its new width.
    gives : bool array, optional
        Nodes that it gives up first when it gets narrower; without it those of the last ranks.
    """

    job: int
    nodes: int
    gives: Any = None


@dataclass(frozen=True, slots=True)
class Migrate:
    """Move a running job to other nodes, chosen by the placement policy, after it has saved its work.

    Parameters
    ----------
    job : int
        Index of the job.
    avoid : bool array, optional
        Nodes it must not move to.
    """

    job: int
    avoid: Any = None


@dataclass(frozen=True, slots=True)
class Wake:
    """Ask again at a later time, whatever happens until then, or once more in this instant.

    Parameters
    ----------
    time_s : float
        When; the present time for another pass after these decisions are carried out.
    """

    time_s: float


Scheduling = Start | Hold | Preempt | Resize | Migrate | Wake


@dataclass(frozen=True, slots=True)
class Replace:
    """Keep the surviving nodes, take replacements for the lost ones, wait for them if there are none."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Give all nodes back and queue again at the original place, with the work that was saved.

    Parameters
    ----------
    delay_s : float
        Time before it is in the queue again.
    """

    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Shrink:
    """Go on with the surviving nodes alone, for an elastic job that can run on so few."""


@dataclass(frozen=True, slots=True)
class Fail:
    """End the job as failed."""


Recovery = Replace | Requeue | Shrink | Fail
