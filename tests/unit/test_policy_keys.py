"""Keys of policies in scenario files: numbers by name, choices, durations, and a section that may be absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import simulator as sim
from simulator.errors import InputError
from simulator.policies.health.strikes import Strikes
from simulator.policies.scheduling.quota import Quota
from simulator.scenario.assembly import assemble

SCENARIO = """\
name: keys
horizon: 1 h
cluster: {nodes: 4, node: {gpus: 8}}
workload: {jobs: [{name: train, nodes: 2, work: 10 min, user: ada}]}
"""


def loaded(tmp_path: Path, more: str) -> Any:
    path = tmp_path / "keys.yaml"
    path.write_text(SCENARIO + more, encoding="utf-8")
    scenario = sim.load(path)
    return assemble(scenario, scenario.variants[0], 1, 0)


def test_numbers_by_name_become_sorted_pairs(tmp_path: Path) -> None:
    keys = "{policy: quota, quotas: {grace: 8, ada: 16}, grace: 2 min, backfill: none}"
    other = "workload: {jobs: [{name: train, nodes: 2, work: 10 min, user: ada}, {name: more, nodes: 1, user: grace}]}"
    path = tmp_path / "keys.yaml"
    path.write_text("\n".join((*SCENARIO.splitlines()[:-1], other, f"scheduling: {keys}\n")), encoding="utf-8")
    world = assemble(sim.load(path), "base", 1, 0)
    assert world.scheduling == Quota(backfill="none", grace=120.0, quotas=(("ada", 16.0), ("grace", 8.0)))
    assert world.health is None


def test_health_is_a_section_of_its_own(tmp_path: Path) -> None:
    world = loaded(tmp_path, "health: {policy: strikes, strikes: 2, window: 1 day}\n")
    assert world.health == Strikes(strikes=2, window=86400.0)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("scheduling: {policy: quota, quotas: {ada: -1}}\n", "scheduling.quotas.ada"),
        ("scheduling: {policy: quota, quotas: 16}\n", "scheduling.quotas"),
        ("scheduling: {policy: quota, backfill: all}\n", "scheduling.backfill"),
        ("scheduling: {policy: easy, quotas: {ada: 1}}\n", "policy 'easy' has no such key"),
        ("health: {policy: strikes, window: 0 s}\n", "health.window"),
        ("health: {policy: strikes, strikes: 0}\n", "health.strikes"),
        ("recovery: {policy: requeue, backoff_growth: 0.5}\n", "recovery.backoff_growth"),
    ],
)
def test_wrong_keys_are_named(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        loaded(tmp_path, more)


def test_scale_up_domains_come_from_the_fabric(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").machine.scale_up.tolist() == [0, 1, 2, 3]
    fabric = "{topology: clos, rate: 400 Gbit/s, hosts_per_leaf: 16, scale_up: {gpus: 16, rate: 400 GB/s}}"
    path = tmp_path / "joined.yaml"
    path.write_text(SCENARIO.replace("node: {gpus: 8}", f"node: {{gpus: 8}}, fabric: {fabric}"), encoding="utf-8")
    scenario = sim.load(path)
    assert assemble(scenario, scenario.variants[0], 1, 0).machine.scale_up.tolist() == [0, 0, 1, 1]
