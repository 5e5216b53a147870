"""From a scenario to a world: what the engine is given."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator import engine
from simulator.engine.world import World
from simulator.policies.checkpointing.intervals import Fixed, Young
from simulator.policies.recovery.ladder import ReplaceNodes, RequeueJob
from simulator.scenario import load
from simulator.scenario.assembly import assemble
from simulator.scenario.describe import describe
from simulator.scenario.expectations import faults_per_s, job_expectation, nodes_out
from simulator.workload.elastic import GoodputCurve

DAY_S = 86400.0

BASE = """
name: tiny
horizon: 10 days
cluster: {nodes: 64, node: h100_8gpu, domains: {switch: 16}, spares: {count: 4, kind: hot}}
faults: {mix: llama3_2024}
repairs: {mix: operator_mix_assumed, technicians: 3}
workload: {jobs: [{name: training, nodes: all}]}
checkpoint: {tiers: [{name: remote, blocking: 2 s, persist: 1 min, load: 30 s, survives: node}]}
recovery: {phases: {tear_down: 1 s, reallocate: {hot: 2 s, repaired: 3 s}, init: 4 s, init_per_node: 10 ms}}
"""


def world(folder: Path, text: str = BASE, **overrides: Any) -> World:
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    scenario = load(path, {key.replace("__", "."): value for key, value in overrides.items()})
    return assemble(scenario, scenario.baseline, 7, 3)


def rates(found: World) -> dict[str, float]:
    return {kind.name: kind.rate_per_s * DAY_S for kind in found.faults}


def test_machine_jobs_and_keys(tmp_path: Path) -> None:
    found = world(tmp_path)
    assert (found.seed, found.replication, found.technicians) == (7, 3, 3)
    machine = found.machine
    assert (machine.nodes, machine.gpus, machine.spare_nodes, machine.spare_kind) == (64, 512, 4, "hot")
    assert machine.population("switch") == 4
    assert found.price_usd_per_gpu_s == pytest.approx(2.95 / 3600)
    assert found.jobs.nodes.tolist() == [60]
    assert found.jobs.gpus.tolist() == [480]
    assert math.isinf(found.jobs.work_s[0])
    (profile,) = found.profiles
    tier = profile.tiers[0]
    assert (tier.blocking_s, tier.persist_s, tier.load_s, tier.survives) == (2.0, 60.0, 30.0, "node")
    assert profile.checkpointing == (Young(),)
    assert profile.recovery == ReplaceNodes()
    assert profile.restart.initialise_s(100) == pytest.approx(5.0)
    assert profile.restart.reallocate_s("repaired") == 3.0


def test_class_keys_win_over_keys_for_all_and_those_over_the_mix(tmp_path: Path) -> None:
    found = world(
        tmp_path,
        faults__detect="5 s",
        faults__clock="under_load",
        faults__classes={"nic": {"detect": "7 s", "rate": "5 / node-day"}},
    )
    kinds = {kind.name: kind for kind in found.faults}
    assert kinds["nic"].detect.mean_s == 7.0
    assert kinds["nccl_watchdog"].detect.mean_s == 5.0
    assert kinds["nccl_watchdog"].localise.mean_s == 480.0
    assert {kind.clock for kind in found.faults} == {"under_load"}
    assert rates(found)["nic"] == pytest.approx(5.0)
    assert kinds["nic"].component == "NIC"


@pytest.mark.parametrize(
    ("rate", "scope", "per_unit_day"),
    [
        ({"rate": "3 / 1000 node-days"}, "node", 3e-3),
        ({"rate": "3 / 1000 node-days"}, "switch", 3e-3 * 16),
        ({"rate": "1 / 24 GPU-hours"}, "node", 8.0),
        ({"rate": "1 / 24 GPU-hours"}, "switch", 128.0),
        ({"rate": "0.5 / switch-day"}, "switch", 0.5),
        ({"rate": "0.5 / switch-day"}, "node", 0.5 / 16),
        ({"mtbf": "4 days per node"}, "node", 0.25),
        ({"mtbf": "4 days per switch"}, "switch", 0.25),
    ],
)
def test_rates_of_any_population(tmp_path: Path, rate: dict[str, str], scope: str, per_unit_day: float) -> None:
    section = {"scope": scope, "repair": "instant", **rate}
    found = world(tmp_path, faults__mix=None, faults__classes={"thing": section}, faults__rate_factor=2.0)
    assert rates(found) == pytest.approx({"thing": 2.0 * per_unit_day})


def test_a_last_domain_that_is_smaller_keeps_the_rate_of_the_machine(tmp_path: Path) -> None:
    section = {"scope": "switch", "repair": "instant", "rate": "1 / 100 node-days"}
    found = world(tmp_path, cluster__domains__switch=24, faults__mix=None, faults__classes={"thing": section})
    assert found.machine.population("switch") == 3
    assert 3 * rates(found)["thing"] == pytest.approx(64 / 100)


def test_a_new_mtbf_replaces_the_rate_of_the_mix(tmp_path: Path) -> None:
    found = world(tmp_path, faults__classes={"nic": {"mtbf": "10 days per node"}})
    assert rates(found)["nic"] == pytest.approx(0.1)


def test_repair_mixes_change_single_keys_of_presets(tmp_path: Path) -> None:
    found = world(
        tmp_path,
        repairs__mixes={
            "operator_mix_assumed": {"verify": "20 min"},
            "quick": {"tiers": {"reboot": {"probability": "100 %", "time": "5 min"}}},
        },
        faults__classes={"nic": {"repair": "quick"}},
    )
    kinds = {kind.name: kind for kind in found.faults}
    operator = kinds["faulty_gpu"].repair
    assert operator is not None
    assert operator.mean_time_s == pytest.approx(18.7 * 3600)
    assert operator.verify.mean_s == 1200.0
    assert [tier.needs_technician for tier in operator.tiers] == [False, True, False]
    assert kinds["nic"].repair is not None
    assert kinds["nic"].repair.mean_time_s == 300.0
    assert kinds["software_bug"].repair is None


def test_jobs_share_profiles_unless_they_override(tmp_path: Path) -> None:
    jobs = [
        {"name": "late", "nodes": 4, "submit": "2 h", "work": "1 h"},
        {"name": "small", "gpus": 10, "copies": 3, "work": "1 h", "requested": "2 h", "user": "team"},
        {
            "name": "own",
            "nodes": 2,
            "work": "1 h",
            "recovery": {"policy": "requeue", "phases": {"init": "9 s"}},
            "checkpoint": {"tiers": [{"name": "disk", "blocking": "1 s", "interval": "10 min"}]},
        },
    ]
    found = world(tmp_path, workload__jobs=jobs)
    table = found.jobs
    assert table.job.tolist() == ["small-0", "small-1", "small-2", "own", "late"]
    assert table.nodes.tolist() == [2, 2, 2, 2, 4]
    assert table.gpus.tolist() == [10, 10, 10, 16, 32]
    assert table.user.tolist() == ["team", "team", "team", "", ""]
    assert table.requested_s[0] == 7200.0
    assert np.isinf(table.requested_s[3])
    assert table.profile.tolist() == [0, 0, 0, 1, 0]
    own = found.profiles[1]
    assert own.recovery == RequeueJob()
    assert own.checkpointing == (Fixed(600.0),)
    assert (own.restart.init_s, own.restart.tear_down_s) == (9.0, 1.0)


SWF = "\n".join(
    f"{job} {submit} -1 {run} {size} -1 -1 {size} {asked} -1 1 {user} 1 -1 1 1 -1 -1"
    for job, submit, run, size, asked, user in (
        (1, 100, 50, 2, 100, 3),
        (2, 100, 70, 1, 60, 4),  # ran past its request
        (3, 90, 10, 1, -1, 3),  # no request, submitted first
        (4, 120, 0, 1, 10, 3),  # no run time
        (5, 130, 10, 9, 10, 3),  # larger than the machine
        (6, 140, 10, -1, 10, 3),  # no size
        (7, 150, 5, 4, 10, 3),
    )
)

REPLAY = """
name: replay
cluster: {nodes: 8, node: {gpus: 4}}
workload: {trace: {format: swf, path: log.swf}}
recovery: {phases: {init: 4 s}}
"""


def test_trace_jobs(tmp_path: Path) -> None:
    (tmp_path / "log.swf").write_text(SWF)
    found = world(tmp_path, REPLAY)
    table = found.jobs
    assert table.job.tolist() == ["3", "1", "2", "5", "7"]
    assert table.submit_s.tolist() == [0.0, 10.0, 10.0, 40.0, 60.0]
    assert table.work_s.tolist() == [10.0, 50.0, 60.0, 10.0, 5.0]
    assert table.requested_s.tolist() == [10.0, 100.0, 60.0, 10.0, 10.0]
    assert table.nodes.tolist() == [1, 2, 1, 9, 4]
    assert table.gpus.tolist() == [4, 8, 4, 36, 16]
    assert table.user.tolist() == ["3", "3", "4", "3", "3"]
    (profile,) = found.profiles
    assert profile.tiers == ()
    assert profile.recovery == RequeueJob()
    assert profile.restart.init_s == 4.0


def test_trace_options(tmp_path: Path) -> None:
    (tmp_path / "log.swf").write_text(SWF)
    trace = {"format": "swf", "path": "log.swf", "first": 3, "demand": "gpus", "estimates": "exact"}
    path = tmp_path / "options.yaml"
    path.write_text(REPLAY.replace("{format: swf, path: log.swf}", str(trace).replace("'", "")))
    table = assemble(load(path), "base", 1, 0).jobs
    assert table.job.tolist() == ["3", "1", "2"]
    assert table.nodes.tolist() == [1, 1, 1]
    assert table.gpus.tolist() == [1, 2, 1]
    assert table.requested_s.tolist() == table.work_s.tolist() == [10.0, 50.0, 60.0]


def test_jobs_of_a_trace_and_drawn_ones_get_widths_where_they_hold_whole_nodes(tmp_path: Path) -> None:
    """Nodes of 4 GPUs, 32 of them: a part of a node, a node, three, two and a half, 20, and more than there are."""
    rows = [2, 4, 12, 10, 80, 400]
    lines = [f"j{gpus},{50.0 * k},100,{gpus}" for k, gpus in enumerate(rows)]
    (tmp_path / "jobs.csv").write_text("\n".join(["job,submit_s,run_s,gpus", *lines]))
    text = """
