"""Shared clusters whose course can be told by hand: who is taken off, who shrinks, moves, waits, and for how long."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from shared_clusters import cluster, elastic, times
from worlds import fault, job_table, ledger, profile, repair, story

from simulator.distributions import Duration
from simulator.engine.world import Window
from simulator.errors import PolicyError
from simulator.policies.decisions import Preempt, Resize, Wake
from simulator.policies.health.strikes import Strikes
from simulator.policies.placement.best_fit import BestFit
from simulator.policies.placement.spread import Spread
from simulator.policies.recovery.ladder import ReplaceOrShrink, RequeueJob
from simulator.policies.scheduling.defragment import Defragment
from simulator.policies.scheduling.easy import Easy
from simulator.policies.scheduling.elastic import Elastic
from simulator.policies.scheduling.fifo import Fifo
from simulator.policies.scheduling.no_gang import NoGang
from simulator.policies.scheduling.preemptive import Preemptive
from simulator.policies.scheduling.quota import Quota
from simulator.workload.elastic import GoodputCurve

SUDDEN = fault(1e-9, repair=repair("fixed", 1000.0))
"""A fault that is known at once and takes the node away for 1,000 s."""


# --- preemption ---------------------------------------------------------------------------------------------------


def test_a_higher_class_takes_the_nodes_it_needs_from_the_lowest_and_youngest() -> None:
    """Four jobs of one node, of classes 1, 0, 0, 0; the last came last. A job of class 2 wants two nodes at 100."""
    jobs = job_table([1, 1, 1, 1, 2], [1000.0] * 4 + [50.0], [0.0, 0.0, 10.0, 20.0, 100.0], priority=[1, 0, 0, 0, 2])
    outcome = story(cluster(4, jobs, scheduling=Preemptive()), [])
    assert times(outcome, "preemptions") == [0, 0, 1, 1, 0]
    assert times(outcome, "start_s")[4] == 100
    # The victims come back at 150 with all they had done.
    assert times(outcome, "end_s") == [1000, 1000, 1060, 1070, 150]
    assert outcome.summary["preemptions"] == 2
    assert outcome.summary["lost_work_gpu_s"] == 0


def test_a_save_before_a_planned_stop_takes_its_time() -> None:
    """The victim is told at 600, goes at 1,200 and spends the last 300 s of its grace on saving 900 s of work."""
    jobs = job_table([2, 2], [7200.0, 3600.0], [0.0, 600.0], priority=[0, 1])
    base = cluster(2, jobs, scheduling=Preemptive(grace=600.0), saves=profile(1e9, 300.0))
    outcome = story(base, [])
    assert times(outcome, "start_s") == [0, 1200]
    assert times(outcome, "end_s") == [1200 + 3600 + 7200 - 900, 4800]
    assert ledger(outcome)["checkpointing"] == pytest.approx(300 * 16)
    assert outcome.summary["lost_work_gpu_s"] == 0


def test_grace_and_minimum_run_time_delay_it() -> None:
    """The victim started at 0, may be told to go from 300 on, and has 60 s to go."""
    jobs = job_table([2, 2], [1000.0, 100.0], [0.0, 100.0], priority=[0, 1], requested_s=[1000.0, 100.0])
    outcome = story(cluster(2, jobs, scheduling=Preemptive(grace=60.0, min_run_time=300.0)), [])
    assert times(outcome, "start_s") == [0, 360]
    assert times(outcome, "end_s") == [1100, 460]


def test_a_job_that_saves_nothing_loses_its_work_and_one_without_grace_for_a_save_too() -> None:
    jobs = job_table([2, 2], [1000.0, 100.0], [0.0, 400.0], priority=[0, 1])
    for saves in (profile(), profile(1e9, blocking_s=30.0)):
        outcome = story(cluster(2, jobs, scheduling=Preemptive(grace=20.0), saves=saves), [])
        assert times(outcome, "end_s") == [1520, 520]
        assert ledger(outcome)["lost_work"] == pytest.approx(420 * 16)
    outcome = story(cluster(2, jobs, scheduling=Preemptive(grace=30.0), saves=profile(1e9, blocking_s=30.0)), [])
    assert ledger(outcome)["lost_work"] == 0


def test_nobody_is_taken_off_in_vain() -> None:
    """A job of class 1 wants four nodes; three of the four are held by its own class."""
    jobs = job_table([3, 1, 4], [500.0, 300.0, 10.0], [0.0, 0.0, 10.0], priority=[1, 0, 1])
    outcome = story(cluster(4, jobs, scheduling=Preemptive()), [])
    assert outcome.summary["preemptions"] == 0
    assert times(outcome, "start_s")[2] == 500


@pytest.mark.parametrize("shares", [False, True])
def test_the_victims_of_all_who_wait_are_told_at_once(shares: bool) -> None:
    """Four jobs of class 0 on all nodes or halves of them, four of class 1 at 2 h, a grace of half an hour."""
    policy = Preemptive(grace=1800.0)
    jobs = job_table(
        [1] * 8, [1e6] * 4 + [3600.0] * 4, [0.0] * 4 + [7200.0] * 4, priority=[0] * 4 + [1] * 4,
        gpus=[4 if shares else 8] * 8, shares=[shares] * 8,
    )  # fmt: skip
    outcome = story(cluster(2 if shares else 4, jobs, scheduling=policy), [])
    assert times(outcome, "start_s")[4:] == [9000.0] * 4
    assert outcome.summary["preemptions"] == 4


def test_those_who_wait_share_what_others_leave_and_take_no_more() -> None:
    """A job of two nodes goes for one of class 2 that wants one; the next, of class 1, has the other: one victim."""
    jobs = job_table([2, 2, 1, 1], [1e6, 1e6, 50.0, 50.0], [0.0, 0.0, 100.0, 100.0], priority=[0, 0, 2, 1])
    outcome = story(cluster(4, jobs, scheduling=Preemptive(grace=60.0)), [])
    assert times(outcome, "start_s")[2:] == [160, 160]
    assert outcome.summary["preemptions"] == 1


def test_a_budget_of_preemptions_protects_a_job() -> None:
    jobs = job_table([2, 2, 2], [1000.0, 10.0, 10.0], [0.0, 100.0, 200.0], priority=[0, 1, 1])
    outcome = story(cluster(2, jobs, scheduling=Preemptive(most_preemptions=1)), [])
    assert times(outcome, "preemptions") == [1, 0, 0]
    assert times(outcome, "end_s") == [1010, 110, 1020]


def test_parts_of_a_node_are_taken_until_one_node_has_room() -> None:
    """Two nodes, each with two jobs of 4 GPUs; a job of 6 GPUs needs both of one node, not one of each."""
    jobs = job_table(
        [1, 1, 1, 1, 1], [500.0] * 4 + [100.0], [0.0, 1.0, 2.0, 3.0, 50.0],
        gpus=[4, 4, 4, 4, 6], shares=[True] * 5, priority=[0, 0, 0, 0, 1],
    )  # fmt: skip
    outcome = story(cluster(2, jobs, scheduling=Preemptive(), placement=BestFit()), [])
    assert times(outcome, "preemptions") == [0, 0, 1, 1, 0]
    assert times(outcome, "start_s")[4] == 50


def test_a_fault_during_the_grace_sends_the_job_back_to_the_queue_at_once() -> None:
    jobs = job_table([2, 2], [1000.0, 50.0], [0.0, 200.0], priority=[0, 1])
    kind = fault(1e-9, takes_node_out=False, repair=None)
    outcome = story(cluster(2, jobs, kind, scheduling=Preemptive(grace=100.0)), [(250.0, 0, 0)])
    assert times(outcome, "start_s") == [0, 250]
    assert times(outcome, "requeues") == [1, 0]
    assert times(outcome, "preemptions") == [1, 0]
    assert ledger(outcome)["lost_work"] == pytest.approx(250 * 16)


def test_a_second_call_to_go_changes_nothing() -> None:
    class Twice:
        acts_always = True

        def schedule(self, view: Any) -> list[Any]:
            if len(view.queue) and view.free_nodes == 2:
                return Easy().schedule(view)  # type: ignore[return-value]
            return [Preempt(job, 50.0) for job in view.running.job.tolist() if view.now_s > 0]

    jobs = job_table([2, 2, 2], [500.0, 10.0, 10.0], [0.0, 100.0, 120.0])
    outcome = story(cluster(2, jobs, scheduling=Twice(), horizon_s=160.0), [])
    assert times(outcome, "preemptions")[0] == 1
    assert times(outcome, "attempts")[0] == 2  # gone at 150, and first in the queue again


def test_second_order_preemptions_are_those_for_a_job_that_an_interruption_sent_back() -> None:
    """The important job fails at 100, its node is away; queued again it takes the node of another."""
    jobs = job_table([2, 1], [1000.0, 5000.0], [0.0, 0.0], priority=[1, 0])
    outcome = story(
        cluster(3, jobs, SUDDEN, scheduling=Preemptive(), recovery=RequeueJob(), saves=profile()), [(100.0, 0, 0)]
    )
    assert outcome.summary["preemptions"] == 1
    assert outcome.summary["second_order_preemptions"] == 1
    assert outcome.summary["second_order_lost_gpu_s"] == pytest.approx(100 * 8)
    assert ledger(outcome)["lost_work"] == pytest.approx(100 * 16 + 100 * 8)
    assert times(outcome, "end_s") == [1100, 6100]  # the other one waits until 1,100


# --- quotas -------------------------------------------------------------------------------------------------------


def test_an_account_borrows_what_is_idle_and_gives_it_back_when_the_owner_wants_it() -> None:
    """a and b own two of four nodes each; a runs four jobs until b wants one node, then another."""
    jobs = job_table(
        [1] * 6, [1000.0] * 4 + [100.0] * 2, [0.0, 1.0, 2.0, 3.0, 50.0, 60.0], account=["a"] * 4 + ["b"] * 2
    )
    quotas = Quota(quotas=(("a", 16.0), ("b", 16.0)))
    outcome = story(cluster(4, jobs, scheduling=quotas), [])
    assert times(outcome, "preemptions") == [0, 0, 1, 1, 0, 0]
    assert times(outcome, "start_s") == [0, 1, 2, 3, 50, 60]
    assert times(outcome, "end_s")[2:4] == [150 + 942, 160 + 953]


def test_what_is_lent_to_others_is_reclaimed_for_all_who_wait_at_once() -> None:
    jobs = job_table([1] * 8, [1e6] * 4 + [3600.0] * 4, [0.0] * 4 + [7200.0] * 4, account=["b"] * 4 + ["a"] * 4)
    outcome = story(cluster(4, jobs, scheduling=Quota(quotas=(("a", 32.0),), grace=1800.0)), [])
    assert times(outcome, "start_s")[4:] == [9000.0] * 4
    assert outcome.summary["preemptions"] == 4


def test_an_account_within_its_quota_is_never_reclaimed_from_and_nobody_borrows_where_that_is_off() -> None:
    jobs = job_table([2, 2, 3], [100.0] * 3, [0.0, 1.0, 2.0], account=["a", "a", "b"])
    outcome = story(cluster(4, jobs, scheduling=Quota(quotas=(("a", 16.0), ("b", 24.0)), borrowing=False)), [])
    assert times(outcome, "start_s") == [0, 100, 200]
    assert outcome.summary["preemptions"] == 0


def test_a_job_that_no_quota_covers_is_rejected_with_the_reason_unless_it_may_borrow() -> None:
    jobs = job_table([1, 2, 1], [100.0] * 3, account=["a", "a", "b"])
    own, borrowed = (
        story(cluster(4, jobs, scheduling=Quota(quotas=(("a", 8.0),), borrowing=borrowing)), [])
        for borrowing in (False, True)
    )
    assert times(own, "state") == ["completed", "rejected", "rejected"]
    assert times(own, "reason") == [
        "",
        "asks for 16 GPUs; its account 'a' has a quota of 8 and must not borrow",
        "asks for 8 GPUs; its account 'b' has a quota of 0 and must not borrow",
    ]
    assert own.tables["ledger"]["gpu_s"].sum() == pytest.approx(100 * 32)
    assert times(borrowed, "state") == ["completed"] * 3


# --- elastic width --------------------------------------------------------------------------------------------------


def test_a_job_grows_into_free_nodes_shrinks_for_a_newcomer_and_grows_again() -> None:
    """Perfect scaling: 1,000 s on two nodes are 2,000 node-seconds. Alone it gets four from 100 on, two at 200."""
    jobs = elastic([2, 2], [1000.0, 100.0], [0.0, 200.0], [(1, 4), (2, 2)])
    outcome = story(cluster(4, jobs, scheduling=Elastic(min_interval=100.0), curves=(GoodputCurve(),)), [])
    # 100 s on 2, 100 s on 4, 100 s on 2 while the other runs, the rest (1,200 node-seconds) on 4.
    assert times(outcome, "start_s") == [0, 200]
    assert times(outcome, "end_s") == [600, 300]
    assert times(outcome, "resizes") == [3, 0]
    assert ledger(outcome)["productive"] == pytest.approx((2000 + 200) * 8)


def test_a_job_starts_on_the_nodes_that_are_free_and_changes_no_sooner_than_it_may() -> None:
    jobs = elastic([3, 4], [500.0, 100.0], [0.0, 10.0], [(3, 3), (1, 4)])
    outcome = story(cluster(4, jobs, scheduling=Elastic(min_interval=1e6), curves=(GoodputCurve(),)), [])
    assert times(outcome, "start_s") == [0, 10]
    assert times(outcome, "end_s") == [500, 410]  # 400 node-seconds on one node
    assert times(outcome, "nodes") == [3, 1]


@pytest.mark.parametrize("gpus", [4, 8])
def test_it_gives_up_a_node_for_a_part_of_one_too(gpus: int) -> None:
    """A job on both nodes that may run on one; a job of 4 or 8 GPUs comes after an hour."""
    jobs = replace(
        elastic([2, 1], [36000.0, 100.0], [0.0, 3600.0], [(1, 2), (1, 1)]),
        gpus=np.array([16, gpus]),
        shares=np.array([False, gpus < 8]),
    )
    curves = {"curves": (GoodputCurve(0.0, 0.0),)}
    outcome = story(cluster(2, jobs, scheduling=Elastic(), **curves), [])
    assert times(outcome, "start_s") == [0, 3600]


def test_it_gives_up_what_the_waiting_job_may_use_and_nothing_where_that_does_not_help() -> None:
    """Of four nodes one or two go into maintenance at 7,200, which the waiting job of 18,000 s would meet."""
    jobs = elastic([3, 2], [6000.0, 3600.0], [0.0, 1800.0], [(1, 3), (2, 2)])
    jobs = replace(jobs, requested_s=np.array([6600.0, 18_000.0]))
    first_two, middle = (
        Window("service", 7200.0, 14_400.0, np.array(nodes), "", is_maintenance=True) for nodes in ([1], [1, 2])
    )
    base = cluster(4, jobs, scheduling=Elastic(min_interval=600.0), curves=(GoodputCurve(),))
    # It has nodes 0 to 2; 3 and, of its own, 2 are open to the other: one is given up, and not the last that is closed.
    one = story(replace(base, windows=(first_two,)), [])
    assert times(one, "start_s") == [0, 1800]
    assert times(one, "resizes")[0] >= 1
    # Nodes 1 and 2 are closed: node 0 is what helps.
    two = story(replace(base, windows=(middle,)), [])
    assert times(two, "start_s") == [0, 1800]
    spans = two.tables["spans"]
    mine = spans["job"] == "job-1"
    assert sorted(spans["node"][mine].tolist()) == [0, 3]
    # Where all of its nodes are closed, giving some up would be for nothing.
    all_three = Window("service", 7200.0, 14_400.0, np.arange(3), "", is_maintenance=True)
    none = story(replace(base, windows=(all_three,)), [])
    assert times(none, "end_s")[0] == 6000
    assert times(none, "resizes")[0] == 0


def test_a_job_that_shrank_and_was_queued_again_wants_its_own_width_also_without_a_gang() -> None:
    """A fault on one of two nodes lets it go on with the other, one there sends it to the queue; both take 1,000 s."""
    jobs = elastic([2], [1000.0], [0.0], [(1, 2)])
    base = cluster(2, jobs, SUDDEN, scheduling=NoGang(), recovery=ReplaceOrShrink(), curves=(GoodputCurve(),))
    outcome = story(base, [(100.0, 0, 0), (200.0, 0, 1)])
    assert times(outcome, "last_start_s") == [1200]  # it has the first node from 1,100 on and waits for the second
    assert times(outcome, "nodes") == [2]
    assert times(outcome, "end_s") == [2200]
    assert ledger(outcome)["waiting_for_nodes"] == pytest.approx(100 * 8)


def test_it_does_not_grow_where_that_gains_too_little() -> None:
    """With 90 % of the work serial four nodes are 1.03 times as fast as two."""
    jobs = elastic([2], [1000.0], [0.0], [(1, 4)])
    outcome = story(cluster(4, jobs, scheduling=Elastic(min_interval=10.0), curves=(GoodputCurve(0.9),)), [])
    assert times(outcome, "resizes") == [0]


def test_the_node_is_taken_from_the_job_that_slows_down_least() -> None:
    jobs = elastic([3, 3, 1], [1e4, 1e4, 10.0], [0.0, 0.0, 500.0], [(1, 3), (1, 3), (1, 1)])
    jobs = replace(jobs, width=np.array([0, 1, -1]))
    curves = (GoodputCurve(), GoodputCurve(0.8))
    outcome = story(cluster(6, jobs, scheduling=Elastic(min_interval=10.0), curves=curves, horizon_s=505.0), [])
    assert times(outcome, "nodes") == [3, 2, 1]


def test_an_elastic_job_that_loses_a_node_goes_on_narrower() -> None:
    jobs = elastic([4], [1000.0], [0.0], [(2, 4)])
    base = cluster(4, jobs, SUDDEN, recovery=ReplaceOrShrink(), curves=(GoodputCurve(),), saves=profile(100.0))
    outcome = story(base, [(250.0, 0, 1)])
    # 50 s of work are lost; the other 800 s of four nodes take 1,066.7 s on three.
    assert times(outcome, "end_s") == [pytest.approx(250 + 800 * 4 / 3)]
    assert times(outcome, "nodes") == [3]
    assert ledger(outcome)["lost_work"] == pytest.approx(50 * 32)
    assert ledger(outcome)["productive"] == pytest.approx(1000 * 32)
    grows = replace(base, scheduling=Elastic(min_interval=10.0))
    outcome = story(grows, [(250.0, 0, 1)])
    assert times(outcome, "nodes") == [4]
    assert times(outcome, "resizes") == [2]
    assert times(outcome, "end_s") == [pytest.approx(1250 + (800 - 1000 * 3 / 4))]
    rigid = replace(base, jobs=job_table([4], [1000.0]))
    outcome = story(rigid, [(250.0, 0, 1)])
    assert times(outcome, "requeues") == [1]


@pytest.mark.parametrize(
    ("decisions", "reason"),
    [
        (lambda now_s: [Wake(now_s)], "it has asked to be woken at this instant 100 times, and nothing changes"),
        (lambda now_s: [Wake(now_s - 10.0)], "it has asked to be woken at this instant 100 times, and nothing changes"),
        (lambda now_s: [Wake(math.nan)], "it asks to be woken at nan"),
        (lambda now_s: None, "schedule returned None; it returns a sequence of decisions, an empty one for none"),
    ],
)
def test_a_policy_that_asks_without_end_or_for_no_time_ends_the_run(decisions: Any, reason: str) -> None:
    class Restless:
        def schedule(self, view: Any) -> Any:
            return decisions(view.now_s)

    with pytest.raises(PolicyError, match=reason):
        story(cluster(1, job_table([1], [100.0]), scheduling=Restless()), [])


def test_a_width_out_of_range_is_refused() -> None:
    class Wide:
        acts_always = True

        def schedule(self, view: Any) -> list[Any]:
            return Easy().schedule(view) if len(view.queue) else [Resize(0, 9)]  # type: ignore[return-value]

    jobs = elastic([2, 1], [100.0, 10.0], [0.0, 0.0], [(1, 4), (1, 1)])
    with pytest.raises(PolicyError, match="job 0 cannot have 9 nodes: it takes 1 to 4 nodes"):
        story(cluster(4, jobs, scheduling=Wide(), curves=(GoodputCurve(),)), [])


# --- no gang --------------------------------------------------------------------------------------------------------


def test_without_a_gang_two_large_jobs_wait_for_each_other_for_ever() -> None:
    jobs = job_table([4, 4], [100.0, 100.0])
    outcome = story(cluster(6, jobs, scheduling=NoGang()), [])
    assert times(outcome, "state") == ["pending", "pending"]
    assert times(outcome, "reason") == ["deadlock: holds 3 of 4 nodes for ever"] * 2
    assert outcome.summary["gang_deadlocks"] == 1
    assert outcome.summary["gang_deadlock_s"] == 0  # without a horizon the run ends there
    outcome = story(cluster(6, jobs, scheduling=NoGang(), horizon_s=500.0), [])
    assert outcome.summary["gang_deadlock_s"] == 500
    assert ledger(outcome)["waiting_for_nodes"] == 500 * 48
    outcome = story(cluster(6, jobs, scheduling=Easy()), [])
    assert times(outcome, "state") == ["completed", "completed"]


def test_a_fault_can_end_a_deadlock() -> None:
    """A node of the second job is away from 100 to 1,100; then the first job comes first and gets it."""
    jobs = job_table([4, 4], [100.0, 100.0])
    outcome = story(cluster(6, jobs, SUDDEN, scheduling=NoGang(), horizon_s=3000.0), [(100.0, 0, 5)])
    assert outcome.summary["gang_deadlocks"] == 1
    assert outcome.summary["interruptions"] == 0  # nothing ran there
    assert outcome.summary["gang_deadlock_s"] == 100
    assert times(outcome, "start_s") == [1100, 1200]
    assert ledger(outcome)["down"] == 1000 * 8


def test_a_job_that_holds_nodes_starts_when_it_has_all_and_survives_cordons_and_maintenance() -> None:
    soft = fault(1e-9, stops_job=False, repair=repair("fixed", 100.0))
    jobs = job_table([3, 3], [500.0, 100.0], [0.0, 10.0])
    outcome = story(cluster(4, jobs, soft, scheduling=NoGang()), [(50.0, 0, 3)])
    # The second job holds node 3; it is taken for repair at once, and given back to it.
    assert outcome.tables["incidents"]["isolated_s"].tolist() == [50]
    assert times(outcome, "start_s") == [0, 500]
    window = Window("upgrade", 200.0, 300.0, np.array([3]), "", is_maintenance=True)
    outcome = story(cluster(4, jobs, scheduling=NoGang(), windows=(window,)), [])
    assert times(outcome, "start_s") == [0, 500]
    assert ledger(outcome)["down"] + ledger(outcome)["testing"] == 100 * 8


# --- defragmentation ------------------------------------------------------------------------------------------------


def test_small_jobs_move_together_when_a_job_lacks_a_whole_node() -> None:
    """Two nodes, each with a job of 2 GPUs that first came beside one of 6; at 100 a job wants a whole node."""
    jobs = job_table(
        [1] * 5, [50.0, 1000.0, 50.0, 1000.0, 100.0], [0.0, 0.0, 0.0, 0.0, 100.0],
        gpus=[6, 2, 6, 2, 8], shares=[True] * 4 + [False], requested_s=[50.0, 1000.0, 50.0, 1000.0, 100.0],
    )  # fmt: skip
    base = cluster(2, jobs, placement=BestFit())
    outcome = story(replace(base, scheduling=Easy()), [])
    assert times(outcome, "start_s")[4] == 1000
    outcome = story(replace(base, scheduling=Defragment()), [])
    assert times(outcome, "start_s")[4] == 100
    assert sum(times(outcome, "migrations")) == 1
    assert times(outcome, "end_s")[:4] == [50, 1000, 50, 1000]
    patient = replace(base, scheduling=Defragment(min_gain=2000.0))
    assert times(story(patient, []), "start_s")[4] == 1000
    nothing_saved = replace(base, scheduling=Defragment(), profiles=(profile(),))
    assert times(story(nothing_saved, []), "migrations") == [0] * 5


def test_moves_empty_a_node_that_the_waiting_job_may_use() -> None:
    """Three nodes with half a job each; the first goes into maintenance before the waiting job would be done there."""
    jobs = job_table(
        [1, 1, 1, 1], [36_000.0] * 4, [0.0, 0.0, 0.0, 1800.0], requested_s=[36_000.0] * 4, gpus=[4, 4, 4, 8],
        shares=[True, True, True, False],
    )  # fmt: skip
    window = Window("service", 36_000.0, 43_200.0, np.array([0]), "", is_maintenance=True)
    base = cluster(3, jobs, scheduling=Defragment(), placement=Spread(), windows=(window,))
    outcome = story(base, [])
    assert times(outcome, "start_s")[3] == 1800
    spans = outcome.tables["spans"]
    assert spans["node"][spans["job"] == "job-3"].tolist() == [1]


# --- health and requeues --------------------------------------------------------------------------------------------


def test_a_node_that_stops_jobs_again_and_again_is_kept_out() -> None:
    """Node 0 stops the job at 100 and 350; repaired at 450 it stays out until 10,450."""
    kind = fault(1e-9, repair=repair("fixed", 100.0))
    jobs = job_table([1, 2], [math.inf, 50.0], [0.0, 1000.0], requested_s=[math.inf, 50.0])
    base = cluster(2, jobs, kind, health=Strikes(2, 1000.0, 10_000.0), horizon_s=20_000.0)
    outcome = story(base, [(100.0, 0, 0), (150.0, 0, 1), (350.0, 0, 0)])
    assert outcome.summary["quarantines"] == 1
    assert outcome.tables["incidents"]["returned_s"].tolist() == [200, 250, 10_450]
    assert ledger(outcome)["down"] == pytest.approx((100 + 100 + 10_100) * 8)
    # Strikes that lie further apart than the window do not add up.
    rare = replace(base, health=Strikes(2, 200.0, 10_000.0))
    assert story(rare, [(100.0, 0, 0), (150.0, 0, 1), (350.0, 0, 0)]).summary["quarantines"] == 0


def test_requeues_are_capped_and_pause_longer_each_time() -> None:
    """A job with a bug at 100 s of work: attempts at 0, 110, 230, 370, then it is given up."""
    jobs = job_table([2], [500.0], fails_at_s=[100.0])
    recovery = RequeueJob(most_requeues=3, backoff=10.0, backoff_growth=2.0)
    outcome = story(cluster(2, jobs, recovery=recovery, saves=profile()), [])
    assert times(outcome, "state") == ["failed"]
    assert times(outcome, "reason") == ["given up after a fault of its own"]
    assert times(outcome, "attempts") == [4]
    assert times(outcome, "end_s") == [4 * 100 + 10 + 20 + 40]
    capped = replace(recovery, longest_backoff=15.0)
    assert times(story(cluster(2, jobs, recovery=capped, saves=profile()), []), "end_s") == [400 + 10 + 15 + 15]


def test_a_requeue_storm_preempts_others_until_a_cap_ends_it() -> None:
    """An important job with a bug, queued again and again after 50 s, throws the other out each time."""
    jobs = job_table([2, 2], [1000.0, 1e4], [0.0, 0.0], priority=[1, 0], fails_at_s=[100.0, math.inf])
    storm = cluster(2, jobs, scheduling=Preemptive(), recovery=RequeueJob(backoff=50.0, backoff_growth=1.0))
    outcome = story(replace(storm, horizon_s=10_000.0), [])
    assert outcome.summary["second_order_preemptions"] == 66  # at 150 and every 150 s from there
    calm = cluster(2, jobs, scheduling=Preemptive(), recovery=RequeueJob(most_requeues=3, backoff=50.0))
    outcome = story(calm, [])
    assert outcome.summary["second_order_preemptions"] == 3
    assert times(outcome, "state") == ["failed", "completed"]


# --- capacity that shrinks, windows, partitions ----------------------------------------------------------------------


def test_jobs_end_before_maintenance_and_those_that_do_not_are_stopped_with_their_work_saved() -> None:
    window = Window("upgrade", 300.0, 500.0, np.arange(2), "", is_maintenance=True)
    jobs = job_table([2, 2], [200.0, 400.0], [0.0, 200.0], requested_s=[200.0, 400.0])
    outcome = story(cluster(2, jobs, scheduling=Easy(), windows=(window,)), [])
    assert times(outcome, "start_s") == [0, 500]  # the second would meet the window
    late = replace(jobs, requested_s=np.array([200.0, 90.0]))
    outcome = story(cluster(2, late, scheduling=Easy(), windows=(window,)), [])
    assert times(outcome, "start_s") == [0, 200]  # it said it would end before
    assert times(outcome, "end_s") == [200, 800]
    assert outcome.summary["lost_work_gpu_s"] == 0


@pytest.mark.parametrize("saves", [True, False])
@pytest.mark.parametrize("policy", [Fifo(), Easy(), Preemptive(), NoGang()])
def test_a_job_without_an_estimate_works_up_to_maintenance_and_goes_on_after_it(policy: Any, saves: bool) -> None:
    window = Window("upgrade", 300.0, 500.0, np.arange(2), "", is_maintenance=True)
    base = cluster(
        2, job_table([2], [400.0]), scheduling=policy, windows=(window,), saves=profile(1e9) if saves else profile()
    )
    outcome = story(base, [])
    assert times(outcome, "start_s") == [0]
    assert times(outcome, "end_s") == [600 if saves else 900]
    assert ledger(outcome)["lost_work"] == (0 if saves else 300 * 16)
    assert outcome.summary["interruptions"] == 0


def test_a_job_without_an_estimate_leaves_a_reservation_of_others_when_it_begins() -> None:
    """Node 0 is kept for b from 100 to 200: a goes, b stays; a job of a that said it would end by 90 is left alone."""
    window = Window("demo", 100.0, 200.0, np.array([0]), "b", is_maintenance=False)
    for account, requested_s, end_s in (("a", math.inf, 350), ("b", math.inf, 250), ("a", 90.0, 250)):
        jobs = job_table([1], [250.0], account=[account], requested_s=[requested_s])
        outcome = story(cluster(1, jobs, scheduling=Easy(), windows=(window,)), [])
        assert times(outcome, "end_s") == [end_s]


def test_a_reservation_of_its_own_does_not_hide_the_maintenance_behind_it() -> None:
    mine = Window("mine", 100.0, 200.0, np.array([0]), "a", is_maintenance=False)
    upgrade = Window("upgrade", 300.0, 400.0, np.array([0]), "", is_maintenance=True)
    jobs = job_table([1], [500.0], [0.0], account=["a"], requested_s=[600.0])
    for policy in (Fifo(), Easy(), Preemptive(), Quota(quotas=(("a", 8.0),))):
        outcome = story(cluster(1, jobs, scheduling=policy, windows=(mine, upgrade), saves=profile()), [])
        assert times(outcome, "start_s") == [400]
        assert outcome.summary["lost_work_gpu_s"] == 0


def test_a_window_cut_into_several_is_the_same_window() -> None:
    """Node 0 is kept for c from 200 to 1000; the first job needs both nodes for 400 s, the second one of them."""
    jobs = job_table([2, 1], [300.0, 300.0], [0.0, 100.0], account=["a", "b"], requested_s=[400.0, 400.0])
    cuts = ([200.0, 1000.0], [200.0, 500.0, 1000.0], [200.0, 300.0, 600.0, 900.0, 1000.0])
    for cut in cuts:
        windows = tuple(
            Window(f"part-{k}", cut[k], cut[k + 1], np.array([0]), "c", is_maintenance=False)
            for k in range(len(cut) - 1)
        )
        outcome = story(cluster(2, jobs, scheduling=Easy(), windows=windows), [])
        assert times(outcome, "start_s") == [1000, 100]


def test_reservations_that_repeat_faster_than_the_head_needs_keep_nobody_else_waiting() -> None:
    windows = tuple(
        Window(f"again-{k}", 300.0 * k, 300.0 * k + 200.0, np.array([0]), "b", is_maintenance=False) for k in range(20)
    )
    jobs = job_table([2, 1], [250.0, 250.0], [0.0, 50.0], account=["a", "b"], requested_s=[300.0, 300.0])
    outcome = story(cluster(2, jobs, scheduling=Easy(), windows=windows), [])
    assert times(outcome, "start_s") == [5900, 50]  # the head when the last window is over


def test_a_failure_before_a_reservation_leaves_the_reserved_nodes_to_their_account() -> None:
    """Nodes 0 and 1 of three are kept for b from 500 on. Node 2 fails at 100 under a job of a."""
    window = Window("demo", 500.0, 800.0, np.array([0, 1]), "b", is_maintenance=False)
    jobs = job_table(
        [1, 1, 2], [400.0, 600.0, 100.0], [0.0, 0.0, 500.0],
        account=["a", "a", "b"], requested_s=[400.0, 600.0, 100.0],
    )  # fmt: skip
    base = cluster(3, jobs, SUDDEN, scheduling=Easy(), windows=(window,), recovery=RequeueJob(), saves=profile())
    outcome = story(base, [(100.0, 0, 2)])
    # The long job of a can only be on node 2; without it, it waits until the reservation is over. b gets its nodes.
    assert times(outcome, "start_s") == [0, 0, 500]
    assert times(outcome, "end_s") == [400, 1400, 600]
    assert times(outcome, "requeues") == [0, 1, 0]


def test_jobs_that_can_never_run_are_rejected_at_once_with_the_reason() -> None:
    jobs = job_table([5, 3, 1, 2], [10.0] * 4, partition=["", "small", "tiny", "small"])
    outcome = story(cluster(4, jobs, partitions={"small": 2, "": 4}), [])
    assert times(outcome, "state") == ["rejected", "rejected", "rejected", "completed"]
    assert times(outcome, "reason") == [
        "asks for 5 nodes; the machine has 4 without its spares",
        "asks for 3 nodes of partition 'small', which has 2",
        "asks for partition 'tiny'; there are small, ",
        "",
    ]


def test_a_quarantined_node_leaves_too_little_for_a_job_which_waits_for_it() -> None:
    kind = fault(1e-9, repair=repair("fixed", 100.0), detect=Duration("fixed", 0.0))
    jobs = job_table([2, 2], [50.0, 100.0], [0.0, 300.0], requested_s=[50.0, 100.0])
    base = cluster(2, jobs, kind, health=Strikes(1, 1e6, 1000.0), recovery=RequeueJob(), saves=profile())
    outcome = story(base, [(20.0, 0, 1)])
    assert outcome.tables["incidents"]["returned_s"].tolist() == [1120]
    assert times(outcome, "end_s") == [1170, 1270]


@pytest.mark.parametrize("found", [[1, 0], [], ["a", "b"], [0, 9], 7, None])
def test_placement_may_return_a_list_and_nothing_odd(found: Any) -> None:
    class Listed:
        def place(self, view: Any) -> Any:
            return found

    shared = cluster(2, job_table([2], [10.0]), placement=Listed(), scheduling=Fifo())
    if found == [1, 0]:
        assert story(shared, []).tables["jobs"]["start_s"].tolist() == [0]
    elif found == []:
        assert np.isnan(story(replace(shared, horizon_s=100.0), []).tables["jobs"]["start_s"]).all()
    else:
        with pytest.raises(PolicyError, match="Listed"):
            story(shared, [])


def test_jobs_that_wait_to_the_end_are_counted() -> None:
    """One node; the second job never starts, the third is too large and the fourth comes after the end."""
    jobs = job_table([1, 1, 2, 1], [90.0, 90.0, 10.0, 10.0], [0.0, 1.0, 2.0, 200.0])
    summary = story(cluster(1, jobs, horizon_s=80.0), []).summary
    assert (summary["jobs_waiting"], summary["jobs_rejected"], summary["wait_mean_s"]) == (1, 1, 0)
