"""Studies with policies given in code: the same bytes for any number of workers, pairs that are pairs, honest files."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator as sim
from simulator.accounting.columns import METRICS, TABLES
from simulator.errors import InputError, PolicyError
from simulator.policies.placement.best_fit import BestFit
from simulator.policies.scheduling.easy import Easy

SCENARIO = """\
name: own
question: Is mine better?
seed: 5
replications: 4
horizon: 2 days
cluster: {nodes: 6, node: {gpus: 8, gpu: A100}}
faults:
  classes: {node: {component: node, rate: "20 / 1000 node-days", stops_job: true, takes_node_out: true}}
repairs: {mixes: {outage: {tiers: {swap: {probability: 1, time: 6 h}}}}, mix: outage}
workload: {synthetic: {model: helios, load: 2.0, largest: 16, users: 8}}
scheduling: {policy: fifo}
variants:
  fifo: {}
  easy: {scheduling.policy: easy}
report: {answer: {metric: wait_mean_s, goal: min}}
"""

# A script as a notebook is one: the class is of __main__, uses names around it, and remembers what it should not.
SCRIPT = """
import sys
import simulator as sim
import simulator.report
from simulator.policies.decisions import Start

LARGEST = 10**9

class SmallestFirst:
    def __init__(self):
        self.passes = 0

    def schedule(self, view):
        self.passes += 1
        backwards = self.passes > 600  # what an earlier replication left would be seen here
        order = view.queue.gpus.argsort(kind="stable")
        free, starts = view.free_gpus, []
        for place in order[::-1] if backwards else order:
            if view.queue.gpus[place] <= min(free, LARGEST) and view.queue.gpus[place] <= 8:
                free -= int(view.queue.gpus[place])
                starts.append(Start(int(view.queue.job[place])))
                break
        return starts

print("script", flush=True)
simulator.report.all_plots = lambda results: []  # they take nearly all the time and have tests of their own
scenario = sim.load(sys.argv[1])
policies = {"mine": {"scheduling": SmallestFirst()}, "like_easy": {"variant": "easy", "scheduling": SmallestFirst()}}
for workers in sys.argv[2:]:
    sim.compare(scenario, workers=int(workers), output=f"out{workers}", policies=policies)
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("own") / "own.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture(scope="module")
def scenario(path):
    return sim.load(path)


