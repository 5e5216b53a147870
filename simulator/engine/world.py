"""The world of one replication: everything the engine needs, assembled once, never changed by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.energy import PowerModel
from simulator.cluster.inventory import Machine
from simulator.faults.catalogue import FaultClass
from simulator.network.fabric import Fabric
from simulator.network.routing import Routing
from simulator.network.transport import Transport
from simulator.policies.protocols import (
    CheckpointingPolicy,
    HealthPolicy,
    PlacementPolicy,
    RecoveryPolicy,
    SchedulingPolicy,
)
from simulator.workload.checkpoints import CheckpointTier
from simulator.workload.elastic import GoodputCurve
from simulator.workload.job import JobTable
from simulator.workload.placed_step import TrainingStep
from simulator.workload.restart import RestartPhases
from simulator.workload.storage import Storage


@dataclass(frozen=True)
class JobProfile:
    """How a kind of job saves its work and comes back after an interruption.

    Parameters
    ----------
    name : str
        Name for reports ("training", "trace").
    tiers : tuple of CheckpointTier
        Where checkpoints go, cheapest first; empty: nothing is saved and an interruption loses everything.
    checkpointing : tuple of CheckpointingPolicy
        One per tier: chooses its interval.
    restart : RestartPhases
        Phases of a restart.
    recovery : RecoveryPolicy
        What happens after an interruption.
    step : TrainingStep or None
        What a step computes and communicates; None for work that always goes on at full rate.
    data_rate : float
        Training data read from storage, bytes for each second of useful work.
    """

    name: str
    tiers: tuple[CheckpointTier, ...]
    checkpointing: tuple[CheckpointingPolicy, ...]
    restart: RestartPhases
    recovery: RecoveryPolicy
    step: TrainingStep | None = None
    data_rate: float = 0.0


@dataclass(frozen=True)
class Network:
    """The fabric of the machine and how traffic uses it.

    Parameters
    ----------
    fabric : Fabric
        Links and switches; host ``i`` is GPU ``i`` of the machine.
    routing : Routing
        Which links a flow takes, and how long routes stay ignorant of a change.
    transport : Transport
        What protocols make of the links.
    stall_timeout_s : float
        How long a job stands still for the network before its collectives give up.
    """

    fabric: Fabric
    routing: Routing
    transport: Transport
    stall_timeout_s: float


@dataclass(frozen=True)
class Window:
    """A time in which some nodes are kept for an account, or for maintenance.

    Parameters
    ----------
    name : str
        Unique among the windows.
    start_s, end_s : float
        From when until when.
    nodes : int array
        Which.
    account : str
        For whom, "" for nobody.
    is_maintenance : bool
        Whether the nodes leave service meanwhile.
    """

    name: str
    start_s: float
    end_s: float
    nodes: NDArray[np.int64]
    account: str
    is_maintenance: bool


@dataclass(frozen=True)
class World:
    """One variant of a scenario in one replication.

    Parameters
    ----------
    machine : Machine
        The cluster.
    faults : tuple of FaultClass
        What goes wrong; empty for a perfect machine.
    technicians : int or None
        Technicians on duty at any time; None for as many as needed.
    jobs : JobTable
        The workload.
    profiles : tuple of JobProfile
        Indexed by ``jobs.profile``.
    scheduling : SchedulingPolicy
        Which queued jobs start.
    placement : PlacementPolicy
        On which nodes.
    network : Network or None
        The fabric; None for a machine whose network is not modelled.
    storage : Storage or None
        The storage that jobs share; None where none is modelled.
    health : HealthPolicy or None
        Which repaired nodes are kept out of service for a time; None: none.
    windows : tuple of Window
        Reservations and maintenance.
    partitions : mapping of str to int, or None
        Most nodes of a job by partition; None where partitions are not checked.
    curves : tuple of GoodputCurve
        How fast elastic jobs are at other widths, indexed by ``jobs.width``.
    power : PowerModel or None
        What GPUs draw by state; None where the node type does not say.
    price_usd_per_gpu_s : float or None
        Price of one GPU of the machine for one second, None where no price is given.
    horizon_s : float or None
        End of the simulated time (half-open); None: until the last job ends.
    warm_up_s : float
        Start of the window in which occupancy (nodes out, spares in use) is measured.
    sample_every_s : float or None
        Distance of the samples in the ``series`` table; None: a 400th of the horizon, or 400 to 800 in all.
    seed, replication : int
        Key of all random streams.
    keeps_spans : bool
        Whether the table of who had which node when is kept whole, however large the machine.
    """

    machine: Machine
    faults: tuple[FaultClass, ...]
    technicians: int | None
    jobs: JobTable
    profiles: tuple[JobProfile, ...]
    scheduling: SchedulingPolicy
    placement: PlacementPolicy
    network: Network | None
    storage: Storage | None
    price_usd_per_gpu_s: float | None
    horizon_s: float | None
    warm_up_s: float
    sample_every_s: float | None
    seed: int
    replication: int
    health: HealthPolicy | None = None
    windows: tuple[Window, ...] = ()
    partitions: Mapping[str, int] | None = None
    curves: tuple[GoodputCurve, ...] = ()
    power: PowerModel | None = None
    keeps_spans: bool = False
