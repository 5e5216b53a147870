"""One pass of conservative backfilling over nodes: guarantees kept, moved forward, or made anew, and who starts where.

It is to `guarantees` what `node_pass` is to `backfill`: the same rules where jobs share nodes and nodes are kept for
somebody. What is planned is not tied to nodes (see `node_plan`), and what starts may take any nodes with which the plan
still holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.node_plan import (
    NONE,
    NodeColumns,
    NodePlan,
    Runs,
    book_part,
    change_empty,
    earliest_box,
    earliest_new_s,
    earliest_whole_s,
    find_runs,
    least_room,
    moments_of,
    new_plan,
    next_window_s,
    open_box,
    put_in_box,
    ready_from_s,
    settle_boxes,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class QueueColumns(NamedTuple):
    """The waiting jobs in queue order, arrays of shape (queued,).

    Parameters
    ----------
    nodes, gpus : int arrays
        Whole nodes wanted or, by a job that shares one, GPUs.
    shares : bool array
        Whether it shares a node.
    requested_s : float array
        Estimates, positive and finite.
    account : int array
        Accounts.
    """

    nodes: Ints
    gpus: Ints
    shares: Bools
    requested_s: Floats
    account: Ints


class Promises(NamedTuple):
    """What the waiting jobs were promised so far; modified in place.

    Parameters
    ----------
    start_s : float array, shape (queued,)
        Guaranteed starts, NaN for a job without one, infinite for one that does not fit even when all that runs has
        ended.
    taken : int array, shape (queued, kinds)
        Nodes planned of every kind, for a job that shares one 1 of the kind of its box.
    box : int array, shape (queued,)
        Box of a job that shares a node: that node where jobs share it already, else the number of nodes or more; -1
        for others.
    """

    start_s: Floats
    taken: Ints
    box: Ints


class Scratch(NamedTuple):
    """Room for intermediate results of a pass.

    Parameters
    ----------
    least, order : int arrays, shape (kinds,)
        Nodes of every kind, and kinds in the order in which they are taken.
    key_s : float array, shape (kinds,)
        When the next window of a kind begins.
    runs : Runs
        As ``find_runs`` fills them.
    """

    least: Ints
    order: Ints
    key_s: Floats
    runs: Runs


@kernel
def _put_down(plan: NodePlan, queue: QueueColumns, promises: Promises) -> bool:
    """Fill a new plan with what was promised; return whether all of it holds."""
    start_s = promises.start_s
    for i in range(len(start_s)):
        if np.isnan(start_s[i]):
            continue
        if start_s[i] < plan.times_s[0]:
            return False
        end_s = start_s[i] + queue.requested_s[i]
        box = promises.box[i]
        for kind in range(promises.taken.shape[1]):
            count = promises.taken[i, kind]
            if count == 0:
                continue
            if box == NONE:
                change_empty(plan, kind, start_s[i], end_s, -count)
            else:
                if plan.first[box] == NONE:
                    open_box(plan, box, kind)
                put_in_box(plan, box, start_s[i], end_s, queue.gpus[i])
    return True


@kernel
def _in_order(plan: NodePlan, time_s: float, scratch: Scratch) -> None:
    """Put the kinds in the order in which jobs take them: those whose next window begins first come first."""
    order, key_s = scratch.order, scratch.key_s
    n_kinds = len(order)
    for kind in range(n_kinds):
        key_s[kind] = next_window_s(plan, time_s, kind) if n_kinds > 1 else 0.0
        place = kind
        while place > 0 and key_s[order[place - 1]] > key_s[kind]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = kind


@kernel
def _place_whole(plan: NodePlan, i: int, queue: QueueColumns, promises: Promises, scratch: Scratch) -> None:
    """Give a job for whole nodes its earliest place."""
    nodes, length_s = queue.nodes[i], queue.requested_s[i]
    start_s = earliest_whole_s(plan, nodes, length_s, queue.account[i], scratch.least)
    promises.start_s[i] = start_s
    promises.taken[i] = 0
    if start_s == np.inf:
        return
    _in_order(plan, start_s, scratch)
    for kind in scratch.order:
        count = min(nodes, scratch.least[kind])
        if count > 0:
            promises.taken[i, kind] = count
            change_empty(plan, kind, start_s, start_s + length_s, -count)
            nodes -= count


@kernel
def _free_box(plan: NodePlan, n_nodes: int) -> int:
    """Return the first box that is no shared node and in which nothing lies."""
    first, used, after = plan.first, plan.used, plan.after
    for box in range(n_nodes, len(first)):
        step = first[box]
        while step != NONE and used[step] == 0:
            step = after[step]
        if step == NONE:
            return box
    return NONE


@kernel
def _place_part(
    plan: NodePlan, i: int, g: int, n_nodes: int, queue: QueueColumns, promises: Promises, scratch: Scratch
) -> None:
    """Give a job for a part of a node its earliest place, in the fullest box that has room then, else in a new one."""
    gpus, length_s = queue.gpus[i], queue.requested_s[i]
    last_s = promises.start_s[i]  # taken out of there, it finds a place by then
    if np.isnan(last_s):
        last_s = np.inf
    promises.taken[i] = 0
    promises.box[i] = NONE
    n_entries = find_runs(plan, queue.account[i], last_s + length_s, scratch.runs)
    new_s = np.inf
    for kind in range(len(scratch.order)):
        new_s = min(new_s, earliest_new_s(plan, length_s, n_entries, kind, scratch.runs))
    best_s, best_used = last_s, -1
    if new_s <= last_s:
        best_s, best_used = new_s, 0
    best, best_s = earliest_box(
        plan, (0, len(plan.first)), gpus, length_s, g, (best_s, best_used), n_entries, scratch.runs,
    )  # fmt: skip
    promises.start_s[i] = best_s
    if best_s == np.inf:
        return
    if best == NONE:
        best = _free_box(plan, n_nodes)
        _in_order(plan, best_s, scratch)
        for kind in scratch.order:
            if earliest_new_s(plan, length_s, n_entries, kind, scratch.runs) == best_s:
                if plan.first[best] == NONE:
                    open_box(plan, best, kind)
                plan.kind[best] = kind
                break
    promises.box[i] = best
    promises.taken[i, plan.kind[best]] = 1
    book_part(plan, best, best_s, best_s + length_s, gpus)


@kernel
def _take_up(plan: NodePlan, i: int, queue: QueueColumns, promises: Promises) -> None:
    """Take the place of a job out of the plan."""
    start_s = promises.start_s[i]
    end_s = start_s + queue.requested_s[i]
    if promises.box[i] != NONE:
        book_part(plan, promises.box[i], start_s, end_s, -queue.gpus[i])
        return
    for kind in range(promises.taken.shape[1]):
        if promises.taken[i, kind] > 0:
            change_empty(plan, kind, start_s, end_s, promises.taken[i, kind])


@kernel
def _allow_whole(
    plan: NodePlan, i: int, nodes: NodeColumns, queue: QueueColumns, scratch: Scratch, allowed: Bools
) -> tuple[bool, bool]:
    """Mark the empty nodes that a job, taken out of the plan, may start on now, whichever of them it takes.

    Returns whether they are all of one kind, so that it is known what it takes, and whether nodes of some kind had to
    be left out because they are promised to others.
    """
    n_kinds, wanted = len(scratch.least), queue.nodes[i]
    least_room(plan, plan.times_s[0] + queue.requested_s[i], queue.account[i], scratch.least)
    is_cut, of_kind = False, np.zeros(n_kinds, np.int64)
    for node in range(len(allowed)):
        allowed[node] = False
        kind = nodes.kind[node]
        if nodes.holder[node] >= 0 or nodes.free_gpus[node] < nodes.gpus_per_node or scratch.least[kind] == 0:
            continue
        # MUST HOLD: of no kind can it take more nodes than are empty for all its time.
        if of_kind[kind] < scratch.least[kind] or scratch.least[kind] >= wanted:
            allowed[node] = True
            of_kind[kind] += 1
        else:
            is_cut = True
    return int(np.count_nonzero(of_kind)) == 1, is_cut


@kernel
def _allow_part(
    plan: NodePlan, i: int, nodes: NodeColumns, queue: QueueColumns, promises: Promises, scratch: Scratch,
    allowed: Bools,
) -> None:  # fmt: skip
    """Mark the nodes that a job for a part of one, taken out of the plan, may start on now."""
    now_s, length_s, n_nodes = plan.times_s[0], queue.requested_s[i], len(allowed)
    n_entries = find_runs(plan, queue.account[i], now_s + length_s, scratch.runs)
    opened = (
        NONE  # the kind of its box, if that is on no node yet: any that is empty will do, with what else lies in it
    )
    if promises.box[i] >= n_nodes:
        opened = plan.kind[promises.box[i]]
    for node in range(n_nodes):
        kind = nodes.kind[node]
        allowed[node] = False
        if plan.first[node] != NONE:
            box, _ = earliest_box(
                plan, (node, node + 1), queue.gpus[i], length_s, nodes.gpus_per_node, (now_s, -1), n_entries,
                scratch.runs,
            )  # fmt: skip
            allowed[node] = box == node
        elif nodes.holder[node] < 0 and nodes.free_gpus[node] == nodes.gpus_per_node:
            allowed[node] = kind == opened or (
                scratch.runs.empty_from[kind, 0] == now_s and scratch.runs.empty_until[kind, 0] >= now_s + length_s
            )


@kernel
def _pass(
    nodes: NodeColumns, n_kinds: int, ready_s: Floats, moments_s: Floats, queue: QueueColumns, promises: Promises,
    n_boxes: int, compresses: bool, started: Ints, allowed: Bools,
) -> tuple[int, bool, bool]:  # fmt: skip
    """Do what ``node_guarantee_pass`` says."""
    g, n_nodes, n_queued = nodes.gpus_per_node, len(nodes.kind), len(queue.nodes)
    start_s, now_s = promises.start_s, moments_s[0]
    plan = new_plan(nodes, n_kinds, ready_s, moments_s, n_boxes, n_queued)
    is_kept = _put_down(plan, queue, promises) and settle_boxes(plan, g)
    if not is_kept:
        start_s[:] = np.nan
        promises.taken[:] = 0
        promises.box[:] = NONE
        plan = new_plan(nodes, n_kinds, ready_s, moments_s, n_boxes, n_queued)
        settle_boxes(plan, g)
    size = len(plan.times_s)
    scratch = Scratch(
        np.empty(n_kinds, np.int64), np.empty(n_kinds, np.int64), np.empty(n_kinds),
        Runs(
            np.empty((n_kinds, size)), np.empty((n_kinds, size)), np.empty((n_kinds, size)), np.empty((n_kinds, size)),
        ),
    )  # fmt: skip
    for is_sweep in (True, False):
        if is_sweep and not (is_kept and compresses):
            continue
        for i in range(n_queued):
            if np.isnan(start_s[i]) == is_sweep:
                continue
            if is_sweep:
                # MUST HOLD: not later than before. Its old place has just been freed, so it is a candidate.
                _take_up(plan, i, queue, promises)
            if queue.shares[i]:
                _place_part(plan, i, g, n_nodes, queue, promises, scratch)
            else:
                _place_whole(plan, i, queue, promises, scratch)
    n_started = 0
    for i in range(n_queued):
        if start_s[i] > now_s:
            continue
        _take_up(plan, i, queue, promises)
        row = allowed[n_started]
        is_known, is_cut = False, False
        if queue.shares[i]:
            _allow_part(plan, i, nodes, queue, promises, scratch, row)
        else:
            is_known, is_cut = _allow_whole(plan, i, nodes, queue, scratch, row)
        if is_cut and n_started > 0:
            return n_started, False, not is_kept  # those before it may take the very nodes that are left to it
        started[n_started] = i
        n_started += 1
        if not is_known:
            others = False
            for k in range(i + 1, n_queued):
                others |= start_s[k] <= now_s
            return n_started, not others, not is_kept
        for kind in range(n_kinds):
            if promises.taken[i, kind] > 0:
                change_empty(plan, kind, now_s, now_s + queue.requested_s[i], -promises.taken[i, kind])
    return n_started, True, not is_kept


def node_guarantee_pass(
    now_s: float, nodes: NodeColumns, queue: QueueColumns, promises: Promises, compresses: bool
) -> tuple[Ints, Bools, bool, bool]:
    """Give every queued job a guaranteed start, and say which start now and on which nodes.

    Parameters
    ----------
    now_s : float
        Time of the pass.
    nodes : NodeColumns
        The nodes.
    queue : QueueColumns
        The waiting jobs.
    promises : Promises
        What they were promised, modified in place.
    compresses : bool
        Whether time has become free since the last pass, so that guarantees may move forward.

    Returns
    -------
    started : int array
        Queue positions of the jobs that start now, ascending. Fewer than are due where it must first be seen which
        nodes the last of them gets.
    allowed : bool array, shape (started, nodes)
        The nodes that each of them may start on.
    is_last_due : bool
        Whether no other is due.
    is_anew : bool
        Whether all guarantees had to be made anew.

    Notes
    -----
    Guarantees hold while runs keep to their estimates and no node is lost. When one cannot be kept, because it lies in
    the past or more is promised than will be there, all are made anew in queue order, each at its earliest place.
    """
    start_s, n_queued = promises.start_s, len(queue.nodes)
    start_s[np.isinf(start_s)] = np.nan  # never promised anything
    is_promised = ~np.isnan(start_s)
    begin_s, length_s = start_s[is_promised], queue.requested_s[is_promised]
    ready_s = ready_from_s(now_s, nodes)
    moments_s = moments_of(now_s, nodes, ready_s, np.concatenate((begin_s, begin_s + length_s)))
    started, allowed = np.empty(n_queued, np.int64), np.empty((n_queued, len(nodes.kind)), np.bool_)
    n_boxes = int(np.count_nonzero(queue.shares))
    n_started, is_last_due, is_anew = _pass(
        nodes, promises.taken.shape[1], ready_s, moments_s, queue, promises, n_boxes, compresses, started, allowed,
    )  # fmt: skip
    return started[:n_started], allowed[:n_started], is_last_due, is_anew
