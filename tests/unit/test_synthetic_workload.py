"""Synthetic workloads: a fit recovers what was drawn, and what is drawn is what was asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.streams import generator
from simulator.workload.fitting import fit, hours_of_week
from simulator.workload.quantiles import LogQuantiles
from simulator.workload.submissions import Sample, Submissions, WallClock
from simulator.workload.synthetic import (
    DAY_S,
    WEEK_S,
    Batches,
    Ending,
    Requests,
    Rhythm,
    SizeClass,
    Stream,
    Users,
    WorkloadModel,
    draw,
    zipf_shares,
)
from simulator.workload.traces import sample_of

Z_999 = 3.29
"""Two-sided: a correct program fails such a check once in a thousand seeds; the seeds here are fixed."""

SHORT = LogQuantiles((0.0, 0.5, 1.0), (10.0, 300.0, 3600.0))
LONG = LogQuantiles((0.0, 0.5, 0.9, 1.0), (60.0, 7200.0, 36000.0, 86400.0))
HOURS = tuple(1.0 + 0.8 * np.sin((np.arange(24) - 9) / 24 * 2 * np.pi))
MODEL = WorkloadModel(
    name="known",
    jobs_per_s=2000 / DAY_S,
    sizes=(
        SizeClass((1,), (1.0,), 0.6, (Ending("completed", 0.7, SHORT), Ending("failed", 0.3, LONG))),
        SizeClass((2, 4), (1.0, 3.0), 0.3, (Ending("completed", 1.0, LONG),)),
        SizeClass((8, 64), (9.0, 1.0), 0.1, (Ending("failed", 0.5, SHORT), Ending("completed", 0.5, LONG))),
    ),
    rhythm=Rhythm(HOURS, (1.2, 1.2, 1.2, 1.2, 1.0, 0.6, 0.6)),
    batches=Batches((1, 4), (0.8, 0.2), LogQuantiles((0.0, 1.0), (2.0, 31.0))),
    users=Users(50, 1.1),
    requests=Requests(
        (0.0, 600.0), (LogQuantiles((0.0, 1.0), (2.0, 20.0)), LogQuantiles((0.0, 1.0), (1.0, 3.0))), 2 * DAY_S
    ),
)


def streams(seed: int, replication: int = 0) -> Stream:
    return lambda purpose: generator(seed, replication, purpose)


def sample(jobs: Submissions) -> Sample:
    return Sample(
        replace(jobs, submit_s=jobs.submit_s - jobs.submit_s[0]), jobs.user, WallClock(float(jobs.submit_s[0]))
    )


@pytest.fixture(scope="module")
def drawn() -> Submissions:
    return draw(MODEL, streams(1), MODEL.jobs_per_s, jobs=400_000)


def test_equal_streams_draw_equal_bytes_and_others_do_not() -> None:
    first, again, other = (draw(MODEL, streams(3, k), MODEL.jobs_per_s, span_s=WEEK_S) for k in (0, 0, 1))
    for name in ("submit_s", "gpus", "run_s", "requested_s", "user", "state"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert len(first) != len(other) or not np.array_equal(first.run_s, other.run_s)


@pytest.mark.parametrize("load", [0.4, 1.3])
def test_the_load_is_that_asked_for(load: float) -> None:
    machine, span_s, n = 512, 2.3 * DAY_S, 400
    rate = MODEL.rate_for(load, machine)
    found = np.empty(n)
    for replication in range(n):
        jobs = draw(MODEL, streams(5, replication), rate, span_s=span_s)
        found[replication] = (jobs.gpus * jobs.run_s).sum() / (machine * span_s)
    assert abs(found.mean() - load) < Z_999 * found.std(ddof=1) / np.sqrt(n)


def test_a_number_of_jobs_is_met_exactly_and_comes_in_the_time_of_its_rate() -> None:
    rate = MODEL.rate_for(0.8, 512)
    jobs = draw(MODEL, streams(2), rate, jobs=12_345)
    assert len(jobs) == 12_345
    assert jobs.submit_s[0] >= 0.0
    assert jobs.submit_s[-1] < 12_345 / rate
    assert (np.diff(jobs.submit_s) >= 0).all()


def test_the_load_changes_when_jobs_come_and_nothing_else() -> None:
    calm, busy = (draw(MODEL, streams(4), MODEL.rate_for(load, 512), jobs=5000) for load in (0.3, 0.9))
    assert sorted(calm.run_s) == sorted(busy.run_s)
    assert sorted(calm.gpus) == sorted(busy.gpus)
    assert calm.submit_s[-1] / busy.submit_s[-1] == pytest.approx(3.0, rel=0.02)


def test_shares_of_sizes_endings_and_users_are_those_of_the_model(drawn: Submissions) -> None:
    n = len(drawn)

    def check(rows: object, share: float, clustering: float) -> None:
        # Jobs of a batch have one size and one user: their number varies as if there were fewer of them.
        error = np.sqrt(share * (1 - share) * clustering / n)
        assert abs(float(np.mean(rows)) - share) < Z_999 * error  # type: ignore[call-overload]

    clustering = (0.8 * 1 + 0.2 * 16) / (0.8 * 1 + 0.2 * 4)
    for gpus, share in ((1, 0.6), (2, 0.075), (4, 0.225), (8, 0.09), (64, 0.01)):
        check(drawn.gpus == gpus, share, clustering)
    failed = drawn.state == drawn.states.index("failed")
    check(failed, 0.6 * 0.3 + 0.1 * 0.5, clustering)
    for user, share in enumerate(zipf_shares(Users(50, 1.1))[:5]):
        check(drawn.user == user, float(share), clustering)


def test_users_ask_for_no_less_than_they_run_and_no_more_than_they_may(drawn: Submissions) -> None:
    assert (drawn.requested_s >= drawn.run_s).all()
    assert drawn.requested_s.max() <= 2 * DAY_S
    brief = drawn.run_s < 600.0
    ratio = drawn.requested_s / drawn.run_s
    assert np.median(ratio[brief]) == pytest.approx(np.sqrt(40.0), rel=0.02)
    assert ratio[~brief].max() <= 3.0 + 1e-9


def test_a_fit_recovers_the_model(drawn: Submissions) -> None:
    found = fit(sample(drawn), "again")
    assert found.jobs_per_s == pytest.approx(MODEL.jobs_per_s, rel=0.01)
    # Batches are found by their gaps; by chance few others of the same user and size come within a minute.
    assert found.batches.mean == pytest.approx(MODEL.batches.mean, rel=0.06)
    # 400,000 jobs are 250,000 batches, 2,000 in the least hour of the day: a standard deviation of 2 %. At busy hours a
    # few more batches are taken for one, which lifts the quiet hours by a few percent.
    assert found.rhythm.hours == pytest.approx(HOURS, rel=0.1)
    assert found.rhythm.days == pytest.approx(MODEL.rhythm.days, rel=0.03)
    assert found.users is not None
    # The same merging takes batches from the users who submit most.
    assert (found.users.count, found.users.exponent) == (50, pytest.approx(1.1, abs=0.06))
    assert [(each.gpus[0], each.gpus[-1]) for each in found.sizes] == [(1, 1), (2, 2), (4, 4), (8, 8), (64, 64)]
    shares = {each.gpus[0]: each.share for each in found.sizes}
    assert shares == pytest.approx({1: 0.6, 2: 0.075, 4: 0.225, 8: 0.09, 64: 0.01}, rel=0.05)
    one = {ending.state: ending for ending in found.sizes[0].endings}
    for state, share, run_s in (("completed", 0.7, SHORT), ("failed", 0.3, LONG)):
        assert one[state].share == pytest.approx(share, rel=0.02)
        assert one[state].run_s.median == pytest.approx(run_s.median, rel=0.03)
        assert one[state].run_s.mean == pytest.approx(run_s.mean, rel=0.02)
    assert found.requests is not None
    # Below 600 s the ratio is from 2 to 20, its logarithm uniform; above from 1 to 3.
    assert found.requests.ratios[0].median == pytest.approx(np.sqrt(40.0), rel=0.05)
    assert found.requests.ratios[-1].median == pytest.approx(np.sqrt(3.0), rel=0.05)


def test_a_fit_offers_the_load_of_its_trace(drawn: Submissions) -> None:
    found = fit(sample(drawn), "again")
    load = (drawn.gpus * drawn.run_s).sum() / (drawn.submit_s[-1] - drawn.submit_s[0])
    assert found.jobs_per_s * found.mean_gpu_s == pytest.approx(load, rel=1e-4)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**30), st.floats(0.1, 8.0), st.integers(1, 100))
def test_resized_models_keep_what_is_left(seed: int, factor: float, largest: int) -> None:
    if max(1, round(factor)) > largest:
        with pytest.raises(InputError):
            MODEL.resized(factor, largest)
        return
    found = MODEL.resized(factor, largest)
    assert found.largest <= largest
    assert sum(each.share for each in found.sizes) == pytest.approx(1.0)
    jobs = draw(found, streams(seed), found.jobs_per_s, jobs=200)
    allowed = {max(1, int(np.rint(size * factor))) for size in (1, 2, 4, 8, 64)}
    assert set(jobs.gpus.tolist()) <= {size for size in allowed if size <= largest}


def test_sizes_that_are_left_out_take_their_submissions_with_them() -> None:
    found = MODEL.resized(largest=8)
    assert found.jobs_per_s == pytest.approx(0.99 * MODEL.jobs_per_s)
    assert found.largest == 8
    with pytest.raises(InputError) as caught:
        replace(MODEL, sizes=MODEL.sizes[2:]).resized(largest=4)
    assert str(caught.value) == "no job of the model is this small; found sizes from 8 GPUs; allowed: at most 4 GPUs"


def test_hours_of_which_a_trace_is_too_short_to_tell_are_like_the_others() -> None:
    jobs = draw(MODEL, streams(9), 20 * MODEL.jobs_per_s, span_s=0.9 * DAY_S)
    assert fit(sample(jobs), "hours").rhythm == Rhythm()
    jobs = draw(MODEL, streams(9), 20 * MODEL.jobs_per_s, span_s=5 * DAY_S)
    found = fit(sample(jobs), "days").rhythm
    assert found.days == (1.0,) * 7
    assert max(found.hours) > 1.5


def test_time_of_the_week_is_counted_from_monday() -> None:
    # From Tuesday 23:30, for two hours: half an hour of Tuesday, one and a half of Wednesday.
    clock = WallClock(DAY_S + 23.5 * 3600.0)
    came, lasted_s = hours_of_week(np.array([0.0, 1799.0, 1800.0, 7200.0]), 7200.0, clock)
    assert dict(enumerate(came[46:51].tolist(), 46)) == {46: 0, 47: 2, 48: 1, 49: 1, 50: 0}
    assert lasted_s[46:51].tolist() == [0.0, 1800.0, 3600.0, 1800.0, 0.0]


def test_summer_time_is_an_hour_of_the_clock_that_is_skipped() -> None:
    """Berlin, a night in March: jobs at 01:59, 03:00 and 04:00 are a minute, and then an hour apart."""
    origin = datetime(2024, 3, 31, 1, 59, tzinfo=ZoneInfo("Europe/Berlin"))
    table = pd.DataFrame({"job": ["a", "b", "c"], "submit_s": [0.0, 60.0, 3660.0], "run_s": [1.0] * 3})
    table = table.assign(
        gpus=pd.array([1] * 3, dtype="Int64"), user=None, partition=None, requested_s=np.nan, state=None
    )
    clock = sample_of(table, origin)[0].clock
    sunday = 6 * 24
    came, lasted_s = hours_of_week(np.array([0.0, 60.0, 3660.0]), 3660.0, clock)
    assert came[sunday : sunday + 5].tolist() == [0, 1, 0, 1, 1]
    assert lasted_s[sunday : sunday + 5].tolist() == [0.0, 60.0, 0.0, 3600.0, 0.0]


def test_days_of_a_trace_without_a_date_count_alike() -> None:
    jobs = draw(MODEL, streams(9), 20 * MODEL.jobs_per_s, span_s=30 * DAY_S)
    known = sample(jobs)
    assert fit(known, "days").rhythm.days != (1.0,) * 7
    assert fit(replace(known, clock=WallClock(is_known=False)), "days").rhythm.days == (1.0,) * 7


def test_a_trace_becomes_a_sample() -> None:
    table = pd.DataFrame(
        {
            "job": ["a", "b", "c", "d"],
            "user": ["ada", None, None, "ada"],
            "partition": ["p", "q", "q", "p"],
            "submit_s": [100.0, 40.0, 160.0, 170.0],
            "run_s": [10.0, 20.0, 0.0, 500.0],
            "requested_s": [60.0, np.nan, 60.0, 400.0],
            "gpus": pd.array([1, 2, 4, 8], dtype="Int64"),
            "state": ["completed", None, "failed", "failed"],
        }
    )
    found, report = sample_of(table, datetime(2024, 5, 1, 12, 0, 0))  # a Wednesday
    jobs = found.jobs
    assert (report.without_run_time, report.cut_to_request) == (1, 1)
    assert jobs.submit_s.tolist() == [0.0, 60.0, 130.0]
    assert jobs.gpus.tolist() == [2, 1, 8]
    assert jobs.run_s.tolist() == [20.0, 10.0, 400.0]
    assert [jobs.states[state] for state in jobs.state] == ["unknown", "completed", "failed"]
    assert jobs.user[0] == -1
    assert jobs.user[1] == jobs.user[2] >= 0
    assert np.isnan(jobs.requested_s).tolist() == [True, False, False]
    assert found.group[1] == found.group[2] != found.group[0]
    assert found.clock.monday_s == 2 * DAY_S + 12 * 3600.0 + 40.0


def test_what_cannot_be_fitted_is_refused() -> None:
    few = draw(MODEL, streams(1), MODEL.jobs_per_s, jobs=99)
    with pytest.raises(
        InputError, match=r"too little to fit a workload to; found 99 jobs over .* allowed: at least 100"
    ):
        fit(sample(few), "few")
    at_once = replace(draw(MODEL, streams(1), MODEL.jobs_per_s, jobs=100), submit_s=np.zeros(100))
    with pytest.raises(InputError, match="found 100 jobs over 0 s"):
        fit(sample(at_once), "at_once")
    asleep = replace(MODEL, rhythm=Rhythm((0.0,) * 6 + (1.0,) * 18))
    with pytest.raises(InputError, match="nothing is submitted in these hours of the week; found 3600 s from Monday"):
        draw(asleep, streams(1), MODEL.jobs_per_s, span_s=3600.0)
