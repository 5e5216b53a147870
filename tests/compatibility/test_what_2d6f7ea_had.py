"""What commit 2d6f7ea had is still there: its scenario files run unchanged, and the names that users write stay valid.

A name that changes is kept beside the new one for a release and comes with a note; then its line here goes.
"""

from __future__ import annotations

import importlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke

import simulator as sim
from simulator.accounting.columns import BUCKET_MEANING, METRICS, TABLES
from simulator.policies.registry import families
from simulator.scenario.schema import json_schema

HERE = Path(__file__).parent
FILES = sorted((HERE / "scenarios_2d6f7ea").glob("*.yaml"))
NAMES: dict[str, Any] = json.loads((HERE / "names_2d6f7ea.json").read_text(encoding="utf-8"))
SHORTER = {
    "fabric_resilience": {"horizon": "12 h"},
    "scheduler_bakeoff": {"horizon": "1 day", "warm_up": "0 s"},
    "shared_research_cluster": {"horizon": "61 h", "workload.synthetic.load": 0.1},
}
"""Changes to those that would take longer than all others together."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the scenario files of then and the trace beside them."""
    shutil.copytree(HERE / "scenarios_2d6f7ea", tmp_path / "scenarios")
    shutil.copytree(HERE.parents[1] / "scenarios" / "traces", tmp_path / "scenarios" / "traces")
    return tmp_path / "scenarios"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario_file_runs_unchanged(file: Path, folder: Path) -> None:
    scenario = sim.load(folder / file.name, overrides=SHORTER.get(file.stem, {}))
    for variant in scenario.variants:
        result = sim.run(scenario, variant=variant)
        assert result.summary["goodput"] >= 0 or math.isnan(result.summary["goodput"])


def test_metrics_buckets_and_columns_stay() -> None:
    assert set(NAMES["metrics"]) <= {metric.name for metric in METRICS}
    assert set(NAMES["buckets"]) <= set(BUCKET_MEANING)
    for table, columns in NAMES["tables"].items():
        assert set(columns) <= {column.name for column in TABLES[table]}, table


def test_scenario_keys_stay() -> None:
    schema = json_schema()
    for section, keys in NAMES["keys"].items():
        found = schema if section == "scenario" else schema["$defs"][section]
        assert set(keys) <= set(found["properties"]), section


def test_policies_stay() -> None:
    found = families()
    for family, names in NAMES["policies"].items():
        assert set(names) <= set(found[family]), family


def test_presets_stay() -> None:
    listed = invoke("presets").stdout.split()
    for kind, names in NAMES["presets"].items():
        assert set(names) <= set(listed), kind


@pytest.mark.parametrize("verb", NAMES["verbs"])
def test_verb_and_options_stay(verb: str) -> None:
    answer = invoke(verb, "--help")
    assert answer.returncode == 0
    assert all(option in answer.stdout for option in NAMES["verbs"][verb])


@pytest.mark.parametrize("name", NAMES["python"])
def test_python_name_stays(name: str) -> None:
    module, _, attribute = f"simulator.{name}".rpartition(".")
    assert hasattr(importlib.import_module(module), attribute)


def test_files_of_a_study_and_their_columns_stay(folder: Path, tmp_path: Path, without_figures: None) -> None:
    results = tmp_path / "results"
    sim.compare(sim.load(folder / "quickstart.yaml", overrides={"horizon": "1 day"}), replications=2, output=results)
    assert set(NAMES["files"]) <= {path.name for path in results.iterdir()}
    for table in ("summary.csv", "differences.csv"):
        head = (results / table).read_text(encoding="utf-8").splitlines()[0]
        assert set(NAMES[table]) <= set(head.split(","))
