"""Jobs as Slurm lists them: what our own reader of sacct makes of the output is what was simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import invoke

import simulator as sim
from simulator.errors import InputError
from simulator.experiments.sacct import read_sacct, sacct_table, sacct_text
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


def test_sacct_reads_back(tmp_path: Path) -> None:
    (tmp_path / "listed.yaml").write_text(SCENARIO, encoding="utf-8")
    out = tmp_path / "out"
    assert invoke("run", str(tmp_path / "listed.yaml"), "-o", str(out)).returncode == 0
    listed = invoke("sacct", str(out))
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
    # It starts at 4 h and still runs at the horizon of 10 h.
    assert named["long"]["Elapsed"] == "06:00:00"
    assert table.set_index("job").loc[named["long"]["JobID"], "run_s"] == 6 * 3600.0


def test_start_and_elapsed_are_those_of_the_last_time_from_the_queue(tmp_path: Path) -> None:
    """A job of 4 h is thrown out after 1 h by one of 2 h and starts again at 3 h; another waits again at the end."""
    (tmp_path / "twice.yaml").write_text("""
name: twice
horizon: 20 h
cluster: {nodes: 2, node: {gpus: 8}}
checkpoint: {tiers: [{name: disk, blocking: 1 s, interval: 2 h}]}
workload:
  jobs:
    - {name: low, nodes: 2, work: 4 h, requested: 4 h}
    - {name: high, nodes: 2, work: 2 h, requested: 2 h, submit: 1 h, priority: 1}
    - {name: again, nodes: 2, work: 4 h, submit: 10 h}
    - {name: last, nodes: 2, work: 50 h, submit: 12 h, priority: 1}
scheduling: {policy: preemptive}
""", encoding="utf-8")  # fmt: skip
    rows = sim.run(sim.load(tmp_path / "twice.yaml")).sacct.set_index("JobName")
    low, again = rows.loc["low"], rows.loc["again"]
    assert (low["Submit"], low["Start"], low["Restarts"]) == ("2000-01-03T00:00:00", "2000-01-03T03:00:00", 1)
    assert low["Elapsed"] == "04:00:01"  # it had saved nothing in its first hour, and now saves once
    assert (again["State"], again["Start"], again["Elapsed"], again["AllocTRES"]) == (
        "PENDING",
        "Unknown",
        "00:00:00",
        "",
    )
    assert again["Restarts"] == 1


def test_a_job_of_another_width_was_given_other_resources_than_it_asked_for(tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_text("""
name: wide
cluster: {nodes: 4, node: {gpus: 8}}
checkpoint: {tiers: [{name: disk, blocking: 1 s, interval: 2 h}]}
workload: {jobs: [{name: wide, nodes: 2, work: 4 h, elastic: {fewest: 1, most: 4}}]}
scheduling: {policy: elastic}
""", encoding="utf-8")  # fmt: skip
    row = sim.run(sim.load(tmp_path / "wide.yaml")).sacct.iloc[0]
    assert (row["ReqTRES"], row["AllocTRES"], row["NNodes"]) == ("gres/gpu=16,node=2", "gres/gpu=32,node=4", 4)


LOG_HEADER = "JobID|User|Account|Partition|Submit|Start|End|Elapsed|Timelimit|NNodes|ReqTRES|AllocTRES|State"
LOG = {
    "7": ("2019-03-01T10:00:00", 7200, "04:00:00", "COMPLETED"),
    "8_1": ("2019-03-01T10:30:00", 600, "04:00:00", "FAILED"),
    "9": ("2019-03-01T11:00:00", 3612, "01:00:00", "TIMEOUT"),
    "10": ("2019-03-01T11:10:05", 60, "UNLIMITED", "CANCELLED by 12"),
    "7#2": ("2021-06-01T10:00:00", 1800, "01:00:00", "COMPLETED"),
}
"""Jobs by the names that the reader gives them: submission, run time, limit, state."""


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder of a log whose last job has the number of its first."""
    folder = tmp_path_factory.mktemp("logged")
    tres = "gres/gpu=8,node=1"
    rows = [
        f"{job.removesuffix('#2')}|ann|nlp|gpu|{submit}|{submit}|Unknown|{run_s // 60}:{run_s % 60:02}|{limit}"
        f"|1|{tres}|{tres}|{state}"
        for job, (submit, run_s, limit, state) in LOG.items()
    ]
    (folder / "dump.txt").write_text("\n".join([LOG_HEADER, *rows, ""]), encoding="utf-8")
    (folder / "log.yaml").write_text("""
name: log
cluster: {nodes: 4, node: {gpus: 8}}
workload: {trace: {format: slurm, path: dump.txt}}
variants: {easy: {scheduling.policy: easy}, fifo: {}}
""", encoding="utf-8")  # fmt: skip
    sim.compare(sim.load(folder / "log.yaml"), workers=1, output=folder / "out")
    return folder