@pytest.fixture(scope="module")
def folder(path, tmp_path_factory) -> Path:
    """Where a script with a class of its own wrote its study with one and with three workers."""
    home = tmp_path_factory.mktemp("script")
    (home / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", str(path), "1", "3"], cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["script"], "a worker ran the script again"
    return home


FILES = ["summary.csv", "differences.csv", "runs.parquet", "scenario.yaml", "report.json"]


def test_any_number_of_workers_writes_the_same_bytes(folder):
    for name in [*FILES, *(f"{table}.parquet" for table in TABLES)]:
        assert (folder / "out1" / name).read_bytes() == (folder / "out3" / name).read_bytes(), name
    runs = pd.read_parquet(folder / "out1" / "runs.parquet").set_index(["variant", "replication"])
    assert list(dict.fromkeys(runs.index.get_level_values(0))) == ["fifo", "easy", "mine", "like_easy"]
    assert (runs.loc["mine", "wait_mean_s"] != runs.loc["fifo", "wait_mean_s"]).all()
    # Only the scheduler differs between fifo and easy, and both have the same one now.
    assert np.array_equal(runs.loc["mine"].to_numpy(), runs.loc["like_easy"].to_numpy(), equal_nan=True)


def test_the_results_say_which_policies_no_file_holds(folder, path):
    rows = [
        {"variant": name, "of": base, "family": "scheduling", "class": "__main__.SmallestFirst", "repr": ""}
        for name, base in (("mine", "fifo"), ("like_easy", "easy"))
    ]
    manifest = json.loads((folder / "out3" / "manifest.json").read_text())
    assert manifest["own_policies"] == rows
    assert manifest["variants"] == ["fifo", "easy", "mine", "like_easy"]
    assert json.loads((folder / "out3" / "report.json").read_text())["own_policies"] == rows
    text = (folder / "out3" / "scenario.yaml").read_text()
    assert text.startswith(
        "# Not in this file, because their policies were given in code:\n"
        "#   mine: variant fifo with scheduling = __main__.SmallestFirst\n"
        "#   like_easy: variant easy with scheduling = __main__.SmallestFirst\n"
        "name: "
    )
    assert sim.load(folder / "out3" / "scenario.yaml").variants == ("fifo", "easy")
    page = (folder / "out3" / "report.html").read_text()
    assert "Policies given in code, not in scenario.yaml: mine is variant fifo with scheduling" in page
    assert "to run them again takes that code" in page
    assert "without the policies given in code, lies beside this page" in page


def test_a_copy_of_easy_differs_from_easy_by_exactly_zero(scenario):
    """Own variants meet the worlds of the others: the same jobs, the same faults."""
    own = {"copy": {"scheduling": Easy()}, "placed": {"variant": "easy", "placement": BestFit()}}
    study = sim.compare(scenario, policies=own, workers=2)
    runs = study.runs.set_index(["variant", "replication"])
    assert (runs.loc["copy", "wait_mean_s"] < runs.loc["fifo", "wait_mean_s"]).any()
    for metric in METRICS:
        np.testing.assert_array_equal(runs.loc["copy", metric.name], runs.loc["easy", metric.name])
    differences = study.differences.set_index(["variant", "metric"])
    assert list(dict.fromkeys(study.differences["variant"])) == ["easy", "copy", "placed"]
    assert (differences["baseline"] == "fifo").all()
    pd.testing.assert_frame_equal(differences.loc["copy"], differences.loc["easy"])


def test_replication_zero_is_what_run_gives_and_the_rest_of_the_study_is_as_without(scenario):
    study = sim.compare(scenario, policies={"mine": {"scheduling": Easy()}}, workers=1)
    result = sim.run(scenario, policies={"scheduling": Easy()})
    row = study.runs.query("variant == 'mine' and replication == 0").iloc[0]
    for name, value in result.summary.items():
        np.testing.assert_equal(row[name], value)
    without = sim.compare(scenario, workers=1)
    others = study.runs.query("variant != 'mine'").reset_index(drop=True)
    pd.testing.assert_frame_equal(others, without.runs)
    assert without.manifest["own_policies"] == []


@pytest.mark.slow
def test_precision_counts_own_variants_too(path):
    short = sim.load(path, overrides={"horizon": "8 h"})
    studies = [sim.compare(short, precision=0.9, workers=w, policies={"mine": {"scheduling": Easy()}}) for w in (1, 2)]
    assert studies[0].replications == studies[1].replications
    pd.testing.assert_frame_equal(studies[0].runs, studies[1].runs)


MODULE = """
import os, signal
from pathlib import Path
from simulator.policies.decisions import Start

class Greedy:
    def schedule(self, view):
        return [Start(int(job)) for job in view.queue.job] * 2

class Faulty:
    def schedule(self, view):
        return view.no_such_thing

class Interrupts:
    def __init__(self, parent, mark):
        self.parent, self.mark = parent, mark

    def schedule(self, view):
        try:
            Path(self.mark).touch(exist_ok=False)
        except FileExistsError:
            return []
        os.kill(self.parent, signal.SIGINT)
        return []
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "own_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    import own_module

    yield own_module
    del sys.modules["own_module"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_wrong_decision_names_policy_and_replication(scenario, module, tmp_path, workers):
    with pytest.raises(PolicyError, match="policy 'Greedy' at t = ") as caught:
        sim.compare(
            scenario, policies={"mine": {"scheduling": module.Greedy()}}, workers=workers, output=tmp_path / "out"
        )
    assert any(note.startswith("variant 'mine', replication ") for note in caught.value.__notes__)
    assert [entry.name for entry in tmp_path.iterdir()] == ["modules"], "what nobody can resume is not kept"


def test_a_fault_of_the_policy_comes_with_the_line_of_its_code(scenario, module):
    with pytest.raises(RuntimeError, match=r"AttributeError: .*no_such_thing") as caught:
        sim.compare(scenario, policies={"mine": {"scheduling": module.Faulty()}}, workers=2)
    assert "return view.no_such_thing" in caught.value.__notes__[0]


def test_an_interrupted_study_keeps_nothing_and_says_so(scenario, module, tmp_path, interruptible):
    policies = {"mine": {"scheduling": module.Interrupts(os.getpid(), str(tmp_path / "modules" / "mark"))}}
    with pytest.raises(KeyboardInterrupt) as caught:
        sim.compare(scenario, policies=policies, workers=2, replications=40, output=tmp_path / "out")
    assert str(caught.value).startswith("interrupted after ")
    assert str(caught.value).endswith("of 120 replications; nothing was kept")
    assert [entry.name for entry in tmp_path.iterdir()] == ["modules"]


def test_a_finished_study_with_own_policies_is_not_taken_for_one_without(scenario, tmp_path, without_figures):
    output = tmp_path / "out"
    sim.compare(scenario, policies={"mine": {"scheduling": Easy()}}, workers=1, output=output)
    again = sim.compare(scenario, workers=1, output=output, resume=True)
    assert again.variants == ["fifo", "easy"]


@pytest.mark.slow
def test_what_a_killed_study_with_own_policies_left_is_not_resumed(path, scenario, tmp_path):
    script = SCRIPT.replace("workers=int(workers)", "workers=2, progress=stop").replace(
        "print(", "import os, signal\ndef stop(p):\n    if p.done == 5: os.kill(os.getpid(), signal.SIGKILL)\nprint(", 1
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([sys.executable, "script.py", str(path), "2"], cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="the unfinished study there has another set of own policies"):
        sim.compare(scenario, workers=1, output=tmp_path / "out2", resume=True)


def test_a_saved_run_says_so_too(scenario, tmp_path):
    folder = sim.run(scenario, variant="easy", policies={"placement": BestFit()}).save(tmp_path / "run", scenario)
    text = (folder / "scenario.yaml").read_text()
    assert text.startswith("# Not in this file, because their policies were given in code:\n")
    assert text.splitlines()[1] == "#   easy: variant easy with placement = BestFit()"
    own = json.loads((folder / "manifest.json").read_text())["own_policies"]
    assert [(row["variant"], row["family"], row["class"].rpartition(".")[2]) for row in own] == [
        ("easy", "placement", "BestFit")
    ]
