"""Keys of policies in scenario files: numbers by name, choices, durations, and a section that may be absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import simulator as sim
from simulator.errors import InputError
from simulator.policies.health.strikes import Strikes
from simulator.policies.scheduling.combined import Combined, Limit, Limits
from simulator.policies.scheduling.conservative import Conservative
from simulator.policies.scheduling.multifactor import Multifactor
from simulator.policies.scheduling.preemptive import Preemptive
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


ALL = "scheduling.{}: policy 'conservative' plans every job where all take whole nodes and none is kept for anybody"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("depth: 7", ALL.format("depth") + "; found 7; allowed: depth: all, or leave the key out"),
        ("window: 2 days", ALL.format("window")),
        ("resolution: 1 min", ALL.format("resolution")),
        ("depth: 0", "scheduling.depth: too small; found 0; allowed: at least 1 or all"),
        ("depth: most", "scheduling.depth: not a whole number; found 'most'; allowed: a whole number or all"),
        ("depth: all", ""),
    ],
)
@pytest.mark.parametrize("size", ["nodes: 2", "gpus: 8"])
def test_a_depth_is_for_plans_by_node(tmp_path: Path, keys: str, message: str, size: str) -> None:
    text = SCENARIO.replace("nodes: 2", f"{size}, requested: 1 h") + f"scheduling: {{policy: conservative, {keys}}}\n"
    path = tmp_path / "keys.yaml"
    path.write_text(text, encoding="utf-8")
    if not message:
        assert assemble(sim.load(path), "base", 1, 0).scheduling == Conservative(depth="all")
        return
    with pytest.raises(InputError, match=message):
        sim.load(path)


@pytest.mark.parametrize("more", ["part", "reservation"])
def test_parts_of_nodes_and_reservations_are_planned_by_node(tmp_path: Path, more: str) -> None:
    text = SCENARIO.replace("nodes: 2", f"{'gpus: 3' if more == 'part' else 'nodes: 2'}, requested: 1 h")
    text += "scheduling: {policy: conservative, depth: 7, window: 2 days, resolution: 1 min}\n"
    if more == "reservation":
        text += "reservations: [{name: demo, start: 1 h, duration: 1 h, nodes: 1, account: ada}]\n"
    path = tmp_path / "keys.yaml"
    path.write_text(text, encoding="utf-8")
    world = assemble(sim.load(path), "base", 1, 0)
    assert world.scheduling == Conservative(depth=7, window=2 * 86400.0, resolution=60.0)


COMBINED = """\
name: keys
horizon: 1 h
cluster: {nodes: 4, node: {gpus: 8}}
workload:
  jobs:
    - {name: low, nodes: 2, work: 10 min, user: ada}
    - {name: high, nodes: 2, work: 10 min, user: bob, priority: 1}
scheduling:
  policy: multifactor
  shares: {ada: 2}
  preemption: {by: priority, mode: cancel, min_run_time: 1 min, grace: 5 s, most_preemptions: 2}
  limits: {accounts: {ada: {gpus: 8}}, users: {bob: {jobs: 1}}, each_user: {gpus: 16, jobs: 2}}
"""


def test_an_order_preemption_and_limits_are_separate_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(COMBINED, encoding="utf-8")
    found = assemble(sim.load(path), "base", 1, 0).scheduling
    assert found == Combined(
        Multifactor(shares=(("ada", 2.0),)),
        Preemptive(backfill="easy", grace=5.0, min_run_time=60.0, most_preemptions=2, mode="cancel"),
        Limits({"ada": Limit(gpus=8.0)}, {"bob": Limit(jobs=1.0)}, None, Limit(16.0, 2.0)),
    )
    assert not sim.load(path).warnings


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "policy: multifactor\n  shares: {ada: 2}",
            "policy: quota",
            "policy 'quota' has rules of its own, which preemp",
        ),
        ("accounts: {ada", "accounts: {adda", "accounts.adda: no job is on this account; .* did you mean 'ada'"),
        ("mode: cancel", "mode: suspend", "scheduling.preemption.mode: .* allowed: requeue, cancel"),
        ("jobs: 1}", "jobs: -1}", "scheduling.limits.users.bob.jobs: too small"),
    ],
)
def test_what_cannot_be_combined_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "keys.yaml"
    assert old in COMBINED
    path.write_text(COMBINED.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        sim.load(path)


@pytest.mark.parametrize("policy", ["{policy: preemptive}", "{policy: fifo, preemption: {}}"])
def test_preemption_that_can_preempt_nobody_is_warned_about(tmp_path: Path, policy: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(SCENARIO + f"scheduling: {policy}\n", encoding="utf-8")
    (warning,) = sim.load(path).warnings
    assert warning.startswith("scheduling: all jobs are of one class of priority, so nobody can be preempted")


def test_scale_up_domains_come_from_the_fabric(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").machine.scale_up.tolist() == [0, 1, 2, 3]
    fabric = "{topology: clos, rate: 400 Gbit/s, hosts_per_leaf: 16, scale_up: {gpus: 16, rate: 400 GB/s}}"
    path = tmp_path / "joined.yaml"
    path.write_text(SCENARIO.replace("node: {gpus: 8}", f"node: {{gpus: 8}}, fabric: {fabric}"), encoding="utf-8")
    scenario = sim.load(path)
    assert assemble(scenario, scenario.variants[0], 1, 0).machine.scale_up.tolist() == [0, 0, 1, 1]
