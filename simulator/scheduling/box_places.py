"""Places for jobs in boxes: the earliest one there is, and where one may start now."""

from __future__ import annotations

import numpy as np

from simulator.compiled import kernel
from simulator.scheduling.box_bookings import open_box, put_in_box, take_out
from simulator.scheduling.boxes import NONE, Boxes
from simulator.scheduling.kinds import (
    empty_of,
    first_place,
    kinds_in,
    open_from_s,
    open_since_s,
    room,
    share_out,
)
from simulator.scheduling.profile import Ints, Profile, grade_of
from simulator.scheduling.stretches import first_stretch, span_s, tidy_stretches


@kernel
def empty_until_s(profile: Profile, at: int, kind: int, g: int, enough_s: float) -> float:
    """Return until when a node of a kind stays empty from a step of the profile on, infinite if that is late enough."""
    step = profile.step
    while at >= 0 and step[at].time_s < enough_s:
        if empty_of(profile, at, kind) < g:
            return float(step[at].time_s)
        at = step[at].after
    return np.inf


@kernel
def _look_closely(
    profile: Profile, boxes: Boxes, grade: int, block: int, gpus: int, length_s: float, claimant: int,
    best: tuple[int, float],
) -> tuple[int, float]:  # fmt: skip
    """Search among the stretches that begin in one block; correct its bound when none is long enough."""
    step, window, g, least = boxes.step, boxes.window, boxes.gpus_per_node, boxes.grade_gpus[grade]
    best_x, best_s = best
    is_vain, longest_s, has_windows = True, 0.0, window.shape[0] > 0
    x = boxes.block[block].first
    while x != NONE:
        before = step[x].before
        if step[x].after == NONE or g - step[x].used < least or (before != NONE and g - step[before].used >= least):
            x = step[x].next
            continue
        if step[x].time_s > best_s:
            is_vain = False
            x = step[x].next
            continue
        at, fit, start_s, end_s = x, -1, step[x].time_s, 0.0
        while True:
            if step[at].after == NONE:
                if fit >= 0 and start_s >= step[at].time_s:
                    fit = -1  # it opens only after the box has ended
                enough_s = (start_s if fit >= 0 else step[x].time_s) + length_s
                box = boxes.box[step[x].box]
                end_s = empty_until_s(profile, box.end, box.kind, g, enough_s)
                break
            end_s = step[at].time_s
            if g - step[at].used < least:
                break
            if g - step[at].used < gpus:
                fit = -1
            elif fit < 0:
                fit, start_s = at, step[at].time_s
                if has_windows:
                    kind = boxes.box[step[x].box].kind
                    start_s = open_from_s(window, kind, claimant, start_s, length_s)
            at = step[at].after
            if fit >= 0 and step[at].time_s >= start_s + length_s:
                end_s = np.inf
                break
        if end_s == np.inf:
            is_vain = False
        if fit >= 0 and end_s == np.inf:
            while step[step[fit].after].time_s <= start_s:
                fit = step[fit].after
            if start_s < best_s or (start_s == best_s and (best_x < 0 or _is_better(boxes, fit, best_x))):
                best_x, best_s = fit, start_s
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
        return bool(step[x].used > step[than].used)
    return bool(boxes.box[step[x].box].born < boxes.box[step[than].box].born)


@kernel
def first_in_boxes(
    profile: Profile, boxes: Boxes, gpus: int, length_s: float, claimant: int, until_s: float
) -> tuple[int, float]:
    """Return the first time, until another, from which a box has room for a job, and its step then; -1 for none.

    Of several at once it is that of the fullest box, then of the oldest.
    """
    block, order, state = boxes.block, boxes.order, boxes.state[0]
    best_x, best_s = NONE, until_s
    grade = grade_of(boxes.grade_gpus, gpus)
    longest_s = boxes.longest_s[grade]
    for place in range(state.blocks):
        at = order[place]
        if longest_s[at] < length_s:
            continue
        if block[at].begin_s > best_s:
            break
        best_x, best_s = _look_closely(profile, boxes, grade, at, gpus, length_s, claimant, (best_x, best_s))
    return best_x, best_s


@kernel
def _before_box(profile: Profile, boxes: Boxes, x: int, claimant: int) -> int:
    """Return the step of the profile from which a node is empty up to the box whose first step this is.

    -1 where it is none or the box has begun.
    """
    b, step = boxes.step[x].box, profile.step
    if boxes.box[b].first != x or boxes.box[b].begin < 0:
        return NONE
    at = boxes.box[b].begin
    while step[at].before >= 0 and room(profile, step[at].before, boxes.box[b].kind, claimant) >= boxes.gpus_per_node:
        at = step[at].before
    return int(at)


