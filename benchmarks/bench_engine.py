"""Times the engine on the two workloads its speed is promised for; run on an idle machine.

    python benchmarks/bench_engine.py

The Llama 3 scenario (54 days, 16,384 GPUs, 18 fault classes): assembly, incidents and ledger of one replication of one
variant; 1,000 replications (250 of each variant) by two workers, tables and report included. Workload W (see
bench_replay.py): 100,000 jobs under EASY through the whole engine, once with failures off and once with topology-aware
placement, failures and energy. A year of 12,500 nodes of 8 GPUs: 1,000,000 jobs of the same family at 85 % load, with
EASY, topology-aware placement, failures and energy. Each of these runs in a process of its own, for its memory:

    python benchmarks/bench_engine.py w_plain | w_full | year
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import simulator as sim
from simulator import engine
from simulator.accounting.energy import PowerModel
from simulator.cluster.inventory import Machine
from simulator.distributions import Duration
from simulator.engine import JobProfile, World
from simulator.faults.catalogue import FaultClass, RepairMix, RepairTier
from simulator.policies.placement.first_fit import FirstFit
from simulator.policies.placement.topology import TopologyAware
from simulator.policies.recovery.ladder import ReplaceNodes, RequeueJob
from simulator.policies.scheduling.easy import Easy
from simulator.scenario.assembly import assemble
from simulator.workload.job import JobTable, job_table
from simulator.workload.restart import RestartPhases

ROOT = Path(__file__).parents[1]
LLAMA = ROOT / "scenarios" / "llama3_54_days.yaml"


def llama_replications(count: int) -> list[float]:
    """Return the seconds of each of ``count`` replications after one that compiles."""
    scenario = sim.load(LLAMA)
    variant = scenario.variants[0]
    seconds = []
    for replication in range(count + 1):
        begin = time.perf_counter()
        engine.run(assemble(scenario, variant, 1, replication))
        seconds.append(time.perf_counter() - begin)
    return seconds[1:]


def llama_thousand() -> tuple[float, float]:
    """Return wall seconds and the largest process's memory (MB) of 4 variants x 250 replications by two workers."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--replications", "250", "--workers", "2", "--output", str(Path(folder) / "out")]
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "simulator", "compare", str(LLAMA), *options], check=True, capture_output=True
        )
        wall_s = time.perf_counter() - begin
    return wall_s, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def workload_w(n: int) -> World:
    """Return workload W of ``n`` jobs on 1,000 one-GPU nodes under EASY without failures."""
    rng = np.random.default_rng(1)
    submit_s = np.cumsum(rng.exponential(120.0, n)).astype(np.int64)
    nodes = 2 ** rng.integers(0, 7, n)
    run_s = np.clip(np.exp(rng.normal(np.log(3600.0), 1.0, n)), 60, 86400).astype(np.int64)
    requested_s = (run_s * rng.uniform(1, 3, n)).astype(np.int64) + 1
    names = np.arange(n).astype(str).astype(object)
    jobs = job_table(
        job=names,
        submit_s=submit_s.astype(float),
        nodes=nodes,
        gpus=nodes,
        work_s=run_s.astype(float),
        requested_s=requested_s.astype(float),
    )
    trace = JobProfile("trace", (), (), RestartPhases(), ReplaceNodes())
    machine = Machine(1000, 1, "flat")
    quiet = {"network": None, "storage": None, "price_usd_per_gpu_s": None, "horizon_s": None, "sample_every_s": None}
    return World(machine, (), None, jobs, (trace,), Easy(), FirstFit(), warm_up_s=0.0, seed=1, replication=0, **quiet)


def jobs_of_family_w(n: int, every_s: float, mean_run_s: float, gpus_per_node: int) -> JobTable:
    """Return n jobs of 2^0 to 2^6 nodes with lognormal run times and requests of one to three times these."""
    rng = np.random.default_rng(1)
    submit_s = np.cumsum(rng.exponential(every_s, n)).astype(np.int64)
    nodes = 2 ** rng.integers(0, 7, n)
    run_s = np.exp(rng.normal(np.log(mean_run_s) - 0.5, 1.0, n)).astype(np.int64) + 1
    return job_table(
        job=np.arange(n).astype(str).astype(object),
        submit_s=submit_s.astype(float),
        nodes=nodes,
        gpus=nodes * gpus_per_node,
        work_s=run_s.astype(float),
        requested_s=((run_s * rng.uniform(1, 3, n)).astype(np.int64) + 1).astype(float),
    )


def with_everything(base: World, nodes: int, gpus_per_node: int) -> World:
    """Return a world with leaves of 32 nodes, pods of 512, failures of 2.3 per 1,000 node-days and energy."""
    leaf = np.arange(nodes) // 32
    repair = RepairMix("swap", (RepairTier("swap", 1.0, Duration("exponential", 18.7 * 3600.0, 1.0), False),))
    kinds = (FaultClass("node", "GPU", 2.3e-3 / 86400.0, repair=repair),)
    trace = JobProfile("trace", (), (), RestartPhases(), RequeueJob())
    return replace(
        base,
        machine=Machine(nodes, gpus_per_node, "flat", tiers=np.array([leaf, leaf // 16])),
        faults=kinds,
        profiles=(trace,),
        placement=TopologyAware(),
        power=PowerModel(busy_w=1000.0, idle_w=200.0, off_w=50.0),
    )


def year() -> World:
    """Return a year of a machine of 100,000 GPUs: a job every 31.5 s, of 18.1 nodes for 18,462 s in the mean."""
    year_s = 365 * 86400.0
    mean_run_s = 0.85 * 12_500 * year_s / 1_000_000 / (127 / 7)
    jobs = jobs_of_family_w(1_000_000, year_s / 1_000_000, mean_run_s, 8)
    return replace(with_everything(workload_w(10), 12_500, 8), jobs=jobs, horizon_s=year_s)


CASES: dict[str, tuple[str, Callable[[int], World]]] = {
    "w_plain": ("W 100k, EASY", lambda n: workload_w(min(n, 100_000))),
    "w_full": (
        "W 100k, EASY, topology-aware, failures, energy",
        lambda n: with_everything(workload_w(min(n, 100_000)), 1000, 1),
    ),
    "year": ("a year of 12,500 nodes, 1,000,000 jobs, failures, energy", lambda n: year()),
}


def time_engine(case: str) -> None:
    """Print seconds and memory of a run of the engine in this process, after a small one that compiles."""
    name, world = CASES[case]
    engine.run(CASES["w_full"][1](1000))
    base = world(100_000)
    begin = time.perf_counter()
    outcome = engine.run(base)
    wall_s = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = outcome.summary
    shown = ", ".join(
        f"{key} {found[key]:.4g}" for key in ("utilisation", "interruptions", "energy_j", "jobs_completed")
    )
    print(f"{name}: {wall_s:.2f} s, {peak:.0f} MB, mean wait {found['wait_mean_s']:.1f} s, {shown}")


def main() -> None:
    """Print every figure, or those of the named cases."""
    if sys.argv[1:]:
        for case in sys.argv[1:]:
            time_engine(case)
        return
    seconds = llama_replications(40)
    print(
        f"Llama 3, one replication: median {statistics.median(seconds) * 1e3:.1f} ms, best {min(seconds) * 1e3:.1f} ms"
    )
    wall_s, megabytes = llama_thousand()
    print(f"Llama 3, 1,000 replications, 2 workers, with report: {wall_s:.1f} s, largest process {megabytes:.0f} MB")
    for case in CASES:
        subprocess.run([sys.executable, __file__, case], check=True)


if __name__ == "__main__":
    main()
