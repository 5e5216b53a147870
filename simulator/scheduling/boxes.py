"""Where jobs for parts of nodes are planned: boxes, each one node for as long as anybody is in it.

A box is in use without a break from its first step to its last. While it is, it holds one node of the availability
profile. It is tied to a node only when a job runs in it: before that any node will do which is empty when the box
begins, and where a break comes about the rest is another box. Like a profile (`simulator.scheduling.profile`) a box is
a linked list of steps that stay where they are for as long as a job begins or ends at them.

A stretch of a grade is a maximal run of steps of one box that leave the grade's number of GPUs free, and where it
reaches the last of them, the time for which a node stays empty after it. Steps of all boxes lie in blocks by their
time; for every grade and block the index keeps a time that no stretch which begins there exceeds. As in
`simulator.scheduling.stretches` a bound may be too high, never too low.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.profile import MOST_GRADES, Ints, Profile, let_go, step_at
from simulator.scheduling.reservations import change_free, last_until
from simulator.scheduling.stretches import block_at, first_stretch, span_s, tidy_stretches

NONE = -1
BLOCK_STEPS = 96
"""Steps of a block at most, unless all are of one time: 32 to 200 do equally well (measured)."""

_STEP = np.dtype(
    [
        ("time_s", np.float64),
        ("used", np.int64),  # GPUs in use from then on; 0 at the last step of a box only
        ("after", np.int64),  # the next step of the box, -1 for none
        ("before", np.int64),
        ("box", np.int64),
        ("next", np.int64),  # another step of the block
        ("previous", np.int64),
        ("uses", np.int32),  # jobs that begin or end here, and the box for its first step
        ("block", np.int32),
    ],
    align=True,
)
_BOX = np.dtype(
    [
        ("first", np.int64),  # its first step
        ("last", np.int64),  # its last step
        ("begin", np.int64),  # the step of the profile at which it begins; -1 if it has begun
        ("end", np.int64),  # the step of the profile at which it ends
        ("born", np.int64),  # how many boxes there were before it
        ("node", np.int64),  # the node on which it has begun, else -1
        ("next", np.int64),  # another box that ends at the same step
        ("previous", np.int64),
    ]
)
_BLOCK = np.dtype([("begin_s", np.float64), ("first", np.int64), ("steps", np.int64)])
_STATE = np.dtype(
    [
        ("spare_step", np.int64),  # a step that was dropped, which leads to others by ``after``
        ("untouched_step", np.int64),  # steps from here on have never been used
        ("spare_box", np.int64),
        ("untouched_box", np.int64),
        ("spare_block", np.int64),
        ("untouched_block", np.int64),
        ("born", np.int64),
        ("blocks", np.int64),
    ]
)


class Boxes(NamedTuple):
    """The boxes and the index of their stretches, modified in place.

    Parameters
    ----------
    gpus_per_node : int
        GPUs of a node, and of a box.
    step, box, block : record arrays
        Steps, boxes and blocks, in no order.
    state : record array, shape (1,)
        Counts, and where what was dropped lies.
    order : int array
        Blocks in order of time.
    grade_gpus : int array, shape (grades,)
        Sizes of job that the index tells apart, ascending.
    longest_s : float array, shape (grades, blocks)
        No stretch of the grade that begins in the block is longer.
    on_node : int array, shape (nodes,)
        Box that has begun on each node, -1 for none.
    ending : int array
        A box that ends at each step of the profile, -1 for none.
    """

    gpus_per_node: int
    step: NDArray[np.record]
    box: NDArray[np.record]
    block: NDArray[np.record]
    state: NDArray[np.record]
    order: Ints
    grade_gpus: Ints
    longest_s: NDArray[np.float64]
    on_node: Ints
    ending: Ints


def new_boxes(profile: Profile, reservations: int, sizes: Ints, nodes: int, gpus_per_node: int) -> Boxes:
    """Return boxes, none of which is in use, for so many jobs at once.

    Parameters
    ----------
    profile : Profile
        That of the machine in GPUs, still to be cleared; boxes take their nodes from it.
    reservations : int
        Jobs for parts of nodes, at most.
    sizes : int array
        GPUs that they want.
    nodes, gpus_per_node : int
        The machine.
    """
    grades = np.unique(sizes)
    if len(grades) > MOST_GRADES:
        grades = grades[np.linspace(0, len(grades) - 1, MOST_GRADES).astype(np.int64)]
    steps = 2 * reservations + 8
    blocks = 2 * steps // BLOCK_STEPS + 4
    # Not zeroed: what is never used stays without memory.
    boxes = Boxes(
        gpus_per_node, np.recarray(steps, _STEP), np.recarray(reservations + 4, _BOX), np.recarray(blocks, _BLOCK),
        np.recarray(1, _STATE), np.empty(blocks, np.int64), grades, np.empty((len(grades), blocks)),
        np.full(nodes, NONE), np.full(len(profile.step), NONE),
    )  # fmt: skip
    boxes.state[0].untouched_box = 0
    clear_boxes(boxes)
    return boxes


@kernel
def clear_boxes(boxes: Boxes) -> None:
    """Forget all boxes."""
    state = boxes.state[0]
    for box in range(state.untouched_box):
        if boxes.box[box].first != NONE:
            boxes.ending[boxes.box[box].end] = NONE
    boxes.on_node[:] = NONE
    state.spare_step, state.untouched_step, state.spare_box, state.untouched_box = NONE, 0, NONE, 0
    state.spare_block, state.untouched_block, state.born, state.blocks = NONE, 1, 0, 1
    boxes.order[0] = 0
    boxes.block[0].begin_s, boxes.block[0].first, boxes.block[0].steps = -np.inf, NONE, 0
    boxes.longest_s[:, 0] = 0.0


# --- steps and their blocks -------------------------------------------------------------------------------------------


@kernel
def _enter_block(boxes: Boxes, x: int, at: int) -> None:
    step, block = boxes.step, boxes.block
    step[x].block, step[x].previous, step[x].next = at, NONE, block[at].first
    if block[at].first != NONE:
        step[block[at].first].previous = x
    block[at].first = x
    block[at].steps += 1


@kernel
def _leave_block(boxes: Boxes, x: int) -> None:
    step, block = boxes.step, boxes.block
    if step[x].previous != NONE:
        step[step[x].previous].next = step[x].next
    else:
        block[step[x].block].first = step[x].next
    if step[x].next != NONE:
        step[step[x].next].previous = step[x].previous
    block[step[x].block].steps -= 1


@kernel
def _place_in_order(boxes: Boxes, time_s: float) -> int:
    """Return the place in the order of the block for a time."""
    order, block = boxes.order, boxes.block
    low, high = 1, boxes.state[0].blocks
    while low < high:
        middle = (low + high) // 2
        if block[order[middle]].begin_s <= time_s:
            low = middle + 1
        else:
            high = middle
    return low - 1


@kernel
def _split_block(boxes: Boxes, place: int) -> None:
    """Divide a block that has become large, unless all its steps are of one time."""
    step, block, order, state = boxes.step, boxes.block, boxes.order, boxes.state[0]
    old = order[place]
    times_s = np.empty(block[old].steps)
    x, n = block[old].first, 0
    while x != NONE:
        times_s[n] = step[x].time_s
        x, n = step[x].next, n + 1
    times_s.sort()
    middle = n // 2
    while middle < n and times_s[middle] == times_s[0]:
        middle += 1
    if middle == n:
        return
    new = state.spare_block
    if new != NONE:
        state.spare_block = block[new].first
    elif state.untouched_block < len(block):
        new = state.untouched_block
        state.untouched_block += 1
    else:
        return
    block[new].begin_s, block[new].first, block[new].steps = times_s[middle], NONE, 0
    x = block[old].first
    while x != NONE:
        following = step[x].next
        if step[x].time_s >= block[new].begin_s:
            _leave_block(boxes, x)
            _enter_block(boxes, x, new)
        x = following
    boxes.longest_s[:, new] = boxes.longest_s[:, old]
    for k in range(state.blocks, place + 1, -1):
        order[k] = order[k - 1]
    order[place + 1] = new
    state.blocks += 1


@kernel
def _merge_past_blocks(boxes: Boxes, now_s: float) -> None:
    """Let one block hold all that has begun."""
    step, block, order, state = boxes.step, boxes.block, boxes.order, boxes.state[0]
    past = 0
    while past + 1 < state.blocks and block[order[past + 1]].begin_s <= now_s:
        old, new = order[past], order[past + 1]
        while block[old].first != NONE:
            x = block[old].first
            _leave_block(boxes, x)
            _enter_block(boxes, x, new)
        boxes.longest_s[:, new] = np.maximum(boxes.longest_s[:, new], boxes.longest_s[:, old])
        block[old].first, state.spare_block = state.spare_block, old
        past += 1
    if past > 0:
        state.blocks -= past
        for k in range(state.blocks):
            order[k] = order[k + past]


@kernel
def _new_step(boxes: Boxes, box: int, time_s: float, used: int, before: int, after: int) -> int:
    """Put a step between two of a box, either of which may be none."""
    step, state = boxes.step, boxes.state[0]
    x = state.spare_step
    if x != NONE:
        state.spare_step = step[x].after
    else:
        x = state.untouched_step
        state.untouched_step += 1
    step[x].time_s, step[x].used, step[x].box, step[x].uses = time_s, used, box, 0
    step[x].before, step[x].after = before, after
    if before != NONE:
        step[before].after = x
    if after != NONE:
        step[after].before = x
    place = _place_in_order(boxes, time_s)
    _enter_block(boxes, x, boxes.order[place])
    if boxes.block[boxes.order[place]].steps > BLOCK_STEPS:
        _split_block(boxes, place)
    return int(x)


@kernel
def _drop_step(boxes: Boxes, x: int) -> None:
    step, state = boxes.step, boxes.state[0]
    before, after = step[x].before, step[x].after
    if before != NONE:
        step[before].after = after
    if after != NONE:
        step[after].before = before
    _leave_block(boxes, x)
    step[x].after = state.spare_step
    state.spare_step = x


@kernel
def _step_at(boxes: Boxes, near: int, time_s: float) -> int:
    """Return the step at a time, which ``near`` is not after, made if need be."""
    step = boxes.step
    while step[near].after != NONE and step[step[near].after].time_s <= time_s:
        near = step[near].after
    if step[near].time_s == time_s:
        return near
    return _new_step(boxes, step[near].box, time_s, step[near].used, near, step[near].after)


# --- boxes and the profile --------------------------------------------------------------------------------------------


@kernel
def _new_box(boxes: Boxes) -> int:
    box, state = boxes.box, boxes.state[0]
    new = state.spare_box
    if new != NONE:
        state.spare_box = box[new].next
    else:
        new = state.untouched_box
        state.untouched_box += 1
    box[new].born, box[new].node, box[new].begin = state.born, NONE, NONE
    state.born += 1
    return int(new)


@kernel
def _link_end(boxes: Boxes, new: int, at: int) -> None:
    """Let a box end at a step of the profile."""
    box, ending = boxes.box, boxes.ending
    box[new].end, box[new].previous, box[new].next = at, NONE, ending[at]
    if ending[at] != NONE:
        box[ending[at]].previous = new
    ending[at] = new


@kernel
def _unlink_end(boxes: Boxes, old: int) -> None:
    box, ending = boxes.box, boxes.ending
    if box[old].previous != NONE:
        box[box[old].previous].next = box[old].next
    else:
        ending[box[old].end] = box[old].next
    if box[old].next != NONE:
        box[box[old].next].previous = box[old].previous


@kernel
def _move_end(profile: Profile, boxes: Boxes, b: int, at: int) -> int:
    """Let a box end at another step of the profile; return the one at which it did, still to be let go of."""
    old = boxes.box[b].end
    profile.step[at].uses += 1
    _unlink_end(boxes, b)
    _link_end(boxes, b, at)
    return int(old)


@kernel
def _empty_until_s(profile: Profile, at: int, g: int, enough_s: float) -> float:
    """Return until when a node stays empty from a step of the profile on, infinite if that is late enough."""
    step = profile.step
    while at >= 0 and step[at].time_s < enough_s:
        if step[at].free < g:
            return float(step[at].time_s)
        at = step[at].after
    return np.inf


@kernel
def _reach_s(profile: Profile, boxes: Boxes, b: int) -> float:
    """Return until when the node of a box stays empty after it; infinite where that takes long to find out."""
    step, g = profile.step, boxes.gpus_per_node
    at = boxes.box[b].end
    for _ in range(BLOCK_STEPS):
        if at < 0:
            break
        if step[at].free < g:
            return float(step[at].time_s)
        at = step[at].after
    return np.inf


@kernel
def _note(profile: Profile, boxes: Boxes, first: int, last: int, low: int, high: int) -> None:
    """Note what has become of the stretches of a box where its free GPUs have changed.

    Parameters
    ----------
    profile, boxes : Profile, Boxes
        Changed already; the index is modified in place.
    first, last : int
        The first step changed, and the first after it that is not, of one box.
    low, high : int
        Fewest and most free GPUs between them, before or after the change.
    """
    step, g, reach_s = boxes.step, boxes.gpus_per_node, -1.0
    for grade in range(boxes.grade_gpus.shape[0]):
        gpus = boxes.grade_gpus[grade]
        if gpus <= low:
            continue
        if gpus > high:
            break
        at = first
        if g - step[at].used >= gpus:
            while step[at].before != NONE and g - step[step[at].before].used >= gpus:
                at = step[at].before
        while True:
            start, reaches_last = at, False
            while step[at].after != NONE and g - step[at].used >= gpus:
                reaches_last |= at == last
                at = step[at].after
            if at != start:
                end_s = step[at].time_s
                if step[at].after == NONE:
                    if reach_s < 0.0:
                        reach_s = _reach_s(profile, boxes, step[at].box)
                    end_s = reach_s
                block = step[start].block
                longest_s = max(boxes.longest_s[grade, block], span_s(step[start].time_s, end_s))
                boxes.longest_s[grade, block] = longest_s
            if reaches_last or step[at].after == NONE or at == last:
                break
            at = step[at].after


@kernel
def free_nodes(profile: Profile, boxes: Boxes, first: int, last: int, gpus: int) -> None:
    """Give whole nodes back between two steps of the profile, and note which boxes reach further now."""
    if first == last:
        return
    step, g = profile.step, boxes.gpus_per_node
    grows, at = False, first
    while at != last:
        grows |= step[at].free < g
        at = step[at].after
    change_free(profile, first, last, gpus)
    if not grows:
        return
    at = first
    while step[at].before >= 0 and step[at].free >= g:
        at = step[at].before
    while at != last:
        b = boxes.ending[at] if step[at].free >= g else NONE
        while b != NONE:
            end = boxes.box[b].last
            tail = boxes.step[end].before
            _note(profile, boxes, tail, end, 0, g - boxes.step[tail].used)
            b = boxes.box[b].next
        at = step[at].after


# --- jobs in boxes ----------------------------------------------------------------------------------------------------


@kernel
def open_box(profile: Profile, boxes: Boxes, begin: int, start_s: float, end_s: float, gpus: int) -> tuple[int, int]:
    """Put a job in a new box, which begins at a step of the profile, -1 for the present; return its two steps."""
    b, step = _new_box(boxes), boxes.step
    first = _new_step(boxes, b, start_s, gpus, NONE, NONE)
    last = _new_step(boxes, b, end_s, 0, first, NONE)
    boxes.box[b].first, boxes.box[b].last, boxes.box[b].begin = first, last, begin
    at = begin if begin >= 0 else profile.state[0].head
    end = step_at(profile, last_until(profile, at, end_s), end_s)
    change_free(profile, at, end, -boxes.gpus_per_node)
    if begin >= 0:
        profile.step[begin].uses += 1
    profile.step[end].uses += 1
    _link_end(boxes, b, end)
    step[first].uses, step[last].uses = 2, 1  # the box needs its first step, too
    if begin < 0:
        step[first].uses = 1
    _note(profile, boxes, first, last, -1, boxes.gpus_per_node)
    return first, last


@kernel
def put_in_box(
    profile: Profile, boxes: Boxes, b: int, near: int, start_s: float, end_s: float, gpus: int, has_begun: bool
) -> tuple[int, int]:
    """Put a job in a box, which becomes longer for it where it must; return its two steps.

    ``near`` is a step of the box that is not after the start, or the first one. A job that has begun is counted from
    the first step on.
    """
    box, step, g = boxes.box, boxes.step, boxes.gpus_per_node
    grows = False
    if start_s < step[near].time_s:
        grows = True
        begin, to = box[b].begin, box[b].begin
        while profile.step[to].time_s > start_s:
            to = profile.step[to].before
        change_free(profile, to, begin, -g)
        profile.step[to].uses += 1
        let_go(profile, begin)
        box[b].begin = to
        near = _new_step(boxes, b, start_s, 0, NONE, near)
        step[near].uses = 1
        step[step[near].after].uses -= 1
        box[b].first = near
    first = box[b].first if has_begun else _step_at(boxes, near, start_s)
    last = first
    while step[last].after != NONE and step[step[last].after].time_s <= end_s:
        last = step[last].after
    if step[last].time_s < end_s and step[last].after == NONE:
        grows = True
        begin = box[b].end
        end = step_at(profile, last_until(profile, begin, end_s), end_s)
        change_free(profile, begin, end, -g)
        let_go(profile, _move_end(profile, boxes, b, end))
        last = _new_step(boxes, b, end_s, 0, last, NONE)
        box[b].last = last
    else:
        last = _step_at(boxes, last, end_s)
    most, least, x = 0, g, first
    while x != last:
        most, least = max(most, step[x].used + gpus), min(least, step[x].used)
        step[x].used += gpus
        x = step[x].after
    if not has_begun:
        step[first].uses += 1
    step[last].uses += 1
    _note(profile, boxes, first, last, -1 if grows else g - most, g if grows else g - least)
    return first, last


@kernel
def most_used(boxes: Boxes, first: int, last: int) -> int:
    """Return the most GPUs that are in use between two steps of a box."""
    most = 0
    while first != last:
        most = max(most, boxes.step[first].used)
        first = boxes.step[first].after
    return int(most)


@kernel
def _cut(profile: Profile, boxes: Boxes, b: int, begin: int, z1: int, z2: int) -> None:
    """Give a node back between two steps of a box between which nothing is in use any more.

    ``begin`` is a step of the profile that is not after ``z1``.
    """
    box, step, g = boxes.box, boxes.step, boxes.gpus_per_node
    is_first, is_last = z1 == box[b].first, step[z2].after == NONE
    p1 = begin if is_first else step_at(profile, last_until(profile, begin, step[z1].time_s), step[z1].time_s)
    p2 = box[b].end
    if not is_last:
        p2 = step_at(profile, last_until(profile, p1, step[z2].time_s), step[z2].time_s)
    old = NONE
    if is_first and is_last:
        old = box[b].end
        _unlink_end(boxes, b)
        if box[b].node != NONE:
            boxes.on_node[box[b].node] = NONE
        box[b].first = NONE
        _drop_step(boxes, z2)
        _drop_step(boxes, z1)
    elif is_first:
        if box[b].node != NONE:  # nobody is on that node any more, so any will do
            boxes.on_node[box[b].node] = NONE
            box[b].node = NONE
        box[b].first = z2
        step[z2].uses += 1
        _drop_step(boxes, z1)
        profile.step[p2].uses += 1
    elif is_last:
        _drop_step(boxes, z2)
        box[b].last = z1
        old = _move_end(profile, boxes, b, p1)
    else:
        new = _new_box(boxes)
        box[new].first, box[new].last, box[b].last = z2, box[b].last, z1
        end = box[b].end
        profile.step[p1].uses += 1
        _unlink_end(boxes, b)
        _link_end(boxes, new, end)
        _link_end(boxes, b, p1)
        step[z1].after, step[z2].before = NONE, NONE
        step[z2].uses += 1
        profile.step[p2].uses += 1
        box[new].begin = p2
        x = z2
        while x != NONE:
            step[x].box = new
            x = step[x].after
    free_nodes(profile, boxes, p1, p2, g)
    if is_first:
        if box[b].begin >= 0:
            let_go(profile, box[b].begin)
        box[b].begin = p2
        if is_last:
            box[b].next, boxes.state[0].spare_box = boxes.state[0].spare_box, b
    if old != NONE:
        let_go(profile, old)
    if not is_last:
        _note(profile, boxes, z2, step[z2].after, -1, g)


@kernel
def take_out(profile: Profile, boxes: Boxes, first: int, last: int, gpus: int) -> None:
    """Take a job out of its box, given its two steps, the first -1 if it has begun.

    What is left of the box becomes shorter, or falls apart, where nothing is in use any more.
    """
    box, step, g = boxes.box, boxes.step, boxes.gpus_per_node
    b = step[last].box
    x = first if first >= 0 else box[b].first
    low, high = g, 0
    at = x
    while at != last:
        low = min(low, g - step[at].used)
        step[at].used -= gpus
        high = max(high, g - step[at].used)
        at = step[at].after
    if first >= 0:
        step[first].uses -= 1
        if step[first].uses == 0:
            x = step[first].before
            _drop_step(boxes, first)
    step[last].uses -= 1
    if step[last].uses == 0 and step[last].after != NONE:
        after = step[last].after
        _drop_step(boxes, last)
        last = after
    begin = box[b].begin if box[b].begin >= 0 else profile.state[0].head
    piece = x
    while x != last:
        if step[x].used > 0:
            x = step[x].after
            continue
        z1 = x
        while x != last and step[x].used == 0:
            x = step[x].after
        is_last = step[x].after == NONE
        _cut(profile, boxes, step[z1].box, begin, z1, x)
        if piece != z1:
            _note(profile, boxes, piece, z1, low, high)
        if is_last:
            return
        piece = x
        begin = box[step[x].box].begin
    if piece != last:
        _note(profile, boxes, piece, last, low, high)


@kernel
def begin_box(profile: Profile, boxes: Boxes, b: int, node: int) -> None:
    """Let a box begin on a node, now."""
    box = boxes.box
    let_go(profile, box[b].begin)
    box[b].begin, box[b].node = NONE, node
    boxes.on_node[node] = b


@kernel
def begin_job(boxes: Boxes, first: int) -> None:
    """Let a job begin that was to do so now, given its first step; its box has begun."""
    step = boxes.step
    step[first].uses -= 1
    if step[first].uses == 0:
        _drop_step(boxes, first)


@kernel
def advance_boxes(boxes: Boxes, now_s: float) -> None:
    """Forget what lies before ``now_s``: no end may be there."""
    step, box = boxes.step, boxes.box
    for b in boxes.on_node:
        if b == NONE:
            continue
        x = box[b].first
        while step[step[x].after].time_s <= now_s:
            after = step[x].after
            step[after].uses += 1
            _drop_step(boxes, x)
            x = after
        box[b].first = x
        step[x].time_s = now_s
    _merge_past_blocks(boxes, now_s)


# --- places for jobs --------------------------------------------------------------------------------------------------


@kernel
def _look_closely(
    profile: Profile, boxes: Boxes, grade: int, block: int, gpus: int, length_s: float, best: tuple[int, float]
) -> tuple[int, float]:
    """Search among the stretches that begin in one block; correct its bound when none is long enough."""
    step, g, least = boxes.step, boxes.gpus_per_node, boxes.grade_gpus[grade]
    best_x, best_s = best
    is_vain, longest_s = True, 0.0
    x = boxes.block[block].first
    while x != NONE:
        before = step[x].before
        if (
            step[x].after == NONE
            or g - step[x].used < least
            or (before != NONE and g - step[before].used >= least)
        ):
            x = step[x].next
            continue
        if step[x].time_s > best_s:
            is_vain = False
            x = step[x].next
            continue
        at, fit, end_s = x, -1, 0.0
        while True:
            if step[at].after == NONE:
                enough_s = step[fit if fit >= 0 else x].time_s + length_s
                end_s = _empty_until_s(profile, boxes.box[step[at].box].end, g, enough_s)
                break
            end_s = step[at].time_s
            if g - step[at].used < least:
                break
            if g - step[at].used < gpus:
                fit = -1
            elif fit < 0:
                fit = at
            at = step[at].after
            if fit >= 0 and step[at].time_s >= step[fit].time_s + length_s:
                end_s = np.inf
                break
        if end_s == np.inf:
            is_vain = False
        if fit >= 0 and end_s == np.inf:
            time_s = step[fit].time_s
            if time_s < best_s or (time_s == best_s and (best_x < 0 or _is_better(boxes, fit, best_x))):
                best_x, best_s = fit, time_s
        longest_s = max(longest_s, span_s(step[x].time_s, end_s))
        x = step[x].next
    if is_vain:
        boxes.longest_s[grade, block] = longest_s
    return best_x, best_s


@kernel
def _is_better(boxes: Boxes, x: int, than: int) -> bool:
    """Return whether a box is fuller at a step than another, or as full and older."""
    step = boxes.step
    if step[x].used != step[than].used:
        return step[x].used > step[than].used
    return boxes.box[step[x].box].born < boxes.box[step[than].box].born


@kernel
def first_in_boxes(
    profile: Profile, boxes: Boxes, gpus: int, length_s: float, until_s: float
) -> tuple[int, float]:
    """Return the first step of a box, by a time, from which it has room for a job, -1 for none, and its time.

    Of several at once it is that of the fullest box, then of the oldest.
    """
    block, order, state = boxes.block, boxes.order, boxes.state[0]
    best_x, best_s = NONE, until_s
    grade = 0
    while grade + 1 < boxes.grade_gpus.shape[0] and boxes.grade_gpus[grade + 1] <= gpus:
        grade += 1
    longest_s = boxes.longest_s[grade]
    for place in range(state.blocks):
        at = order[place]
        if longest_s[at] < length_s:
            continue
        if block[at].begin_s > best_s:
            break
        best_x, best_s = _look_closely(profile, boxes, grade, at, gpus, length_s, (best_x, best_s))
    return best_x, best_s


@kernel
def _before_box(profile: Profile, boxes: Boxes, x: int) -> int:
    """Return the step of the profile from which a node is empty up to the box whose first step this is.

    -1 where it is none or the box has begun.
    """
    b, step = boxes.step[x].box, profile.step
    if boxes.box[b].first != x or boxes.box[b].begin < 0:
        return NONE
    at = boxes.box[b].begin
    while step[at].before >= 0 and step[step[at].before].free >= boxes.gpus_per_node:
        at = step[at].before
    return int(at)


@kernel
def place_part(profile: Profile, boxes: Boxes, reservation: np.record) -> float:
    """Give a job for a part of a node its earliest place, or an earlier one; return its start, infinite for none.

    Notes
    -----
    It begins at the earliest time from which a box has room for it, or else an empty node can be had. The box may end
    before it where its node is empty then. It moves on to begin before the box where a node is empty then.

    With a place already it keeps that unless another is earlier, at which there is room beside all that is planned; or
    it moves forward in its own box, as far as there is room up to its place.
    """
    step, g = boxes.step, boxes.gpus_per_node
    gpus, length_s, first = reservation.nodes, reservation.length_s, reservation.first
    own, before, near, limit = NONE, NONE, NONE, np.inf
    last_block = -1
    if first >= 0:
        own, near = step[first].box, first
        while step[near].before != NONE and g - step[step[near].before].used >= gpus:
            near = step[near].before
        limit = step[near].time_s
        before = _before_box(profile, boxes, near)
        if before >= 0:
            limit = profile.step[before].time_s
        last_block = block_at(profile, limit)
        if limit == profile.step[profile.state[0].head].time_s and limit == step[first].time_s:
            return float(limit)
    new = first_stretch(profile, g, length_s, last_block, limit)
    until_s = limit if new < 0 else profile.step[new].time_s
    if first >= 0 and new < 0:
        until_s = np.nextafter(limit, -np.inf)
    x, start_s = first_in_boxes(profile, boxes, gpus, length_s, until_s)
    if x >= 0:
        own, near, before = step[x].box, x, _before_box(profile, boxes, x)
        if before >= 0:
            start_s = profile.step[before].time_s
    elif new >= 0:
        own, before, start_s = NONE, new, profile.step[new].time_s
    elif first < 0:
        return np.inf
    elif limit == step[first].time_s:
        return float(limit)
    else:
        start_s = limit
        if before >= 0 and start_s + length_s <= step[near].time_s:
            own = NONE
    last = reservation.last
    end_s = max(start_s + length_s, np.nextafter(start_s, np.inf))
    if own == NONE:
        reservation.first, reservation.last = open_box(profile, boxes, before, start_s, end_s, gpus)
    else:
        reservation.first, reservation.last = put_in_box(profile, boxes, own, near, start_s, end_s, gpus, False)
    if first >= 0:
        take_out(profile, boxes, first, last, gpus)
    tidy_stretches(profile)
    return float(start_s)


@kernel
def has_room(profile: Profile, boxes: Boxes, b: int, gpus: int, end_s: float) -> bool:
    """Return whether a box that has begun has room for a job from now until then."""
    step, g = boxes.step, boxes.gpus_per_node
    x = boxes.box[b].first
    while step[x].after != NONE:
        if g - step[x].used < gpus:
            return False
        x = step[x].after
        if step[x].time_s >= end_s:
            return True
    return _empty_until_s(profile, boxes.box[b].end, g, end_s) >= end_s


@kernel
def is_empty_until(profile: Profile, boxes: Boxes, end_s: float) -> bool:
    """Return whether a node is empty from now until then."""
    return _empty_until_s(profile, profile.state[0].head, boxes.gpus_per_node, end_s) >= end_s
