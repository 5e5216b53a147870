"""Kinds of nodes in an availability profile: where nodes are kept for somebody, not all free ones are for everybody.

Nodes that lie in the same windows are of one kind, and what is planned on them can be exchanged: at a moment at which
two of them are empty, whatever is planned on the one from then on may as well be planned on the other. So nothing is
tied to a node before it starts, and a plan only counts the *empty* nodes of every kind over time. Only windows still to
end matter: kinds that differ in none of these are *one* from then on, and counted together. A job can have so many of a
kind as are never missing while it runs, if the kind is open to it for all that time.

A *claimant* is an account that something is kept for; the first one stands for all accounts that nothing is kept for.
A step of the profile has a column for every claimant, with what is empty and open to it, all kinds together; then three
for every kind: what is empty, the claimant that it is kept for, and the first kind that it is one with, under which it
is counted. The claimants' columns are indexed: who finds too few nodes in its own finds them in no mixture of kinds.
Where no windows are open or ahead there is a single column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.profile import Ints, Profile, step_at
from simulator.scheduling.reservations import change_free, last_until
from simulator.scheduling.stretches import first_stretch, next_stretch, note_stretches

Floats = NDArray[np.float64]

OPEN = -2
"""Claimant of a kind that is kept from nobody."""

_PLENTY = 2**40
_WINDOW = np.dtype([("begin_s", np.float64), ("end_s", np.float64), ("kind", np.int64), ("claimant", np.int64)])


def kept_kinds(windows: list[tuple[float, float, int, int]]) -> NDArray[np.record]:
    """Return (begin, end, kind, claimant or ``NOBODY``) of windows as a record array by begin.

    Those of one kind must not overlap.
    """
    return np.array(sorted(windows), _WINDOW).view(np.recarray)


def first_alike(window: NDArray[np.record], kinds: int) -> tuple[Floats, Ints]:
    """Return when windows end, and the first kind that each is one with from then on, shape (ends, kinds)."""
    ends_s, end_of = np.unique(window["end_s"], return_inverse=True)
    ones = np.zeros((len(ends_s), kinds), np.int64)
    for row in range(len(ends_s) - 2, -1, -1):
        # As after the next end, but for the windows that end then.
        differs = np.full((kinds, 3), -1.0)
        differs[:, 0] = ones[row + 1]
        ending = window[end_of == row + 1]
        differs[ending["kind"], 1:] = np.column_stack((ending["begin_s"], ending["claimant"] + 1))
        _, first, group = np.unique(differs, axis=0, return_index=True, return_inverse=True)
        ones[row] = first[group.reshape(-1)]
    return ends_s, ones


# --- windows ----------------------------------------------------------------------------------------------------------


@kernel
def open_from_s(window: NDArray[np.record], kind: int, claimant: int, start_s: float, length_s: float) -> float:
    """Return the earliest time, not before ``start_s``, from which a kind is open to a claimant for so long."""
    time_s = start_s
    for row in range(window.shape[0]):
        if window[row].begin_s >= time_s + length_s:
            break
        if window[row].kind == kind and window[row].claimant != claimant and window[row].end_s > time_s:
            time_s = window[row].end_s  # windows of a kind follow one another, so none before this one is met again
    return time_s


@kernel
def open_since_s(window: NDArray[np.record], kind: int, claimant: int, time_s: float) -> float:
    """Return since when a kind has been open to a claimant at a time, minus infinity for ever."""
    since_s = -np.inf
    for row in range(window.shape[0]):
        if window[row].begin_s >= time_s:
            break
        if window[row].kind == kind and window[row].claimant != claimant:
            since_s = max(since_s, min(window[row].end_s, time_s))
    return since_s


# --- columns ----------------------------------------------------------------------------------------------------------


@kernel
def kinds_in(profile: Profile) -> int:
    """Return how many kinds the profile tells apart, 0 where there is a single column."""
    return int(profile.free.shape[1] - profile.longest_s.shape[0]) // 3


@kernel
def alike(profile: Profile, at: int, kind: int) -> int:
    """Return the first kind that a kind is one with from a step on."""
    return int(profile.free[at, profile.longest_s.shape[0] + 2 * kinds_in(profile) + kind])


@kernel
def empty_of(profile: Profile, at: int, kind: int) -> int:
    """Return how many nodes of a kind are empty from a step on."""
    if profile.free.shape[1] == 1:
        return int(profile.free[at, 0])
    return int(profile.free[at, profile.longest_s.shape[0] + alike(profile, at, kind)])


@kernel
def room(profile: Profile, at: int, kind: int, claimant: int) -> int:
    """Return how many nodes of a kind are empty from a step on and open to a claimant."""
    free, claimants = profile.free, profile.longest_s.shape[0]
    if free.shape[1] == 1:
        return int(free[at, 0])
    kind = alike(profile, at, kind)
    owner = free[at, claimants + kinds_in(profile) + kind]
    return int(free[at, claimants + kind]) if owner in (OPEN, claimant) else 0


@kernel
def are_one(profile: Profile, at: int) -> bool:
    """Return whether all kinds are one from a step on."""
    others = 0
    for kind in range(kinds_in(profile)):
        others += alike(profile, at, kind) != 0
    return others == 0


@kernel
def keep_kinds(profile: Profile, window: NDArray[np.record], ends_s: Floats, ones: Ints) -> None:
    """Enter the windows in a profile that has just been cleared; the last two are as ``first_alike`` says."""
    step, free, head, kinds = profile.step, profile.free, profile.state[0].head, kinds_in(profile)
    first_owner = profile.longest_s.shape[0] + kinds
    for kind in range(kinds):
        free[head, first_owner + kind], free[head, first_owner + kinds + kind] = OPEN, kind
    near, now_s = head, step[head].time_s
    for row in range(window.shape[0]):
        if window[row].end_s <= now_s:
            continue
        if window[row].begin_s > now_s:
            near = step_at(profile, last_until(profile, near, window[row].begin_s), window[row].begin_s)
            step[near].uses += 1
        end = step_at(profile, last_until(profile, near, window[row].end_s), window[row].end_s)
        step[end].uses += 1
        at = near
        while at != end:
            free[at, first_owner + window[row].kind] = window[row].claimant
            at = step[at].after
    near = head
    for row in range(ends_s.shape[0]):
        next_s = ends_s[row + 1] if row + 1 < ends_s.shape[0] else np.inf
        near = last_until(profile, near, max(ends_s[row], now_s))
        at = near
        while at >= 0 and step[at].time_s < next_s:
            for kind in range(kinds):
                free[at, first_owner + kinds + kind] = ones[row, kind]
            at = step[at].after


@kernel
def change_kind(profile: Profile, first: int, last: int, kind: int, nodes: int) -> None:
    """Give nodes of a kind back between two steps, or take them when ``nodes`` is negative; -1 is the end of time."""
    step, free, claimants = profile.step, profile.free, profile.longest_s.shape[0]
    if free.shape[1] == 1:
        change_free(profile, first, last, nodes)
        return
    if first == last:
        return
    kinds = kinds_in(profile)
    for claimant in range(claimants):
        low, high = _PLENTY, -_PLENTY
        at = first
        while at != last:
            owner = free[at, claimants + kinds + free[at, claimants + 2 * kinds + kind]]
            if owner in (OPEN, claimant):
                low, high = min(low, free[at, claimant]), max(high, free[at, claimant])
                free[at, claimant] += nodes
            at = step[at].after
        if low <= high:
            note_stretches(profile, claimant, first, last, min(low, low + nodes), max(high, high + nodes))
    at = first
    while at != last:
        free[at, claimants + free[at, claimants + 2 * kinds + kind]] += nodes
        at = step[at].after


@kernel
def fewest_empty(profile: Profile) -> int:
    """Return how many nodes of any kind are empty when they are fewest; negative where too much is planned."""
    at, fewest = profile.state[0].head, _PLENTY
    while at >= 0:
        for kind in range(max(1, kinds_in(profile))):
            fewest = min(fewest, empty_of(profile, at, kind))
        at = profile.step[at].after
    return int(fewest)


# --- whole nodes ------------------------------------------------------------------------------------------------------


@kernel
def _go_back(profile: Profile, claimant: int, nodes: int, bound: int, at: int, least: Ints) -> int:
    """Return a step, after another one, from which on there might be enough up to ``at``: none before it has.

    Kinds that are one at the last step count as one at all of them.
    """
    kinds = least.shape[0]
    least[:] = _PLENTY
    some, start, back = np.empty(kinds, np.int64), at, at
    while back != bound:
        some[:] = 0
        for kind in range(kinds):
            if alike(profile, back, kind) == kind:
                some[alike(profile, at, kind)] += room(profile, back, kind, claimant)
        total = 0
        for kind in range(kinds):
            least[kind] = min(least[kind], some[kind])
            total += least[kind]
        if total < nodes:
            break
        start, back = back, profile.step[back].before
    return start


@kernel
def _try_stretch(
    profile: Profile, claimant: int, nodes: int, length_s: float, before_s: float, first: int, least: Ints
) -> tuple[int, int]:
    """Return the first step, in a stretch from a step on, from which each kind has its part of the nodes all the time.

    -1 for none, and then the step where the search must go on, -1 for the end.
    """
    step, free, kinds = profile.step, profile.free, least.shape[0]
    start, at = first, first
    while at >= 0 and free[at, claimant] >= nodes:
        total = 0
        for kind in range(kinds):
            one = alike(profile, at, kind)
            if at == start:
                least[kind] = room(profile, at, kind, claimant) if one == kind else 0
            elif one != kind:  # and smaller, so it has been here before
                least[one] += least[kind]
                least[kind] = 0
        for kind in range(kinds):
            if least[kind] > 0:
                least[kind] = min(least[kind], room(profile, at, kind, claimant))
            total += least[kind]
        if total < nodes:
            start = _go_back(profile, claimant, nodes, start, at, least)
            at = start
            continue
        if step[start].time_s >= before_s:
            return -1, -1
        at = step[at].after
        if at < 0 or step[at].time_s >= step[start].time_s + length_s:
            return start, -1
    return -1, at


@kernel
def first_place(profile: Profile, claimant: int, nodes: int, length_s: float, before_s: float, least: Ints) -> int:
    """Return the step at which a job for whole nodes can start first, before a time; -1 for none.

    Parameters
    ----------
    profile : Profile
        The profile; bounds of its index may become tighter.
    claimant, nodes, length_s
        Who wants how many nodes for how long.
    before_s : float
        It must start before this time, infinite for none.
    least : int array, shape (kinds,)
        Scratch.
    """
    found = first_stretch(profile, claimant, nodes, length_s, before_s, -1)
    while found >= 0 and not are_one(profile, found):
        fit, begin = _try_stretch(profile, claimant, nodes, length_s, before_s, found, least)
        if fit >= 0:
            return fit
        found = next_stretch(profile, claimant, nodes, length_s, before_s, begin) if begin >= 0 else -1
    return found


@kernel
def most_periods(window: NDArray[np.record], start_s: float, end_s: float) -> int:
    """Return into how many periods, at most, the ends of windows divide the time between two others."""
    count = 1
    for row in range(window.shape[0]):
        if window[row].begin_s >= end_s:
            break
        count += start_s < window[row].end_s < end_s
    return count


@kernel
def room_until(profile: Profile, claimant: int, at: int, end_s: float, own: Ints, ones: Ints, least: Ints) -> int:
    """Find out how many nodes of every kind are empty and open to a claimant all the time from a step until then.

    Parameters
    ----------
    profile, claimant, at, end_s
        Whose room, and when.
    own : int array, shape (kinds,)
        Nodes that it has there already, which count as empty.
    ones, least : int arrays, shape (periods, kinds)
        Filled: the first kind that each is one with, and the nodes of all that are one with it. From each period to the
        next, kinds become one; ``most_periods`` says for how many there must be room.

    Returns
    -------
    int
        Number of periods.
    """
    kinds, period = own.shape[0], -1
    while True:
        is_new = period < 0
        for kind in range(kinds):
            is_new |= alike(profile, at, kind) != ones[period, kind]
        if is_new:
            period += 1
            for kind in range(kinds):
                ones[period, kind], least[period, kind] = alike(profile, at, kind), _PLENTY
        for kind in range(kinds):
            if ones[period, kind] != kind:
                continue
            here = room(profile, at, kind, claimant)
            for other in range(kinds):
                if ones[period, other] == kind:
                    here += own[other]
            least[period, kind] = min(least[period, kind], here)
        at = profile.step[at].after
        if at < 0 or profile.step[at].time_s >= end_s:
            return period + 1


@kernel
def _is_wanted_sooner(window: NDArray[np.record], kind: int, than: int, time_s: float) -> bool:
    """Return whether the windows of a kind begin sooner than those of another: the first in which they differ."""
    row, other = 0, 0
    while True:
        while row < window.shape[0] and (window[row].kind != kind or window[row].end_s <= time_s):
            row += 1
        while other < window.shape[0] and (window[other].kind != than or window[other].end_s <= time_s):
            other += 1
        if row == window.shape[0]:
            return False
        if other == window.shape[0]:
            return True
        begin_s, other_s = max(window[row].begin_s, time_s), max(window[other].begin_s, time_s)
        if begin_s != other_s:
            return bool(begin_s < other_s)
        row += 1
        other += 1


@kernel
def share_out(
    profile: Profile, window: NDArray[np.record], claimant: int, first: int, end_s: float, nodes: int, taken: Ints
) -> None:
    """Fill in how many nodes of every kind a job takes from a step until then: kinds that are wanted soonest first."""
    taken[:] = 0
    kinds = taken.shape[0]
    if kinds == 0:
        return
    if are_one(profile, first):
        taken[0] = nodes
        return
    time_s = profile.step[first].time_s
    rows = most_periods(window, time_s, end_s)
    ones, least = np.empty((rows, kinds), np.int64), np.empty((rows, kinds), np.int64)
    periods = room_until(profile, claimant, first, end_s, taken, ones, least)
    while nodes > 0:
        best, most = -1, 0
        for kind in range(kinds):
            some = nodes if ones[0, kind] == kind else 0
            for period in range(periods):
                some = min(some, least[period, ones[period, kind]])
            if some > 0 and (best < 0 or _is_wanted_sooner(window, kind, best, time_s)):
                best, most = kind, some
        taken[best] += most
        nodes -= most
        for period in range(periods):
            least[period, ones[period, best]] -= most


@kernel
def change_taken(profile: Profile, first: int, last: int, nodes: int, taken: Ints) -> None:
    """Give the nodes of a job back between two steps, or take them when ``nodes`` is negative."""
    if taken.shape[0] == 0:
        change_kind(profile, first, last, 0, nodes)
        return
    for kind in range(taken.shape[0]):
        if taken[kind] > 0:
            change_kind(profile, first, last, kind, taken[kind] if nodes > 0 else -taken[kind])
