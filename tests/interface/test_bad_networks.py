"""Wrong fabrics, collectives and parallel plans: one clear error each, exit code 2, no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import invoke

import simulator as sim
from simulator.network.placed import collective_times
from simulator.network.topologies import Ports, clos, dragonfly, torus

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "scenarios" / "oversubscription_placement.yaml"
JOB = "workload.jobs.0.training"


def command(*words: str) -> tuple[int, str]:
    done = invoke(*words)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--fabric", "rail_400"), ("unknown fabric", "did you mean 'rail_400g'")),
        (("--fabric", "torus_16x16x16", "--ranks", "5000"), ("5000", "at most 4096")),
        (("--fabric", "rail_400g", "--ranks", "16", "--op", "all_redcue"), ("op", "did you mean 'all_reduce'")),
        (("--fabric", "rail_400g", "--ranks", "16", "--algorithm", "rign"), ("algorithm", "did you mean 'ring'")),
        (("--fabric", "rail_400g", "--ranks", "24", "--algorithm", "halving_doubling"), ("power of two", "24")),
        (("--fabric", "rail_400g", "--ranks", "16", "--sizes", "8-16G"), ("sizes", "8:16G")),
        (("--fabric", "rail_400g", "--ranks", "16", "--algorithm", "torus_multi_ring"), ("torus",)),
        (("--fabric", "rail_400g"), ("how large", "--ranks 1024")),
        (("--fabric", "rail_400g", "--ranks", "1000000000"), ("too large", "at most 1,048,576")),
        (("--fabric", "torus_16x16x16", "--output", f"{SCENARIO}"), ("cannot write", "not a folder")),
        (("--fabric", "torus_16x16x16", "--output", f"{SCENARIO}/x"), ("cannot write", "not a folder")),
    ],
)
def test_collective_command(words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    code, text = command("collective", *words)
    assert code == 2
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("rail_400g",), ("how large", "--gpus 1024")),
        (("rail_400g", "--gpus", "100000000"), ("too large", "at most 1,048,576")),
        (("torus_16x16x16", "--gpus", "100"), ("--gpus", "a size of its own", "4096")),
        ((f"{SCENARIO}", "--gpus", "64"), ("--gpus", "a size of its own")),
        (("torus_16x16x16", "--output", f"{SCENARIO}"), ("cannot write", "not a folder")),
        (("torus_16x16x16", "--output", f"{SCENARIO}/x"), ("cannot write", "not a folder")),
    ],
)
def test_fabric_command(words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    code, text = command("fabric", *words)
    assert code == 2
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    for part in parts:
        assert part in text


@pytest.mark.parametrize("build", [lambda p: torus((5000, 5000), p), lambda p: dragonfly(100, 100, 100, p)])
def test_fabrics_that_no_memory_holds_are_refused(build: Any) -> None:
    with pytest.raises(sim.InputError, match="the fabric is too large"):
        build(Ports(50e9))


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"cluster.fabric.rate": "0 Gbit/s"}, ("cluster.fabric.rate", "zero")),
        ({"cluster.fabric.topology": "fat_tree"}, ("fat_tree", "radix")),
        ({"cluster.fabric.routing.policy": "minimal"}, ("routing", "ecmp")),
        ({"cluster.fabric.planes": 0}, ("cluster.fabric.planes",)),
        ({"cluster.fabric.leaves_per_pod": None}, ("two levels are oversubscribed once", "oversubscription [")),
        ({"cluster.fabric.scale_up.gpus": 3}, ("cluster.fabric.scale_up.gpus", "divisor or a multiple of the 8 GPUs")),
        ({"cluster.fabric.hosts_per_leaf": 9_999_999}, ("the fabric is too large",)),
        ({f"{JOB}.efficiency": "a100_bf16_megatron"}, (f"{JOB}.efficiency", "hold for A100", "H100-SXM")),
        ({f"{JOB}.interleave": 7}, (f"{JOB}.pp", "that divides 80 layers, or 82")),
        ({f"{JOB}.tp": 7}, (f"{JOB}.tp", "divisor")),
        ({f"{JOB}.global_batch": 33}, (f"{JOB}.global_batch", "multiple")),
        ({f"{JOB}.pp": 3}, ("GPUs of the job", "multiple")),
        ({f"{JOB}.pp": 1, f"{JOB}.tp": 4}, ("does not fit memory", "1.5 x 80 GB", "memory_check: false")),
        ({f"{JOB}.model": "lama3_70b"}, (f"{JOB}.model", "did you mean 'llama3_70b'")),
        ({"workload.jobs.0.nodes": 5000}, ("larger than the machine",)),
        ({"faults.classes.x": {"scope": "host_lnk", "rate": "1 / node-day"}}, ("did you mean 'host_link'",)),
        (
            {"faults.classes.x": {"scope": "host_link", "rate": "1 / node-day", "stops_job": True}},
            ("follows from routing",),
        ),
        ({"faults.classes.x": {"scope": "host_link", "rate": "1 / host_link-day"}}, ("no repair mix",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_scenarios(changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(sim.InputError) as caught:
        sim.load(SCENARIO, overrides=changes)
    for part in parts:
        assert part in str(caught.value)


STORED = {"name": "s", "blocking": "1 s", "storage": "background", "interval": "10 min"}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"cluster.storage": None}, ("checkpoint.tiers.0.storage", "the cluster has no storage")),
        ({"cluster.storage.write": "0 GB/s"}, ("cluster.storage.write", "a bandwidth of zero")),
        ({"cluster.storage.read": None}, ("cluster.storage.read",)),
        ({"cluster.storage.servers": -1}, ("cluster.storage.servers",)),
        ({"checkpoint.tiers": [{**STORED, "storage": "behind"}]}, ("checkpoint.tiers.0.storage", "background")),
        (
            {"checkpoint.tiers": [{"name": "s", "blocking": "1 s", "size": "1 TB", "interval": "10 min"}]},
            ("checkpoint.tiers.0.size", "only tiers on storage"),
        ),
        ({"workload.jobs.0.training": None}, ("how large is a checkpoint of job 'dense_405b'", "2 TB")),
        ({"workload.jobs.0.training.sample": "1 mb"}, ("workload.jobs.0.training.sample", "1 mb")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_storage(changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(sim.InputError) as caught:
        sim.load(ROOT / "scenarios" / "checkpoint_traffic.yaml", overrides=changes)
    for part in parts:
        assert part in str(caught.value)


def test_storage_servers_need_a_fabric_with_room(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = "name: s\nhorizon: 1 h\nworkload: {jobs: [{name: a, nodes: 1}]}\ncluster:\n  nodes: 4\n  node: h100_8gpu\n"
    store = "  storage: {write: 1 GB/s, read: 1 GB/s, servers: 5}\n"
    path.write_text(text + store, encoding="utf-8")
    with pytest.raises(sim.InputError, match="there is none"):
        sim.load(path)
    path.write_text(text + store + "  fabric: {topology: hypercube, rate: 1 Gbit/s, dimension: 6}\n", encoding="utf-8")
    with pytest.raises(sim.InputError, match=r"fewer ports.*at most 64, storage servers included"):
        sim.load(path)


def test_training_without_a_fabric_is_refused(tmp_path: Path) -> None:
    text = SCENARIO.read_text(encoding="utf-8")
    begin, end = text.index("  fabric:"), text.index("workload:")
    path = tmp_path / "s.yaml"
    path.write_text(text[:begin] + "\n" + text[end : text.index("placement:")], encoding="utf-8")
    with pytest.raises(sim.InputError, match="needs a network"):
        sim.load(path)


def test_ranks_that_nothing_joins_are_refused() -> None:
    fabric = clos(16, 4, Ports(50e9))
    up = np.ones(fabric.links, dtype=bool)
    up[(fabric.tail == 3) | (fabric.head == 3)] = False
    with pytest.raises(sim.InputError, match="no living path"):
        collective_times(fabric, np.arange(16), "all_reduce", [1e6], "ring", left=up)
    with pytest.raises(sim.InputError, match="twice"):
        collective_times(fabric, [0, 1, 1], "all_reduce", [1e6], "ring")
