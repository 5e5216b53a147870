"""Reservations in an availability profile: made, given up, and moved forward into time that has become free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.profile import Ints, Profile, let_go, step_at
from simulator.scheduling.stretches import earliest_stretch, first_stretch, note_stretches, tidy_stretches

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
    head.time_s, head.after, head.before = now_s, -1, -1
    head.uses, head.block = 1, 0  # the head stays without reservations
    profile.free[0, 0] = profile.state[0].level = level
    profile.block[0].first, profile.block[0].inserted = 0, 0
    profile.longest_s[:, :, 0] = np.inf
    state.head, state.steps, state.spare, state.untouched = 0, 1, -1, 1
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
        profile.longest_s[:, :, block] = np.inf


@kernel
def lift(profile: Profile, nodes: int) -> None:
    """Add nodes to the machine, or take them out of it when ``nodes`` is negative."""
    at = profile.state[0].head
    while at >= 0:
        profile.free[at, 0] += nodes
        at = profile.step[at].after
    profile.state[0].level += nodes
    profile.longest_s[:, :, : profile.state[0].blocks] = np.inf


@kernel
def fewest_free(profile: Profile) -> int:
    """Return how many nodes are free when they are fewest; negative where more is reserved than there is."""
    at = profile.state[0].head
    fewest = profile.free[at, 0]
    while at >= 0:
        fewest = min(fewest, profile.free[at, 0])
        at = profile.step[at].after
    return int(fewest)


@kernel
def change_free(profile: Profile, first: int, last: int, nodes: int) -> None:
    """Give nodes back between two steps, or take them when ``nodes`` is negative."""
    if first == last:
        return
    step, free = profile.step, profile.free
    low = high = free[first, 0]
    at = first
    while at != last:
        low, high = min(low, free[at, 0]), max(high, free[at, 0])
        free[at, 0] += nodes
        at = step[at].after
    note_stretches(profile, 0, first, last, min(low, low + nodes), max(high, high + nodes))


@kernel
def last_until(profile: Profile, at: int, time_s: float) -> int:
    """Return the last step that is not after a time, which ``at`` is not."""
    step = profile.step
    while step[at].after >= 0 and step[step[at].after].time_s <= time_s:
        at = step[at].after
    return at


@kernel
def reserve(profile: Profile, reservation: np.record, first: int, end_s: float) -> None:
    """Reserve from a step until a time, which is not before it; from the present if ``first`` is -1."""
    start = first if first >= 0 else profile.state[0].head
    last = step_at(profile, last_until(profile, start, end_s), end_s)
    change_free(profile, start, last, -reservation.nodes)
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
def forget(profile: Profile, reservation: np.record) -> None:
    """Forget a reservation whose nodes have been given back."""
    if reservation.first >= 0:
        let_go(profile, reservation.first)
    let_go(profile, reservation.last)
    reservation.first = reservation.last = -1


@kernel
def give_up(profile: Profile, reservation: np.record) -> None:
    """End a reservation before its time, or at it."""
    start = reservation.first if reservation.first >= 0 else profile.state[0].head
    change_free(profile, start, reservation.last, reservation.nodes)
    forget(profile, reservation)


@kernel
def place(profile: Profile, reservation: np.record) -> float:
    """Reserve at the earliest place; return its start, infinite if too few are free even when all have ended."""
    first = first_stretch(profile, 0, reservation.nodes, reservation.length_s, np.inf, -1)
    if first < 0:
        return np.inf
    start_s = profile.step[first].time_s
    reserve(profile, reservation, first, start_s + reservation.length_s)
    tidy_stretches(profile)
    return float(start_s)


@kernel
def end_earlier(profile: Profile, reservation: np.record, to: int) -> tuple[int, int, int]:
    """Return what must change for a reservation to begin at an earlier step.

    Returns
    -------
    end : int
        The step where it then ends.
    until : int
        Its nodes are still to be taken from the earlier step until this one.
    freed : int
        They are to be given back from this one up to its present end. Where the two places overlap nothing changes.
    """
    step = profile.step
    first, last = reservation.first, reservation.last
    end_s = step[to].time_s + reservation.length_s
    if end_s > step[first].time_s:
        near = last
        while step[near].time_s > end_s:
            near = step[near].before
        end = step_at(profile, near, end_s)
        return end, first, end
    end = step_at(profile, last_until(profile, to, end_s), end_s)
    return end, end, first


@kernel
def settle_earlier(profile: Profile, reservation: np.record, to: int, end: int) -> None:
    """Let a reservation begin and end at two other steps, between which its nodes have been taken."""
    profile.step[to].uses += 1
    profile.step[end].uses += 1
    let_go(profile, reservation.first)
    let_go(profile, reservation.last)
    reservation.first, reservation.last = to, end
    tidy_stretches(profile)


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
    tidy_stretches(profile)
    for job in queue:
        reservation = reservations[job]
        if reservation.last < 0:
            continue
        to = earliest_stretch(profile, reservation.nodes, reservation.length_s, reservation.first)
        if to != reservation.first:
            end, until, freed = end_earlier(profile, reservation, to)
            change_free(profile, to, until, -reservation.nodes)
            change_free(profile, freed, reservation.last, reservation.nodes)
            start_s[job] = profile.step[to].time_s
            settle_earlier(profile, reservation, to, end)
