"""What a study promises: the same bytes however it is done, nothing lost, and pairs that are pairs."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import invoke

import simulator as sim
from simulator.accounting.columns import KEPT_FOR_ALL, METRICS, TABLES
from simulator.errors import InputError
from simulator.experiments import compare as comparing
from simulator.experiments.precision import FIRST_BATCH, half_width
from simulator.experiments.replicate import simulate
from simulator.experiments.results import Study

SCENARIO = """\
name: promises
question: Does it keep its promises?
seed: 11
replications: 6
horizon: 20 days
cluster: {nodes: 40, node: {gpus: 8, gpu: H100-SXM, price: "2.95 USD/GPU/h"}, spares: {count: 2, kind: warm}}
faults:
  classes:
    node: {component: node, rate: "20 / 1000 node-days", stops_job: true, takes_node_out: true}
    software: {component: software, rate: "5 / 1000 node-days", stops_job: true, takes_node_out: false}
  detect: 1 min
repairs: {mixes: {outage: {tiers: {swap: {probability: 1, time: {family: exponential, mean: 20 h}}}}}, mix: outage}
workload: {jobs: [{name: pretrain, nodes: 32}, {name: small, nodes: 2, work: 10 h, submit: 1 day, copies: 3}]}
checkpoint: {tiers: [{name: remote, blocking: 30 s, load: 2 min, survives: domain, interval: young}]}
recovery: {policy: replace, phases: {tear_down: 30 s, image: 5 min}}
variants:
  base: {}
  same: {}
  few_spares: {cluster.spares.count: 1}
report: {answer: {metric: goodput, goal: max}}
"""

TABLE_FILES = ["summary.csv", "differences.csv", "runs.parquet", *(f"{name}.parquet" for name in TABLES)]
RESULT_FILES = [*TABLE_FILES, "scenario.yaml", "report.json"]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("promises") / "promises.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture(scope="module")
def scenario(path):
    return sim.load(path)


def compare(scenario, **options) -> Study:
    return comparing.compare(scenario, kind=Study, **options)


@pytest.fixture(scope="module")
def study(scenario, tmp_path_factory) -> Study:
    """Six replications by one process."""
    return compare(scenario, workers=1, output=tmp_path_factory.mktemp("study") / "one")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in RESULT_FILES}


def test_one_and_two_workers_write_the_same_bytes(scenario, study, tmp_path):
    other = compare(scenario, workers=2, output=tmp_path / "two")
    assert bytes_of(other.folder) == bytes_of(study.folder)
    assert os.listdir(tmp_path) == ["two"]
    assert (other.manifest["workers"], study.manifest["workers"]) == (2, 1)


def test_another_seed_writes_other_bytes(scenario, study, tmp_path):
    other = compare(scenario, workers=1, seed=12, output=tmp_path / "other")
    assert (other.folder / "runs.parquet").read_bytes() != (study.folder / "runs.parquet").read_bytes()


def test_the_study_holds_every_table_in_order(study):
    assert len(study.runs) == 18
    assert list(study.runs.columns) == ["variant", "replication", *(metric.name for metric in METRICS)]
    pairs = [(variant, k) for variant in ("base", "same", "few_spares") for k in range(6)]
    assert list(zip(study.runs["variant"], study.runs["replication"], strict=True)) == pairs
    assert len(study.summary) == 3 * len(METRICS)
    assert len(study.differences) == 2 * len(METRICS)
    for name in TABLES:
        frame = getattr(study, name)
        assert list(frame.columns) == [column.name for column in TABLES[name]]
        kept = set(range(6)) if name in KEPT_FOR_ALL else {0}
        assert set(frame["replication"]) == (set() if name in ("steps", "links") else kept), name  # no fabric here


def test_the_summary_is_that_of_the_runs(study):
    by_metric = study.summary.set_index(["variant", "metric"])
    for variant, rows in study.runs.groupby("variant"):
        for metric in METRICS:
            mean = by_metric.loc[(variant, metric.name), "mean"]
            expected = rows[metric.name].mean()
            assert (math.isnan(mean) and math.isnan(expected)) or mean == pytest.approx(expected, rel=1e-12)


def test_a_variant_that_changes_nothing_differs_by_exactly_zero(study):
    same = study.differences[study.differences["variant"] == "same"]
    with_value = same[same["mean_difference"].notna()]
    assert len(with_value) > 10
    assert (with_value[["mean_difference", "ci_low", "ci_high"]] == 0.0).all(axis=None)
    judged = with_value["probability_better"].dropna()
    assert len(judged) > 10
    assert (judged == 0.5).all()
    other = study.differences[study.differences["variant"] == "few_spares"]
    assert (other["mean_difference"] != 0.0).any()


def test_a_replication_alone_equals_the_one_in_the_study(scenario, study):
    outcome = simulate(scenario, "few_spares", 11, 4)
    row = study.runs.query("variant == 'few_spares' and replication == 4").iloc[0]
    for metric in METRICS:
        np.testing.assert_equal(row[metric.name], outcome.summary[metric.name])
    ledger = study.ledger.query("variant == 'few_spares' and replication == 4")
    np.testing.assert_array_equal(ledger["gpu_s"], outcome.tables["ledger"]["gpu_s"])


def test_run_is_replication_zero(scenario, study):
    result = sim.run(scenario, variant="base")
    for name in TABLES:
        frame = getattr(study, name)
        kept = frame[(frame["variant"] == "base") & (frame["replication"] == 0)].reset_index(drop=True)
        pd.testing.assert_frame_equal(getattr(result, name), kept, check_dtype=False)
    row = study.runs.iloc[0]
    assert all(row[name] == value or math.isnan(value) for name, value in result.summary.items())


def test_keep_all_keeps_every_table_of_all_replications_and_changes_no_number(scenario, study):
    everything = compare(scenario, replications=3, workers=1, keep="all")
    assert set(everything.jobs["replication"]) == set(everything.series["replication"]) == {0, 1, 2}
    first = everything.incidents.query("replication == 0").reset_index(drop=True)
    pd.testing.assert_frame_equal(first, study.incidents)
    runs = study.runs.query("replication < 3").reset_index(drop=True)
    pd.testing.assert_frame_equal(everything.runs, runs)


def test_fewer_replications_are_the_first_ones(scenario, study):
    fewer = compare(scenario, replications=2, workers=1)
    pd.testing.assert_frame_equal(fewer.runs, study.runs.query("replication < 2").reset_index(drop=True))


def test_a_study_without_output_leaves_nothing_behind(scenario):
    fleeting = compare(scenario, replications=1, workers=1)
    folder = fleeting.folder
    assert fleeting.summary["ci_low"].isna().all()
    del fleeting
    assert not folder.exists()


def test_precision_is_reached_with_the_same_number_for_any_workers(scenario):
    studies = [compare(scenario, precision=0.004, workers=workers) for workers in (1, 2)]
    assert studies[0].replications == studies[1].replications >= FIRST_BATCH
    pd.testing.assert_frame_equal(studies[0].runs, studies[1].runs)
    assert studies[0].manifest["precision_reached"] is True
    for _, rows in studies[0].runs.groupby("variant"):
        assert half_width("goodput", rows["goodput"].to_numpy()) <= 0.004


# What the user types, and a signal to it as soon as so many replications are on disk.
HIT = """
import os, signal, sys, threading
from simulator.cli import main, progress

