"""What is planned on the nodes of a machine: how many of each kind are empty when, and what shared ones hold.

Nodes that lie in the same windows are of one kind, and what is planned on them can be exchanged: at a moment at which two
of them are empty, whatever is planned on the one from then on may as well be planned on the other. So nothing is tied
to a node before it starts, and a plan only counts the *empty* nodes of every kind over time: a job for whole nodes can
have so many of a kind as are never missing while it runs. Jobs for parts of nodes go into *boxes*. A box is one
node, of a known kind, on which they lie together: one that jobs share already, or any that is empty when the first of
them starts. While nothing lies in it, it takes no node.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.windows import NOBODY, WindowColumns

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

OPEN = -2
"""Account of a kind that is kept for nobody and from nobody."""
NONE = -1
SHARED = -2
"""Holder of a node on which jobs share."""


class NodeColumns(NamedTuple):
    """The nodes as ``policies.views.NodesView`` has them, and their kinds.

    Parameters
    ----------
    gpus_per_node : int
        GPUs of a node.
    kind : int array, shape (nodes,)
        Kind of every node; nodes of one kind lie in the same windows.
    holder, free_gpus, free_at_s, tenant_end_s, tenant_gpus, windows
        As there; ``tenant_gpus`` all 0 where no job shares nodes.
    """

    gpus_per_node: int
    kind: Ints
    holder: Ints
    free_gpus: Ints
    free_at_s: Floats
    tenant_end_s: Floats
    tenant_gpus: Ints
    windows: WindowColumns


class NodePlan(NamedTuple):
    """A plan. Arrays are longer than what is in use, and modified in place.

    Parameters
    ----------
    times_s : float array, shape (entries,)
        Begins of the entries, ascending; the first is the present, the last lasts for ever.
    empty, kept : int arrays, shape (entries, kinds)
        Nodes of every kind that are empty, and the account that they are kept for: ``NOBODY`` in maintenance,
        ``OPEN`` outside of windows.
    first : int array, shape (boxes,)
        First step of each box, ``NONE`` where there is no such box.
    kind : int array, shape (boxes,)
        Its kind of node.
    step_s, used, after : arrays, shape (steps,)
        Steps of the boxes: from when, GPUs in use from then on, and the next step of the same box, ``NONE`` for the
        last, at which nothing is in use.
    size : int array, shape (2,)
        Entries and steps in use.
    """

    times_s: Floats
    empty: Ints
    kept: Ints
    first: Ints
    kind: Ints
    step_s: Floats
    used: Ints
    after: Ints
    size: Ints


# --- entries ----------------------------------------------------------------------------------------------------------


@kernel
def entry_of(plan: NodePlan, time_s: float) -> int:
    """Return the entry in which a time lies, which is not before the present."""
    low, high = 0, plan.size[0]
    while low < high:
        middle = (low + high) // 2
        if plan.times_s[middle] <= time_s:
            low = middle + 1
        else:
            high = middle
    return low - 1


@kernel
def _entry_at(plan: NodePlan, time_s: float) -> int:
    """Make a time the begin of an entry; return that entry, the number of entries for an infinite time."""
    if time_s == np.inf:
        return int(plan.size[0])
    i = entry_of(plan, time_s)
    if plan.times_s[i] == time_s:
        return i
    i += 1
    n_kinds = plan.empty.shape[1]
    for k in range(plan.size[0], i, -1):
        plan.times_s[k] = plan.times_s[k - 1]
        for kind in range(n_kinds):
            plan.empty[k, kind], plan.kept[k, kind] = plan.empty[k - 1, kind], plan.kept[k - 1, kind]
    plan.times_s[i] = time_s
    for kind in range(n_kinds):
        plan.empty[i, kind], plan.kept[i, kind] = plan.empty[i - 1, kind], plan.kept[i - 1, kind]
    plan.size[0] += 1
    return i


@kernel
def change_empty(plan: NodePlan, kind: int, start_s: float, end_s: float, nodes: int) -> None:
    """Let so many more nodes of a kind be empty between two times, fewer where ``nodes`` is negative."""
    first, last = _entry_at(plan, start_s), _entry_at(plan, end_s)
    for i in range(first, last):
        plan.empty[i, kind] += nodes


@kernel
def room_of(plan: NodePlan, i: int, kind: int, account: int) -> int:
    """Return how many nodes of a kind an account could take in an entry."""
    kept = plan.kept[i, kind]
    return int(plan.empty[i, kind]) if kept in (OPEN, account) else 0


@kernel
def next_window_s(plan: NodePlan, time_s: float, kind: int) -> float:
    """Return when the next window of a kind begins, minus infinity while one is open and infinity if none comes."""
    i = entry_of(plan, time_s)
    if plan.kept[i, kind] != OPEN:
        return -np.inf
    for k in range(i + 1, plan.size[0]):
        if plan.kept[k, kind] != OPEN:
            return float(plan.times_s[k])
    return np.inf


# --- whole nodes ------------------------------------------------------------------------------------------------------


@kernel
def earliest_whole_s(plan: NodePlan, nodes: int, length_s: float, account: int, least: Ints) -> float:
    """Return the earliest time from which so many nodes are empty and open to an account for so long.

    Parameters
    ----------
    plan : NodePlan
        The plan.
    nodes, length_s, account : int, float, int
        Nodes wanted, for how long, and by whom.
    least : int array, shape (kinds,)
        Filled: nodes of every kind that are empty and open during all that time.

    Returns
    -------
    float
        The present or a time at which nodes become empty or a window ends. Infinite if there is none.
    """
    n_entries, n_kinds = plan.size[0], len(least)
    plenty = np.int64(2**40)
    least[:] = plenty
    first = 0
    for last in range(n_entries):
        total = np.int64(0)
        for kind in range(n_kinds):
            least[kind] = min(least[kind], room_of(plan, last, kind, account))
            total += least[kind]
        if total < nodes:
            # Begin again at the earliest entry from which all up to here would do, going back from here.
            bound, first = first, last + 1
            least[:] = plenty
            for i in range(last, bound - 1, -1):
                total = np.int64(0)
                for kind in range(n_kinds):
                    total += min(least[kind], room_of(plan, i, kind, account))
                if total < nodes:
                    break
                for kind in range(n_kinds):
                    least[kind] = min(least[kind], room_of(plan, i, kind, account))
                first = i
        if first <= last and (last + 1 == n_entries or plan.times_s[last + 1] >= plan.times_s[first] + length_s):
            return float(plan.times_s[first])
    return np.inf


@kernel
def least_room(plan: NodePlan, end_s: float, account: int, least: Ints) -> None:
    """Fill in how many nodes of every kind are empty and open to an account from now until then."""
    for kind in range(len(least)):
        least[kind] = room_of(plan, 0, kind, account)
        for i in range(1, plan.size[0]):
            if plan.times_s[i] >= end_s:
                break
            least[kind] = min(least[kind], room_of(plan, i, kind, account))


# --- boxes ------------------------------------------------------------------------------------------------------------


@kernel
def open_box(plan: NodePlan, box: int, kind: int) -> None:
    """Make an empty box for a node of a kind."""
    step = plan.size[1]
    plan.step_s[step], plan.used[step], plan.after[step] = plan.times_s[0], 0, NONE
    plan.first[box], plan.kind[box] = step, kind
    plan.size[1] += 1


@kernel
def _step_at(plan: NodePlan, box: int, time_s: float) -> int:
    """Make a time, not before the present, the begin of a step of a box; return that step."""
    step = plan.first[box]
    while plan.after[step] != NONE and plan.step_s[plan.after[step]] <= time_s:
        step = plan.after[step]
    if plan.step_s[step] == time_s:
        return int(step)
    fresh = plan.size[1]
    plan.step_s[fresh], plan.used[fresh], plan.after[fresh] = time_s, plan.used[step], plan.after[step]
    plan.after[step] = fresh
    plan.size[1] += 1
    return int(fresh)


@kernel
def put_in_box(plan: NodePlan, box: int, start_s: float, end_s: float, gpus: int) -> None:
    """Use so many more GPUs of a box between two times, fewer where ``gpus`` is negative; entries stay as they are."""
    step, last = _step_at(plan, box, start_s), NONE
    if end_s < np.inf:
        last = _step_at(plan, box, end_s)
    while step != last:
        plan.used[step] += gpus
        step = plan.after[step]


@kernel
def book_part(plan: NodePlan, box: int, start_s: float, end_s: float, gpus: int) -> None:
    """Put a job in a box, or take it out where ``gpus`` is negative; the box has a node only while it is not empty."""
    step, last = _step_at(plan, box, start_s), _step_at(plan, box, end_s)
    kind = plan.kind[box]
    while step != last:
        before = plan.used[step]
        plan.used[step] += gpus
        if (before == 0) != (plan.used[step] == 0):
            change_empty(plan, kind, plan.step_s[step], plan.step_s[plan.after[step]], 1 if before else -1)
        step = plan.after[step]


@kernel
def open_runs(plan: NodePlan, account: int, open_until: Floats, empty_until: Floats) -> None:
    """Fill in how long every kind stays open to an account, and how long one node of it stays empty as well.

    Parameters
    ----------
    plan : NodePlan
        The plan.
    account : int
        The account.
    open_until, empty_until : float arrays, shape (kinds, entries)
        Filled for every entry; minus infinity where it is not so at all.
    """
    n_entries = plan.size[0]
    for kind in range(open_until.shape[0]):
        open_s, empty_s = -np.inf, -np.inf
        end_s = np.inf
        for i in range(n_entries - 1, -1, -1):
            is_open = plan.kept[i, kind] in (OPEN, account)
            is_empty = is_open and plan.empty[i, kind] >= 1
            open_s = (end_s if open_s == -np.inf else open_s) if is_open else -np.inf
            empty_s = (end_s if empty_s == -np.inf else empty_s) if is_empty else -np.inf
            open_until[kind, i], empty_until[kind, i] = open_s, empty_s
            end_s = plan.times_s[i]


@kernel
def earliest_new_s(plan: NodePlan, length_s: float, empty_until: Floats) -> float:
    """Return the earliest time from which a node stays empty for so long, by the runs of its kind."""
    for i in range(plan.size[0]):
        if empty_until[i] >= plan.times_s[i] + length_s:
            return float(plan.times_s[i])
    return np.inf


@kernel
def earliest_in_box(
    plan: NodePlan, box: int, gpus: int, length_s: float, g: int, before_s: float, open_until: Floats,
    empty_until: Floats,
) -> tuple[float, int]:  # fmt: skip
    """Return the earliest time from which a box has room for a job, and the GPUs in use then.

    Parameters
    ----------
    plan : NodePlan
        The plan.
    box, gpus, length_s : int, int, float
        The box, GPUs wanted and for how long.
    g : int
        GPUs of a node.
    before_s : float
        Later times are not of interest: an empty node can be had by then.
    open_until, empty_until : float arrays, shape (entries,)
        What ``open_runs`` says of its kind for the account of the job.

    Returns
    -------
    start_s : float
        Infinite if there is none by then.
    used : int
        GPUs in use from then on.

    Notes
    -----
    Where the box is in use it must be open and have as many GPUs left; where it is not there must be an empty node for
    it, so that one node serves for all.
    """
    n_entries = plan.size[0]
    step, start_s, used = plan.first[box], -np.inf, 0
    while step != NONE:
        after = plan.after[step]
        begin_s, end_s = plan.step_s[step], np.inf
        if after != NONE:
            end_s = plan.step_s[after]
        if plan.used[step] + gpus > g:
            start_s, step = -np.inf, after
            continue
        if start_s == -np.inf and after == NONE and plan.used[step] == 0:
            break  # an empty node is as good from here on
        until_s = open_until if plan.used[step] > 0 else empty_until
        time_s = begin_s
        if start_s == -np.inf and plan.used[step] == 0:
            # A job that is over before the box is in use can have an empty node as well.
            time_s = max(begin_s, end_s - length_s)
        i = entry_of(plan, time_s)
        while i < n_entries and time_s < end_s:
            if until_s[i] > time_s:
                if start_s == -np.inf:
                    start_s, used = time_s, plan.used[step]
                    if start_s > before_s:
                        return np.inf, 0
                if min(until_s[i], end_s) >= start_s + length_s:
                    return float(start_s), int(used)
                if until_s[i] >= end_s:
                    break
                i = entry_of(plan, until_s[i])
            start_s = -np.inf
            while i < n_entries and until_s[i] == -np.inf:
                i += 1
            if i < n_entries:
                time_s = plan.times_s[i]
        step = after
    return np.inf, 0


# --- the plan of a moment ---------------------------------------------------------------------------------------------


def ready_from_s(now_s: float, nodes: NodeColumns) -> Floats:
    """Return from when each node counts among the empty ones but for what lies in its box; infinite if nobody can say.

    One in maintenance comes back at its end; a job past its estimate ends just after now. Nobody can say of a node that
    is out of service, a spare or put aside, nor of a shared one that takes nobody new.
    """
    is_free = (nodes.holder == NONE) & (nodes.free_gpus == nodes.gpus_per_node)
    takes_more = nodes.free_gpus + nodes.tenant_gpus.sum(axis=1) == nodes.gpus_per_node
    is_there = is_free | ((nodes.holder == SHARED) & takes_more)
    ends_s = np.maximum(nodes.free_at_s, np.nextafter(now_s, np.inf))
    ready_s: Floats = np.where(is_there, now_s, np.where(nodes.holder >= 0, ends_s, np.inf))
    windows = nodes.windows
    for k in np.flatnonzero((windows.begin_s <= now_s) & (windows.end_s > now_s) & (windows.account == NOBODY)):
        closed = windows.members[windows.group[k]] & (nodes.holder == NONE) & ~is_free
        ready_s[closed] = windows.end_s[k]
    return ready_s


def moments_of(now_s: float, nodes: NodeColumns, ready_s: Floats, more_s: Floats) -> Floats:
    """Return the times, from now on, at which anything changes in a plan, those in ``more_s`` included."""
    tenants_s = np.maximum(nodes.tenant_end_s[nodes.tenant_gpus > 0], np.nextafter(now_s, np.inf))
    windows = nodes.windows
    times_s = np.concatenate(([now_s], ready_s, tenants_s, windows.begin_s, windows.end_s, more_s))
    return np.unique(times_s[(times_s >= now_s) & (times_s < np.inf)])


@kernel
def new_plan(
    nodes: NodeColumns, n_kinds: int, ready_s: Floats, moments_s: Floats, n_boxes: int, n_queued: int
) -> NodePlan:
    """Return the plan of what runs, in which nothing that waits has a place yet.

    Parameters
    ----------
    nodes : NodeColumns
        The nodes.
    n_kinds : int
        Number of their kinds.
    ready_s, moments_s : float arrays
        As ``ready_from_s`` and ``moments_of`` say; the first moment is the present.
    n_boxes, n_queued : int
        Boxes beside the shared nodes, one for every waiting job that shares one, and waiting jobs, for which there must
        be room.

    Notes
    -----
    The box of a shared node has the number of the node; the others follow. Nodes in boxes still count as empty.
    """
    n_nodes, n_moments, now_s = len(nodes.kind), len(moments_s), moments_s[0]
    kind, tenant_gpus, windows = nodes.kind, nodes.tenant_gpus, nodes.windows
    size = n_moments + 2 * n_queued  # no job is placed twice in a pass
    n_steps = n_nodes + tenant_gpus.size + 5 * n_boxes
    plan = NodePlan(
        np.empty(size), np.zeros((size, n_kinds), np.int64), np.full((size, n_kinds), OPEN),
        np.full(n_nodes + n_boxes, NONE), np.zeros(n_nodes + n_boxes, np.int64),
        np.empty(n_steps), np.zeros(n_steps, np.int64), np.full(n_steps, NONE), np.zeros(2, np.int64),
    )  # fmt: skip
    plan.times_s[:n_moments] = moments_s
    plan.size[0] = n_moments
    some = np.zeros(n_kinds, np.int64)  # a node of every kind
    for node in range(n_nodes):
        some[kind[node]] = node
        if ready_s[node] == np.inf:
            continue
        plan.empty[entry_of(plan, ready_s[node]), kind[node]] += 1
        if nodes.holder[node] == SHARED:
            open_box(plan, node, kind[node])
            for slot in range(tenant_gpus.shape[1]):
                if tenant_gpus[node, slot] > 0:
                    end_s = max(nodes.tenant_end_s[node, slot], np.nextafter(now_s, np.inf))
                    put_in_box(plan, node, now_s, end_s, tenant_gpus[node, slot])
    for i in range(1, n_moments):
        for each in range(n_kinds):
            plan.empty[i, each] += plan.empty[i - 1, each]
    for k in range(len(windows.begin_s)):
        first = entry_of(plan, max(windows.begin_s[k], now_s))
        for each in range(n_kinds):
            if windows.members[windows.group[k], some[each]]:
                i = first
                while i < n_moments and moments_s[i] < windows.end_s[k]:
                    plan.kept[i, each] = windows.account[k]
                    i += 1
    return plan


@kernel
def settle_boxes(plan: NodePlan, g: int) -> bool:
    """Take the nodes of all boxes out of the empty ones, after jobs have been put in; return whether all is there."""
    fits = True
    change = np.zeros(plan.empty.shape, np.int64)
    for box in range(len(plan.first)):
        step = plan.first[box]
        while step != NONE:
            fits &= plan.used[step] <= g
            if plan.used[step] > 0:
                change[entry_of(plan, plan.step_s[step]), plan.kind[box]] -= 1
                if plan.after[step] != NONE:
                    change[entry_of(plan, plan.step_s[plan.after[step]]), plan.kind[box]] += 1
            step = plan.after[step]
    for kind in range(plan.empty.shape[1]):
        sum_of_changes = 0
        for i in range(plan.size[0]):
            sum_of_changes += change[i, kind]
            plan.empty[i, kind] += sum_of_changes
            fits &= plan.empty[i, kind] >= 0
    return fits
