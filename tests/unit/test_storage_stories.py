"""Jobs that share storage: checkpoints, data and restarts, each story worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from worlds import HOUR_S, fault, job_table, machine, repair, world

from simulator.engine import JobProfile, run
from simulator.engine.simulation import Simulation
from simulator.engine.world import Network
from simulator.faults.catalogue import FaultClass, RepairMix, RepairTier
from simulator.network.parts import groups_of_nodes, part_counts
from simulator.network.routing import Routing
from simulator.network.topologies import Ports, clos
from simulator.network.transport import IDEAL
from simulator.policies.checkpointing.intervals import Fixed
from simulator.policies.recovery.ladder import ReplaceNodes
from simulator.workload.checkpoints import CheckpointTier, Transfer
from simulator.workload.placed_step import TrainingStep, reference
from simulator.workload.plans import ParallelPlan
from simulator.workload.restart import RestartPhases
from simulator.workload.storage import Storage, idle_seconds, ways
from simulator.workload.training import Communication, StepDemand

SYSTEM = Storage(write_rate=100e9, read_rate=200e9)


def saving(size_bytes: float, interval_s: float, is_blocking: bool, idle_s: float, read_s: float = 0.0) -> JobProfile:
    moved = Transfer(size_bytes, is_blocking)
    tier = replace(CheckpointTier("store", 0.0, transfer=moved), load_s=read_s).written_in(idle_s)
    return JobProfile("test", (tier,), (Fixed(interval_s),), RestartPhases(tear_down_s=10.0), ReplaceNodes())


def ledger(outcome: Any) -> dict[str, float]:
    return dict(zip(outcome.tables["ledger"]["bucket"], outcome.tables["ledger"]["gpu_s"], strict=True))


def test_a_job_alone_writes_at_the_rate_of_the_storage():
    own = saving(1e12, 990.0, True, 10.0)
    outcome = run(world(machine(4), job_table([4], [9900.0]), own, storage=SYSTEM), guards=True)
    jobs = outcome.tables["jobs"]
    assert jobs["end_s"][0] == pytest.approx(9900.0 + 9 * 10.0)  # the save at the very end is not taken
    assert jobs["checkpoint_write_s"][0] == pytest.approx(10.0)
    assert ledger(outcome)["checkpointing"] == pytest.approx(90.0 * 32)
    links = outcome.tables["links"]
    written = dict(zip(links["tier"], links["load_mean"], strict=True))["storage_write"]
    assert written == pytest.approx(10 * 1e12 / 9990.0 / 100e9, rel=1e-3)  # the last interval counts


def test_the_port_of_a_node_can_be_slower_than_the_storage():
    found = ways(replace(SYSTEM, node_rate=5e9), np.arange(4), 8, 4)
    assert idle_seconds(SYSTEM, None, found.write.moving(1e12)) == pytest.approx(1e12 / 20e9)
    assert idle_seconds(SYSTEM, None, found.read.moving(1e12)) == pytest.approx(1e12 / 20e9)


def test_jobs_that_save_often_wait_for_each_other_as_often_as_they_meet():
    own = saving(1e12, 90.0, True, 10.0)
    jobs = job_table([2, 2], [9000.0, 9000.0])
    outcome = run(world(machine(4), jobs, own, storage=SYSTEM), guards=True)
    # One finds the other as often as that writes when it is alone: for 10 of 100 s.
    w = 10.0 * (1.0 + 10.0 / 100.0)
    np.testing.assert_allclose(outcome.tables["jobs"]["checkpoint_write_s"], w, rtol=1e-6)
    np.testing.assert_allclose(outcome.tables["jobs"]["end_s"], 9000.0 + 99 * w, rtol=1e-6)


def test_saves_in_the_background_cost_nothing_while_the_storage_keeps_up():
    own = saving(1e12, 90.0, False, 10.0)
    outcome = run(world(machine(4), job_table([2], [9000.0]), own, storage=SYSTEM), guards=True)
    assert outcome.tables["jobs"]["end_s"][0] == pytest.approx(9000.0)
    slow = saving(9e12, 80.0, False, 90.0)
    outcome = run(world(machine(4), job_table([2], [8000.0]), slow, storage=SYSTEM), guards=True)
    # A save takes 90 s and is due every 80 s: each but the first waits 10 s for the one before.
    assert outcome.tables["jobs"]["end_s"][0] == pytest.approx(8000.0 + 98 * 10.0)


def test_storage_that_cannot_keep_up_writes_as_fast_as_it_can_and_no_faster():
    own = saving(1e12, 30.0, False, 10.0)
    outcome = run(world(machine(8), job_table([2] * 4, [9000.0] * 4), own, storage=SYSTEM), guards=True)
    # Four jobs write without a pause: 40 s each, which is longer than the interval.
    np.testing.assert_allclose(outcome.tables["jobs"]["checkpoint_write_s"], 40.0, rtol=1e-6)
    written = dict(zip(outcome.tables["links"]["tier"], outcome.tables["links"]["load_mean"], strict=True))
    assert 0.98 < written["storage_write"] <= 1.0


def restarting(jobs: int, size_bytes: float) -> Any:
    hit = fault(1.0 / (2 * HOUR_S), scope="switch", stops_job=True, takes_node_out=False, repair=None)
    own = saving(size_bytes, 1000.0, False, size_bytes / 100e9, size_bytes / 200e9)
    hardware = machine(2 * jobs, switch=2 * jobs)  # one switch: all jobs stop at once
    table = job_table([2] * jobs, [20 * HOUR_S] * jobs)
    return run(world(hardware, table, own, hit, storage=SYSTEM, horizon_s=20 * HOUR_S), guards=True)


@pytest.mark.parametrize("jobs", [1, 4])
def test_jobs_that_restart_at_once_share_what_the_storage_reads(jobs: int):
    size = 1e12
    outcome = restarting(jobs, size)
    phases = outcome.tables["phases"]
    load = dict(zip(phases["phase"], zip(phases["job_s"], phases["times"], strict=True), strict=True))["load"]
    assert load[1] >= jobs
    # Nothing but the checkpoints of the others, which do not run, is read: each gets an equal share.
    assert load[0] / load[1] == pytest.approx(jobs * size / 200e9, rel=1e-6)


def test_a_job_that_reads_while_others_leave_speeds_up():
    own = saving(4e12, 1000.0, False, 40.0, 20.0)
    simulation = world(machine(4), job_table([2, 2], [2000.0, 2000.0], [0.0, 0.0]), own, storage=SYSTEM)
    running = Simulation(simulation, True)
    one, other = running.run_of(0), running.run_of(1)
    one.ids, other.ids = np.array([0, 1]), np.array([2, 3])
    ends = {}

    def reads(run: Any, at_s: float, size: float) -> Any:
        yield running.env.timeout(at_s)
        yield running.interconnect.load(run, size)
        ends[run.job] = running.now

    running.env.process(reads(one, 0.0, 4e12))
    running.env.process(reads(other, 10.0, 1e12))
    running.env.run()
    # 10 s alone: 2 of 4 TB. Then 100 GB/s each until the other has its 1 TB at 20 s; 1 TB is left at 200 GB/s.
    assert ends == {1: pytest.approx(20.0), 0: pytest.approx(25.0)}


def on_fabric(servers: int = 2, **more: Any) -> tuple[Network, Storage]:
    fabric = clos((4 + servers) * 2, 4, Ports(10e9, 0.0, 2), **more)  # two nodes of two GPUs on a leaf
    return Network(fabric, Routing("spray", 0, 5.0), IDEAL, 60.0), replace(SYSTEM, servers=servers)


def test_bytes_go_over_the_fabric_to_the_servers():
    net, store = on_fabric()
    found = ways(store, np.arange(4), 2, 4, net.fabric, net.routing)
    # Eight GPUs at 10 GB/s meet four ports of servers: those are the bottleneck, not the storage behind them.
    assert idle_seconds(store, net.fabric, found.write.moving(1e12)) == pytest.approx(1e12 / 40e9)
    assert idle_seconds(store, net.fabric, found.read.moving(1e12)) == pytest.approx(1e12 / 40e9)


def training(net: Network, message: float, data_s: float = 0.0) -> TrainingStep:
    plan = ParallelPlan(8, global_batch=8)
    demand = StepDemand(1.0, 0.0, 0.0, (Communication("dp", "all_reduce", message, 1.0),), 1.0, 1.0, 1e12)
    bare = TrainingStep(demand, plan)
    nominal = reference(bare, net.fabric, net.routing, net.transport, data_s)
    return TrainingStep(demand, plan, 1.0, tuple(nominal.items()), 0.4)


def hardware(net: Network) -> Any:
    return replace(machine(4, 2), fabric_units=part_counts(net.fabric), tiers=groups_of_nodes(net.fabric, 4))


def test_saves_in_the_background_slow_the_steps_they_share_links_with():
    net, store = on_fabric()
    step = training(net, 20e9)
    own = replace(saving(1e12, 100.0, False, 25.0), step=step)
    table = job_table([4], [36000.0], gpus_per_node=2)
    outcome = run(world(hardware(net), table, own, network=net, storage=store), guards=True)
    slow = outcome.tables["jobs"]["step_slowdown"][0]
    # A quarter of the time a save takes half of every port: the ring needs up to twice as long meanwhile.
    alone, share = 2.0 * 7.0 / 8.0 * 20e9 / 10e9, 0.25
    assert 1.0 < slow < (1.0 + alone * (1.0 + 1.5 * share)) / (1.0 + alone)
    quiet = replace(saving(1e12, 1e9, False, 25.0), step=step)
    outcome = run(world(hardware(net), table, quiet, network=net, storage=store), guards=True)
    assert outcome.tables["jobs"]["step_slowdown"][0] == pytest.approx(1.0, abs=1e-6)


def test_data_that_outlasts_the_step_shows_in_it():
    net, store = on_fabric()
    nominal_s = sum(training(net, 0.0).nominal_parts_s.values())
    step = training(net, 0.0, data_s=2.5 * nominal_s)
    assert step.nominal_s == pytest.approx(2.5)
    assert step.nominal_parts_s["data"] == pytest.approx(1.5)
    plain = JobProfile("test", (), (), RestartPhases(), ReplaceNodes(), step, data_rate=100e9 / 2.5)
    outcome = run(world(hardware(net), job_table([4], [1000.0], gpus_per_node=2), plain, network=net, storage=store))
    assert outcome.tables["jobs"]["step_s"][0] == pytest.approx(2.5)
    assert outcome.tables["jobs"]["end_s"][0] == pytest.approx(1000.0)


def test_a_job_whose_way_to_storage_is_broken_stands_still_until_routes_avoid_it():
    net, store = on_fabric()
    mix = RepairMix("test", (RepairTier("back", 1.0, repair("fixed", 500.0).tiers[0].time, False),))
    broken = FaultClass(
        "switch", "switch", 1.0 / 7200.0, scope="spine_switch", stops_job=False, takes_node_out=False, repair=mix,
        is_of_fabric=True,
    )  # fmt: skip
    own = saving(1e12, 100.0, False, 25.0)
    table = job_table([4], [36000.0], gpus_per_node=2)
    outcome = run(world(hardware(net), table, own, broken, network=net, storage=store), guards=True)
    incidents = len(outcome.tables["incidents"]["onset_s"])
    assert incidents > 3
    assert outcome.tables["jobs"]["network_timeouts"][0] == 0
    stall_s = outcome.tables["jobs"]["network_stall_s"][0]
    assert stall_s == pytest.approx(5.0 * round(stall_s / 5.0), abs=1e-6)
    assert stall_s > 0
    assert outcome.tables["jobs"]["end_s"][0] == pytest.approx(36000.0 + stall_s, rel=1e-9)


def test_without_storage_nothing_changes():
    outcome = run(world(machine(4), job_table([4], [100.0]), JobProfile("t", (), (), RestartPhases(), ReplaceNodes())))
    assert math.isnan(outcome.tables["jobs"]["checkpoint_write_s"][0])
    assert len(outcome.tables["links"]["tier"]) == 0
