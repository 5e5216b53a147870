"""Which guesses a scenario used: unverified numbers of its presets, and those its author declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from simulator.scenario import presets
from simulator.scenario.checking import is_known_key
from simulator.scenario.presets import Evidence, shown
from simulator.scenario.resolution import fault_sections, repair_name_of
from simulator.scenario.schema import VariantSpec
from simulator.scenario.sizes import unasked_nodes
from simulator.units import count_of

MOST_LETTERS = 100
"""Longer values are cut: a guess about a whole section is read in the scenario."""


@dataclass(frozen=True)
class Assumption:
    """A guess that entered the results.

    Parameters
    ----------
    key : str
        Dotted key of the scenario, or the preset and the key inside it.
    value : str
        What was assumed.
    source : str
        The preset, or "scenario" for a guess of its author.
    why : str
        Why it is a guess, or what it leans on.
    """

    key: str
    value: str
    source: str
    why: str


def assumptions_of(spec: VariantSpec) -> tuple[Assumption, ...]:
    """Return the unverified numbers that a variant uses: of presets, those it overrides left out, and of silence."""
    return (
        *_of_node(spec),
        *_of_network(spec),
        *_of_training(spec),
        *_of_synthetic(spec),
        *_of_faults(spec),
        *_of_repairs(spec),
        *_of_reallocation(spec),
        *_of_unasked_nodes(spec),
    )


def _brief(value: str) -> str:
    if len(value) <= MOST_LETTERS:
        return value
    return value[:MOST_LETTERS].rsplit(",", 1)[0] + ", ..."


def _of_reallocation(spec: VariantSpec) -> Iterator[Assumption]:
    """Name every source of nodes that the variant can use and whose time nobody has given."""
    if not spec.faults.mix and not spec.faults.classes:
        return
    needed: set[str] = {spec.cluster.spares.kind} if spec.cluster.spare_nodes else set()
    if getattr(spec.recovery, "policy", None) in ("requeue", "replace_or_requeue"):
        needed.add("queue")
    for source in sorted(needed - spec.recovery.phases.reallocate.model_fields_set):
        why = "the scenario gives no time for nodes from this source, so they are taken to need none"
        yield Assumption(f"recovery.phases.reallocate.{source}", "0 s", "default", why)


def _of_unasked_nodes(spec: VariantSpec) -> Iterator[Assumption]:
    """Name nodes that nobody asks for and that are no spares, where nodes can be lost."""
    idle = unasked_nodes(spec)
    if idle and any(section.takes_node_out for section in fault_sections(spec.faults).values()):
        value = f"{count_of(idle, 'node')} beyond jobs and spares"
        why = "no job asks for them and they are no spares, but they replace lost nodes as spares do"
        yield Assumption("cluster.nodes", value, "scenario", why)


def declared_assumptions(specs: Sequence[VariantSpec], document: object) -> tuple[Assumption, ...]:
    """Return the guesses the scenario's author declares, with the values that stand in the file.

    Parameters
    ----------
    specs : sequence of VariantSpec
        All variants, the first of which declares.
    document : object
        The resolved file as plain data.

    Notes
    -----
    A guess about a key that no variant has a value for entered no result and is left out: the file that declares it
    was changed by one that extends it, say. A key that no scenario can have stays, so that the slip is seen.
    """
    return tuple(
        Assumption(row.key, _brief(shown(_value_at(document, row.key))), "scenario", row.why)
        for row in specs[0].report.assumptions
        if _value_at(document, row.key) is not None
        or any(_is_given(spec, row.key) for spec in specs)
        or not is_known_key(row.key)
    )


def _is_given(spec: VariantSpec, key: str) -> bool:
    """Return whether a key of a variant has a value, be it a default."""
    node: object = spec
    for part in key.split("."):
        if isinstance(node, tuple):
            node = node[int(part)] if part.isdigit() and int(part) < len(node) else None
        else:
            node = node.get(part) if isinstance(node, Mapping) else getattr(node, part, None)
    return node is not None and node not in ((), {})


def _value_at(document: object, key: str) -> object:
    node = document
    for part in key.split("."):
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, dict) and part in node:
            node = node[part]
        else:
            return None
    return node


def _of_node(spec: VariantSpec) -> Iterator[Assumption]:
    node = spec.cluster.node
    if node.name not in presets.names("nodes"):
        return
    overridden = {"price"} if spec.cluster.price is not None else set()
    for row in presets.preset("nodes", node.name).rows():
        if row.is_assumption and row.path[0] not in ("facts", *overridden):
            yield Assumption(".".join(row.path), row.shown_value, f"preset {node.name}", row.source)


def _unverified(kind: presets.Kind, name: str) -> Iterator[Assumption]:
    """Name the unverified numbers of a preset."""
    if name not in presets.names(kind):
        return
    for row in presets.preset(kind, name).rows():
        if row.is_assumption:
            yield Assumption(".".join(row.path), row.shown_value, f"preset {name}", row.source)


def _of_network(spec: VariantSpec) -> Iterator[Assumption]:
    if spec.cluster.fabric is not None:
        yield from _unverified("fabrics", spec.cluster.fabric.name)
        yield from _unverified("transports", spec.cluster.fabric.transport.name)


def _of_training(spec: VariantSpec) -> Iterator[Assumption]:
    for job in spec.workload.jobs:
        if job.training is not None:
            yield from _unverified("models", job.training.model.name)
            yield from _unverified("efficiencies", job.training.efficiency.name)


def _of_synthetic(spec: VariantSpec) -> Iterator[Assumption]:
    section = spec.workload.synthetic
    if section is not None and section.model is not None:
        replaced = {"jobs_per_day"} if section.load is not None else set()
        replaced |= {"users"} if section.users is not None else set()
        groups: dict[tuple[str, str], list[Evidence]] = {}
        for row in presets.preset("workloads", section.model).rows():
            if row.is_assumption and row.path[0] not in replaced:
                groups.setdefault((".".join(dict.fromkeys((row.path[0], row.path[-1]))), row.source), []).append(row)
        for (key, source), rows in groups.items():
            value = _brief(", ".join(dict.fromkeys(row.shown_value for row in rows)))
            yield Assumption(f"workload.{key}", value, f"preset {section.model}", source)


def _of_faults(spec: VariantSpec) -> Iterator[Assumption]:
    mix = spec.faults.mix
    if mix is None or mix.name not in presets.names("faults"):
        return
    yield from _of_counting(spec)
    given: dict[tuple[str, ...], Evidence] = {row.path: row for row in presets.preset("faults", mix.name).rows()}
    users: dict[tuple[str, str, str], list[str]] = {}
    for name in mix.classes:
        for key in ("component", "rate", "clock", "stops_job", "takes_node_out", "detect", "localise"):
            row = given.get(("classes", name, key), given.get(("defaults", key)))
            if row is not None and row.is_assumption and not _is_overridden(spec, name, key):
                users.setdefault((key, row.shown_value, row.source), []).append(name)
    for (key, value, source), classes in users.items():
        where = classes[0] if len(classes) == 1 else f"{len(classes)} classes"
        yield Assumption(f"faults.{key} ({where})", value, f"preset {mix.name}", source)


def _of_counting(spec: VariantSpec) -> Iterator[Assumption]:
    """Say which rates of a mix count GPUs and which nodes, where nodes differ from those it was counted on."""
    mix, g = spec.faults.mix, spec.cluster.node.gpus
    if mix is None or mix.gpus_per_node in (None, g):
        return
    of_gpus: list[str] = []
    of_nodes: list[str] = []
    for name, section in fault_sections(spec.faults).items():
        rate = section.unit_rate
        if name in mix.classes and rate is not None and not _is_overridden(spec, name, "rate"):
            (of_gpus if rate.population == "GPU" else of_nodes).append(name)
    why = f"counted on nodes of {mix.gpus_per_node} GPUs, these have {g}: " + "; ".join(
        f"{what}: {', '.join(names)}"
        for what, names in (("scaled by the GPUs of a node", of_gpus), ("as often on each node", of_nodes))
        if names
    )
    yield Assumption("faults.mix", "rates by what they count", f"preset {mix.name}", why)


def _is_overridden(spec: VariantSpec, name: str, key: str) -> bool:
    own = spec.faults.classes.get(name)
    if own is not None and (key in own.model_fields_set or (key == "rate" and own.mtbf is not None)):
        return True
    return getattr(spec.faults, key, None) is not None if key in ("detect", "localise", "clock") else False


def _of_repairs(spec: VariantSpec) -> Iterator[Assumption]:
    used = {repair_name_of(spec, section) for section in fault_sections(spec.faults).values()}
    for name in sorted(used - {None}, key=str):
        if name not in presets.names("repairs"):
            continue
        own = spec.repairs.mixes.get(str(name))
        changed = own.model_fields_set if own is not None else frozenset[str]()
        rows = [row for row in presets.preset("repairs", str(name)).rows() if row.is_assumption]
        rows = [row for row in rows if row.path[0] not in changed]
        for tier in dict.fromkeys(row.path[:2] for row in rows):
            group = [row for row in rows if row.path[:2] == tier]
            value = ", ".join(f"{row.path[-1].replace('_', ' ')} {row.shown_value}" for row in group)
            why = "; ".join(dict.fromkeys(row.source for row in group))
            yield Assumption(f"repairs.{name}.{tier[-1]}", value, f"preset {name}", why)
