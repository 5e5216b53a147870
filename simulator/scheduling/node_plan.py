"""What is planned on the nodes of a machine: how many of each kind are empty when, and what shared ones hold.

Nodes that lie in the same windows are of one kind, and what is planned on them can be exchanged: at a moment at which
two of them are empty, whatever is planned on the one from then on may as well be planned on the other. So nothing is
tied to a node before it starts, and a plan only counts the *empty* nodes of every kind over time: a job for whole nodes
can have so many of a kind as are never missing while it runs. Jobs for parts of nodes go into *boxes*. A box is one
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
    empty, kept : int arrays, shape (kinds, entries)
        Nodes of every kind that are empty, and the account that they are kept for: ``NOBODY`` in maintenance,
        ``OPEN`` outside of windows.
    first : int array, shape (boxes,)
        First step of each box, ``NONE`` where there is no such box.
    kind : int array, shape (boxes,)
        Its kind of node.
    step_s, used, after : arrays, shape (steps,)
        Steps of the boxes: from when, GPUs in use from then on, and the next step of the same box, ``NONE`` for the
        last, at which nothing is in use.
    size : int array, shape (3,)
        Entries and steps in use, and the number of windows.
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


class Runs(NamedTuple):
    """When every kind is open to an account, and when one node of it is empty as well; shape (kinds, entries).

    Parameters
    ----------
    open_from, open_until : float arrays
        From every entry on: the begin of the first entry in which it is open, and from there until when; infinite for
        never.
    empty_from, empty_until : float arrays
        The same where a node has to be empty.
    """

    open_from: Floats
    open_until: Floats
    empty_from: Floats
    empty_until: Floats


# --- entries ----------------------------------------------------------------------------------------------------------


@kernel
def _last_not_after(times_s: Floats, count: int, time_s: float) -> int:
    """Return the last of so many ascending times that is not after a time, which is not before the first."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if times_s[middle] <= time_s:
            low = middle + 1
        else:
            high = middle
    return low - 1


@kernel
def entry_of(plan: NodePlan, time_s: float) -> int:
    """Return the entry in which a time lies, which is not before the present."""
    return _last_not_after(plan.times_s, plan.size[0], time_s)


@kernel
def _entry_at(plan: NodePlan, time_s: float) -> int:
    """Make a time the begin of an entry; return that entry, the number of entries for an infinite time."""
    if time_s == np.inf:
        return int(plan.size[0])
    i = entry_of(plan, time_s)
    if plan.times_s[i] == time_s:
        return i
    i += 1
    n_entries, times_s = plan.size[0], plan.times_s
    for k in range(n_entries, i, -1):
        times_s[k] = times_s[k - 1]
    for kind in range(plan.empty.shape[0]):
        empty, kept = plan.empty[kind], plan.kept[kind]
        for k in range(n_entries, i - 1, -1):
            empty[k], kept[k] = empty[k - 1], kept[k - 1]
    plan.times_s[i] = time_s
    plan.size[0] += 1
    return i


@kernel
def change_empty(plan: NodePlan, kind: int, start_s: float, end_s: float, nodes: int) -> None:
    """Let so many more nodes of a kind be empty between two times, fewer where ``nodes`` is negative."""
    first, last = _entry_at(plan, start_s), _entry_at(plan, end_s)
    empty = plan.empty[kind]
    for i in range(first, last):
        empty[i] += nodes


@kernel
def room(empty: int, kept: int, account: int) -> int:
    """Return how many of so many empty nodes an account could take, when they are kept for ``kept``."""
    if kept == OPEN:
        return empty
    return empty if kept == account else 0


