"""Collectives inside scale-up domains and between them, also where domains hold unequal numbers of ranks.

Rank ``j`` of every domain is on rail ``j``. Reductions scatter inside the domain, reduce along the rail of each GPU and
gather inside; pieces of the message are in all phases at once, as in the channels of NCCL, each of which leaves a node
by another NIC. A domain with fewer ranks than there are rails hands its sum, in as many pieces as there are ranks on
rails, to those that own the pieces, and gets the result from them, as surplus ranks do in the algorithms for powers of
two of Thakur, Rabenseifner and Gropp (IJHPCA 19(1), 2005, section 4): it moves the message once each way and is no link
of the others' chain.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from simulator.network.collectives import HIERARCHICAL, HIERARCHICAL_TREE, Op, Phase, Schedule, tree_pair
from simulator.network.fabric import Floats, Ints

Inner = Literal["ring", "in_network"]
Outer = Literal["ring", "tree"]
TREE_OPS: tuple[Op, ...] = ("all_reduce", "broadcast")
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Layout:
    """How the ranks of groups lie in scale-up domains.

    Parameters
    ----------
    order : int array, shape (groups, ranks)
        Ranks of each group, those of a domain together, domains with most ranks first; one row where all are alike.
    sizes : int array, shape (groups, domains)
        Ranks in each domain in that order, 0 behind the last one; one row where all are alike.
    """

    order: Ints
    sizes: Ints

    @property
    def domains(self) -> int:
        """Domains of the group that has most of them."""
        return int(self.sizes.shape[1])

    @property
    def most(self) -> int:
        """Ranks of the fullest domain."""
        return int(self.sizes.max())

    @functools.cached_property
    def patterns(self) -> list[tuple[Ints, Ints]]:
        """Sizes of the domains of groups that lie alike but for their order, and which groups these are."""
        if len(self.sizes) == 1:
            return [(self.sizes[0], np.zeros(1, np.int64))]
        sizes, which = np.unique(self.sizes, axis=0, return_inverse=True)
        return [(each[each > 0], np.flatnonzero(which.ravel() == i)) for i, each in enumerate(sizes)]

    @property
    def key(self) -> bytes:
        """What tells layouts apart."""
        return self.order.tobytes() + self.sizes.tobytes()


def layout(domain: Ints) -> Layout:
    """Return how ranks lie in domains.

    Parameters
    ----------
    domain : int array, shape (groups, ranks)
        Domain of each rank.
    """
    changes = domain[:, 1:] != domain[:, :-1]
    starts = np.concatenate(([0], np.flatnonzero(changes[0]) + 1))
    heads = np.sort(domain[:, starts], axis=1)
    if (changes == changes[0]).all() and (heads[:, 1:] != heads[:, :-1]).all():
        # The usual case: the ranks of a domain follow one another, in all groups alike.
        sizes = np.diff(starts, append=domain.shape[1])
        place = np.argsort(-sizes, kind="stable")
        order = np.argsort(np.repeat(np.argsort(place), sizes), kind="stable")
        return Layout(order[np.newaxis], sizes[place][np.newaxis])
    return _layout_of_any(domain)


def _layout_of_any(domain: Ints) -> Layout:
    groups, n = domain.shape
    order = np.argsort(domain, axis=1, kind="stable")
    begins = np.ones((groups, n), np.bool_)
    near = np.take_along_axis(domain, order, 1)
    begins[:, 1:] = near[:, 1:] != near[:, :-1]
    run = np.cumsum(begins, axis=1) - 1
    runs = int(run.max()) + 1
    sizes = np.bincount((run + np.arange(groups)[:, np.newaxis] * runs).ravel(), minlength=groups * runs)
    sizes = sizes.reshape(groups, runs)
    first = np.zeros((groups, runs), np.int64)
    group, at = np.nonzero(begins)
    first[group, run[group, at]] = order[group, at]
    place = np.argsort((n - sizes) * n + first, axis=1)  # most ranks first, then in the order in which they come
    key = np.take_along_axis(np.argsort(place, axis=1), run, 1)
    order = np.take_along_axis(order, np.argsort(key, axis=1, kind="stable"), 1)
    sizes = np.take_along_axis(sizes, place, 1)
    alike = bool((order == order[0]).all() and (sizes == sizes[0]).all())
    return Layout(order[:1], sizes[:1]) if alike else Layout(order, sizes)


def hierarchical_schedules(
    op: Op, where: Layout, inners: Sequence[Inner] = ("ring",), outers: Sequence[Outer] = ("ring",)
) -> list[Schedule]:
    """Return a collective inside domains and between them, for each way of going inside and between.

    Parameters
    ----------
    op : str
        All but send_recv.
    where : Layout
        Which ranks share a domain; several domains.
    inners : sequence of {"ring", "in_network"}
        What goes on inside a domain.
    outers : sequence of {"ring", "tree"}
        What goes on along a rail; a double binary tree for all_reduce and broadcast only.

    Returns
    -------
    list of Schedule
        Phases of equal flows share their arrays, so that they are routed once.
    """
    n = where.order.shape[1]
    is_joint = len(where.order) > 1
    if op == "all_to_all":
        exchanges = (_joined(where, _exchanges_inside), _joined(where, _exchanges_across))
        return [Schedule(op, HIERARCHICAL, n, exchanges, is_pipelined=True, is_joint=is_joint)]
    inside = _joined(where, _rings_inside) if where.most > 1 else None
    found = []
    for outer in outers:
        across = _joined(where, functools.partial(_across, op, outer=outer))
        for inner in inners:
            name = HIERARCHICAL_TREE if outer == "tree" else HIERARCHICAL
            first = () if inside is None else (_inside(op, where, inside, inner, outer),)
            found.append(Schedule(op, name, n, (*first, across), True, inner == "in_network", is_joint))
    return found


def hierarchical(op: Op, domain: int, domains: int, inner: Inner = "ring", outer: Outer = "ring") -> Schedule:
    """Return a collective over domains with the same number of ranks each; rank ``i`` is in domain ``i // domain``."""
    sizes = np.full((1, domains), domain, dtype=np.int64)
    where = Layout(np.arange(domain * domains, dtype=np.int64)[np.newaxis], sizes)
    return hierarchical_schedules(op, where, (inner,), (outer,))[0]


