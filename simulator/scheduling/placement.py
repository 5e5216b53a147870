"""Placement: which free nodes a job starts on, or which node has room for a part of one.

Nodes lie in groups (those of a leaf, a pod, a scale-up domain), given as the group number of every node; the tiers of a
network are such arrays stacked, the narrowest first, each group inside one of the next tier. The kernels check nothing:
``free`` is C-contiguous, ``nodes`` is at least 1. Where fewer nodes are free than wanted, what they return is shorter.

Ranks follow the groups: ids that lie in one group are neighbours, ascending, and the groups follow by number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@kernel
def first_fit(free: Bools, nodes: int) -> Ints:
    """Return the lowest ``nodes`` ids among the free ones.

    Parameters
    ----------
    free : bool array, shape (machine nodes,), C-contiguous
        True where a job could start.
    nodes : int
        How many are wanted, 0 or more.

    Returns
    -------
    int array, shape (nodes,)
        Ascending ids. Shorter than ``nodes`` only if fewer are free: the caller compares the lengths.

    Notes
    -----
    Eight flags are looked at as one word, so that a busy machine is crossed eight nodes at a time.
    """
    ids = np.empty(min(nodes, free.shape[0]), dtype=np.int64)
    n_found = 0
    n_whole = free.shape[0] // 8
    words = free[: n_whole * 8].view(np.uint64)
    for word in range(n_whole):
        if n_found == nodes:
            return ids
        if words[word] == 0:
            continue
        for node in range(word * 8, word * 8 + 8):
            if free[node] and n_found < nodes:
                ids[n_found] = node
                n_found += 1
    for node in range(n_whole * 8, free.shape[0]):
        if free[node] and n_found < nodes:
            ids[n_found] = node
            n_found += 1
    return ids[:n_found]


@kernel
def _room(ids: Ints, group: Ints) -> Ints:
    """Return how many of the nodes lie in each group."""
    n_groups = 0
    for node in ids:
        n_groups = max(n_groups, group[node] + 1)
    room = np.zeros(n_groups, dtype=np.int64)
    for node in ids:
        room[group[node]] += 1
    return room


@kernel
def _gather(ids: Ints, group: Ints, quota: Ints) -> Ints:
    """Return the first ``quota`` ids of every group, group after group."""
    place = np.empty_like(quota)
    total = 0
    for each in range(len(quota)):
        place[each] = total
        total += quota[each]
    chosen = np.empty(total, dtype=np.int64)
    left = quota.copy()
    for node in ids:
        each = group[node]
        if left[each] > 0:
            left[each] -= 1
            chosen[place[each]] = node
            place[each] += 1
    return chosen


@kernel
def _share_out(room: Ints, around: Ints, where: int, nodes: int, quota: Ints) -> None:
    """Fill the quotas of the groups inside group ``where`` of the next tier: as few of them as there can be.

    The groups with the most room are emptied; the last one is the smallest that has room for what is left.
    """
    members = np.flatnonzero((around == where) & (room > 0))
    order = members[np.argsort(-room[members], kind="mergesort")]
    left = nodes
    i = 0
    while left > 0:
        each = order[i]
        if room[each] < left:
            quota[each] = room[each]
            left -= room[each]
            i += 1
            continue
        while i + 1 < len(order) and room[order[i + 1]] >= left:
            i += 1
            if room[order[i]] < room[each]:
                each = order[i]
        quota[each] = left
        left = 0


@kernel
def fewest_groups(free: Bools, tiers: Ints, nodes: int, strict: bool) -> Ints:
    """Return free nodes that cross as few tiers of the network as they can.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        True where a job could start.
    tiers : int array, shape (tiers, machine nodes)
        Group of every node on each tier of the network, the narrowest first (leaf, pod, ...).
    nodes : int
        How many are wanted, at least 1.
    strict : bool
        Return none at all when more groups of the widest tier would be needed than an empty machine needs.

    Returns
    -------
    int array, shape (nodes,) or (0,)
        Ids. The job lies in one group of the narrowest tier that has room: in the fullest such group, among equals in
        the one whose next tier is fullest, then in that of the lowest number. When no group of the widest tier has
        room, groups are emptied from the one with the most free nodes on, which is the fewest there can be, and the
        last of them is the fullest with room. The groups of narrower tiers inside are chosen in the same way.
    """
    ids = first_fit(free, free.shape[0])
    n_tiers = tiers.shape[0]
    if len(ids) < nodes:
        return ids[:0]
    if n_tiers == 0:
        return ids[:nodes]
    n_groups = 0
    for t in range(n_tiers):
        for node in ids:
            n_groups = max(n_groups, tiers[t, node] + 1)
    room = np.zeros((n_tiers, n_groups), dtype=np.int64)
    around = np.full((n_tiers, n_groups), -1, dtype=np.int64)
    for t in range(n_tiers):
        last = t + 1 == n_tiers
        for node in ids:
            each = tiers[t, node]
            room[t, each] += 1
            around[t, each] = 0 if last else tiers[t + 1, node]

    quota = np.zeros((n_tiers, n_groups), dtype=np.int64)
    level = n_tiers
    for t in range(n_tiers):
        best, best_next = -1, 0
        for each in range(n_groups):
            if room[t, each] < nodes:
                continue
            beyond = 0 if t + 1 == n_tiers else room[t + 1, around[t, each]]
            closer = best >= 0 and room[t, each] == room[t, best] and beyond < best_next
            if best < 0 or room[t, each] < room[t, best] or closer:
                best, best_next = each, beyond
        if best >= 0:
            quota[t, best] = nodes
            level = t
            break
    if level == n_tiers:
        level -= 1
        _share_out(room[level], around[level], 0, nodes, quota[level])
        if strict:
            size = np.sort(np.bincount(tiers[level]))
            least, covered = 0, 0
            while covered < nodes:
                least += 1
                covered += size[len(size) - least]
            if np.count_nonzero(quota[level]) > least:
                return ids[:0]
    for t in range(level - 1, -1, -1):
        for each in range(n_groups):
            if quota[t + 1, each] > 0:
                _share_out(room[t], around[t], each, quota[t + 1, each], quota[t])
    return _gather_by_tier(ids, tiers, around, quota, level, nodes)


@kernel
def _gather_by_tier(ids: Ints, tiers: Ints, around: Ints, quota: Ints, level: int, nodes: int) -> Ints:
    """Return the first ids of every group of the narrowest tier, in the order of the wider groups."""
    place = np.zeros_like(quota)
    total = 0
    for each in range(quota.shape[1]):
        place[level, each] = total
        total += quota[level, each]
    for t in range(level - 1, -1, -1):
        for each in range(quota.shape[1]):
            if quota[t, each] > 0:
                place[t, each] = place[t + 1, around[t, each]]
                place[t + 1, around[t, each]] += quota[t, each]
    chosen = np.empty(nodes, dtype=np.int64)
    for node in ids:
        each = tiers[0, node]
        if quota[0, each] > 0:
            quota[0, each] -= 1
            chosen[place[0, each]] = node
            place[0, each] += 1
    return chosen


@kernel
def best_fit(free: Bools, group: Ints, nodes: int) -> Ints:
    """Return nodes of the one group in which fewest are left over; the lowest free ids where no group has room.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        True where a job could start.
    group : int array, shape (machine nodes,)
        Group of every node.
    nodes : int
        How many are wanted, at least 1.
    """
    ids = first_fit(free, free.shape[0])
    room = _room(ids, group)
    best = -1
    for each in range(len(room)):
        if room[each] >= nodes and (best < 0 or room[each] < room[best]):
            best = each
    if best < 0:
        return ids[:nodes]
    quota = np.zeros_like(room)
    quota[best] = nodes
    return _gather(ids, group, quota)


@kernel
def fullest_first(free: Bools, group: Ints, nodes: int) -> Ints:
    """Return nodes that fill up groups: those of the group with the fewest free nodes, then of the next one, and so on.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        True where a job could start.
    group : int array, shape (machine nodes,)
        Group of every node.
    nodes : int
        How many are wanted, at least 1.
    """
    ids = first_fit(free, free.shape[0])
    room = _room(ids, group)
    quota = np.zeros_like(room)
    left = min(nodes, len(ids))
    for each in np.argsort(room, kind="mergesort"):
        quota[each] = min(room[each], left)
        left -= quota[each]
    return _gather(ids, group, quota)


@kernel
def _even_quotas(room: Ints, order: Ints, nodes: int, quota: Ints) -> None:
    """Fill quotas of the groups in ``order``, one node for each in turn while it has room."""
    left = nodes
    while left > 0:
        before = left
        for each in order:
            if left > 0 and quota[each] < room[each]:
                quota[each] += 1
                left -= 1
        if left == before:
            return


@kernel
def emptiest_first(free: Bools, group: Ints, nodes: int) -> Ints:
    """Return nodes in as many groups as there can be: one of each in turn, beginning with the one with most free nodes.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        True where a job could start.
    group : int array, shape (machine nodes,)
        Group of every node.
    nodes : int
        How many are wanted, at least 1.
    """
    ids = first_fit(free, free.shape[0])
    room = _room(ids, group)
    quota = np.zeros_like(room)
    _even_quotas(room, np.argsort(-room, kind="mergesort"), nodes, quota)
    return _gather(ids, group, quota)


@kernel
def even_groups(free: Bools, group: Ints, around: Ints, nodes: int, most: int) -> Ints:
    """Return nodes in as few groups as there can be, the same number of each as far as they have room.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        True where a job could start.
    group, around : int arrays, shape (machine nodes,)
        Group of every node, and the wider group around that.
    nodes : int
        How many are wanted, at least 1.
    most : int
        Most nodes of one group, at least 1.

    Returns
    -------
    int array, shape (nodes,) or (0,)
        Ids; none where the groups have not room for that many, ``most`` of each. With k the fewest groups that do, and
        at least k of them with room for an equal part, rounded up: the k fullest of those, inside the wider group with
        fewest of them if one has k. Otherwise the k with most room.
    """
    ids = first_fit(free, free.shape[0])
    room = np.minimum(_room(ids, group), most)
    wider = np.zeros_like(room)
    for node in ids:
        wider[group[node]] = around[node]
    order = np.argsort(-room, kind="mergesort")
    k, covered = 0, 0
    while covered < nodes and k < len(order):
        covered += room[order[k]]
        k += 1
    if covered < nodes:
        return ids[:0]
    part = (nodes + k - 1) // k
    fits = np.flatnonzero(room >= part)
    chosen = order[:k]
    if len(fits) >= k:
        counts = np.bincount(wider[fits])
        best = -1
        for each in range(len(counts)):
            if counts[each] >= k and (best < 0 or counts[each] < counts[best]):
                best = each
        if best >= 0:
            fits = fits[wider[fits] == best]
        chosen = np.sort(fits[np.argsort(room[fits], kind="mergesort")][:k])
    quota = np.zeros_like(room)
    _even_quotas(room, chosen, nodes, quota)
    return _gather(ids, group, quota)


def nearest_to(free: Bools, tiers: Ints, held: Ints, nodes: int) -> Ints:
    """Return free nodes in the groups of the narrowest tier of those held, then of the next tiers, then anywhere.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        True where a job could take a node.
    tiers : int array, shape (tiers, machine nodes)
        Group of every node on each tier, the narrowest first.
    held : int array
        Nodes that the job holds.
    nodes : int
        How many are wanted.
    """
    ids = np.flatnonzero(free)
    distance = np.full(len(ids), len(tiers), dtype=np.int64)
    for tier in reversed(range(len(tiers))):
        near = np.zeros(int(tiers[tier].max()) + 1, dtype=np.bool_)
        near[tiers[tier, held]] = True
        distance[near[tiers[tier, ids]]] = tier
    chosen: Ints = ids[np.argsort(distance, kind="stable")][:nodes]
    return chosen


def evening_out(free: Bools, group: Ints, tiers: Ints, held: Ints, nodes: int, most: int) -> Ints:
    """Return free nodes that bring the groups of those held as near to equal numbers as they can.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        True where a job could take a node.
    group : int array, shape (machine nodes,)
        Group of every node.
    tiers : int array, shape (tiers, machine nodes)
        Wider groups, the narrowest first, for what finds no place in a group that is held.
    held : int array
        Nodes that the job holds.
    nodes : int
        How many are wanted.
    most : int
        Most nodes of one group.
    """
    left, counts = free.copy(), np.bincount(group[held], minlength=int(group.max()) + 1)
    chosen: list[int] = []
    while len(chosen) < nodes:
        room = np.bincount(group[left], minlength=len(counts)) > 0
        able = np.flatnonzero(room & (counts > 0) & (counts < most))
        if len(able) == 0:
            break
        best = able[np.argmin(counts[able])]
        node = int(np.flatnonzero(left & (group == best))[0])
        chosen.append(node)
        left[node] = False
        counts[best] += 1
    rest = nearest_to(left, np.vstack((group, tiers)), held, nodes - len(chosen))
    return np.concatenate((np.array(chosen, dtype=np.int64), rest))


def are_equal_parts(ids: Ints, group: Ints, most: int) -> bool:
    """Return whether as many nodes lie in each group, as far as that can be, and at most ``most`` in any."""
    counts = np.unique(group[ids], return_counts=True)[1]
    return bool(counts.max() <= most and counts.max() - counts.min() <= (len(ids) % len(counts) > 0))


@kernel
def first_room(free_gpus: Ints, gpus: int) -> Ints:
    """Return the first node with that many free GPUs, or none; shape (1,) or (0,)."""
    for node in range(len(free_gpus)):
        if free_gpus[node] >= gpus:
            return np.array([node])
    return np.empty(0, dtype=np.int64)


@kernel
def least_left(free_gpus: Ints, gpus: int) -> Ints:
    """Return the first node on which fewest free GPUs are left over, or none; shape (1,) or (0,)."""
    best = -1
    for node in range(len(free_gpus)):
        if free_gpus[node] >= gpus and (best < 0 or free_gpus[node] < free_gpus[best]):
            best = node
            if free_gpus[node] == gpus:
                break
    return np.array([best]) if best >= 0 else np.empty(0, dtype=np.int64)


@kernel
def most_left(free_gpus: Ints, gpus: int) -> Ints:
    """Return the first of the nodes with most free GPUs, or none where these are too few; shape (1,) or (0,)."""
    best = 0
    for node in range(len(free_gpus)):
        if free_gpus[node] > free_gpus[best]:
            best = node
    return np.array([best]) if free_gpus[best] >= gpus else np.empty(0, dtype=np.int64)


@kernel
def first_holes(free: Ints, gpus: Ints) -> Bools:
    """Return which parts of nodes find a hole, each taking the first one that is large enough.

    Parameters
    ----------
    free : int array, shape (holes,)
        Free GPUs of nodes partly in use; modified in place.
    gpus : int array, shape (parts,)
        GPUs wanted, in the order in which they are served.
    """
    found = np.zeros(len(gpus), np.bool_)
    for part in range(len(gpus)):
        for hole in range(len(free)):
            if free[hole] >= gpus[part]:
                free[hole] -= gpus[part]
                found[part] = True
                break
    return found
