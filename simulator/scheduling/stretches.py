"""Where in a profile enough nodes stay free for long enough, without a look at every step.

A stretch of a grade is a maximal run of steps that have at least the grade's number of nodes free. For every grade and
block of steps the index keeps a time that no such stretch that *begins* in the block exceeds. A search passes over all
blocks in which the longest is too short, and looks closely at the others. The bounds are kept cheaply: whoever changes
the profile notes the stretches that have grown or now begin elsewhere; one that has become shorter is found out by the
next search that looks at its block in vain. So a bound can be too high, never too low.

A request is looked up under the largest grade that it reaches. Its own stretches lie within those of the grade.
"""

from __future__ import annotations

import math

import numpy as np

from simulator.compiled import kernel
from simulator.scheduling.profile import Profile, let_go

_ULP = 2.0**-52


@kernel
def index_stretches(profile: Profile) -> None:
    """Divide the steps into new blocks of one size."""
    step, state, longest_s = profile.step, profile.state[0], profile.longest_s
    for block in range(step[state.head].block + 1, state.blocks):
        let_go(profile, profile.block[block].first)
    # A search looks at all blocks and at the steps of some: both grow with the root of the steps.
    size = max(state.fewest_steps, int(math.sqrt(state.steps)))
    known_s = longest_s[:, : state.blocks].copy()
    at, place, block, old = state.head, 0, -1, -1
    while at >= 0:
        is_first = place % size == 0
        if is_first:
            block += 1
            profile.block[block].first, profile.block[block].inserted = at, 0
            if block > 0:
                step[at].uses += 1  # stays until the blocks are made again
        # A stretch that begins in the new block began in one of the old ones from which its steps come.
        if is_first or step[at].block != old:
            old = step[at].block
            for grade in range(longest_s.shape[0]):
                least_s = 0.0 if is_first else longest_s[grade, block]
                longest_s[grade, block] = max(least_s, known_s[grade, old])
        step[at].block = block
        place += 1
        at = step[at].after
    state.blocks, state.block_steps, state.is_crowded = block + 1, size, False


@kernel
def tidy_stretches(profile: Profile) -> None:
    """Make the blocks again when one has become much larger than the others."""
    if profile.state[0].is_crowded:
        index_stretches(profile)


@kernel
def _length_s(profile: Profile, start: int, end: int) -> float:
    """Return a bound on the length of the stretch between two steps; ``end`` is -1 where it has none."""
    if end < 0:
        return np.inf
    end_s = profile.step[end].time_s
    # MUST HOLD: not below any length_s for which start + length_s, rounded, is not after the end. The sum may have been
    # rounded down by half a unit in the last place of the end; a whole one more makes up for it.
    return float(end_s + abs(end_s) * _ULP - profile.step[start].time_s)


@kernel
def note_stretches(profile: Profile, first: int, last: int, low: int, high: int) -> None:
    """Note what has become of stretches where free nodes have changed.

    Parameters
    ----------
    profile : Profile
        The profile, changed already; its index is modified in place.
    first, last : int
        The first step changed, and the first after it that is not.
    low, high : int
        Fewest and most free nodes between them, before or after the change.
    """
    step = profile.step
    for grade in range(profile.grade_nodes.shape[0]):
        nodes = profile.grade_nodes[grade]
        if nodes <= low:
            continue
        if nodes > high:
            break
        at = first
        if step[at].free >= nodes:
            while step[at].before >= 0 and step[step[at].before].free >= nodes:
                at = step[at].before
        while True:
            start, reaches_last = at, False  # one that begins at ``last`` may have begun before it until now
            while at >= 0 and step[at].free >= nodes:
                reaches_last |= at == last
                at = step[at].after
            if at != start:
                block = step[start].block
                profile.longest_s[grade, block] = max(profile.longest_s[grade, block], _length_s(profile, start, at))
            if reaches_last or at < 0 or at == last:
                break
            at = step[at].after


@kernel
def _look_closely(profile: Profile, grade: int, block: int, nodes: int, length_s: float, stop: int) -> int:
    """Search among the stretches that begin in one block; correct its bound when the search is in vain."""
    step = profile.step
    least = profile.grade_nodes[grade]
    at = profile.block[block].first
    is_of_block = step[at].before < 0 or step[step[at].before].free < least
    is_ahead = True
    start, fit, longest_s = -1, -1, 0.0
    while at >= 0 and (step[at].block == block or start >= 0):
        is_ahead &= at != stop
        after = step[at].after
        if step[at].free < least:
            if start >= 0:
                longest_s = max(longest_s, _length_s(profile, start, at))
            start, fit, is_of_block = -1, -1, True
        elif is_of_block:
            if start < 0:
                start = at
            if step[at].free < nodes:
                fit = -1
            elif fit < 0:
                fit = at
            if fit >= 0 and is_ahead and (after < 0 or step[after].time_s >= step[fit].time_s + length_s):
                return int(fit)
        at = after
    profile.longest_s[grade, block] = longest_s if start < 0 else np.inf
    return -1


@kernel
def first_stretch(profile: Profile, nodes: int, length_s: float, stop: int) -> int:
    """Return the step at which the first stretch begins that is wide and long enough, -1 for none.

    Parameters
    ----------
    profile : Profile
        The profile; bounds of its index may become tighter.
    nodes : int
        Nodes wanted, at least the least of the grades.
    length_s : float
        Seconds wanted, positive.
    stop : int
        A step that begins a stretch of so many nodes; only those before it count. -1 for all.
    """
    step, state = profile.step, profile.state[0]
    grade = 0
    while grade + 1 < profile.grade_nodes.shape[0] and profile.grade_nodes[grade + 1] <= nodes:
        grade += 1
    last = step[stop].block if stop >= 0 else state.blocks - 1
    for block in range(step[state.head].block, last + 1):
        if profile.longest_s[grade, block] >= length_s:
            found = _look_closely(profile, grade, block, nodes, length_s, stop)
            if found >= 0:
                return int(found)
    return -1
