"""Limits of accounts and users: a slow count over the same jobs agrees, and stories that can be told by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import job_table, machine, profile, story, world

from simulator.policies.scheduling.combined import Combined, Limit, Limits
from simulator.policies.scheduling.easy import Easy
from simulator.policies.scheduling.fifo import Fifo
from simulator.policies.scheduling.multifactor import Multifactor
from simulator.policies.scheduling.preemptive import Preemptive
from simulator.policies.scheduling.priority import PriorityClasses
from simulator.policies.scheduling.sjf import ShortestFirst
from simulator.scheduling.limits import never_within, within_limits
from simulator.telemetry.submissions import submissions

ACCOUNTS, USERS = ("x/a", "x/b", "y", "x"), ("ann", "bob", "eve")
LIMIT = st.builds(Limit, st.sampled_from([math.inf, 4, 16, 40]), st.sampled_from([math.inf, 0, 1, 3]))


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    n = draw(st.integers(1, 25))

    def each(strategy: Any) -> Any:
        return draw(st.lists(strategy, min_size=n, max_size=n))

    jobs = job_table(
        [1] * n, [1.0] * n, gpus=each(st.integers(1, 8)), shares=[True] * n,
        account=np.array(each(st.sampled_from(ACCOUNTS)), dtype=object),
        user=np.array(each(st.sampled_from(USERS)), dtype=object),
    )  # fmt: skip
    named = st.dictionaries(st.sampled_from(["x", "x/a", "y"]), LIMIT, max_size=3)
    limits = Limits(
        draw(named), draw(st.dictionaries(st.sampled_from(USERS), LIMIT, max_size=2)),
        draw(st.none() | LIMIT), draw(st.none() | LIMIT),
    )  # fmt: skip
    return {
        "jobs": jobs,
        "limits": limits,
        "running": draw(st.integers(0, n)),
        "order": draw(st.permutations(range(n))),
    }


def fits(limits: Limits, jobs: Any, inside: list[int], job: int) -> bool:
    """Return whether a job is within all limits beside those inside; written from the meaning of the keys."""
    account, user = jobs.account[job], jobs.user[job]
    held = [
        (limit, [k for k in inside if f"{jobs.account[k]}/".startswith(f"{name}/")])
        for name, limit in limits.accounts.items()
        if f"{account}/".startswith(f"{name}/")
    ]
    held += [
        (limit, [k for k in inside if jobs.user[k] == name]) for name, limit in limits.users.items() if user == name
    ]
    if limits.each_account is not None:
        held.append((limits.each_account, [k for k in inside if jobs.account[k] == account]))
    if limits.each_user is not None:
        held.append((limits.each_user, [k for k in inside if jobs.user[k] == user]))
    return all(
        sum(jobs.gpus[k] for k in mine) + jobs.gpus[job] <= limit.gpus and len(mine) + 1 <= limit.jobs
        for limit, mine in held
    )


@settings(max_examples=300, deadline=None)
@given(cases())
def test_limits_count_as_the_slow_way_does(case: dict[str, Any]) -> None:
    jobs, limits = case["jobs"], case["limits"]
    known = submissions(jobs, 8)
    columns = limits.columns(known)
    runs = np.arange(case["running"])
    order = np.array([job for job in case["order"] if job >= case["running"]], dtype=np.int64)
    found = within_limits(
        columns, known.account[runs], known.user[runs], known.gpus[runs], known.account, known.user, known.gpus, order
    )
    inside, expected = runs.tolist(), []
    for job in order.tolist():
        expected.append(fits(limits, jobs, inside, job))
        if expected[-1]:
            inside.append(job)
    assert found.tolist() == expected
    never = never_within(columns, known.account, known.user, known.gpus)
    assert never.tolist() == [not fits(limits, jobs, [], job) for job in range(len(jobs))]


def times(outcome: Any, column: str) -> list[Any]:
    return outcome.tables["jobs"][column].tolist()


def test_a_limit_lets_others_go_before() -> None:
    """Three nodes; ann may run one job at a time, so her second waits while bob, behind it, starts."""
    jobs = job_table(
        [1, 1, 1, 1], [100.0, 100.0, 100.0, 10.0], user=np.array(["ann", "ann", "bob", "ann"], dtype=object)
    )
    policy = Combined(Fifo(), None, Limits({}, {"ann": Limit(jobs=1)}))
    outcome = story(world(machine(3), jobs, profile(), scheduling=policy), [])
    assert times(outcome, "start_s") == [0, 100, 0, 200]


def test_what_is_larger_than_its_limit_is_rejected_with_the_reason() -> None:
    jobs = job_table([1, 2], [10.0, 10.0], user=np.array(["ann", "ann"], dtype=object))
    policy = Combined(Easy(), None, Limits({}, {}, None, Limit(gpus=8)))
    outcome = story(world(machine(3), jobs, profile(), scheduling=policy), [])
    assert times(outcome, "state") == ["completed", "rejected"]
    assert times(outcome, "reason")[1] == "asks for 16 GPUs, more than its account or user may have"


@pytest.mark.parametrize("mode", ["requeue", "cancel"])
def test_fair_share_decides_who_is_first_and_preemption_who_makes_room(mode: Any) -> None:
    """Both nodes run class 0 when class 1 comes: of account a, which has used the machine, and of b, which has not."""
    jobs = job_table(
        [1, 1, 1, 1], [1000.0, 1000.0, 50.0, 50.0], [0.0, 10.0, 100.0, 100.0], priority=[0, 0, 1, 1],
        account=np.array(["a", "a", "a", "b"], dtype=object),
    )  # fmt: skip
    policy = Combined(Multifactor(), Preemptive(min_run_time=95.0, mode=mode))
    outcome = story(world(machine(2), jobs, profile(1e9), scheduling=policy), [])
    # At 100 only the first may go, for b; the second from 105 on, for a.
    assert times(outcome, "start_s")[2:] == [105, 100]
    assert times(outcome, "preemptions") == [1, 1, 0, 0]
    ended = ["completed"] * 4 if mode == "requeue" else ["failed", "failed", "completed", "completed"]
    assert times(outcome, "state") == ended
    if mode == "cancel":
        assert times(outcome, "reason")[:2] == [f"cancelled by preemption for job job-{k}" for k in (3, 2)]
        assert times(outcome, "end_s")[:2] == [100, 105]


@pytest.mark.parametrize(
    "ordering", [Fifo(), Easy(), ShortestFirst(), PriorityClasses(), Multifactor(weight_class=0.0)]
)
@pytest.mark.parametrize("min_run_time", [0.0, 90.0])
def test_preempted_jobs_queue_behind_those_of_higher_classes_whatever_the_order(
    ordering: Any, min_run_time: float
) -> None:
    """Two short jobs of class 0 on all nodes, two long ones of class 1 at 60: both have their nodes at once."""
    jobs = job_table([2, 2, 2, 2], [100.0, 100.0, 500.0, 500.0], [0.0, 0.0, 60.0, 60.0], priority=[0, 0, 1, 1])
    policy = Combined(ordering, Preemptive(min_run_time=min_run_time))
    outcome = story(world(machine(4), jobs, profile(1e9), scheduling=policy), [])
    assert times(outcome, "start_s")[2:] == [max(60.0, min_run_time)] * 2
    assert outcome.summary["preemptions"] == 2
