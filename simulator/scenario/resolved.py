"""A scenario after loading: every variant validated, nothing left to look up."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator import units
from simulator.errors import InputError
from simulator.scenario.assumptions import Assumption, assumptions_of, declared_assumptions
from simulator.scenario.loading import Document, apply_set, document_of, nearest, read_document
from simulator.scenario.schema import PublishedSection, VariantSpec
from simulator.scenario.validated import validated
from simulator.scenario.warnings import warnings_of


@dataclass(frozen=True, eq=False, repr=False)
class Scenario:
    """A study: one machine, one workload, several variants; validated, frozen, SI inside.

    Parameters
    ----------
    name : str
        Name of the scenario.
    question : str
        The planner's question.
    seed, replications : int
        Defaults of the study.
    variants : tuple of str
        Names in the order of the file; the first is the baseline.
    document : dict
        The resolved file as plain data (``extends`` followed, overrides applied), variants included.
    specs : mapping of str to VariantSpec
        The validated variants.
    sha256 : str
        Hash of the document; equal hashes mean equal scenarios.
    """

    name: str
    question: str
    seed: int
    replications: int
    variants: tuple[str, ...]
    document: dict[str, Any]
    specs: Mapping[str, VariantSpec]
    sha256: str

    def __eq__(self, other: object) -> bool:
        """Return whether two scenarios say the same."""
        return isinstance(other, Scenario) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        """Return name, variants and replications."""
        count = f"{units.count_of(len(self.variants), 'variant')} x {units.count_of(self.replications, 'replication')}"
        return f"Scenario({self.name!r}, {count})"

    def _repr_html_(self) -> str:
        """Return question, and what each variant changes."""
        changes = self.document.get("variants") or {self.baseline: {}}
        cells = ((name, json.dumps(changes[name] or {}, ensure_ascii=False)) for name in self.variants)
        rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in cells)
        about = html.escape(f"{self!r}: {self.question}" if self.question else repr(self))
        return f"<p>{about}</p><table><tr><th>variant</th><th>changes</th></tr>{rows}</table>"

    @property
    def baseline(self) -> str:
        """Name of the first variant, against which the others are compared."""
        return self.variants[0]

    def variant(self, name: str) -> VariantSpec:
        """Return one validated variant.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        if name not in self.specs:
            known = list(self.variants)
            raise InputError(
                "unknown variant", found=repr(name), allowed=", ".join(known), nearest=nearest(name, known)
            )
        return self.specs[name]

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Every guess that entered any variant: the author's own first, then unverified numbers of presets."""
        own = declared_assumptions([self.specs[name] for name in self.variants], self.document)
        used = (assumption for spec in self.specs.values() for assumption in assumptions_of(spec))
        return tuple(dict.fromkeys((*own, *used)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and yet probably not meant, with the variants that it is about unless that is all of them."""
        found: dict[str, list[str]] = {}
        for name, spec in self.specs.items():
            for text in warnings_of(spec):
                found.setdefault(text, []).append(name)
        return tuple(
            text if len(names) == len(self.specs) else f"variant {', '.join(names)}: {text}"
            for text, names in found.items()
        )

    @property
    def published(self) -> tuple[PublishedSection, ...]:
        """Published figures, each with the name of its variant."""
        rows = self.specs[self.baseline].report.published
        return tuple(row.model_copy(update={"variant": row.variant or self.baseline}) for row in rows)

    @property
    def presets(self) -> tuple[tuple[str, str], ...]:
        """Presets in use, as (kind, name)."""
        from simulator.scenario.presets import names
        from simulator.scenario.resolution import fault_sections, repair_name_of

        used: dict[tuple[str, str], None] = {}
        for spec in self.specs.values():
            used.setdefault(("nodes", spec.cluster.node.name))
            if spec.cluster.fabric is not None:
                used.setdefault(("fabrics", spec.cluster.fabric.name))
                used.setdefault(("transports", spec.cluster.fabric.transport.name))
            for job in spec.workload.jobs:
                if job.training is not None:
                    used.setdefault(("models", job.training.model.name))
                    used.setdefault(("efficiencies", job.training.efficiency.name))
            if spec.workload.synthetic is not None and spec.workload.synthetic.model is not None:
                used.setdefault(("workloads", spec.workload.synthetic.model))
            if spec.faults.mix is not None:
                used.setdefault(("faults", spec.faults.mix.name))
            for section in fault_sections(spec.faults).values():
                used.setdefault(("repairs", str(repair_name_of(spec, section))))
        return tuple(pair for pair in used if pair[1] in names(pair[0]))


def load(
    source: str | Path | Mapping[str, Any], overrides: Mapping[str, object] | None = None, settings: Sequence[str] = ()
) -> Scenario:
    """Read, check and resolve a scenario.

    Parameters
    ----------
    source : str or Path, or mapping
        The scenario file, or what would stand in it as plain data; paths in a mapping start at the working folder, and
        may point anywhere.
    overrides : mapping of str to object, optional
        Dotted keys and their values, for example ``{"cluster.nodes": 512}``.
    settings : sequence of str
        The same as text, "cluster.nodes=512", as ``--set`` gives them; applied after ``overrides``.

    Returns
    -------
    Scenario

    Raises
    ------
    InputError
        If the file, or any of its variants, is wrong.
    """
    changes = [f"{key}={json.dumps(value, default=_plain)}" for key, value in (overrides or {}).items()]
    document = document_of(source, _plain) if isinstance(source, Mapping) else read_document(source)
    return resolve(apply_set(document, [*changes, *settings]))


def _plain(value: Any) -> Any:
    """Return a path as text and a NumPy scalar as a Python number."""
    return value.item() if hasattr(value, "item") else str(value)


def resolve(document: Document) -> Scenario:
    """Return the scenario a document describes.

    Raises
    ------
    InputError
        If any of its variants is wrong; the first error carries the others.
    """
    specs = validated(document)
    names = tuple(specs)
    first = specs[names[0]]
    text = json.dumps(document.data, sort_keys=False, allow_nan=False)
    return Scenario(
        name=first.name,
        question=first.question,
        seed=first.seed,
        replications=first.replications,
        variants=names,
        document=document.data,
        specs=specs,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
