"""The schema: what a scenario must satisfy, and what each refusal says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from simulator.errors import InputError
from simulator.scenario import load
from simulator.scenario.schema import json_schema

MINIMAL = """
name: tiny
horizon: 10 days
cluster: {nodes: 8, node: h100_8gpu, domains: {switch: 4}, spares: {count: 2}}
faults: {mix: rsc1_fitted}
repairs: {mix: operator_mix_assumed}
workload: {jobs: [{name: training, nodes: 6}]}
"""


def scenario(folder: Path, text: str = MINIMAL, **overrides: Any) -> Any:
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, {key.replace("__", "."): value for key, value in overrides.items()})


def test_minimal_scenario(tmp_path: Path) -> None:
    found = scenario(tmp_path)
    assert found.variants == ("base",)
    spec = found.variant("base")
    assert spec.horizon == 10 * 86400
    assert spec.cluster.price_usd_per_gpu_s == pytest.approx(2.95 / 3600)
    assert spec.recovery.chosen() == "replace"
    assert spec.scheduling.chosen() == "fifo"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cluster.spares.count": 8}, r"cluster\.spares\.count: no node is left to work"),
    ({"cluster.domains.node": 4}, r"cluster\.domains\.node: this name is reserved"),
    ({"cluster.node": {"name": "h100_8gpu", "gpus": 2}}, r"cluster\.node: this name belongs to a preset"),
    ({"cluster.nodes": 7.5}, r"cluster\.nodes"),
    ({"cluster.nodes": -1}, r"cluster\.nodes"),
    ({"cluster.nodes": True}, r"cluster\.nodes"),
    ({"cluster.node": "h100_8gpus"}, r"cluster\.node: unknown node type.*h100_8gpu'\?"),
    ({"warm_up": "10 days"}, r"warm_up: must be shorter than the horizon"),
    ({"warm_up": "-1 s"}, r"warm_up: negative duration"),
    ({"horizon": 10}, r"horizon: a duration needs its unit"),
    ({"horizon": None}, r"horizon"),
    ({"workload.jobs.0.nodes": 7}, r"workload\.jobs\.0\.nodes: the job is larger than the machine.*at most 6"),
    ({"workload.jobs.0.gpus": 8}, r"workload\.jobs\.0: the size of a job is given once"),
    ({"workload.jobs.0.submit": "11 days"}, r"workload\.jobs\.0\.submit: submitted after the horizon"),
    ({"workload.jobs.0.work": "0 s"}, r"workload\.jobs\.0\.work: a duration of zero"),
    ({"workload.jobs": []}, r"workload: nothing runs"),
    ({"faults.classes.gpu": {"repair": "instant"}}, r"faults\.classes\.gpu: class 'gpu' has no rate"),
    (
        {"faults.classes.gpu": {"rate": "1 / rack-day"}},
        r"faults\.classes\.gpu\.rate: class 'gpu' has an unknown population; found 'rack'",
    ),
    (
        {"faults.classes.gpu": {"rate": "1 / node-day", "scope": "swich"}},
        r"faults\.classes\.gpu\.scope: class 'gpu' has an unknown scope.*did you mean 'switch'",
    ),
    (
        {"faults.classes.gpu": {"rate": "1 / node-day", "mtbf": "4 days per node"}},
        r"faults\.classes\.gpu.*rate and mtbf are two ways of saying the same",
    ),
    (
        {"faults.classes.gpu": {"rate": "1 / node-day", "stops_job": False, "takes_node_out": False}},
        r"faults\.classes\.gpu\.stops_job: class 'gpu' does nothing",
    ),
    (
        {"faults.classes.bug": {"rate": "1 / node-day", "takes_node_out": False, "repair": "instant"}},
        r"faults\.classes\.bug\.repair: class 'bug' takes no node out",
    ),
    ({"faults.mix": "llama3"}, r"faults\.mix: unknown failure mix.*did you mean 'llama3_2024'"),
    ({"faults.classes.gpu": {"rate": "2e6 / node-day"}}, r"faults: the rates are absurdly high"),
    ({"repairs.mix": "operator_mix"}, r"repairs\.mix: unknown repair mix.*'operator_mix_assumed'"),
    ({"repairs.mix": None}, r"repairs\.mix: class 'infrastructure' takes nodes out and has no repair mix"),
    (
        {"repairs.mixes.operator_mix_assumed": {"tiers": {"a": {"probability": 0.5, "time": "1 h"}}}},
        r"repairs\.mixes\.operator_mix_assumed\.tiers: the probabilities of the tiers must sum to 1; found 0\.5",
    ),
    (
        {"repairs.mixes.operator_mix_assumed": {"failure_probability": 0.1}},
        r"repairs\.mixes\.operator_mix_assumed\.recurrence: a missed fault must strike again",
    ),
    (
        {"repairs.mixes.operator_mix_assumed": {"failure_probability": 1}},
        r"failure_probability: no repair would ever succeed",
    ),
    ({"faults.detect": {"family": "lognormal", "mean": "1 min"}}, r"faults\.detect.*needs a spread"),
    ({"faults.detect": {"family": "uniform", "mean": "1 min", "cv": 0.9}}, r"faults\.detect.*below zero"),
    ({"faults.detect": {"family": "fixed", "mean": "1 min", "cv": 0.9}}, r"takes neither cv nor median"),
    (
        {"checkpoint.tiers": [{"name": "a", "blocking": "1 s", "interval": "yuong"}]},
        r"checkpoint\.tiers\.0\.interval: unknown checkpoint interval.*did you mean 'young'",
    ),
    (
        {"checkpoint.tiers": [{"name": "a", "blocking": "0 s"}]},
        r"checkpoint\.tiers\.0: a checkpoint that costs nothing has no optimal interval",
    ),
    (
        {"checkpoint.tiers": [{"name": "a", "blocking": "1 s"}, {"name": "a", "blocking": "1 s"}]},
        r"checkpoint\.tiers\.1\.name: two tiers share a name",
    ),
    (
        {"checkpoint.tiers": [{"name": "a", "blocking": "1 s", "interval": {"policy": "young", "interval": "1 s"}}]},
        r"checkpoint\.tiers\.0\.interval\.interval: policy 'young' has no such key",
    ),
    ({"recovery": {"policy": "fail", "give_up_after": 3}}, r"recovery\.give_up_after: policy 'fail' has no such key"),
    ({"recovery": {"policy": "replce"}}, r"recovery\.policy"),
    ({"scheduling": {"policy": "easy", "depth": 3}}, r"scheduling\.depth"),
    ({"report.answer": {"metric": "etr"}}, r"report\.answer\.metric: unknown metric.*did you mean 'ettr'"),
    (
        {"report.published": [{"metric": "ettr", "variant": "bse", "value": 1, "kind": "input", "source": "x"}]},
        r"report\.published\.0\.variant: unknown variant.*did you mean 'base'",
    ),
    (
        {"report.published_classes": [{"class": "infrastructur", "count": 1}]},
        r"report\.published_classes\.0\.class: unknown fault class.*did you mean 'infrastructure'",
    ),
    ({"cluster.nodez": 3}, r"cluster\.nodez"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[next(iter(change)) for change, _ in REFUSED])
def test_refusals_name_the_key(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        scenario(tmp_path, MINIMAL, **change)


def test_two_jobs_with_one_name(tmp_path: Path) -> None:
    jobs = [{"name": "a-1", "nodes": 1}, {"name": "a", "nodes": 1, "copies": 3}]
    with pytest.raises(InputError, match=r"workload\.jobs\.1\.name: this name is taken"):
        scenario(tmp_path, workload__jobs=jobs)


def test_every_variant_is_validated(tmp_path: Path) -> None:
    text = MINIMAL + "variants: {good: {}, bad: {cluster.spares.count: 3}}\n"
    with pytest.raises(InputError, match="larger than the machine"):
        scenario(tmp_path, text)


def test_a_variant_may_not_change_the_study(tmp_path: Path) -> None:
    text = MINIMAL + "variants: {good: {}, bad: {seed: 3}}\n"
    with pytest.raises(InputError, match="seed: variant 'bad': belongs to the whole study, and variants differ in it"):
        scenario(tmp_path, text)


def test_unknown_variant_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown variant; found 'bas'; allowed: base; did you mean 'base'"):
        scenario(tmp_path).variant("bas")


def test_horizon_is_needed_only_by_jobs_without_work(tmp_path: Path) -> None:
    text = MINIMAL.replace("horizon: 10 days\n", "")
    with pytest.raises(InputError, match="runs to the horizon, and there is none"):
        scenario(tmp_path, text)
    assert scenario(tmp_path, text, workload__jobs=[{"name": "a", "nodes": 1, "work": "1 h"}])


def test_assumptions_leave_out_what_the_scenario_overrides(tmp_path: Path) -> None:
    keys = {row.key for row in scenario(tmp_path).assumptions}
    assert "faults.detect (infrastructure)" in keys
    assert "repairs.operator_mix_assumed.rma" in keys
    overridden = scenario(tmp_path, faults__detect="1 s", repairs__mix="instant").assumptions
    assert not {row.key for row in overridden} & {"faults.detect (infrastructure)", "repairs.operator_mix_assumed.rma"}


def test_declared_assumptions_show_the_value_of_the_file(tmp_path: Path) -> None:
    found = scenario(tmp_path, report__assumptions=[{"key": "cluster.spares.count", "why": "a guess"}])
    first = found.assumptions[0]
    assert (first.key, first.value, first.source, first.why) == ("cluster.spares.count", "2", "scenario", "a guess")


def test_a_guess_about_a_key_that_no_variant_has_is_left_out(tmp_path: Path) -> None:
    """One that is given, ones that are not, a slip, one with a default, and one that only a variant gives."""
    absent = ["workload.synthetic.checkpoint", "workload.synthetic.accounts"]
    declared = ["workload.synthetic.elastic", *absent, "workload.synthetic.elastik", "cluster.spares.kind"]
    rows = [{"key": key, "why": "a guess"} for key in [*declared, "cluster.price"]]
    drawn = {"model": "philly", "jobs": 5, "elastic": {"fewest": 0.5}}

    def own(synthetic: object, **overrides: object) -> dict[str, str]:
        found = scenario(tmp_path, workload__synthetic=synthetic, report__assumptions=rows, **overrides).assumptions
        return {row.key: row.value for row in found if row.source == "scenario"}

    given = own(drawn)
    assert list(given) == ["workload.synthetic.elastic", "workload.synthetic.elastik", "cluster.spares.kind"]
    assert (given["workload.synthetic.elastic"], given["workload.synthetic.elastik"]) == ("fewest 0.5", "")
    assert list(own(None)) == ["workload.synthetic.elastik", "cluster.spares.kind"]
    priced = {"without": {"workload.synthetic": None}, "priced": {"cluster.price": "2 USD/GPU/h"}}
    assert list(own(drawn, variants=priced)) == [*given, "cluster.price"]


def test_an_inline_mix_may_not_pass_as_a_preset(tmp_path: Path) -> None:
    text = MINIMAL.replace("mix: rsc1_fitted", "mix: {name: rsc1_fitted, classes: {a: {rate: 1 / node-day}}}")
    with pytest.raises(InputError, match=r"faults\.mix: this name belongs to a preset"):
        scenario(tmp_path, text)


def test_overrides_take_python_values(tmp_path: Path) -> None:
    assert scenario(tmp_path, cluster__nodes=np.int64(9)).variant("base").cluster.nodes == 9
    log = tmp_path / "elsewhere.swf"
    log.write_text("1 0 -1 5 1 -1 -1 1 9 -1 1 1 1 -1 1 1 -1 -1")
    found = scenario(tmp_path, workload__trace={"format": "swf", "path": log}).variant("base")
    assert found.workload.trace.path == str(log)


def test_equal_documents_are_equal_scenarios(tmp_path: Path) -> None:
    assert scenario(tmp_path) == scenario(tmp_path)
    assert scenario(tmp_path) != scenario(tmp_path, seed=2)


def test_json_schema_accepts_and_refuses() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {
        "name": "tiny",
        "horizon": "10 days",
        "cluster": {"nodes": 8, "node": "h100_8gpu"},
        "faults": {"mix": "rsc1_fitted", "detect": {"family": "lognormal", "mean": "1 min", "cv": 1}},
        "workload": {"jobs": [{"name": "a", "nodes": "all"}]},
        "checkpoint": {"tiers": [{"name": "a", "blocking": "1 s", "interval": "10 min"}]},
    }
    validator.validate(good)
    validator.validate({"extends": "base.yaml"})
    for key, value in (
        ("horizon", 10),
        ("cluster", {"nodes": 8, "node": "h100"}),
        ("recovery", {"policy": "replce"}),
        ("unknown", 1),
    ):
        assert not validator.is_valid({**good, key: value}), key
    assert not validator.is_valid({"name": "tiny"})


def properties_of(name: str, part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        for key, value in part.get("properties", {}).items():
            yield f"{name}.{key}", value
        for key in ("anyOf", "allOf"):
            for option in part.get(key, []):
                yield from properties_of(name, option)


def test_json_schema_describes_every_key() -> None:
    schema = json_schema()

    def is_described(value: dict[str, Any]) -> bool:
        # A key that says the same as the section it holds leaves the description to the section.
        section = schema["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
        return bool(value.get("description") or section.get("description"))

    objects = {"scenario": schema, **schema["$defs"]}
    keys = [pair for name, part in objects.items() for pair in properties_of(name, part)]
    assert len(keys) > 100
    assert [key for key, value in keys if not is_described(value)] == []
