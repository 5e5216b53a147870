"""From a section of the file to the fabric it means."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from pathlib import Path

from simulator.engine.world import Network
from simulator.errors import InputError
from simulator.network import topologies
from simulator.network.fabric import Fabric
from simulator.network.parts import part_counts
from simulator.network.routing import ALLOWED, Routing, usual_policy
from simulator.network.topologies import Ports, ScaleUp
from simulator.network.transport import Protocol, Transport, Wire
from simulator.scenario import presets
from simulator.scenario.loading import nearest, read_document
from simulator.scenario.schema_fabric import FabricSection, TransportSection, WireSection
from simulator.scenario.schema_machine import ClusterSection
from simulator.workload.storage import Storage


def transport_of(section: TransportSection) -> Transport:
    """Return the transport a section describes."""

    def wire(part: WireSection) -> Wire:
        return Wire(part.hop, part.efficiency)

    protocols = tuple(
        Protocol(name, each.in_network, each.base, each.chunk, wire(each.scale_up), wire(each.scale_out))
        for name, each in section.protocols.items()
    )
    return Transport(section.name, protocols, section.algorithms)


def routing_of(section: FabricSection, fabric: Fabric) -> Routing:
    """Return the routing a section describes.

    Raises
    ------
    InputError
        A policy that the topology does not have.
    """
    policy = section.routing.policy or usual_policy(fabric)
    if policy not in ALLOWED[fabric.kind]:
        allowed = ", ".join(ALLOWED[fabric.kind])
        problem = f"topology {section.topology} has no such routing"
        raise InputError(problem, key="routing.policy", found=repr(policy), allowed=allowed)
    return Routing(policy, section.routing.seed, section.routing.reroute)


_MOST_BUILT = 16
_built: dict[tuple[str, int, int], Fabric] = {}


def build_fabric(section: FabricSection, gpus: int, gpus_per_node: int) -> Fabric:
    """Return the fabric of a machine.

    Parameters
    ----------
    section : FabricSection
        What it is like.
    gpus, gpus_per_node : int
        Size of the machine; a fabric of fixed size may have more ports.

    Raises
    ------
    InputError
        The fabric is too small, or its graph cannot be read.
    """
    # Sections hold mappings and have no hash; routing, transport, bill and models of GPUs do not change the links.
    key = (section.model_dump_json(exclude={"routing", "transport", "bill", "gpu_models"}), gpus, gpus_per_node)
    if key not in _built:
        if len(_built) >= _MOST_BUILT:
            _built.clear()
        _built[key] = _build(section, gpus, gpus_per_node)
    return _built[key]


def _build(section: FabricSection, gpus: int, gpus_per_node: int) -> Fabric:
    inner = section.scale_up
    if inner is not None and inner.gpus % gpus_per_node and gpus_per_node % inner.gpus:
        found, allowed = f"{inner.gpus} GPUs", f"a divisor or a multiple of the {gpus_per_node} GPUs of a node"
        raise InputError("scale-up domains and nodes overlap", key="scale_up.gpus", found=found, allowed=allowed)
    scale_up = ScaleUp() if inner is None else ScaleUp(inner.gpus, inner.rate, inner.latency)
    ports = Ports(section.rate, section.latency, gpus_per_node, scale_up)
    fabric = _topology(section, gpus, ports)
    if fabric.hosts < gpus:
        found, allowed = f"{gpus} GPUs", f"at most {fabric.hosts}, storage servers included"
        raise InputError("the fabric has fewer ports than the machine has GPUs", found=found, allowed=allowed)
    return fabric if section.name == "inline" else replace(fabric, name=section.name)


def _topology(section: FabricSection, gpus: int, ports: Ports) -> Fabric:
    given = {key: getattr(section, key) for key in section.model_fields_set | {"radix", "dims", "dimension", "path"}}
    match section.topology:
        case "clos":
            return topologies.clos(
                gpus,
                given["hosts_per_leaf"],
                ports,
                leaves_per_pod=section.leaves_per_pod,
                oversubscription=(*section.oversubscription, 1.0)[:2],
                planes=section.planes,
                layout=section.layout,
                name=section.name,
            )
        case "leaf_spine":
            return topologies.leaf_spine(given["radix"], ports)
        case "fat_tree":
            return topologies.fat_tree(given["radix"], ports)
        case "dragonfly":
            a, p, h = given["routers_per_group"], given["hosts_per_router"], given["global_links"]
            return topologies.dragonfly(a, p, h, ports)
        case "torus":
            return topologies.torus(given["dims"], ports)
        case "hypercube":
            return topologies.hypercube(given["dimension"], ports)
        case "graph":
            from simulator.network.graphs import read_graph

            return read_graph(Path(given["path"]), ports)


def network_of(cluster: ClusterSection) -> Network | None:
    """Return the network of a machine, None where none is described."""
    section = cluster.fabric
    if section is None:
        return None
    fabric = build_fabric(section, cluster.fabric_gpus, cluster.node.gpus)
    routing, transport = routing_of(section, fabric), transport_of(section.transport)
    return Network(fabric, routing, transport, section.routing.stall_timeout)


def storage_of(cluster: ClusterSection) -> Storage | None:
    """Return the shared storage of a machine, None where none is described."""
    section = cluster.storage
    if section is None:
        return None
    node_rate = math.inf if section.node_rate is None else section.node_rate
    return Storage(section.write, section.read, node_rate, section.servers)


def fabric_parts(cluster: ClusterSection) -> dict[str, int]:
    """Return how many parts of each kind the machine's fabric has that can fail; empty without a fabric."""
    if cluster.fabric is None:
        return {}
    return dict(_parts(build_fabric(cluster.fabric, cluster.fabric_gpus, cluster.node.gpus)))