@kernel
def _new_kind(profile: Profile, boxes: Boxes, first: int, length_s: float, claimant: int, scratch: Ints) -> int:
    """Return the kind of node that a new box takes from a step of the profile on, for so long."""
    if kinds_in(profile) == 0:
        return 0
    end_s = profile.step[first].time_s + length_s
    share_out(profile, boxes.window, claimant, first, end_s, boxes.gpus_per_node, scratch)
    return int(np.argmax(scratch))


@kernel
def place_part(profile: Profile, boxes: Boxes, reservation: np.record, claimant: int, least: Ints) -> float:
    """Give a job for a part of a node its earliest place, or an earlier one; return its start, infinite for none.

    Parameters
    ----------
    profile, boxes : Profile, Boxes
        The plan, modified in place.
    reservation : record
        That of the job, modified in place.
    claimant : int
        Who it is for.
    least : int array, shape (kinds,)
        Scratch.

    Notes
    -----
    It begins at the earliest time from which a box has room for it and its node is open to it, or else an empty node
    can be had. The box may end before it where its node is empty then. It moves on to begin before the box where a
    node is empty then.

    With a place already it keeps that unless another is earlier, at which there is room beside all that is planned; or
    it moves forward in its own box, as far as there is room up to its place.
    """
    step, g = boxes.step, boxes.gpus_per_node
    gpus, length_s, first = reservation.nodes, reservation.length_s, reservation.first
    own, before, near, limit = NONE, NONE, NONE, np.inf
    if first >= 0:
        own, near = step[first].box, first
        while step[near].before != NONE and g - step[step[near].before].used >= gpus:
            near = step[near].before
        limit = step[near].time_s
        since_s = -np.inf
        if boxes.window.shape[0] > 0:
            since_s = open_since_s(boxes.window, boxes.box[own].kind, claimant, step[first].time_s)
        if since_s > limit:
            limit = since_s
            while step[step[near].after].time_s <= limit:
                near = step[near].after
        else:
            before = _before_box(profile, boxes, near, claimant)
        if before >= 0:
            limit = profile.step[before].time_s
        if limit == profile.step[profile.state[0].head].time_s and limit == step[first].time_s:
            return float(limit)
    if kinds_in(profile) == 0:
        new = first_stretch(profile, 0, g, length_s, limit, -1)
    else:
        new = first_place(profile, claimant, g, length_s, limit, least)
    until_s = limit if new < 0 else profile.step[new].time_s
    if first >= 0 and new < 0:
        until_s = np.nextafter(limit, -np.inf)
    x, start_s = first_in_boxes(profile, boxes, gpus, length_s, claimant, until_s)
    kind = 0
    if x >= 0:
        own, near, before = step[x].box, x, NONE
        if start_s == step[x].time_s:
            before = _before_box(profile, boxes, x, claimant)
        if before >= 0:
            start_s = profile.step[before].time_s
    elif new >= 0:
        own, before, start_s = NONE, new, profile.step[new].time_s
        kind = _new_kind(profile, boxes, new, length_s, claimant, least)
    elif first < 0:
        return np.inf
    elif limit == step[first].time_s:
        return float(limit)
    else:
        start_s = limit
        if before >= 0 and start_s + length_s <= step[near].time_s:
            kind = boxes.box[own].kind
            own = NONE
    last = reservation.last
    end_s = max(start_s + length_s, np.nextafter(start_s, np.inf))
    if own == NONE:
        reservation.first, reservation.last = open_box(profile, boxes, before, kind, start_s, end_s, gpus)
    else:
        reservation.first, reservation.last = put_in_box(profile, boxes, own, near, start_s, end_s, gpus, False)
    if first >= 0:
        take_out(profile, boxes, first, last, gpus)
    tidy_stretches(profile)
    return float(start_s)


@kernel
def has_room(profile: Profile, boxes: Boxes, b: int, gpus: int, claimant: int, end_s: float) -> bool:
    """Return whether a box that has begun has room for a job from now until then."""
    step, g, kind = boxes.step, boxes.gpus_per_node, boxes.box[b].kind
    x = boxes.box[b].first
    now_s = profile.step[profile.state[0].head].time_s
    if open_from_s(boxes.window, kind, claimant, now_s, end_s - now_s) > now_s:
        return False
    while step[x].after != NONE:
        if g - step[x].used < gpus:
            return False
        x = step[x].after
        if step[x].time_s >= end_s:
            return True
    return empty_until_s(profile, boxes.box[b].end, kind, g, end_s) >= end_s


@kernel
def is_empty_until(profile: Profile, boxes: Boxes, kind: int, claimant: int, end_s: float) -> bool:
    """Return whether a node of a kind is empty from now until then, and open to a claimant."""
    step, at = profile.step, profile.state[0].head
    while at >= 0 and step[at].time_s < end_s:
        if room(profile, at, kind, claimant) < boxes.gpus_per_node:
            return False
        at = step[at].after
    return True
