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
from simulator.scheduling.profile import Profile, grade_of, let_go

_ULP = 2.0**-52


@kernel
def index_stretches(profile: Profile) -> None:
    """Divide the steps into new blocks of one size."""
    step, state, longest_s = profile.step, profile.state[0], profile.longest_s
    for block in range(step[state.head].block + 1, state.blocks):
        let_go(profile, profile.block[block].first)
    # A search looks at all blocks and at the steps of some: both grow with the root of the steps.
    size = max(state.fewest_steps, int(math.sqrt(state.steps)))
    known_s = longest_s[:, :, : state.blocks].copy()
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
            for claimant in range(longest_s.shape[0]):
                for grade in range(longest_s.shape[1]):
                    least_s = 0.0 if is_first else longest_s[claimant, grade, block]
                    longest_s[claimant, grade, block] = max(least_s, known_s[claimant, grade, old])
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
def span_s(start_s: float, end_s: float) -> float:
    """Return a bound on the length of a stretch between two times, the second of which may be infinite."""
    if end_s == np.inf:
        return np.inf
    # MUST HOLD: not below any length_s for which start + length_s, rounded, is not after the end. The sum may have been
    # rounded down by half a unit in the last place of the end; a whole one more makes up for it.
    return float(end_s + abs(end_s) * _ULP - start_s)


@kernel
def _length_s(profile: Profile, start: int, end: int) -> float:
    """Return a bound on the length of the stretch between two steps; ``end`` is -1 where it has none."""
    step = profile.step
    return float(span_s(step[start].time_s, step[end].time_s if end >= 0 else np.inf))


@kernel
def block_at(profile: Profile, time_s: float) -> int:
    """Return the block of steps in which a time lies that is not before the present."""
    step, state = profile.step, profile.state[0]
    low, high = step[state.head].block + 1, state.blocks
    while low < high:
        middle = (low + high) // 2
        if step[profile.block[middle].first].time_s <= time_s:
            low = middle + 1
        else:
            high = middle
    return int(low - 1)


@kernel
def note_stretches(profile: Profile, claimant: int, first: int, last: int, low: int, high: int) -> None:
    """Note what has become of stretches where free nodes have changed.

    Parameters
    ----------
    profile : Profile
        The profile, changed already; its index is modified in place.
    claimant : int
        To whom they are free.
    first, last : int
        The first step changed, and the first after it that is not.
    low, high : int
        Fewest and most free nodes between them, before or after the change.
    """
    step, free = profile.step, profile.free
    for grade in range(profile.grade_nodes.shape[0]):
        nodes = profile.grade_nodes[grade]
        if nodes <= low:
            continue
        if nodes > high:
            break
        at = first
        if free[at, claimant] >= nodes:
            while step[at].before >= 0 and free[step[at].before, claimant] >= nodes:
                at = step[at].before
        while True:
            start, reaches_last = at, False  # one that begins at ``last`` may have begun before it until now
            while at >= 0 and free[at, claimant] >= nodes:
                reaches_last |= at == last
                at = step[at].after
            if at != start:
                block = step[start].block
                longest_s = max(profile.longest_s[claimant, grade, block], _length_s(profile, start, at))
                profile.longest_s[claimant, grade, block] = longest_s
            if reaches_last or at < 0 or at == last:
                break
            at = step[at].after


@kernel
def _look_closely(
    profile: Profile, claimant: int, grade: int, begin: int, is_cut: bool, nodes: int, length_s: float, before_s: float
) -> int:
    """Search among the stretches that begin in one block, ``begin`` being its first step.

    Correct its bound when the search is in vain. With ``is_cut`` that is any step, and what lies before does not count.
    """
    step, free = profile.step, profile.free
    least, block = profile.grade_nodes[grade], step[begin].block
    is_of_block = is_cut or step[begin].before < 0 or free[step[begin].before, claimant] < least
    at, start, fit, longest_s = begin, -1, -1, 0.0
    while at >= 0 and (step[at].block == block or start >= 0):
        after = step[at].after
        if free[at, claimant] < least:
            if start >= 0:
                longest_s = max(longest_s, _length_s(profile, start, at))
            start, fit, is_of_block = -1, -1, True
        elif is_of_block:
            if start < 0:
                start = at
            if free[at, claimant] < nodes:
                fit = -1
            elif fit < 0:
                fit = at
            if (
                fit >= 0
                and step[fit].time_s < before_s
                and (after < 0 or step[after].time_s >= step[fit].time_s + length_s)
            ):
                return int(fit)
        at = after
    if not is_cut:
        profile.longest_s[claimant, grade, block] = longest_s if start < 0 else np.inf
    return -1


@kernel
def first_stretch(profile: Profile, claimant: int, nodes: int, length_s: float, before_s: float, block: int) -> int:
    """Return the step at which the first stretch begins that is wide and long enough, -1 for none.

    Parameters
    ----------
    profile : Profile
        The profile; bounds of its index may become tighter.
    claimant : int
        To whom it must be free.
    nodes : int
        Nodes wanted, at least the least of the grades.
    length_s : float
        Seconds wanted, positive.
    before_s : float
        Only a stretch that begins before this time counts, infinite for all.
    block : int
        Only one that begins in this block or later counts, -1 for all.
    """
    step, state = profile.step, profile.state[0]
    grade = grade_of(profile.grade_nodes, nodes)
    last = block_at(profile, before_s) if before_s < np.inf else state.blocks - 1
    for at in range(max(block, step[state.head].block), last + 1):
        if profile.longest_s[claimant, grade, at] >= length_s:
            first = profile.block[at].first
            found = _look_closely(profile, claimant, grade, first, False, nodes, length_s, before_s)
            if found >= 0:
                return int(found)
    return -1


@kernel
def next_stretch(profile: Profile, claimant: int, nodes: int, length_s: float, before_s: float, begin: int) -> int:
    """Return the same of the stretches from a step on, as if there were nothing free before it."""
    grade = grade_of(profile.grade_nodes, nodes)
    found = _look_closely(profile, claimant, grade, begin, True, nodes, length_s, before_s)
    if found >= 0:
        return int(found)
    return first_stretch(profile, claimant, nodes, length_s, before_s, profile.step[begin].block + 1)


@kernel
def earliest_stretch(profile: Profile, nodes: int, length_s: float, own: int) -> int:
    """Return the step to which a reservation can be moved forward, where nothing is kept for anybody.

    Parameters
    ----------
    profile, nodes, length_s
        As above.
    own : int
        The step at which it begins. It is returned where there is no earlier one.
    """
    # In one kernel with the search, which is called for every job of the queue: a call more makes a pass a half longer.
    step, state, free = profile.step, profile.state[0], profile.free
    # MUST HOLD: not later than its guarantee. From here on it fits, its own place being free for it.
    while own != state.head and free[step[own].before, 0] >= nodes:
        own = step[own].before
    if own == state.head:
        return own
    grade = grade_of(profile.grade_nodes, nodes)
    before_s = step[own].time_s
    for block in range(step[state.head].block, step[own].block + 1):
        if profile.longest_s[0, grade, block] >= length_s:
            found = _look_closely(profile, 0, grade, profile.block[block].first, False, nodes, length_s, before_s)
            if found >= 0:
                return int(found)
    return own
