"""Times scheduling alone: a replay of workload W, and single passes over a queue of 10,000 waiting jobs.

    python benchmarks/bench_scheduling.py [--repeats 5]

The replay (100,000 jobs, 1,000 nodes, FIFO and EASY) runs beside a plain heapq loop, timed in the same run; both must
start every job at the same second (see bench_replay.py, which has other sizes and conservative backfilling too).

A pass is one call of a policy's ``schedule`` as the engine makes it, on 1,000 nodes of 8 GPUs. The queue has 10,000 to
12,000 jobs, of whole nodes, or three in ten of them of a part of a node. Easy queues: jobs of 1 to 64 nodes and 1 to 7
GPUs, so that the machine is full but for what the last job left. Hard ones: 16 to 64 nodes, and 5 to 7 GPUs, so that
there are always free GPUs that hardly anybody can take, and a pass looks at every job. Beside it a plain loop over the
same view: the same rules in Python, job by job.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from bench_replay import NODES, family_w, measured

from simulator import engine
from simulator.cluster.inventory import Machine
from simulator.engine import JobProfile, World
from simulator.policies.decisions import Start
from simulator.policies.placement.best_fit import BestFit
from simulator.policies.recovery.ladder import RequeueJob
from simulator.policies.registry import families
from simulator.policies.views import SchedulerView
from simulator.scheduling import replay
from simulator.workload.job import job_table
from simulator.workload.restart import RestartPhases

WAITING = 10_000
JOBS, GPUS_PER_NODE = 12_500, 8


POLICIES = ("fifo", "easy", "sjf", "priority", "multifactor", "preemptive", "quota")
BY_NODE = ("fifo", "easy", "sjf", "multifactor", "conservative 1", "conservative 100", "conservative 1000")
"""Those timed with jobs on parts of nodes too; conservative backfilling with its depth."""


@dataclass
class Timed:
    """A scheduling policy whose passes over long queues are timed."""

    name: str
    pass_s: list[float] = field(default_factory=list)
    plain_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        name, _, depth = self.name.partition(" ")
        self.policy = families()["scheduling"][name](**({"depth": int(depth)} if depth else {}))
        if hasattr(self.policy, "usage_half_life_s"):
            self.usage_half_life_s = self.policy.usage_half_life_s

    def remember(self) -> Any:
        return self.policy.remember() if hasattr(self.policy, "remember") else None

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        begin = time.perf_counter()
        decisions: Sequence[Start] = self.policy.schedule(view)
        elapsed_s = time.perf_counter() - begin
        if len(view.queue) >= WAITING:
            self.pass_s.append(elapsed_s)
            if self.name in ("fifo", "easy") and not view.shares_nodes:
                begin = time.perf_counter()
                starts = plain_pass(view, self.name == "easy")
                self.plain_s.append(time.perf_counter() - begin)
                assert starts == [start.job for start in decisions]
        return decisions


def plain_pass(view: SchedulerView, backfills: bool) -> list[int]:
    """FIFO or EASY over whole nodes, as one would write it down."""
    now_s, free, starts = view.now_s, view.free_gpus, []
    queue = list(zip(view.queue.job.tolist(), view.queue.gpus.tolist(), view.queue.requested_s.tolist(), strict=True))
    ends = list(zip(view.running.end_s.tolist(), view.running.gpus.tolist(), strict=True))
    shadow_s, extra, has_head = 0.0, 0, False
    for job, gpus, requested_s in queue:
        if has_head:
            fits = gpus <= free and (now_s + requested_s <= shadow_s or gpus <= extra)
        else:
            fits = gpus <= free
        if fits:
            if has_head and now_s + requested_s > shadow_s:
                extra -= gpus
            free -= gpus
            starts.append(job)
            ends.append((now_s + requested_s, gpus))
        elif not has_head:
            if not backfills or free == 0:
                break
            has_head, shadow_s, extra = True, now_s, free - gpus
            for end_s, freed in sorted(ends):
                if extra >= 0 and end_s > shadow_s:
                    break
                shadow_s, extra = end_s, extra + freed
    return starts


def crowd(policy: Timed, shares: bool, is_hard: bool, until_s: float = 5000.0) -> World:
    """12,500 jobs that come within a quarter of an hour to a machine that can run a twentieth of them."""
    rng = np.random.default_rng(1)
    submit_s = np.sort(rng.uniform(0, 900.0, JOBS))
    nodes = 2 ** rng.integers(4 if is_hard else 0, 7, JOBS)
    parts = (rng.random(JOBS) < 0.3) & shares
    gpus = np.where(parts, rng.integers(5 if is_hard else 1, GPUS_PER_NODE, JOBS), nodes * GPUS_PER_NODE)
    run_s = rng.lognormal(np.log(3600.0), 1.0, JOBS) + 900.0
    jobs = job_table(
        job=np.arange(JOBS).astype(str).astype(object),
        submit_s=submit_s,
        nodes=np.where(parts, 1, nodes),
        gpus=gpus,
        shares=parts,
        work_s=run_s,
        requested_s=run_s * rng.uniform(1, 3, JOBS),
    )
    trace = JobProfile("trace", (), (), RestartPhases(), RequeueJob())
    machine = Machine(NODES, GPUS_PER_NODE, "flat")
    quiet = {"network": None, "storage": None, "price_usd_per_gpu_s": None, "sample_every_s": None}
    return World(
        machine, (), None, jobs, (trace,), policy, BestFit(), horizon_s=until_s, warm_up_s=0.0, seed=1,
        replication=0, **quiet,
    )  # fmt: skip


def passes(name: str, shares: bool, is_hard: bool) -> str:
    """One row of the second table."""
    engine.run(crowd(Timed(name), shares, is_hard, until_s=10.0))  # compiles
    timed = Timed(name)
    engine.run(crowd(timed, shares, is_hard))
    ours_s = sorted(timed.pass_s)
    wanted = "parts of nodes too" if shares else "whole nodes"
    row = f"{name:<17} {'hard' if is_hard else 'easy':<6} {wanted:<20} {len(ours_s):>6}"
    row += f"  {1e3 * statistics.median(ours_s):>9.3f} {1e3 * ours_s[-1]:>9.3f}"
    if not timed.plain_s:
        return row
    ratio = statistics.median(timed.plain_s) / statistics.median(ours_s)
    return f"{row}  {1e3 * statistics.median(timed.plain_s):>9.3f} {ratio:>6.0f}×"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {version('numba')}\n")
    for policy in ("fifo", "easy"):
        replay(family_w(10), NODES, policy)  # compiles
    print(f"{'jobs':>7}  {'policy':<12} {'mean wait s':>11}  {'replay s':<27}  {'plain loop s':<27} {'ratio':>6}")
    for policy in ("fifo", "easy"):
        print(measured(family_w(100_000), policy, repeats))
    print(f"\nA pass over {WAITING:,} or more waiting jobs, promised: 5 ms")
    head = f"{'policy':<17} {'queue':<6} {'jobs want':<20} {'passes':>6}"
    print(f"{head}  {'median ms':>9} {'most ms':>9}  {'plain ms':>9} {'ratio':>7}")
    for shares, names in ((False, (*POLICIES, "conservative")), (True, BY_NODE)):
        for is_hard in (False, True):
            for name in names:
                print(passes(name, shares, is_hard))
    print(f"\npeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
