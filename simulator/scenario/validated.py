"""Every variant of a scenario validated; what is wrong is told at once, with its variant and the line that did it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError

from simulator.errors import InputError
from simulator.scenario.checking import explain, unknown_nulls
from simulator.scenario.checks import complaints
from simulator.scenario.complaints import Complaint
from simulator.scenario.loading import changes_of, variants_of
from simulator.scenario.nodes import Document, KeyPath, Node, without_nulls
from simulator.scenario.schema import VariantSpec

MOST_COMPLAINTS = 20
"""Broken rules of one variant that are looked for."""

_OF_THE_STUDY = ("name", "question", "seed", "replications", "report")
"""Keys that are the same for all variants."""


def validated(document: Document) -> dict[str, VariantSpec]:
    """Return every variant of a scenario, validated.

    Parameters
    ----------
    document : Document
        The scenario.

    Returns
    -------
    dict of str to VariantSpec
        By name, in the order of the file.

    Raises
    ------
    InputError
        The first error, which carries the others. What only some variants have wrong names them and stands at the line
        of their own change (that with most keys in common with what is wrong; where none has any, the first); what is
        wrong with the whole scenario stands at its key.
    """
    documents = variants_of(document)
    specs: dict[str, VariantSpec] = {}
    wrong: dict[str, list[InputError]] = {}
    for name, variant in documents.items():
        spec, wrong[name] = _checked(variant, tuple(documents))
        if spec is not None:
            specs[name] = spec
    changes = {name: changes_of(document, name) for name in documents}
    for name, errors in wrong.items():
        errors += _of_the_study(specs, changes[name], documents[name])
    if any(wrong.values()):
        raise InputError.together(_merged(wrong, changes))
    return specs


def _checked(variant: Document, names: tuple[str, ...]) -> tuple[VariantSpec | None, list[InputError]]:
    """Return a variant and what is wrong with it; None where its keys are wrong already."""
    empty = _unknown_nulls(variant)
    variant = replace(variant, root=without_nulls(variant.root))
    try:
        spec = VariantSpec.model_validate(variant.data)
    except ValidationError as error:
        return None, [*empty, *explain(error, variant).each]
    if empty:
        return None, empty
    found: dict[KeyPath, InputError] = {}
    rules = complaints(spec, names)
    while len(found) < MOST_COMPLAINTS:
        try:
            complaint = next(rules)
        except StopIteration:
            break
        except Exception:
            if not found:
                raise
            break  # the rules after a broken one may stand on it
        found.setdefault(complaint.path, _blamed(complaint, variant))
    return spec, list(found.values())


def _unknown_nulls(variant: Document) -> list[InputError]:
    """Blame keys that are set to null and that nothing knows."""
    try:
        VariantSpec.model_validate(variant.data)
    except ValidationError as error:
        return unknown_nulls(error, variant)
    return []


def _of_the_study(
    specs: Mapping[str, VariantSpec], changes: Mapping[KeyPath, Node], variant: Document
) -> list[InputError]:
    """Blame the changes of a variant that change what must be the same in all of them."""
    first = next(iter(specs.values()), None)
    differ = [key for key in _OF_THE_STUDY if any(getattr(spec, key) != getattr(first, key) for spec in specs.values())]
    own = [key for key in differ if any(path[0] == key for path in changes)]
    problem, allowed = "belongs to the whole study, and variants differ in it", "a change of the machine or a policy"
    return [_blamed(Complaint((key,), problem, allowed=allowed), variant) for key in own]


def _blamed(complaint: Complaint, document: Document) -> InputError:
    file, line = document.where(complaint.path)
    key = ".".join(str(part) for part in complaint.path)
    return InputError(complaint.problem, file, line, key, complaint.found, complaint.allowed, complaint.nearest)


def _merged(
    wrong: Mapping[str, Sequence[InputError]], changes: Mapping[str, Mapping[KeyPath, Node]]
) -> list[InputError]:
    """Return the errors of all variants, each once, with the names of the variants to blame."""
    variants_with: dict[str, list[str]] = {}
    for name, errors in wrong.items():
        for error in errors:
            variants_with.setdefault(str(error), []).append(name)
    told: dict[tuple[str, bool], tuple[InputError, list[str]]] = {}
    for name, errors in wrong.items():
        for error in errors:
            alike = variants_with[str(error)]
            everywhere = len(alike) == len(wrong) or not all(changes[one] for one in alike)
            closest = _closest(error, changes[name])
            own = closest is not None and (not everywhere or _is_in(error, closest[0]))
            # An empty change leaves nothing that a line could be found of.
            if closest is not None and own and (closest[1].value is None or not _is_in(error, closest[0])):
                error = error.moved(closest[1].file, closest[1].line)
            told.setdefault((str(error), own), (error, []))[1].append(name)
    return [
        error.moved(error.file, error.line, ", ".join(map(repr, names))) if own else error
        for (_, own), (error, names) in told.items()
    ]


def _closest(error: InputError, changes: Mapping[KeyPath, Node]) -> tuple[KeyPath, Node] | None:
    """Return the change of a variant that has most of its keys in common with what is wrong."""
    blamed = () if error.key is None else tuple(error.key.split("."))

    def common(path: KeyPath) -> int:
        same = (str(part) == key for part, key in zip(path, blamed, strict=False))
        return sum(itertools.takewhile(bool, same))

    return max(changes.items(), key=lambda change: common(change[0]), default=None)


def _is_in(error: InputError, change: KeyPath) -> bool:
    """Return whether what is wrong was written by a change itself."""
    blamed = () if error.key is None else tuple(error.key.split("."))
    return blamed[: len(change)] == tuple(map(str, change))
