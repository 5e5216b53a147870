"""Closed-form checkpoint accounting against a twin that walks from checkpoint to checkpoint in exact arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.workload.checkpoints import CheckpointPlan, CheckpointTier, progress, usable_work, wall_to_finish

# --- twin ---


@dataclass
class Save:
    tier: int
    work: Fraction
    due_at: Fraction
    blocked_at: Fraction
    usable_at: Fraction


@dataclass
class Tier:
    interval: Fraction | None
    blocking: Fraction
    persist: Fraction


def slow_saves(tiers: list[Tier], rate: Fraction, until: Fraction) -> list[Save]:
    """Walk an attempt; return every checkpoint that is due by wall time ``until``."""
    saves: list[Save] = []
    next_work = [tier.interval for tier in tiers]
    wall, work = Fraction(0), Fraction(0)
    while True:
        due = [(at, index) for index, at in enumerate(next_work) if at is not None]
        if not due:
            return saves
        at, index = min(due)
        wall += (at - work) / rate
        work = at
        if wall > until:
            return saves
        tier = tiers[index]
        assert tier.interval is not None
        due_at = wall
        if any(save.tier == index for save in saves):
            wall += max(Fraction(0), tier.persist - tier.interval / rate)
        wall += tier.blocking
        saves.append(Save(index, at, due_at, wall, wall + tier.persist))
        next_work[index] = at + tier.interval


def slow_progress(tiers: list[Tier], rate: Fraction, elapsed: Fraction) -> tuple[Fraction, Fraction]:
    wall, work, stood = Fraction(0), Fraction(0), Fraction(0)
    for save in slow_saves(tiers, rate, elapsed):
        wall, work = save.due_at, save.work
        if save.blocked_at >= elapsed:
            return work, stood + elapsed - wall
        stood += save.blocked_at - save.due_at
        wall = save.blocked_at
    return work + (elapsed - wall) * rate, stood


def slow_usable(tiers: list[Tier], rate: Fraction, elapsed: Fraction, tier: int) -> Fraction:
    saves = slow_saves(tiers, rate, elapsed)
    return max((save.work for save in saves if save.tier == tier and save.usable_at <= elapsed), default=Fraction(0))


def slow_wall(tiers: list[Tier], rate: Fraction, work: Fraction) -> Fraction:
    """Walk until the work is done; what is due at the end itself is not taken."""
    elapsed, done, next_work = Fraction(0), Fraction(0), [tier.interval for tier in tiers]
    taken = [0] * len(tiers)
    while True:
        due = [(at, index) for index, at in enumerate(next_work) if at is not None and at < work]
        if not due:
            return elapsed + (work - done) / rate
        at, index = min(due)
        tier = tiers[index]
        assert tier.interval is not None
        elapsed += (at - done) / rate + tier.blocking
        if taken[index]:
            elapsed += max(Fraction(0), tier.persist - tier.interval / rate)
        taken[index] += 1
        next_work[index] = at + tier.interval
        done = at


# --- agreement: eighths of a second and power-of-two rates are exact in floats, so ties are real ties ---

eighths = st.integers(0, 400).map(lambda n: Fraction(n, 8))
intervals = st.one_of(st.none(), st.integers(4, 200).map(lambda n: Fraction(n, 8)))
a_tier = st.builds(Tier, intervals, eighths, eighths)
rates = st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(2), Fraction(1, 4)])


def columns(tiers: list[Tier]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    every = [math.inf if tier.interval is None else float(tier.interval) for tier in tiers]
    return (
        np.array(every),
        np.array([float(tier.blocking) for tier in tiers]),
        np.array([float(tier.persist) for tier in tiers]),
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(a_tier, max_size=3), rates, st.integers(0, 4000).map(lambda n: Fraction(n, 8)))
@example([Tier(Fraction(1), Fraction(50), Fraction(50))], Fraction(2), Fraction(500))
def test_agrees_with_the_walk(tiers: list[Tier], rate: Fraction, elapsed: Fraction) -> None:
    moments = {elapsed}
    for save in slow_saves(tiers, rate, elapsed)[-4:]:
        moments |= {save.due_at, save.blocked_at, save.usable_at, save.usable_at - Fraction(1, 64)}
    arrays = columns(tiers)
    for moment in moments:
        useful_s, checkpointing_s = progress(float(moment), float(rate), *arrays)
        assert (useful_s, checkpointing_s) == slow_progress(tiers, rate, moment)
        for tier in range(len(tiers)):
            assert usable_work(float(moment), float(rate), *arrays, tier) == slow_usable(tiers, rate, moment, tier)
    assert wall_to_finish(float(elapsed), float(rate), *arrays) == slow_wall(tiers, rate, elapsed)


def any_time(longest: float) -> st.SearchStrategy[float]:
    """Seconds; subnormal ones have too few digits left for any relative tolerance."""
    return st.floats(0.0, longest, allow_subnormal=False)


any_tier = st.tuples(st.floats(1e-3, 1e5), st.floats(0.0, 1e4), st.one_of(st.just(0.0), st.floats(0.0, 1e4)))


@settings(max_examples=300, deadline=None)
@given(st.lists(any_tier, max_size=4), st.floats(0.1, 3.0), any_time(1e8), any_time(1e6))
def test_progress_is_sane_for_any_sizes(
    tiers: list[tuple[float, float, float]], rate: float, elapsed_s: float, later_s: float
) -> None:
    """Sums to the wall time, never runs back, and saved work is never more than work done, which is inverted."""
    arrays = (
        tuple(np.array(column, dtype=float) for column in zip(*tiers, strict=True)) if tiers else (np.empty(0),) * 3
    )
    useful_s, stood_s = progress(elapsed_s, rate, *arrays)
    assert useful_s / rate + stood_s == pytest.approx(elapsed_s, rel=1e-12)
    more_s, stood_more_s = progress(elapsed_s + later_s, rate, *arrays)
    slack = 1e-11 * (elapsed_s + later_s)
    assert more_s >= useful_s - slack
    assert stood_more_s >= stood_s - slack
    for tier in range(len(tiers)):
        assert 0.0 <= usable_work(elapsed_s, rate, *arrays, tier) <= useful_s
    wall_s = wall_to_finish(useful_s, rate, *arrays)
    assert wall_s <= elapsed_s * (1 + 1e-11) + 1e-9
    back_s, _ = progress(wall_s, rate, *arrays)
    assert back_s == pytest.approx(useful_s, rel=1e-9, abs=1e-9)


def test_a_checkpoint_at_every_step_of_a_long_run_costs_nothing_to_count() -> None:
    """54 days of one checkpoint per 4-s step, 1.16 million of them: the count is exact."""
    plan = CheckpointPlan((CheckpointTier("peer_ram", 0.25),), (4.0,))
    useful_s, stood_s = plan.progress(54 * 86400.0)
    assert (useful_s, stood_s) == (4.0 * 54 * 86400 / 4.25 // 4 * 4 + (54 * 86400) % 4.25, 54 * 86400 // 4.25 * 0.25)


def test_a_job_that_ends_at_a_checkpoint_does_not_take_it() -> None:
    plan = CheckpointPlan((CheckpointTier("remote", 60.0),), (1800.0,))
    assert plan.wall_to_finish(3600.0) == 3660.0
    assert plan.wall_to_finish(3601.0) == 3721.0
    # 49 * (1/49) is not 1 in floats; the last checkpoint is still at the end.
    assert CheckpointPlan((CheckpointTier("remote", 1.0),), (1 / 49,)).wall_to_finish(1.0) == pytest.approx(49.0)


def test_endless_work_never_finishes_and_an_infinite_interval_never_saves() -> None:
    plan = CheckpointPlan((CheckpointTier("remote", 60.0, 10.0),), (math.inf,))
    assert plan.progress(1e9) == (1e9, 0.0)
    assert plan.usable_work(1e9, 0) == 0.0
    assert plan.wall_to_finish(math.inf) == math.inf
    assert plan.wall_to_finish(1e6, rate=0.5) == 2e6


def test_a_save_can_be_used_when_its_background_part_is_over() -> None:
    plan = CheckpointPlan((CheckpointTier("remote", 1.0, 30.0),), (100.0,))
    assert plan.usable_work(130.9, 0) == 0.0
    assert plan.usable_work(131.0, 0) == 100.0  # done at the very instant of the failure: counts


def test_a_slow_store_makes_training_wait_for_the_previous_save() -> None:
    """Interval 10 s, block 1 s, background 25 s: from the second checkpoint on the period is 26 s, not 11 s."""
    plan = CheckpointPlan((CheckpointTier("remote", 1.0, 25.0),), (10.0,))
    assert plan.progress(11.0) == (10.0, 1.0)
    assert plan.progress(11.0 + 26.0) == (20.0, 17.0)
    assert plan.progress(11.0 + 26.0 + 5.0) == (25.0, 17.0)


@pytest.mark.parametrize("interval_s", [0.0, -1.0, math.nan])
def test_an_interval_that_is_not_positive_is_refused(interval_s: float) -> None:
    with pytest.raises(InputError, match="checkpoint interval of tier 'remote' is not positive; found"):
        CheckpointPlan((CheckpointTier("remote", 0.0),), (interval_s,))


def test_tiers_survive_failures_up_to_their_reach() -> None:
    peer = CheckpointTier("peer_ram", 0.02, survives="node")
    assert [peer.is_usable_after(reach) for reach in ("process", "node", "domain")] == [True, True, False]
