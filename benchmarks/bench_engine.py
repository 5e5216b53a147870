"""Times the engine on the two workloads its speed is promised for; run on an idle machine.

    python benchmarks/bench_engine.py

The Llama 3 scenario (54 days, 16,384 GPUs, 18 fault classes): assembly, incidents and ledger of one replication of one
variant; 1,000 replications (250 of each variant) by two workers, tables and report included. Workload W (see
bench_replay.py): 100,000 jobs under EASY through the whole engine with failures off.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import simulator as sim
from simulator import engine
from simulator.cluster.inventory import Machine
from simulator.engine import JobProfile, World
from simulator.policies.placement.first_fit import FirstFit
from simulator.policies.recovery.ladder import ReplaceNodes
from simulator.policies.scheduling.easy import Easy
from simulator.scenario.assembly import assemble
from simulator.workload.job import job_table
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


def main() -> None:
    """Print every figure."""
    seconds = llama_replications(40)
    print(
        f"Llama 3, one replication: median {statistics.median(seconds) * 1e3:.1f} ms, best {min(seconds) * 1e3:.1f} ms"
    )
    wall_s, megabytes = llama_thousand()
    print(f"Llama 3, 1,000 replications, 2 workers, with report: {wall_s:.1f} s, largest process {megabytes:.0f} MB")
    engine.run(workload_w(1000))
    begin = time.perf_counter()
    outcome = engine.run(workload_w(100_000))
    wall_s = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"W 100k, EASY, whole engine: {wall_s:.2f} s, mean wait {outcome.summary['wait_mean_s']:.1f} s, {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