def _joined(where: Layout, make: Callable[[Ints], Phase]) -> Phase:
    """Return the phases of all groups as one.

    ``make`` returns that of one group from the sizes of its domains, ranks numbered in the order of the layout. Groups
    with the same sizes differ in that order only. Where groups lie differently ranks are counted through all of them.
    """
    if len(where.order) == 1:
        phase, order = make(where.sizes[0]), where.order[0]
        return replace(phase, source=order[phase.source], target=order[phase.target])
    n = where.order.shape[1]
    made = [(make(sizes), groups) for sizes, groups in where.patterns]
    share, steps = max(phase.share for phase, _ in made), max(phase.steps for phase, _ in made)
    source, target, weights = [], [], []
    for phase, groups in made:
        ranks = where.order[groups] + groups[:, np.newaxis] * n
        source.append(ranks[:, phase.source].ravel())
        target.append(ranks[:, phase.target].ravel())
        each = np.broadcast_to(phase.weight * phase.share / share, phase.source.shape)
        weights.append(np.tile(each, len(groups)))
    return Phase(np.concatenate(source), np.concatenate(target), np.concatenate(weights), share, steps)


def _rings_inside(sizes: Ints) -> Phase:
    """Return one ring in each domain that holds several ranks; share and steps are those of `_inside`."""
    rank = np.arange(int(sizes.sum()), dtype=np.int64)
    start, size = np.repeat(np.cumsum(sizes) - sizes, sizes), np.repeat(sizes, sizes)
    several = size > 1
    onward = start + (rank - start + 1) % size
    return Phase(rank[several], onward[several], 1.0, 1.0, 1)