_parts = functools.lru_cache(maxsize=_MOST_BUILT)(part_counts)


def load_fabric(name: str, gpus: int | None = None, size_key: str = "gpus") -> tuple[Network, FabricSection]:
    """Return the network of a preset, of a fabric file, or of a scenario's cluster.

    Parameters
    ----------
    name : str
        A preset's name, or a YAML file: the keys of ``cluster.fabric``, or a whole scenario.
    gpus : int, optional
        Size of the machine where neither the file nor the topology gives one.
    size_key : str
        What the user knows ``gpus`` by, for errors.

    Raises
    ------
    InputError
        Neither a preset nor a file, a file that is wrong, or no size.
    """
    known = presets.names("fabrics")
    if name not in known and not Path(name).suffix:
        allowed = f"a YAML file, or one of {', '.join(known)}"
        raise InputError("unknown fabric", found=repr(name), allowed=allowed, nearest=nearest(name, known))
    if name in known:
        section = FabricSection.model_validate(name)
    else:
        document = read_document(name)
        if "cluster" in document.data or "extends" in document.data:
            from simulator.scenario.resolved import resolve

            scenario = resolve(document)
            cluster = scenario.variant(scenario.baseline).cluster
            network = network_of(cluster)
            if network is None or cluster.fabric is None:
                raise InputError("the scenario's cluster has no fabric", file=name, key="cluster.fabric")
            return network, cluster.fabric
        section = _validated(document)
    size = section.gpus or gpus
    if size is None:
        if section.topology == "clos":
            allowed = f"{size_key}=1024 (--{size_key} 1024), for example, or gpus: 1024 in a file of its own"
            raise InputError("how large is the machine?", file=name, key=size_key, allowed=allowed)
        size = 1
    whole = math.ceil(size / section.gpus_per_node) * section.gpus_per_node
    size = whole if section.topology == "clos" else size
    fabric = build_fabric(section, size, section.gpus_per_node)
    network = Network(
        fabric, routing_of(section, fabric), transport_of(section.transport), section.routing.stall_timeout
    )
    return network, section


def _validated(document: object) -> FabricSection:
    from pydantic import ValidationError

    from simulator.scenario.checking import explain
    from simulator.scenario.loading import Document

    assert isinstance(document, Document)
    try:
        return FabricSection.model_validate(document.data)
    except ValidationError as error:
        raise explain(error, document) from error
