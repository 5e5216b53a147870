"""Sections of the scenario file that describe faults and repairs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, ModelWrapValidatorHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from simulator.faults.catalogue import Clock, HazardFamily, InitialAge
from simulator.scenario import presets
from simulator.scenario.quantities import (
    DurationSpec,
    Fraction,
    MtbfField,
    Name,
    RateField,
    Section,
    merged,
    refusal,
)
from simulator.units import Rate


class HazardSection(Section):
    """How the failure rate of a component changes with its age."""

    family: HazardFamily = "exponential"
    """Distribution of the life of a new component; its mean follows from the rate."""
    shape: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Weibull shape, or the standard deviation of the logarithm for lognormal."""
    initial_age: InitialAge = "stationary"
    """Ages at the start: those of a long-running fleet, or all new."""


class FrailtySection(Section):
    """Lasting differences between nodes; the mean over the machine stays 1."""

    lemon_fraction: Fraction = 0.0
    """Share of nodes that are lemons."""
    lemon_factor: Annotated[float, Field(ge=1, le=1e6)] = 1.0
    """How many times a lemon fails as often as a normal node."""
    gamma_cv: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Coefficient of variation of a gamma-distributed multiplier for all nodes."""


class FaultClassSection(Section):
    """One class of faults; a class of the mix with the same name keeps the keys that are not given here."""

    component: str | None = None
    """Component that fails, for reports ("GPU", "switch", "software")."""
    rate: RateField | None = None
    """Rate with its population, for example "3.79 / 1000 node-days"."""
    mtbf: MtbfField | None = None
    """Mean time between failures of one unit, instead of rate, for example "42 days per node"."""
    scope: Name = "node"
    """What fails: a node, a kind of domain whose nodes all go down together, or a kind of part of the fabric."""
    components_per_unit: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Independent components of a unit that share its rate; only ageing hazards tell the difference."""
    hazard: HazardSection = HazardSection()
    """How the rate changes with age."""
    clock: Clock = "calendar"
    """Time that counts: all time in the machine, powered time, or time held by a job."""
    stops_job: bool = True
    """Whether the job on the unit is interrupted."""
    takes_node_out: bool = True
    """Whether the unit leaves service and needs a repair."""
    detect: DurationSpec | None = None
    """From onset to alarm."""
    localise: DurationSpec | None = None
    """From alarm to knowing the unit."""
    repair: Name | None = None
    """Repair mix of this class; absent: repairs.mix."""
    frailty: FrailtySection | None = None
    """Lasting differences between units."""
    capacity_left: Fraction = 0.0
    """Parts of the fabric only: share of the part's link capacity that is left until it is repaired."""

    @model_validator(mode="after")
    def _one_rate(self) -> FaultClassSection:
        if self.rate is not None and self.mtbf is not None:
            raise refusal("rate and mtbf are two ways of saying the same", allowed="one of the two")
        return self

    @property
    def unit_rate(self) -> Rate | None:
        """The rate, however it was given."""
        return self.rate if self.mtbf is None else self.mtbf

    def changed_by(self, changes: FaultClassSection | None) -> FaultClassSection:
        """Return this class with the keys that ``changes`` sets; a new rate or mtbf replaces either."""
        result = merged(self, changes)
        if changes is not None and changes.unit_rate is not None:
            result = result.model_copy(update={"rate": changes.unit_rate, "mtbf": None})
        return result


class FaultMix(Section):
    """A mix of fault classes: a preset by name, or a mapping."""

    name: str = "inline"
    """Name for reports."""
    gpus_per_node: Annotated[int, Field(ge=1, le=1024)] | None = None
    """GPUs of the nodes on which the rates were counted, where that is known; said where the cluster has others."""
    defaults: FaultClassSection = FaultClassSection()
    """Keys of every class of the mix that does not give them itself."""
    classes: Annotated[dict[Name, FaultClassSection], Field(min_length=1)]
    """Fault classes by name."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_preset(cls, value: Any, handler: ModelWrapValidatorHandler[FaultMix]) -> FaultMix:
        if isinstance(value, str):
            found = presets.named("faults", value)
            return handler({"name": found.name, **found.body()})
        presets.refuse_own("faults", value)
        return handler(value)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow a preset's name besides the mapping."""
        return {"anyOf": [{"type": "string", "enum": presets.names("faults")}, handler(schema)]}


class FaultsSection(Section):
    """What goes wrong."""

    mix: FaultMix | None = None
    """Fault classes: a preset name such as llama3_2024, or a mapping {classes: {...}}."""
    rate_factor: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Multiplies every rate."""
    detect: DurationSpec | None = None
    """From onset to alarm, for all classes."""
    localise: DurationSpec | None = None
    """From alarm to knowing the unit, for all classes."""
    clock: Clock | None = None
    """Time that counts, for all classes."""
    hazard: HazardSection | None = None
    """How the rate changes with age, for all classes."""
    frailty: FrailtySection | None = None
    """Lasting differences between units, for all classes."""
    classes: dict[Name, FaultClassSection] = Field(default_factory=dict)
    """Further classes, and changes to single keys of classes of the mix; they win over the keys above."""


class RepairTierSection(Section):
    """One way of repairing a node."""

    probability: Fraction
    """Share of repairs done this way; the tiers of a mix sum to 1."""
    time: DurationSpec
    """Repair time, waiting for a technician not included."""
    needs_technician: bool = False
    """Whether one of the technicians is busy meanwhile."""


class RepairMixSection(Section):
    """The repairs of a fault class; a preset of the same name keeps the keys that are not given here."""

    tiers: dict[Name, RepairTierSection] | None = None
    """Ways of repairing by name."""
    verify: DurationSpec | None = None
    """Test after the repair."""
    failure_probability: Fraction = 0.0
    """Chance that a repair does not cure the fault."""
    escape_probability: Fraction = 1.0
    """Chance that the test misses a fault that was not cured."""
    recurrence: DurationSpec | None = None
    """Time in service until a missed fault strikes again."""


class RepairsSection(Section):
    """How nodes come back."""

    mix: Name | None = None
    """Repair mix of every class that names none: a preset such as operator_mix_assumed, or a name of mixes."""
    technicians: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Technicians on duty at any time; absent: as many as needed."""
    mixes: dict[Name, RepairMixSection] = Field(default_factory=dict)
    """Own repair mixes, and changes to single keys of presets, by name."""