sent, after = getattr(signal, sys.argv[1]), int(sys.argv[2])
told = progress.Lines.update

def update(self, now):
    told(self, now)
    if now.done == after and sent == signal.SIGINT:
        threading.Timer(0.01, os.kill, (os.getpid(), sent)).start()  # a moment later, in the middle of something
    elif now.done == after:
        os.kill(os.getpid(), sent)

progress.Lines.update = update
sys.argv = ["simulator", "compare", *sys.argv[3:]]
main()
"""


def hit(path: Path, output: Path, sent: str, after: int, replications: int, workers: int = 2):
    """Return how ``simulator compare`` ended in a process of its own."""
    command = [sys.executable, "-c", HIT, sent, str(after), str(path), "--output", str(output)]
    command += ["--replications", str(replications), "--workers", str(workers)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_resume_finishes_what_a_killed_study_began(path, scenario, study, tmp_path):
    """kill -9 in the middle, then --resume: the same bytes as never interrupted, and less work."""
    output = tmp_path / "killed"
    assert hit(path, output, "SIGKILL", after=8, replications=6).returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == ["killed.partial"]
    told = []
    resumed = compare(scenario, workers=2, output=output, resume=True, progress=told.append)
    assert (told[0].resumed, told[0].total) == (8, 18)
    assert bytes_of(resumed.folder) == bytes_of(study.folder)
    assert os.listdir(tmp_path) == ["killed"]


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupt_keeps_what_is_finished(path, scenario, tmp_path, workers, interruptible):
    output = tmp_path / "out"
    ended = hit(path, output, "SIGINT", after=20, replications=4000, workers=workers)
    assert ended.returncode == 130
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("interrupted: ")
    assert "of 12000 replications are kept in" in last
    assert "--resume" in last
    assert "Traceback" not in ended.stderr
    kept = int(last.split()[1])
    assert kept >= 20
    told = []
    study = compare(scenario, replications=8, workers=1, output=output, resume=True, progress=told.append)
    assert told[0].resumed == min(kept, 24)
    assert study.replications == 8


def test_resume_refuses_another_scenario(path, scenario, tmp_path):
    output = tmp_path / "out"
    assert hit(path, output, "SIGKILL", after=1, replications=4000).returncode == -signal.SIGKILL
    changed = sim.load(path, overrides={"cluster.nodes": 41})
    with pytest.raises(InputError, match="cannot resume: the unfinished study there has another scenario"):
        compare(changed, workers=1, output=output, resume=True)
    told = []
    compare(changed, replications=1, workers=1, output=output, progress=told.append)
    assert told[0].stage == "discarding"


def test_resume_of_a_finished_study_does_nothing_again(path, tmp_path, without_figures):
    words = ["compare", path, "--replications", "2", "--workers", "1", "--output", tmp_path / "out"]
    assert invoke(*words).returncode == 0
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    again = invoke(*words, "--resume")
    assert "6 replications of variants to do, 6 of them finished before" in again.stderr + again.stdout
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before
