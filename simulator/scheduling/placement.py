"""Placement: which free nodes a job starts on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel


@kernel
def first_fit(free: NDArray[np.bool_], nodes: int) -> NDArray[np.int64]:
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
    ids = np.empty(nodes, dtype=np.int64)
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


def fewest_groups(
    free: NDArray[np.bool_], tiers: Sequence[NDArray[np.int64]], nodes: int, strict: bool = False
) -> NDArray[np.int64]:
    """Return free nodes that lie as close together as they can, in the order of the groups they lie in.

    Parameters
    ----------
    free : bool array, shape (machine nodes,)
        True where a job could start.
    tiers : sequence of int arrays, each of shape (machine nodes,)
        Group of every node on each tier of the network, the narrowest first (leaf, pod, ...); groups are nested.
    nodes : int
        How many are wanted, at least 1.
    strict : bool
        Return none at all when more groups of the widest tier would be needed than an empty machine needs.

    Returns
    -------
    int array, shape (nodes,) or (0,)
        Ids. The job lies in one group of the narrowest tier that has room, in the fullest such group (best fit). When
        no group of the widest tier has room, groups are emptied from the one with the most free nodes on, which is
        the fewest there can be, and the last of them is again a best fit.
    """
    if not tiers:
        return first_fit(free, nodes)
    rooms = [np.bincount(group[free], minlength=int(group.max()) + 1) for group in tiers]
    for tier, (group, room) in enumerate(zip(tiers, rooms, strict=True)):
        ids = np.flatnonzero(free & (room[group] >= nodes))
        if len(ids):
            # The fullest group with room; among equals the one in the fullest group of the next tier.
            around = rooms[tier + 1][tiers[tier + 1][ids]] if tier + 1 < len(tiers) else ids
            best = int(group[ids[np.lexsort((around, room[group[ids]]))[0]]])
            return _spread_least(np.flatnonzero(free & (group == best)), tiers[:tier], nodes)
    if strict:
        size = np.sort(np.bincount(group))[::-1]
        if np.count_nonzero(np.cumsum(np.sort(room)[::-1]) < nodes) > np.count_nonzero(np.cumsum(size) < nodes):
            return np.empty(0, dtype=np.int64)
    parts, left = [], nodes
    while left > 0:
        enough = np.flatnonzero(room >= left)
        best = int(enough[np.argmin(room[enough])] if len(enough) else np.argmax(room))
        count = min(left, int(room[best]))
        if count == 0:
            break
        parts.append(_spread_least(np.flatnonzero(free & (group == best)), tiers[:-1], count))
        room[best] = 0
        left -= count
    return np.concatenate(parts) if left == 0 else np.empty(0, dtype=np.int64)


def _spread_least(ids: NDArray[np.int64], tiers: Sequence[NDArray[np.int64]], nodes: int) -> NDArray[np.int64]:
    """Return ``nodes`` of these ids, whole groups of the inner tiers first, neighbours next to each other."""
    if not tiers or len(ids) == nodes:
        return ids[:nodes]
    group = tiers[-1][ids]
    room = np.bincount(group)
    parts, left = [], nodes
    while left > 0:
        enough = np.flatnonzero(room >= left)
        best = int(enough[np.argmin(room[enough])] if len(enough) else np.argmax(room))
        count = min(left, int(room[best]))
        parts.append(_spread_least(ids[group == best], tiers[:-1], count))
        room[best] = 0
        left -= count
    return np.concatenate(parts)
