"""Named parameters with sources: node types, fabrics, models, failure mixes and the like."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ruamel.yaml import YAML

from simulator.errors import InputError

Kind = Literal["nodes", "fabrics", "transports", "models", "efficiencies", "faults", "repairs", "workloads"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KIND_MEANING: dict[str, str] = {
    "nodes": "node type",
    "fabrics": "fabric",
    "transports": "transport",
    "models": "model",
    "efficiencies": "efficiency",
    "faults": "failure mix",
    "repairs": "repair mix",
    "workloads": "workload model",
}

CONFIDENCE: dict[str, str] = {
    "P": "text or table of the paper itself",
    "D": "raw data or code read, figures computed by us",
    "V": "vendor page, handbook or repository document",
    "A": "abstract only",
    "S": "close summary of the paper",
    "C": "arithmetic from published figures",
    "M": "from memory, unverified: an assumption",
    "G": "guess: an assumption",
}
"""Letters of evidence and what they mean; M and G are assumptions."""

ASSUMED = frozenset("MG")

_FOLDER = Path(__file__).parent / "presets"
_HEADER = ("name", "title", "note")


@dataclass(frozen=True)
class Evidence:
    """One number of a preset and where it comes from.

    Parameters
    ----------
    path : tuple of str
        Keys that lead to it in the preset.
    value : object
        As the file has it: text with a unit, a number, a truth value or a mapping for a random duration.
    low, high : object
        Range, None where the source has none.
    source : str
        Where it comes from.
    confidence : str
        Letter of ``CONFIDENCE``.
    """

    path: tuple[str, ...]
    value: Any
    low: Any
    high: Any
    source: str
    confidence: str

    @property
    def is_assumption(self) -> bool:
        """Whether it is a guess or unverified."""
        return self.confidence in ASSUMED

    @property
    def shown_value(self) -> str:
        """The value as people read it."""
        return shown(self.value)


@dataclass(frozen=True)
class Preset:
    """A preset file.

    Parameters
    ----------
    kind : str
        What it describes, one of ``KINDS``.
    name, title, note : str
        Name for scenarios, one line about it, traps and limits.
    document : dict
        The file as read, evidence included.
    """

    kind: Kind
    name: str
    title: str
    note: str
    document: dict[str, Any]

    def rows(self) -> tuple[Evidence, ...]:
        """Return every number with its evidence, in the order of the file."""
        return tuple(_evidence((), self.document))

    def body(self, without: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the plain section of a scenario it stands for: values without evidence, no header."""
        return {key: value for key, value in plain_body(self.document).items() if key not in without}


def plain_body(document: dict[str, Any]) -> dict[str, Any]:
    """Return a file of presets without its header, each number without its evidence."""
    return {key: _stripped(value) for key, value in document.items() if key not in _HEADER}


def shown(value: object) -> str:
    """Return a value of a file as people read it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(shown(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _has_evidence(node: object) -> bool:
    return isinstance(node, dict) and "value" in node and "source" in node


def _stripped(node: Any) -> Any:
    if _has_evidence(node):
        return node["value"]
    if isinstance(node, dict):
        return {key: _stripped(value) for key, value in node.items()}
    return node


def _evidence(path: tuple[str, ...], node: Any) -> Iterator[Evidence]:
    if _has_evidence(node):
        yield Evidence(path, node["value"], node.get("low"), node.get("high"), node["source"], node["confidence"])
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _evidence((*path, key), value)


@functools.cache
def names(kind: Kind) -> list[str]:
    """Return the names of all presets of a kind, sorted."""
    return sorted(path.stem for path in (_FOLDER / kind).glob("*.yaml"))


@functools.cache
def preset(kind: Kind, name: str) -> Preset:
    """Return one preset.

    Raises
    ------
    InputError
        If there is none of that kind and name.
    """
    if name not in names(kind):
        from simulator.scenario.loading import nearest

        raise InputError(
            f"unknown {KIND_MEANING[kind]}",
            found=repr(name),
            allowed=", ".join(names(kind)),
            nearest=nearest(name, names(kind)),
        )
    document = YAML(typ="safe", pure=True).load((_FOLDER / kind / f"{name}.yaml").read_text(encoding="utf-8"))
    return Preset(kind, name, document["title"], " ".join(document["note"].split()), document)


def named(kind: Kind, name: str) -> Preset:
    """Return one preset while a scenario is being validated; an unknown name is placed at its key."""
    from simulator.scenario.quantities import refusal

    try:
        return preset(kind, name)
    except InputError as error:
        raise refusal(error.problem, error.found, error.allowed, error.nearest) from error


def refuse_own(kind: Kind, section: Any) -> None:
    """Refuse a mapping that takes the name of a preset, because reports would give it the preset's sources."""
    from simulator.scenario.quantities import refusal

    name = section.get("name") if isinstance(section, dict) else None
    if name in names(kind):
        raise refusal("this name belongs to a preset", repr(name), "a name of your own")


def preset_scenarios() -> dict[str, str]:
    """Return the text of every scenario that ``extends: NAME`` can start from, by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((_FOLDER / "scenarios").glob("*.yaml"))}


def list_presets() -> list[Preset]:
    """Return all presets, by kind and name."""
    return [preset(kind, name) for kind in KINDS for name in names(kind)]


def find_presets(name: str) -> list[Preset]:
    """Return the presets of that name, of any kind.

    Raises
    ------
    InputError
        If there is none.
    """
    found = [preset(kind, name) for kind in KINDS if name in names(kind)]
    if not found:
        from simulator.scenario.loading import nearest

        everything = [known for kind in KINDS for known in names(kind)]
        raise InputError(
            "unknown preset",
            found=repr(name),
            allowed=", ".join(everything),
            nearest=nearest(name, everything),
        )
    return found
