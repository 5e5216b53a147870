"""Jobs booked in boxes and taken out of them, and the nodes that these hold of the availability profile meanwhile."""

from __future__ import annotations

import numpy as np

from simulator.compiled import kernel
from simulator.scheduling.boxes import NONE, Boxes, box_step_at, drop_step, merge_past_blocks, new_step
from simulator.scheduling.kinds import alike, change_kind, empty_of, kinds_in
from simulator.scheduling.profile import Ints, Profile, let_go, step_at
from simulator.scheduling.reservations import last_until
from simulator.scheduling.stretches import span_s

# --- boxes and the profile --------------------------------------------------------------------------------------------


@kernel
def _new_box(boxes: Boxes) -> int:
    """Return a box still to be filled in."""
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
    """Let a box end nowhere."""
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
def _reach_s(profile: Profile, boxes: Boxes, b: int) -> float:
    """Return until when the node of a box stays empty after it; infinite where that takes long to find out."""
    step, g, kind = profile.step, boxes.gpus_per_node, boxes.box[b].kind
    at = boxes.box[b].end
    for _ in range(boxes.state[0].block_steps):
        if at < 0:
            break
        if empty_of(profile, at, kind) < g:
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
def _note_ending(profile: Profile, boxes: Boxes, at: int, kind: int, is_one: bool) -> None:
    """Note how far the boxes of a kind reach that end at a step, with ``is_one`` all that are one with it then."""
    b = boxes.ending[at]
    while b != NONE:
        other = boxes.box[b].kind
        if other == kind or (is_one and alike(profile, at, other) == alike(profile, at, kind)):
            end = boxes.box[b].last
            tail = boxes.step[end].before
            _note(profile, boxes, tail, end, 0, boxes.gpus_per_node - boxes.step[tail].used)
        b = boxes.box[b].next


@kernel
def _note_reaching(profile: Profile, boxes: Boxes, at: int, kind: int, is_first: bool) -> None:
    """Note how far the boxes reach that end before a step of the profile and whose nodes are empty up to there.

    They are those of all kinds that are one with a kind at the step, unless ``is_first`` only of those that are not one
    with it before.
    """
    step, kinds, before = profile.step, kinds_in(profile), profile.step[at].before
    for other in range(max(1, kinds)):
        if kinds > 0 and alike(profile, at, other) != alike(profile, at, kind):
            continue
        if not is_first and alike(profile, before, other) == alike(profile, before, kind):
            continue
        back = before
        while back >= 0 and empty_of(profile, back, other) >= boxes.gpus_per_node:
            if boxes.ending[back] != NONE:
                _note_ending(profile, boxes, back, other, False)
            back = step[back].before


@kernel
def free_nodes(profile: Profile, boxes: Boxes, first: int, last: int, kind: int, gpus: int) -> None:
    """Give whole nodes of a kind back between two steps of the profile, and note which boxes reach further now."""
    if first == last:
        return
    step, g, kinds = profile.step, boxes.gpus_per_node, kinds_in(profile)
    grows, at = False, first
    while at != last:
        grows |= empty_of(profile, at, kind) < g
        at = step[at].after
    change_kind(profile, first, last, kind, gpus)
    if not grows:
        return
    at = first
    while at != last:
        if empty_of(profile, at, kind) >= g:
            if at == first or kinds > 0:
                _note_reaching(profile, boxes, at, kind, at == first)
            if boxes.ending[at] != NONE:
                _note_ending(profile, boxes, at, kind, kinds > 0)
        at = step[at].after


@kernel
def free_taken(profile: Profile, boxes: Boxes, first: int, last: int, gpus: int, taken: Ints) -> None:
    """Give the whole nodes of a job back between two steps of the profile."""
    if taken.shape[0] == 0:
        free_nodes(profile, boxes, first, last, 0, gpus)
        return
    for kind in range(taken.shape[0]):
        if taken[kind] > 0:
            free_nodes(profile, boxes, first, last, kind, taken[kind])


# --- jobs in boxes ----------------------------------------------------------------------------------------------------


