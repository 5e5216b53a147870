"""Weighted max-min sharing of links, with caps, by progressive filling over a heap of link levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulator.compiled import kernel
from simulator.errors import InputError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@kernel
def sift_down(heap: Ints, size: int, key: Floats, root: int) -> None:
    """Restore the heap of positions below ``root``, the smallest key on top."""
    item = heap[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        if child + 1 < size and key[heap[child + 1]] < key[heap[child]]:
            child += 1
        if key[heap[child]] >= key[item]:
            break
        heap[root] = heap[child]
        root = child
    heap[root] = item


@kernel
def _fill(capacity: Floats, indptr: Ints, links: Ints, weights: Floats, cap: Floats) -> Floats:
    """Raise all activities together; freeze those at a full link or at their cap; repeat."""
    n, m = len(indptr) - 1, len(capacity)
    first = np.zeros(m + 1, np.int64)
    load = np.zeros(m)
    for slot in range(len(links)):
        first[links[slot] + 1] += 1
        load[links[slot]] += weights[slot]
    first = np.cumsum(first)
    place = first[:-1].copy()
    member = np.empty(len(links), np.int64)
    for j in range(n):
        for slot in range(indptr[j], indptr[j + 1]):
            member[place[links[slot]]] = j
            place[links[slot]] += 1
    left = capacity.copy()
    users = first[1:] - first[:-1]
    level = np.full(m, np.inf)
    heap = np.empty(m, np.int64)
    size = 0
    for link in range(m):
        if load[link] > 0.0:
            level[link] = left[link] / load[link]
            heap[size] = link
            size += 1
    for root in range(size // 2 - 1, -1, -1):
        sift_down(heap, size, level, root)
    rates = cap.copy()
    frozen = np.zeros(n, np.bool_)
    by_cap = np.argsort(cap)
    next_cap = 0
    while True:
        while next_cap < n and frozen[by_cap[next_cap]]:
            next_cap += 1
        # Levels only rise as activities freeze, so a stale top is a lower bound and can be put back.
        while size > 0:
            top = heap[0]
            now = max(left[top], 0.0) / load[top] if users[top] > 0 and load[top] > 0.0 else np.inf
            if now <= level[top]:
                break
            level[top] = now
            if now == np.inf:
                size -= 1
                heap[0] = heap[size]
            if size > 0:
                sift_down(heap, size, level, 0)
        lowest = level[heap[0]] if size > 0 else np.inf
        limit = cap[by_cap[next_cap]] if next_cap < n else np.inf
        if lowest == np.inf and limit == np.inf:
            return rates
        at_cap = limit <= lowest
        begin = next_cap if at_cap else first[heap[0]]
        end = next_cap + 1 if at_cap else first[heap[0] + 1]
        rate = min(limit, lowest)
        for at in range(begin, end):
            j = by_cap[at] if at_cap else member[at]
            if frozen[j]:
                continue
            frozen[j] = True
            rates[j] = rate
            for slot in range(indptr[j], indptr[j + 1]):
                left[links[slot]] -= rate * weights[slot]
                load[links[slot]] -= weights[slot]
                users[links[slot]] -= 1


def floats(values: ArrayLike, key: str, *, positive: bool = False, infinite: bool = False) -> Floats:
    """Return a one-dimensional float array without NaN or negative values, or raise InputError naming ``key``."""
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("not an array of numbers", key=key) from None
    if array.ndim != 1:
        raise InputError("wrong shape", key=key, found=f"{array.ndim} dimensions", allowed="one dimension")
    wrong = ~((array > 0) if positive else (array >= 0))
    if not infinite:
        wrong |= np.isinf(array)
    if wrong.any():
        at = int(np.argmax(wrong))
        allowed = ("above 0" if positive else "0 or more") + ("" if infinite else ", finite")
        raise InputError(f"value {at} is out of range", key=key, found=str(array[at]), allowed=allowed)
    return array


def rows(
    indptr: ArrayLike, links: ArrayLike, n_links: int, names: tuple[str, str], thing: str = "link"
) -> tuple[Ints, Ints]:
    """Return a checked CSR pair (row pointers, link or other thing of each entry) as int64, or raise InputError."""
    arrays: list[Ints] = []
    for values, key in zip((indptr, links), names, strict=True):
        array = np.asarray(values)
        if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
            raise InputError("wrong shape or kind", key=key, found=str(array.dtype), allowed="integers, one dimension")
        arrays.append(np.ascontiguousarray(array, dtype=np.int64))
    pointer, entries = arrays
    if not len(pointer) or pointer[0] != 0 or pointer[-1] != len(entries) or (np.diff(pointer) < 0).any():
        raise InputError("not row pointers", key=names[0], allowed=f"ascending from 0 to {len(entries)}")
    wrong = (entries < 0) | (entries >= n_links)
    if wrong.any():
        raise InputError(
            f"no such {thing}", key=names[1], found=str(entries[np.argmax(wrong)]), allowed=f"0 to {n_links - 1}"
        )
    return pointer, entries


def same_length(array: Floats, n: int, key: str) -> None:
    """Raise InputError unless ``array`` has ``n`` entries."""
    if len(array) != n:
        raise InputError("wrong length", key=key, found=str(len(array)), allowed=str(n))


def max_min_rates(
    capacity: ArrayLike,
    usage_indptr: ArrayLike,
    usage_links: ArrayLike,
    usage_weights: ArrayLike,
    rate_cap: ArrayLike | None = None,
) -> Floats:
    """Lexicographic max-min rates r under sum_j w_jl r_j <= c_l and r_j <= cap_j.

    Parameters
    ----------
    capacity : array, shape (links,)
        Bytes/s, above 0.
    usage_indptr, usage_links, usage_weights : arrays, shapes (activities + 1,), (entries,), (entries,)
        CSR rows: links each activity uses and how much of its rate falls on each. A link named twice adds up.
    rate_cap : array, shape (activities,), optional
        Bytes/s; infinite where there is none.

    Returns
    -------
    array, shape (activities,)
        Bytes/s; an activity on no link gets its cap.

    Raises
    ------
    InputError
        Wrong shape, NaN, negative value, zero capacity, or a link that does not exist.
    """
    c = floats(capacity, "capacity", positive=True)
    indptr, links = rows(usage_indptr, usage_links, len(c), ("usage_indptr", "usage_links"))
    weights = floats(usage_weights, "usage_weights")
    same_length(weights, len(links), "usage_weights")
    n = len(indptr) - 1
    cap = np.full(n, np.inf) if rate_cap is None else floats(rate_cap, "rate_cap", infinite=True)
    same_length(cap, n, "rate_cap")
    if (weights == 0).any():  # an unused link must not freeze anybody
        used = weights > 0
        indptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(used, dtype=np.int64)))[indptr]
        links, weights = links[used], weights[used]
    return _fill(c, indptr, links, weights, cap)
