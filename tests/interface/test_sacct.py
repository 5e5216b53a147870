"""Jobs as Slurm lists them: what our own reader of sacct makes of the output is what was simulated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.workload.traces import read_trace

SCENARIO = """
name: listed
horizon: 10 h
cluster: {nodes: 4, node: {gpus: 8}, partitions: {main: 4, debug: 1}}
workload:
  jobs:
    - {name: whole, nodes: 2, work: 90 min, requested: 2 h, user: ada, account: nlp, partition: main}
    - {name: part, gpus: 3, work: 10.4 s, submit: 61 s, user: bob}
    - {name: buggy, nodes: 1, work: 5 h, fails_after: 1 h, submit: 2 h, recovery: {policy: fail}}
    - {name: long, nodes: 4, work: 50 h, submit: 4 h}
    - {name: late, nodes: 4, work: 1 h, submit: 5 h}
"""


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "simulator", *words], capture_output=True, text=True, check=False)


def test_sacct_reads_back(tmp_path: Path) -> None:
    (tmp_path / "listed.yaml").write_text(SCENARIO, encoding="utf-8")
    out = tmp_path / "out"
    assert command("run", str(tmp_path / "listed.yaml"), "-o", str(out)).returncode == 0
    listed = command("sacct", str(out))
    assert listed.returncode == 0, listed.stderr
    (tmp_path / "sacct.txt").write_text(listed.stdout, encoding="utf-8")
    rows = [line.split("|") for line in listed.stdout.splitlines()]
    named = {row[1]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}
    assert named["whole"]["Elapsed"] == "01:30:00"
    assert named["whole"]["Timelimit"] == "02:00:00"
    assert named["whole"]["Submit"] == "2000-01-03T00:00:00"
    assert named["part"]["AllocTRES"] == "gres/gpu=3,node=1"
    assert (named["buggy"]["State"], named["long"]["State"], named["late"]["State"]) == ("FAILED", "RUNNING", "PENDING")

    table, _ = read_trace("slurm", str(tmp_path / "sacct.txt"))
    jobs = pd.read_parquet(out / "jobs.parquet")
    ended = jobs["end_s"].notna().to_numpy()
    back = table.set_index("job").loc[[str(n + 1) for n in np.flatnonzero(ended)]]
    for column in ("submit_s", "start_s", "end_s"):
        np.testing.assert_array_equal(back[column].to_numpy(float), np.round(jobs.loc[ended, column].to_numpy()))
    assert back["gpus"].tolist() == jobs.loc[ended, "gpus"].tolist()
    assert back["account"].tolist()[0] == "nlp"


def test_wrong_folders_and_variants_are_one_error(tmp_path: Path) -> None:
    done = command("sacct", str(tmp_path))
    assert done.returncode == 2
    assert "no results folder" in done.stderr
