"""Reading of traces of a million rows in each text format, and drawing of a million synthetic jobs.

    python benchmarks/bench_traces.py [--rows 1000000] [--formats swf slurm ...]

The files are made here, with the odd broken row, and read in a process of their own on one core; the bar is 15 s and
2 GB a million rows.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

BAR_S, BAR_MIB = 15.0, 2048
BROKEN_EVERY = 10_007
FIRST = np.datetime64("2023-03-01T00:00:00", "s")


def columns(n: int) -> dict[str, Any]:
    """What all formats say of n jobs, as arrays."""
    rng = np.random.default_rng(1)
    submit_s = np.sort(rng.integers(0, 180 * 86400, n))
    wait_s = rng.exponential(300.0, n).astype(np.int64)
    run_s = np.clip(rng.lognormal(6.0, 2.0, n), 1, 6e5).astype(np.int64)
    return {
        "job": np.arange(1, n + 1),
        "submit_s": submit_s,
        "start_s": submit_s + wait_s,
        "end_s": submit_s + wait_s + run_s,
        "wait_s": wait_s,
        "run_s": run_s,
        "gpus": 2 ** rng.integers(0, 7, n),
        "user": rng.zipf(1.5, n) % 500,
        "state": rng.choice([1, 0, 5], n, p=[0.6, 0.3, 0.1]),
    }


def clock(seconds: Any, separator: str = " ") -> list[str]:
    """ISO times without zone."""
    texts = np.datetime_as_string(FIRST + seconds, unit="s").tolist()
    return texts if separator == "T" else [text.replace("T", separator) for text in texts]


def elapsed(seconds: Any) -> list[str]:
    """Durations as Slurm prints them."""
    days, rest = np.divmod(seconds, 86400)
    return [
        f"{d}-{r // 3600:02}:{r // 60 % 60:02}:{r % 60:02}" if d else f"{r // 3600:02}:{r // 60 % 60:02}:{r % 60:02}"
        for d, r in zip(days.tolist(), rest.tolist(), strict=True)
    ]


WORDS = {1: "COMPLETED", 0: "FAILED", 5: "CANCELLED by 1001"}


def swf(c: dict[str, Any]) -> Iterator[str]:
    yield "; MaxProcs: 4096"
    rows = zip(*(c[k].tolist() for k in ("job", "submit_s", "wait_s", "run_s", "gpus", "state", "user")), strict=True)
    for job, submit, wait, run, gpus, state, user in rows:
        asked = f"{gpus:4d} {2 * run} -1 {state} {user} 3 -1 1 -1 -1 -1"
        yield f"{job:7d} {submit:9d} {wait:6d} {run:6d} {gpus:4d} -1 -1 {asked}"


def slurm(c: dict[str, Any]) -> Iterator[str]:
    yield (
        "JobID|JobName|User|Account|Partition|Submit|Start|End|Elapsed|Timelimit|NNodes|NCPUS|ReqTRES|AllocTRES"
        "|State|ExitCode"
    )
    times = (clock(c[k], "T") for k in ("submit_s", "start_s", "end_s"))
    limits = elapsed(86400 * (1 + c["run_s"] // 86400))
    plain = (c[k].tolist() for k in ("job", "user", "gpus", "state"))
    for job, user, gpus, state, submit, start, end, run, limit in zip(
        *plain, *times, elapsed(c["run_s"]), limits, strict=True
    ):
        nodes = max(1, gpus // 8)
        tres = f"cpu={8 * gpus},gres/gpu={gpus},mem={64 * gpus}G,node={nodes}"
        yield (
            f"{job}|train.sh|u{user:04}|lab{user % 9}|gpu|{submit}|{start}|{end}|{run}|{limit}|{nodes}|{8 * gpus}|"
            f"billing={8 * gpus},{tres}|billing={8 * gpus},{tres},gres/gpu:a100={gpus}|{WORDS[state]}|0:0"
        )


def helios(c: dict[str, Any]) -> Iterator[str]:
    yield "job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue"
    times = (clock(c[k]) for k in ("submit_s", "start_s", "end_s"))
    plain = (c[k].tolist() for k in ("job", "user", "gpus", "state", "run_s", "wait_s"))
    for job, user, gpus, state, run, wait, submit, start, end in zip(*plain, *times, strict=True):
        word = WORDS[state].split()[0]
        yield f"{job},u{user},vc{user % 20},{gpus},{4 * gpus},1,{word},{submit},{start},{end},{run},{wait}"


def acme(c: dict[str, Any]) -> Iterator[str]:
    yield "job_id,user,node_num,gpu_num,cpu_num,type,state,submit_time,start_time,end_time,duration,queue,gpu_time"
    times = (clock(c[k]) for k in ("submit_s", "start_s", "end_s"))
    plain = (c[k].tolist() for k in ("job", "user", "gpus", "state", "run_s", "wait_s"))
    for job, user, gpus, state, run, wait, submit, start, end in zip(*plain, *times, strict=True):
        word = WORDS[state].split()[0]
        zoned = f"{submit}+08:00,{start}+08:00,{end}+08:00"
        yield f"{job},u{user},{max(1, gpus // 8)},{gpus},{16 * gpus},Other,{word},{zoned},{run},{wait},{run * gpus}.0"


def philly(c: dict[str, Any]) -> Iterator[str]:
    yield "timestamp,duration,num_gpus,gpu_time,cluster"
    plain = (c[k].tolist() for k in ("run_s", "gpus", "user"))
    for submit, run, gpus, user in zip(clock(c["submit_s"]), *plain, strict=True):
        yield f"{submit},{run}.0,{gpus},{run * gpus}.0,vc{user % 14:04x}"


def alibaba(c: dict[str, Any]) -> Iterator[str]:
    yield (
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
    )
    phases = {1: "Succeeded", 0: "Failed", 5: "Running"}
    plain = (c[k].tolist() for k in ("job", "gpus", "state", "submit_s", "start_s", "end_s"))
    for job, gpus, state, submit, start, end in zip(*plain, strict=True):
        share = 1000 if gpus > 1 else 100 + job % 900
        yield f"openb-pod-{job:07},{gpus * 4000},16384,{gpus},{share},,LS,{phases[state]},{submit},{end},{start}"


def table(c: dict[str, Any]) -> Iterator[str]:
    yield "job,user,submit_s,start_s,end_s,run_s,requested_s,gpus,nodes,state"
    words = {1: "completed", 0: "failed", 5: ""}
    plain = (c[k].tolist() for k in ("job", "user", "submit_s", "start_s", "end_s", "run_s", "gpus", "state"))
    for job, user, submit, start, end, run, gpus, state in zip(*plain, strict=True):
        yield f"j{job},u{user},{submit}.0,{start}.0,{end}.0,{run}.5,,{gpus},{max(1, gpus // 8)},{words[state]}"


MAKERS: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "swf": swf,
    "slurm": slurm,
    "helios": helios,
    "philly": philly,
    "acme": acme,
    "alibaba": alibaba,
    "table": table,
}


def write(format: str, n: int, path: Path) -> None:
    """Make a file; every 10,007th row is cut short."""
    with path.open("w") as file:
        for number, line in enumerate(MAKERS[format](columns(n))):
            file.write((line[:9] if number and number % BROKEN_EVERY == 0 else line) + "\n")


def read(format: str, path: str) -> None:
    """Read a file in this process and print what it took."""
    from simulator.workload.traces import read_trace

    begin = time.perf_counter()
    jobs, report = read_trace(format, path)
    wall_s = time.perf_counter() - begin
    print(json.dumps({"s": wall_s, "mib": peak_mib(), "jobs": len(jobs), "rows": report.rows_read}))


def peak_mib() -> float:
    """Peak memory of this process; getrusage would report that of the process it was started from."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", choices=MAKERS, default=list(MAKERS))
    parser.add_argument("--read", nargs=2, metavar=("FORMAT", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read:
        read(*asked.read)
        return
    print(f"Python {platform.python_version()}, pandas {version('pandas')}, pyarrow {version('pyarrow')}; one core")
    print(f"{'format':<8} {'rows':>10} {'MB':>6} {'s':>6} {'rows/s':>10} {'peak MiB':>8}  within the bar")
    for format in asked.formats:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace"
            write(format, asked.rows, path)
            command = [sys.executable, __file__, "--read", format, str(path)]
            pinned = ["taskset", "-c", "0", *command] if sys.platform == "linux" else command
            found = json.loads(subprocess.run(pinned, check=True, capture_output=True, text=True).stdout)
            assert found["rows"] == asked.rows
            scale = asked.rows / 1e6
            is_within = found["s"] <= BAR_S * max(scale, 0.1) and found["mib"] <= BAR_MIB * max(scale, 0.5)
            rate = asked.rows / found["s"]
            print(
                f"{format:<8} {asked.rows:>10,} {path.stat().st_size / 1e6:>6.0f} {found['s']:>6.2f} {rate:>10,.0f}"
                f" {found['mib']:>8.0f}  {'yes' if is_within else 'NO'}"
            )


if __name__ == "__main__":
    main()
