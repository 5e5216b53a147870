"""Sections of the scenario file that describe the machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, ModelWrapValidatorHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from simulator.cluster.inventory import SpareKind
from simulator.scenario import presets
from simulator.scenario.quantities import (
    Bandwidth,
    DataSize,
    FlopRate,
    Name,
    PositiveSeconds,
    Power,
    Price,
    Seconds,
    Section,
)
from simulator.scenario.schema_fabric import FabricSection

MAX_NODES = 1_000_000

Nodes = Annotated[int, Field(ge=1, le=MAX_NODES)]


class AcceleratorSection(Section):
    """What a GPU can do, for training models."""

    peak: Annotated[dict[Literal["bf16", "fp8"], FlopRate], Field(min_length=1)]
    """Dense FLOP/s by precision."""
    memory: DataSize
    """Device memory."""
    memory_bandwidth: Bandwidth
    """Rate of the device memory."""


class PowerSection(Section):
    """What a node draws, GPUs and all else in it."""

    busy: Power
    """While its GPUs compute, on average."""
    idle: Power
    """Switched on and waiting."""
    off: Power = 0.0
    """Out of service."""


class NodeType(Section):
    """A type of node: a preset by name, or a mapping."""

    name: str = "inline"
    """Name for reports."""
    gpus: Annotated[int, Field(ge=1, le=1024)]
    """GPUs per node."""
    gpu: str = "GPU"
    """GPU model, for reports."""
    price: Price | None = None
    """Price of one GPU, for example "2.95 USD/GPU/h"."""
    domains: dict[Name, Nodes] = Field(default_factory=dict)
    """Failure domains that come with the node type: nodes per domain."""
    power: PowerSection | None = None
    """What a node draws; absent: no energy is reported."""
    accelerator: AcceleratorSection | None = None
    """What its GPUs can do; needed by jobs with a training model."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_preset(cls, value: Any, handler: ModelWrapValidatorHandler[NodeType]) -> NodeType:
        if isinstance(value, str):
            found = presets.named("nodes", value)
            return handler({"name": found.name, **_accelerator(found), **found.body(without=("facts",))})
        presets.refuse_own("nodes", value)
        return handler(value)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow a preset's name besides the mapping."""
        return {"anyOf": [{"type": "string", "enum": presets.names("nodes")}, handler(schema)]}


def _accelerator(found: presets.Preset) -> dict[str, Any]:
    """Return the accelerator that a preset's facts describe."""
    facts = found.body().get("facts", {})
    peak = {kind: facts[f"peak_{kind}_dense"] for kind in ("bf16", "fp8") if f"peak_{kind}_dense" in facts}
    if not peak or "memory" not in facts or "memory_bandwidth" not in facts:
        return {}
    section = {"peak": peak, "memory": facts["memory"], "memory_bandwidth": facts["memory_bandwidth"]}
    return {"accelerator": section}


class SparesSection(Section):
    """Nodes kept free as replacements."""

    count: Annotated[int, Field(ge=0, le=MAX_NODES)] = 0
    """How many of the nodes are spares; they are part of cluster.nodes."""
    per: Name | None = None
    """Kind of domain each of which has so many, such as rack; absent: so many of the whole machine."""
    kind: SpareKind = "warm"
    """Readiness: hot (ranks run idle), warm (image and self-test done), cold (needs provisioning)."""


class StorageSection(Section):
    """Storage that all jobs share."""

    write: Bandwidth
    """What the whole system can write."""
    read: Bandwidth
    """What the whole system can read."""
    servers: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Server nodes that hang on the fabric behind the compute nodes, with as many ports; 0: a network of its own."""
    node_rate: Bandwidth | None = None
    """What one node can move to or from it, each way; absent: only the fabric, or nothing, limits it."""


class ClusterSection(Section):
    """The machine."""

    nodes: Nodes
    """All nodes, spares included."""
    node: NodeType
    """Type of the nodes: a preset name such as h100_8gpu, or a mapping."""
    price: Price | None = None
    """Price of one GPU, overrides the node type's."""
    domains: dict[Name, Nodes] = Field(default_factory=dict)
    """Failure domains: kind -> nodes per domain; domain i holds the i-th run of that many nodes."""
    spares: SparesSection = SparesSection()
    """Nodes kept free as replacements."""
    fabric: FabricSection | None = None
    """The network between the GPUs: a preset name such as rail_400g, or a mapping; absent: it is not modelled."""
    storage: StorageSection | None = None
    """Storage for checkpoints and training data; absent: none is modelled."""
    node_sharing: bool = True
    """Whether jobs that ask for fewer GPUs than a node has share one; otherwise every job holds whole nodes."""
    partitions: dict[Name, Nodes] = Field(default_factory=dict)
    """Most nodes of a job by partition; absent: partitions of jobs are not looked at."""

    @property
    def fabric_gpus(self) -> int:
        """Ports of the fabric: those of the GPUs, and those of the storage servers behind them."""
        servers = 0 if self.storage is None else self.storage.servers
        return (self.nodes + servers) * self.node.gpus

    @property
    def working_gpus(self) -> int:
        """GPUs that jobs can use: those of all nodes but the spares."""
        return (self.nodes - self.spare_nodes) * self.node.gpus

    @property
    def spare_nodes(self) -> int:
        """Spares of the whole machine."""
        per = self.spares.per
        return self.spares.count * (1 if per not in self.domain_sizes else self.units_of(str(per)))

    @property
    def domain_sizes(self) -> dict[str, int]:
        """Nodes per domain of every kind, those of the node type included."""
        return {**self.node.domains, **self.domains}

    @property
    def price_usd_per_gpu_s(self) -> float | None:
        """Price of one GPU for one second, None where none is given."""
        return self.node.price if self.price is None else self.price

    def units_of(self, scope: str) -> int:
        """Return how many units of a scope there are: nodes, GPUs or domains of that kind."""
        if scope == "node":
            return self.nodes
        if scope == "GPU":
            return self.nodes * self.node.gpus
        return -(-self.nodes // self.domain_sizes[scope])


class ReservationSection(Section):
    """A time in which nodes are kept for an account, or taken out of service as planned."""

    name: Name
    """Name, unique among the reservations."""
    start: Seconds
    """Begin, after the start of the simulation."""
    duration: PositiveSeconds
    """How long."""
    nodes: Nodes | Literal["all"]
    """How many nodes."""
    first_node: Annotated[int, Field(ge=0, lt=MAX_NODES)] = 0
    """The first of them; the others follow it."""
    account: str = ""
    """For whose jobs the nodes are kept."""
    maintenance: bool = False
    """Whether the nodes leave service instead; jobs that still run on them are stopped and queued again."""
    every: PositiveSeconds | None = None
    """Repeat after this time, until the horizon; absent: once."""
