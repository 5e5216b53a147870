"""A job whose rate changes while it runs."""

import math

import pytest

from simulator.engine.segment import Segment
from simulator.workload.checkpoints import CheckpointPlan, CheckpointTier

TIER = CheckpointTier("store", 10.0, 0.0, 0.0, "domain")


def plan(interval_s: float = 100.0) -> CheckpointPlan:
    return CheckpointPlan((TIER,), (interval_s,))


def test_full_rate_is_the_plan_itself():
    segment = Segment(plan(), 50.0, 1.0)
    assert segment.progress(50.0 + 325.0) == plan().progress(325.0)
    assert segment.time_left(50.0, 1000.0) == plan().wall_to_finish(1000.0)
    assert not segment.was_slow


def test_half_rate_takes_twice_the_time_for_work_and_the_same_for_checkpoints():
    segment = Segment(plan(), 0.0, 0.5)
    useful_s, stood_s = segment.progress(210.0)
    assert (useful_s, stood_s) == (pytest.approx(100.0), pytest.approx(10.0))


def test_a_change_of_rate_keeps_work_checkpoints_and_their_rhythm():
    segment = Segment(plan(), 0.0, 1.0)
    segment.change(50.0, 0.25, plan())  # 50 s of work are left until the first checkpoint: 200 s
    assert segment.progress(250.0)[0] == pytest.approx(100.0)
    assert segment.progress(260.0) == (pytest.approx(100.0), pytest.approx(10.0))
    segment.change(260.0, 1.0, plan())
    assert segment.progress(300.0) == (pytest.approx(140.0), pytest.approx(10.0))
    assert segment.usable_work(300.0, 0) == pytest.approx(100.0)
    assert segment.time_left(300.0, 240.0) == pytest.approx(110.0)  # the second checkpoint lies on the way


def test_a_standstill_costs_its_whole_time():
    segment = Segment(plan(math.inf), 0.0, 1.0)
    segment.change(30.0, 0.0, plan(math.inf))
    assert segment.time_left(40.0, 100.0) == math.inf
    assert segment.progress(500.0) == (30.0, 0.0)
    segment.change(500.0, 1.0, plan(math.inf))
    assert segment.time_left(500.0, 100.0) == pytest.approx(70.0)
    assert segment.was_slow


def blocking(seconds: float, interval_s: float = 100.0) -> CheckpointPlan:
    return CheckpointPlan((CheckpointTier("store", seconds),), (interval_s,))


def test_saves_that_become_slower_keep_the_time_that_was_spent():
    segment = Segment(blocking(10.0), 0.0, 1.0)
    segment.change(250.0, 1.0, blocking(40.0))  # two saves behind it, 230 s of work
    assert segment.progress(250.0) == (pytest.approx(230.0), pytest.approx(20.0))
    assert segment.progress(400.0) == (pytest.approx(340.0), pytest.approx(60.0))
    assert segment.time_left(400.0, 500.0) == pytest.approx(160.0 + 40.0)


def test_a_save_under_way_goes_on_at_the_new_pace():
    segment = Segment(blocking(10.0), 0.0, 1.0)
    segment.change(104.0, 1.0, blocking(20.0))  # 4 of 10 s done: 12 of 20 s are left
    assert segment.progress(110.0) == (pytest.approx(100.0), pytest.approx(10.0))
    assert segment.progress(116.0) == (pytest.approx(100.0), pytest.approx(16.0))
    assert segment.progress(117.0) == (pytest.approx(101.0), pytest.approx(16.0))


def test_what_was_usable_stays_usable_when_saving_becomes_slower():
    def behind(seconds: float) -> CheckpointPlan:
        return CheckpointPlan((CheckpointTier("store", 0.0, seconds),), (100.0,))

    segment = Segment(behind(10.0), 0.0, 1.0)
    assert segment.usable_work(120.0, 0) == 100.0
    segment.change(120.0, 1.0, behind(60.0))
    assert segment.usable_work(130.0, 0) == 100.0
    assert segment.usable_work(259.0, 0) == 100.0
    assert segment.usable_work(260.0, 0) == 200.0
