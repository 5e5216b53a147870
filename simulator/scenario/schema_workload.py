"""Sections of the scenario file that describe jobs, checkpoints and recovery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from simulator.policies.registry import families
from simulator.scenario import presets
from simulator.scenario.policy_fields import PolicySection, policy_section
from simulator.scenario.quantities import (
    EXAMPLES,
    DataSize,
    Fraction,
    Name,
    PositiveSeconds,
    Seconds,
    Section,
    refusal,
    text_schema,
)
from simulator.scenario.quantities import read_quantity as _read
from simulator.scenario.schema_machine import MAX_NODES, Nodes
from simulator.scenario.schema_training import TrainingSection
from simulator.workload.checkpoints import Reach


class ReallocateSection(Section):
    """Time to put the node list together again, by where the replacement comes from."""

    same: Seconds = 0.0
    """All nodes are still there."""
    hot: Seconds = 0.0
    """A hot spare."""
    warm: Seconds = 0.0
    """A warm spare."""
    cold: Seconds = 0.0
    """A cold spare."""
    repaired: Seconds = 0.0
    """A node back from repair, or an idle one."""
    queue: Seconds = 0.0
    """A new allocation from the queue."""


class PhasesSection(Section):
    """Phases of a restart after detection and localisation; loading belongs to the checkpoint tier."""

    tear_down: Seconds = 0.0
    """Stop the surviving ranks and free the GPUs."""
    reallocate: ReallocateSection = ReallocateSection()
    """Put the node list together again."""
    image: Seconds = 0.0
    """Pull the image."""
    dependencies: Seconds = 0.0
    """Install and import dependencies."""
    init: Seconds = 0.0
    """Collective initialisation, fixed part."""
    init_per_node: Seconds = 0.0
    """Collective initialisation, part per node of the job."""
    warm_up: Seconds = 0.0
    """First steps at no useful speed."""


class RecoveryKeys(PolicySection):
    """What happens after an interruption."""

    phases: PhasesSection = PhasesSection()
    """Durations of the phases of a restart."""


class IntervalKeys(PolicySection):
    """Useful work between two checkpoints: a policy's name, a duration, or a mapping."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_text(cls, value: Any, handler: ModelWrapValidatorHandler[IntervalKeys]) -> IntervalKeys:
        if not isinstance(value, str):
            return handler(value)
        names = families()["checkpointing"]
        if value in names:
            return handler({"policy": value})
        if not value[:1].isdigit():
            from simulator.scenario.loading import nearest

            allowed = ", ".join(names) + f', or a duration such as "{EXAMPLES["duration"][0]}"'
            raise refusal("unknown checkpoint interval", repr(value), allowed, nearest(value, list(names)))
        if _read(value, "duration") <= 0.0:
            raise refusal("a checkpoint interval must be greater than zero", repr(value), '"10 min"')
        return handler({"policy": "fixed", "interval": value})

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow a name or a duration besides the mapping."""
        names = {"type": "string", "enum": list(families()["checkpointing"])}
        return {"anyOf": [names, text_schema("duration"), handler(schema)]}


if TYPE_CHECKING:
    RecoverySection = RecoveryKeys
    IntervalSection = IntervalKeys
else:
    RecoverySection = policy_section("recovery", "replace", "RecoverySection", RecoveryKeys)
    IntervalSection = policy_section("checkpointing", "young", "IntervalSection", IntervalKeys)


def _workload_preset(value: str) -> str:
    presets.named("workloads", value)
    return value


WorkloadPreset = Annotated[
    str,
    AfterValidator(_workload_preset),
    WithJsonSchema({"type": "string", "enum": presets.names("workloads")}),
]
"""Name of a preset of workload models."""


class CheckpointTierSection(Section):
    """One place where checkpoints are kept."""

    name: Name
    """Name for reports."""
    blocking: Seconds
    """Time training stands still for one checkpoint."""
    persist: Seconds = 0.0
    """Time in the background until the checkpoint can be used."""
    load: Seconds = 0.0
    """Time to load it in a restart."""
    storage: Literal["blocking", "background"] | None = None
    """Keep it on cluster.storage: writing adds to blocking or to persist, and reading to load, at what others leave."""
    size: DataSize | None = None
    """One checkpoint on cluster.storage; absent: that of the training model."""
    survives: Reach = "domain"
    """Widest failure it survives: the death of the processes, of a node, of a whole domain."""
    interval: IntervalSection = IntervalSection()
    """Useful work between two checkpoints: young, daly, exact, never, a duration, or a mapping."""


class CheckpointSection(Section):
    """Where and how often jobs save their work."""

    tiers: Annotated[tuple[CheckpointTierSection, ...], Field(strict=False, max_length=16)] = ()
    """Checkpoint tiers, cheapest first; empty: nothing is saved."""


class CurveSection(Section):
    """How fast an elastic job is: 1 / (f + (1 - f) / n + c (n - 1)) on n nodes."""

    serial_fraction: Fraction = 0.0
    """Share f of the work that more nodes do not speed up."""
    cost_per_node: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Time c that each further node adds to a step, relative to a step on one node."""


class ElasticSection(CurveSection):
    """Widths between which an elastic job can run, and how fast it is: 1 / (f + (1 - f) / n + c (n - 1)) on n nodes."""

    fewest: Nodes
    """Nodes it needs."""
    most: Nodes | None = None
    """Nodes it can use; absent: those it asks for."""


class ElasticFactorsSection(CurveSection):
    """Widths of jobs that hold whole nodes, by the nodes they ask for, and how fast they are on n nodes."""

    fewest: Annotated[float, Field(gt=0, le=1)] = 1.0
    """A job needs this share of its nodes, rounded up."""
    most: Annotated[float, Field(ge=1, le=1000)] = 1.0
    """It can use so many times its nodes, rounded down, the machine without its spares at most."""