name: widths
horizon: 2 days
cluster: {nodes: 32, node: {gpus: 4}}
workload:
  trace: {format: table, path: jobs.csv, elastic: {fewest: 0.5, most: 2.5, serial_fraction: 0.1}}
  synthetic: {model: philly, jobs: 200, elastic: {fewest: 0.25, most: 2, cost_per_node: 0.01}}
"""
    found = world(tmp_path, text)
    jobs = found.jobs
    of = {name: row for row, name in enumerate(jobs.job.tolist())}
    widths = [(jobs.fewest[of[f"j{gpus}"]], jobs.nodes[of[f"j{gpus}"]], jobs.most[of[f"j{gpus}"]]) for gpus in rows]
    assert widths == [(1, 1, 1), (1, 1, 2), (2, 3, 7), (3, 3, 3), (10, 20, 32), (100, 100, 100)]
    assert [jobs.width[of[f"j{gpus}"]] for gpus in rows] == [-1, 0, 0, -1, 0, -1]
    assert found.curves == (GoodputCurve(0.1, 0.0), GoodputCurve(0.0, 0.01))
    drawn = np.array([name.startswith("synthetic") for name in jobs.job.tolist()])
    whole = drawn & ~jobs.shares & (jobs.gpus == 4 * jobs.nodes)
    assert whole.any()
    assert set(jobs.width[whole].tolist()) == {1}
    assert set(jobs.width[drawn & ~whole].tolist()) == {-1}
    assert jobs.fewest[whole].tolist() == [math.ceil(nodes / 4) for nodes in jobs.nodes[whole].tolist()]
    assert jobs.most[whole].tolist() == [min(2 * nodes, 32) for nodes in jobs.nodes[whole].tolist()]


def test_jobs_of_a_trace_and_drawn_ones_get_classes_of_priority_by_their_gpus(tmp_path: Path) -> None:
    """Written jobs keep their own; steps hold in any order; a section without steps has class 0."""
    rows = [1, 7, 8, 31, 32, 400]
    (tmp_path / "jobs.csv").write_text("\n".join(["job,submit_s,run_s,gpus", *(f"j{n},{n},100,{n}" for n in rows)]))
    text = """
