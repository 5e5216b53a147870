"""Workload models as presets and files: read, checked and written."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from simulator.errors import InputError
from simulator.scenario import presets
from simulator.scenario.loading import read_document
from simulator.scenario.schema_workload_model import (
    GapSection,
    RatioSection,
    RunTimeSection,
    SizeClassSection,
    WorkloadModelSection,
)
from simulator.workload.quantiles import LogQuantiles, lognormal_quantiles
from simulator.workload.synthetic import (
    ALONE,
    DAY_S,
    Batches,
    Ending,
    Requests,
    Rhythm,
    SizeClass,
    Users,
    WorkloadModel,
)


@functools.cache
def preset_model(name: str) -> WorkloadModel:
    """Return a preset's model.

    Raises
    ------
    InputError
        There is none of that name.
    """
    return _model(name, WorkloadModelSection.model_validate(presets.preset("workloads", name).body()))


def read_model(path: str) -> WorkloadModel:
    """Return the model of a YAML file, as presets and ``simulator fit`` write it.

    Raises
    ------
    InputError
        The file cannot be read, or is wrong: file, line, key, what was found and what is allowed.
    """
    from simulator.scenario.checking import explain

    document = read_document(path)
    try:
        section = WorkloadModelSection.model_validate(presets.plain_body(document.data))
    except ValidationError as error:
        raise explain(error, document, WorkloadModelSection) from error
    try:
        return _model(Path(path).stem, section)
    except InputError as error:
        raise InputError(error.problem, path, None, error.key, error.found, error.allowed) from error


def _model(name: str, section: WorkloadModelSection) -> WorkloadModel:
    batches, users, requests = section.batches, section.users, section.requests
    total = sum(each.share for each in section.sizes.values())
    return WorkloadModel(
        name=name,
        jobs_per_s=section.jobs_per_day / DAY_S,
        sizes=tuple(_size_class(key, each, total) for key, each in section.sizes.items()),
        rhythm=Rhythm(section.hours, section.days),
        batches=ALONE if batches is None else Batches(batches.jobs, batches.shares, _gaps(batches.gap)),
        users=None if users is None else Users(users.count, users.exponent),
        requests=None
        if requests is None
        else Requests(requests.above, tuple(map(_ratios, requests.ratios)), requests.greatest),
    )


def _size_class(key: str, section: SizeClassSection, total: float) -> SizeClass:
    weights = section.weights or (1.0,) * len(section.gpus)
    every = sum(ending.share for ending in section.endings.values())
    endings = []
    for state, ending in section.endings.items():
        try:
            endings.append(Ending(state, ending.share / every, _run_times(ending.run)))
        except InputError as error:
            place = f"sizes.{key}.endings.{state}.run"
            raise InputError(error.problem, key=place, found=error.found, allowed=error.allowed) from error
    return SizeClass(section.gpus, weights, section.share / total, tuple(endings))


def _run_times(section: RunTimeSection) -> LogQuantiles:
    if section.at is not None and section.values is not None:
        return LogQuantiles(section.at, section.values)
    assert section.median is not None, "checked before"
    assert section.mean is not None, "checked before"
    assert section.greatest is not None, "checked before"
    return lognormal_quantiles(section.median, section.mean, section.greatest)


def _ratios(section: RatioSection) -> LogQuantiles:
    return LogQuantiles(section.at, section.values)


def _gaps(section: GapSection) -> LogQuantiles:
    return LogQuantiles(section.at, tuple(value + 1.0 for value in section.values))


def model_text(model: WorkloadModel, title: str, note: str) -> str:
    """Return a model as the YAML text that `read_model` reads back.

    Parameters
    ----------
    model : WorkloadModel
    title, note : str
        One line about it, and where it comes from.
    """
    lines = [f"title: {json.dumps(title)}", f"note: {json.dumps(note)}"]
    lines += [f"jobs_per_day: {model.jobs_per_s * DAY_S:.6g}"]
    lines += [f"hours: {_list(model.rhythm.hours)}", f"days: {_list(model.rhythm.days)}"]
    if model.batches is not ALONE:
        batches = model.batches
        gap = _seconds(value - 1.0 for value in batches.gap_s.values)
        lines += ["batches:", f"  jobs: {_list(batches.jobs)}", f"  shares: {_list(batches.shares)}", "  gap:"]
        lines += [f"    at: {_list(batches.gap_s.probabilities)}", f"    values: {gap}"]
    if model.users is not None:
        lines += [f"users: {{count: {model.users.count}, exponent: {model.users.exponent:.6g}}}"]
    if model.requests is not None:
        requests = model.requests
        lines += ["requests:", f"  above: {_seconds(requests.above_s)}", f"  greatest: {requests.greatest_s:.6g} s"]
        lines += ["  ratios:"]
        for ratios in requests.ratios:
            lines += [f"    - at: {_list(ratios.probabilities)}", f"      values: {_list(ratios.values)}"]
    lines += ["sizes:"]
    for each in model.sizes:
        lines += [f"  {json.dumps(size_name(each))}:", f"    gpus: {_list(each.gpus)}"]
        if len(each.gpus) > 1:
            lines += [f"    weights: {_list(each.weights)}"]
        lines += [f"    share: {each.share:.6g}", "    endings:"]
        for ending in each.endings:
            run = ending.run_s
            lines += [f"      {ending.state}:", f"        share: {ending.share:.6g}", "        run:"]
            lines += [f"          at: {_list(run.probabilities)}", f"          values: {_seconds(run.values)}"]
    return "\n".join(lines) + "\n"


def size_name(sizes: SizeClass) -> str:
    """Return "8" or "5-8", for GPUs."""
    first, last = sizes.gpus[0], sizes.gpus[-1]
    return str(first) if first == last else f"{first}-{last}"


def _list(values: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in values) + "]"


def _seconds(values: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:.6g} s" for value in values) + "]"
