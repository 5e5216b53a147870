"""What a policy may ask for. The engine checks and applies decisions; a policy never changes the world itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """Start a queued job now.

    Parameters
    ----------
    job : int
        Index of the job as the view gave it.
    """

    job: int


@dataclass(frozen=True, slots=True)
class Replace:
    """Keep the surviving nodes, take replacements for the lost ones, wait for them if there are none."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Give all nodes back and queue again at the original place, with the work that was saved."""


@dataclass(frozen=True, slots=True)
class Fail:
    """End the job as failed."""


Recovery = Replace | Requeue | Fail