@kernel
def next_window_s(plan: NodePlan, time_s: float, kind: int) -> float:
    """Return when the next window of a kind begins, minus infinity while one is open and infinity if none comes."""
    i = entry_of(plan, time_s)
    if plan.kept[kind, i] != OPEN:
        return -np.inf
    for k in range(i + 1, plan.size[0]):
        if plan.kept[kind, k] != OPEN:
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
        Filled: nodes of every kind that are empty and open during all that time; no more than wanted where there is but
        one kind.

    Returns
    -------
    float
        The present or a time at which nodes become empty or a window ends. Infinite if there is none.
    """
    n_entries, n_kinds = plan.size[0], len(least)
    times_s, empty, kept = plan.times_s, plan.empty, plan.kept
    first = 0
    if n_kinds == 1:
        least[0] = nodes
        for last in range(n_entries):
            if room(empty[0, last], kept[0, last], account) < nodes:
                first = last + 1
            elif last + 1 == n_entries or times_s[last + 1] >= times_s[first] + length_s:
                return float(times_s[first])
        return np.inf
    plenty = np.int64(2**40)
    least[:] = plenty
    for last in range(n_entries):
        total = np.int64(0)
        for kind in range(n_kinds):
            least[kind] = min(least[kind], room(empty[kind, last], kept[kind, last], account))
            total += least[kind]
        if total < nodes:
            # Begin again at the earliest entry from which all up to here would do, going back from here.
            bound, first = first, last + 1
            least[:] = plenty
            for i in range(last, bound - 1, -1):
                total = np.int64(0)
                for kind in range(n_kinds):
                    total += min(least[kind], room(empty[kind, i], kept[kind, i], account))
                if total < nodes:
                    break
                for kind in range(n_kinds):
                    least[kind] = min(least[kind], room(empty[kind, i], kept[kind, i], account))
                first = i
        if first <= last and (last + 1 == n_entries or times_s[last + 1] >= times_s[first] + length_s):
            return float(times_s[first])
    return np.inf


@kernel
def least_room(plan: NodePlan, end_s: float, account: int, least: Ints) -> None:
    """Fill in how many nodes of every kind are empty and open to an account from now until then."""
    for kind in range(len(least)):
        empty, kept = plan.empty[kind], plan.kept[kind]
        least[kind] = room(empty[0], kept[0], account)
        for i in range(1, plan.size[0]):
            if plan.times_s[i] >= end_s:
                break
            least[kind] = min(least[kind], room(empty[i], kept[i], account))


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
    step_s, used, after = plan.step_s, plan.used, plan.after
    step = plan.first[box]
    while after[step] != NONE and step_s[after[step]] <= time_s:
        step = after[step]
    if step_s[step] == time_s:
        return int(step)
    fresh = plan.size[1]
    step_s[fresh], used[fresh], after[fresh] = time_s, used[step], after[step]
    after[step] = fresh
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
def find_runs(plan: NodePlan, account: int, last_s: float, runs: Runs) -> int:
    """Fill in the runs for an account up to a time; return the number of entries that are filled."""
    n_entries, times_s = plan.size[0], plan.times_s
    if last_s < np.inf:
        n_entries = entry_of(plan, last_s) + 1
    for kind in range(plan.empty.shape[0]):
        empty, kept = plan.empty[kind], plan.kept[kind]
        open_from, open_until = runs.open_from[kind], runs.open_until[kind]
        empty_from, empty_until = runs.empty_from[kind], runs.empty_until[kind]
        end_s = np.inf
        open_s, open_end_s, empty_s, empty_end_s = np.inf, np.inf, np.inf, np.inf
        for i in range(n_entries - 1, -1, -1):
            if room(1, kept[i], account):
                if open_s != end_s:
                    open_end_s = end_s
                open_s = times_s[i]
            if room(empty[i], kept[i], account) > 0:
                if empty_s != end_s:
                    empty_end_s = end_s
                empty_s = times_s[i]
            open_from[i], open_until[i] = open_s, open_end_s
            empty_from[i], empty_until[i] = empty_s, empty_end_s
            end_s = times_s[i]
    return int(n_entries)


@kernel
def earliest_new_s(plan: NodePlan, length_s: float, n_entries: int, kind: int, runs: Runs) -> float:
    """Return the earliest time from which a node of a kind stays empty for so long, by its runs."""
    times_s, empty_from, empty_until = plan.times_s, runs.empty_from[kind], runs.empty_until[kind]
    i = 0
    while i < n_entries and empty_until[i] < empty_from[i] + length_s:
        i = _last_not_after(times_s, n_entries, empty_until[i])
    return float(empty_from[i]) if i < n_entries else np.inf


@kernel
def earliest_box(
    plan: NodePlan, boxes: tuple[int, int], gpus: int, length_s: float, g: int, bound: tuple[float, int],
    n_entries: int, runs: Runs,
) -> tuple[int, float]:  # fmt: skip
    """Return the box that has room for a job first, the fullest of those, and from when.

    Parameters
    ----------
    plan : NodePlan
        The plan.
    boxes : tuple of two int
        The first of the boxes that are looked at, and the first that is not.
    gpus, length_s : int, float
        GPUs wanted and for how long.
    g : int
        GPUs of a node.
    bound : tuple of float and int
        Another place: from when, and GPUs in use there. Only what is earlier, or fuller at the same time, is of
        interest.
    n_entries, runs : int, Runs
        What ``find_runs`` says for the account of the job.

    Returns
    -------
    box : int
        ``NONE`` if there is none within the bound.
    start_s : float
        From when it has room.

    Notes
    -----
    Where a box is in use it must be open and have as many GPUs left; where it is not there must be an empty node for
    it, so that one node serves for all.
    """
    # Arrays are taken out of the tuple once: in a loop each access would count references.
    times_s, size = plan.times_s, plan.size
    open_from, open_until, empty_from, empty_until = runs
    firsts, kinds, step_s, in_use, following = plan.first, plan.kind, plan.step_s, plan.used, plan.after
    best, (best_s, best_used), n_windows = NONE, bound, size[2]
    for box in range(boxes[0], boxes[1]):
        step, start_s, used = firsts[box], -np.inf, 0
        is_found = False
        while step != NONE and not is_found:
            after, now_used = following[step], in_use[step]
            begin_s, end_s = step_s[step], np.inf
            if after != NONE:
                end_s = step_s[after]
            elif start_s == -np.inf and now_used == 0:
                break  # an empty node is as good from here on
            if start_s == -np.inf and begin_s > best_s:
                break
            step = after
            if now_used + gpus > g:
                start_s = -np.inf
                continue
            if now_used > 0 and n_windows == 0:  # always open
                if start_s == -np.inf:
                    start_s, used = begin_s, now_used
                is_found = end_s >= start_s + length_s
                continue
            time_s = begin_s
            if start_s == -np.inf and now_used == 0:
                # A job that is over before the box is in use can have an empty node as well.
                time_s = max(begin_s, end_s - length_s)
                if time_s > best_s:
                    break
            kind = kinds[box]
            while time_s < end_s:
                i = _last_not_after(times_s, n_entries, time_s)
                from_s, until_s = empty_from[kind, i], empty_until[kind, i]
                if now_used > 0:
                    from_s, until_s = open_from[kind, i], open_until[kind, i]
                if from_s > time_s:
                    start_s, time_s = -np.inf, from_s
                if time_s >= end_s or (start_s == -np.inf and time_s > best_s):
                    break
                if start_s == -np.inf:
                    start_s, used = time_s, now_used
                is_found = min(until_s, end_s) >= start_s + length_s
                if is_found or until_s >= end_s:
                    break
                start_s, time_s = -np.inf, until_s
        if is_found and (start_s < best_s or (start_s == best_s and used > best_used)):
            best, best_s, best_used = box, start_s, used
    return int(best), float(best_s)


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
        np.empty(size), np.zeros((n_kinds, size), np.int64), np.full((n_kinds, size), OPEN),
        np.full(n_nodes + n_boxes, NONE), np.zeros(n_nodes + n_boxes, np.int64),
        np.empty(n_steps), np.zeros(n_steps, np.int64), np.full(n_steps, NONE), np.zeros(3, np.int64),
    )  # fmt: skip
    plan.times_s[:n_moments] = moments_s
    plan.size[0], plan.size[2] = n_moments, len(windows.begin_s)
    some = np.zeros(n_kinds, np.int64)  # a node of every kind
    for node in range(n_nodes):
        some[kind[node]] = node
        if ready_s[node] == np.inf:
            continue
        plan.empty[kind[node], entry_of(plan, ready_s[node])] += 1
        if nodes.holder[node] == SHARED:
            open_box(plan, node, kind[node])
            for slot in range(tenant_gpus.shape[1]):
                if tenant_gpus[node, slot] > 0:
                    end_s = max(nodes.tenant_end_s[node, slot], np.nextafter(now_s, np.inf))
                    put_in_box(plan, node, now_s, end_s, tenant_gpus[node, slot])
    for each in range(n_kinds):
        for i in range(1, n_moments):
            plan.empty[each, i] += plan.empty[each, i - 1]
    for k in range(len(windows.begin_s)):
        first = entry_of(plan, max(windows.begin_s[k], now_s))
        for each in range(n_kinds):
            if windows.members[windows.group[k], some[each]]:
                i = first
                while i < n_moments and moments_s[i] < windows.end_s[k]:
                    plan.kept[each, i] = windows.account[k]
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
                change[plan.kind[box], entry_of(plan, plan.step_s[step])] -= 1
                if plan.after[step] != NONE:
                    change[plan.kind[box], entry_of(plan, plan.step_s[plan.after[step]])] += 1
            step = plan.after[step]
    for kind in range(plan.empty.shape[0]):
        sum_of_changes = 0
        for i in range(plan.size[0]):
            sum_of_changes += change[kind, i]
            plan.empty[kind, i] += sum_of_changes
            fits &= plan.empty[kind, i] >= 0
    return fits
