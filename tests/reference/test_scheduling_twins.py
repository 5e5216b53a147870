"""The compiled schedulers against slow, obvious twins written from the definitions, on random workloads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import job_table, machine, profile, world

from simulator import engine
from simulator.policies.scheduling.conservative import Conservative
from simulator.policies.scheduling.easy import Easy
from simulator.policies.scheduling.fifo import Fifo
from simulator.scheduling import replay
from simulator.scheduling.backfill import easy_pass, fifo_pass
from simulator.scheduling.event_loops import replay_conservative
from simulator.scheduling.placement import first_fit
from simulator.scheduling.profile import add_to_profile, advance_profile, earliest_start_s


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


def slow_earliest(
    taken: list[tuple[float, float, int]], processors: int, now: float, nodes: int, length: float
) -> float:
    """Earliest start given reservations (from, until, nodes)."""

    def free_at(time: float) -> int:
        return processors - sum(n for begin, end, n in taken if begin <= time < end)

    for begin in sorted({now} | {end for _, end, _ in taken if end > now}):
        moments = [begin] + [b for b, _, _ in taken if begin < b < begin + length]
        if all(free_at(moment) >= nodes for moment in moments):
            return begin
    raise AssertionError("after the last reservation everything is free")


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
    start_s = np.empty(len(jobs))
    first_guarantee_s = np.empty(len(jobs))
    replay_conservative(
        table["submit_s"].to_numpy(np.float64)[order],
        table["run_s"].to_numpy(np.float64)[order],
        table["processors"].to_numpy(np.int64)[order],
        table["requested_s"].to_numpy(np.float64)[order],
        PROCESSORS,
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


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(1, 10), st.integers(1, 6)), max_size=12),
    st.integers(0, 15),
    st.integers(1, 8),
    st.integers(1, 12),
)
def test_profile_equals_a_list_of_reservations(
    spans: list[tuple[int, int, int]], now: int, nodes: int, length: int
) -> None:
    times_s = np.zeros(2 * len(spans) + 2)
    free = np.zeros(2 * len(spans) + 2, dtype=np.int64)
    free[0] = total = sum(n for _, _, n in spans) + 8
    count = 1
    for begin, duration, n in spans:
        count = add_to_profile(times_s, free, count, float(begin), float(begin + duration), -n)
    taken = [(float(begin), float(begin + duration), n) for begin, duration, n in spans]
    count = advance_profile(times_s, free, count, float(now))
    assert times_s[0] == now
    assert (np.diff(times_s[:count]) > 0).all()
    assert (np.diff(free[:count]) != 0).all()
    wanted = total - 8 + nodes  # large enough that the reservations matter
    assert earliest_start_s(times_s, free, count, wanted, float(length)) == slow_earliest(
        taken, total, now, wanted, length
    )
    for begin, duration, n in spans:  # giving everything back leaves one flat entry
        start = float(max(begin, now))
        count = add_to_profile(times_s, free, count, start, float(begin + duration), n)
    assert (count, free[0]) == (1, total)
