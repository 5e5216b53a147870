"""The contracts of policies: one method each, a read-only view in, decisions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simulator.policies.decisions import Recovery, Scheduling
from simulator.policies.views import CheckpointView, InterruptionView, PlacementView, SchedulerView


class SchedulingPolicy(Protocol):
    """Decides which queued jobs start, and which running ones go, move or change their width.

    More names are looked up where a policy has them. ``remember()`` returns a fresh object at the start of a run,
    which every view carries as ``memory``. ``usage_half_life_s`` asks for the decayed usage of the accounts.
    ``acts_always`` asks for passes while no GPU is free or nobody waits. ``refuses(known)`` returns by index why jobs
    can never start under this policy, whoever else is there; they are rejected when they are submitted.
    """

    def schedule(self, view: SchedulerView) -> Sequence[Scheduling]:
        """Return the decisions of this pass, in the order in which they are to be carried out."""
        ...


class PlacementPolicy(Protocol):
    """Decides on which nodes a job starts.

    ``keeps(view)`` is looked up where a policy has it: whether the nodes in ``view.held``, all that a job of whole
    nodes has after a start or a replacement, are as the policy means them to be. Where they are not, that is counted.
    """

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return distinct ids out of the free ones, ``view.nodes`` of them, in the order of the job's ranks.

        For a job that shares a node: the one node, with at least ``view.gpus`` free GPUs. An empty array lets the job
        wait for better nodes; those behind it in this pass wait too.
        """
        ...


class CheckpointingPolicy(Protocol):
    """Decides how much useful work lies between two checkpoints of a tier."""

    def interval_s(self, view: CheckpointView) -> float:
        """Return the useful work between checkpoints, seconds, positive; infinite for never."""
        ...


class RecoveryPolicy(Protocol):
    """Decides what happens to an interrupted job."""

    def recover(self, view: InterruptionView) -> Recovery:
        """Return the decision."""
        ...


class HealthPolicy(Protocol):
    """Decides whether a node that comes back from repair may work again."""

    def quarantine_s(self, stops: NDArray[np.float64], now_s: float) -> float:
        """Return how long a node is kept out of service; 0 for not at all.

        ``stops`` are the times at which the node has stopped a job, as far as that was localised, ascending.
        """
        ...
