"""What can go wrong: fault classes and the repairs they need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from simulator.distributions import ZERO, Duration

Clock = Literal["calendar", "powered", "under_load"]
HazardFamily = Literal["exponential", "weibull", "lognormal"]
InitialAge = Literal["stationary", "new"]


@dataclass(frozen=True)
class Hazard:
    """How the failure rate of one component changes with its age.

    Parameters
    ----------
    family : {"exponential", "weibull", "lognormal"}
        Distribution of the life of a new component; its mean is fixed by the rate of the fault class.
    shape : float
        Weibull shape k, or the standard deviation of the logarithm for ``lognormal``; ignored by ``exponential``.
    initial_age : {"stationary", "new"}
        Whether components start at the age a long-running fleet would have (the long-run rate holds from the
        first day) or all new.
    """

    family: HazardFamily = "exponential"
    shape: float = 1.0
    initial_age: InitialAge = "stationary"


@dataclass(frozen=True)
class Frailty:
    """Lasting differences between nodes: a multiplier of the rate, scaled so that its fleet mean is exactly 1.

    Parameters
    ----------
    lemon_fraction : float
        Share of nodes that are lemons, 0 to 1; rounded to whole nodes (at least one when positive).
    lemon_factor : float
        How many times a lemon fails as often as a normal node.
    gamma_cv : float
        Coefficient of variation of a gamma-distributed multiplier for all nodes (0 for none).
    """

    lemon_fraction: float = 0.0
    lemon_factor: float = 1.0
    gamma_cv: float = 0.0


@dataclass(frozen=True)
class RepairTier:
    """One way of repairing a node.

    Parameters
    ----------
    name : str
        Name shown in reports ("reboot", "swap", "rma").
    probability : float
        Share of repairs that take this tier, 0 to 1; the tiers of a mix sum to 1.
    time : Duration
        Hands-on or vendor time, waiting for a technician not included.
    needs_technician : bool
        Whether one of the machine's technicians is busy meanwhile.
    """

    name: str
    probability: float
    time: Duration
    needs_technician: bool = False


@dataclass(frozen=True)
class RepairMix:
    """The repairs of one fault class: tiers, verification and what goes wrong with repairs.

    Parameters
    ----------
    name : str
        Name shown in reports.
    tiers : tuple of RepairTier
        Alternatives; one is drawn for each fault.
    verify : Duration
        Test time after the repair (ledger bucket ``testing``).
    failure_probability : float
        Chance that a repair does not cure the fault.
    escape_probability : float
        Chance that verification misses an uncured fault. A caught one is repaired again; one that escapes returns
        with the node and strikes again after ``recurrence`` of service.
    recurrence : Duration
        Time in service until an escaped fault strikes again.
    """

    name: str
    tiers: tuple[RepairTier, ...]
    verify: Duration = ZERO
    failure_probability: float = 0.0
    escape_probability: float = 1.0
    recurrence: Duration = ZERO

    @property
    def mean_time_s(self) -> float:
        """Mean repair time of one visit, seconds, waiting and verification not included."""
        return sum(tier.probability * tier.time.mean_s for tier in self.tiers)


@dataclass(frozen=True)
class FaultClass:
    """One class of faults.

    Parameters
    ----------
    name : str
        Name of the class, unique in a scenario ("gpu_hbm3").
    component : str
        Component that fails ("GPU", "switch", "software").
    rate_per_s : float
        Long-run rate of ONE unit of the scope (one node, or one domain), on the class's clock, 1/s.
    scope : str
        ``"node"``, the kind of domain whose members all go down together ("rack", "switch"), or a kind of part of the
        fabric ("host_link", "leaf_switch").
    components_per_unit : int
        Independent components of a unit that share ``rate_per_s`` equally; only ageing hazards tell the difference.
    hazard : Hazard
        How the rate of a component changes with age.
    clock : {"calendar", "powered", "under_load"}
        Which time of a unit counts: all time in the machine (not out of service), powered time, time held by a job.
    stops_job : bool
        Whether the job on the unit is interrupted.
    takes_node_out : bool
        Whether the unit leaves service and needs a repair. Without ``stops_job`` the node is cordoned and leaves
        when its job lets go of it.
    detect : Duration
        Onset to alarm.
    localise : Duration
        Alarm to knowing the unit; isolation follows at once.
    repair : RepairMix or None
        Needed when ``takes_node_out``.
    frailty : Frailty or None
        Lasting differences between units.
    is_of_fabric : bool
        Whether the unit is a part of the fabric, which neither stops jobs nor takes nodes out by itself.
    capacity_left : float
        Share of the unit's link capacity that is left until the repair, for parts of the fabric.
    """

    name: str
    component: str
    rate_per_s: float
    scope: str = "node"
    components_per_unit: int = 1
    hazard: Hazard = field(default_factory=Hazard)
    clock: Clock = "calendar"
    stops_job: bool = True
    takes_node_out: bool = True
    detect: Duration = ZERO
    localise: Duration = ZERO
    repair: RepairMix | None = None
    frailty: Frailty | None = None
    is_of_fabric: bool = False
    capacity_left: float = 0.0

    @property
    def reach(self) -> Literal["process", "node", "domain"]:
        """How far the damage goes; a checkpoint tier survives it or not."""
        if not self.takes_node_out:
            return "process"
        return "node" if self.scope == "node" else "domain"
