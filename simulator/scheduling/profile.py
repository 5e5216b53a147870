"""The availability profile: free nodes over future time, on which conservative backfilling rests.

A profile is a linked list of steps. A step says how many nodes are free from its time until that of the step after
it, the last one for ever; the first one, the head, is the present. Times ascend strictly. A step stays where it is in
memory for as long as a reservation begins or ends at it, so a reservation knows its two steps and changes only what
lies between them: nothing is searched for and nothing is shifted, however long the profile is.

Each reservation needs at most two steps. Steps are also gathered in blocks, runs of about as many steps as there are
blocks, for the index of `simulator.scheduling.stretches`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel

Ints = NDArray[np.int64]

MOST_GRADES = 16
"""Sizes of request told apart by the index, so that a trace with many does not make every change slow (assumption)."""
BLOCK_STEPS = 8
"""Steps of a block at least, for short queues: 8 to 16 do equally well (measured)."""

# One record, not columns: a walk along the profile then reads one cache line a step.
_STEP = np.dtype(
    [
        ("time_s", np.float64),
        ("free", np.int64),
        ("after", np.int64),  # the next step, -1 for none
        ("before", np.int64),
        ("uses", np.int32),  # reservations that begin or end here, and others that need the step to stay
        ("block", np.int32),
    ],
    align=True,
)
_BLOCK = np.dtype([("first", np.int64), ("inserted", np.int64)])
_STATE = np.dtype(
    [
        ("head", np.int64),
        ("steps", np.int64),  # steps in the list
        ("spare", np.int64),  # a step that was dropped, which leads to others by ``after``; -1 for none
        ("untouched", np.int64),  # steps from here on have never been used
        ("blocks", np.int64),
        ("fewest_steps", np.int64),  # of a new block
        ("block_steps", np.int64),  # of each block when they were made
        ("is_crowded", np.bool_),  # whether a block has become much larger since
        ("level", np.int64),  # nodes free when every reservation has ended
    ],
    align=True,
)


class Profile(NamedTuple):
    """A profile and the index of its stretches, all of them modified in place.

    Parameters
    ----------
    step : record array
        The steps, in no order; the list is in their links.
    state : record array, shape (1,)
        Where the list begins, and counts.
    grade_nodes : int array, shape (grades,)
        Sizes of request that the index tells apart, ascending.
    block : record array, shape (blocks,)
        First step of every block, in order of time, and how many steps were inserted since it was made.
    longest_s : float array, shape (grades, blocks)
        No stretch of the grade that begins in the block is longer; see `simulator.scheduling.stretches`.
    """

    step: NDArray[np.record]
    state: NDArray[np.record]
    grade_nodes: Ints
    block: NDArray[np.record]
    longest_s: NDArray[np.float64]


def new_profile(reservations: int, sizes: Ints, fewest_steps: int = BLOCK_STEPS) -> Profile:
    """Return a profile still to be cleared, with room for so many reservations at once.

    Parameters
    ----------
    reservations : int
        How many, at most.
    sizes : int array
        Nodes that reservations may want. Others are allowed, none below the least; they are found less fast.
    fewest_steps : int
        Steps of a block at least.
    """
    grades = np.unique(sizes)
    if len(grades) > MOST_GRADES:
        grades = grades[np.linspace(0, len(grades) - 1, MOST_GRADES).astype(np.int64)]
    most_steps = 2 * reservations + 4  # the head, and one for a reservation that is at two places while it moves
    most_blocks = most_steps // fewest_steps + 1
    # Not zeroed: what is never used stays without memory.
    profile = Profile(
        np.recarray(most_steps + most_blocks, _STEP),  # the first step of a block is kept after its last use
        np.recarray(1, _STATE),
        grades,
        np.recarray(most_blocks, _BLOCK),
        np.empty((len(grades), most_blocks)),
    )
    profile.state[0].fewest_steps = fewest_steps
    return profile


@kernel
def step_at(profile: Profile, near: int, time_s: float) -> int:
    """Return the step at a time, inserted if need be.

    Parameters
    ----------
    profile : Profile
        The profile, modified in place.
    near : int
        The step of this time or the last one before it.
    time_s : float
        When.
    """
    step, state = profile.step, profile.state[0]
    if step[near].time_s == time_s:
        return near
    new = state.spare
    if new >= 0:
        state.spare = step[new].after
    else:
        new = state.untouched
        state.untouched += 1
    after = step[near].after
    step[new].time_s = time_s
    step[new].free = step[near].free
    step[new].after = after
    step[new].before = near
    step[new].uses = 0
    step[new].block = step[near].block
    step[near].after = new
    if after >= 0:
        step[after].before = new
    state.steps += 1
    block = profile.block[step[new].block]
    block.inserted += 1
    state.is_crowded |= block.inserted > 3 * state.block_steps
    return int(new)


@kernel
def let_go(profile: Profile, at: int) -> None:
    """Count one use of a step less, and drop it after the last one.

    What begins and ends at a step adds up to its difference from the one before, so after the last use there is none.
    """
    step, state = profile.step, profile.state[0]
    step[at].uses -= 1
    if step[at].uses > 0:
        return
    before, after = step[at].before, step[at].after
    step[before].after = after
    if after >= 0:
        step[after].before = before
    step[at].after = state.spare
    state.spare = at
    state.steps -= 1
