"""Transports of each generation of GPUs carry large messages at the rate of their links; others are warned about."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from measured_collectives import named_transport

import simulator as sim
from simulator.network.collectives import Op
from simulator.network.placed import CollectiveTimes, collective_times
from simulator.network.topologies import Ports, ScaleUp, clos
from simulator.scenario import presets

MACHINES = {
    "nccl_a100_efa": (8, 300e9, 6.25e9),
    "nccl_hopper_nvswitch": (8, 450e9, 50e9),
    "nccl_b200_nvswitch": (8, 900e9, 50e9),
    "nccl_gb200_nvl72": (72, 900e9, 100e9),
}
"""GPUs of a domain, bytes/s of NVLink and of a NIC, by the transport fitted on such machines."""
LARGE = 16.0 * 2**30


def carried(name: str, op: Op, algorithm: str, ranks: int, sizes: list[float]) -> CollectiveTimes:
    """Return times on the first GPUs of a domain, or of two ranks in two domains where it has fewer."""
    domain, scale_up, nic = MACHINES[name]
    fabric = clos(2 * domain, 2 * domain, Ports(nic, 0.0, 4, ScaleUp(domain, scale_up)))
    hosts = np.arange(ranks) if ranks <= domain else np.array([0, domain])
    return collective_times(fabric, hosts, op, sizes, algorithm, transport=named_transport(name))


@pytest.mark.parametrize("name", ["nccl_b200_nvswitch", "nccl_gb200_nvl72"])
@pytest.mark.parametrize(
    ("op", "algorithm", "ranks"),
    [
        ("all_reduce", "ring", 8),
        ("all_gather", "ring", 8),
        ("reduce_scatter", "ring", 8),
        ("broadcast", "ring", 8),
        ("send_recv", "ring", 2),
        ("all_to_all", "pairwise", 8),
    ],
)
def test_large_messages_outside_nvls_reach_the_share_of_hopper(name: str, op: Op, algorithm: str, ranks: int) -> None:
    """0.812 of 900 GB/s, less what pieces cost; the low-latency protocol reaches 231 GB/s."""
    times = carried(name, op, algorithm, ranks, [LARGE])
    assert times.protocol == ["Simple"]
    factor = float(times.busbw[0] * times.time_s[0]) / LARGE
    assert float(times.time_s[0]) == pytest.approx(in_pieces(name, factor * LARGE / (0.812 * 900e9)), rel=LATENCY)


@pytest.mark.parametrize("name", ["nccl_b200_nvswitch", "nccl_gb200_nvl72"])
def test_copies_between_nodes_reach_the_share_of_hopper(name: str) -> None:
    times = carried(name, "send_recv", "ring", 100, [LARGE])
    expected = in_pieces(name, LARGE / (0.88 * MACHINES[name][2]))
    assert float(times.time_s[0]) == pytest.approx(expected, rel=LATENCY)


LATENCY = 5e-3  # below 90 us, of messages that take 20 ms and more


def in_pieces(name: str, seconds: float) -> float:
    """Return the time of bytes that take so long, cut into the best number of pieces."""
    (simple,) = (each for each in named_transport(name).protocols if each.name == "Simple")
    return seconds + 2.0 * math.sqrt(simple.chunk_s * seconds)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("algorithm", ["ring", "binomial", "in_network"])
def test_protocols_change_once_from_small_to_large(name: str, algorithm: str) -> None:
    if algorithm == "in_network" and not named_transport(name).serving(True):
        return
    op: Op = "broadcast" if algorithm == "binomial" else "all_gather"
    used = carried(name, op, algorithm, 8, [2.0**k for k in range(3, 35)]).protocol
    expected = ("NVLS",) if algorithm == "in_network" else ("LL", "Simple")
    assert tuple(dict.fromkeys(used)) == expected
    assert used == sorted(used, key=expected.index)


# --- nodes on fabrics and transports of others ---------------------------------------------------------------------


def warnings(folder: Path, node: str, fabric: str) -> list[str]:
    path = folder / "machine.yaml"
    path.write_text(
        f"name: machine\nhorizon: 1 day\ncluster: {{nodes: 36, node: {node}, fabric: {fabric}}}\n"
        "workload: {jobs: [{name: a, nodes: all}]}\n",
        encoding="utf-8",
    )
    return [text for text in sim.load(path).warnings if text.startswith("cluster.fabric")]


FABRICS = {
    "h100_8gpu": ["rail_400g", "llama3_24k", "dual_tor_400g", "multi_plane_800g"],
    "h200_8gpu": ["rail_400g", "llama3_24k", "dual_tor_400g", "multi_plane_800g"],
    "b200_8gpu": ["rail_400g_b200"],
    "gb200_nvl72": ["nvl72_800g"],
    "a100_8gpu": [],
}
"""Fabrics of each node type that do not stand for every generation."""


@pytest.mark.parametrize("node", FABRICS)
def test_presets_of_nodes_are_warned_about_on_fabrics_of_others(tmp_path: Path, node: str) -> None:
    assert sorted(FABRICS) == presets.names("nodes")
    for fabric in sorted({name for names in FABRICS.values() for name in names}):
        if presets.preset("nodes", node).body()["gpus"] != 8 and fabric != "nvl72_800g":
            continue  # domains of 8 GPUs are two such nodes, which is another machine
        found = warnings(tmp_path, node, fabric)
        assert len(found) == (0 if fabric in FABRICS[node] else 2), (fabric, found)


def test_the_warning_says_what_is_meant_for_what_and_what_to_write(tmp_path: Path) -> None:
    assert warnings(tmp_path, "b200_8gpu", "rail_400g") == [
        "cluster.fabric: rail_400g is for H100 and H200, but the nodes have B200-SXM; "
        "write rate and scale_up of those nodes",
        "cluster.fabric.transport: nccl_hopper_nvswitch is for H100 and H200, but the nodes have B200-SXM; "
        "write a preset for those nodes, or a mapping",
    ]


@pytest.mark.parametrize("transport", ["ideal", "nccl_b200_nvswitch", "nccl_a100_efa"])
def test_a_fabric_of_ones_own_is_warned_about_for_its_transport_alone(tmp_path: Path, transport: str) -> None:
    inner = "{gpus: 8, rate: 900 GB/s}"
    own = f"{{topology: clos, rate: 400 Gbit/s, hosts_per_leaf: 32, scale_up: {inner}, transport: {transport}}}"
    found = warnings(tmp_path, "b200_8gpu", own)
    assert [text.split(":")[0] for text in found] == (["cluster.fabric.transport"] if "a100" in transport else [])
    assert warnings(tmp_path, "{gpus: 8}", own) == []  # a node that does not say which GPU it has