class JobSection(Section):
    """One job, or several equal ones."""

    name: Name
    """Name, unique in the scenario."""
    nodes: Nodes | Literal["all"] | None = None
    """Whole nodes the job holds; all: the machine without its spares."""
    gpus: Annotated[int, Field(ge=1, le=MAX_NODES * 1024)] | None = None
    """GPUs the job asks for, instead of nodes; fewer than a node has are a part of one (cluster.node_sharing)."""
    work: PositiveSeconds | None = None
    """Productive time until it is done; absent: it runs to the horizon."""
    submit: Seconds = 0.0
    """Submission."""
    copies: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How many equal jobs; with more than one they are called name-0, name-1, ..."""
    submit_every: Seconds | None = None
    """Time between the submissions of its copies; absent: all at once."""
    user: str = ""
    """Who submits it."""
    account: str = ""
    """On whose account; absent: the user's own."""
    partition: str = ""
    """Partition it is submitted to, one of cluster.partitions."""
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    """Class of priority, the higher the sooner, for policies that look at it."""
    elastic: ElasticSection | None = None
    """Widths at which it can run, for the policy elastic; absent: it is rigid."""
    fails_after: PositiveSeconds | None = None
    """Work at which a bug of its own stops every attempt; absent: it has none."""
    requested: PositiveSeconds | None = None
    """Run-time estimate the scheduler sees."""
    checkpoint: CheckpointSection | None = None
    """Overrides the checkpoint section for this job."""
    recovery: RecoverySection | None = None
    """Overrides keys of the recovery section for this job."""
    training: TrainingSection | None = None
    """What it computes and communicates; absent: work goes on at full rate whatever the network does."""


class PriorityStep(Section):
    """Class of priority of jobs from a size on."""

    gpus: Annotated[int, Field(ge=1, le=10_000_000)]
    """Jobs of at least so many GPUs."""
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
    """Their class; of several steps the largest that a job reaches counts."""


class RecordedSection(Section):
    """What holds for all jobs of a trace or of a model."""

    checkpoint: CheckpointSection | None = None
    """Where and how often they save their work; absent: nothing is saved."""
    recovery: RecoverySection | None = None
    """What happens after an interruption, over the recovery section; absent: requeued."""
    elastic: ElasticFactorsSection | None = None
    """Widths at which those that hold whole nodes can run, for the policy elastic; absent: they are rigid."""
    priorities: Annotated[tuple[PriorityStep, ...], Field(strict=False, max_length=100)] = ()
    """Classes of priority by size; absent: all jobs are of class 0."""


class TraceSection(RecordedSection):
    """Replay of a recorded workload."""

    format: Literal["swf", "slurm", "helios", "philly", "acme", "alibaba", "table"]
    """Format of the file; table is what import writes."""
    path: str
    """File, relative to the scenario's folder; a path given by --set may point anywhere."""
    first: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """Only the first jobs by submission; absent: all."""
    demand: Literal["nodes", "gpus"] | None = None
    """What one processor of the trace is: a node (default for swf) or a GPU (default for the others)."""
    estimates: Literal["requested", "exact"] = "requested"
    """What the scheduler sees: the requested time (the run time where it is missing), or the run time itself."""

    @property
    def counts_nodes(self) -> bool:
        """Whether the demand of the trace is in nodes."""
        return self.demand == "nodes" if self.demand is not None else self.format == "swf"


class SyntheticSection(RecordedSection):
    """Jobs drawn from a workload model, anew in each replication and the same for all variants.

    Time 0 is a Monday, 00:00.
    """

    model: WorkloadPreset | None = None
    """A preset; simulator presets lists them."""
    path: str | None = None
    """A model that simulator fit wrote, instead of a preset; relative to the scenario's folder."""
    jobs: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """How many; they come over the time in which their rate brings that many on average."""
    span: PositiveSeconds | None = None
    """Instead of jobs: all that come in this time; absent: until the horizon."""
    load: Annotated[float, Field(gt=0, le=100)] | None = None
    """GPU time of the jobs / GPU time of the machine while they come, spares not counted; absent: the model's rate."""
    rate_factor: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Instead of load: multiplies the model's rate."""
    size_factor: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Multiplies the GPUs of every job, rounded, at least one."""
    largest: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """GPUs of the largest job, larger ones are left out; absent: the machine without its spares."""
    users: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How many users; absent: the model's."""
    accounts: dict[Name, Annotated[float, Field(gt=0, le=1e6)]] = Field(default_factory=dict)
    """Accounts and their shares of the users, each of whom belongs to one; absent: every user is an account."""
    estimates: Literal["requested", "exact"] = "requested"
    """What the scheduler sees: the requested time (the run time if the model has none), or the run time itself."""

    @model_validator(mode="after")
    def _said_once(self) -> SyntheticSection:
        if (self.model is None) == (self.path is None):
            raise refusal("a synthetic workload has one model", allowed="model: rsc1, for example, or path")
        if self.jobs is not None and self.span is not None:
            raise refusal("jobs and span are two ways of saying the same", allowed="one of the two")
        if self.load is not None and self.rate_factor is not None:
            raise refusal("load and rate_factor are two ways of saying the same", allowed="one of the two")
        return self


class WorkloadSection(Section):
    """Jobs of the scenario, a trace, a synthetic workload, or several of them."""

    jobs: Annotated[tuple[JobSection, ...], Field(strict=False, max_length=10_000)] = ()
    """Jobs written in the scenario."""
    trace: TraceSection | None = None
    """Recorded workload."""
    synthetic: SyntheticSection | None = None
    """Workload drawn from a model."""
