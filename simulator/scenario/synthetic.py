"""From the key ``workload.synthetic`` to jobs."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.scenario.schema_workload import RecordedSection, SyntheticSection
from simulator.scenario.workload_models import preset_model, read_model
from simulator.streams import generator
from simulator.workload.job import JobTable, job_table
from simulator.workload.synthetic import Users, WorkloadModel, draw


def synthetic_model(section: SyntheticSection, machine_gpus: int) -> WorkloadModel:
    """Return the model of a synthetic workload with sizes, users and rate as the section wants them.

    Parameters
    ----------
    section : SyntheticSection
    machine_gpus : int
        GPUs that jobs can use.

    Raises
    ------
    InputError
        The file of the model cannot be read, or none of its jobs is small enough.
    """
    model = _model(section).resized(section.size_factor, section.largest or machine_gpus)
    rate = model.jobs_per_s * (section.rate_factor or 1.0)
    if section.load is not None:
        rate = model.rate_for(section.load, machine_gpus)
    users = model.users
    if section.users is not None:
        users = Users(section.users, 0.0 if users is None else users.exponent)
    return replace(model, jobs_per_s=rate, users=users)


def left_out(section: SyntheticSection, machine_gpus: int) -> float:
    """Return the share of the model's jobs that are larger than the largest one allowed."""
    whole = _model(section)
    kept = whole.resized(section.size_factor, section.largest or machine_gpus)
    return 1.0 - kept.jobs_per_s / whole.jobs_per_s


def span_of(section: SyntheticSection, model: WorkloadModel, horizon_s: float | None) -> float:
    """Return the time over which jobs come, seconds."""
    if section.jobs is not None:
        return section.jobs / model.jobs_per_s
    span_s = section.span if section.span is not None else horizon_s
    assert span_s is not None, "checked before"
    return span_s


def synthetic_jobs(
    section: SyntheticSection,
    gpus_per_node: int,
    machine_gpus: int,
    horizon_s: float | None,
    seed: int,
    replication: int,
) -> JobTable:
    """Return the jobs of one replication, their profile 0.

    Parameters
    ----------
    section : SyntheticSection
    gpus_per_node, machine_gpus : int
        GPUs of a node, and GPUs that jobs can use.
    horizon_s : float, optional
        End of the simulated time.
    seed, replication : int
        Key of the random streams; the same for all variants.
    """
    # A section holds mappings and has no hash; what holds for all of its jobs does not change the draw.
    key = section.model_dump_json(exclude=set(RecordedSection.model_fields))
    return _jobs(_Key(key, section), gpus_per_node, machine_gpus, horizon_s, seed, replication, _stamp(section))


@dataclass(frozen=True)
class _Key:
    """A section by what it says."""

    text: str
    section: SyntheticSection = field(compare=False)


@functools.lru_cache(maxsize=4)
def _jobs(
    key: _Key,
    gpus_per_node: int,
    machine_gpus: int,
    horizon_s: float | None,
    seed: int,
    replication: int,
    stamp: tuple[int, int],
) -> JobTable:
    section = key.section
    model = synthetic_model(section, machine_gpus)
    drawn = draw(
        model,
        lambda purpose: generator(seed, replication, f"workload/synthetic/{purpose}"),
        model.jobs_per_s,
        jobs=section.jobs,
        span_s=None if section.jobs is not None else span_of(section, model, horizon_s),
    )
    names = np.array(
        ["", *(f"user-{rank}" for rank in range(1, 1 + (model.users.count if model.users else 0)))], object
    )
    nodes = -(-drawn.gpus // gpus_per_node)
    is_asked = (section.estimates == "requested") & ~np.isnan(drawn.requested_s)
    return job_table(
        job=np.array([f"synthetic-{number}" for number in range(1, len(drawn) + 1)], dtype=object),
        user=names[drawn.user + 1],
        account=_accounts(section, len(names), generator(seed, replication, "workload/synthetic/accounts"))[
            drawn.user + 1
        ],
        submit_s=drawn.submit_s,
        nodes=nodes,
        gpus=drawn.gpus,
        shares=drawn.gpus < gpus_per_node,
        work_s=drawn.run_s,
        requested_s=np.where(is_asked, drawn.requested_s, drawn.run_s),
    )


def _accounts(section: SyntheticSection, users: int, rng: np.random.Generator) -> NDArray[np.object_]:
    """Return the account of every user, the first of whom is nobody; "" without accounts."""
    if not section.accounts:
        return np.full(users, "", dtype=object)
    shares = np.array(list(section.accounts.values()))
    account = np.searchsorted(np.cumsum(shares) / shares.sum(), rng.random(users), side="right")
    return np.array(list(section.accounts), dtype=object)[np.minimum(account, len(shares) - 1)]


def _model(section: SyntheticSection) -> WorkloadModel:
    if section.model is not None:
        return preset_model(section.model)
    assert section.path is not None, "checked before"
    return _model_of_file(section.path, _stamp(section))


@functools.lru_cache(maxsize=8)
def _model_of_file(path: str, stamp: tuple[int, int]) -> WorkloadModel:
    return read_model(path)


def _stamp(section: SyntheticSection) -> tuple[int, int]:
    """Return what changes when the file of a model is written anew."""
    if section.path is None:
        return (0, 0)
    stat = Path(section.path).stat()
    return stat.st_mtime_ns, stat.st_size
