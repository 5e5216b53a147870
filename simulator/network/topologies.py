"""Builders of fabrics: leaf-spine, fat-tree, rail-optimised, multi-plane, dragonfly, torus, hypercube."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulator.errors import InputError
from simulator.network.fabric import (
    SCALE_UP,
    ClosShape,
    DragonflyShape,
    Fabric,
    Floats,
    HypercubeShape,
    Ints,
    Shape,
    TorusShape,
)

Layout = Literal["packed", "rail"]

MOST_HOSTS, MOST_CABLES = 2**20, 2**24
"""What a fabric may have; beyond it would not fit the memory of a workstation."""


@dataclass(frozen=True)
class ScaleUp:
    """The fast network inside a node or rack.

    Parameters
    ----------
    size : int
        GPUs in a domain; consecutive hosts. 1 for none.
    rate : float
        One-way bytes/s of a GPU.
    latency : float
        Seconds of each of the two links between GPUs.
    """

    size: int = 1
    rate: float = math.inf
    latency: float = 0.0


@dataclass(frozen=True)
class Ports:
    """What the hosts of a fabric bring along.

    Parameters
    ----------
    rate : float
        Bytes/s that a host can send, and receive at the same time, over all its ports together: those of all planes,
        and of all directions of a torus or hypercube. The scale-up network is not among them.
    latency : float
        Seconds of each link.
    gpus_per_node : int
        Consecutive hosts that form a node.
    scale_up : ScaleUp
        The network inside a domain.
    """

    rate: float
    latency: float = 0.0
    gpus_per_node: int = 1
    scale_up: ScaleUp = ScaleUp()

    def __post_init__(self) -> None:
        for key, value in (("rate", self.rate), ("scale_up.rate", self.scale_up.rate)):
            if not value > 0.0:
                raise InputError("a link without capacity", key=key, found=f"{value:g} B/s", allowed="more than zero")


class LinkBlocks:
    """Collects directed links in blocks; each block of cables gives one link per direction."""

    def __init__(self, tiers: tuple[str, ...]) -> None:
        self._tiers = tiers
        self._blocks: list[tuple[Ints, Ints, Ints, float | Floats, float | Floats, int, int]] = []
        self._cables = 0

    def add(
        self, low: Ints, high: Ints, capacity: float | Floats, latency: float | Floats, tier: str, plane: int = 0
    ) -> None:
        """Add the links from ``low`` to ``high`` and then those back."""
        cables = self._cables + np.arange(len(low), dtype=np.int64)
        self._cables += len(low)
        index = self._tiers.index(tier)
        self._blocks.append((low, high, cables, capacity, latency, index, plane))
        self._blocks.append((high, low, cables, capacity, latency, index, plane))

    def fabric(
        self,
        name: str,
        kind: str,
        hosts: int,
        level: ArrayLike,
        pod: ArrayLike,
        rail: ArrayLike,
        ports: Ports,
        shape: Shape,
    ) -> Fabric:
        """Return the fabric of these links, the scale-up domains of the ports added."""
        levels, pods, rails = (np.asarray(each, dtype=np.int64) for each in (level, pod, rail))
        size, tiers = ports.scale_up.size, self._tiers
        if size > 1:
            domain = np.arange(hosts, dtype=np.int64) // size
            first, count = len(levels), -(-hosts // size)
            tiers = self._tiers = (*tiers, SCALE_UP)
            self.add(np.arange(hosts), first + domain, ports.scale_up.rate, ports.scale_up.latency, SCALE_UP)
            none = np.full(count, -1)
            levels, pods, rails = (np.concatenate((each, none)) for each in (levels, pods, rails))
        sizes = [len(block[0]) for block in self._blocks]

        def column(position: int) -> NDArray[Any]:
            parts = [np.broadcast_to(block[position], n) for block, n in zip(self._blocks, sizes, strict=True)]
            return np.concatenate(parts)

        return Fabric(
            name=name,
            kind=kind,
            hosts=hosts,
            vertices=len(levels),
            tail=column(0),
            head=column(1),
            cable=column(2),
            capacity=column(3).astype(np.float64, copy=False),
            latency=column(4).astype(np.float64, copy=False),
            tier=column(5).astype(np.int8),
            tiers=tiers,
            plane=column(6).astype(np.int16),
            level=levels.astype(np.int8),
            pod=pods.astype(np.int32),
            rail=rails.astype(np.int32),
            gpus_per_node=ports.gpus_per_node,
            scale_up_size=size,
            shape=shape,
        )


def _positive(**numbers: int | float) -> None:
    for key, value in numbers.items():
        if not value > 0:
            raise InputError(
                "a fabric needs this to be more than zero", key=key, found=f"{value:g}", allowed="1 or more"
            )


def _bounded(hosts: int, cables: int) -> None:
    """Raise InputError for a fabric that would be too large to hold in memory."""
    if hosts > MOST_HOSTS or cables > MOST_CABLES:
        found, allowed = f"{hosts:,} hosts and {cables:,} cables", f"at most {MOST_HOSTS:,} and {MOST_CABLES:,}"
        raise InputError("the fabric is too large", found=found, allowed=allowed)


def uplinks(down: int, oversubscription: float) -> int:
    """Return how many uplinks a switch with ``down`` equal downlinks has at this oversubscription, at least one.

    Where the division leaves a rest there is one uplink more, and each carries a little less, so that the ratio of
    capacities is exact.
    """
    return max(1, math.ceil(down / oversubscription - 1e-9))


def clos(
    hosts: int,
    hosts_per_leaf: int,
    ports: Ports,
    *,
    leaves_per_pod: int | None = None,
    oversubscription: Sequence[float] = (1.0, 1.0),
    planes: int = 1,
    layout: Layout = "packed",
    name: str = "clos",
) -> Fabric:
    """Return a folded Clos network: leaves and spines, or pods of them under core switches.

    Parameters
    ----------
    hosts : int
        GPUs; the last leaf and pod may be partly filled.
    hosts_per_leaf : int
        Down ports of a leaf in each plane.
    ports : Ports
        What the hosts bring; the NIC's rate is split evenly over the planes.
    leaves_per_pod : int, optional
        Leaves under the same spines; None: all of them, which makes two levels.
    oversubscription : sequence of float
        Down capacity divided by up capacity of a full leaf and, with pods, of a full spine.
    planes : int
        Independent copies.
    layout : {"packed", "rail"}
        Whether a leaf holds whole nodes, or the GPUs of one position of its nodes.
    name : str
        For reports.

    Raises
    ------
    InputError
        For a number that is not positive, or a layout that the sizes do not allow.
    """
    _positive(hosts=hosts, hosts_per_leaf=hosts_per_leaf, planes=planes)
    for ratio in oversubscription:
        _positive(oversubscription=ratio)
    g = ports.gpus_per_node
    block = hosts_per_leaf * g if layout == "rail" else hosts_per_leaf
    leaves = -(-hosts // block) * (block // hosts_per_leaf)
    per_pod = leaves if leaves_per_pod is None else leaves_per_pod
    _positive(leaves_per_pod=per_pod)
    pods = -(-leaves // per_pod)
    spines = uplinks(hosts_per_leaf, oversubscription[0])
    cores = 0 if leaves_per_pod is None else uplinks(per_pod, oversubscription[1])
    _bounded(hosts, planes * (hosts + leaves * spines + pods * spines * cores))
    if layout == "rail":
        if leaves_per_pod is not None and leaves_per_pod % g:
            allowed = f"a multiple of the {g} rails"
            raise InputError(
                "a pod holds whole rails", key="leaves_per_pod", found=str(leaves_per_pod), allowed=allowed
            )
        host = np.arange(hosts, dtype=np.int64)
        leaf_of_host = (host // g // hosts_per_leaf) * g + host % g
    else:
        leaf_of_host = np.arange(hosts, dtype=np.int64) // hosts_per_leaf
    shape = ClosShape(planes, leaves, pods, hosts_per_leaf, per_pod, spines, cores, layout == "rail")
    rate = ports.rate / planes
    leaf_rate = rate * hosts_per_leaf / (oversubscription[0] * spines)
    links = LinkBlocks(("host", "leaf_spine", "spine_core") if cores else ("host", "leaf_spine"))
    host, leaf = np.arange(hosts, dtype=np.int64), np.arange(leaves, dtype=np.int64)
    level, pod = [np.zeros(hosts, np.int64)], [leaf_of_host // per_pod]
    rail_of_leaf = leaf % g if layout == "rail" else np.full(leaves, -1)
    rail = [host % g if layout == "rail" else np.full(hosts, -1)]
    first = hosts
    for plane in range(planes):
        first_spine = first + leaves
        first_core = first_spine + pods * spines
        links.add(host, first + leaf_of_host, rate, ports.latency, "host", plane)
        low = np.repeat(leaf, spines)
        high = (low // per_pod) * spines + np.tile(np.arange(spines), leaves)
        links.add(first + low, first_spine + high, leaf_rate, ports.latency, "leaf_spine", plane)
        if cores:
            low = np.repeat(np.arange(pods * spines, dtype=np.int64), cores)
            high = (low % spines) * cores + np.tile(np.arange(cores), pods * spines)
            core_rate = leaf_rate * per_pod / (oversubscription[1] * cores)
            links.add(first_spine + low, first_core + high, core_rate, ports.latency, "spine_core", plane)
        n_cores = spines * cores
        level += [np.full(leaves, 1), np.full(pods * spines, 2), np.full(n_cores, 3)]
        pod += [leaf // per_pod, np.arange(pods * spines) // spines, np.full(n_cores, -1)]
        rail += [rail_of_leaf, np.full(pods * spines + n_cores, -1)]
        first = first_core + n_cores
    return links.fabric(
        name, "clos", hosts, np.concatenate(level), np.concatenate(pod), np.concatenate(rail), ports, shape
    )


def leaf_spine(radix: int, ports: Ports) -> Fabric:
    """Return the largest non-blocking leaf-spine network of switches with ``radix`` ports: radix**2 / 2 hosts."""
    _even(radix=radix)
    return clos(radix * radix // 2, radix // 2, ports, name=f"leaf_spine_{radix}")


def fat_tree(k: int, ports: Ports) -> Fabric:
    """Return the k-ary fat-tree: k**3 / 4 hosts in k pods (Al-Fares et al., SIGCOMM 2008)."""
    _even(k=k)
    half = k // 2
    return clos(k * half * half, half, ports, leaves_per_pod=half, name=f"fat_tree_{k}")


def _even(**numbers: int) -> None:
    for key, value in numbers.items():
        if value < 2 or value % 2:
            raise InputError("half of a switch's ports go up", key=key, found=str(value), allowed="an even number")


def dragonfly(routers: int, hosts: int, globals_: int, ports: Ports) -> Fabric:
    """Return a dragonfly: groups of joined routers, every pair of groups joined by one link (Kim et al., ISCA 2008).

    Parameters
    ----------
    routers, hosts, globals_ : int
        a routers in a group, p hosts on each router, h global links on each router; a h + 1 groups.
    ports : Ports
        All links have the rate of a host.

    Notes
    -----
    Global link ``i`` of a group (router ``i // h``) leads to group ``i``, counted without the group itself.
    """
    _positive(routers=routers, hosts=hosts, globals=globals_)
    shape = DragonflyShape(routers, hosts, globals_)
    groups, n_routers = shape.groups, shape.groups * routers
    n = n_routers * hosts
    _bounded(n, n + groups * (routers * (routers - 1) + groups - 1) // 2)
    links = LinkBlocks(("host", "local", "global"))
    host = np.arange(n, dtype=np.int64)
    links.add(host, n + host // hosts, ports.rate, ports.latency, "host")
    one, other = (side.astype(np.int64) for side in np.triu_indices(routers, 1))
    base = n + np.repeat(np.arange(groups, dtype=np.int64) * routers, len(one))
    links.add(base + np.tile(one, groups), base + np.tile(other, groups), ports.rate, ports.latency, "local")
    near, far = (side.astype(np.int64) for side in np.triu_indices(groups, 1))
    low = n + near * routers + (far - 1) // globals_  # to a later group: its number without our own
    high = n + far * routers + near // globals_
    links.add(low, high, ports.rate, ports.latency, "global")
    pod = np.concatenate((host // (hosts * routers), np.arange(n_routers) // routers))
    level = np.concatenate((np.zeros(n, np.int64), np.ones(n_routers, np.int64)))
    name = f"dragonfly_{routers}_{hosts}_{globals_}"
    return links.fabric(name, "dragonfly", n, level, pod, np.full(n + n_routers, -1), ports, shape)


def torus(dims: Sequence[int], ports: Ports) -> Fabric:
    """Return a torus of two or three dimensions whose hosts are routers, with equal ports that share their rate.

    A dimension of length 2 has one cable between its two hosts, not two.
    """
    if len(dims) not in (2, 3) or min(dims) < 2:
        raise InputError("not a torus", key="dims", found=str(list(dims)), allowed="2 or 3 lengths, each 2 or more")
    n = math.prod(dims)
    _bounded(n, n * len(dims))
    rate = ports.rate / sum(1 if length == 2 else 2 for length in dims)
    names = ("x", "y", "z")[: len(dims)]
    links = LinkBlocks(names)
    host = np.arange(n, dtype=np.int64)
    stride = 1
    for name, length in zip(names, dims, strict=True):
        at = host // stride % length
        start = host[at < 1] if length == 2 else host
        onward = start + np.where(at[start] == length - 1, stride * (1 - length), stride)
        links.add(start, onward, rate, ports.latency, name)
        stride *= length
    zero = np.zeros(n, np.int64)
    label = "torus_" + "x".join(str(length) for length in dims)
    return links.fabric(label, "torus", n, zero, zero, zero - 1, ports, TorusShape(tuple(dims)))


def hypercube(dimension: int, ports: Ports) -> Fabric:
    """Return a hypercube of 2**dimension hosts that are routers, with a port in each dimension for their rate."""
    if not 1 <= dimension <= 20:
        raise InputError("not a hypercube", key="dimension", found=str(dimension), allowed="1 to 20")
    n = 1 << dimension
    links = LinkBlocks(tuple(f"d{axis}" for axis in range(dimension)))
    host = np.arange(n, dtype=np.int64)
    for axis in range(dimension):
        low: Ints = host[(host >> axis) & 1 == 0]
        links.add(low, low + (1 << axis), ports.rate / dimension, ports.latency, f"d{axis}")
    zero = np.zeros(n, np.int64)
    name = f"hypercube_{dimension}"
    return links.fabric(name, "hypercube", n, zero, zero, zero - 1, ports, HypercubeShape(dimension))
