"""What a results folder says about itself: how it was made, from what, and what a report needs beyond tables."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.accounting.columns import LOWER_BOUNDS, METRICS
from simulator.errors import InputError
from simulator.experiments.store import FORMAT
from simulator.scenario.workloads import log_start, trace_notes

if TYPE_CHECKING:
    from simulator.scenario.resolved import Scenario
    from simulator.scenario.schema import VariantSpec

_PACKAGES = ("numpy", "numba", "simpy", "scipy", "pandas", "pyarrow", "pydantic")


def version() -> str:
    """Return the version of the simulator."""
    return importlib.metadata.version("simulator")


def study_sha256(scenario: Scenario) -> str:
    """Return the hash of what is simulated: the resolved scenario and the contents of its traces and models."""
    digest = hashlib.sha256(scenario.sha256.encode())
    for key, path in sorted({used for spec in scenario.specs.values() for used in _files(spec)}):
        try:
            with Path(path).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", key=key, found=repr(path)) from None
    return digest.hexdigest()


def _files(spec: VariantSpec) -> list[tuple[str, str]]:
    """Return key and path of each file that describes the workload of a variant."""
    trace, synthetic = spec.workload.trace, spec.workload.synthetic
    files = [] if trace is None else [("workload.trace.path", trace.path)]
    if synthetic is not None and synthetic.path is not None:
        files.append(("workload.synthetic.path", synthetic.path))
    return files


def manifest(scenario: Scenario, facts: Mapping[str, Any], started: datetime) -> dict[str, Any]:
    """Return the manifest of a study.

    Parameters
    ----------
    scenario : Scenario
    facts : mapping
        What only the study knows: ``seed``, ``replications``, ``keep``, ``scenario_sha256``, ``wall_s`` and such.
    started : datetime
        When it began, UTC.
    """
    return {
        "format": FORMAT,
        "simulator": version(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "scenario_name": scenario.name,
        "files": dict(_named_files(scenario.document)),
        "variants": list(scenario.variants),
        "baseline": scenario.variants[0],
        "log_start": {name: start.isoformat() for name, spec in scenario.specs.items() if (start := log_start(spec))},
        **facts,
        "started_utc": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "host": {"platform": platform.platform(), "machine": platform.machine(), "cpu_count": os.cpu_count()},
    }


def now_utc() -> datetime:
    """Return the present instant, for the manifest only; nothing simulated may depend on it."""
    return datetime.now(UTC)


def report_facts(scenario: Scenario) -> dict[str, Any]:
    """Return what ``report.json`` holds: all that a report needs and no table says."""
    first = scenario.variant(scenario.variants[0])
    answer = first.report.answer
    metrics = {metric.name: metric for metric in METRICS}
    return {
        "name": scenario.name,
        "question": scenario.question,
        "answer_metric": answer.metric,
        "answer_goal": answer.goal or metrics[answer.metric].goal,
        "answer_bounds": list(answer.bounds),
        "assumptions": [asdict(assumption) for assumption in scenario.assumptions] + _trace_notes(first),
        "published": [
            {
                "metric": row.metric,
                "variant": row.variant,
                "value": row.value,
                "unit": metrics[row.metric].unit,
                "kind": row.kind,
                "source": row.source,
                "tolerance": row.tolerance,
                "bound": row.bound,
            }
            for row in scenario.published
        ],
        "presets": [{"kind": kind, "name": name} for kind, name in scenario.presets],
        "metrics_shown": list(first.report.metrics) or [name for name in metrics if name not in LOWER_BOUNDS.values()],
        "per_class_published": [{"class": row.class_, "count": row.count} for row in first.report.published_classes],
        "horizon_s": first.horizon,
        "gpus": first.cluster.nodes * first.cluster.node.gpus,
        "nodes": first.cluster.nodes,
    }


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Return a mapping as indented JSON."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def scenario_bytes(scenario: Scenario) -> bytes:
    """Return the resolved scenario as a file that can be loaded wherever it lies.

    Files stand in it by their names alone, because a scenario may name only files of its own folder; the manifest says
    where they are, and ``--set`` may point there.
    """
    return yaml_bytes(_files_by_name(scenario.document))


def _files_by_name(node: Any, is_path: bool = False) -> Any:
    if isinstance(node, Mapping):
        return {key: _files_by_name(value, _names_file(key)) for key, value in node.items()}
    if isinstance(node, list):
        return [_files_by_name(value) for value in node]
    return Path(node).name if is_path and isinstance(node, str) else node


def _named_files(node: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the dotted key and the absolute path of each file that a document names."""
    if isinstance(node, Mapping | list):
        for name, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from _named_files(value, (*key, str(name)))
    elif isinstance(node, str) and _names_file(key[-1]):
        yield ".".join(key), os.path.abspath(node)


def _names_file(key: str) -> bool:
    return key.rpartition(".")[2] == "path"


def yaml_bytes(document: Mapping[str, Any]) -> bytes:
    """Return plain data as YAML 1.2: block mappings and lists, every scalar as JSON writes it.

    JSON scalars mean the same in YAML 1.2, so text that looks like a number stays text and numbers keep every digit.
    """
    return "".join(f"{line}\n" for line in _block(document, 0)).encode()


def _block(node: Mapping[str, Any] | list[Any], depth: int) -> Iterator[str]:
    pairs = (
        [(f"{_scalar(key)}:", value) for key, value in node.items()]
        if isinstance(node, Mapping)
        else [("-", value) for value in node]
    )
    indent = "  " * depth
    for label, value in pairs:
        if isinstance(value, Mapping | list) and value:
            yield f"{indent}{label}"
            yield from _block(value, depth + 1)
        else:
            yield f"{indent}{label} {json.dumps(value, ensure_ascii=False, allow_nan=False)}"


def _scalar(key: str) -> str:
    return key if key.isidentifier() and key.lower() not in _RESERVED else json.dumps(key, ensure_ascii=False)


_RESERVED = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def _trace_notes(spec: VariantSpec) -> list[dict[str, str]]:
    """Return what was left out of a replayed trace or changed in it, as rows of the list of assumptions."""
    trace = spec.workload.trace
    if trace is None:
        return []
    key, source = "workload.trace", Path(trace.path).name
    why = "rules of the reader and of cleaning, docs/scheduling-semantics.md"
    notes = trace_notes(trace, spec.cluster.node.gpus)
    return [{"key": key, "value": note, "source": source, "why": why} for note in notes]
