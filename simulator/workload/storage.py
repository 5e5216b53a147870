"""Shared storage: what checkpoints and data loading put on the fabric and on the storage system itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.network import sharing
from simulator.network.fabric import Fabric, Floats, Ints
from simulator.network.routing import Routing, usage
from simulator.workload.checkpoints import CheckpointTier


@dataclass(frozen=True)
class Storage:
    """A storage system that all jobs share.

    Parameters
    ----------
    write_rate, read_rate : float
        Bytes/s of the whole system.
    node_rate : float
        Bytes/s that one node can move to or from it, each way; infinite where only the fabric limits it.
    servers : int
        Server nodes that hang on the fabric behind the compute nodes, with as many ports; 0 for a network of its own.
    """

    write_rate: float
    read_rate: float
    node_rate: float = math.inf
    servers: int = 0

    @property
    def rates(self) -> Floats:
        """Write and read rate: two more links behind those of the fabric."""
        return np.array([self.write_rate, self.read_rate])


@dataclass(frozen=True, eq=False)
class Way:
    """The way of a job's bytes to storage, or from it.

    Parameters
    ----------
    links, weights : arrays, shape (entries,)
        Links of the fabric, then of the storage system, and bytes on each for one byte of each GPU.
    cap : float
        Bytes/s of one GPU's share of its node's port.
    gpus : int
        GPUs that move a share each.
    """

    links: Ints
    weights: Floats
    cap: float
    gpus: int

    def moving(self, size_bytes: float) -> sharing.Communication:
        """Return the transfer of so many bytes, spread evenly over the GPUs of the job."""
        return sharing.Communication(self.links, self.weights, size_bytes / self.gpus, self.cap)


@dataclass(frozen=True, eq=False)
class Ways:
    """Both ways of a job, and whether all bytes arrive."""

    write: Way
    read: Way
    arrives: bool


def ways(
    storage: Storage,
    nodes: Ints,
    gpus_per_node: int,
    machine_nodes: int,
    fabric: Fabric | None = None,
    routing: Routing | None = None,
    left: Floats | None = None,
) -> Ways:
    """Return how the bytes of a job get to storage and back.

    Parameters
    ----------
    storage : Storage
        The system.
    nodes : int array
        Nodes of the job.
    gpus_per_node, machine_nodes : int
        Shape of the machine; server ``s`` is node ``machine_nodes + s`` of the fabric.
    fabric, routing, left : optional
        The network, and the share of its capacity that each link is known to have left.

    Notes
    -----
    Every GPU moves an equal share. GPU ``r`` of a node talks to port ``r`` of the server that its node's number
    gives, modulo the servers: on rails the bytes stay on their rail.
    """
    g, n = gpus_per_node, len(nodes) * gpus_per_node
    first = 0 if fabric is None else fabric.links
    cap = storage.node_rate / g
    total = np.array([float(n)])
    if storage.servers == 0:
        none = np.empty(0, np.int64)
        write, read = (Way(np.append(none, first + k), total, cap, n) for k in (0, 1))
        return Ways(write, read, True)
    assert fabric is not None
    assert routing is not None
    place = np.arange(g, dtype=np.int64)
    host = (nodes[:, np.newaxis] * g + place).ravel()
    server = ((machine_nodes + nodes % storage.servers)[:, np.newaxis] * g + place).ravel()
    both, arrives = [], True
    for k, (source, target) in enumerate(((host, server), (server, host))):
        used = usage(fabric, source, target, routing, left)
        arrives &= bool(used.reachable.all())
        both.append(Way(np.append(used.links, first + k), np.append(used.weights, total), cap, n))
    return Ways(both[0], both[1], arrives)


def storage_traffics(
    found: Ways, tiers: Sequence[CheckpointTier], intervals_s: Sequence[float], data_rate: float
) -> list[tuple[sharing.Traffic, bool]]:
    """Return what a job moves to and from storage in one second of useful work.

    Parameters
    ----------
    found : Ways
        Its ways.
    tiers, intervals_s : sequences
        Its checkpoint tiers with the useful work between two saves; those off the storage system are left out.
    data_rate : float
        Training data it reads, bytes for each second of useful work.

    Returns
    -------
    list of (Traffic, bool)
        One for each tier on storage, in their order, with whether training stands still meanwhile; then the data.
    """
    rows = []
    for tier, interval_s in zip(tiers, intervals_s, strict=True):
        if tier.transfer is not None:
            saved, is_blocking = found.write.moving(tier.transfer.size_bytes), tier.transfer.is_blocking
            rows.append((sharing.Traffic((saved,), (1.0 / interval_s,), 1.0, not is_blocking), is_blocking))
    if data_rate > 0.0:
        rows.append((sharing.Traffic((found.read.moving(data_rate),), (1.0,), 1.0, True), False))
    return rows


def idle_seconds(storage: Storage, fabric: Fabric | None, communication: sharing.Communication) -> float:
    """Return the time of a transfer when nothing else moves on a healthy system."""
    capacity = storage.rates if fabric is None else np.concatenate((fabric.capacity, storage.rates))
    return communication.seconds(communication.alone_rate(capacity))
