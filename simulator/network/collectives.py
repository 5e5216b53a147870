"""Collective operations as flows that move together: who sends how much to whom in each algorithm.

Costs follow Hockney's model: a step costs a latency alpha, a byte costs the time of its link. Schedules are those of
Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations in MPICH", IJHPCA 19(1), 2005, and
Sanders, Speck and Traeff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan", Parallel Computing
35(12), 2009.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from simulator.errors import InputError
from simulator.network.fabric import Floats, Ints

Op = Literal["all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all", "send_recv"]
OPS: tuple[Op, ...] = get_args(Op)


@dataclass(frozen=True, eq=False)
class Phase:
    """Flows of a collective that move together.

    Parameters
    ----------
    source, target : int arrays, shape (flows,)
        Ranks, from 0.
    weight : float, or float array, shape (flows,)
        Bytes of each flow for one byte through the busiest port.
    share : float
        Bytes through the busiest port, as a fraction of the message.
    steps : int
        Latencies that follow one another.
    copies : int
        Groups that do this side by side; their flows stand one group after the other.
    is_by_rank : bool
        Whether every rank goes through ``steps`` flows of its own, which stand together; otherwise a piece of the
        message goes from flow to flow.
    """

    source: Ints
    target: Ints
    weight: float | Floats
    share: float
    steps: int
    copies: int = 1
    is_by_rank: bool = False


@dataclass(frozen=True, eq=False)
class Schedule:
    """The phases of a collective, one after another.

    Parameters
    ----------
    op, algorithm : str
        What is done and how.
    ranks : int
        How many take part.
    phases : tuple of Phase
        In order.
    is_pipelined : bool
        Whether pieces of the message are in different phases at once, so that the slowest phase counts for the bytes.
    in_network : bool
        Whether switches reduce and copy.
    is_joint : bool
        Whether ranks are counted through all groups, because the groups do not lie alike; otherwise any number of
        groups does the same.
    """

    op: Op
    algorithm: str
    ranks: int
    phases: tuple[Phase, ...]
    is_pipelined: bool = False
    in_network: bool = False
    is_joint: bool = False

    @property
    def steps(self) -> int:
        """Latencies that follow one another, over all phases."""
        return sum(phase.steps for phase in self.phases)

    def on(self, groups: Ints, phase: Phase) -> Phase:
        """Return one of the phases when all groups do it at the same time, as `replicate` does."""
        return replicate(phase, groups.reshape(1, -1) if self.is_joint else groups)


def bus_factor(op: Op, ranks: int) -> float:
    """Return bus bandwidth divided by algorithm bandwidth, as nccl-tests defines them."""
    if op == "all_reduce":
        return 2.0 * (ranks - 1) / ranks
    return (ranks - 1) / ranks if op in ("all_gather", "reduce_scatter", "all_to_all") else 1.0


# --- the algorithms -----------------------------------------------------------------------------------------------


def _shifted(n: int, shift: int) -> tuple[Ints, Ints]:
    rank = np.arange(n, dtype=np.int64)
    return rank, (rank + shift) % n


def _ring(op: Op, n: int) -> tuple[Phase, ...]:
    source, target = _shifted(n, 1)
    if op == "send_recv":
        return (Phase(source, target, 1.0, 1.0, 1),)
    if op == "broadcast":
        return (Phase(source[:-1], target[:-1], 1.0, 1.0, n - 1),)
    rounds = 2 if op == "all_reduce" else 1
    return (Phase(source, target, 1.0, rounds * (n - 1) / n, rounds * (n - 1)),)


def _bidirectional_ring(op: Op, n: int) -> tuple[Phase, ...]:
    """Half of the message goes round each way; on a port that is full duplex nothing is gained, on two ports half."""
    (ring,) = _ring(op, n)
    source = np.concatenate((ring.source, ring.target))
    target = np.concatenate((ring.target, ring.source))
    return (Phase(source, target, 0.5, ring.share, ring.steps),)


def _tree_edges(n: int) -> tuple[Ints, Ints]:
    """Return child and parent of every edge of the in-order binary tree over n ranks: even ranks are its leaves."""
    child, parent = [], []
    for number in range(1, n + 1):
        low = number & -number
        up = (number ^ low) | (low << 1)
        if up > n:
            up = number ^ low
        if up > 0:  # the root has none
            child.append(number - 1)
            parent.append(up - 1)
    return np.array(child, dtype=np.int64), np.array(parent, dtype=np.int64)


def tree_pair(n: int) -> tuple[Ints, Ints]:
    """Return child and parent of every edge of two trees over n ranks of which no rank is an inner one in both.

    The second tree is the mirror image of the first, or for odd n, whose mirror image has the same leaves, the first
    shifted by one rank (Sanders, Speck and Traeff, section 2). Two ranks have one edge, which is in both trees.
    """
    child, parent = _tree_edges(n)
    if n == 2:
        return child, parent
    other = (n - 1 - child, n - 1 - parent) if n % 2 == 0 else ((child + 1) % n, (parent + 1) % n)
    return np.concatenate((child, other[0])), np.concatenate((parent, other[1]))


def _double_binary_tree(op: Op, n: int) -> tuple[Phase, ...]:
    """Two trees with half of the message each; every inner rank of one is a leaf of the other."""
    depth = math.ceil(math.log2(n))
    child, parent = tree_pair(n)
    weight = 0.5 if n > 2 else 1.0
    up, down = Phase(child, parent, weight, 1.0, depth), Phase(parent, child, weight, 1.0, depth)
    return (up, down) if op == "all_reduce" else (down,)


def _exchange(n: int, distance: int, share: float) -> Phase:
    rank = np.arange(n, dtype=np.int64)
    return Phase(rank, rank ^ distance, 1.0, share, 1)


def _recursive_doubling(op: Op, n: int) -> tuple[Phase, ...]:
    if op == "all_reduce":
        return tuple(_exchange(n, 1 << k, 1.0) for k in range(n.bit_length() - 1))
    return tuple(_exchange(n, 1 << k, (1 << k) / n) for k in range(n.bit_length() - 1))


def _halving_doubling(op: Op, n: int) -> tuple[Phase, ...]:
    gather = tuple(_exchange(n, 1 << k, (1 << k) / n) for k in range(n.bit_length() - 1))
    if op == "all_gather":
        return gather
    return (*reversed(gather), *gather) if op == "all_reduce" else gather[::-1]


def _binomial(op: Op, n: int) -> tuple[Phase, ...]:
    phases = []
    for k in range(math.ceil(math.log2(n))):
        source = np.arange(min(1 << k, n - (1 << k)), dtype=np.int64)
        phases.append(Phase(source, source + (1 << k), 1.0, 1.0, 1))
    return tuple(phases)


def _pairwise(op: Op, n: int) -> tuple[Phase, ...]:
    """All exchanges at once: round k sends to the k-th next rank, and rounds of different ranks overlap."""
    rank = np.arange(n, dtype=np.int64)
    shift = np.arange(1, n, dtype=np.int64)
    source = np.repeat(rank, n - 1)
    target = (source + np.tile(shift, n)) % n
    return (Phase(source, target, 1.0 / (n - 1), (n - 1) / n, n - 1, is_by_rank=True),)


def _in_network(op: Op, n: int) -> tuple[Phase, ...]:
    """Every rank sends its vector to the switch once and gets the result once.

    The reduced pieces go back through the ranks that own them, so a port carries 1 + 1/n messages each way.
    """
    source, target = _shifted(n, 1)
    share = {"all_reduce": 1.0 + 1.0 / n, "broadcast": 1.0}.get(op, 1.0)
    return (Phase(source, target, 1.0, share, 2),)


_FLAT: dict[str, tuple[tuple[Op, ...], Callable[[Op, int], tuple[Phase, ...]]]] = {
    "ring": (("all_reduce", "all_gather", "reduce_scatter", "broadcast", "send_recv"), _ring),
    "bidirectional_ring": (("all_reduce", "all_gather", "reduce_scatter"), _bidirectional_ring),
    "double_binary_tree": (("all_reduce", "broadcast"), _double_binary_tree),
    "recursive_doubling": (("all_reduce", "all_gather"), _recursive_doubling),
    "halving_doubling": (("all_reduce", "all_gather", "reduce_scatter"), _halving_doubling),
    "binomial": (("broadcast",), _binomial),
    "pairwise": (("all_to_all",), _pairwise),
    "in_network": (("all_reduce", "all_gather", "reduce_scatter", "broadcast"), _in_network),
}
_POWERS_OF_TWO = ("recursive_doubling", "halving_doubling")
HIERARCHICAL, HIERARCHICAL_TREE, TORUS = "hierarchical", "hierarchical_tree", "torus_multi_ring"
TORUS_OPS: tuple[Op, ...] = ("all_reduce", "all_gather", "reduce_scatter")
ALGORITHMS: tuple[str, ...] = (*_FLAT, HIERARCHICAL, HIERARCHICAL_TREE, TORUS)
MOST_PAIRWISE = 4096
"""Ranks above which all pairs would be too many flows to write down; use ``hierarchical``."""


def algorithms_for(op: Op, ranks: int) -> list[str]:
    """Return the flat algorithms of an operation that this number of ranks allows."""
    fits = [name for name, (ops, _) in _FLAT.items() if op in ops]
    whole = ranks & (ranks - 1) == 0
    return [name for name in fits if whole or name not in _POWERS_OF_TWO]


def schedule(op: Op, algorithm: str, ranks: int) -> Schedule:
    """Return the flows of a collective over ranks 0 to n - 1, all alike.

    Parameters
    ----------
    op : str
        Operation.
    algorithm : str
        One of the flat algorithms.
    ranks : int
        n, at least 2.

    Raises
    ------
    InputError
        An algorithm that does not exist, does not do the operation, or needs another number of ranks.
    """
    check_op(op)
    if ranks < 2:
        raise InputError("a collective needs two ranks", key="ranks", found=str(ranks), allowed="2 or more")
    allowed = algorithms_for(op, ranks)
    if algorithm not in allowed:
        if algorithm in _POWERS_OF_TWO and op in _FLAT[algorithm][0]:
            raise InputError(f"{algorithm} needs a power of two", key="ranks", found=str(ranks), allowed="2, 4, 8, ...")
        raise unknown("algorithm", algorithm, allowed, f"{op} has no such algorithm")
    if algorithm == "pairwise" and ranks > MOST_PAIRWISE:
        found, most = f"{ranks} ranks", f"at most {MOST_PAIRWISE}, or hierarchical"
        raise InputError("too many pairs of ranks", key="algorithm", found=found, allowed=most)
    phases = _FLAT[algorithm][1](op, ranks)
    return Schedule(op, algorithm, ranks, phases, in_network=algorithm == "in_network")


def torus_multi_ring(op: Op, dims: Sequence[int]) -> Schedule:
    """Return rings along all dimensions of a torus at once, both ways round.

    The message is cut into as many parts as there are dimensions; each part goes through the dimensions in another
    order, so that all links are busy in every phase. Rank ``i`` is host ``i`` of the torus.
    """
    n, d = math.prod(dims), len(dims)
    strides = [math.prod(dims[:axis]) for axis in range(d)]
    rank = np.arange(n, dtype=np.int64)
    phases = []
    for turn in range(d):
        source: list[Ints] = []
        target: list[Ints] = []
        share = 0.0
        for part in range(d):
            axis = (part + turn) % d
            before = math.prod(dims[(part + earlier) % d] for earlier in range(turn))
            length, stride = dims[axis], strides[axis]
            at = rank // stride % length
            onward = rank + np.where(at == length - 1, stride * (1 - length), stride)
            source += [rank, onward] if length > 2 else [rank]
            target += [onward, rank] if length > 2 else [onward]
            ways = 2.0 if length > 2 else 1.0
            share = max(share, (length - 1) / length / ways / d / before)
        steps = max(dims) - 1
        phases.append(Phase(np.concatenate(source), np.concatenate(target), 1.0, share, steps))
    scatter, gather = tuple(phases), tuple(reversed(phases))
    both = {"all_reduce": (*scatter, *gather), "reduce_scatter": scatter, "all_gather": gather}
    return Schedule(op, TORUS, n, both[op])


def replicate(phase: Phase, groups: Ints) -> Phase:
    """Return a phase that every group does at the same time.

    Parameters
    ----------
    phase : Phase
        Over ranks 0 to n - 1.
    groups : int array, shape (groups, n)
        Members of each group, as any numbers (hosts).
    """
    source, target = groups[:, phase.source].ravel(), groups[:, phase.target].ravel()
    weight = phase.weight if isinstance(phase.weight, float) else np.tile(phase.weight, len(groups))
    return replace(phase, source=source, target=target, weight=weight, copies=len(groups))


def idle_time(plan: Schedule, message_bytes: float, alpha_s: float, rate: float) -> float:
    """Return the time on an idle switch that blocks nobody, with one port of ``rate`` bytes/s for each rank.

    Sum over the phases of steps x alpha + bytes through the port / rate, which is Hockney's cost model.
    """
    carried = [phase.share * message_bytes / rate for phase in plan.phases]
    return plan.steps * alpha_s + (max(carried) if plan.is_pipelined else sum(carried))


# --- words and sizes ----------------------------------------------------------------------------------------------


def unknown(key: str, word: str, allowed: Sequence[str], problem: str) -> InputError:
    """Return the error for a word that is not among the allowed ones."""
    close = difflib.get_close_matches(word, allowed, 1)
    return InputError(
        problem, key=key, found=repr(word), allowed=", ".join(allowed), nearest=close[0] if close else None
    )


def check_op(op: str) -> None:
    """Raise InputError unless there is such an operation."""
    if op not in OPS:
        raise unknown("op", op, OPS, "unknown collective operation")


_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMG]?)", re.IGNORECASE)


def parse_sizes(text: str) -> Floats:
    """Return the message sizes of a range as nccl-tests writes it, bytes.

    Parameters
    ----------
    text : str
        ``"8:16G"``: from 8 bytes to 16 GiB, doubling; ``"1M:64M:4"`` with another factor; ``"64M"`` a single one.
        K, M and G are powers of 1024.

    Raises
    ------
    InputError
        Anything else.
    """
    parts = text.split(":")
    matches = [_SIZE.fullmatch(part.strip()) for part in parts]
    allowed = '"8:16G", "1M:64M:4" or "64M"; K, M, G are powers of 1024'
    if len(parts) > 3 or not all(matches[:2]):
        raise InputError("not a range of sizes", key="sizes", found=repr(text), allowed=allowed)
    sizes = [float(m[1]) * 1024.0 ** " KMG".index(m[2].upper() or " ") for m in matches[:2] if m]
    low, high = sizes[0], sizes[-1]
    factor = float(parts[2]) if len(parts) == 3 and re.fullmatch(r"\d+(\.\d+)?", parts[2].strip()) else 2.0
    if (len(parts) == 3 and not re.fullmatch(r"\d+(\.\d+)?", parts[2].strip())) or factor <= 1.0:
        raise InputError("not a factor above 1", key="sizes", found=repr(parts[2]), allowed=allowed)
    if not 1.0 <= low <= high <= 2.0**60:
        raise InputError("sizes must rise, from 1 byte on", key="sizes", found=repr(text), allowed=allowed)
    count = int(math.log(high / low) / math.log(factor) + 1e-9) + 1
    return np.asarray(low * factor ** np.arange(count), dtype=np.float64)
