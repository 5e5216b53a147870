"""Broken logs of Slurm, Helios, Acme and Alibaba, each with the one line the user gets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from trace_samples import (
    ACME_HEADER,
    ACME_ROW,
    ALIBABA_HEADER,
    ALIBABA_ROW,
    HELIOS_HEADER,
    HELIOS_ROW,
    SLURM_HEADER,
    SLURM_ROW,
)

from simulator.errors import InputError
from simulator.workload.traces import read_trace

_ONE = "(1 of 1 rows broken, at most 1.00% may be)"
_S = "seconds, 0 to 1e12"
_SLURM = "JobID, Submit, State, Elapsed or ElapsedRaw, AllocTRES or ReqTRES"
_STATES = "COMPLETED, FAILED, CANCELLED, … (see docs/traces.md)"
_COUNT = "a whole number, 0 to 1e9"
HEADS = {
    "slurm": (SLURM_HEADER, SLURM_ROW, "|"),
    "helios": (HELIOS_HEADER, HELIOS_ROW, ","),
    "acme": (ACME_HEADER, ACME_ROW, ","),
    "alibaba": (ALIBABA_HEADER, ALIBABA_ROW, ","),
}


@dataclass(frozen=True)
class Case:
    """One column of the good row replaced, and the message: after the column's name, and after the share broken."""

    format: str
    column: str
    value: str
    problem: str
    found: str
    allowed: str


CASES = [
    Case("slurm", "JobID", "job7", "not a job ID", "'job7'", "123, 123_4 (array) or 123+0 (heterogeneous)"),
    Case("slurm", "JobID", "", "not a job ID", "''", "123, 123_4 (array) or 123+0 (heterogeneous)"),
    Case(
        "slurm",
        "Submit",
        "yesterday",
        "not a time",
        "'yesterday'",
        "a time like '2024-05-01T12:00:00', or seconds since 1970",
    ),
    Case(
        "slurm",
        "Submit",
        "Unknown",
        "not a time",
        "'Unknown'",
        "a time like '2024-05-01T12:00:00', or seconds since 1970",
    ),
    Case(
        "slurm",
        "End",
        "2024-05-01T08:00:30",
        "end before start (a clock set back? dump with SLURM_TIME_FORMAT=%s)",
        "'2024-05-01T08:00:30'",
        "Start ('2024-05-01T08:01:00') or later",
    ),
    Case("slurm", "Elapsed", "90", "not a duration", "'90'", "[DD-[HH:]]MM:SS, such as 1-12:00:00"),
    Case("slurm", "Elapsed", "INVALID", "not a duration", "'INVALID'", "[DD-[HH:]]MM:SS, such as 1-12:00:00"),
    Case("slurm", "Timelimit", "2 days", "not a duration", "'2 days'", "[DD-[HH:]]MM:SS, such as 1-12:00:00"),
    Case("slurm", "AllocTRES", "gpu:8", "not a list of resources", "'gpu:8'", "cpu=64,gres/gpu=8,node=1, for example"),
    Case("slurm", "AllocTRES", "gres/gpu=many", "not a number", "'many'", _COUNT),
    Case("slurm", "NNodes", "1K", "not a number", "'1K'", _COUNT),
    Case("slurm", "State", "DONE", "unknown state", "'DONE'", _STATES),
    Case("slurm", "State", "COMPLETD", "unknown state", "'COMPLETD'", f"{_STATES}; did you mean COMPLETED?"),
    Case("slurm", "State", "COMPLET+", "state cut too short", "'COMPLET+'", "one word: COMPLETED or COMPLETING"),
    Case("slurm", "JobID", "123+0#2", "not a job ID", "'123+0#2'", "123, 123_4 (array) or 123+0 (heterogeneous)"),
    Case("slurm", "State", "", "unknown state", "''", _STATES),
    Case("helios", "job_id", "", "missing value", "nothing", "a value in every row"),
    Case("helios", "submit_time", "", "not a time", "''", "a time like '2017-10-09 07:01:55'"),
    Case(
        "helios",
        "submit_time",
        "2020-06-09 18:41:01+08:00",
        "time with a zone",
        "'2020-06-09 18:41:01+08:00'",
        "a time like '2017-10-09 07:01:55'",
    ),
    Case("helios", "submit_time", "20200609", "not a time", "'20200609'", "a time like '2017-10-09 07:01:55'"),
    Case(
        "helios",
        "end_time",
        "2020-06-09 18:42:00",
        "end before start",
        "'2020-06-09 18:42:00'",
        "start_time or later",
    ),
    Case("helios", "duration", "-5", "negative time", "'-5'", _S),
    Case("helios", "gpu_num", "0.5", "not a whole number", "'0.5'", _COUNT),
    Case("helios", "state", "ok", "unknown state", "'ok'", _STATES),
    Case(
        "acme",
        "submit_time",
        "2023-03-01 00:18:22",
        "time without a zone",
        "'2023-03-01 00:18:22'",
        "a time like '2023-03-01 00:18:22+08:00'",
    ),
    Case("acme", "cpu_num", "-1", "negative number", "'-1'", "a number, 0 to 1e9"),
    Case("acme", "node_num", "1e12", "number out of range", "'1e12'", _COUNT),
    Case("alibaba", "gpu_milli", "0", "no share of one GPU", "'0'", "1 to 1000"),
    Case("alibaba", "gpu_milli", "", "no share of one GPU", "''", "1 to 1000"),
    Case("alibaba", "num_gpu", "2", "a share of several GPUs", "'460'", "1000"),
    Case("alibaba", "deletion_time", "427062", "end before start", "'427062'", "scheduled_time or later"),
    Case("alibaba", "pod_phase", "Lost", "unknown phase", "'Lost'", "Succeeded, Failed, Running, Pending"),
    Case("alibaba", "creation_time", "", "not a number", "''", _S),
]