name: classes
horizon: 2 days
cluster: {nodes: 32, node: {gpus: 4}}
workload:
  jobs: [{name: mine, gpus: 64, work: 1 h, priority: 5}]
  trace: {format: table, path: jobs.csv, priorities: [{gpus: 32, priority: 2}, {gpus: 8, priority: -1}]}
  synthetic: {model: philly, jobs: 200, priorities: [{gpus: 4, priority: 3}]}
"""
    jobs = world(tmp_path, text).jobs
    of = dict(zip(jobs.job.tolist(), jobs.priority.tolist(), strict=True))
    assert [of["mine"], *(of[f"j{n}"] for n in rows)] == [5, 0, 0, -1, -1, 2, 2]
    drawn = np.array([name.startswith("synthetic") for name in jobs.job.tolist()])
    assert {0, 3} == set(jobs.priority[drawn].tolist())
    assert jobs.priority[drawn].tolist() == np.where(jobs.gpus[drawn] >= 4, 3, 0).tolist()
    without = world(tmp_path, text, workload__trace__priorities=[], workload__synthetic__priorities=[]).jobs
    assert set(without.priority.tolist()) == {0, 5}
    np.testing.assert_array_equal(without.submit_s, jobs.submit_s)


def test_a_trace_written_anew_is_read_anew(tmp_path: Path) -> None:
    log = tmp_path / "log.swf"
    log.write_text(SWF)
    assert len(world(tmp_path, REPLAY).jobs) == 5
    log.write_text(SWF.splitlines()[0] + "\n")
    assert len(world(tmp_path, REPLAY).jobs) == 1


def test_trace_and_jobs_run_together(tmp_path: Path) -> None:
    (tmp_path / "log.swf").write_text(SWF)
    text = REPLAY.replace("workload: {", "workload: {jobs: [{name: mine, nodes: 1, work: 1 h, submit: 15 s}], ")
    found = world(tmp_path, text)
    assert found.jobs.job.tolist() == ["3", "1", "2", "mine", "5", "7"]
    assert [found.profiles[index].name for index in found.jobs.profile] == [
        "trace",
        "trace",
        "trace",
        "default",
        "trace",
        "trace",
    ]


def test_worlds_of_one_variant_share_all_but_their_key(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(BASE)
    scenario = load(path)
    first, second = assemble(scenario, "base", 1, 0), assemble(scenario, "base", 1, 1)
    assert first.jobs is second.jobs
    assert first.faults is second.faults
    assert (first.replication, second.replication) == (0, 1)
    copy = pickle.loads(pickle.dumps(scenario))
    assert copy == scenario
    assert assemble(copy, "base", 1, 0).jobs is first.jobs


def test_llama3_expectations() -> None:
    scenario = load(Path(__file__).parents[2] / "scenarios" / "llama3_54_days.yaml")
    worlds = {name: assemble(scenario, name, 1, 0) for name in scenario.variants}
    first = worlds["async_1s_restart_600s"]
    total = sum(faults_per_s(first, kind) for kind in first.faults) * first.horizon_s  # type: ignore[operator]
    assert total == pytest.approx(419)
    jobs = {name: job_expectation(found, found.profiles[0], 2048) for name, found in worlds.items()}
    assert jobs["async_1s_restart_600s"].mtti_s == pytest.approx(54 * DAY_S / 419)
    assert [job.restart_s for job in jobs.values()] == pytest.approx([600, 200, 1200, 600])
    # Mission figures: 0.935 at 600 s and 0.969 at 200 s, to three digits.
    assert jobs["async_1s_restart_600s"].ettr == pytest.approx(0.935, abs=5e-4)
    assert jobs["async_1s_restart_200s"].ettr == pytest.approx(0.969, abs=5e-4)


def test_every_restart_of_llama3_takes_its_stated_time() -> None:
    scenario = load(Path(__file__).parents[2] / "scenarios" / "llama3_54_days.yaml")
    for name, total_s in zip(scenario.variants, (600, 200, 1200, 600), strict=True):
        found = assemble(scenario, name, 1, 0)
        phases, tier = found.profiles[0].restart, found.profiles[0].tiers[0]
        for source in ("same", "warm", "repaired"):
            rest_s = phases.tear_down_s + phases.reallocate_s(source) + phases.first_start_s(2048) + tier.load_s  # type: ignore[arg-type]
            assert {kind.detect.mean_s + kind.localise.mean_s + rest_s for kind in found.faults} == {total_s}


def test_nodes_out_by_littles_law(tmp_path: Path) -> None:
    classes = {
        "disk": {"rate": "1 / 10 node-days", "repair": "day"},
        "switch": {"rate": "1 / 40 switch-days", "scope": "switch", "repair": "day"},
        "bug": {"rate": "1 / node-day", "takes_node_out": False},
    }
    repairs = {"mixes": {"day": {"tiers": {"swap": {"probability": 1, "time": "1 day"}}}}}
    found = world(tmp_path, faults__mix=None, faults__classes=classes, repairs=repairs)
    # 64 nodes / 10 days x 1 day + 4 switches / 40 days x 16 nodes x 1 day.
    assert nodes_out(found) == pytest.approx(6.4 + 1.6)


def test_no_closed_form_says_why(tmp_path: Path) -> None:
    found = world(tmp_path)
    assert job_expectation(found, found.profiles[0], 60).without_ettr == "checkpoints persist in the background"
    assert math.isnan(job_expectation(found, found.profiles[0], 60).ettr)


def test_description_tells_size_faults_and_variants() -> None:
    scenario = load(Path(__file__).parents[2] / "scenarios" / "llama3_54_days.yaml")
    text = {heading: dict(rows) for heading, rows in describe(scenario)}
    assert text["Machine"]["GPUs"] == "16,896"
    assert text["Faults expected per day"]["all classes"] == "7.76"
    assert "0.9349" in text["Largest job by variant"]["async_1s_restart_600s"]
    assert text["Assumptions"]["faults.detect"].startswith("60 s (scenario)")


def test_description_states_what_was_done_to_a_trace(tmp_path: Path) -> None:
    (tmp_path / "log.swf").write_text(SWF)
    (tmp_path / "replay.yaml").write_text(REPLAY)
    jobs = dict(dict(describe(load(tmp_path / "replay.yaml")))["Jobs"])
    assert jobs["trace"] == "log.swf: 7 jobs, 5 simulated; a processor is a node"
    assert jobs["left out or changed"] == (
        "1 job without a size left out; 1 job without a run time left out; 1 run time cut to the requested time; "
        "1 estimate replaced by the run time, because none was requested"
    )
    assert jobs["larger than the machine"] == "1 job, rejected when submitted"


def test_description_names_written_jobs_that_no_quota_covers(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text("""
name: small
cluster: {nodes: 4, node: {gpus: 8}}
workload: {jobs: [{name: big, nodes: 2, work: 1 h, user: ann, copies: 2}, {name: s, nodes: 1, work: 1 h, user: ann}]}
scheduling: {policy: quota, quotas: {ann: 8}, borrowing: false}
""")
    jobs = dict(dict(describe(load(path)))["Jobs"])
    reason = "big-0 asks for 16 GPUs; its account 'ann' has a quota of 8 and must not borrow"
    assert jobs["rejected when submitted"] == f"2 jobs of these; {reason}"
    assert "rejected when submitted" not in dict(dict(describe(load(path, {"scheduling.borrowing": True})))["Jobs"])


def test_description_counts_what_will_be_rejected_as_the_engine_does(tmp_path: Path) -> None:
    rows = [("a", 10.0, 4, "main"), ("b", 10.0, 16, "main"), ("c", 10.0, 4, "other"), ("d", 1000.0, 36, "main")]
    lines = [f"{job},{50.0 * k},{run},{gpus},{part}" for k, (job, run, gpus, part) in enumerate(rows)]
    (tmp_path / "jobs.csv").write_text("\n".join(["job,submit_s,run_s,gpus,partition", *lines]))
    text = REPLAY.replace("format: swf, path: log.swf", "format: table, path: jobs.csv")
    text = text.replace("cluster: {", "cluster: {partitions: {main: 3}, ")
    (tmp_path / "replay.yaml").write_text(text)
    scenario = load(tmp_path / "replay.yaml")
    jobs = dict(dict(describe(scenario))["Jobs"])
    assert jobs["larger than the machine"] == "1 job, rejected when submitted"
    assert jobs["not for their partition or quota"] == "2 jobs, rejected when submitted"
    assert jobs["offered load"] == f"{10.0 / (150.0 * 8):.3g} of the machine, without those"
    outcome = engine.run(assemble(scenario, scenario.baseline, 1, 0))
    assert outcome.summary["jobs_rejected"] == 3
