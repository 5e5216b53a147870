"""Jobs on a fabric while links fail: each story is worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from worlds import DAY_S, job_table, machine, profile, world

from simulator.distributions import Duration
from simulator.engine import run
from simulator.engine.link_states import LinkStates
from simulator.engine.world import Network
from simulator.faults.catalogue import FaultClass, RepairMix, RepairTier
from simulator.network.parts import groups_of_nodes, part_counts
from simulator.network.placed import place, schedules
from simulator.network.routing import Routing
from simulator.network.sharing import alone_times, shared_times
from simulator.network.topologies import Ports, ScaleUp, clos
from simulator.network.transport import IDEAL
from simulator.workload.placed_step import TrainingStep, reference
from simulator.workload.plans import ParallelPlan
from simulator.workload.training import Communication, StepDemand

HOUR_S = 3600.0


def network(nodes: int, policy: Any = "ecmp", reroute_s: float = 0.0, timeout_s: float = 600.0, **more: Any) -> Network:
    ports = Ports(50e9, 0.0, 8, ScaleUp(8, 900e9))
    fabric = clos(nodes * 8, more.pop("hosts_per_leaf", 16), ports, **more)
    return Network(fabric, Routing(policy, 0, reroute_s), IDEAL, timeout_s)


def step(net: Network, nodes: int, compute_s: float = 1.0, message: float = 400e9) -> TrainingStep:
    """One all-reduce over all GPUs of the job after ``compute_s`` of work."""
    plan = ParallelPlan(nodes * 8, tp=1, global_batch=nodes * 8)
    demand = StepDemand(compute_s, 0.0, 0.0, (Communication("dp", "all_reduce", message, 1.0),), 1.0, 1.0, 1.0)
    bare = TrainingStep(demand, plan)
    nominal = reference(bare, net.fabric, net.routing, net.transport)
    return TrainingStep(demand, plan, 1.0, tuple(nominal.items()), 0.4)


def on(net: Network, nodes: int, jobs: list[int], work_s: float, *faults: FaultClass, **more: Any) -> Any:
    one = step(net, jobs[0])
    hardware = replace(machine(nodes), fabric_units=part_counts(net.fabric), tiers=groups_of_nodes(net.fabric, nodes))
    own = replace(profile(), step=one)
    outcome = run(
        world(hardware, job_table(jobs, [work_s] * len(jobs)), own, *faults, network=net, **more), guards=True
    )
    return outcome, one


def fault(scope: str, units: int, mean_gap_s: float, out_s: float, **more: Any) -> FaultClass:
    mix = RepairMix("test", (RepairTier("back", 1.0, Duration("fixed", out_s, 0.0), False),))
    rate = 1.0 / (mean_gap_s * units)
    return FaultClass(
        scope, "link", rate, scope=scope, stops_job=False, takes_node_out=False, repair=mix, is_of_fabric=True, **more
    )


def test_a_job_alone_on_an_idle_fabric_runs_at_full_rate():
    net = network(4, "spray")
    outcome, one = on(net, 4, [4], HOUR_S)
    jobs = outcome.tables["jobs"]
    assert jobs["end_s"][0] == pytest.approx(HOUR_S)
    assert jobs["step_s"][0] == pytest.approx(one.nominal_s)
    assert jobs["step_slowdown"][0] == pytest.approx(1.0)
    assert outcome.summary["mfu"] == pytest.approx(0.4)
    assert sum(outcome.tables["steps"]["mean_s"]) == pytest.approx(one.nominal_s)


def test_the_rail_traffic_of_a_step_is_what_theory_says():
    net = network(4, "spray")
    # Rings along the rails: 2 (m - 1) / m of an eighth of the message through each NIC.
    parts = dict(step(net, 4).nominal)
    assert parts["compute"] == 1.0
    assert parts["dp"] == pytest.approx(2.0 * 3.0 / 4.0 / 8.0 * 400e9 / 50e9, rel=1e-9)


def test_oversubscription_slows_a_job_across_leaves_and_the_ledger_calls_it_degraded():
    wide = network(4, "spray")
    narrow = network(4, "spray", oversubscription=(4.0, 1.0))
    free, _ = on(wide, 4, [4], HOUR_S)
    held, one = on(narrow, 4, [4], HOUR_S)
    slow = held.tables["jobs"]["step_slowdown"][0]
    # Two nodes on each leaf: one flow of each of 8 rails leaves it, over uplinks worth 4 ports: twice as long.
    dp = dict(one.nominal)["dp"]
    assert slow == pytest.approx((1.0 + 2.0 * dp) / (1.0 + dp), rel=1e-6)
    ledger = dict(zip(held.tables["ledger"]["bucket"], held.tables["ledger"]["gpu_s"], strict=True))
    assert held.tables["jobs"]["end_s"][0] == pytest.approx(HOUR_S * slow)
    assert ledger["degraded"] == pytest.approx(32 * HOUR_S * (slow - 1.0))
    assert ledger["productive"] == pytest.approx(32 * HOUR_S)
    assert free.tables["jobs"]["end_s"][0] == pytest.approx(HOUR_S)


def test_a_lost_nic_link_stops_a_single_plane_job_and_takes_its_node_out():
    net = network(5, "ecmp", timeout_s=60.0)
    units = part_counts(net.fabric)["host_link"]
    lost = fault("host_link", units, 6.0 * HOUR_S, 2.0 * HOUR_S)
    outcome, _ = on(net, 5, [4], DAY_S, lost, horizon_s=2 * DAY_S)
    incidents, jobs = outcome.tables["incidents"], outcome.tables["jobs"]
    hit = incidents["effect"] == "interrupted"
    assert hit.sum() >= 2
    assert jobs["network_timeouts"][0] == jobs["interruptions"][0] == hit.sum()
    # It stands still for the timeout, and loses a node that comes back with the link.
    first = int(np.flatnonzero(hit)[0])
    assert incidents["isolated_s"][first] == pytest.approx(incidents["onset_s"][first])
    assert incidents["returned_s"][first] == pytest.approx(incidents["onset_s"][first] + 2.0 * HOUR_S)
    assert jobs["network_stall_s"][0] == pytest.approx(60.0 * hit.sum())
    assert outcome.summary["nodes_out_mean"] > 0.0


def test_with_planes_the_same_faults_only_slow_the_job():
    net = network(5, "spray", planes=4, timeout_s=60.0)
    units = part_counts(net.fabric)["host_link"]
    lost = fault("host_link", units, 6.0 * HOUR_S, 2.0 * HOUR_S)
    outcome, one = on(net, 5, [4], DAY_S, lost, horizon_s=2 * DAY_S)
    jobs = outcome.tables["jobs"]
    assert jobs["interruptions"][0] == 0
    assert jobs["network_stall_s"][0] == 0.0
    assert jobs["step_slowdown"][0] > 1.0
    # While one of four ports is down, communication takes 4/3 as long at most.
    dp = dict(one.nominal)["dp"]
    assert jobs["step_slowdown"][0] <= (1.0 + dp * 4.0 / 3.0) / (1.0 + dp)


@pytest.mark.parametrize("policy", ["spray", "adaptive"])
def test_a_port_at_half_rate_slows_a_job_less_than_a_dead_one(policy: Any):
    net = network(5, policy, planes=4, timeout_s=60.0)
    units = part_counts(net.fabric)["host_link"]

    def slowdown(left: float) -> float:
        hurt = fault("host_link", units, 6.0 * HOUR_S, HOUR_S / 2.0, capacity_left=left)
        return float(on(net, 5, [4], DAY_S, hurt, horizon_s=2 * DAY_S)[0].tables["jobs"]["step_slowdown"][0])

    dead, weak = slowdown(0.0), slowdown(0.5)
    # Faults come at the same times and last as long: what is lost is in proportion to 1 - rate of the job.
    dp = dict(step(net, 4).nominal)["dp"]
    lost = {ports: 1.0 - (1.0 + dp) / (1.0 + dp * 4.0 / ports) for ports in (3.0, 3.5)}
    assert weak - 1.0 == pytest.approx((dead - 1.0) * lost[3.5] / lost[3.0], rel=1e-4)


def test_routes_that_look_at_capacity_learn_of_weak_links_late_and_others_not_at_all():
    for policy, known in (("spray", 0.5), ("adaptive", 0.5), ("ecmp", 1.0), ("per_plane", 1.0)):
        states = LinkStates(network(4, policy, planes=4))
        cables = np.array([3])
        states.weaken(cables, 0.5)
        assert (states.known_left == 1.0).all()
        assert states.learn(cables) == (known < 1.0)
        links = np.flatnonzero(states._fabric.cable == 3)
        assert (states.known_left[links] == known).all()
        states.weaken(cables, 0.0)
        assert states.learn(cables)
        assert (states.known_left[links] == 0.0).all()
        states.restore(cables, 0.0)
        states.restore(cables, 0.5)
        assert states.learn(cables)
        assert (states.known_left == 1.0).all()


def test_a_flap_stalls_until_routes_converge_and_no_longer():
    net = network(4, "ecmp", reroute_s=10.0, hosts_per_leaf=8)
    units = part_counts(net.fabric)["leaf_spine_link"]
    flap = fault("leaf_spine_link", units, 2.0 * HOUR_S, 300.0)
    outcome, _ = on(net, 4, [4], DAY_S, flap, horizon_s=DAY_S)
    jobs, incidents = outcome.tables["jobs"], outcome.tables["incidents"]
    used = int((incidents["effect"] == "slowed").sum())
    assert used > 0
    assert jobs["network_stall_s"][0] == pytest.approx(10.0 * used, rel=0.2)
    assert jobs["interruptions"][0] == 0


def test_two_jobs_that_share_uplinks_slow_each_other_and_speed_up_when_one_ends():
    net = network(4, "spray", oversubscription=(2.0, 1.0))
    one = step(net, 2)
    hardware = replace(machine(4), tiers=groups_of_nodes(net.fabric, 4))

    class Crossed:
        """Each job gets one node of each leaf."""

        def place(self, view: Any) -> Any:
            return np.array([[0, 2], [1, 3]][view.job])

    jobs = job_table([2, 2], [HOUR_S, 2 * HOUR_S])
    outcome = run(world(hardware, jobs, replace(profile(), step=one), network=net, placement=Crossed()), guards=True)
    table = outcome.tables["jobs"]
    alone = 1.0 / (1.0 + dict(one.nominal)["dp"])
    assert table["step_slowdown"][0] > 1.0
    assert table["step_slowdown"][1] < table["step_slowdown"][0]  # it has the links to itself in the end
    assert 0.0 < alone < 1.0
    assert math.isclose(sum(outcome.tables["ledger"]["gpu_s"]), 32 * table["end_s"].max(), rel_tol=1e-9)


def test_with_eight_planes_a_dead_port_leaves_seven_eighths_of_the_rate():
    net = network(8, "spray", planes=8)
    fabric, ranks = net.fabric, np.arange(0, 64, 8)[np.newaxis, :]
    plan = next(schedules(fabric, ranks, "all_reduce", "ring"))
    cable = fabric.cable[fabric.tier == fabric.tiers.index("host")][0]
    up = fabric.cable != cable
    healthy, _ = place(fabric, plan, ranks, net.routing)
    hurt, arrives = place(fabric, plan, ranks, net.routing, up)
    assert arrives
    rate = healthy.phases[0].rate(fabric.capacity)
    assert hurt.phases[0].rate(np.where(up, fabric.capacity, 0.0)) == pytest.approx(7.0 / 8.0 * rate, rel=1e-9)


def uplinked(jobs: int, message: float, nvlink: float = 450e9, **more: Any) -> tuple[list[float], list[float], float]:
    """Two-node jobs, one node under each of two leaves: gradients' seconds alone and shared, and the fullest uplink."""
    fabric = clos(16 * jobs, 8 * jobs, Ports(50e9, 0.0, 8, ScaleUp(8, nvlink)), **more)
    net = Network(fabric, Routing("ecmp", 0, 0.0), IDEAL, 600.0)
    one = step(net, 2, 0.1, message)
    placed = [one.place(fabric, net.routing, IDEAL, np.array([j, jobs + j])) for j in range(jobs)]
    times = shared_times(fabric.capacity, [each.traffic for each in placed])
    load = np.zeros(fabric.links)
    for each, seconds in zip(placed, times, strict=True):
        period_s = each.traffic.other_s + float(np.dot(each.traffic.counts, seconds))
        for moved, count in zip(each.traffic.communications, each.traffic.counts, strict=True):
            load[moved.links] += moved.weights * moved.flow_bytes * count / period_s
    alone = [one.parts(each, alone_times(fabric.capacity, each.traffic))["dp"] for each in placed]
    shared = [one.parts(each, seconds)["dp"] for each, seconds in zip(placed, times, strict=True)]
    return alone, shared, float((load / fabric.capacity)[fabric.tier == fabric.tiers.index("leaf_spine")].max())


@pytest.mark.parametrize("nvlink", [4500e9, 450e9, 225e9])
def test_what_goes_over_nvlink_does_not_make_jobs_meet_on_the_uplink(nvlink: float):
    alone, shared, _ = uplinked(2, 4e9, nvlink, oversubscription=(16.0, 1.0))
    # Alone 0.08 s of 0.18 s go over the one uplink, whatever goes on inside the nodes meanwhile.
    assert alone == pytest.approx([0.08] * 2)
    assert shared == pytest.approx([0.08 * (1.0 + 0.08 / 0.18)] * 2, rel=1e-5)


@pytest.mark.parametrize(("message", "most_load", "at_most"), [(0.8e9, 0.1, 1.1), (4e9, 0.4, 1.5)])
def test_sixteen_jobs_slow_each_other_down_as_little_as_their_links_are_loaded(
    message: float, most_load: float, at_most: float
):
    alone, shared, load = uplinked(16, message)
    assert load < most_load
    slow = np.array(shared) / alone
    assert (slow >= 1.0 - 1e-9).all()
    assert (slow < at_most).all()