def test_a_log_comes_back_with_its_numbers_times_and_states(logged: Path, tmp_path: Path) -> None:
    """On a machine where nothing waits, what comes back is the log, but for the run that its limit cuts."""
    listed = sim.Study(logged / "out").sacct("fifo").set_index("JobID")
    assert listed["Submit"].to_dict() == {job: submit for job, (submit, *_) in LOG.items()}
    assert listed["State"].to_dict() == {job: state.split()[0] for job, (*_, state) in LOG.items()}
    assert listed["ExitCode"].to_dict() == {job: "1:0" if job == "8_1" else "0:0" for job in LOG}
    (tmp_path / "sacct.txt").write_text(sacct_text(read_sacct(logged / "out", "fifo")), encoding="utf-8")
    before, told = read_trace("slurm", logged / "dump.txt")
    after, report = read_trace("slurm", tmp_path / "sacct.txt")
    assert report.header["origin"] == told.header["origin"] == "2019-03-01 10:00:00"
    same = ["job", "user", "account", "partition", "submit_s", "start_s", "gpus", "nodes", "state"]
    pd.testing.assert_frame_equal(after[same], before[same])
    assert (before["run_s"] - after["run_s"]).tolist() == [0, 0, 12, 0, 0]
    # A job without a limit has its run time as estimate, and so as Timelimit.
    assert after["requested_s"].tolist() == [*before["requested_s"][:3], 60, before["requested_s"][4]]


def test_one_run_lists_a_log_as_its_folder_does(logged: Path, tmp_path: Path) -> None:
    result = sim.run(sim.load(logged / "log.yaml"), variant="fifo")
    assert result.sacct.equals(sim.Study(logged / "out").sacct("fifo"))
    result.save(tmp_path / "out", sim.load(logged / "log.yaml"))
    assert read_sacct(tmp_path / "out").equals(result.sacct)


def test_times_of_a_part_of_a_log_and_in_seconds_since_1970(logged: Path, tmp_path: Path) -> None:
    """Time 0 is the first job that is replayed, the second of the log; one in seconds since 1970 is written in UTC."""
    rows = [f"{job}|{1551434400 + 60 * job}|0{job}:00:00|COMPLETED|gres/gpu={job - 1}" for job in (1, 2, 3)]
    (tmp_path / "dump.txt").write_text("\n".join(["JobID|Submit|Elapsed|State|ReqTRES", *rows, ""]), encoding="utf-8")
    (tmp_path / "log.yaml").write_bytes((logged / "log.yaml").read_bytes())
    listed = sim.run(sim.load(tmp_path / "log.yaml")).sacct
    assert listed["JobID"].tolist() == ["2", "3"]
    assert listed["Submit"].tolist() == ["2019-03-01T10:02:00", "2019-03-01T10:03:00"]


def test_jobs_with_other_names_are_numbered_above_those_of_a_log(logged: Path) -> None:
    jobs = pd.read_parquet(logged / "out" / "jobs.parquet").head(4).assign(job=["a", "8_1", "b", "3"])
    assert sacct_table(jobs, 1e9)["JobID"].tolist() == ["9", "8_1", "10", "3"]


