"""What an operator knows of every job: what its user wrote when submitting it, never how long it will really run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.workload.elastic import GoodputCurve
from simulator.workload.job import Bools, Floats, Ints, JobTable, Texts


@dataclass(frozen=True)
class Submissions:
    """All jobs as columns by job index, in order of (submission, row).

    Parameters
    ----------
    job : array of str
        Names.
    gpus : int array
        GPUs the job holds while it runs at its nominal width: those of its whole nodes, or its share of one.
    nodes, shares : int and bool arrays
        Whole nodes it wants, 1 for one that shares a node; and whether it does.
    submit_s, requested_s : float arrays
        Submission, and the run-time estimate (infinite for none).
    priority : int array
        Class of priority, the higher the sooner.
    fewest, most : int arrays
        Nodes between which it can run.
    saves : bool array
        Whether it saves its work, so that it can be moved or change its width.
    width, curves : int array, tuple of GoodputCurve
        Index of its goodput curve, -1 for a rigid job; and the curves.
    users, accounts, partitions : tuples of str
        The names behind the numbers.
    user, account, partition : int arrays
        Indices into them.
    """

    job: Texts
    gpus: Ints
    nodes: Ints
    shares: Bools
    submit_s: Floats
    requested_s: Floats
    priority: Ints
    fewest: Ints
    most: Ints
    saves: Bools
    width: Ints
    curves: tuple[GoodputCurve, ...]
    users: tuple[str, ...]
    accounts: tuple[str, ...]
    partitions: tuple[str, ...]
    user: Ints
    account: Ints
    partition: Ints


def submissions(
    jobs: JobTable, gpus_per_node: int, saves: Bools | None = None, curves: tuple[GoodputCurve, ...] = ()
) -> Submissions:
    """Return what the operator of a machine knows of these jobs; a job without an account is on that of its user."""
    account = np.where(jobs.account == "", jobs.user, jobs.account)
    users, user = _numbered(jobs.user)
    accounts, account_of = _numbered(account)
    partitions, partition = _numbered(jobs.partition)
    return Submissions(
        job=jobs.job,
        gpus=np.where(jobs.shares, jobs.gpus, jobs.nodes * gpus_per_node),
        nodes=jobs.nodes,
        shares=jobs.shares,
        submit_s=jobs.submit_s,
        requested_s=jobs.requested_s,
        priority=jobs.priority,
        fewest=jobs.fewest,
        most=jobs.most,
        saves=np.zeros(len(jobs), dtype=np.bool_) if saves is None else saves,
        width=jobs.width,
        curves=curves,
        users=users,
        accounts=accounts,
        partitions=partitions,
        user=user,
        account=account_of,
        partition=partition,
    )


def _numbered(names: Texts) -> tuple[tuple[str, ...], Ints]:
    number: dict[str, int] = {}
    found = [number.setdefault(name, len(number)) for name in names.tolist()]
    return tuple(number), np.array(found, dtype=np.int64)