@kernel
def open_box(
    profile: Profile, boxes: Boxes, begin: int, kind: int, start_s: float, end_s: float, gpus: int
) -> tuple[int, int]:
    """Put a job in a new box, which begins at a step of the profile, -1 for the present; return its two steps."""
    b, step = _new_box(boxes), boxes.step
    first = new_step(boxes, b, start_s, gpus, NONE, NONE)
    last = new_step(boxes, b, end_s, 0, first, NONE)
    boxes.box[b].first, boxes.box[b].last, boxes.box[b].begin, boxes.box[b].kind = first, last, begin, kind
    at = begin if begin >= 0 else profile.state[0].head
    end = step_at(profile, last_until(profile, at, end_s), end_s)
    change_kind(profile, at, end, kind, -boxes.gpus_per_node)
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
        change_kind(profile, to, begin, box[b].kind, -g)
        profile.step[to].uses += 1
        let_go(profile, begin)
        box[b].begin = to
        near = new_step(boxes, b, start_s, 0, NONE, near)
        step[near].uses = 1
        step[step[near].after].uses -= 1
        box[b].first = near
    first = box[b].first if has_begun else box_step_at(boxes, near, start_s)
    last = first
    while step[last].after != NONE and step[step[last].after].time_s <= end_s:
        last = step[last].after
    if step[last].time_s < end_s and step[last].after == NONE:
        grows = True
        begin = box[b].end
        end = step_at(profile, last_until(profile, begin, end_s), end_s)
        change_kind(profile, begin, end, box[b].kind, -g)
        let_go(profile, _move_end(profile, boxes, b, end))
        last = new_step(boxes, b, end_s, 0, last, NONE)
        box[b].last = last
    else:
        last = box_step_at(boxes, last, end_s)
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
def _cut(profile: Profile, boxes: Boxes, b: int, begin: int, gap: int, gap_end: int) -> None:
    """Give a node back between two steps of a box between which nothing is in use any more.

    ``begin`` is a step of the profile that is not after ``gap``.
    """
    box, step, g = boxes.box, boxes.step, boxes.gpus_per_node
    is_first, is_last = gap == box[b].first, step[gap_end].after == NONE
    freed = begin if is_first else step_at(profile, last_until(profile, begin, step[gap].time_s), step[gap].time_s)
    freed_end = box[b].end
    if not is_last:
        freed_end = step_at(profile, last_until(profile, freed, step[gap_end].time_s), step[gap_end].time_s)
    old = NONE
    if is_first and is_last:
        old = box[b].end
        _unlink_end(boxes, b)
        if box[b].node != NONE:
            boxes.on_node[box[b].node] = NONE
        box[b].first = NONE
        drop_step(boxes, gap_end)
        drop_step(boxes, gap)
    elif is_first:
        if box[b].node != NONE:  # nobody is on that node any more, so any will do
            boxes.on_node[box[b].node] = NONE
            box[b].node = NONE
        box[b].first = gap_end
        step[gap_end].uses += 1
        drop_step(boxes, gap)
        profile.step[freed_end].uses += 1
    elif is_last:
        drop_step(boxes, gap_end)
        box[b].last = gap
        old = _move_end(profile, boxes, b, freed)
    else:
        new = _new_box(boxes)
        box[new].first, box[new].last, box[b].last, box[new].kind = gap_end, box[b].last, gap, box[b].kind
        end = box[b].end
        profile.step[freed].uses += 1
        _unlink_end(boxes, b)
        _link_end(boxes, new, end)
        _link_end(boxes, b, freed)
        step[gap].after, step[gap_end].before = NONE, NONE
        step[gap_end].uses += 1
        profile.step[freed_end].uses += 1
        box[new].begin = freed_end
        x = gap_end
        while x != NONE:
            step[x].box = new
            x = step[x].after
    free_nodes(profile, boxes, freed, freed_end, box[b].kind, g)
    if not is_first:  # it ends earlier now, and reaches as far as a node stays empty from there
        tail = step[gap].before
        _note(profile, boxes, tail, gap, 0, g - step[tail].used)
    if is_first:
        if box[b].begin >= 0:
            let_go(profile, box[b].begin)
        box[b].begin = freed_end
        if is_last:
            box[b].next, boxes.state[0].spare_box = boxes.state[0].spare_box, b
    if old != NONE:
        let_go(profile, old)
    if not is_last:
        _note(profile, boxes, gap_end, step[gap_end].after, -1, g)


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
            drop_step(boxes, first)
    step[last].uses -= 1
    if step[last].uses == 0 and step[last].after != NONE:
        after = step[last].after
        drop_step(boxes, last)
        last = after
    begin = box[b].begin if box[b].begin >= 0 else profile.state[0].head
    piece = x
    while x != last:
        if step[x].used > 0:
            x = step[x].after
            continue
        gap = x
        while x != last and step[x].used == 0:
            x = step[x].after
        is_last = step[x].after == NONE
        _cut(profile, boxes, step[gap].box, begin, gap, x)
        if piece != gap:
            _note(profile, boxes, piece, gap, low, high)
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
        drop_step(boxes, first)


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
            drop_step(boxes, x)
            x = after
        box[b].first = x
        step[x].time_s = now_s
    merge_past_blocks(boxes, now_s)
