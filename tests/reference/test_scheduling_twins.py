"""The compiled schedulers against slow, obvious twins written from the definitions, on random workloads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import job_table, machine, profile, world

from simulator import engine
from simulator.policies.scheduling.conservative import Conservative
from simulator.policies.scheduling.counted_guarantees import CountedGuarantees
from simulator.policies.scheduling.easy import Easy
from simulator.policies.scheduling.fifo import Fifo
from simulator.scheduling import replay
from simulator.scheduling.backfill import easy_pass, fifo_pass
from simulator.scheduling.event_loops import replay_conservative
from simulator.scheduling.guarantees import guarantee_pass
from simulator.scheduling.placement import first_fit
from simulator.scheduling.profile import MOST_GRADES, Profile, new_profile
from simulator.scheduling.reservations import advance, clear, give_up, lift, no_reservations, place, reserve, start_job
from simulator.scheduling.stretches import first_stretch, index_stretches


@dataclass
class Job:
    submit: float
    run: float
    nodes: int
    estimate: float


# --- twins ---


def slow_fifo_pass(queue: list[tuple[int, float]], free: int) -> list[int]:
    started = []
    for position, (nodes, _) in enumerate(queue):
        if nodes > free:
            break
        started.append(position)
        free -= nodes
    return started


def slow_easy_pass(
    queue: list[tuple[int, float]], running: list[tuple[int, float]], free: int, now: float
) -> list[int]:
    """Queue of (nodes, estimate), running of (nodes, expected end) in any order."""
    started = slow_fifo_pass(queue, free)
    free -= sum(queue[position][0] for position in started)
    head = len(started)
    if head >= len(queue):
        return started
    ends = [(nodes, max(end, now)) for nodes, end in running]
    ends += [(queue[position][0], now + queue[position][1]) for position in started]

    def free_at(time: float) -> int:
        return free + sum(nodes for nodes, end in ends if end <= time)

    candidates = [time for time in sorted({end for _, end in ends}) if free_at(time) >= queue[head][0]]
    shadow = candidates[0] if candidates else math.inf
    extra = free_at(shadow) - queue[head][0] if candidates else 0
    for position in range(head + 1, len(queue)):
        nodes, estimate = queue[position]
        if nodes > free:
            continue
        if now + estimate <= shadow:
            pass
        elif nodes <= extra:
            extra -= nodes
        else:
            continue
        free -= nodes
        started.append(position)
    return started


def slow_replay(jobs: list[Job], processors: int, policy: str) -> list[float]:
    """FIFO and EASY: at one instant all completions, all arrivals, one pass."""
    start: dict[int, float] = {}
    done: set[int] = set()
    waiting = sorted(range(len(jobs)), key=lambda j: (jobs[j].submit, j))
    queue: list[int] = []
    while waiting or len(done) < len(jobs):
        running = [j for j in start if j not in done]
        now = min([start[j] + jobs[j].run for j in running] + [jobs[j].submit for j in waiting[:1]])
        done |= {j for j in running if start[j] + jobs[j].run <= now}
        while waiting and jobs[waiting[0]].submit <= now:
            queue.append(waiting.pop(0))
        running = [j for j in start if j not in done]
        free = processors - sum(jobs[j].nodes for j in running)
        seen = [(jobs[j].nodes, jobs[j].estimate) for j in queue]
        if policy == "fifo":
            positions = slow_fifo_pass(seen, free)
        else:
            ends = [(jobs[j].nodes, start[j] + jobs[j].estimate) for j in running]
            positions = slow_easy_pass(seen, ends, free, now)
        for job in [queue[position] for position in positions]:
            start[job] = now
            queue.remove(job)
    return [start[j] for j in range(len(jobs))]


def slow_free(taken: list[tuple[float, float, int]], processors: int, since: float) -> list[tuple[float, int]]:
    """Free nodes from each moment on at which they change, given reservations (from, until, nodes)."""
    changes = {since: processors}
    for begin, end, nodes in taken:
        if end > since:
            changes[max(begin, since)] = changes.get(max(begin, since), 0) - nodes
            changes[end] = changes.get(end, 0) + nodes
    moments = sorted(changes)
    return list(zip(moments, np.cumsum([changes[moment] for moment in moments]).tolist(), strict=True))


def slow_earliest(
    taken: list[tuple[float, float, int]], processors: int, now: float, nodes: int, length: float
) -> float:
    """Earliest start given reservations (from, until, nodes), infinite where there is none."""
    begin = math.inf
    for moment, free in slow_free(taken, processors, now):
        if begin < math.inf and moment >= begin + length:
            break
        begin = math.inf if free < nodes else min(begin, moment)
    return begin


def slow_conservative(jobs: list[Job], processors: int) -> tuple[list[float], list[float]]:
    """Starts and first guarantees under conservative backfilling."""
    start: dict[int, float] = {}
    done: set[int] = set()
    guarantee: dict[int, float] = {}  # of queued jobs, in queue order
    first: dict[int, float] = {}
    waiting = sorted(range(len(jobs)), key=lambda j: (jobs[j].submit, j))

    def taken(without: int | None = None) -> list[tuple[float, float, int]]:
        spans = [(start[j], start[j] + jobs[j].estimate, jobs[j].nodes) for j in start if j not in done]
        spans += [(g, g + jobs[j].estimate, jobs[j].nodes) for j, g in guarantee.items() if j != without]
        return spans

    while len(done) < len(jobs):
        running = [j for j in start if j not in done]
        moments = [start[j] + jobs[j].run for j in running] + list(guarantee.values())
        now = min(moments + [jobs[j].submit for j in waiting[:1]])
        ended = [j for j in running if start[j] + jobs[j].run <= now]
        done |= set(ended)
        if any(start[j] + jobs[j].estimate > now for j in ended):
            for j in list(guarantee):
                place = slow_earliest(taken(without=j), processors, now, jobs[j].nodes, jobs[j].estimate)
                assert place <= guarantee[j]
                guarantee[j] = place
        while waiting and jobs[waiting[0]].submit <= now:
            j = waiting.pop(0)
            guarantee[j] = slow_earliest(taken(), processors, now, jobs[j].nodes, jobs[j].estimate)
            first[j] = guarantee[j]
        for j in [j for j, g in guarantee.items() if g <= now]:
            start[j] = now
            del guarantee[j]
    return [start[j] for j in range(len(jobs))], [first[j] for j in range(len(jobs))]


def slow_guarantees(
    now: float,
    processors: int,
    running: list[tuple[int, float]],
    queue: dict[int, tuple[int, float]],
    promised: dict[int, float],
    compresses: bool,
) -> tuple[dict[int, float], bool]:
    """Starts after one pass of the engine, and whether all had to be made anew.

    Running of (nodes, expected end), queue of (nodes, estimate) in order, promised finite starts of some of it.
    """
    soon = math.nextafter(now, math.inf)
    held = [(now, max(end, soon), nodes) for nodes, end in running if end < math.inf]
    processors -= sum(nodes for nodes, end in running if end == math.inf)

    def taken(without: int | None = None) -> list[tuple[float, float, int]]:
        return held + [(g, g + queue[j][1], queue[j][0]) for j, g in guarantee.items() if j != without]

    guarantee = dict(promised)
    is_kept = all(g >= now for g in guarantee.values()) and all(n >= 0 for _, n in slow_free(taken(), processors, now))
    if not is_kept:
        guarantee = {}
    elif compresses:
        for j in [j for j in queue if j in guarantee]:
            guarantee[j] = slow_earliest(taken(without=j), processors, now, *queue[j])
    starts = {}
    for j, wanted in queue.items():
        starts[j] = guarantee[j] if j in guarantee else slow_earliest(taken(), processors, now, *wanted)
        if starts[j] < math.inf:
            guarantee[j] = starts[j]
    return starts, not is_kept


# --- workloads ---

PROCESSORS = 8
seconds = st.integers(1, 12)  # small whole numbers: many ties


@st.composite
def workloads(draw: st.DrawFn, shortest_run: int = 1, may_overrun: bool = False) -> list[Job]:
    jobs = []
    for _ in range(draw(st.integers(1, 30))):
        run = draw(st.integers(shortest_run, 12))
        if may_overrun:
            estimate = draw(st.one_of(st.integers(0, 15), st.just(math.inf)))
        else:
            estimate = max(1, run + draw(st.sampled_from([0, 0, 1, 3, 10])))
        nodes = draw(st.one_of(st.integers(1, 3), st.integers(1, PROCESSORS)))
        jobs.append(Job(draw(st.integers(0, 40)), run, nodes, estimate))
    return jobs


def crowd(rng: np.random.Generator, n: int, are_whole: bool) -> list[Job]:
    """Jobs that come faster than they can run, with whole seconds full of ties or with any fractions."""
    nodes = rng.choice([1, 2, 3, 4, 8], n)
    submit, run = rng.uniform(0, 30, n), rng.uniform(1, 25, n)
    estimate = run * rng.choice([1.0, 1.2, 2.0, 3.0], n)
    columns = [np.ceil(column) if are_whole else column / 7 for column in (submit, run, estimate)]
    return [Job(s, r, int(k), e) for s, r, e, k in zip(*(c.tolist() for c in columns), nodes, strict=True)]


def frame(jobs: list[Job]) -> pd.DataFrame:
    columns = {
        "job": [f"job {j}" for j in range(len(jobs))],
        "submit_s": [job.submit for job in jobs],
        "run_s": [job.run for job in jobs],
        "processors": [job.nodes for job in jobs],
        "requested_s": [job.estimate for job in jobs],
    }
    return pd.DataFrame(columns)


def most_in_use(start: list[float], jobs: list[Job]) -> int:
    spans = [(s, s + job.run, job.nodes) for s, job in zip(start, jobs, strict=True)]
    return max(sum(n for b, e, n in spans if b <= moment < e) for moment, _, _ in spans)


# --- agreement ---


@settings(max_examples=300, deadline=None)
@given(workloads())
def test_fifo_and_easy_replay_equal_the_twin(jobs: list[Job]) -> None:
    for policy in ("fifo", "easy"):
        result = replay(frame(jobs), PROCESSORS, policy)
        assert result["start_s"].tolist() == slow_replay(jobs, PROCESSORS, policy)
        assert most_in_use(result["start_s"].tolist(), jobs) <= PROCESSORS


@settings(max_examples=200, deadline=None)
@given(workloads(shortest_run=0, may_overrun=True))
def test_easy_replay_equals_the_twin_with_overruns_open_estimates_and_zero_lengths(jobs: list[Job]) -> None:
    result = replay(frame(jobs), PROCESSORS, "easy")
    assert result["start_s"].tolist() == slow_replay(jobs, PROCESSORS, "easy")


@settings(max_examples=150, deadline=None)
@given(workloads())
def test_the_engine_equals_the_twins(jobs: list[Job]) -> None:
    order = sorted(range(len(jobs)), key=lambda j: (jobs[j].submit, j))
    table = job_table(
        [jobs[j].nodes for j in order],
        [jobs[j].run for j in order],
        [jobs[j].submit for j in order],
        requested_s=[float(jobs[j].estimate) for j in order],
        gpus_per_node=1,
    )
    expected = {
        "fifo": slow_replay(jobs, PROCESSORS, "fifo"),
        "easy": slow_replay(jobs, PROCESSORS, "easy"),
        "conservative": slow_conservative(jobs, PROCESSORS)[0],
    }
    for name, policy in (("fifo", Fifo()), ("easy", Easy()), ("conservative", Conservative())):
        outcome = engine.run(world(machine(PROCESSORS, 1), table, profile(), scheduling=policy, sample_every_s=1e9))
        assert outcome.tables["jobs"]["start_s"].tolist() == [expected[name][j] for j in order], name


@settings(max_examples=300, deadline=None)
@given(workloads(shortest_run=0))
def test_conservative_replay_equals_the_twin_and_keeps_its_guarantees(jobs: list[Job]) -> None:
    expected, promised = slow_conservative(jobs, PROCESSORS)
    table = frame(jobs)
    order = table["submit_s"].to_numpy().argsort(kind="stable")
    start_s, first_guarantee_s = np.empty(len(jobs)), np.empty(len(jobs))
    nodes = table["processors"].to_numpy(np.int64)[order]
    replay_conservative(
        table["submit_s"].to_numpy(np.float64)[order],
        table["run_s"].to_numpy(np.float64)[order],
        nodes,
        table["requested_s"].to_numpy(np.float64)[order],
        PROCESSORS,
        new_profile(len(jobs), nodes),
        no_reservations(len(jobs)),
        start_s,
        first_guarantee_s,
    )
    assert first_guarantee_s.tolist() == [promised[j] for j in order]
    assert (start_s <= first_guarantee_s).all()
    assert replay(table, PROCESSORS, "conservative")["start_s"].tolist() == expected
    assert most_in_use(expected, jobs) <= PROCESSORS


queues = st.lists(st.tuples(st.integers(1, 9), st.one_of(seconds, st.just(math.inf))), max_size=12)
running_sets = st.lists(st.tuples(st.integers(1, 4), st.one_of(st.integers(0, 20), st.just(math.inf))), max_size=8)


@settings(max_examples=500, deadline=None)
@given(queues, running_sets, st.integers(0, 10), st.integers(0, 10))
def test_passes_equal_their_twins_on_any_state(
    queue: list[tuple[int, float]], running: list[tuple[int, float]], free: int, now: int
) -> None:
    # States that only an engine can reach: overruns, a machine too small for the head, open estimates.
    queue_nodes = np.array([nodes for nodes, _ in queue], dtype=np.int64)
    estimates = np.array([estimate for _, estimate in queue], dtype=np.float64)
    by_end = sorted(running, key=lambda job: job[1])
    running_nodes = np.array([nodes for nodes, _ in by_end], dtype=np.int64)
    ends = np.array([end for _, end in by_end], dtype=np.float64)
    started = np.full(len(queue), -1, dtype=np.int64)
    n_started = easy_pass(queue_nodes, estimates, running_nodes, ends, free, float(now), started)
    assert started[:n_started].tolist() == slow_easy_pass(queue, running, free, now)
    assert fifo_pass(queue_nodes, free) == len(slow_fifo_pass(queue, free))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=70), st.integers(0, 20))
def test_first_fit_takes_the_lowest_free_ids(free: list[bool], nodes: int) -> None:
    flags = np.array(free, dtype=np.bool_)
    assert first_fit(flags, nodes).tolist() == [i for i, is_free in enumerate(free) if is_free][:nodes]


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=10, deadline=None)
@given(seeds, st.booleans())
def test_conservative_replay_of_a_deep_queue_equals_the_twin(seed: int, are_whole: bool) -> None:
    jobs = crowd(np.random.default_rng(seed), 70, are_whole)
    assert replay(frame(jobs), PROCESSORS, "conservative")["start_s"].tolist() == slow_conservative(jobs, PROCESSORS)[0]


@settings(max_examples=25, deadline=None)
@given(seeds, st.booleans(), st.booleans())
def test_passes_of_conservative_backfilling_equal_the_twin_whatever_happens_between_them(
    seed: int, are_whole: bool, is_lucky: bool
) -> None:
    # What the engine does in between: jobs end early, several at once, or overrun; nodes fail with their jobs, which
    # queue again, and come back; queued jobs are withdrawn; expected ends move. Lucky: no guarantee is ever broken.
    rng = np.random.default_rng(seed)
    jobs = crowd(rng, 120, are_whole)
    nodes, estimate = np.array([job.nodes for job in jobs]), np.array([float(job.estimate) for job in jobs])
    kept = CountedGuarantees(len(jobs), nodes, 0.0)
    kept.profile = new_profile(len(jobs), nodes, int(rng.choice([1, 4, 32])))
    clear(kept.profile, 0.0, 0)
    capacity, now, arrived = PROCESSORS, 0.0, 80
    queue = list(range(arrived))
    running: dict[int, float] = {}  # expected ends
    for _ in range(12):
        by_end = sorted(running, key=lambda j: running[j])
        free = capacity - sum(jobs[j].nodes for j in running)
        compresses = bool(rng.random() < 0.8)
        wanted = {j: (jobs[j].nodes, jobs[j].estimate) for j in queue}
        promised = {j: kept.start_s[j] for j in queue if kept.start_s[j] < math.inf}
        expected, is_anew = slow_guarantees(
            now, capacity, [(jobs[j].nodes, running[j]) for j in by_end], wanted, promised, compresses
        )
        running_job, queue_job = np.array(by_end, np.int64), np.array(queue, np.int64)
        ends = np.array([running[j] for j in by_end], np.float64)
        assert is_anew == guarantee_pass(
            kept.profile, kept.reservations, kept.holders, now, free, running_job, nodes[running_job], ends,
            queue_job, nodes, estimate, kept.start_s, compresses,
        )  # fmt: skip
        assert kept.start_s[queue_job].tolist() == list(expected.values())
        assert not (is_lucky and is_anew)
        assert_is_sound(kept.profile)
        kept.holders = np.concatenate((running_job, queue_job))
        for j in [j for j in queue if kept.start_s[j] <= now]:
            queue.remove(j)
            kept.start_s[j] = math.nan
            running[j] = now + jobs[j].estimate if rng.random() < 0.95 or is_lucky else math.inf

        upcoming = [*(e for e in running.values() if e < math.inf), *(kept.start_s[j] for j in queue)]
        step = min(upcoming) - now
        if 0 < step < 1e9:
            part = float(rng.choice([0.3, 1.0, 1.0] if is_lucky else [0.3, 1.0, 1.0, 1.4]))
            # The moment itself: the sum could lie a rounding behind it, and a guarantee then in the past.
            now = min(upcoming) if part == 1.0 else now + step * part
        gone = [
            j for j, end in running.items() if (end <= now and (is_lucky or rng.random() < 0.7)) or rng.random() < 0.2
        ]
        for j in gone:
            del running[j]
        if not is_lucky:
            capacity = int(rng.choice([capacity, capacity, PROCESSORS, PROCESSORS - 3]))
            while sum(jobs[j].nodes for j in running) > capacity:
                j = min(running)
                del running[j]
                queue = sorted([*queue, j])
            for j in [j for j in running if rng.random() < 0.05]:
                running[j] = now + float(rng.integers(1, 9))
            queue = [j for j in queue if rng.random() < 0.98]
        more = min(int(rng.integers(0, 9)), len(jobs) - arrived)
        queue += range(arrived, arrived + more)
        arrived += more


def steps(profile: Profile) -> list[tuple[float, int, int, int]]:
    """Time, free nodes, block and place of every step in order."""
    found, at, before = [], int(profile.state[0].head), -1
    while at >= 0:
        step = profile.step[at]
        assert step.before == before
        found.append((float(step.time_s), int(step.free), int(step.block), at))
        at, before = int(step.after), at
    return found


def assert_is_sound(profile: Profile) -> None:
    """Check what every change of a profile must keep."""
    found = steps(profile)
    assert len(found) == profile.state[0].steps
    assert all(a[0] < b[0] and a[2] <= b[2] for a, b in pairwise(found))
    for block in range(found[0][2], profile.state[0].blocks):
        assert profile.block[block].first == next(at for _, _, b, at in found if b == block)
    for grade, nodes in enumerate(profile.grade_nodes):  # no stretch is longer than its bound
        start = None
        for time, free, block, _ in [*found, (math.inf, -1, -1, -1)]:
            if free >= nodes and start is None:
                start = (time, block)
            elif free < nodes and start is not None:
                assert profile.longest_s[grade, start[1]] >= time - start[0]
                start = None


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans(), st.integers(0, 2))
def test_profile_equals_a_list_of_reservations(seed: int, are_whole: bool, variety: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [np.array([1, 2, 4, 8]), np.arange(1, 12), np.arange(1, 3 * MOST_GRADES)][variety]
    profile, reservations = new_profile(300, sizes, int(rng.choice([1, 4, 32]))), no_reservations(300)
    total, now = int(sizes.max()), 0.0
    clear(profile, now, total)
    taken: dict[int, tuple[float, float, int]] = {}
    for j in range(300):
        new = reservations[j]
        new.nodes, new.length_s = rng.choice(sizes), rng.integers(1, 30) if are_whole else rng.exponential(10)
        start = slow_earliest(list(taken.values()), total, now, int(new.nodes), float(new.length_s))
        assert place(profile, new) == start
        taken[j] = (start, start + float(new.length_s), int(new.nodes))
        if rng.random() < 0.3:  # some are withdrawn
            gone = list(taken)[int(rng.integers(len(taken)))]
            give_up(profile, reservations[gone])
            del taken[gone]
        elif rng.random() < 0.1:
            ahead = sorted(begin for begin, _, _ in taken.values() if begin > now)
            if len(ahead) > (skipped := int(rng.choice([0, 3, 40]))):
                now = ahead[skipped]
            for k, (begin_s, end_s, _) in list(taken.items()):
                if end_s <= now or (begin_s < now and reservations[k].first >= 0):
                    give_up(profile, reservations[k])  # ended, or never began
                    del taken[k]
            advance(profile, now)
            assert_is_sound(profile)
            for k in [k for k, (begin_s, _, _) in taken.items() if begin_s == now and reservations[k].first >= 0]:
                start_job(profile, reservations[k])
        elif rng.random() < 0.1:
            lift(profile, 1)
            total += 1
        nodes, length = int(rng.integers(1, total + 2)), float(rng.integers(1, 40))
        found = first_stretch(profile, nodes, length, -1)
        start = slow_earliest(list(taken.values()), total, now, nodes, length)
        assert (profile.step[found].time_s if found >= 0 else math.inf) == start
    assert_is_sound(profile)
    for j in taken:
        give_up(profile, reservations[j])
    index_stretches(profile)
    assert [step[:2] for step in steps(profile)] == [(now, total)]


def test_a_reservation_from_the_present_uses_no_step_but_its_end() -> None:
    profile, reservations = new_profile(2, np.array([2, 3])), no_reservations(2)
    clear(profile, 5.0, 8)
    for j, nodes in ((0, 3), (1, 2)):
        reservations[j].nodes = nodes
        reserve(profile, reservations[j], -1, 9.0)
    assert [step[:2] for step in steps(profile)] == [(5.0, 3), (9.0, 8)]
    give_up(profile, reservations[0])
    assert [step[:2] for step in steps(profile)] == [(5.0, 6), (9.0, 8)]


def test_a_length_that_fits_only_as_a_rounded_sum_is_found() -> None:
    # 0.1 + 4.0 is 4.1 in floats, but 4.1 - 0.1 is less than 4.0.
    assert 0.1 + 4.0 == 4.1
    assert 4.1 - 0.1 < 4.0
    profile, reservations = new_profile(90, np.array([1])), no_reservations(90)
    clear(profile, 0.0, 1)
    for j, length in enumerate([0.1, 4.0] + 88 * [9.0]):  # enough for several blocks
        reservations[j].nodes, reservations[j].length_s = 1, length
        place(profile, reservations[j])
    index_stretches(profile)
    searched = [(length, profile.step[first_stretch(profile, 1, length, -1)].time_s) for length in (4.0, 5.0)]
    give_up(profile, reservations[1])
    searched += [(length, profile.step[first_stretch(profile, 1, length, -1)].time_s) for length in (4.0, 5.0, 4.0)]
    end_s = steps(profile)[-1][0]
    assert searched == [(4.0, end_s), (5.0, end_s), (4.0, 0.1), (5.0, end_s), (4.0, 0.1)]
