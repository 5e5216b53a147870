"""What a planned or unplanned stop costs: nodes are handed over when the job has left them, whatever comes after."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from shared_clusters import cluster, elastic, times
from worlds import fault, job_table, ledger, profile, story

from simulator.engine.world import Window
from simulator.policies.recovery.ladder import ReplaceNodes, RequeueJob
from simulator.policies.scheduling.elastic import Elastic
from simulator.policies.scheduling.preemptive import Preemptive
from simulator.workload.elastic import GoodputCurve

TEAR_DOWN_S = 1800.0


@pytest.mark.parametrize("recovery", [ReplaceNodes(), RequeueJob()])
def test_queueing_again_costs_what_a_replacement_costs(recovery: Any) -> None:
    """A fault of the program on both nodes at an hour, with half an hour to leave them."""
    kind = fault(1e-9, takes_node_out=False, repair=None)
    jobs = job_table([2], [36000.0])
    outcome = story(
        cluster(2, jobs, kind, saves=profile(600.0, restart_s=TEAR_DOWN_S), recovery=recovery), [(3600.0, 0, 0)]
    )
    assert times(outcome, "end_s") == [36000 + TEAR_DOWN_S]
    assert ledger(outcome)["restarting"] == pytest.approx(TEAR_DOWN_S * 16)


def test_preempted_jobs_leave_their_nodes_before_others_have_them() -> None:
    jobs = job_table([2, 2], [7200.0, 100.0], [0.0, 3600.0], priority=[0, 1])
    outcome = story(cluster(2, jobs, scheduling=Preemptive(), saves=profile(1e9, restart_s=TEAR_DOWN_S)), [])
    assert times(outcome, "start_s") == [0, 3600 + TEAR_DOWN_S]
    assert times(outcome, "end_s") == [7200 + TEAR_DOWN_S + 100, 3600 + TEAR_DOWN_S + 100]


def test_a_job_that_shrinks_leaves_its_nodes_before_others_have_them() -> None:
    """At an hour another wants one of two nodes; half an hour is lost at both nodes, then half the speed is left."""
    jobs = elastic([2, 1], [7200.0, 36000.0], [0.0, 3600.0], [(1, 2), (1, 1)])
    saves = profile(1e9, restart_s=TEAR_DOWN_S)
    outcome = story(cluster(2, jobs, scheduling=Elastic(), saves=saves, curves=(GoodputCurve(),)), [])
    assert times(outcome, "start_s") == [0, 3600 + TEAR_DOWN_S]
    assert times(outcome, "end_s")[0] == pytest.approx(3600 + TEAR_DOWN_S + 7200)
    assert ledger(outcome)["restarting"] == pytest.approx(TEAR_DOWN_S * 16)


def test_a_job_has_left_its_nodes_when_maintenance_begins() -> None:
    """Both nodes go at two hours for an hour: the half hour before was no work, and is not lost either."""
    window = Window("service", 7200.0, 10_800.0, np.array([0, 1]), "", is_maintenance=True)
    jobs = job_table([2], [36000.0], requested_s=[math.inf])
    saves = profile(1e9, restart_s=TEAR_DOWN_S)
    outcome = story(cluster(2, jobs, saves=saves, windows=(window,)), [])
    assert times(outcome, "end_s") == [10800 + 36000 - (7200 - TEAR_DOWN_S)]
    assert ledger(outcome)["restarting"] == pytest.approx(TEAR_DOWN_S * 16)
    assert ledger(outcome)["lost_work"] == 0


def test_a_job_is_taken_off_while_it_restarts() -> None:
    """A fault at 100; leaving the nodes takes 200 s; they are wanted at 200, so that it begins to leave them again."""
    kind = fault(1e-9, takes_node_out=False, repair=None)
    jobs = job_table([2, 2], [1000.0, 50.0], [0.0, 200.0], priority=[0, 1])
    saves = profile(1e9, restart_s=200.0)
    outcome = story(cluster(2, jobs, kind, scheduling=Preemptive(), saves=saves), [(100.0, 0, 0)])
    assert times(outcome, "start_s") == [0, 400]
    # The work of the first 100 s was lost with the fault; it starts anew when the other has ended.
    assert times(outcome, "end_s") == [1450, 450]
    assert ledger(outcome)["restarting"] == pytest.approx(300 * 16)
