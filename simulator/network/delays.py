"""How much longer a communication takes on shared links, on average: mean value analysis, compiled.

Jobs that compute and then communicate over a link that the active ones share evenly are a closed queueing network: a
processor-sharing station and think times. There the mean time is ``alone (1 + Q)``, where ``Q`` is the mean number of
others that a job finds when it arrives, which is what it would see in a network without itself (Reiser and
Lavenberg, J. ACM 27(2), 1980), whatever the distributions of sizes and think times. For several classes the network
without oneself is approximated from the whole one (Schweitzer 1979; Bard 1979).

What this adds, for links that are no plain processor-sharing stations, are approximations of our own, which
``tests/reference/test_sharing_twin.py`` compares with a simulation: how two jobs of other rates hold each other
(``pair_excess``), what a job finds where few active ones do not fill the link (``overflow``), and that a communication
on several links is as slow as on the slowest of them at each instant (``_slowest``).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simulator.compiled import kernel
from simulator.network.contention import Bools, Floats, Ints

CELLS = 32  # of the distribution of what others ask of a link, up to what fills it
_POINTS = 8  # of the integral over the slowest of several links
_MOST_ROUNDS = 300
_SETTLED = 1e-7  # relative change of times at which they are settled
_DAMPING = 0.5  # share of a change that is made in a round once rounds swing or creep
_MOST_RESPONSE = 0.9  # bound of the feedback of a link that is nearly full, whose series diverges


class Crowd(NamedTuple):
    """Communications and the links on which they hold each other back.

    A user is all of a job's communications on one link; entries are one communication on one link each. Both stand
    in the order of links, then jobs.

    Attributes
    ----------
    times, alone_s, fixed_s : arrays, shape (communications,)
        How often in a period, seconds of its bytes alone, and latency.
    job : int array, shape (communications,)
        Its job.
    other_s, overlaps, owner : arrays, shape (jobs,)
        As in Traffic; jobs of one owner never meet.
    entry, load, weight : arrays, shape (entries,)
        Communication, share of the link it takes alone, and that share for 1 byte/s of a member flow.
    entry_of_user : int array, shape (users + 1,)
        Row pointers from users to entries.
    user_job : int array, shape (users,)
        Its job.
    user_of_link : int array, shape (links + 1,)
        Row pointers from links to users.
    entries_of : int array, shape (entries,)
        Entries in the order of communications.
    of_communication : int array, shape (communications + 1,)
        Row pointers into it.
    """

    times: Floats
    alone_s: Floats
    fixed_s: Floats
    job: Ints
    other_s: Floats
    overlaps: Ints
    owner: Ints
    entry: Ints
    load: Floats
    weight: Floats
    entry_of_user: Ints
    user_job: Ints
    user_of_link: Ints
    entries_of: Ints
    of_communication: Ints


@kernel
def pair_excess(
    own_load: float, load: float, own_weight: float, weight: float, own_s: float, s: float, duty: float
) -> float:
    """Return by how much a communication grows when it finds one other on its link, as a share of its time alone.

    Parameters
    ----------
    own_load, load : float
        Share of the link that it and the other take alone.
    own_weight, weight : float
        That share for 1 byte/s of a member flow: rates are fair between flows.
    own_s, s : float
        Seconds of each alone.
    duty : float
        Share of time in which the other communicates.

    Notes
    -----
    While both go on they run at ``f`` and ``g`` times their speed alone, so one meeting lasts at most
    ``min(own_s / f, s / g)``, and the phase at which they meet is uniform. One that is short beside the other is slow
    all the time: ``(1 - f) / f``. A long one meets the other again and again, for ``b = d / (d + (1 - d) g)`` of its
    time if the other would take the share d alone, so it grows by ``(1 - f) b / (1 - (1 - f) b)``, which is
    ``(1 - f) d / (g + d (f - g))``. The mean over phases mixes both. For equal shares all are 1 for each of d, as in
    mean value analysis.
    """
    if own_load + load <= 1.0 + 1e-12:
        return 0.0
    fair = 1.0 / (own_weight + weight)
    mine, others = own_weight * fair, weight * fair
    if own_load <= mine:
        return 0.0
    if load <= others:
        mine, others = 1.0 - load, load
    f, g = mine / own_load, others / load
    own_met_s, met_s = own_s / f, s / g
    mixed = 0.5 * own_met_s / met_s if own_met_s <= met_s else 1.0 - 0.5 * met_s / own_met_s
    return (1.0 - f) * ((1.0 - mixed) / f + mixed / (g + duty * (f - g)))


@kernel
def overflow(room: float, duty: Floats, claim: Floats, n: int, cells: Floats) -> tuple[float, float]:
    """Return E[max(D - room, 0)] and P(D > room) for the sum D of what others claim.

    Each of the first ``n`` claims ``claim`` with probability ``duty``, independently. ``cells``, shape (CELLS + 1,), is
    working space for the distribution of the sum up to ``room``; a claim between two cells is split over both, which
    keeps the mean.
    """
    mean, most, least, nobody = 0.0, 0.0, np.inf, 1.0
    for i in range(n):
        mean += duty[i] * claim[i]
        most += claim[i]
        least = min(least, claim[i])
        nobody *= 1.0 - duty[i]
    if most <= room * (1.0 + 1e-12):
        return 0.0, 0.0
    if least >= room * (1.0 - 1e-12):
        return max(mean - room * (1.0 - nobody), 0.0), 1.0 - nobody
    cells[:] = 0.0
    cells[0] = 1.0
    top = 0
    for i in range(n):
        place = min(claim[i] / room * CELLS, float(CELLS))
        whole = int(place)
        upper = duty[i] * (place - whole)
        lower = duty[i] - upper
        top = min(top + whole + 1, CELLS)
        for at in range(top, -1, -1):
            value = cells[at] * (1.0 - duty[i])
            if at >= whole:
                value += lower * cells[at - whole]
            if at > whole:
                value += upper * cells[at - whole - 1]
            cells[at] = value
    within, free = 0.0, 0.0
    for at in range(top + 1):
        within += cells[at]
        free += cells[at] * (1.0 - at / CELLS)
    return max(mean - room + room * free, 0.0), max(1.0 - within, 0.0)


@kernel
def _slowest(entries: Ints, excess: Floats, chance: Floats, spread: Floats) -> float:
    """Return the mean excess of a communication over its links: that of the slowest at each instant.

    The excess on a link is above t with probability ``chance exp(-t chance / excess)``. Links with the same users are
    slow together, links with others independently: each counts with ``spread``, the share of its excess that its users
    do not cause on other links of the communication as well.
    """
    greatest, longest, links = 0.0, 0.0, 0
    for e in entries:
        if excess[e] > 0.0:
            links += 1
            greatest = max(greatest, excess[e])
            longest = max(longest, excess[e] / chance[e])
    if links < 2:
        return greatest
    total = 0.0
    for i in range(_POINTS):
        left = 1.0 - (i + 0.5) / _POINTS
        t = -longest * math.log(left)
        none = 0.0
        for e in entries:
            if excess[e] > 0.0:
                none += spread[e] * math.log(max(1.0 - chance[e] * math.exp(-t * chance[e] / excess[e]), 1e-12))
        total += (1.0 - math.exp(none)) / left
    return max(greatest, total * longest / _POINTS)


@kernel
def period_s(crowd: Crowd, busy_s: float, job: int) -> float:
    """Return the period of a job that communicates so long in it."""
    other_s: float = crowd.other_s[job]
    return max(busy_s, other_s) if crowd.overlaps[job] else busy_s + other_s


@kernel
def _settle_link(
    crowd: Crowd,
    link: int,
    duration_s: Floats,
    busy_s: Floats,
    user_alone: Floats,
    excess: Floats,
    chance: Floats,
    caused: Floats,
    first: int,
) -> None:
    """Find the excess on one link of each communication, its chance, and what each user of the link causes of it.

    ``caused`` holds, from ``first`` on, a row for each entry of the link with one column for each user: read from the
    round before, and written.
    """
    begin, end = crowd.user_of_link[link], crowd.user_of_link[link + 1]
    n = end - begin
    low = crowd.entry_of_user[begin]
    held = np.zeros(n)  # seconds of each user in a period
    between = np.zeros((n, n))  # seconds of the first that the second causes
    gain = np.zeros(n)  # how much longer a user takes, relatively, when the link makes all take relatively longer
    pace = np.ones(n)  # rate of a user that other links hold back, relatively
    for u in range(n):
        slow = 0.0
        for e in range(crowd.entry_of_user[begin + u], crowd.entry_of_user[begin + u + 1]):
            c = crowd.entry[e]
            held[u] += crowd.times[c] * duration_s[c]
            slow += crowd.times[c] * crowd.alone_s[c] * (1.0 + excess[e])
            for v in range(n):
                between[u, v] += crowd.times[c] * crowd.alone_s[c] * caused[first + (e - low) * n + v]
        pace[u] = min(1.0, slow / held[u])
    for u in range(n):
        job = crowd.user_job[begin + u]
        keeps = crowd.overlaps[job] and busy_s[job] < crowd.other_s[job]
        duty = held[u] / period_s(crowd, busy_s[job], job)
        gain[u] = (1.0 if keeps else max(1.0 - duty, 0.0)) * user_alone[begin + u, 0] / held[u]
    response = np.zeros(n)
    for u in range(n):
        for v in range(n):
            response[u] += gain[v] * between[u, v] / user_alone[begin + u, 0]
    duties, claims, whom, cells = np.zeros(n), np.zeros(n), np.zeros(n, np.int64), np.zeros(CELLS + 1)
    for u in range(n):
        job = crowd.user_job[begin + u]
        # What the others do in the network without this job.
        met = 0
        for v in range(n):
            other = crowd.user_job[begin + v]
            if crowd.owner[other] == crowd.owner[job]:
                continue
            again = response[v] - gain[u] * between[v, u] / user_alone[begin + v, 0]
            relief_s = between[v, u] / (1.0 - min(max(again, 0.0), _MOST_RESPONSE))
            relief_s = min(relief_s, max(held[v] - user_alone[begin + v, 0], 0.0))
            rest_s = period_s(crowd, busy_s[other] - relief_s, other)
            duties[met] = min((held[v] - relief_s) / rest_s, 1.0)
            whom[met] = v
            met += 1
        for e in range(crowd.entry_of_user[begin + u], crowd.entry_of_user[begin + u + 1]):
            c = crowd.entry[e]
            room = max(1.0 - crowd.load[e], 0.0)
            for i in range(met):
                v = whom[i]
                load, weight = user_alone[begin + v, 1] * pace[v], user_alone[begin + v, 2]
                more = pair_excess(
                    crowd.load[e],
                    load,
                    crowd.weight[e],
                    weight,
                    crowd.alone_s[c],
                    user_alone[begin + v, 3] / pace[v],
                    duties[i],
                )
                # Where two leave room, each claims what it takes, but not at more than the other's rate.
                fair = weight * crowd.load[e] / crowd.weight[e]
                claims[i] = room + more if more > 0.0 else min(load, fair)
            excess[e], chance[e] = overflow(room, duties, claims, met, cells)
            row = first + (e - low) * n
            caused[row : row + n] = 0.0
            claimed = 0.0
            for i in range(met):
                claimed += duties[i] * claims[i]
            if claimed > 0.0:
                for i in range(met):
                    caused[row + whom[i]] = excess[e] * duties[i] * claims[i] / claimed


@kernel
def _user_means(crowd: Crowd) -> Floats:
    """Return for each user its seconds alone in a period, and means over them: load, weight, seconds of one time."""
    users = len(crowd.user_job)
    means = np.zeros((users, 4))
    for u in range(users):
        for e in range(crowd.entry_of_user[u], crowd.entry_of_user[u + 1]):
            c = crowd.entry[e]
            alone_s = crowd.times[c] * crowd.alone_s[c]
            means[u, 0] += alone_s
            means[u, 1] += alone_s * crowd.load[e]
            means[u, 2] += alone_s * crowd.weight[e]
            means[u, 3] += alone_s * crowd.alone_s[c]
        means[u, 1:] /= means[u, 0]
    return means


@kernel
def _busy(crowd: Crowd, duration_s: Floats) -> Floats:
    """Return the seconds in a period that each job communicates."""
    busy_s = np.zeros(len(crowd.other_s))
    for c in range(len(duration_s)):
        busy_s[crowd.job[c]] += crowd.times[c] * (duration_s[c] + crowd.fixed_s[c])
    return busy_s


@kernel
def mean_times(crowd: Crowd) -> Floats:
    """Return the mean seconds of the bytes of each communication while all jobs run, shape (communications,)."""
    links = len(crowd.user_of_link) - 1
    first = np.zeros(links + 1, np.int64)
    for link in range(links):
        begin, end = crowd.user_of_link[link], crowd.user_of_link[link + 1]
        entries = crowd.entry_of_user[end] - crowd.entry_of_user[begin]
        first[link + 1] = first[link] + entries * (end - begin)
    caused = np.zeros(first[links])
    link_of = np.zeros(len(crowd.entry), np.int64)
    for link in range(links):
        begin, end = crowd.user_of_link[link], crowd.user_of_link[link + 1]
        link_of[crowd.entry_of_user[begin] : crowd.entry_of_user[end]] = link
    excess, chance, spread = np.zeros(len(crowd.entry)), np.zeros(len(crowd.entry)), np.ones(len(crowd.entry))
    means = _user_means(crowd)
    duration_s = crowd.alone_s.copy()
    by_job = np.zeros(len(crowd.other_s))
    made, last = 1.0, np.inf
    for _ in range(_MOST_ROUNDS):
        busy_s = _busy(crowd, duration_s)
        for link in range(links):
            _settle_link(crowd, link, duration_s, busy_s, means, excess, chance, caused, first[link])
        change = 0.0
        for c in range(len(duration_s)):
            own = crowd.entries_of[crowd.of_communication[c] : crowd.of_communication[c + 1]]
            if len(own) == 0:
                continue
            if len(own) > 1:
                _spread(crowd, own, link_of, first, caused, excess, by_job, spread)
            fresh = crowd.alone_s[c] * (1.0 + _slowest(own, excess, chance, spread))
            change = max(change, abs(fresh - duration_s[c]) / duration_s[c])
            duration_s[c] += made * (fresh - duration_s[c])
        if change < _SETTLED:
            break
        if change > 0.5 * last:
            made = _DAMPING
        last = change
    return _within_capacity(crowd, duration_s)


@kernel
def _spread(
    crowd: Crowd,
    own: Ints,
    link_of: Ints,
    first: Ints,
    caused: Floats,
    excess: Floats,
    by_job: Floats,
    spread: Floats,
) -> None:
    """Find for each link of a communication the share of its excess that its users do not cause elsewhere as well."""
    for turn in range(3):  # add up what each job causes, weigh by it, and leave the sums at 0 for the next
        for e in own:
            if excess[e] <= 0.0:
                continue
            link = link_of[e]
            begin, end = crowd.user_of_link[link], crowd.user_of_link[link + 1]
            row = first[link] + (e - crowd.entry_of_user[begin]) * (end - begin)
            if turn == 1:
                spread[e] = 0.0
            for v in range(end - begin):
                part, job = caused[row + v], crowd.user_job[begin + v]
                if part <= 0.0:
                    continue
                if turn == 0:
                    by_job[job] += part
                elif turn == 1:
                    spread[e] += part / excess[e] * part / by_job[job]
                else:
                    by_job[job] = 0.0


@kernel
def _within_capacity(crowd: Crowd, duration_s: Floats) -> Floats:
    """Return the times stretched, where they are too short, until no link carries more than it can."""
    links = len(crowd.user_of_link) - 1
    for _ in range(_MOST_ROUNDS):
        busy_s = _busy(crowd, duration_s)
        stretch = np.ones(len(duration_s))
        worst = 1.0
        for link in range(links):
            begin = crowd.entry_of_user[crowd.user_of_link[link]]
            end = crowd.entry_of_user[crowd.user_of_link[link + 1]]
            carried = 0.0
            for e in range(begin, end):
                c = crowd.entry[e]
                rest_s = period_s(crowd, busy_s[crowd.job[c]], crowd.job[c])
                carried += crowd.load[e] * crowd.times[c] * crowd.alone_s[c] / rest_s
            worst = max(worst, carried)
            for e in range(begin, end):
                stretch[crowd.entry[e]] = max(stretch[crowd.entry[e]], carried)
        duration_s = duration_s * stretch
        if worst <= 1.0 + 1e-9:
            break
    return duration_s


@kernel
def tight_links(capacity: Floats, links: Ints, load: Floats, job: Ints) -> Bools:
    """Return True for the links that cannot carry the largest load of every job at once, shape (links,).

    Parameters
    ----------
    capacity : array, shape (links,)
        Bytes/s.
    links, load, job : arrays, shape (entries,)
        Bytes/s of one communication of a job on one link; the entries of a job follow one another.
    """
    total, most = np.zeros(len(capacity)), np.zeros(len(capacity))
    begin = 0
    for e in range(len(links)):
        if job[e] != job[begin]:
            most[links[begin:e]] = 0.0
            begin = e
        link = links[e]
        if load[e] > most[link]:
            total[link] += load[e] - most[link]
            most[link] = load[e]
    return total > capacity * (1.0 + 1e-9)


@kernel
def one_of_each(first: Ints, entry: Ints, load: Floats, weight: Floats) -> Ints:
    """Return the entries of one link of each kind, ascending: on links of a kind the same entries load it alike.

    Parameters
    ----------
    first : int array, shape (links,)
        First entry of each link; entries stand by link.
    entry, load, weight : arrays, shape (entries,)
        As in Crowd.
    """
    links = len(first)
    mark = np.zeros(links)  # equal for links of a kind, and nearly never otherwise
    for link in range(links):
        end = first[link + 1] if link + 1 < links else len(entry)
        for e in range(first[link], end):
            mark[link] += math.sin(1.0 + entry[e]) * load[e] + math.cos(1.0 + entry[e]) * weight[e] / weight[0]
    order = np.argsort(mark, kind="mergesort")
    chosen = np.zeros(links, np.bool_)
    last = -1
    for link in order:
        begin, end = first[link], first[link + 1] if link + 1 < links else len(entry)
        alike = last >= 0 and mark[link] == mark[last]
        if alike:
            other = first[last]
            alike = (first[last + 1] if last + 1 < links else len(entry)) - other == end - begin
            for i in range(end - begin):
                if not alike:
                    break
                same_load = load[begin + i] == load[other + i] and weight[begin + i] == weight[other + i]
                alike = same_load and entry[begin + i] == entry[other + i]
        if not alike:
            chosen[link] = True
            last = link
    keep = np.zeros(len(entry), np.bool_)
    for link in range(links):
        if chosen[link]:
            keep[first[link] : (first[link + 1] if link + 1 < links else len(entry))] = True
    return np.flatnonzero(keep)
