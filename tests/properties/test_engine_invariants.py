"""Whatever the world: the ledger sums, no GPU is in two places, jobs account for their time."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import fault, job_table, machine, profile, repair, world

from simulator.accounting.metrics import HELD
from simulator.distributions import Duration
from simulator.engine.fleet import SHARED
from simulator.engine.simulation import Simulation
from simulator.engine.world import Window
from simulator.faults.catalogue import Frailty, Hazard
from simulator.policies.health.strikes import Strikes
from simulator.policies.placement.scale_up_aligned import ScaleUpAligned
from simulator.policies.placement.topology import TopologyAware
from simulator.policies.recovery.ladder import GiveUp, ReplaceNodes, ReplaceOrRequeue, ReplaceOrShrink, RequeueJob
from simulator.policies.registry import families
from simulator.policies.scheduling.combined import Combined, Limit, Limits
from simulator.policies.scheduling.conservative import Conservative
from simulator.policies.scheduling.easy import Easy
from simulator.policies.scheduling.elastic import Elastic
from simulator.policies.scheduling.fifo import Fifo
from simulator.policies.scheduling.multifactor import Multifactor
from simulator.policies.scheduling.preemptive import Preemptive
from simulator.policies.scheduling.quota import Quota
from simulator.policies.scheduling.sjf import ShortestFirst
from simulator.workload.elastic import GoodputCurve

DURATIONS = st.builds(
    Duration,
    st.sampled_from(["fixed", "exponential", "lognormal", "gamma"]),
    st.sampled_from([0.0, 5.0, 60.0]),
    st.just(0.8),
)


@st.composite
def fault_classes(draw: st.DrawFn, index: int, slowdown: float = 1.0) -> Any:
    takes_out = draw(st.booleans())
    return fault(
        draw(st.sampled_from([1e-5, 1e-4, 1e-3])) / slowdown,
        name=f"class-{index}",
        scope=draw(st.sampled_from(["node", "node", "switch"])),
        components_per_unit=draw(st.integers(1, 3)),
        hazard=draw(st.sampled_from([Hazard(), Hazard("weibull", 0.7), Hazard("lognormal", 1.0)])),
        clock=draw(st.sampled_from(["calendar", "powered", "under_load"])),
        stops_job=draw(st.booleans()) if takes_out else True,
        takes_node_out=takes_out,
        detect=draw(DURATIONS),
        localise=draw(DURATIONS),
        frailty=draw(st.sampled_from([None, Frailty(0.2, 5.0, 0.3)])),
        repair=repair(
            draw(st.sampled_from(["fixed", "exponential"])),
            draw(st.sampled_from([0.0, 300.0, 3000.0])),
            needs_technician=draw(st.booleans()),
            verify=draw(DURATIONS),
            failure_probability=draw(st.sampled_from([0.0, 0.3])),
            escape_probability=draw(st.sampled_from([0.0, 0.5, 1.0])),
            recurrence=Duration("exponential", 500.0),
        ),
    )


@st.composite
def worlds(draw: st.DrawFn) -> Any:
    nodes = draw(st.integers(3, 12))
    spares = draw(st.integers(0, 2))
    n_jobs = draw(st.integers(0, 8))
    sizes = draw(st.lists(st.integers(1, nodes), min_size=n_jobs, max_size=n_jobs))
    unused = draw(st.lists(st.integers(0, 3), min_size=n_jobs, max_size=n_jobs))
    work_s = draw(st.lists(st.sampled_from([0.0, 10.0, 500.0, 5000.0, math.inf]), min_size=n_jobs, max_size=n_jobs))
    submit_s = sorted(draw(st.lists(st.integers(0, 3000), min_size=n_jobs, max_size=n_jobs)))
    requested_s = draw(st.lists(st.sampled_from([60.0, 600.0, math.inf]), min_size=n_jobs, max_size=n_jobs))
    gpus = [4 * size - spare for size, spare in zip(sizes, unused, strict=True)]
    saves = profile(
        draw(st.sampled_from([math.inf, 50.0, 400.0])), 3.0, 20.0, persist_s=draw(st.sampled_from([0.0, 100.0]))
    )
    recovery = draw(st.sampled_from([ReplaceNodes(), RequeueJob(3), ReplaceOrRequeue(), GiveUp()]))
    kinds = [draw(fault_classes(index)) for index in range(draw(st.integers(0, 3)))]
    return world(
        machine(nodes, 4, spares, draw(st.sampled_from(["hot", "warm", "cold"])), switch=4),
        job_table(sizes, work_s, [float(s) for s in submit_s], gpus=gpus, requested_s=requested_s, gpus_per_node=4),
        type(saves)(saves.name, saves.tiers, saves.checkpointing, saves.restart, recovery),
        *kinds,
        scheduling=draw(st.sampled_from([Fifo(), Easy()])),
        technicians=draw(st.sampled_from([None, 1, 2])),
        horizon_s=draw(st.sampled_from([1.0, 777.7, 20_000.0])),
        seed=draw(st.integers(0, 5)),
    )


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_every_gpu_second_is_in_exactly_one_bucket(base: Any) -> None:
    simulation = Simulation(base, guards=True)
    outcome = simulation.run()  # asserts the sum within 1e-9 and that no state ever holds fewer than 0 GPUs
    table = outcome.tables["ledger"]
    buckets = dict(zip(table["bucket"], table["gpu_s"], strict=True))
    total = base.machine.gpus * base.horizon_s
    assert sum(buckets.values()) == pytest.approx(total, rel=1e-9)
    assert min(buckets.values()) >= 0
    jobs = outcome.tables["jobs"]
    assert np.sum(jobs["productive_s"] * jobs["gpus"]) == pytest.approx(
        buckets["productive"], rel=1e-9, abs=1e-6 * total
    )
    assert np.sum(jobs["lost_work_gpu_s"]) == pytest.approx(buckets["lost_work"], rel=1e-9, abs=1e-6 * total)
    incidents = outcome.tables["incidents"]
    assert np.sum(incidents["lost_work_gpu_s"]) == pytest.approx(buckets["lost_work"], rel=1e-9, abs=1e-6 * total)
    occupancy = outcome.tables["occupancy"]
    for quantity in ("nodes_out", "replacements"):
        assert occupancy["time_s"][occupancy["quantity"] == quantity].sum() == pytest.approx(base.horizon_s)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_nodes_are_in_one_place_and_counters_agree(base: Any) -> None:
    simulation = Simulation(base, guards=True)
    simulation.run()
    fleet = simulation.fleet
    held, spare, free, out = fleet.holder >= 0, fleet.spare, fleet.free, fleet.out > 0
    assert not (held & (spare | free | out)).any()
    assert not (spare & (free | out)).any()
    assert not (free & out).any()
    assert fleet.n_free == free.sum()
    assert fleet.n_spare == spare.sum()
    assert fleet.n_out == out.sum()
    for job, run in simulation.runs.items():
        assert sorted(run.ids.tolist()) == np.flatnonzero(fleet.holder == job).tolist()
    incidents = simulation.incidents.rows
    for row in incidents:
        stages = [row.onset_s, row.detected_s, row.localised_s, row.isolated_s]
        stages += [row.repair_started_s, row.repaired_s, row.returned_s]
        known = [time for time in stages if not math.isnan(time)]
        assert known == sorted(known)


# --- every policy in worlds with everything ---------------------------------------------------------------------------


def scheduling_policies() -> list[Any]:
    """Return every built-in policy by its defaults, and those with keys that matter with other values."""
    others = [
        Preemptive(grace=30.0, min_run_time=50.0, most_preemptions=2),
        Preemptive(grace=5.0, backfill="none"),
        Quota(quotas=(("a", 8.0), ("b", 12.0)), grace=20.0),
        Quota(quotas=(("a", 8.0), ("b", 40.0)), borrowing=False),
        Elastic(min_interval=0.0, least_gain=0.0),
        Combined(Multifactor(), Preemptive(grace=10.0, mode="cancel"), Limits({"a": Limit(8, 2)}, {}, Limit(jobs=3))),
        Combined(Fifo(), Preemptive(min_run_time=20.0), None),
        Combined(ShortestFirst(), None, Limits({}, {}, None, Limit(gpus=20))),
    ]
    return [policy() for policy in families()["scheduling"].values()] + others


def placement_policies() -> list[Any]:
    others = [TopologyAware(wait_for_fit=True), ScaleUpAligned(domain_nodes=2)]
    return [policy() for policy in families()["placement"].values()] + others


@st.composite
def full_worlds(draw: st.DrawFn) -> Any:
    """Return worlds with shared nodes, elastic jobs, classes, accounts, windows, tiers, quarantine and every policy."""
    g, nodes = 4, draw(st.integers(3, 12))
    spares = draw(st.integers(0, 2))
    most = nodes - spares
    n_jobs = draw(st.integers(1, 10))

    def each(strategy: Any) -> Any:
        return draw(st.lists(strategy, min_size=n_jobs, max_size=n_jobs))

    shares = np.array(each(st.booleans())) if draw(st.booleans()) else np.zeros(n_jobs, dtype=bool)
    sizes = np.where(shares, 1, np.array(each(st.integers(1, most + 1))))
    gpus = np.where(shares, np.array(each(st.integers(1, g - 1))), sizes * g)
    elastic = np.array(each(st.booleans())) & ~shares & draw(st.booleans())
    fewest = np.where(elastic, np.maximum(sizes - np.array(each(st.integers(0, 3))), 1), sizes)
    widest = np.where(elastic, sizes + np.array(each(st.integers(0, 3))), sizes)
    has_horizon = draw(st.booleans())
    works = [0.0, 10.0, 500.0, 3000.0] + ([math.inf] if has_horizon else [])
    fails = [math.inf, math.inf, math.inf, 100.0]
    saves = profile(
        draw(st.sampled_from([50.0, 400.0] if elastic.any() else [math.inf, 50.0, 400.0])),
        3.0,
        draw(st.sampled_from([0.0, 20.0])),
        persist_s=draw(st.sampled_from([0.0, 100.0])),
    )
    requeue = RequeueJob(most_requeues=3, backoff=draw(st.sampled_from([0.0, 40.0])))
    recoveries = [GiveUp(), requeue, ReplaceOrRequeue(3, most_requeues=3), ReplaceOrShrink(3, most_requeues=3)]
    recovery = draw(st.sampled_from([*recoveries, ReplaceNodes(3)]))
    windows = []
    for number in range(draw(st.integers(0, 2))):
        start_s = draw(st.sampled_from([0.0, 100.0, 900.0]))
        members = np.flatnonzero(np.array(draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes))))
        is_maintenance = draw(st.booleans())
        account = "" if is_maintenance else draw(st.sampled_from(["a", "b", ""]))
        length_s = draw(st.sampled_from([50.0, 700.0]))
        window = Window(f"window-{number}", start_s, start_s + length_s, members, account, is_maintenance)
        if not any(start_s < other.end_s and other.start_s < window.end_s for other in windows):
            windows.append(window)
    leaf = np.arange(nodes) // draw(st.integers(1, 4))
    tiers = draw(st.sampled_from([np.empty((0, nodes), dtype=np.int64), np.array([leaf, leaf // 2])]))
    hardware = machine(nodes, g, spares, draw(st.sampled_from(["hot", "warm"])), switch=4)
    requested_s = each(st.sampled_from([60.0, 600.0, math.inf] if has_horizon else [60.0, 600.0]))
    schedulers = scheduling_policies()
    if math.inf in requested_s:
        schedulers = [policy for policy in schedulers if not isinstance(policy, Conservative)]
    # Where the run ends with its last job, jobs must have a chance to end before they are interrupted.
    kinds = [draw(fault_classes(index, 1.0 if has_horizon else 30.0)) for index in range(draw(st.integers(0, 2)))]
    return world(
        dataclasses.replace(hardware, tiers=tiers, scale_up=np.arange(nodes) // 3),
        job_table(
            sizes.tolist(),
            each(st.sampled_from(works)),
            sorted(float(s) for s in each(st.sampled_from([0, 0, 30, 200, 1000]))),
            gpus=gpus,
            shares=shares,
            requested_s=requested_s,
            priority=each(st.integers(0, 2)),
            account=np.array(each(st.sampled_from(["a", "b", "c"])), dtype=object),
            fewest=fewest,
            most=widest,
            width=np.where(elastic, 0, -1),
            fails_at_s=each(st.sampled_from(fails)),
            gpus_per_node=g,
        ),
        type(saves)(saves.name, saves.tiers, saves.checkpointing, saves.restart, recovery),
        *kinds,
        scheduling=draw(st.sampled_from(schedulers)),
        placement=draw(st.sampled_from(placement_policies())),
        health=draw(st.sampled_from([None, Strikes(1, 1e6, 500.0)])),
        windows=tuple(windows),
        curves=(GoodputCurve(0.05, 0.001),),
        technicians=draw(st.sampled_from([None, 1])),
        horizon_s=draw(st.sampled_from([1.0, 777.7, 20_000.0])) if has_horizon else None,
        seed=draw(st.integers(0, 5)),
    )


class Watched(Simulation):
    """A run that is stopped when it goes on for absurdly long, and whose nodes are looked at after every event."""

    def run(self) -> Any:
        self.events = 0
        self.wall_gpu_s = np.zeros(len(self.known.job))
        step = self.env.step

        def counted() -> None:
            before_s = self.now
            widths = [(job, run.gpus) for job, run in self.runs.items() if not math.isnan(run.start_s)]
            try:
                step()  # raises at the horizon
            finally:
                for job, gpus in widths:
                    self.wall_gpu_s[job] += gpus * (self.now - before_s)
            self.events += 1
            assert self.events < 200_000, f"no end in sight at {self.now} s"
            if self.events % 7 == 0:
                self.look()

        self.env.step = counted
        return super().run()

    def look(self) -> None:
        fleet, g = self.fleet, self.world.machine.gpus_per_node
        assert fleet.n_free == fleet.free.sum()
        assert fleet.n_free_gpus == fleet.free_gpus.sum()
        assert fleet.n_spare == fleet.spare.sum()
        assert fleet.n_out == (fleet.out > 0).sum()
        held = fleet.holder >= 0
        assert not (held & (fleet.spare | fleet.free | (fleet.out > 0))).any()
        assert not (fleet.spare & (fleet.free | (fleet.out > 0))).any()
        assert not (fleet.free & (fleet.out > 0)).any()
        assert (fleet.free_gpus[fleet.free] == g).all()
        assert (fleet.free_gpus[held] == 0).all()
        taken = np.zeros(self.world.machine.nodes, dtype=np.int64)
        for job, run in self.runs.items():
            if run.shares:
                taken[run.ids] += run.gpus
                assert all(job in fleet.tenants[node] for node in run.ids.tolist())
            else:
                assert sorted(run.ids.tolist()) == np.flatnonzero(fleet.holder == job).tolist()
                taken[run.ids] += g
            assert len(run.ids) <= run.nodes
        assert (taken <= g).all()  # no node has two owners
        assert (taken[fleet.holder == SHARED] > 0).all()
        if fleet.tenant_gpus is not None:
            parts = fleet.tenant_gpus.sum(axis=1)
            assert (parts == np.where(fleet.holder == SHARED, taken, 0)).all()


@settings(max_examples=400, deadline=None)
@given(full_worlds())
def test_every_policy_in_every_world_keeps_the_books(base: Any) -> None:
    simulation = Watched(base, guards=True)
    outcome = simulation.run()
    simulation.look()
    table, jobs = outcome.tables["ledger"], outcome.tables["jobs"]
    buckets = dict(zip(table["bucket"], table["gpu_s"], strict=True))
    total = base.machine.gpus * simulation.now
    assert sum(buckets.values()) == pytest.approx(total, rel=1e-9)
    assert min(buckets.values()) >= 0
    slack = 1e-6 * max(total, 1.0)
    assert np.sum(jobs["lost_work_gpu_s"]) == pytest.approx(buckets["lost_work"], rel=1e-9, abs=slack)
    for bucket in ("productive", "degraded"):
        assert np.sum(jobs[f"{bucket}_gpu_s"]) == pytest.approx(buckets[bucket], rel=1e-9, abs=1e-9 * max(total, 1.0))
    wall_gpu_s = simulation.wall_gpu_s[: len(jobs["job"])]
    np.testing.assert_allclose(jobs["wall_gpu_s"], wall_gpu_s, rtol=1e-9, atol=1e-6)
    # Nodes that are lost and waits in the queue are in none of these; without gangs jobs hold nodes before they start.
    held = sum(buckets[name] for name in HELD if name != "waiting_for_nodes")
    assert held <= wall_gpu_s.sum() * (1 + 1e-9) + 1e-6
    if wall_gpu_s.sum() > 0:
        kept = (buckets["productive"] + buckets["degraded"]) / wall_gpu_s.sum()
        assert outcome.summary["ettr"] == pytest.approx(kept, rel=1e-9, abs=1e-12)
        assert outcome.summary["slow_step_loss"] == pytest.approx(
            buckets["degraded"] / wall_gpu_s.sum(), rel=1e-9, abs=1e-12
        )
        assert np.nanmax(jobs["ettr"]) <= 1.0
    if not (base.jobs.fewest < base.jobs.most).any():
        used = np.sum(jobs["productive_s"] * jobs["gpus"])
        assert used == pytest.approx(buckets["productive"], rel=1e-9, abs=slack)
    for state, reason, end_s in zip(jobs["state"], jobs["reason"], jobs["end_s"], strict=True):
        assert state in ("pending", "running", "completed", "failed", "rejected")
        if state in ("failed", "rejected"):
            assert reason
        if state in ("completed", "failed"):
            assert end_s <= simulation.now
        if base.horizon_s is None and state in ("pending", "running"):
            assert "for ever" in reason


class QueueWatched(Simulation):
    """A run in which the time of every job in the queue is added up from one event to the next."""

    def run(self) -> Any:
        self.queued_s = np.zeros(len(self.known.job))
        step = self.env.step

        def timed() -> None:
            before_s = self.now
            queued = self.dispatcher.waiting.columns()[0].copy()
            try:
                step()  # raises at the horizon
            finally:
                self.queued_s[queued] += self.now - before_s

        self.env.step = timed
        return super().run()


@settings(max_examples=200, deadline=None)
@given(full_worlds())
def test_little_s_law_holds_in_every_world(base: Any) -> None:
    """GPUs that the queue wants, summed over time, are the waits times the GPUs of the jobs, later waits included."""
    simulation = QueueWatched(base, guards=True)
    outcome = simulation.run()
    jobs, end_s = outcome.tables["jobs"], simulation.now
    queued_s = simulation.queued_s[: len(jobs["job"])]
    wanted_gpu_s = np.sum(queued_s * jobs["gpus"])
    if end_s > 0:
        assert outcome.summary["queue_gpus_mean"] * end_s == pytest.approx(wanted_gpu_s, rel=1e-9, abs=1e-6)
    waited_once = (jobs["attempts"] == 1) & (jobs["state"] != "pending")
    np.testing.assert_allclose(queued_s[waited_once], jobs["wait_s"][waited_once], rtol=1e-9, atol=1e-6)
    assert (queued_s[jobs["state"] == "rejected"] == 0).all()
