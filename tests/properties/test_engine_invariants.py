"""Whatever the world: the ledger sums, no GPU is in two places, jobs account for their time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import fault, job_table, machine, profile, repair, world

from simulator.distributions import Duration
from simulator.engine.simulation import Simulation
from simulator.faults.catalogue import Frailty, Hazard
from simulator.policies.recovery.ladder import GiveUp, ReplaceNodes, ReplaceOrRequeue, RequeueJob
from simulator.policies.scheduling.easy import Easy
from simulator.policies.scheduling.fifo import Fifo

DURATIONS = st.builds(
    Duration,
    st.sampled_from(["fixed", "exponential", "lognormal", "gamma"]),
    st.sampled_from([0.0, 5.0, 60.0]),
    st.just(0.8),
)


@st.composite
def fault_classes(draw: st.DrawFn, index: int) -> Any:
    takes_out = draw(st.booleans())
    return fault(
        draw(st.sampled_from([1e-5, 1e-4, 1e-3])),
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
