"""The contracts of policies: one method each, a read-only view in, decisions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simulator.policies.decisions import Recovery, Start


@dataclass(slots=True)
class SchedulerView:
    """What the scheduler sees in one pass. Arrays are read-only views, valid during the call.

    Parameters
    ----------
    now_s : float
        Time of the pass.
    free_nodes : int
        Nodes that a job could start on now (healthy, not held, not spare).
    queue_job, queue_nodes, queue_requested_s, queue_submit_s : arrays of shape (queued,)
        Waiting jobs in order of (submission, row): index, whole nodes wanted, run-time estimate, submission.
    running_nodes, running_end_s : arrays of shape (running,)
        Running jobs in order of expected end (start + estimate; a job past its estimate is expected to end now).
    """

    now_s: float
    free_nodes: int
    queue_job: NDArray[np.int64]
    queue_nodes: NDArray[np.int64]
    queue_requested_s: NDArray[np.float64]
    queue_submit_s: NDArray[np.float64]
    running_nodes: NDArray[np.int64]
    running_end_s: NDArray[np.float64]


class SchedulingPolicy(Protocol):
    """Decides which queued jobs start."""

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        """Return the jobs to start now, in order."""
        ...


@dataclass(frozen=True, slots=True)
class PlacementView:
    """What is known when nodes are chosen for a job. Arrays are read-only views, valid during the call.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        Nodes a job could start on now (healthy, not held, not spare).
    nodes : int
        How many are wanted: all of a job that starts, the missing ones of a job that lost some.
    job : int
        Index of the job.
    held : int array
        Nodes it holds already.
    tiers : tuple of int arrays, each of shape (machine nodes,)
        Group of every node on each tier of the network, the narrowest first (leaf, pod); empty without a fabric.
    """

    free: NDArray[np.bool_]
    nodes: int
    job: int
    held: NDArray[np.int64]
    tiers: tuple[NDArray[np.int64], ...]


class PlacementPolicy(Protocol):
    """Decides on which nodes a job starts."""

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return distinct ids out of the free ones, ``view.nodes`` of them, in the order of the job's ranks.

        An empty array lets the job wait for better nodes; those behind it in this pass wait too.
        """
        ...


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """What is known when a job's checkpoint interval is chosen.

    Parameters
    ----------
    blocking_s : float
        Time training stands still for one checkpoint of this tier.
    expected_mtti_s : float
        The operator's estimate of the mean time between failures that this tier must repair (infinite for none).
    restart_s : float
        Estimated time from a failure to productive work.
    """

    blocking_s: float
    expected_mtti_s: float
    restart_s: float


class CheckpointingPolicy(Protocol):
    """Decides how much useful work lies between two checkpoints of a tier."""

    def interval_s(self, view: CheckpointView) -> float:
        """Return the useful work between checkpoints, seconds, positive; infinite for never."""
        ...


@dataclass(frozen=True, slots=True)
class InterruptionView:
    """What the operator knows when a job has been interrupted and the cause is localised.

    Parameters
    ----------
    now_s : float
        Time of the decision.
    job : int
        Index of the job.
    lost_nodes : int
        Nodes the job has lost and must replace.
    spares_free : int
        Spare nodes that are ready.
    idle_nodes : int
        Other free nodes; an interrupted job takes them before the queue does.
    interruptions : int
        Interruptions of this job so far, this one included.
    interruptions_without_progress : int
        How many in a row brought no new saved work.
    """

    now_s: float
    job: int
    lost_nodes: int
    spares_free: int
    idle_nodes: int
    interruptions: int
    interruptions_without_progress: int


class RecoveryPolicy(Protocol):
    """Decides what happens to an interrupted job."""

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        ...
