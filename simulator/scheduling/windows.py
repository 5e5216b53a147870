"""Times in which nodes are kept for somebody, as columns that kernels can read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel

NOBODY = -1
"""Account of a window that is for none."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class WindowColumns(NamedTuple):
    """Windows by begin; those of one node do not overlap.

    Parameters
    ----------
    begin_s, end_s : float arrays, shape (windows,)
        From when until when.
    account : int array, shape (windows,)
        For whom, ``NOBODY`` for nobody.
    group : int array, shape (windows,)
        Row of ``members``; windows that repeat share one.
    members : bool array, shape (groups, nodes)
        Nodes that are kept.
    """

    begin_s: Floats
    end_s: Floats
    account: Ints
    group: Ints
    members: Bools


def no_windows(nodes: int) -> WindowColumns:
    """Return the columns of a machine of which nothing is kept for anybody."""
    none = np.empty(0, dtype=np.int64)
    return WindowColumns(np.empty(0), np.empty(0), none, none, np.empty((0, nodes), dtype=np.bool_))


@kernel
def is_open(node: int, start_s: float, end_s: float, account: int, windows: WindowColumns) -> bool:
    """Return whether a job of an account may use a node between two times: it meets no window of somebody else.

    A job whose end nobody knows, ``end_s`` infinite, is stopped when a window begins, so it meets those that are open.
    """
    last_s = start_s if end_s == np.inf else end_s
    for k in range(len(windows.begin_s)):
        if windows.begin_s[k] >= last_s and windows.begin_s[k] > start_s:
            return True
        is_met = windows.end_s[k] > start_s and windows.members[windows.group[k], node]
        if is_met and windows.account[k] != account:
            return False
    return True


@kernel
def open_from_s(node: int, start_s: float, length_s: float, account: int, windows: WindowColumns) -> float:
    """Return the earliest time, not before ``start_s``, from which a node is open to a job for its whole length."""
    time_s = start_s
    for k in range(len(windows.begin_s)):
        last_s = time_s if length_s == np.inf else time_s + length_s
        if windows.begin_s[k] >= last_s and windows.begin_s[k] > time_s:
            break
        is_met = windows.end_s[k] > time_s and windows.members[windows.group[k], node]
        if is_met and windows.account[k] != account:
            time_s = windows.end_s[k]  # windows of a node follow one another, so none before this one is met again
    return time_s


@kernel
def open_nodes(start_s: float, end_s: float, account: int, windows: WindowColumns) -> Bools:
    """Return which nodes a job of an account may use between two times, shape (nodes,)."""
    found = np.ones(windows.members.shape[1], np.bool_)
    for node in range(len(found)):
        found[node] = is_open(node, start_s, end_s, account, windows)
    return found
