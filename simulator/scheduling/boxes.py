"""Where jobs for parts of nodes are planned: boxes, each one node for as long as anybody is in it.

A box is in use without a break from its first step to its last. While it is, it holds one node of the availability
profile, of some kind. It is tied to a node only when a job runs in it: before that any node of the kind will do which
is empty when the box begins, and where a break comes about the rest is another box. Like a profile
(`simulator.scheduling.profile`) a box is a linked list of steps that stay where they are for as long as a job begins or
ends at them.

A stretch of a grade is a maximal run of steps of one box that leave the grade's number of GPUs free, and where it
reaches the last of them, the time for which a node stays empty after it. Steps of all boxes lie in blocks by their
time; for every grade and block the index keeps a time that no stretch which begins there exceeds, whoever the node is
kept for meanwhile. As in `simulator.scheduling.stretches` a bound may be too high, never too low.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.profile import MOST_GRADES, Ints, Profile

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
        ("kind", np.int64),  # of its node
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
        ("block_steps", np.int64),  # steps of a block at most
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
    window : record array
        When which kinds of nodes are kept for whom, by begin; see `simulator.scheduling.kinds`.
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
    window: NDArray[np.record]


def new_boxes(
    profile: Profile, window: NDArray[np.record], reservations: int, sizes: Ints, nodes: int, gpus_per_node: int,
    block_steps: int = BLOCK_STEPS,
) -> Boxes:  # fmt: skip
    """Return boxes, none of which is in use, for so many jobs at once.

    Parameters
    ----------
    profile : Profile
        That of the machine in GPUs, still to be cleared; boxes take their nodes from it.
    window : record array
        When which kinds of nodes are kept for whom.
    reservations : int
        Jobs for parts of nodes, at most.
    sizes : int array
        GPUs that they want.
    nodes, gpus_per_node : int
        The machine.
    block_steps : int
        Steps of a block at most.
    """
    grades = np.unique(sizes)
    if len(grades) > MOST_GRADES:
        grades = grades[np.linspace(0, len(grades) - 1, MOST_GRADES).astype(np.int64)]
    steps = 2 * reservations + 8
    blocks = 2 * steps // block_steps + 4
    # Not zeroed: what is never used stays without memory.
    boxes = Boxes(
        gpus_per_node, np.recarray(steps, _STEP), np.recarray(reservations + 4, _BOX), np.recarray(blocks, _BLOCK),
        np.recarray(1, _STATE), np.empty(blocks, np.int64), grades, np.empty((len(grades), blocks)),
        np.full(nodes, NONE), np.full(len(profile.step), NONE), window,
    )  # fmt: skip
    boxes.state[0].untouched_box, boxes.state[0].block_steps = 0, block_steps
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
    """Put a step in a block."""
    step, block = boxes.step, boxes.block
    step[x].block, step[x].previous, step[x].next = at, NONE, block[at].first
    if block[at].first != NONE:
        step[block[at].first].previous = x
    block[at].first = x
    block[at].steps += 1


@kernel
def _leave_block(boxes: Boxes, x: int) -> None:
    """Take a step out of its block."""
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
def merge_past_blocks(boxes: Boxes, now_s: float) -> None:
    """Let one block hold all that has begun."""
    block, order, state = boxes.block, boxes.order, boxes.state[0]
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
def new_step(boxes: Boxes, box: int, time_s: float, used: int, before: int, after: int) -> int:
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
    if boxes.block[boxes.order[place]].steps > boxes.state[0].block_steps:
        _split_block(boxes, place)
    return int(x)


@kernel
def drop_step(boxes: Boxes, x: int) -> None:
    """Take a step out of its box and its block."""
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
def box_step_at(boxes: Boxes, near: int, time_s: float) -> int:
    """Return the step at a time, which ``near`` is not after, made if need be."""
    step = boxes.step
    while step[near].after != NONE and step[step[near].after].time_s <= time_s:
        near = step[near].after
    if step[near].time_s == time_s:
        return near
    return new_step(boxes, step[near].box, time_s, step[near].used, near, step[near].after)
