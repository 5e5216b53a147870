"""Null empties a section wherever it is written, and a job may have a recovery policy of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.errors import InputError
from simulator.scenario import load
from simulator.scenario.profiles import recorded_profile, written_profile

BASE = """
name: base
horizon: 5 days
cluster: {nodes: 16, node: h100_8gpu, spares: {count: 2}, domains: {rack: 4}}
checkpoint: {tiers: [{name: local, blocking: 1 s, interval: 10 min}]}
faults: {mix: llama3_2024}
repairs: {mix: operator_mix_assumed}
recovery: {policy: replace_or_shrink, give_up_after: 3}
workload: {jobs: [{name: train, nodes: 8}]}
variants: {plain: {}, bigger: {cluster.nodes: 24}}
"""

EMPTIED = ("checkpoint", "faults", "recovery", "cluster.spares", "cluster.domains", "faults.mix")


def loaded(folder: Path, child: str, settings: tuple[str, ...] = ()):
    (folder / "base.yaml").write_text(BASE, encoding="utf-8")
    (folder / "child.yaml").write_text("extends: base.yaml\nname: child\n" + child, encoding="utf-8")
    return load(folder / "child.yaml", settings=settings)


def without(key: str) -> str:
    """The base without one section, written so."""
    lines = []
    for line in BASE.splitlines():
        name, _, rest = key.partition(".")
        if line.startswith(f"{name}:"):
            keep = {"spares": ", spares: {count: 2}", "domains": ", domains: {rack: 4}", "mix": "mix: llama3_2024"}
            line = line.replace(keep[rest], "") if rest else ""
        lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("key", EMPTIED)
@pytest.mark.parametrize("place", ["child", "variant", "dotted", "setting"])
def test_null_is_as_if_the_section_were_not_there(key: str, place: str, tmp_path: Path) -> None:
    nested = f"{key.replace('.', ': {')}: null" + "}" * key.count(".")
    if place == "child":
        found = loaded(tmp_path, nested + "\n").variant("plain")
    elif place == "setting":
        found = loaded(tmp_path, "", (f"{key}=null",)).variant("plain")
    else:
        change = nested if place == "variant" else f"{key}: null"
        found = loaded(tmp_path, f"variants: {{plain: {{{change}}}}}\n").variant("plain")
    (tmp_path / "written.yaml").write_text(without(key).replace("name: base", "name: child"), encoding="utf-8")
    assert found == load(tmp_path / "written.yaml").variant("plain")


@pytest.mark.parametrize(("child", "settings"), [("variants: {bigger: null}\n", ()), ("", ("variants.bigger=null",))])
def test_an_inherited_variant_set_to_null_is_gone(child: str, settings: tuple[str, ...], tmp_path: Path) -> None:
    assert loaded(tmp_path, child, settings).variants == ("plain",)


def test_a_variant_of_its_own_with_nothing_is_the_base(tmp_path: Path) -> None:
    found = loaded(tmp_path, "variants:\n  same:\n")
    assert found.variants == ("plain", "bigger", "same")
    assert found.variant("same") == found.variant("plain")


def test_what_must_be_there_cannot_be_emptied(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"child\.yaml.*: cluster: missing key"):
        loaded(tmp_path, "cluster: null\n")


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("{policy: requeue}", "RequeueJob"),
        ("{policy: fail}", "GiveUp"),
        ("{policy: requeue, give_up_after: 5}", "RequeueJob"),
    ],
)
def test_a_job_has_a_recovery_of_its_own(section: str, name: str, tmp_path: Path) -> None:
    """Keys that only the policy of the machine has are left aside; those of both are inherited."""
    (tmp_path / "s.yaml").write_text(BASE.replace("nodes: 8}", f"nodes: 8, recovery: {section}}}"), encoding="utf-8")
    spec = load(tmp_path / "s.yaml").variant("plain")
    recovery = written_profile(spec, spec.workload.jobs[0], None).recovery
    assert type(recovery).__name__ == name
    if name == "RequeueJob":
        assert recovery.give_up_after == (5 if "give_up" in section else 3)


def test_a_key_that_the_job_itself_gives_must_be_of_its_policy(tmp_path: Path) -> None:
    wrong = BASE.replace("nodes: 8}", "nodes: 8, recovery: {policy: fail, give_up_after: 5}}")
    (tmp_path / "s.yaml").write_text(wrong, encoding="utf-8")
    with pytest.raises(InputError, match=r"workload\.jobs\.0\.recovery\.give_up_after: policy 'fail' has no such key"):
        load(tmp_path / "s.yaml")


def test_drawn_jobs_have_a_recovery_of_their_own(tmp_path: Path) -> None:
    drawn = "workload: {synthetic: {model: helios, load: 0.5, recovery: {policy: fail}}}"
    text = BASE.replace("workload: {jobs: [{name: train, nodes: 8}]}", drawn)
    (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
    spec = load(tmp_path / "s.yaml").variant("plain")
    assert type(recorded_profile(spec, spec.workload.synthetic, "drawn").recovery).__name__ == "GiveUp"
