"""Fabrics from graphs that others drew: networkx, GraphML, node-link JSON, edge lists and Slurm's topology.conf."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from simulator import units
from simulator.errors import InputError, UnitError
from simulator.network.fabric import Fabric, Floats, GraphShape, Ints
from simulator.network.slurm_topology import slurm_topology
from simulator.network.topologies import LinkBlocks, Ports

_COLUMNS = ("source", "target", "capacity", "latency")


def from_networkx(graph: Any, ports: Ports, name: str = "graph", file: str | None = None) -> Fabric:
    """Return the fabric that a networkx graph describes.

    Parameters
    ----------
    graph : networkx.Graph or DiGraph
        An undirected edge is a cable with both directions; a directed graph must have both. Edges may carry
        ``capacity`` (bytes/s, or text with a unit) and ``latency`` (s, or text). Without a capacity an edge of a host
        has an equal part of the ports' rate, one between switches all of it. Hosts are the vertices whose ``kind`` is
        ``host``, or else those with one neighbour, or else all of them; they are numbered in the order of the graph.
    ports : Ports
        What the hosts bring.
    name : str
        For reports.
    file : str, optional
        Where it comes from, for errors.

    Raises
    ------
    InputError
        A capacity that is not above zero or cannot be read, no hosts, or hosts that nothing joins.
    """
    import networkx as nx

    plain = graph.to_undirected() if graph.is_directed() else graph
    hosts = [vertex for vertex, kind in plain.nodes(data="kind") if kind == "host"]
    hosts = hosts or [vertex for vertex, degree in plain.degree() if degree == 1] or list(plain.nodes)
    if len(hosts) < 2:
        raise InputError("a fabric needs two hosts", file=file, found=str(len(hosts)), allowed="2 or more")
    parts = [part for part in nx.connected_components(plain) if not part.isdisjoint(hosts)]
    if len(parts) > 1:
        lost = min(parts, key=len)
        found = f"{len(lost)} vertices, {sorted(map(str, lost))[0]!r} among them, are apart from the rest"
        raise InputError("nothing joins all hosts", file=file, found=found)
    order = {vertex: i for i, vertex in enumerate([*hosts, *(v for v in plain.nodes if v not in set(hosts))])}
    blocks = LinkBlocks(("host", "switch"))
    is_host = np.zeros(len(order), np.bool_)
    is_host[: len(hosts)] = True
    edges = list(plain.edges(data=True))
    ends = np.array([sorted((order[a], order[b])) for a, b, _ in edges], dtype=np.int64).reshape(-1, 2)
    default = _default_rates(ends, len(hosts), ports.rate)
    rate = np.array(
        [
            _quantity(d.get("capacity", each), "bandwidth", file, f"{a}-{b}")
            for (a, b, d), each in zip(edges, default.tolist(), strict=True)
        ]
    )
    delay = np.array([_quantity(d.get("latency", ports.latency), "duration", file, f"{a}-{b}") for a, b, d in edges])
    touching = is_host[ends].any(axis=1)
    for tier, mine in (("host", touching), ("switch", ~touching)):
        blocks.add(ends[mine, 0], ends[mine, 1], rate[mine], delay[mine], tier)
    level = np.where(is_host, 0, 1)
    none = np.full(len(order), -1)
    return blocks.fabric(name, "graph", len(hosts), level, none, none, ports, GraphShape())


def _default_rates(ends: Ints, hosts: int, rate: float) -> Floats:
    """Return the capacity of edges that carry none: a host's edges share its rate, those of switches have all of it."""
    degree = np.bincount(ends.ravel())
    slowest: Floats = np.where(ends < hosts, rate / degree[ends], rate).min(axis=1, initial=rate)
    return slowest


def _quantity(value: Any, kind: str, file: str | None, where: str) -> float:
    try:
        number = units.parse(value, kind) if isinstance(value, str) and not _is_number(value) else float(value)
    except (UnitError, TypeError, ValueError) as error:
        raise InputError(f"edge {where}: not a {kind}", file=file, found=repr(value)) from error
    if number < 0.0 or (kind == "bandwidth" and not 0.0 < number < np.inf):
        problem = (
            f"edge {where}: a link without capacity" if kind == "bandwidth" else f"edge {where}: a negative latency"
        )
        raise InputError(problem, file=file, key="capacity", found=repr(value), allowed='more than zero, "400 Gbit/s"')
    return number


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_graph(path: Path, ports: Ports) -> Fabric:
    """Return the fabric of a file: ``.graphml``, ``.json`` (node-link), ``.csv`` (edge list) or ``.conf`` (Slurm).

    Raises
    ------
    InputError
        The file is missing, of another kind, or wrong.
    """
    import networkx as nx

    if not path.is_file():
        raise InputError("no such file", file=str(path), key="path")
    match path.suffix.lower():
        case ".graphml":
            try:
                graph = nx.read_graphml(path)
            except Exception as error:  # the parser raises whatever its XML library does
                raise InputError("not GraphML", file=str(path), found=str(error)) from error
        case ".json":
            try:
                data = json.loads(_text(path))
                graph = nx.node_link_graph(data, edges="links" if "links" in data else "edges")
            except (ValueError, KeyError, TypeError, AttributeError, nx.NetworkXError) as error:
                raise InputError("not a node-link graph", file=str(path), found=str(error)) from error
        case ".csv":
            graph = _edge_list(path)
        case ".conf":
            graph = slurm_topology(str(path), _text(path))
        case other:
            allowed = ".graphml, .json, .csv, .conf"
            raise InputError("unknown kind of graph file", file=str(path), found=repr(other), allowed=allowed)
    return from_networkx(graph, ports, path.stem, str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        found = f"byte {error.start + 1} is none of it"
        raise InputError("not a text in UTF-8", file=str(path), found=found) from error


def _edge_list(path: Path) -> Any:
    import networkx as nx

    graph = nx.Graph()
    with io.StringIO(_text(path), newline="") as stream:
        reader = csv.DictReader(stream, skipinitialspace=True)
        header = reader.fieldnames or []
        for column in _COLUMNS[:3]:
            if column not in header:
                allowed = ",".join(_COLUMNS[:3]) + "[,latency]"
                raise InputError(
                    "missing column", file=str(path), line=1, key=column, found=",".join(header), allowed=allowed
                )
        for column in header:
            if column not in _COLUMNS:
                raise InputError("unknown column", file=str(path), line=1, key=column, allowed=", ".join(_COLUMNS))
        for row in reader:
            if not all(row[column] for column in _COLUMNS[:3]):
                raise InputError("incomplete edge", file=str(path), line=reader.line_num)
            given = {key: row[key] for key in _COLUMNS[2:] if row.get(key)}
            for key, kind in (("capacity", "bandwidth"), ("latency", "duration")):
                if key in given:
                    try:
                        given[key] = _quantity(given[key], kind, str(path), f"{row['source']}-{row['target']}")
                    except InputError as error:
                        raise InputError(
                            error.problem, str(path), reader.line_num, key, error.found, error.allowed
                        ) from error
            graph.add_edge(row["source"], row["target"], **given)
    return graph