def test_a_job_given_up_after_a_fault_of_its_node_says_so(tmp_path: Path) -> None:
    (tmp_path / "faulty.yaml").write_text("""
name: faulty
cluster: {nodes: 2, node: {gpus: 8}}
faults:
  classes:
    board: {component: gpu, rate: "100 / node-day", stops_job: true, takes_node_out: true}
repairs: {mixes: {swap: {tiers: {swap: {probability: 1, time: 5 h}}}}, mix: swap}
recovery: {policy: fail}
workload: {jobs: [{name: long, nodes: 1, work: 1000 h}, {name: out, nodes: 1, work: 5 s}]}
""", encoding="utf-8")  # fmt: skip
    rows = sim.run(sim.load(tmp_path / "faulty.yaml")).sacct.set_index("JobName")
    assert rows["State"].to_dict() == {"long": "NODE_FAIL", "out": "COMPLETED"}
    assert rows["ExitCode"].to_dict() == {"long": "1:0", "out": "0:0"}


TRACED = """
name: traced
cluster: {nodes: 2, node: {gpus: 8}}
workload: {trace: {format: table, path: jobs.csv}}
variants: {fifo: {}, easy: {scheduling.policy: easy}}
"""


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traced")
    count = 4
    pd.DataFrame({
        "job": ["first", "second", "huge", "last"], "user": ["a|b", 'say "hi"', "two\nlines", "ann"],
        "submit_s": [0.0, 5.0, 6.0, 7.0], "run_s": [100.0] * count, "requested_s": [200.0] * count,
        "gpus": [8, 8, 800, 8], "nodes": [1, 1, 100, 1], "state": ["completed"] * count,
        "start_s": [np.nan] * count, "end_s": [np.nan] * count,
    }).to_csv(folder / "jobs.csv", index=False)  # fmt: skip
    (folder / "traced.yaml").write_text(TRACED, encoding="utf-8")
    sim.compare(sim.load(folder / "traced.yaml"), workers=1, output=folder / "out")
    return folder / "out"


def test_names_that_the_format_cannot_carry_read_back(traced: Path, tmp_path: Path) -> None:
    (tmp_path / "sacct.txt").write_text(sacct_text(read_sacct(traced)), encoding="utf-8")
    table, _ = read_trace("slurm", str(tmp_path / "sacct.txt"))
    assert len(table) == 4
    assert table["user"].tolist() == ["a/b", 'say "hi"', "two lines", "ann"]


def test_a_rejected_job_is_cancelled_with_the_reason(traced: Path) -> None:
    huge = sim.Study(traced).sacct().set_index("JobName").loc["huge"]
    assert (huge["State"], huge["Start"], huge["AllocTRES"]) == ("CANCELLED", "Unknown", "")
    assert "100 nodes" in huge["Reason"]


def test_every_variant_has_its_own_jobs(traced: Path) -> None:
    study = sim.Study(traced)
    assert study.sacct().equals(study.sacct("fifo"))
    assert len(study.sacct("easy")) == 4
    with pytest.raises(InputError, match="unknown variant; found 'sjf'; allowed: fifo, easy"):
        study.sacct("sjf")


def test_no_jobs_are_a_header(traced: Path) -> None:
    none = pd.read_parquet(traced / "jobs.parquet").head(0)
    assert sacct_text(sacct_table(none, 0.0)).count("\n") == 1


def test_wrong_folders_and_variants_are_one_error(tmp_path: Path) -> None:
    done = invoke("sacct", str(tmp_path))
    assert done.returncode == 2
    assert "no results folder" in done.stderr
    (tmp_path / "manifest.json").write_text('{"variants": ["a"]}', encoding="utf-8")
    (tmp_path / "jobs.parquet").write_bytes(b"PAR1")
    done = invoke("sacct", str(tmp_path))
    assert done.returncode == 2
    assert "damaged results folder" in done.stderr