def _inside(op: Op, where: Layout, rings: Phase, inner: Inner, outer: Outer) -> Phase:
    """Return what goes on inside domains, for groups that lie differently by the fullest port.

    A broadcast passes the domain of its root piece by piece on the way to the rails, and the others behind them.
    """
    rounds = 2 if op in ("all_reduce", "broadcast") else 1
    steps = rounds * (1 if inner == "in_network" else where.most - 1)
    share = max(_port_inside(op, sizes, inner, outer) for sizes, _ in where.patterns)
    return replace(rings, share=share, steps=steps)


def _port_inside(op: Op, sizes: Ints, inner: Inner, outer: Outer) -> float:
    """Return the part of the message that passes the fullest port inside a domain.

    That is all but a piece where every rank owns one, else all of it. Where switches reduce, what they reduced goes
    back to the owners and from there to all, so that 1 + 1/n messages pass.
    """
    rails = _rails(op, sizes, outer)
    if op == "broadcast":
        return 1.0
    if inner == "in_network" and op == "all_reduce":
        return 1.0 + 1.0 / rails
    return (2 if op == "all_reduce" else 1) * ((rails - 1) / rails if rails == sizes.max() else 1.0)


def _rails(op: Op, sizes: Ints, outer: Outer) -> int:
    """Return how many rails empty the fullest port between domains first."""
    best, least = int(sizes[0]), math.inf
    if sizes[-1] == best:
        return best
    for rails in np.unique(sizes)[::-1].tolist():
        whole, few = sizes[sizes >= rails], sizes[sizes < rails]
        handed = _handed(op, few, int(sizes.sum()))
        port = (_along(op, sizes, len(whole), outer) + float(np.sum(handed)) / len(whole)) / rails
        port = max(port, float(np.max(handed / few, initial=0.0)))
        if port < least:
            best, least = rails, port
    return best


def _handed(op: Op, few: Ints, n: int) -> Floats:
    """Return the part of the message that domains with too few ranks for the rails hand on, or get.

    What a domain scatters or gathers does not cross its ports where it is its own.
    """
    return 1.0 - few / n if op in ("all_gather", "reduce_scatter") else np.ones(len(few))


def _along(op: Op, sizes: Ints, whole: int, outer: Outer) -> float:
    """Return how often the pieces of a rail pass its fullest port; the first ``whole`` domains are on it."""
    if whole == 1:
        return 0.0
    if op == "broadcast":
        return 1.0
    if (
        outer == "tree"
    ):  # an inner one sends up once and down twice for one tree and up once for the other, half a piece
        return {2: 1.0, 3: 1.5}.get(whole, 2.0)
    if op == "all_reduce":
        return 2.0 * (whole - 1) / whole
    return 1.0 - float(sizes[whole - 1]) / float(sizes.sum())  # all but what the domain holds itself


def _across(op: Op, sizes: Ints, outer: Outer) -> Phase:
    """Return what goes on between domains: along rails, and from and to domains that have too few ranks for them."""
    rails, n = _rails(op, sizes, outer), int(sizes.sum())
    starts = np.cumsum(sizes) - sizes
    whole = int(np.count_nonzero(sizes >= rails))
    at = starts[:whole, np.newaxis] + np.arange(rails, dtype=np.int64)
    source, target, steps = _along_rails(op, at, outer)
    most = max(int(np.bincount(ends).max(initial=0)) for ends in (source, target))
    moved = np.full(len(source), _along(op, sizes, whole, outer) / rails / max(most, 1))
    few = sizes[whole:]
    if len(few) == 0:
        return _weighed(source, target, moved, steps)
    owners = at.T.ravel()  # rail after rail: a rank's pieces are of neighbouring rails
    parts = [_overlaps(len(owners), size) for size in few.tolist()]
    theirs = np.concatenate([owners[owner] for owner, _, _ in parts])
    mine = np.concatenate([start + rank for start, (_, rank, _) in zip(starts[whole:].tolist(), parts, strict=True)])
    handed = _handed(op, few, n)
    rest = 1.0 - handed if op in ("all_gather", "reduce_scatter") else handed
    up = handed if op in ("all_reduce", "reduce_scatter") else rest
    down = handed if op != "reduce_scatter" else rest
    for ends, part in (((mine, theirs), up), ((theirs, mine), down)):
        if op == "broadcast" and ends[0] is mine:
            continue
        source, target = np.concatenate((source, ends[0])), np.concatenate((target, ends[1]))
        lengths = [length * share for (_, _, length), share in zip(parts, part.tolist(), strict=True)]
        moved = np.concatenate((moved, *lengths))
    return _weighed(source, target, moved, steps + (2 if op == "all_reduce" else 1))


