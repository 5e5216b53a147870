"""What policies see: read-only columns of what an operator knows at the time of a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.scheduling.windows import WindowColumns
from simulator.telemetry.submissions import Submissions

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Jobs:
    """Some jobs as columns; every property is an array with one entry for each of them.

    Parameters
    ----------
    known : Submissions
        What is known of all jobs.
    job : int array
        Indices of these.
    """

    __slots__ = ("job", "known")

    def __init__(self, known: Submissions, job: Ints) -> None:
        self.known, self.job = known, job

    def __len__(self) -> int:
        return len(self.job)

    @property
    def gpus(self) -> Ints:
        """GPUs it holds while it runs: those of its whole nodes, or its share of one."""
        return self.known.gpus[self.job]

    @property
    def nodes(self) -> Ints:
        """Whole nodes it wants, 1 for one that shares a node."""
        return self.known.nodes[self.job]

    @property
    def shares(self) -> Bools:
        """Whether it takes a part of one node."""
        return self.known.shares[self.job]

    @property
    def submit_s(self) -> Floats:
        """Submission."""
        return self.known.submit_s[self.job]

    @property
    def requested_s(self) -> Floats:
        """Run-time estimate, infinite for none."""
        return self.known.requested_s[self.job]

    @property
    def priority(self) -> Ints:
        """Class of priority, the higher the sooner."""
        return self.known.priority[self.job]

    @property
    def user(self) -> Ints:
        """Index into ``known.users``."""
        return self.known.user[self.job]

    @property
    def account(self) -> Ints:
        """Index into ``known.accounts``."""
        return self.known.account[self.job]


class QueuedJobs(Jobs):
    """The jobs that wait, in order of (submission, row).

    Parameters
    ----------
    known, job
        As for ``Jobs``.
    gpus, requested_s : arrays
        GPUs they will hold, and estimates.
    held : mapping of int to int
        Nodes that jobs without a gang hold while they wait, by job index.
    """

    __slots__ = ("_gpus", "_held", "_requested_s")

    def __init__(self, known: Submissions, job: Ints, gpus: Ints, requested_s: Floats, held: Mapping[int, int]) -> None:
        super().__init__(known, job)
        self._gpus, self._requested_s, self._held = gpus, requested_s, held

    @property
    def gpus(self) -> Ints:
        """GPUs it will hold."""
        return self._gpus

    @property
    def requested_s(self) -> Floats:
        """Run-time estimate, infinite for none."""
        return self._requested_s

    @property
    def held_nodes(self) -> Ints:
        """Nodes it holds already while it waits for others, 0 for a gang."""
        held = np.zeros(len(self.job), dtype=np.int64)
        if self._held:
            # Indices of jobs are in order of (submission, row), and so is the queue.
            held[np.searchsorted(self.job, list(self._held))] = list(self._held.values())
        return held


class RunningJobs(Jobs):
    """The jobs that hold nodes, in order of expected end.

    Parameters
    ----------
    known, job
        As for ``Jobs``.
    gpus : int array
        GPUs they hold now.
    end_s : float array
        Expected end: start + estimate; now for a job past its estimate, or when its grace ends.
    started_s : float array
        Start of the present attempt, by job index.
    leaving : bool array
        Whether the job has been told to go, by job index.
    preempted : int array
        How often it has been told so, by job index.
    """

    __slots__ = ("_gpus", "_leaving", "_preempted", "_started_s", "end_s")

    def __init__(
        self,
        known: Submissions,
        job: Ints,
        gpus: Ints,
        end_s: Floats,
        started_s: Floats,
        leaving: Bools,
        preempted: Ints,
    ) -> None:
        super().__init__(known, job)
        self._gpus, self.end_s = gpus, end_s
        self._started_s, self._leaving, self._preempted = started_s, leaving, preempted

    @property
    def gpus(self) -> Ints:
        """GPUs it holds now."""
        return self._gpus

    @property
    def start_s(self) -> Floats:
        """Start of the present attempt."""
        return self._started_s[self.job]

    @property
    def is_leaving(self) -> Bools:
        """Whether it has been told to go."""
        return self._leaving[self.job]

    @property
    def preemptions(self) -> Ints:
        """How often it has been taken off its nodes, or told to go."""
        return self._preempted[self.job]


@dataclass(slots=True)
class NodesView:
    """Every node as the scheduler knows it; arrays by node.

    Parameters
    ----------
    gpus_per_node : int
        GPUs of a node.
    free_gpus : int array
        GPUs a job could take now: all of a free node, what others left of a shared one, 0 where nothing can start.
    free_at_s : float array
        When all of its GPUs are expected to be free; in the past where they are, infinite out of service.
    holder : int array
        Job that holds the node as a whole; -1 for none, -2 where jobs share it.
    tenant_end_s, tenant_gpus, tenant_job : arrays, shape (nodes, gpus_per_node)
        Expected end, GPUs and indices of the jobs on a shared node; unused entries have 0 GPUs. None where no job
        shares nodes.
    windows : WindowColumns
        Times, open or ahead, in which nodes are kept for an account (an index of accounts, -1 for nobody).
    """

    gpus_per_node: int
    free_gpus: Ints
    free_at_s: Floats
    holder: Ints
    tenant_end_s: Floats | None
    tenant_gpus: Ints | None
    tenant_job: Ints | None
    windows: WindowColumns


@dataclass(slots=True)
class SchedulerView:
    """What the scheduler sees in one pass. Arrays are read-only views, valid during the call.

    Parameters
    ----------
    now_s : float
        Time of the pass.
    free_gpus, free_nodes : int
        GPUs that jobs could take now, and nodes that are free as a whole (healthy, not held, not spare).
    capacity_gpus : int
        GPUs in service, spares left out.
    queue : QueuedJobs
        Waiting jobs in order of (submission, row).
    running : RunningJobs
        Jobs that hold nodes in order of expected end.
    nodes : NodesView
        Every node.
    shares_nodes, has_windows : bool
        Whether any job shares a node, and whether any node is kept for somebody from some time on.
    ended_early : bool
        Whether a job ended before its estimate since the last pass.
    usage_gpu_s : float array, or None
        GPU-seconds of each account, decayed, for policies that declare ``usage_half_life_s``.
    memory : object
        What the policy's ``remember()`` returned at the start of the run; None without that method.
    """

    now_s: float
    free_gpus: int
    free_nodes: int
    capacity_gpus: int
    queue: QueuedJobs
    running: RunningJobs
    nodes: NodesView
    shares_nodes: bool
    has_windows: bool
    ended_early: bool
    usage_gpu_s: Floats | None
    memory: Any


@dataclass(slots=True)
class PlacementView:
    """What is known when nodes are chosen for a job. Arrays are read-only views, valid during the call.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        Nodes it could take as a whole (healthy, not held, not spare, not kept for others).
    free_gpus : int array, shape (machine nodes,)
        GPUs it could take of each node.
    nodes : int
        How many are wanted: all of a job that starts, the missing ones of a job that lost some; 1 for a part of a node.
    gpus : int
        GPUs wanted of the node by a job that shares it, 0 for whole nodes.
    job : int
        Index of the job.
    held : int array
        Nodes it holds already.
    tiers : int array, shape (tiers, machine nodes)
        Group of every node on each tier of the network, the narrowest first (leaf, pod); no rows without a fabric.
    scale_up : int array, shape (machine nodes,)
        Scale-up domain of every node; every node its own where domains are not larger.
    """

    free: Bools
    free_gpus: Ints
    nodes: int
    gpus: int
    job: int
    held: Ints
    tiers: Ints
    scale_up: Ints


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
    nodes_left, fewest_nodes : int
        Nodes it still holds, and the fewest it can run on.
    spares_free : int
        Spare nodes that are ready.
    idle_nodes : int
        Other free nodes; an interrupted job takes them before the queue does.
    interruptions : int
        Interruptions of this job so far, this one included.
    interruptions_without_progress : int
        How many in a row brought no new saved work.
    requeues : int
        How often it has gone back to the queue after an interruption.
    """

    now_s: float
    job: int
    lost_nodes: int
    nodes_left: int
    fewest_nodes: int
    spares_free: int
    idle_nodes: int
    interruptions: int
    interruptions_without_progress: int
    requeues: int
