"""Reservations in an availability profile: made, given up, and moved forward into time that has become free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.profile import Ints, Profile, let_go, step_at
from simulator.scheduling.stretches import first_stretch, note_stretches, tidy_stretches

_RESERVATION = np.dtype(
    [
        ("nodes", np.int64),
        ("length_s", np.float64),
        ("first", np.int64),  # the step where it begins; -1 if it has begun
        ("last", np.int64),  # the first step after it; -1 for no reservation
        ("stays", np.bool_),  # scratch of a pass
    ],
    align=True,
)


def no_reservations(jobs: int) -> NDArray[np.record]:
    """Return the reservations of so many jobs, none of which has one."""
    reservations = np.recarray(jobs, _RESERVATION)
    reservations.first = reservations.last = -1
    return reservations


@kernel
def clear(profile: Profile, now_s: float, level: int) -> None:
    """Make a profile in which so many nodes are free from now on for ever."""
    head, state = profile.step[0], profile.state[0]
    head.time_s, head.free, head.after, head.before = now_s, level, -1, -1
    head.uses, head.block = 1, 0  # the head stays without reservations
    profile.block[0].first, profile.block[0].inserted = 0, 0
    profile.longest_s[:, 0] = np.inf
    state.head, state.steps, state.spare, state.untouched, state.level = 0, 1, -1, 1, level
    state.blocks, state.block_steps, state.is_crowded = 1, state.fewest_steps, False


@kernel
def advance(profile: Profile, now_s: float) -> None:
    """Forget what lies before ``now_s``: no reservation that has not begun, and no end, may be there."""
    step, state = profile.step, profile.state[0]
    head = state.head
    while step[head].after >= 0 and step[step[head].after].time_s <= now_s:
        passed = head
        head = step[head].after
        step[passed].after = state.spare
        state.spare = passed
        state.steps -= 1
    step[head].time_s = now_s
    if head != state.head:
        state.head = head
        step[head].before = -1
        step[head].uses += 1
        block = step[head].block
        profile.block[block].first = head
        profile.longest_s[:, block] = np.inf


@kernel
def lift(profile: Profile, nodes: int) -> None:
    """Add nodes to the machine, or take them out of it when ``nodes`` is negative."""
    at = profile.state[0].head
    while at >= 0:
        profile.step[at].free += nodes
        at = profile.step[at].after
    profile.state[0].level += nodes
    profile.longest_s[:, : profile.state[0].blocks] = np.inf


@kernel
def fewest_free(profile: Profile) -> int:
    """Return how many nodes are free when they are fewest; negative where more is reserved than there is."""
    at = profile.state[0].head
    fewest = profile.step[at].free
    while at >= 0:
        fewest = min(fewest, profile.step[at].free)
        at = profile.step[at].after
    return int(fewest)


@kernel
def _change(profile: Profile, first: int, last: int, nodes: int) -> None:
    """Give nodes back between two steps, or take them when ``nodes`` is negative."""
    if first == last:
        return
    step = profile.step
    low = high = step[first].free
    at = first
    while at != last:
        low, high = min(low, step[at].free), max(high, step[at].free)
        step[at].free += nodes
        at = step[at].after
    note_stretches(profile, first, last, min(low, low + nodes), max(high, high + nodes))


@kernel
def _last_until(profile: Profile, at: int, time_s: float) -> int:
    """Return the last step that is not after a time, which ``at`` is not."""
    step = profile.step
    while step[at].after >= 0 and step[step[at].after].time_s <= time_s:
        at = step[at].after
    return at


@kernel
def reserve(profile: Profile, reservation: np.record, first: int, end_s: float) -> None:
    """Reserve from a step until a time, which is not before it; from the present if ``first`` is -1."""
    start = first if first >= 0 else profile.state[0].head
    last = step_at(profile, _last_until(profile, start, end_s), end_s)
    _change(profile, start, last, -reservation.nodes)
    if first >= 0:
        profile.step[first].uses += 1
    profile.step[last].uses += 1
    reservation.first, reservation.last = first, last


@kernel
def start_job(profile: Profile, reservation: np.record) -> None:
    """Turn the reservation of a job that starts now into that of a running one."""
    let_go(profile, reservation.first)
    reservation.first = -1


@kernel
def give_up(profile: Profile, reservation: np.record) -> None:
    """End a reservation before its time, or at it."""
    start = reservation.first if reservation.first >= 0 else profile.state[0].head
    _change(profile, start, reservation.last, reservation.nodes)
    if reservation.first >= 0:
        let_go(profile, reservation.first)
    let_go(profile, reservation.last)
    reservation.first = reservation.last = -1


@kernel
def place(profile: Profile, reservation: np.record) -> float:
    """Reserve at the earliest place; return its start, infinite if too few are free even when all have ended."""
    nowhere = reservation.first  # -1 as long as there is none: wherever it fits
    first = first_stretch(profile, reservation.nodes, reservation.length_s, nowhere)
    if first < 0:
        return np.inf
    start_s = profile.step[first].time_s
    reserve(profile, reservation, first, start_s + reservation.length_s)
    tidy_stretches(profile)
    return float(start_s)


@kernel
def _move(profile: Profile, reservation: np.record, to: int) -> None:
    """Move a reservation forward to a step from which on it fits."""
    step = profile.step
    first, last, nodes = reservation.first, reservation.last, reservation.nodes
    end_s = step[to].time_s + reservation.length_s
    if end_s > step[first].time_s:  # the two places overlap, and where they do nothing changes
        near = last
        while step[near].time_s > end_s:
            near = step[near].before
        end = step_at(profile, near, end_s)
        _change(profile, to, first, -nodes)
        _change(profile, end, last, nodes)
    else:
        end = step_at(profile, _last_until(profile, to, end_s), end_s)
        _change(profile, to, end, -nodes)
        _change(profile, first, last, nodes)
    step[to].uses += 1
    step[end].uses += 1
    let_go(profile, first)
    let_go(profile, last)
    reservation.first, reservation.last = to, end


@kernel
def compress(profile: Profile, reservations: NDArray[np.record], queue: Ints, start_s: NDArray[np.float64]) -> None:
    """Move guarantees forward into time that has become free.

    Parameters
    ----------
    profile : Profile
        The profile with all guarantees taken, modified in place.
    reservations : record array, shape (jobs,)
        Those of all jobs, modified in place.
    queue : int array, shape (queued,)
        Jobs in queue order; one without a reservation gets none.
    start_s : float array, shape (jobs,)
        Guaranteed starts, modified in place; none becomes later.

    Notes
    -----
    One sweep in queue order. Each job goes to the place where it would be if it were taken out alone and put back as
    early as possible; all others, before and after it in the queue, keep theirs meanwhile. While it is still in the
    profile that place is the first stretch before the one that leads up to its reservation, or the start of the latter.

    References
    ----------
    A. Mu'alem and D. Feitelson, IEEE TPDS 12(6), 2001, section on conservative backfilling.
    """
    step, state = profile.step, profile.state[0]
    tidy_stretches(profile)
    for job in queue:
        reservation = reservations[job]
        if reservation.last < 0:
            continue
        nodes, to = reservation.nodes, reservation.first
        # MUST HOLD: never later than its guarantee. From here on it fits, its own place being free for it.
        while to != state.head and step[step[to].before].free >= nodes:
            to = step[to].before
        if to != state.head:
            earlier = first_stretch(profile, nodes, reservation.length_s, to)
            to = earlier if earlier >= 0 else to
        if to != reservation.first:
            _move(profile, reservation, to)
            start_s[job] = step[to].time_s
            tidy_stretches(profile)
