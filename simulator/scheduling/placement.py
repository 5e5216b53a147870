"""Placement: which free nodes a job starts on."""

from __future__ import annotations

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
