"""Replay of workload family W (1,000 nodes) beside a plain heapq loop, timed in the same run.

    python benchmarks/bench_replay.py [--repeats 5]

Each time is the median of the repeats (least to greatest), after one warm-up call that compiles the kernels. Both
programs must start every job at the same second, or the benchmark fails. Without a rival: conservative backfilling.
"""

from __future__ import annotations

import argparse
import heapq
import platform
import resource
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from simulator.scheduling import replay

NODES = 1000
POLICIES = ("fifo", "easy", "conservative")
JOBS = (1_000, 10_000, 100_000)


def family_w(n: int) -> pd.DataFrame:
    """n jobs, one every 120 s on average, on 1 to 64 nodes, for an hour or so; requests up to three times as long."""
    generator = np.random.default_rng(1)
    submit_s = np.cumsum(generator.exponential(120.0, n)).astype(np.int64)
    processors = 2 ** generator.integers(0, 7, n)
    run_s = np.clip(generator.lognormal(np.log(3600), 1.0, n), 60, 86400).astype(np.int64)
    requested_s = (run_s * generator.uniform(1, 3, n)).astype(np.int64) + 1
    columns = {"submit_s": submit_s, "run_s": run_s, "processors": processors, "requested_s": requested_s}
    return pd.DataFrame({"job": np.arange(n), **columns})


def plain_loop(jobs: pd.DataFrame, nodes: int, policy: str) -> list[int]:
    """The same protocol in plain Python: a heap of completions, a list as queue."""
    submit, run, want, ask = (jobs[c].tolist() for c in ("submit_s", "run_s", "processors", "requested_s"))
    start = [0] * len(submit)
    ends: list[tuple[int, int]] = []
    queue: list[int] = []
    running: set[int] = set()
    free, arrived = nodes, 0
    while ends or arrived < len(submit):
        now = min([e for e, _ in ends[:1]] + submit[arrived : arrived + 1])
        while ends and ends[0][0] == now:
            job = heapq.heappop(ends)[1]
            running.discard(job)
            free += want[job]
        while arrived < len(submit) and submit[arrived] == now:
            queue.append(arrived)
            arrived += 1
        picked: list[int] = []
        shadow, extra = -1, 0
        for job in queue:
            if shadow < 0 and want[job] > free:  # the head: everything behind it must respect its reservation
                if policy == "fifo" or free == 0:
                    break
                extra = free - want[job]
                for end, freed in sorted((start[j] + ask[j], want[j]) for j in running):
                    if extra >= 0 and end > shadow:
                        break
                    extra, shadow = extra + freed, end
            elif want[job] <= free and (shadow < 0 or now + ask[job] <= shadow or want[job] <= extra):
                extra -= want[job] if 0 <= shadow < now + ask[job] else 0
                free -= want[job]
                start[job] = now
                running.add(job)
                heapq.heappush(ends, (now + run[job], job))
                picked.append(job)
        queue = [job for job in queue if job not in picked] if picked else queue
    return start


def timed_s(call: Callable[[], Any], repeats: int) -> list[float]:
    """Wall times of the calls, ascending."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return sorted(seconds)


def shown(times_s: list[float]) -> str:
    return f"{statistics.median(times_s):.4f} ({times_s[0]:.4f} to {times_s[-1]:.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {version('numba')}, pandas {pd.__version__}"
    )
    begin = time.perf_counter()
    for policy in POLICIES:
        replay(family_w(10), NODES, policy)
    print(f"kernels compiled, or loaded from their cache, in {time.perf_counter() - begin:.2f} s\n")
    print(f"{'jobs':>7}  {'policy':<12} {'mean wait s':>11}  {'replay s':<27}  {'plain loop s':<27} {'ratio':>6}")
    for n in JOBS:
        for policy in POLICIES:
            print(measured(family_w(n), policy, repeats))
    print(f"\npeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def measured(jobs: pd.DataFrame, policy: str, repeats: int) -> str:
    """One row of the table."""
    result = replay(jobs, NODES, policy)
    wait_s = (result["start_s"] - result["submit_s"]).mean()
    ours_s = timed_s(lambda: replay(jobs, NODES, policy), repeats)
    row = f"{len(jobs):>7,}  {policy:<12} {wait_s:>11,.3f}  {shown(ours_s):<27}"
    if policy == "conservative":
        return row
    assert plain_loop(jobs, NODES, policy) == result["start_s"].tolist()
    plain_s = timed_s(lambda: plain_loop(jobs, NODES, policy), repeats)
    return f"{row}  {shown(plain_s):<27} {statistics.median(plain_s) / statistics.median(ours_s):>5.0f}×"


if __name__ == "__main__":
    main()
