"""Whom to take off their nodes so that a waiting job fits: as few as possible, the first in a given order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@kernel
def _places_of(
    jobs: Ints, known_jobs: int, per_node: int, is_open: Bools, holder: Ints, tenant_job: Ints, tenant_gpus: Ints
) -> tuple[Ints, Ints, Ints]:
    """Return the open nodes of each listed job and its GPUs on them, in CSR form: first row, nodes, GPUs."""
    number = np.full(known_jobs, -1, np.int64)
    for k in range(len(jobs)):
        number[jobs[k]] = k
    first = np.zeros(len(jobs) + 1, np.int64)
    node_of, gpus_of = np.empty(0, np.int64), np.empty(0, np.int64)
    cursor = first
    for is_counting in (True, False):
        for node in range(len(holder)):
            if not is_open[node]:
                continue
            for slot in range(-1, tenant_job.shape[1]):
                if slot >= 0:
                    job, gpus = tenant_job[node, slot], tenant_gpus[node, slot]
                else:
                    job, gpus = holder[node], per_node
                if job < 0 or gpus == 0 or number[job] < 0:
                    continue
                k = number[job]
                if is_counting:
                    first[k + 1] += 1
                else:
                    node_of[cursor[k]], gpus_of[cursor[k]] = node, gpus
                    cursor[k] += 1
        if is_counting:
            for k in range(len(jobs)):
                first[k + 1] += first[k]
            node_of, gpus_of = np.empty(first[-1], np.int64), np.empty(first[-1], np.int64)
            cursor = first[:-1].copy()
    return first, node_of, gpus_of


@kernel
def _change(k: int, sign: int, level: int, first: Ints, node_of: Ints, gpus_of: Ints, free: Ints) -> int:
    """Count the GPUs of a job in (sign 1) or out (-1); return by how many the nodes with enough free ones change."""
    change = 0
    for row in range(first[k], first[k + 1]):
        before = free[node_of[row]]
        after = before + sign * gpus_of[row]
        free[node_of[row]] = after
        change += int(after >= level) - int(before >= level)
    return change


@kernel
def freed_by(
    jobs: Ints, free: Ints, known_jobs: int, per_node: int, holder: Ints, tenant_job: Ints, tenant_gpus: Ints
) -> Ints:
    """Return the free GPUs of each node once some jobs are gone; parameters as of `fewest_preempted`."""
    left = free.copy()
    everywhere = np.ones(len(free), np.bool_)
    first, node_of, gpus_of = _places_of(jobs, known_jobs, per_node, everywhere, holder, tenant_job, tenant_gpus)
    for k in range(len(jobs)):
        _change(k, 1, 0, first, node_of, gpus_of, left)
    return left


@kernel
def fewest_preempted(
    free: Ints,
    level: int,
    need: int,
    candidates: Ints,
    is_open: Bools,
    known_jobs: int,
    per_node: int,
    holder: Ints,
    tenant_job: Ints,
    tenant_gpus: Ints,
) -> tuple[bool, Ints]:
    """Return whether a job can have room, and which candidates must go for it.

    Parameters
    ----------
    free : int array, shape (nodes,)
        GPUs that the waiting job could take of each node now, or once others told to go are gone; 0 where the node is
        closed to it.
    level, need : int
        It wants so many nodes (1 for a part of one) with so many free GPUs each.
    candidates : int array
        Jobs that can be taken off, the first to go first.
    is_open : bool array, shape (nodes,)
        Whether the waiting job may use the node.
    known_jobs : int
        Number of jobs, above every index.
    per_node : int
        GPUs of a node.
    holder, tenant_job, tenant_gpus : arrays
        Who has which node, as in ``NodesView``; without tenants arrays of shape (nodes, 0).

    Returns
    -------
    fits : bool
        Whether there is room once these are gone.
    chosen : int array
        Places among the candidates, ascending. Without one of them the job would not fit; empty if it fits anyway.

    Notes
    -----
    Candidates are added in order until the job fits. Then those that are not needed are spared, the last ones first.
    """
    left = free.copy()
    roomy = 0
    for node in range(len(left)):
        roomy += left[node] >= level
    first, node_of, gpus_of = _places_of(candidates, known_jobs, per_node, is_open, holder, tenant_job, tenant_gpus)
    last = 0
    while roomy < need and last < len(candidates):
        roomy += _change(last, 1, level, first, node_of, gpus_of, left)
        last += 1
    if roomy < need:
        return False, np.empty(0, np.int64)
    goes = np.ones(last, np.bool_)
    for k in range(last - 2, -1, -1):  # the last one is needed
        roomy += _change(k, -1, level, first, node_of, gpus_of, left)
        if roomy >= need:
            goes[k] = False
        else:
            roomy += _change(k, 1, level, first, node_of, gpus_of, left)
    return True, np.flatnonzero(goes)
