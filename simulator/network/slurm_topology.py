"""Fabrics of Slurm's topology.conf, of the plugins topology/tree and topology/block, also as scontrol prints trees."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from simulator.errors import InputError
from simulator.network.topologies import MOST_HOSTS

if TYPE_CHECKING:
    import networkx as nx

# Level, BlockIndex and BlockSize stand only in what scontrol prints.
_KEYS = {
    "SwitchName": ("Switches", "Nodes", "LinkSpeed", "Level"),
    "BlockName": ("Nodes", "BlockIndex", "BlockSize"),
    "BlockSizes": (),
}
_SPELLINGS = {key.lower(): key for first, others in _KEYS.items() for key in (first, *others)}
_PAIR = re.compile(r'\s*(\w+)\s*=\s*(?:"([^"]*)"|([^\s"]+))(?=\s|$)')
_NAME = r"(?:[^\[\],\s]|\[[^\[\]]*\])+"
_NAMES = re.compile(rf"\s*{_NAME}(?:[,\s]+{_NAME})*\s*")


@dataclass(frozen=True)
class _Row:
    """A line, its values by the first key of its kind and the others; the line's number is that of its first part."""

    number: int
    kind: str
    values: dict[str, str]


def slurm_topology(file: str, text: str) -> nx.Graph:
    """Return the graph of a topology.conf; all links are alike, since the format gives no speeds that Slurm uses.

    Parameters
    ----------
    file : str
        For errors.
    text : str
        Lines of ``key=value``, read as Slurm does: upper and lower case, blanks round ``=``, values in quotes, ``#``
        before comments, a backslash at the end of a line that goes on. ``SwitchName`` lines are a tree. ``BlockName``
        lines are blocks, each a switch with its nodes; blocks that follow each other are joined to those of the sizes
        in ``BlockSizes``, and the largest with each other.

    Returns
    -------
    networkx.Graph
        Vertices of ``kind`` host and switch.

    Raises
    ------
    InputError
        An unknown key, a line that is no list of pairs, a name that is there twice or not at all.

    References
    ----------
    topology.conf(5) of Slurm; ``s_p_parse_line`` of its ``parse_config.c``, ``switch_record.c``, ``block_record.c``.
    """
    rows = list(_rows(file, text))
    kinds = {row.kind: row.number for row in rows}
    if len(kinds.keys() - {"BlockSizes"}) > 1:
        raise InputError(
            "switches and blocks in one file", file, min(kinds.values()), allowed="SwitchName or BlockName lines"
        )
    names: dict[str, int] = {}
    for row in rows:
        name = row.values[row.kind]
        if row.kind != "BlockSizes" and names.setdefault(name, row.number) != row.number:
            what = "switch" if row.kind == "SwitchName" else "block"
            raise InputError(f"this {what} is there twice", file, row.number, row.kind, repr(name))
    return _blocks(file, rows) if "BlockName" in kinds else _tree(file, rows)


def _rows(file: str, text: str) -> Iterator[_Row]:
    for number, line in _whole_lines(text):
        values: dict[str, str] = {}
        place = 0
        while line[place:].strip():
            pair = _PAIR.match(line, place)
            if pair is None:
                found = repr(line[place:].strip())
                raise InputError("not a pair of key and value", file, number, found=found, allowed="key=value")
            key = _SPELLINGS.get(pair[1].lower())
            if key is None or key in values:
                near = get_close_matches(pair[1], _SPELLINGS.values(), 1)
                problem = "unknown key" if key is None else "key appears twice"
                allowed = ", ".join(dict.fromkeys(_SPELLINGS.values()))
                raise InputError(
                    problem, file, number, pair[1], repr(line.strip()), allowed, near[0] if near and not key else None
                )
            values[key] = pair[3] if pair[2] is None else pair[2]
            place = pair.end()
        if values:
            yield _row(file, number, line, values)


