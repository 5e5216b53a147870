"""What researchers type: public names, short representations, scenarios as data, studies that travel."""

from __future__ import annotations

import html
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

import simulator as sim

WORLD: dict[str, Any] = {
    "name": "plain",
    "question": "How many spares?",
    "horizon": "5 days",
    "replications": 3,
    "cluster": {"nodes": 8, "node": "h100_8gpu"},
    "faults": {"mix": "llama3_2024"},
    "repairs": {"mix": "operator_mix_assumed"},
    "workload": {"jobs": [{"name": "train", "nodes": 6}]},
    "variants": {"none": {}, "two <spares>": {"cluster.spares.count": 2}},
    "report": {"answer": {"metric": "goodput"}},
}


@pytest.fixture(scope="module")
def study() -> sim.Study:
    return sim.compare(sim.load(WORLD), workers=1)


@pytest.mark.parametrize("module", [sim, sim.network, sim.scheduling, sim.policies], ids=lambda module: module.__name__)
def test_only_public_names_are_listed(module: Any) -> None:
    assert set(dir(module)) - {"__version__"} == set(module.__all__)
    for name in dir(module):
        assert getattr(module, name) is not None


def test_notebooks_and_pages_import_public_names_only() -> None:
    root = Path(__file__).parents[2]
    pages = [*root.glob("notebooks/*.ipynb"), *root.glob("docs/*.md"), root / "README.md"]
    deep = ("from simulator.network.", "from simulator.report", "from simulator.engine", "from simulator.experiments")
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not [name for name in deep if name in text], page.name


def test_a_scenario_from_plain_data_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(WORLD, file)
    assert sim.load(WORLD) == sim.load(path)
    changed = {**WORLD, "cluster": {"nodes": np.int64(9), "node": "h100_8gpu"}}
    assert sim.load(changed) == sim.load(path, {"cluster.nodes": 9})
    assert sim.load(WORLD, {"cluster.nodes": 9}) == sim.load(changed)


def test_plain_data_may_extend_and_name_files_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log.swf"
    log.write_text("1 0 0 10 1 -1 -1 1 20 -1 1 1 1 -1 -1 -1 -1 -1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    traced = {"name": "t", "cluster": {"nodes": 1, "node": {"gpus": 1}}}
    for path in (log, str(log), "log.swf"):
        found = sim.load({**traced, "workload": {"trace": {"format": "swf", "path": path}}})
        assert sim.run(found).summary["jobs_completed"] == 1
    child = sim.load({"extends": "pretrain_16k", "name": "mine", "horizon": "2 days"})
    assert child.variant("base").horizon == 2 * 86400.0
    with pytest.raises(sim.InputError, match=r"<mapping>: extends: unknown preset scenario"):
        sim.load({"extends": "pretrain_16", "name": "mine"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**WORLD, "cluster": {"nodes": 8, "node": "h100_8gp"}}, "<mapping>: cluster.node: unknown node type"),
        ({**WORLD, "seed": float("nan")}, "<mapping>: not a scenario"),
        ({**WORLD, "seed": {1, 2}}, "<mapping>: seed: not a whole number"),
    ],
)
def test_wrong_plain_data_is_one_error(data: dict[str, Any], message: str) -> None:
    with pytest.raises(sim.InputError, match=message):
        sim.load(data)


def test_representations_are_short(study: sim.Study) -> None:
    fabric = sim.load_fabric("rail_400g", 64).fabric
    found = [sim.load(WORLD), sim.run(sim.load(WORLD)), study, fabric]
    assert [repr(each) for each in found] == [
        "Scenario('plain', 2 variants x 3 replications)",
        "RunResult('none', replication 0, seed 1)",
        "Study('plain', 2 variants x 3 replications)",
        f"Fabric('rail_400g', clos, 64 GPUs, {fabric.links // 2:,} cables)",
    ]


def test_notebooks_see_tables(study: sim.Study) -> None:
    scenario = sim.load(WORLD)
    for shown in (scenario._repr_html_(), study._repr_html_()):
        assert html.escape("two <spares>") in shown
        assert "two <spares>" not in shown
    assert "cluster.spares.count" in scenario._repr_html_()
    assert "goodput" in study._repr_html_().lower()
    ran = sim.run(scenario)
    assert sim.run(scenario)._repr_html_() == ran._repr_html_()
    assert "goodput" in ran._repr_html_()
    assert "nan" not in ran._repr_html_().lower()


def test_a_pickled_study_carries_its_tables(study: sim.Study) -> None:
    content = pickle.dumps(study)
    elsewhere = sim.compare(sim.load(WORLD), workers=1)
    gone = pickle.dumps(elsewhere)
    shutil.rmtree(elsewhere.folder)
    for again in (pickle.loads(content), pickle.loads(gone)):
        assert again.folder != study.folder
        for name in ("summary", "differences", "runs", "jobs", "ledger", "incidents", "spans"):
            pd.testing.assert_frame_equal(getattr(again, name), getattr(study, name))
        assert again.manifest["variants"] == study.manifest["variants"]
    folder = again.folder
    del again
    assert not folder.exists(), "it goes with the study"


def test_a_run_is_pickled_too() -> None:
    ran = sim.run(sim.load(WORLD))
    again = pickle.loads(pickle.dumps(ran))
    assert again.summary["goodput"] == ran.summary["goodput"]
    pd.testing.assert_frame_equal(again.jobs, ran.jobs)


def test_a_wrong_metric_names_the_nearest(study: sim.Study) -> None:
    with pytest.raises(sim.InputError, match=r"unknown metric; found 'godput'; .* did you mean 'goodput'"):
        study.plot("godput")


def test_fabrics_have_a_public_face() -> None:
    small = sim.network.clos(64, 4, sim.network.Ports(50e9, gpus_per_node=8), leaves_per_pod=8, layout="rail")
    assert sim.network.facts(small).hosts == 64
    assert len(sim.draw_fabric(small).svg()) > 1000
    with pytest.raises(sim.InputError, match="did you mean 'rail_400g'"):
        sim.load_fabric("rail_400")
