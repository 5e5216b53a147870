"""Sharing of links by jobs: closed forms for few jobs, and properties for many."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.network.sharing import Communication, Traffic, alone_times, shared_times

CAPACITY = np.full(6, 10.0)


def job(links: list[int], other_s: float, size: float = 100.0, cap: float = math.inf, weight: float = 1.0) -> Traffic:
    communication = Communication(np.array(links), np.full(len(links), weight), size, cap)
    return Traffic((communication,), (1.0,), other_s)


def test_jobs_that_always_communicate_share_a_link_evenly():
    for n in (2, 3, 7):
        times = shared_times(CAPACITY, [job([0], 0.0) for _ in range(n)])
        assert np.ravel(times) == pytest.approx(10.0 * n)


def test_two_jobs_with_equal_duty_meet_as_often_as_they_communicate():
    # A job finds the other as often as that communicates when it is alone: for half of its time.
    times = shared_times(CAPACITY, [job([0], 10.0), job([0], 10.0)])
    assert np.ravel(times) == pytest.approx(10.0 * (1.0 + 0.5))


def test_a_link_wide_enough_for_all_holds_nobody_back():
    slow = [job([0, 1], 0.0, cap=4.0), job([0, 2], 0.0, cap=6.0)]
    assert np.ravel(shared_times(CAPACITY, slow)) == pytest.approx([25.0, 100.0 / 6.0])


def test_a_capped_job_leaves_the_rest_to_the_other():
    times = shared_times(CAPACITY, [job([0], 0.0, cap=2.0), job([0], 0.0)])
    assert np.ravel(times) == pytest.approx([50.0, 12.5])


def test_a_dead_link_stops_its_users_only():
    capacity = CAPACITY.copy()
    capacity[1] = 0.0
    times = shared_times(capacity, [job([0, 1], 0.0), job([0], 0.0)])
    assert np.isinf(times[0][0])
    assert times[1][0] == pytest.approx(10.0)


def test_a_communication_is_held_back_only_on_its_own_links():
    two = Traffic(
        (
            Communication(np.array([0]), np.ones(1), 100.0, math.inf),
            Communication(np.array([1]), np.ones(1), 100.0, math.inf, fixed_s=1.0),
        ),
        (1.0, 2.0),
        0.0,
    )
    times = shared_times(CAPACITY, [two, job([0], 0.0)])
    assert times[0][0] == pytest.approx(20.0)
    assert times[0][1] == pytest.approx(11.0)


jobs_of_many_kinds = st.lists(
    st.builds(
        job,
        st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True).map(sorted),
        st.floats(0.0, 50.0),
        st.floats(1.0, 1000.0),
        st.floats(0.5, 100.0),
        st.sampled_from([0.5, 1.0, 2.0]),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(jobs_of_many_kinds, st.randoms(use_true_random=False))
def test_nobody_is_faster_than_alone_and_the_order_of_jobs_does_not_matter(jobs, random):
    times = shared_times(CAPACITY, jobs)
    for traffic, seconds in zip(jobs, times, strict=True):
        assert (seconds >= alone_times(CAPACITY, traffic) * (1.0 - 1e-9)).all()
    order = list(range(len(jobs)))
    random.shuffle(order)
    again = shared_times(CAPACITY, [jobs[j] for j in order])
    for place, j in enumerate(order):
        assert again[place] == pytest.approx(times[j], rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(jobs_of_many_kinds, st.floats(0.01, 100.0))
def test_scaling_capacity_and_bytes_together_changes_no_time(jobs, factor):
    scaled = [
        Traffic(
            tuple(
                Communication(c.links, c.weights, c.flow_bytes * factor, c.cap * factor) for c in each.communications
            ),
            each.counts,
            each.other_s,
        )
        for each in jobs
    ]
    times, again = shared_times(CAPACITY, jobs), shared_times(CAPACITY * factor, scaled)
    for before, after in zip(times, again, strict=True):
        assert after == pytest.approx(before, rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(jobs_of_many_kinds)
def test_jobs_that_never_pause_load_no_link_beyond_its_capacity(jobs):
    busy = [Traffic(each.communications, each.counts, 0.0) for each in jobs]
    load = np.zeros(len(CAPACITY))
    for traffic, seconds in zip(busy, shared_times(CAPACITY, busy), strict=True):
        (only,) = traffic.communications
        load[only.links] += only.weights * only.flow_bytes / seconds[0]
    assert (load <= CAPACITY * (1.0 + 1e-6)).all()
