"""S6 has the shape of what RSC-1 published: gangs do not deadlock, an uncapped bug storms, a cap ends the storm."""

from __future__ import annotations

from pathlib import Path

import pytest

import simulator as sim

ROOT = Path(__file__).resolve().parents[2]
SMALLER = {"cluster.nodes": 512, "workload.synthetic.rate_factor": 0.28, "workload.synthetic.load": None}
"""A quarter of the machine and of the jobs, with the same jobs of 1,024 GPUs and a full-size pair of 280 nodes."""


@pytest.fixture(scope="module")
def runs() -> dict[str, sim.RunResult]:
    changes = {
        **SMALLER,
        "workload.jobs.0.nodes": 280,
        "workload.synthetic.largest": 1024,
        "horizon": "4 days",
        "replications": 1,
        # The quotas of the file are for the whole machine.
        "variants.quota_borrow.scheduling.quotas": {"language": 2048, "vision": 1024, "speech": 512, "robotics": 512},
    }
    scenario = sim.load(ROOT / "scenarios" / "shared_research_cluster.yaml", overrides=changes)
    return {name: sim.run(scenario, seed=1, variant=name) for name in scenario.variants}


@pytest.mark.slow
def test_without_gangs_full_size_jobs_hold_nodes_for_ever(runs: dict[str, sim.RunResult]) -> None:
    for name, run in runs.items():
        pair = run.jobs[run.jobs["job"].str.startswith("full_size")]
        done = (pair["state"] == "completed").all()
        assert done == (name not in ("no_gang", "quota_borrow")), name
    held = {name: run.summary["wait_for_nodes_s"] for name, run in runs.items()}
    assert held["no_gang"] > 100 * max(value for name, value in held.items() if name != "no_gang")
    assert runs["no_gang"].summary["goodput"] < 0.6 * runs["gang_backfill"].summary["goodput"]


@pytest.mark.slow
def test_backfilling_shortens_waits(runs: dict[str, sim.RunResult]) -> None:
    assert runs["gang_backfill"].summary["wait_mean_s"] < 0.5 * runs["gang_fifo"].summary["wait_mean_s"]


@pytest.mark.slow
def test_an_uncapped_bug_storms_and_a_cap_or_pauses_end_it(runs: dict[str, sim.RunResult]) -> None:
    storm, cap, pauses = (runs[f"preempt_{name}"] for name in ("after_2h", "cap_3", "backoff"))
    bug = {run: run_.jobs.set_index("job").loc["buggy"] for run, run_ in (("storm", storm), ("cap", cap))}
    # RSC-1: a job of 1,024 GPUs, requeued 35 times, preempted 548 others.
    assert bug["storm"]["requeues"] > 20
    assert bug["cap"]["requeues"] == 3
    assert bug["cap"]["state"] == "failed"
    second = [run.summary["second_order_preemptions"] for run in (storm, cap, pauses)]
    assert second[0] > 100
    assert second[1] < 0.4 * second[0]
    assert second[2] < 0.5 * second[0]
    assert cap.summary["goodput"] > storm.summary["goodput"]
