"""Fabrics from files: GraphML, node-link JSON, edge lists, topology.conf."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest

import simulator as sim
from simulator.network.facts import facts
from simulator.network.graphs import from_networkx, read_graph
from simulator.network.routing import Routing, routes
from simulator.network.slurm_topology import host_list
from simulator.network.topologies import Ports

PORTS = Ports(50e9)


def star(rate: object = "400 Gbit/s") -> nx.Graph:
    graph = nx.Graph()
    for host in range(4):
        graph.add_edge(f"h{host}", f"leaf{host // 2}", capacity=rate)
    graph.add_edge("leaf0", "spine", capacity=25e9, latency="1 us")
    graph.add_edge("leaf1", "spine", capacity=25e9)
    return graph


def test_a_graph_becomes_a_fabric_with_its_own_capacities() -> None:
    fabric = from_networkx(star(), PORTS)
    known = facts(fabric)
    assert (known.hosts, known.switches, known.cables, known.diameter) == (4, 3, 6, 4)
    assert sorted(set(fabric.capacity.tolist())) == [25e9, 50e9]
    rows = routes(fabric, [0], [3], Routing("ecmp"))
    assert len(rows.links) == 4


def test_files_of_all_kinds_give_the_same_fabric(tmp_path: Path) -> None:
    nx.write_graphml(star(50e9), tmp_path / "a.graphml")
    (tmp_path / "b.json").write_text(json.dumps(nx.node_link_data(star(50e9), edges="links")))
    lines = [f"{a},{b},{d['capacity']}" for a, b, d in star(50e9).edges(data=True)]
    (tmp_path / "c.csv").write_text("source,target,capacity\n" + "\n".join(lines))
    for name in ("a.graphml", "b.json", "c.csv"):
        fabric = read_graph(tmp_path / name, PORTS)
        assert facts(fabric).cables == 6
        assert sorted(fabric.capacity.tolist()) == sorted(from_networkx(star(50e9), PORTS).capacity.tolist())


def test_slurm_topology(tmp_path: Path) -> None:
    path = tmp_path / "topology.conf"
    path.write_text(
        "# two leaves\nSwitchName=s0 Nodes=n[001-003,07]\nSwitchName=s1 Nodes=m1,m2\nSwitchName=top Switches=s[0-1]\n"
    )
    fabric = read_graph(path, PORTS)
    assert (fabric.hosts, facts(fabric).switches, facts(fabric).cables) == (6, 3, 8)
    assert list(host_list("n[001-003,07],login")) == ["n001", "n002", "n003", "n07", "login"]


TWO_LEAVES = "SwitchName=s1 Nodes=n[1-3]\nSwitchName=s2 Nodes=n[4-6]\nSwitchName=top Switches=s[1-2]\n"


@pytest.mark.parametrize(
    "text",
    [
        TWO_LEAVES,
        TWO_LEAVES.replace("=", " = "),
        TWO_LEAVES.lower().replace("nodes", "NODES"),
        TWO_LEAVES.replace("n[4-6]", '"n4, n[5-6]"'),
        TWO_LEAVES.replace(" ", " \\\n\t").replace("top", "top LinkSpeed=100"),
        "# one\n\n" + TWO_LEAVES.replace("\n", "  # Nodes=x \\\n"),
        "".join(reversed(TWO_LEAVES.splitlines(keepends=True))),
        TWO_LEAVES.replace("s1", "s1 Level=0").replace("Switches=s[1-2]", "Level=1 Nodes=n[1-6] Switches=s[1-2]"),
    ],
    ids=["plain", "blanks", "case", "quotes", "continued", "comments", "top first", "scontrol"],
)
def test_slurm_topology_is_read_as_slurm_reads_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.conf").write_text(text)
    known = facts(read_graph(tmp_path / "t.conf", PORTS))
    assert (known.hosts, known.switches, known.cables) == (6, 3, 8)


def test_scontrol_lists_nodes_at_every_switch_above_them(tmp_path: Path) -> None:
    """Three levels: each host has one link, to its leaf."""
    tops = "SwitchName=t Level=2 Nodes=n[1-6] Switches=m\nSwitchName=m Level=1 Nodes=n[1-6] Switches=s[1-2]\n"
    (tmp_path / "t.conf").write_text(tops + "".join(TWO_LEAVES.splitlines(keepends=True)[:2]))
    known = facts(read_graph(tmp_path / "t.conf", PORTS))
    assert (known.hosts, known.switches, known.cables) == (6, 4, 9)


def test_host_lists_of_several_brackets() -> None:
    assert list(host_list("r[0-1]n[09-10]-ib,x")) == ["r0n09-ib", "r0n10-ib", "r1n09-ib", "r1n10-ib", "x"]
    assert list(host_list("[1-2]a")) == ["1a", "2a"]


@pytest.mark.parametrize(
    ("sizes", "switches"), [("", 5), ("BlockSizes=3", 5), ("BlockSizes=3,6", 7), ("blocksizes = 3,6,12", 7)]
)
def test_blocks_of_slurm_are_switches_joined_by_their_sizes(tmp_path: Path, sizes: str, switches: int) -> None:
    lines = [f"BlockName=b{k} Nodes=n[{3 * k + 1}-{3 * k + 3}]" for k in range(4)]
    (tmp_path / "t.conf").write_text("\n".join([*lines, sizes]))
    fabric = read_graph(tmp_path / "t.conf", PORTS)
    assert (fabric.hosts, facts(fabric).switches, facts(fabric).cables) == (12, switches, 12 + switches - 1)
    inside, beside, across = (len(routes(fabric, [0], [host], Routing("ecmp")).links) for host in (1, 3, 6))
    assert (inside, beside, across) == (2, 4, 4 if switches == 5 else 6)


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("a.csv", "source,target\na,b\n", ("capacity", "line 1", "missing column")),
        ("a.csv", "source,target,capacity,color\na,b,1,red\n", ("color", "unknown column")),
        ("a.csv", "source,target,capacity\na,s,0\nb,s,1\n", ("without capacity",)),
        ("a.csv", "source,target,capacity\na,s,fast\nb,s,1\n", ("bandwidth", "fast")),
        ("a.csv", "source,target,capacity\na,s,1\nb,s,1\nc,t,1\nd,t,1\n", ("nothing joins",)),
        ("t.conf", "SwitchName=s Nodes=a,b\nSwitchName=s Nodes=c\n", ("twice", "'s'")),
        ("t.conf", "SwitchName=s Switches=x Nodes=a,b\n", ("no such switch", "'x'")),
        ("t.conf", "Nodes=a,b\n", ("without SwitchName",)),
        ("a.json", "{", ("not a node-link graph",)),
        ("a.json", "[1, 2]", ("not a node-link graph",)),
        ("a.json", '"links"', ("not a node-link graph",)),
        ("a.json", '{"nodes": 3, "links": []}', ("not a node-link graph",)),
        ("t.conf", "SwitchName=s0 Nodes=n[0-3\n", ("line 1", "not a host list", "n[0-3")),
        ("t.conf", "SwitchName=s0 Nodes=n0-3]\n", ("not a host list",)),
        ("t.conf", "SwitchName=s0 Nodes=n[3-0]\n", ("not a host list",)),
        ("t.conf", "SwitchName=s0 Nodes=n[0-]\n", ("not a host list",)),
        ("t.conf", "SwitchName=s0 Nodes=n[0-3][4-5]\n", ("not a host list",)),
        ("t.conf", "SwitchName=s0 Nodes=n[0-9999999999]\n", ("not a host list",)),
        ("t.conf", "SwitchName=s0 Node=n[0-3]\n", ("line 1", "Node: unknown key", "did you mean 'Nodes'?")),
        ("t.conf", "SwitchName=s0 Nodes=a Nodes=b\n", ("Nodes: key appears twice",)),
        ("t.conf", "SwitchName=s0 n[0-3]\n", ("line 1", "not a pair of key and value", "n[0-3]")),
        ("t.conf", "SwitchName=s0 Nodes=\n", ("not a pair of key and value; found 'Nodes='",)),
        ("t.conf", "SwitchName=s0 BlockSize=4\n", ("BlockSize: no key of a SwitchName line",)),
        ("t.conf", "SwitchName=s0 Nodes=a,b Switches=s1\nSwitchName=s1 Nodes=a\n", ("nodes of its own", "'b'")),
        ("t.conf", "SwitchName=s0 Switches=s1\nSwitchName=s1 Switches=s0\n", ("switches below themselves",)),
        ("t.conf", "SwitchName=s0 Nodes=a,b\nBlockName=b1 Nodes=c\n", ("switches and blocks in one file",)),
        ("t.conf", "BlockName=b1\n", ("line 1", "a block without nodes")),
        ("t.conf", "BlockSizes=3,9\nBlockName=b1 Nodes=a,b\n", ("no sizes of blocks; found '3,9'",)),
        ("a.txt", "", ("unknown kind",)),
    ],
)
def test_wrong_files_are_told_with_their_place(tmp_path: Path, name: str, text: str, parts: tuple[str, ...]) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(sim.InputError) as caught:
        read_graph(path, PORTS)
    shown = str(caught.value).replace(f"{path}:1:", f"{path}: line 1:")
    for part in (name, *parts):
        assert part in shown


@pytest.mark.parametrize("name", ["a.csv", "a.json", "t.conf"])
def test_a_file_that_is_no_text_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes("source,target,capacity\nh\xe9,s,1\n".encode("latin-1"))
    with pytest.raises(sim.InputError, match=f"{name}: not a text in UTF-8"):
        read_graph(tmp_path / name, PORTS)


def test_a_graph_of_networkx_has_its_collectives() -> None:
    fabric = sim.network.from_networkx(star(), sim.network.Ports(rate=50e9))
    table = sim.collective(fabric, "all_gather", sizes=[2.0**30], algorithm="ring")
    # Two of the four ranks send to the next one through an uplink of half the rate, 1 us long.
    assert table["time_s"][0] == pytest.approx(3e-6 + 0.75 * 2.0**30 / 25e9, rel=1e-9)
    assert table.attrs["hosts"] == 4
    with pytest.raises(sim.InputError, match="at most 4"):
        sim.collective(fabric, ranks=5)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(sim.InputError, match="no such file"):
        read_graph(tmp_path / "none.csv", PORTS)