def with_value(case: Case) -> str:
    header, row, delimiter = HEADS[case.format]
    values = dict(zip(header.split(delimiter), row.split(delimiter), strict=True)) | {case.column: case.value}
    return f"{header}\n{delimiter.join(values.values())}\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format}-{case.column}-{case.value}")
def test_a_broken_value_is_one_clear_line(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trace").write_text(with_value(case))
    with pytest.raises(InputError) as error:
        read_trace(case.format, "trace")
    column = "gpu_milli" if case.problem == "a share of several GPUs" else case.column
    expected = f"trace:2: {column}: {case.problem} {_ONE}; found {case.found}; allowed: {case.allowed}"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("format", "header", "message"),
    [
        (
            "slurm",
            "JobID|Submit|State|AllocTRES",
            f"trace:1: Elapsed: missing column; found 'JobID|Submit|State|AllocTRES'; allowed: {_SLURM}",
        ),
        (
            "slurm",
            "JobID|Submit|State|Elapsed|AllocGRES",
            "trace:1: AllocTRES: missing column; found 'JobID|Submit|State|Elapsed|AllocGRES'; allowed: "
            f"{_SLURM} (is 'AllocGRES' this column?)",
        ),
        (
            "slurm",
            SLURM_ROW,
            f"trace:1: JobID: missing column; found '100|ada|nlp|gpu|2024-05-01T08:00:00|202…'; allowed: {_SLURM}",
        ),
        (
            "slurm",
            "JobID,Submit,State,Elapsed,AllocTRES",
            f"trace:1: JobID: missing column; found 'JobID,Submit,State,Elapsed,AllocTRES'; allowed: {_SLURM}",
        ),
        (
            "helios",
            HELIOS_HEADER.replace("gpu_num", "num_gpu"),
            "trace:1: gpu_num: missing column; found 'job_id,user,vc,num_gpu,cpu_num,node_num…'; allowed: job_id, user,"
            " gpu_num, cpu_num, state, submit_time, start_time, end_time, duration, vc",
        ),
        (
            "acme",
            HELIOS_HEADER.replace("node_num", "nodes"),
            "trace:1: node_num: missing column; found 'job_id,user,vc,gpu_num,cpu_num,nodes,st…'; allowed: job_id,"
            " user, gpu_num, cpu_num, state, submit_time, start_time, end_time, duration, node_num"
            " (is 'nodes' this column?)",
        ),
        (
            "alibaba",
            ALIBABA_HEADER + ",name",
            "trace:1: name: column appears twice; found 'name,cpu_milli,memory_mib,num_gpu,gpu_m…'; allowed: each"
            " column once",
        ),
    ],
)
def test_a_header_of_other_columns(
    format: str, header: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trace").write_text(header + "\n")
    with pytest.raises(InputError) as error:
        read_trace(format, "trace")
    assert str(error.value) == message


@pytest.mark.parametrize("format", ["helios", "acme", "alibaba"])
def test_a_job_that_appears_twice(format: str, tmp_path: Path) -> None:
    header, row, _ = HEADS[format]
    path = tmp_path / "trace"
    path.write_text(f"{header}\n{row}\n{row}\n")
    with pytest.raises(InputError) as error:
        read_trace(format, path)
    assert (error.value.line, error.value.allowed) == (3, "one row per job; first in line 2")
    table, report = read_trace(format, path, broken_fraction_allowed=0.5)
    assert len(table) == 1
    assert [row.line for row in report.dropped] == [3]


def test_a_value_that_parquet_lacks(tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "trace"
    frame = pd.DataFrame({"job": ["a", "b"], "submit_s": [0, 1], "run_s": [1.0, 2.0], "gpus": [True, True]})
    frame.to_parquet(path)
    with pytest.raises(InputError) as error:
        read_trace("table", path)
    assert (error.value.line, error.value.key, error.value.found) == (1, "gpus", "'True'")
    frame.assign(gpus=1, submit_s=[0, None]).to_parquet(path)
    with pytest.raises(InputError) as error:
        read_trace("table", path)
    assert (error.value.line, error.value.key, error.value.found) == (2, "submit_s", "nothing")


def test_slurm_lines_with_a_bar_in_a_value(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(f"{SLURM_HEADER}\n{SLURM_ROW}\n{SLURM_ROW.replace('100|', '101|').replace('nlp', 'a|b')}\n")
    table, report = read_trace("slurm", path, broken_fraction_allowed=0.5)
    assert table["job"].tolist() == ["100"]
    assert [(row.line, row.key, row.found) for row in report.dropped] == [(3, "JobID", "16 columns")]
