"""The scenario file as a whole, and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.json_schema import GenerateJsonSchema

from simulator.scenario.policy_fields import HealthSection, PlacementSection, SchedulingSection
from simulator.scenario.quantities import Name, PositiveSeconds, Seconds, Section
from simulator.scenario.schema_faults import FaultsSection, RepairsSection
from simulator.scenario.schema_machine import ClusterSection, ReservationSection
from simulator.scenario.schema_workload import CheckpointSection, RecoverySection, WorkloadSection

SCHEMA_FILE = "scenario.schema.json"
"""Name of the JSON Schema beside the shipped scenarios."""


class AnswerSection(Section):
    """What the one-sentence answer of the report is about."""

    metric: str
    """A metric of the data dictionary, for example ettr."""
    goal: Literal["max", "min"] | None = None
    """Whether more is better; absent: the metric's own direction."""
    bounds: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Variants that no one can buy, such as an upper bound: shown beside the others, left out of the answer."""


class PublishedSection(Section):
    """A published figure, shown beside the simulated one."""

    metric: str
    """A metric of the data dictionary."""
    variant: str | None = None
    """The variant it belongs to; absent: the first."""
    value: float
    """The figure, in the metric's SI unit."""
    kind: Literal["input", "prediction"]
    """Whether the scenario was given this figure, or predicts it."""
    source: Annotated[str, Field(min_length=1)]
    """Where it is published."""
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """How far the simulated mean may lie away, in the metric's unit; absent: no judgement."""
    bound: Literal["equal", "at_least", "at_most"] = "equal"
    """Whether the figure is a value or a bound ("more than 90 %")."""


class PublishedClass(Section):
    """A published number of faults of one class."""

    class_: Annotated[str, Field(alias="class", min_length=1)]
    """Fault class of the scenario."""
    count: Annotated[float, Field(ge=0)]
    """Published number in the time of the scenario."""


class AssumptionSection(Section):
    """A guess of the scenario's author."""

    key: Annotated[str, Field(min_length=1)]
    """Dotted key of the guess."""
    why: Annotated[str, Field(min_length=1)]
    """Why it is a guess, or where it leans on."""


class ReportSection(Section):
    """What the report says."""

    answer: AnswerSection = AnswerSection(metric="goodput")
    """What the one-sentence answer is about."""
    metrics: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Metrics shown in the report, in this order; absent: all that have a value."""
    published: Annotated[tuple[PublishedSection, ...], Field(strict=False)] = ()
    """Published figures."""
    published_classes: Annotated[tuple[PublishedClass, ...], Field(strict=False)] = ()
    """Published numbers of faults by class; they are inputs."""
    assumptions: Annotated[tuple[AssumptionSection, ...], Field(strict=False)] = ()
    """Guesses of the scenario's author, listed in the report."""
    spans: bool = False
    """Keep the whole table of who had which node when; otherwise only machines of up to 64 nodes have one."""


class VariantSpec(Section):
    """One variant of a scenario: the file with the variant's changes applied and ``extends`` followed."""

    name: Name
    """Name of the scenario."""
    question: str = ""
    """The planner's question."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    """Seed of all random streams."""
    replications: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    """Random worlds that compare runs for every variant."""
    horizon: PositiveSeconds | None = None
    """End of the simulated time; absent: the run ends with the last job."""
    warm_up: Seconds = 0.0
    """Start of the window in which occupancy (nodes out, spares in use) is measured."""
    sample_every: PositiveSeconds | None = None
    """Distance of the samples over time; absent: a 400th of the horizon, or 400 to 800 samples without one."""
    cluster: ClusterSection
    """The machine."""
    faults: FaultsSection = FaultsSection()
    """What goes wrong; absent: nothing fails."""
    repairs: RepairsSection = RepairsSection()
    """How nodes come back."""
    workload: WorkloadSection
    """What runs."""
    checkpoint: CheckpointSection = CheckpointSection()
    """Default for all jobs: where and how often they save their work; absent: nothing is saved."""
    recovery: RecoverySection = RecoverySection()
    """Default for all jobs: what happens after an interruption."""
    scheduling: SchedulingSection = SchedulingSection()
    """Which queued jobs start."""
    placement: PlacementSection = PlacementSection()
    """On which nodes."""
    health: HealthSection | None = None
    """Which repaired nodes are kept out of service for a time; absent: none."""
    reservations: Annotated[tuple[ReservationSection, ...], Field(strict=False, max_length=10_000)] = ()
    """Times in which nodes are kept for an account, or in maintenance."""
    report: ReportSection = ReportSection()
    """What the report says."""


class ScenarioFile(VariantSpec):
    """A scenario file as written; only its JSON Schema is used, for editors."""

    extends: str | None = None
    """Another scenario that this one changes: a path inside the folder, or a preset's name."""
    variants: dict[Name, dict[str, Any] | None] = Field(default_factory=dict)
    """Named sets of changes to the base, as nested mappings or dotted keys; the first is the baseline."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a scenario file.

    A file with ``extends`` may leave out what the other file gives, so the required keys hold only without it.
    """
    schema = ScenarioFile.model_json_schema(by_alias=True, mode="validation")
    required = schema.pop("required")
    schema["anyOf"] = [{"required": ["extends"]}, {"required": required}]
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}
