"""Small worlds whose course can be told by hand: each test is a story with exact times."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from worlds import fault, job_table, ledger, machine, profile, repair, story, world

from simulator.accounting.energy import PowerModel
from simulator.cluster.inventory import contiguous_domains
from simulator.distributions import Duration
from simulator.engine.sampling import SAMPLES
from simulator.policies.placement.scale_up_aligned import ScaleUpAligned
from simulator.policies.recovery.ladder import GiveUp, ReplaceNodes, ReplaceOrShrink, RequeueJob
from simulator.workload.checkpoints import CheckpointTier
from simulator.workload.elastic import GoodputCurve
from simulator.workload.restart import RestartPhases


def one_job(**more: Any) -> Any:
    kind = fault(
        1e-9,
        detect=Duration("fixed", 10.0),
        localise=Duration("fixed", 20.0),
        repair=repair("fixed", 1000.0, verify=Duration("fixed", 50.0)),
    )
    machine_ = machine(5, spares=1)
    saves = profile(100.0, blocking_s=5.0, restart_s=60.0)
    return replace(world(machine_, job_table([4], [math.inf]), saves, kind, horizon_s=2000.0), **more)


def test_fault_is_detected_isolated_replaced_and_repaired() -> None:
    outcome = story(one_job(), [(500.0, 0, 2)])
    row = {name: column[0] for name, column in outcome.tables["incidents"].items()}
    assert (row["onset_s"], row["detected_s"], row["localised_s"], row["isolated_s"]) == (500, 510, 530, 530)
    assert (row["repair_started_s"], row["repaired_s"], row["returned_s"]) == (530, 1530, 1580)
    assert row["productive_again_s"] == 590  # 30 s detection, 60 s tear-down, hot spare at once
    buckets = ledger(outcome)
    # 500 s: cycles of 105 s; 4 checkpoints are done at 420, 80 s of work since then are lost.
    assert row["lost_work_gpu_s"] == pytest.approx(80 * 32)
    assert buckets["lost_work"] == pytest.approx(80 * 32)
    assert buckets["detecting"] == pytest.approx(30 * 32)
    assert buckets["restarting"] == pytest.approx(60 * 32)
    assert buckets["down"] == pytest.approx(1000 * 8)
    assert buckets["testing"] == pytest.approx(50 * 8)
    # From 590 s on 1,410 s: 13 cycles of 105 s and 45 s more.
    assert buckets["checkpointing"] == pytest.approx((4 * 5 + 13 * 5) * 32)
    assert buckets["productive"] == pytest.approx((400 + 13 * 100 + 45) * 32)
    assert sum(buckets.values()) == pytest.approx(40 * 2000, rel=1e-12)


def test_fault_during_restart_counts_and_restarts_the_restart() -> None:
    outcome = story(one_job(horizon_s=1000.0), [(500.0, 0, 2), (560.0, 0, 1)])
    assert outcome.summary["interruptions"] == 2
    # The second fault finds no spare: the job waits for the first node to come back after the horizon.
    assert ledger(outcome)["waiting_for_nodes"] == pytest.approx((1000 - 590) * 24)
    assert ledger(outcome)["lost_work"] == pytest.approx(80 * 32)


def test_fault_on_failed_node_is_discarded_and_idle_fault_stops_nobody() -> None:
    outcome = story(one_job(), [(500.0, 0, 2), (505.0, 0, 2), (600.0, 0, 2), (700.0, 0, 0)])
    assert outcome.tables["incidents"]["onset_s"].tolist() == [500, 700]
    outcome = story(one_job(), [(500.0, 0, 4)])
    assert outcome.summary["interruptions"] == 0
    assert outcome.tables["incidents"]["effect"].tolist() == ["lost_while_idle"]


def test_software_fault_keeps_the_node() -> None:
    kind = fault(1e-9, takes_node_out=False, detect=Duration("fixed", 10.0))
    base = one_job()
    outcome = story(replace(base, faults=(kind,)), [(500.0, 0, 2)])
    assert ledger(outcome)["down"] == 0
    assert outcome.tables["incidents"]["productive_again_s"][0] == 570
    assert math.isnan(outcome.tables["incidents"]["isolated_s"][0])


def test_fault_without_stop_cordons_until_the_job_ends() -> None:
    kind = fault(1e-9, stops_job=False, repair=repair("fixed", 100.0))
    base = one_job(jobs=job_table([4], [1000.0]), profiles=(profile(),))
    outcome = story(replace(base, faults=(kind,)), [(500.0, 0, 2)])
    assert outcome.summary["interruptions"] == 0
    assert outcome.tables["incidents"]["isolated_s"][0] == 1000
    assert outcome.tables["incidents"]["returned_s"][0] == 1100


def test_cordoned_node_can_still_fail_hard_and_is_then_out_once() -> None:
    soft = fault(1e-9, name="soft", stops_job=False, repair=repair("fixed", 100.0))
    hard = fault(1e-9, name="hard", repair=repair("fixed", 300.0))
    base = one_job(jobs=job_table([4], [1000.0]), profiles=(profile(),), faults=(soft, hard))
    outcome = story(base, [(500.0, 0, 2), (700.0, 1, 2)])
    incidents = outcome.tables["incidents"]
    assert incidents["effect"].tolist() == ["cordoned", "interrupted"]
    assert incidents["isolated_s"].tolist() == [700, 700]
    assert ledger(outcome)["down"] + ledger(outcome)["testing"] == pytest.approx(300 * 8)


def test_domain_fault_is_one_interruption_and_members_return_together() -> None:
    kind = fault(1e-9, scope="switch", repair=repair("fixed", 100.0))
    machine_ = machine(8, switch=4)
    base = one_job(machine=machine_, jobs=job_table([8], [math.inf]))
    outcome = story(replace(base, faults=(kind,)), [(500.0, 0, 1)])
    assert outcome.summary["interruptions"] == 1
    assert outcome.tables["incidents"]["nodes"][0] == 4
    assert ledger(outcome)["down"] == pytest.approx(100 * 32)
    assert ledger(outcome)["waiting_for_nodes"] == pytest.approx(100 * 32)
    assert outcome.tables["incidents"]["productive_again_s"][0] == 660


def test_requeue_gives_nodes_back_and_starts_again() -> None:
    base = one_job()
    queue = RestartPhases(tear_down_s=60.0, reallocate_queue_s=300.0)
    requeue = replace(base.profiles[0], recovery=RequeueJob(), restart=queue)
    shared = replace(base, profiles=(requeue,), machine=machine(5))
    outcome = story(shared, [(500.0, 0, 2)])
    assert outcome.tables["jobs"]["attempts"].tolist() == [2]
    # 30 s to detect, 60 s to leave the node that is left, 300 s from the queue.
    assert outcome.tables["incidents"]["productive_again_s"][0] == 890
    assert outcome.tables["jobs"]["state"].tolist() == ["running"]


def test_giving_up_fails_the_job_and_ends_the_run() -> None:
    base = one_job(horizon_s=None)
    outcome = story(replace(base, profiles=(replace(base.profiles[0], recovery=GiveUp()),)), [(500.0, 0, 2)])
    assert outcome.tables["jobs"]["state"].tolist() == ["failed"]
    assert outcome.tables["jobs"]["reason"].tolist() == [f"given up after {base.faults[0].name}"]
    assert outcome.tables["jobs"]["end_s"].tolist() == [530]


@pytest.mark.parametrize("nodes", [1, 8])
def test_a_run_without_a_horizon_is_sampled_evenly_some_hundred_times_however_long_it_takes(nodes: int) -> None:
    """100 jobs of an hour that come within a day are done in 25 hours on a node each, in 100 on all eight."""
    jobs = job_table([nodes] * 100, [3600.0] * 100, np.linspace(0.0, 86400.0, 100).tolist())
    outcome = story(world(machine(8), jobs, profile()), [])
    assert max(outcome.tables["jobs"]["end_s"]) == pytest.approx(25 * 3600 if nodes == 1 else 360_000)
    time_s = outcome.tables["queue"]["time_s"]
    assert SAMPLES <= len(time_s) <= 2 * SAMPLES + 1
    assert np.ptp(np.diff(time_s)) < 1e-6
    assert time_s[0] == 0.0
    assert np.unique(outcome.tables["series"]["time_s"]).tolist() == time_s.tolist()


def test_no_progress_limit_counts_interruptions_without_new_saved_work() -> None:
    base = one_job()
    limited = replace(base.profiles[0], recovery=ReplaceNodes(give_up_after=2))
    kind = fault(1e-9, takes_node_out=False)
    outcome = story(replace(base, profiles=(limited,), faults=(kind,)), [(50.0, 0, 0), (150.0, 0, 0), (900.0, 0, 0)])
    assert outcome.tables["jobs"]["state"].tolist() == ["failed"]
    assert outcome.tables["jobs"]["end_s"].tolist() == [150]


def test_memory_tier_is_lost_with_the_node_and_remote_tier_is_not() -> None:
    base = one_job()
    tiers = (CheckpointTier("host", 0.0, survives="process"), CheckpointTier("remote", 0.0, load_s=7.0))
    fast, slow = profile(10.0).checkpointing[0], profile(200.0).checkpointing[0]
    ladder = replace(base.profiles[0], tiers=tiers, checkpointing=(fast, slow))
    hardware = base.faults[0]
    software = fault(1e-9, name="bug", takes_node_out=False)
    both = replace(base, profiles=(ladder,), faults=(hardware, software))
    assert story(both, [(555.0, 1, 0)]).tables["incidents"]["lost_work_gpu_s"][0] == pytest.approx(5 * 32)
    outcome = story(both, [(555.0, 0, 0)])
    assert outcome.tables["incidents"]["lost_work_gpu_s"][0] == pytest.approx(155 * 32)
    assert outcome.tables["incidents"]["productive_again_s"][0] == 555 + 30 + 60 + 7


def test_partial_last_node_counts_as_idle() -> None:
    jobs = job_table([2], [100.0], gpus=[9])
    outcome = story(world(machine(2), jobs, profile()), [])
    assert ledger(outcome)["productive"] == 900
    assert ledger(outcome)["idle"] == 700


def test_job_larger_than_the_machine_is_rejected_with_a_reason() -> None:
    outcome = story(world(machine(4, spares=1), job_table([4, 3], [10.0, 10.0]), profile()), [])
    assert outcome.tables["jobs"]["state"].tolist() == ["rejected", "completed"]
    assert "3 without its spares" in outcome.tables["jobs"]["reason"][0]


def test_jobs_queue_in_order_and_pass_runs_after_completions_and_arrivals() -> None:
    jobs = job_table([3, 4, 1], [100.0, 50.0, 10.0], [0.0, 10.0, 100.0], gpus_per_node=1)
    outcome = story(world(machine(4, gpus_per_node=1), jobs, profile()), [])
    assert outcome.tables["jobs"]["start_s"].tolist() == [0, 100, 150]


def test_technicians_limit_repairs() -> None:
    base = one_job(technicians=1, horizon_s=5000.0)
    kind = replace(base.faults[0], repair=repair("fixed", 1000.0, needs_technician=True))
    outcome = story(replace(base, faults=(kind,)), [(500.0, 0, 2), (600.0, 0, 4 - 1)])
    assert outcome.tables["incidents"]["repair_started_s"].tolist() == [530, 1530]


def test_undetected_fault_on_an_idle_node_meets_the_job_that_gets_it() -> None:
    kind = fault(1e-9, detect=Duration("fixed", 100.0), repair=repair("fixed", 50.0))
    jobs = job_table([4], [500.0], [30.0])
    outcome = story(world(machine(4), jobs, profile(), kind), [(10.0, 0, 1)])
    assert outcome.tables["jobs"]["interruptions"].tolist() == [1]
    assert outcome.tables["jobs"]["end_s"].tolist() == [10 + 100 + 50 + 500]


def test_occupancy_counts_time_by_nodes_out() -> None:
    outcome = story(one_job(), [(500.0, 0, 2)])
    table = outcome.tables["occupancy"]
    out = {
        int(k): t
        for q, k, t in zip(table["quantity"], table["level"], table["time_s"], strict=True)
        if q == "nodes_out"
    }
    assert out == {0: pytest.approx(2000 - 1050), 1: pytest.approx(1050)}
    assert np.isclose(outcome.summary["nodes_out_mean"], 1050 / 2000)


def test_spare_shelf_is_filled_again_from_idle_nodes_after_a_large_outage() -> None:
    kind = fault(1e-9, scope="switch", repair=repair("fixed", 100.0))
    base = one_job(machine=machine(10, spares=2, switch=4), jobs=job_table([8], [math.inf]), faults=(kind,))
    outcome = story(base, [(500.0, 0, 0)])
    # Two spares help out, two nodes are missing until all four are back: two for the job, two for the shelf.
    buckets = ledger(outcome)
    assert buckets["spare"] == pytest.approx((2000 - 100) * 16)
    assert buckets["idle"] == 0
    assert buckets["waiting_for_nodes"] == pytest.approx(100 * 48)
    assert outcome.summary["spares_used_p99"] == 2


def test_second_fault_does_not_cancel_the_provisioning_of_a_cold_spare() -> None:
    hard = fault(1e-9, repair=repair("fixed", 1000.0))
    soft = fault(1e-9, name="bug", takes_node_out=False)
    cold = RestartPhases(reallocate_same_s=1.0, reallocate_cold_s=300.0)
    base = one_job(machine=machine(5, spares=1, kind="cold"), faults=(hard, soft))
    slow = replace(base, profiles=(replace(base.profiles[0], restart=cold),))
    outcome = story(slow, [(500.0, 0, 2), (600.0, 1, 0), (1500.0, 1, 0)])
    # The restart begins again with the whole provisioning; once at work, a process fault needs the same nodes only.
    assert outcome.tables["incidents"]["productive_again_s"].tolist() == [900, 900, 1501]


def test_copies_on_the_nodes_are_lost_when_the_job_queues_again() -> None:
    base = one_job()
    tiers = (CheckpointTier("host", 0.0, survives="node"), CheckpointTier("remote", 0.0, survives="domain"))
    fast, slow = profile(10.0).checkpointing[0], profile(200.0).checkpointing[0]
    requeue = replace(base.profiles[0], tiers=tiers, checkpointing=(fast, slow), recovery=RequeueJob())
    outcome = story(replace(base, profiles=(requeue,), machine=machine(5)), [(555.0, 0, 2)])
    assert outcome.tables["incidents"]["lost_work_gpu_s"][0] == pytest.approx(155 * 32)


def test_uncured_fault_waits_for_its_clock_and_then_strikes() -> None:
    mix = repair("fixed", 50.0, failure_probability=1.0, escape_probability=1.0, recurrence=Duration("fixed", 10.0))
    kind = fault(1e-9, clock="under_load", repair=mix)
    jobs = job_table([4, 4], [100.0, 1.0], [0.0, 1000.0])
    outcome = story(world(machine(4), jobs, profile(), kind, horizon_s=1005.0), [(50.0, 0, 1)])
    # Node 1 is back at 100 with the job; it would strike at 110 and so on until the job is done.
    onsets = outcome.tables["incidents"]["onset_s"]
    assert onsets[:2].tolist() == [50, 110]
    assert outcome.tables["jobs"]["interruptions"][0] == len(onsets) - np.sum(onsets >= 1000)


def test_waits_of_jobs_that_never_started_count_in_the_lower_bounds() -> None:
    """One node until 100: the first job holds it, the second wants 50 s from 20 on, the third has no end."""
    jobs = job_table([1, 1, 1], [1000.0, 50.0, math.inf], [0.0, 20.0, 60.0])
    summary = story(world(machine(1), jobs, profile(), horizon_s=100.0), []).summary
    assert (summary["jobs_waiting"], summary["wait_mean_s"]) == (2, 0)
    assert summary["wait_mean_lower_bound_s"] == pytest.approx((0 + 80 + 40) / 3)
    assert summary["wait_p95_lower_bound_s"] == pytest.approx(76)  # between 40 and 80, linear in rank
    assert math.isnan(summary["bounded_slowdown_mean"])  # none has finished
    assert summary["bounded_slowdown_mean_lower_bound"] == pytest.approx((1 + (80 + 50) / 50 + 1) / 3)


def test_ettr_counts_gpu_time_at_the_width_of_each_moment() -> None:
    """Two of four nodes are lost for good at 100 of 200 s; the job goes on with the others at half the speed."""
    kind = fault(1e-9, scope="switch", repair=repair("fixed", 1e6))
    shrinking = replace(profile(50.0), recovery=ReplaceOrShrink())
    jobs = job_table([4], [math.inf], fewest=[1], most=[4], width=[0])
    base = world(machine(4, switch=2), jobs, shrinking, kind, curves=(GoodputCurve(0.0, 0.0),), horizon_s=200.0)
    outcome = story(base, [(100.0, 0, 1)])
    row = {name: column[0] for name, column in outcome.tables["jobs"].items()}
    assert row["nodes"] == 2
    assert row["wall_gpu_s"] == 100 * 32 + 100 * 16
    assert outcome.summary["ettr"] == row["ettr"] == pytest.approx(1.0)
    assert row["productive_gpu_s"] == pytest.approx(100 * 32 + 100 * 16)


def replacements(outcome: Any) -> dict[int, float]:
    table = outcome.tables["occupancy"]
    mine = table["quantity"] == "replacements"
    return dict(zip(table["level"][mine].tolist(), table["time_s"][mine].tolist(), strict=True))


@pytest.mark.parametrize("spares", [0, 1, 2, 3])
def test_what_replaces_counts_the_same_be_it_a_spare_or_idle(spares: int) -> None:
    """Of three nodes that stand by one replaces node 0 from 100 to 600, another node 1 from 200 to 700."""
    kind = fault(1e-9, repair=repair("fixed", 500.0))
    base = world(machine(5, spares=spares), job_table([2], [math.inf]), profile(), kind, horizon_s=1000.0)
    assert replacements(story(base, [(100.0, 0, 0), (200.0, 0, 1)])) == {0: 400.0, 1: 200.0, 2: 400.0}


def test_a_node_that_comes_back_to_its_job_replaces_nothing() -> None:
    """Nothing stands by. Node 0 is lost at 100 and comes back to its job at 600; a node of no job is not replaced."""
    kind = fault(1e-9, repair=repair("fixed", 500.0))
    base = world(machine(2), job_table([2], [math.inf]), profile(), kind, horizon_s=1000.0)
    assert replacements(story(base, [(100.0, 0, 0)])) == {0: 1000.0}
    wide = replace(base, machine=machine(4, spares=1))
    assert replacements(story(wide, [(100.0, 0, 2), (100.0, 0, 3)])) == {0: 1000.0}


def test_a_job_that_ends_holds_nothing_in_place_of_others() -> None:
    kind = fault(1e-9, repair=repair("fixed", 500.0))
    base = world(machine(2), job_table([1], [300.0]), profile(10.0), kind, horizon_s=1000.0)
    assert replacements(story(base, [(100.0, 0, 0)])) == {0: 800.0, 1: 200.0}  # 100 s done and 200 to go


def racks(spares: int, **more: Any) -> Any:
    """Three racks of four nodes, as many spares in each, and a job that wants two nodes of each."""
    rack = contiguous_domains(12, 4)
    hardware = replace(machine(12, spares=3 * spares), spare_domain=rack, scale_up=rack)
    kind = fault(1e-9, repair=repair("fixed", 500.0))
    jobs = job_table([6], [math.inf])
    base = world(hardware, jobs, profile(), kind, placement=ScaleUpAligned(domain_nodes=2), horizon_s=1000.0)
    return replace(base, **more)


def held_at(outcome: Any, time_s: float) -> list[int]:
    """Return the nodes that the job has at a time."""
    spans = outcome.tables["spans"]
    mine = (spans["job"] == "job-0") & (spans["start_s"] <= time_s) & (time_s < spans["end_s"])
    return sorted(spans["node"][mine].tolist())


def test_every_rack_has_its_own_spares_and_replaces_its_own_nodes() -> None:
    outcome = story(racks(2), [(100.0, 0, 4), (200.0, 0, 5), (300.0, 0, 8)])
    assert held_at(outcome, 50.0) == [0, 1, 4, 5, 8, 9]
    assert held_at(outcome, 150.0) == [0, 1, 5, 6, 8, 9]
    assert held_at(outcome, 250.0) == [0, 1, 6, 7, 8, 9]
    assert held_at(outcome, 350.0) == [0, 1, 6, 7, 9, 10]
    assert outcome.summary["uneven_placements"] == 0
    # Nodes 4, 5 and 8 come back after 500 s as spares of their racks.
    assert ledger(outcome)["spare"] == 8 * (6 * 100 + 5 * 100 + 4 * 100 + 3 * 300 + 4 * 100 + 5 * 100 + 6 * 200)


def test_a_rack_without_spares_left_takes_others_and_that_is_counted() -> None:
    outcome = story(racks(1), [(100.0, 0, 4), (200.0, 0, 5)])
    assert held_at(outcome, 150.0) == [0, 1, 5, 7, 8, 9]
    # Its fourth node is idle and evens the racks out; the next one must come from elsewhere.
    assert held_at(outcome, 250.0) == [0, 1, 6, 7, 8, 9]
    assert outcome.summary["uneven_placements"] == 0
    outcome = story(racks(1), [(100.0, 0, 4), (200.0, 0, 5), (300.0, 0, 6)])
    assert len(held_at(outcome, 350.0)) == 6
    assert outcome.summary["uneven_placements"] == 1


def test_a_start_that_cannot_keep_to_equal_parts_is_counted() -> None:
    """Eight nodes are more than two of each of three racks; four nodes are two of each of two."""
    assert story(racks(0, jobs=job_table([8], [100.0])), []).summary["uneven_placements"] == 1
    assert story(racks(0, jobs=job_table([4], [100.0])), []).summary["uneven_placements"] == 0


@pytest.mark.parametrize("keeps", [False, True])
def test_who_had_which_node_is_kept_for_large_machines_where_that_is_asked_for(keeps: bool) -> None:
    base = world(machine(100), job_table([100], [50.0]), profile(), keeps_spans=keeps)
    assert len(story(base, []).tables["spans"]["node"]) == (100 if keeps else 0)


def test_a_run_without_jobs_and_without_a_horizon_ends_at_once() -> None:
    outcome = story(replace(one_job(horizon_s=None), jobs=job_table([], [])), [])
    assert outcome.summary["jobs_completed"] == 0
    assert outcome.tables["ledger"]["gpu_s"].sum() == 0


def test_an_idle_node_helps_out_before_it_is_a_cold_spare() -> None:
    """Two jobs of one node are struck at once; one cold spare (2 h) and one idle node (6 min)."""
    restart = RestartPhases(reallocate_cold_s=7200.0, reallocate_repaired_s=360.0)
    base = one_job(machine=machine(4, spares=1, kind="cold"), jobs=job_table([1, 1], [36000.0] * 2), horizon_s=None)
    base = replace(base, faults=(fault(1e-9, repair=repair("fixed", 1e6)),))
    base = replace(base, profiles=(replace(profile(600.0), restart=restart),))
    before = story(base, []).tables["jobs"]["end_s"]
    after = story(base, [(600.0, 0, 0), (600.0, 0, 1)]).tables["jobs"]["end_s"]
    assert sorted(after - before) == [360, 7200]


def test_cold_spares_are_off() -> None:
    """Four nodes of 8 GPUs, one a spare, for 100 s: 1 W a GPU when it waits, none when it is off."""
    jobs = job_table([1], [1.0], [99.0])
    energy = {}
    for kind in ("warm", "cold"):
        power = PowerModel(1.0, 1.0, 0.0, spares_are_off=kind == "cold")
        base = world(machine(4, spares=1, kind=kind), jobs, profile(), power=power)
        energy[kind] = story(base, []).summary["energy_j"]
    assert energy == {"warm": 100 * 32, "cold": 100 * 24}