def _whole_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines without comments, with their numbers; one that ends in a backslash goes on in the next."""
    held, first = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        first = first if held else number
        part = line.split("#")[0].rstrip()
        held += part.removesuffix("\\") + " "
        if not part.endswith("\\"):
            yield first, held
            held = ""
    yield first, held


def _row(file: str, number: int, line: str, values: dict[str, str]) -> _Row:
    kind = next((kind for kind in _KEYS if kind in values), None)
    if kind is None:
        allowed = ", ".join(_KEYS)
        raise InputError(
            "a line without SwitchName or BlockName", file, number, found=repr(line.strip()), allowed=allowed
        )
    for key in values:
        if key not in (kind, *_KEYS[kind]):
            allowed = ", ".join(_KEYS[kind]) or "nothing else"
            raise InputError(f"no key of a {kind} line", file, number, key, repr(line.strip()), allowed)
    return _Row(number, kind, values)


def _listed(file: str, row: _Row, key: str) -> list[str]:
    try:
        return list(host_list(row.values.get(key, "")))
    except InputError as error:
        raise InputError(error.problem, file, row.number, key, error.found, error.allowed) from error


def host_list(text: str) -> Iterator[str]:
    """Yield the names of a Slurm host list: ``n[001-003,7],login``, ``rack[0-1]n[0-3]``, the last bracket fastest."""
    if not text:
        return
    if not _NAMES.fullmatch(text) or "][" in text:
        raise _no_list(text)
    for name in re.findall(_NAME, text):
        parts = [_numbers(part, text) if part[0] == "[" else [part] for part in re.findall(r"\[.*?\]|[^\[]+", name)]
        if math.prod(map(len, parts)) > MOST_HOSTS:
            raise _no_list(text)
        yield from map("".join, itertools.product(*parts))


def _numbers(bracket: str, text: str) -> list[str]:
    found: list[str] = []
    for part in bracket[1:-1].split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise _no_list(text)
        first, last = int(low), int(high or low)
        if not first <= last < first + MOST_HOSTS:
            raise _no_list(text)
        found += (f"{number:0{len(low)}d}" for number in range(first, last + 1))
    return found


def _no_list(text: str) -> InputError:
    return InputError("not a host list", found=repr(text), allowed="n[001-018,20],m7")


def _tree(file: str, rows: Sequence[_Row]) -> nx.Graph:
    import networkx as nx

    graph, below = nx.Graph(), nx.DiGraph()
    below.add_nodes_from(row.values["SwitchName"] for row in rows)
    nodes = {row.values["SwitchName"]: _listed(file, row, "Nodes") for row in rows}
    for row in rows:
        switch = row.values["SwitchName"]
        for child in _listed(file, row, "Switches"):
            if child not in nodes:
                allowed = ", ".join(list(nodes)[:20])
                raise InputError("no such switch", file, row.number, "Switches", repr(child), allowed)
            if child == switch or nx.has_path(below, child, switch):
                raise InputError("switches below themselves", file, row.number, "Switches", repr(child))
            below.add_edge(switch, child)
    for row in rows:
        switch = row.values["SwitchName"]
        graph.add_node(switch, kind="switch")
        graph.add_edges_from((switch, child) for child in below[switch])
        if not below[switch]:
            graph.add_nodes_from(nodes[switch], kind="host")
            graph.add_edges_from((switch, node) for node in nodes[switch])
            continue
        # scontrol lists at every switch all nodes below it; Slurm refuses others beside child switches.
        own = set(nodes[switch]).difference(*(nodes[child] for child in nx.descendants(below, switch)))
        if own:
            found = f"{len(own)} nodes, {min(own)!r} among them, are below no child switch"
            raise InputError("a switch has both child switches and nodes of its own", file, row.number, "Nodes", found)
    return graph


def _blocks(file: str, rows: Sequence[_Row]) -> nx.Graph:
    import networkx as nx

    graph = nx.Graph()
    tops: list[str] = []
    sizes: list[int] = []
    for row in rows:
        if row.kind == "BlockSizes":
            sizes = _sizes(file, row)
            continue
        block = row.values["BlockName"]
        nodes = _listed(file, row, "Nodes")
        if not nodes:
            raise InputError("a block without nodes", file, row.number, "Nodes", repr(block), "n[001-018]")
        graph.add_node(block, kind="switch")
        graph.add_nodes_from(nodes, kind="host")
        graph.add_edges_from((block, node) for node in nodes)
        tops.append(block)
    for low, high in itertools.pairwise([*sizes, math.inf] if sizes else [1, math.inf]):
        together = len(tops) if high == math.inf else int(high / low)
        if len(tops) > 1:
            groups = [tops[first : first + together] for first in range(0, len(tops), together)]
            tops = [f"{len(tops)} below {together} each, {number}" for number in range(len(groups))]
            for top, group in zip(tops, groups, strict=True):
                graph.add_node(top, kind="switch")
                graph.add_edges_from((top, part) for part in group)
    return graph


def _sizes(file: str, row: _Row) -> list[int]:
    """Return the nodes of a block and of blocks of blocks, each the one before it times a power of two."""
    words = row.values["BlockSizes"].split(",")
    sizes = [int(word) if word.strip().isdecimal() else 0 for word in words]
    ratios = [high / low if low else 0.0 for low, high in itertools.pairwise(sizes)]
    if not sizes[0] or any(ratio < 2 or not math.log2(ratio).is_integer() for ratio in ratios):
        found, allowed = repr(row.values["BlockSizes"]), "a size and its multiples by 2, 4, 8, ..., as in 18,36,144"
        raise InputError("no sizes of blocks", file, row.number, "BlockSizes", found, allowed)
    return sizes
