"""Sections that describe the fabric of a machine: topology, routing and transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from simulator.network.collectives import ALGORITHMS
from simulator.network.routing import Policy
from simulator.scenario import presets
from simulator.scenario.quantities import (
    Bandwidth,
    Fraction,
    Money,
    Name,
    PositiveSeconds,
    Power,
    Seconds,
    Section,
    refusal,
)

Count = Annotated[int, Field(ge=1, le=10_000_000)]
Ratio = Annotated[float, Field(ge=1, le=1000)]
GpuModels = Annotated[tuple[str, ...], Field(strict=False)]
if TYPE_CHECKING:
    Algorithm = str
else:
    Algorithm = Literal[ALGORITHMS]

OF_TOPOLOGY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "clos": (("hosts_per_leaf",), ("leaves_per_pod", "oversubscription", "planes", "layout")),
    "leaf_spine": (("radix",), ()),
    "fat_tree": (("radix",), ()),
    "dragonfly": (("routers_per_group", "hosts_per_router", "global_links"), ()),
    "torus": (("dims",), ()),
    "hypercube": (("dimension",), ()),
    "graph": (("path",), ()),
}
"""Keys that each topology needs, and those it may have besides."""


class ScaleUpSection(Section):
    """The fast network inside a node or rack."""

    gpus: Count
    """GPUs in a domain."""
    rate: Bandwidth
    """One-way rate of a GPU."""
    latency: Seconds = 0.0
    """Latency of each of the two links between GPUs."""


class RoutingSection(Section):
    """How traffic finds its way."""

    policy: Policy | None = None
    """Which links a flow takes; absent: the usual one of the topology."""
    seed: Annotated[int, Field(ge=0, le=2**62)] = 0
    """Key of the hashes."""
    reroute: Seconds = 0.0
    """Time until traffic avoids a dead link, or sends less over a weak one, and uses one that is back."""
    stall_timeout: PositiveSeconds = 600.0
    """How long a job stands still for the network before its collectives give up."""


class WireSection(Section):
    """What a protocol makes of one kind of link."""

    hop: Seconds
    """Latency of one step of an algorithm."""
    efficiency: Fraction
    """Share of the wire rate that carries data."""


class ProtocolSection(Section):
    """One way in which a library moves data."""

    in_network: bool = False
    """Whether it belongs to algorithms in which switches reduce."""
    base: Seconds
    """Time of starting a collective."""
    chunk: Seconds = 0.0
    """Overhead of one piece of a pipelined message."""
    scale_up: WireSection
    """Inside a scale-up domain."""
    scale_out: WireSection
    """Between scale-up domains."""


class TransportSection(Section):
    """Protocols of the communication library: a preset by name, or a mapping."""

    name: str = "inline"
    """Name for reports."""
    gpu_models: GpuModels = ()
    """GPUs on which it was measured, as the model of the node type begins; others are warned about; empty: any."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(strict=False)] = ()
    """Algorithms that the library has; empty for all."""
    protocols: Annotated[dict[Name, ProtocolSection], Field(min_length=1)]
    """Protocols by name; the library takes the fastest for each size."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_preset(cls, value: Any, handler: ModelWrapValidatorHandler[TransportSection]) -> TransportSection:
        found: TransportSection = _preset_or_mapping("transports", value, handler)
        return found

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow a preset's name besides the mapping."""
        return {"anyOf": [{"type": "string", "enum": presets.names("transports")}, handler(schema)]}


class BillSection(Section):
    """What the parts of a fabric cost and draw, for its facts."""

    switch_price: Money | None = None
    """Price of a switch."""
    cable_price: Money | None = None
    """Price of a cable with its optics."""
    switch_power: Power | None = None
    """Power of a switch without optics."""
    optic_power: Power | None = None
    """Power of an optical module, two for each cable between switches."""