def _overlaps(owners: int, ranks: int) -> tuple[Ints, Ints, Floats]:
    """Return which equal part of a message by owners meets which by ranks, and how much of the message they share."""
    cuts = np.unique(np.concatenate((np.arange(owners + 1) * ranks, np.arange(ranks + 1) * owners)))
    return cuts[:-1] // ranks, cuts[:-1] // owners, np.diff(cuts) / (owners * ranks)


def _along_rails(op: Op, at: Ints, outer: Outer) -> tuple[Ints, Ints, int]:
    """Return source and target of the flows along all rails, which move equal parts, and the steps.

    ``at`` holds the rank of each domain on each rail.
    """
    domains = len(at)
    if domains == 1:
        return _NONE, _NONE, 0
    if outer == "tree":
        child, parent = tree_pair(domains)
        low, high = at[child].ravel(), at[parent].ravel()
        depth = math.ceil(math.log2(domains))
        if op == "broadcast":
            return high, low, depth
        return np.concatenate((low, high)), np.concatenate((high, low)), 2 * depth
    if op == "broadcast":  # nobody sends to the root
        return at[:-1].ravel(), at[1:].ravel(), domains - 1
    return at.ravel(), np.roll(at, -1, axis=0).ravel(), (2 if op == "all_reduce" else 1) * (domains - 1)


def _exchanges_inside(sizes: Ints) -> Phase:
    """Return the exchanges of every rank with all others of its domain, all at once."""
    starts = np.cumsum(sizes) - sizes
    source, target, moved = [_NONE], [_NONE], [np.empty(0)]
    for size in np.unique(sizes[sizes > 1]).tolist():
        one, hop = np.divmod(np.arange(size * (size - 1), dtype=np.int64), size - 1)
        first = starts[sizes == size][:, np.newaxis]
        source.append((first + one).ravel())
        target.append((first + (one + hop + 1) % size).ravel())
        moved.append(np.full(len(source[-1]), 1.0 / size))
    return _weighed(np.concatenate(source), np.concatenate(target), np.concatenate(moved), int(sizes[0]) - 1)


def _exchanges_across(sizes: Ints) -> Phase:
    """Return what every domain sends to every other one, all at once, in equal parts from its ranks to those there."""
    starts, n = np.cumsum(sizes) - sizes, int(sizes.sum())
    source, target, moved = [], [], []
    for size, other in itertools.product(np.unique(sizes).tolist(), repeat=2):
        mine, theirs, length = _overlaps(size, other)
        one, two = (np.flatnonzero(sizes == each) for each in (size, other))
        pairs = one[:, np.newaxis] != two
        here, there = (starts[each[at]][:, np.newaxis] for each, at in zip((one, two), np.nonzero(pairs), strict=True))
        source.append((here + mine).ravel())
        target.append((there + theirs).ravel())
        moved.append(np.tile(length * size * other / n, len(here)))
    sources, targets = np.concatenate(source), np.concatenate(target)
    # Those of a rank follow one another.
    steps = max(int(np.bincount(ends).max(initial=0)) for ends in (sources, targets))
    return _weighed(sources, targets, np.concatenate(moved), steps)


def _weighed(source: Ints, target: Ints, moved: Floats, steps: int) -> Phase:
    """Return flows that each move a part of the message as a phase."""
    if len(source) == 0:
        return Phase(source, target, 1.0, 0.0, steps)
    share = float(max(np.bincount(source, moved).max(), np.bincount(target, moved).max()))
    alike = bool((moved == moved[0]).all())
    return Phase(source, target, float(moved[0]) / share if alike else moved / share, share, steps)