class FabricSection(Section):
    """The network between the GPUs: a preset by name, or a mapping."""

    name: str = "inline"
    """Name for reports."""
    gpu_models: GpuModels = ()
    """GPUs for which its rates are right, as the model of the node type begins; others are warned about; empty: any."""
    topology: Literal["clos", "leaf_spine", "fat_tree", "dragonfly", "torus", "hypercube", "graph"]
    """Family; rail-optimised and multi-plane fabrics are clos with layout rail, or planes."""
    rate: Bandwidth
    """What one GPU can send, and receive, over all its ports together: all planes, all links of a torus."""
    latency: Seconds = 0.0
    """Latency of each link."""
    hosts_per_leaf: Count | None = None
    """clos: down ports of a leaf switch."""
    leaves_per_pod: Count | None = None
    """clos: leaves of a pod; absent: two levels, all leaves under the same spines."""
    oversubscription: Annotated[tuple[Ratio, ...], Field(strict=False, min_length=1, max_length=2)] = (1.0, 1.0)
    """clos: down by up capacity of a leaf, and of a pod."""
    planes: Annotated[int, Field(ge=1, le=64)] = 1
    """clos: independent copies of the network between which the NIC is split."""
    layout: Literal["packed", "rail"] = "packed"
    """clos: a leaf holds whole nodes, or the GPUs of one position of its nodes."""
    radix: Annotated[int, Field(ge=2, le=256)] | None = None
    """leaf_spine, fat_tree: ports of a switch."""
    routers_per_group: Count | None = None
    """dragonfly: a."""
    hosts_per_router: Count | None = None
    """dragonfly: p."""
    global_links: Count | None = None
    """dragonfly: h, global links of a router."""
    dims: Annotated[tuple[Count, ...], Field(strict=False, min_length=2, max_length=3)] | None = None
    """torus: lengths of its dimensions."""
    dimension: Annotated[int, Field(ge=1, le=20)] | None = None
    """hypercube: number of dimensions."""
    path: str | None = None
    """graph: GraphML, node-link JSON, edge list in CSV, or Slurm topology.conf, relative to the scenario's folder."""
    scale_up: ScaleUpSection | None = None
    """The fast network inside a node or rack; absent: there is none."""
    routing: RoutingSection = RoutingSection()
    """How traffic finds its way."""
    transport: TransportSection = Field(default_factory=lambda: TransportSection.model_validate("ideal"))
    """Protocols of the communication library."""
    bill: BillSection = BillSection()
    """Prices and powers of its parts, shown by the command fabric."""
    gpus: Count | None = None
    """GPUs, where the fabric stands alone; in a scenario the cluster has them."""
    gpus_per_node: Count = 8
    """GPUs of a node, where the fabric stands alone."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_preset(cls, value: Any, handler: ModelWrapValidatorHandler[FabricSection]) -> FabricSection:
        found: FabricSection = _preset_or_mapping("fabrics", value, handler)
        return found

    @model_validator(mode="after")
    def _keys_of_topology(self) -> FabricSection:
        needed, optional = OF_TOPOLOGY[self.topology]
        for key in needed:
            if getattr(self, key) is None:
                raise refusal(f"topology {self.topology} needs {key}", allowed=", ".join(needed))
        others = {key for keys in OF_TOPOLOGY.values() for group in keys for key in group} - {*needed, *optional}
        for key in sorted(others & self.model_fields_set):
            raise refusal(f"topology {self.topology} has no {key}", key, ", ".join((*needed, *optional)))
        if (
            self.leaves_per_pod is None
            and "oversubscription" in self.model_fields_set
            and len(self.oversubscription) > 1
        ):
            problem, allowed = "two levels are oversubscribed once, above the leaves", "one number, or leaves_per_pod"
            raise refusal(problem, f"oversubscription {list(self.oversubscription)}", allowed)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow a preset's name besides the mapping."""
        return {"anyOf": [{"type": "string", "enum": presets.names("fabrics")}, handler(schema)]}


def _preset_or_mapping(kind: presets.Kind, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
    if isinstance(value, str):
        found = presets.named(kind, value)
        return handler({"name": found.name, **found.body(without=("facts",))})
    presets.refuse_own(kind, value)
    return handler(value)
