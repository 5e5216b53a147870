"""What every reader of traces promises, and what each makes of the peculiarities of its format."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trace_samples import (
    ACME_HEADER,
    ACME_ROW,
    ALIBABA_HEADER,
    HELIOS_HEADER,
    HELIOS_ROW,
    SAMPLES,
    SLURM_HEADER,
    SLURM_ROW,
)

from simulator.errors import InputError
from simulator.workload.traces import (
    FORMATS,
    STATES,
    TABLE_COLUMNS,
    ImportReport,
    origin_of,
    read_trace,
    to_processors,
    write_table,
)
from simulator.workload.traces.states import SLURM_STATES

DTYPES = {"text": "string", "count": "Int64"}
each_format = pytest.mark.parametrize("format", FORMATS)

FIRST: dict[str, dict[str, Any]] = {
    "swf": {"job": "1", "user": "7", "start_s": 5, "run_s": 100, "requested_s": 200, "gpus": 8, "account": "3"}
    | {"partition": "4", "state": "completed"},
    "slurm": {"job": "100", "user": "ada", "start_s": 60, "end_s": 90123, "run_s": 90063, "requested_s": 172800}
    | {"gpus": 8, "nodes": 1, "state": "completed", "account": "nlp", "partition": "gpu", "cpus": 64},
    "helios": {"job": "7", "user": "u1", "start_s": 60, "end_s": 3660, "run_s": 3600, "gpus": 8, "nodes": 1}
    | {"state": "completed", "partition": "vcA", "cpus": 32},
    "philly": {"job": "1", "run_s": 5, "gpus": 8, "partition": "a"},
    "acme": {"job": "5", "user": "u9", "start_s": 32, "end_s": 152, "run_s": 120, "gpus": 16, "nodes": 2}
    | {"state": "failed", "cpus": 256},
    "alibaba": {"job": "pod-0", "submit_s": 427061, "start_s": 427063, "end_s": 427161, "run_s": 98, "gpus": 1}
    | {"gpu_share": 0.46, "state": "failed", "cpus": 6.5},
    "table": {"job": "a", "user": "ada", "start_s": 5, "end_s": 105, "run_s": 100, "requested_s": 200, "gpus": 1}
    | {"nodes": 1, "state": "completed", "account": "nlp", "partition": "gpu", "cpus": 6.5, "gpu_share": 0.46},
}
ORIGINS = {
    "swf": "2024-05-01 08:00:00+00:00",
    "slurm": "2024-05-01 08:00:00",
    "helios": "2020-06-09 18:41:01",
    "philly": "2017-10-09 07:00:00",
    "acme": "2023-02-28 16:18:22+00:00",
}


def read(format: str, text: str | bytes, folder: Path, allowed: float = 0.0) -> tuple[pd.DataFrame, ImportReport]:
    path = folder / "trace"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_trace(format, path, allowed)


def slurm(folder: Path, *rows: str, allowed: float = 0.0) -> tuple[pd.DataFrame, ImportReport]:
    return read("slurm", "\n".join([SLURM_HEADER, *rows, ""]), folder, allowed)


def slurm_row(**values: str) -> str:
    row = dict(zip(SLURM_HEADER.split("|"), SLURM_ROW.split("|"), strict=True))
    return "|".join((row | values).values())


# ---------------------------------------------------------------------------------------------- what all promise


@each_format
def test_every_reader_returns_the_same_columns_and_types(format: str, tmp_path: Path) -> None:
    table, report = read(format, SAMPLES[format], tmp_path)
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
        column.name: DTYPES.get(column.kind, "float64") for column in TABLE_COLUMNS
    }
    assert len(table) == 2
    assert table["job"].is_unique
    assert table[["job", "submit_s"]].notna().all(axis=None)
    assert set(table["state"].dropna()) <= set(STATES)
    assert report.rows_kept == 2
    assert report.rows_read == 2 + len(report.dropped)


@each_format
def test_every_reader_knows_its_sample(format: str, tmp_path: Path) -> None:
    table, report = read(format, SAMPLES[format], tmp_path)
    first = table.iloc[0].dropna().to_dict()
    derived = {"submit_s", "start_s", "end_s"}
    assert first.items() >= FIRST[format].items()
    assert set(first) - derived == set(FIRST[format]) - derived  # everything else is null
    assert table["submit_s"].iloc[1] - table["submit_s"].iloc[0] == (30 if format == "philly" else 10)
    origin = origin_of(report.header)
    assert (origin and origin.isoformat(sep=" ")) == ORIGINS.get(format)


@each_format
def test_gzip_windows_line_ends_and_a_byte_order_mark_change_nothing(format: str, tmp_path: Path) -> None:
    expected, _ = read(format, SAMPLES[format], tmp_path)
    written = ("\ufeff" + SAMPLES[format].replace("\n", "\r\n") + "\r\n").encode()
    found, _ = read(format, gzip.compress(written), tmp_path)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "swf"])
def test_parquet_with_the_same_columns_is_the_same_trace(format: str, tmp_path: Path) -> None:
    expected, _ = read(format, SAMPLES[format], tmp_path)
    raw = pd.read_csv(io.StringIO(SAMPLES[format]), sep="|" if format == "slurm" else ",", keep_default_na=False)
    typed = pd.read_csv(io.StringIO(SAMPLES[format]), sep="|" if format == "slurm" else ",")
    for frame in (raw.astype(str), typed):
        frame.to_parquet(tmp_path / "trace.parquet")
        found, _ = read_trace(format, tmp_path / "trace.parquet")
        pd.testing.assert_frame_equal(found, expected)


@each_format
def test_a_broken_row_is_reported_with_its_line_and_changes_no_other(format: str, tmp_path: Path) -> None:
    """A broken row also sends its whole block through the value-by-value readers, which must read the same."""
    lines = SAMPLES[format].splitlines()
    expected, sound = read(format, SAMPLES[format], tmp_path)
    found, report = read(format, "\n".join([*lines[:-1], "", "x", *lines[-1:], "x|,", ""]), tmp_path, 0.5)
    if format == "philly":  # jobs are called by their row
        found["job"] = found["job"].replace("3", "2")
    pd.testing.assert_frame_equal(found, expected)
    assert report.rows_read == sound.rows_read + 2
    assert {row.line for row in report.dropped} - {row.line for row in sound.dropped} == {
        len(lines) + 1,
        len(lines) + 3,
    }


@each_format
def test_a_table_keeps_its_values_and_parquet_its_origin(format: str, tmp_path: Path) -> None:
    table, report = read(format, SAMPLES[format], tmp_path)
    for name in ("jobs.csv", "jobs.parquet"):
        write_table(table, str(tmp_path / name), origin_of(report.header))
        back, told = read_trace("table", tmp_path / name)
        pd.testing.assert_frame_equal(back, table)
        assert origin_of(told.header) == (origin_of(report.header) if name == "jobs.parquet" else None)


@each_format
def test_blocks_are_cut_anywhere(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, report = read(format, SAMPLES[format], tmp_path)
    for size in (1, 7, 64):
        monkeypatch.setattr("simulator.workload.traces.files.BLOCK_BYTES", size)
        found, again = read(format, SAMPLES[format], tmp_path)
        pd.testing.assert_frame_equal(found, expected)
        assert again.dropped == report.dropped


# ------------------------------------------------------------------------------------------------ value by value

NUMBERS = ["0", "1", "007", "+5", "1.0", "1e3", ".5", "2.", "3600.25", "1e-3", "999999999"]
TIMES = ["2024-05-01T00:00:00", "2024-05-01 00:00", "2024-05-01", "2024-02-29T23:59:59.5", "1999-12-31 23:59:59"]


@pytest.mark.parametrize("text", [*NUMBERS, "-0", "1e12"])
def test_a_plain_number_means_the_same_one_by_one(text: str, tmp_path: Path) -> None:
    head = "job,submit_s,run_s,gpus\n"
    alone, _ = read("table", f"{head}a,0,{text},1\n", tmp_path)
    beside, _ = read("table", f"{head}a,0,{text},1\nb,0,oops,1\n", tmp_path, 0.5)
    assert alone["run_s"].tolist() == beside["run_s"].tolist() == [float(text)]


@pytest.mark.parametrize("text", TIMES)
def test_a_plain_time_means_the_same_one_by_one(text: str, tmp_path: Path) -> None:
    rows = [slurm_row(JobID="1", Submit=text, Start="Unknown", End="Unknown"), slurm_row(JobID="2")]
    alone, _ = slurm(tmp_path, *rows)
    beside, _ = slurm(tmp_path, *rows, slurm_row(JobID="3", Submit="soon"), allowed=0.5)
    assert alone["submit_s"].tolist() == beside["submit_s"].tolist()
    assert abs(alone["submit_s"].iloc[1]) > 0


# ------------------------------------------------------------------------------------------------------- Slurm


def test_slurm_nodes_and_cpus_are_taken_from_resources_where_no_column_has_them(tmp_path: Path) -> None:
    header = "JobID|Submit|Elapsed|State|AllocTRES|ReqTRES"
    ran = "1|2024-05-01T08:00:00|01:00:00|COMPLETED|cpu=64,gres/gpu=16,node=2|"
    waits = "2|2024-05-01T08:00:00|00:00|PENDING||node=3"
    jobs, _ = read("slurm", "\n".join([header, ran, waits, ""]), tmp_path, 0.0)
    assert jobs["nodes"].tolist() == [2, 3]
    assert jobs["cpus"].isna().tolist() == [False, True]
    assert jobs["cpus"][0] == 64


def test_slurm_durations_limits_and_what_stands_for_none(tmp_path: Path) -> None:
    elapsed = {"05:10": 310, "01:02:03": 3723, "1-00:00:01": 86401, "10-23:59:59": 950399, "00:00:00": 0}
    limits = {"UNLIMITED": None, "Partition_Limit": None, "": None, "30:00": 1800, "7-00:00:00": 604800}
    rows = [
        slurm_row(JobID=str(number), Elapsed=run, Timelimit=limit, End="Unknown")
        for number, (run, limit) in enumerate(zip(elapsed, limits, strict=True))
    ]
    table, _ = slurm(tmp_path, *rows)
    assert table["run_s"].tolist() == list(elapsed.values())
    assert table["requested_s"].replace({np.nan: None}).tolist() == list(limits.values())


def test_slurm_counts_gpus_of_what_was_allocated_else_requested(tmp_path: Path) -> None:
    lists = [
        ("cpu=4,gres/gpu=4", "cpu=4,gres/gpu=8,gres/gpu:a100=8", 8),
        ("cpu=4,gres/gpu=4", "", 4),
        ("cpu=4,gres/gpu=4", "billing=1,cpu=4,node=1", 0),
        ("", "gres/gpu:a100=2,gres/gpu:v100=1,gres/gpumem=40G", 3),
        ("", "", None),
    ]
    rows = [slurm_row(JobID=str(job), ReqTRES=want, AllocTRES=got) for job, (want, got, _) in enumerate(lists)]
    table, _ = slurm(tmp_path, *rows)
    assert table["gpus"].astype(object).replace({pd.NA: None}).tolist() == [count for *_, count in lists]


def test_slurm_leaves_out_steps_and_pending_ranges_but_not_array_tasks(tmp_path: Path) -> None:
    names = ["7.batch", "7.extern", "7.0", "8_4", "8_4.batch", "8_[5-9%2]", "8_[11,13-20]", "JobID", "8_[1-9,...]"]
    table, report = slurm(tmp_path, *(slurm_row(JobID=name) for name in names))
    assert table["job"].tolist() == ["8_4"]
    assert {reason: lines.tolist() for reason, lines in report.reasons().items()} == {
        "JobID: step of a job with a line of its own": [2, 3, 4, 6],
        "JobID: range of pending array tasks, no job yet": [7, 8, 10],
        "JobID: header line once more": [9],
    }


def test_a_requeued_job_is_one_job_with_its_first_submission_and_last_attempt(tmp_path: Path) -> None:
    day = "2024-05-01T"
    table, report = slurm(
        tmp_path,
        slurm_row(JobID="1", Submit=day + "08:00:00", Elapsed="30:00", State="NODE_FAIL", End=day + "08:31:00"),
        slurm_row(JobID="2", Submit=day + "08:00:05"),
        slurm_row(JobID="1", Submit=day + "08:31:00", Start=day + "08:40:00", State="PREEMPTED", End=day + "08:50:00"),
        slurm_row(JobID="1", Submit=day + "08:50:00", Start=day + "09:00:00", Elapsed="20:00", End=day + "09:20:00"),
        slurm_row(JobID="2", Submit=day + "08:00:05", State="FAILED"),
    )
    first, second = table.to_dict("records")
    assert (first["job"], first["submit_s"], first["start_s"], first["run_s"]) == ("1", 0, 3600, 1200)
    assert first["state"] == "completed"
    assert (second["job"], second["state"]) == ("2", "failed")  # listed twice, by dumps that overlap
    assert {reason: lines.tolist() for reason, lines in report.reasons().items()} == {
        "JobID: earlier attempt of a requeued job": [2, 4],
        "JobID: attempt listed once more": [3],
    }
    assert report.notes[0] == "1 × requeued job; earlier attempts: NODE_FAIL 1, PREEMPTED 1"


DAYS = {"first": "2024-05-01T", "next": "2024-05-03T", "years": "2026-05-01T"}


def attempt(day: str, hour: int, state: str, **values: str) -> str:
    """Return a row of JobID 1 that was submitted at an hour, waited ten minutes and ran for half an hour."""
    start, end = f"{DAYS[day]}{hour:02}:10:00", f"{DAYS[day]}{hour:02}:40:00"
    submit = {"Submit": f"{DAYS[day]}{hour:02}:00:00", "Start": start, "End": end, "Elapsed": "30:00", "State": state}
    return slurm_row(**{"JobID": "1", **submit, **values})


@pytest.mark.parametrize(
    ("rows", "waits", "names"),
    [
        ([attempt("first", 8, "COMPLETED"), attempt("years", 8, "COMPLETED")], [600, 600], ["1", "1#2"]),
        ([attempt("years", 8, "COMPLETED"), attempt("first", 8, "COMPLETED")], [600, 600], ["1", "1#2"]),
        ([attempt("first", 8, "COMPLETED"), attempt("first", 9, "COMPLETED")], [600, 600], ["1", "1#2"]),
        ([attempt("first", 8, "FAILED"), attempt("years", 8, "COMPLETED")], [600, 600], ["1", "1#2"]),
        ([attempt("first", 8, "TIMEOUT"), attempt("next", 8, "FAILED")], [600, 600], ["1", "1#2"]),
        ([attempt("first", 8, "FAILED", User="eve"), attempt("first", 9, "FAILED")], [600, 600], ["1", "1#2"]),
        ([attempt("first", 8, "NODE_FAIL"), attempt("first", 9, "COMPLETED")], [4200], ["1"]),
        ([attempt("first", 8, "FAILED"), attempt("first", 23, "COMPLETED")], [54600], ["1"]),
        ([attempt("first", 8, "RUNNING", End="Unknown"), attempt("next", 8, "COMPLETED")], [173400], ["1"]),
        (
            [attempt(day, hour, "CANCELLED") for day in DAYS for hour in (8, 9)],
            [4200, 4200, 4200],
            ["1", "1#2", "1#3"],
        ),
        ([attempt(day, 8, "COMPLETED", JobID="1_4") for day in DAYS], [600] * 3, ["1_4", "1_4#2", "1_4#3"]),
        (
            [attempt(day, 8, "COMPLETED", JobID=f"1+{part}") for day in ("first", "years") for part in (0, 1)],
            [600, 600],
            ["1", "1#2"],
        ),
        ([attempt("first", 8, "FAILED"), attempt("years", 8, "FAILED", JobID="1+0")], [600, 600], ["1", "1#2"]),
    ],
)
def test_a_jobid_that_was_given_again_is_another_job(
    rows: list[str], waits: list[float], names: list[str], tmp_path: Path
) -> None:
    table, report = slurm(tmp_path, *rows)
    assert table["job"].tolist() == names
    assert (table["start_s"] - table["submit_s"]).tolist() == waits
    given = len(names) - 1
    told = f"{given} × job whose JobID an earlier job had had; named with #2, #3, …"
    assert (told in report.notes) == (given > 0)
    again, _ = slurm(tmp_path, *(attempt("first", 8, "COMPLETED", JobID=name) for name in names))
    assert again["job"].tolist() == names  # such names are read as well


def test_components_of_a_heterogeneous_job_are_one_job(tmp_path: Path) -> None:
    table, report = slurm(
        tmp_path,
        slurm_row(JobID="9+1", Partition="cpu", AllocTRES="cpu=8", NNodes="2", NCPUS="8", State="FAILED"),
        slurm_row(JobID="9+0"),
        slurm_row(JobID="10+0"),
    )
    job = table.set_index("job").loc["9"]
    assert (job["gpus"], job["nodes"], job["cpus"], job["partition"], job["state"]) == (8, 3, 72, "gpu", "failed")
    assert set(table["job"]) == {"9", "10"}
    assert [(row.line, row.found) for row in report.dropped] == [(2, "9+1")]
    assert report.notes[0] == "2 × heterogeneous job; components: 3"


def test_suspended_running_and_pending_jobs_of_slurm(tmp_path: Path) -> None:
    table, report = slurm(
        tmp_path,
        slurm_row(JobID="1", Start="2024-05-01T08:00:00", End="2024-05-01T10:00:00", Elapsed="01:00:00"),
        slurm_row(JobID="2", End="Unknown", Elapsed="02:00", State="RUNNING"),
        slurm_row(JobID="3", Start="2024-06-01T08:00:00", End="Unknown", Elapsed="00:00:00", State="PENDING"),
        slurm_row(JobID="4", Start="Unknown", Elapsed="00:00:00", State="CANCELLED by 0"),
    )
    assert table["run_s"].replace({np.nan: None}).tolist() == [3600, 120, None, None]
    assert table["start_s"].isna().tolist() == [False, False, True, True]
    assert table["state"].astype(object).replace({np.nan: None}).tolist() == ["completed", None, None, "cancelled"]
    assert report.notes == (
        "2 × job that had not ended; run time so far",
        "1 × Elapsed shorter than End - Start (suspended); together 1.0 h",
    )


def test_slurm_in_seconds_since_1970_and_in_raw_columns(tmp_path: Path) -> None:
    text = "State|JobID|Submit|Start|ElapsedRaw|TimelimitRaw|ReqTRES|AllocNodes\n"
    table, report = read("slurm", text + "COMPLETED|1|1714550400|1714550460|90|60|gres/gpu=4|2\n", tmp_path)
    row = table.iloc[0]
    assert (row["submit_s"], row["start_s"], row["run_s"], row["requested_s"]) == (0, 60, 90, 3600)
    assert (row["gpus"], row["nodes"]) == (4, 2)
    assert report.header["origin"] == "2024-05-01 08:00:00+00:00"


@pytest.mark.parametrize("word", SLURM_STATES)
def test_each_word_of_slurm_maps_to_one_state_or_to_none(word: str, tmp_path: Path) -> None:
    table, _ = slurm(tmp_path, slurm_row(State=word))
    state = table["state"].iloc[0]
    assert (None if pd.isna(state) else state) == SLURM_STATES[word]
    assert SLURM_STATES[word] in (*STATES, None)


@pytest.mark.parametrize(
    ("cut", "state"), [("OUT_OF_ME+", "failed"), ("CANCELLED+", "cancelled"), ("PREE+", "cancelled")]
)
def test_a_state_cut_to_its_column_is_the_one_that_begins_so(cut: str, state: str, tmp_path: Path) -> None:
    table, _ = slurm(tmp_path, slurm_row(State=cut))
    assert table["state"].tolist() == [state]


def test_a_start_before_the_submission_is_left_out_and_counted(tmp_path: Path) -> None:
    table, report = slurm(tmp_path, slurm_row(JobID="1", Start="2024-05-01T07:00:00"), slurm_row(JobID="2"))
    assert table["start_s"].isna().tolist() == [True, False]
    assert table["run_s"].tolist() == [90063, 90063]
    assert "1 × start before submission (a clock set back?); start left out, run time kept" in report.notes


def test_a_dump_without_gpus_is_told(tmp_path: Path) -> None:
    table, report = slurm(tmp_path, slurm_row(ReqTRES="cpu=64,node=1", AllocTRES="cpu=64,node=1"))
    assert report.notes == ("no job has GPUs: AllocTRES and ReqTRES name no gres/gpu",)
    with pytest.raises(
        InputError, match="no job is left after cleaning; found 1 job, 1 with no GPUs; allowed: at least"
    ):
        to_processors(table)


# ------------------------------------------------------------------------------------------------ other formats


@pytest.mark.parametrize(
    ("state", "start", "end", "run_s"),
    [
        ("CANCELLED", "", "2023-03-01 01:18:22+08:00", None),
        ("CANCELLED", "", "", None),
        ("NODE_FAIL", "", "2023-03-01 01:18:22+08:00", None),
        ("COMPLETED", "", "2023-03-01 02:18:22+08:00", 3600.0),
        ("COMPLETED", "", "", 3600.0),
        ("CANCELLED", "2023-03-01 01:08:22+08:00", "2023-03-01 01:18:22+08:00", 600.0),
    ],
)
def test_a_job_that_never_started_has_no_run_time(
    state: str, start: str, end: str, run_s: float | None, tmp_path: Path
) -> None:
    rows = {
        "acme": f"{ACME_HEADER}\n5,u9,2,16,256,Other,{state},2023-03-01 00:18:22+08:00,{start},{end},3600,0,0\n",
        "helios": f"{HELIOS_HEADER}\n7,u1,vcA,8,32,1,{state},2023-03-01 00:18:22,{start[:19]},{end[:19]},3600,0\n",
    }
    for format, text in rows.items():
        table, report = read(format, text, tmp_path)
        assert table["run_s"].replace({np.nan: None}).tolist() == [run_s]
        told = "1 × never started; its duration counts from the submission and is no run time"
        assert (told in report.notes) == (run_s is None)


def test_kalos_counts_its_duration_from_the_submission(tmp_path: Path) -> None:
    row = ACME_ROW.replace(",120,32,", ",152,32,")
    table, report = read("acme", f"{ACME_HEADER}\n{row}\n", tmp_path)
    assert table["run_s"].tolist() == [120.0]
    assert report.notes == ("1 × duration is not end_time - start_time; the difference of the times was taken",)


def test_helios_without_times_has_its_duration(tmp_path: Path) -> None:
    row = HELIOS_ROW.replace("2020-06-09 18:42:01,2020-06-09 19:42:01", "None,None")
    table, _ = read("helios", f"{HELIOS_HEADER}\n{row}\n", tmp_path)
    assert table[["start_s", "run_s"]].replace({np.nan: None}).iloc[0].tolist() == [None, 3600.0]


def philly_job(name: str, status: str, *attempts: tuple[str | None, str | None, list[int]]) -> dict[str, Any]:
    parts = [
        {"start_time": a, "end_time": b, "detail": [{"ip": "m1", "gpus": ["g"] * n} for n in gpus]}
        for a, b, gpus in attempts
    ]
    job = {"jobid": name, "user": "u1", "vc": "v1", "status": status, "submitted_time": "2017-10-09 07:00:00"}
    return job | {"attempts": parts}


def test_the_log_of_philly_itself(tmp_path: Path) -> None:
    first, last = ("2017-10-09 07:01:00", "2017-10-09 07:02:00"), ("2017-10-09 08:00:00", "2017-10-09 09:00:00")
    jobs = [
        philly_job("app_1", "Pass", (*first, [8, 8]), (*last, [4])),
        philly_job("app_2", "Killed"),
        philly_job("app_3", "Failed", (*first, [1]), (None, "None", [])),
    ]
    for content in (json.dumps(jobs).encode(), gzip.compress(b"\n" + json.dumps(jobs, indent=1).encode())):
        table, report = read("philly", content, tmp_path)
        assert table["job"].tolist() == ["app_1", "app_2", "app_3"]
        assert table["state"].tolist() == ["completed", "cancelled", "failed"]
        assert table[["start_s", "run_s", "gpus", "nodes"]].iloc[0].tolist() == [3600, 3600, 4, 1]
        assert table["gpus"].isna().tolist() == [False, True, False]
        assert table["run_s"].isna().tolist() == [False, True, True]
        assert (table["user"][0], table["partition"][0]) == ("u1", "v1")
        assert report.notes == ("2 × job of several attempts; earlier attempts: 2",)
        assert report.header["origin"] == "2017-10-09 07:00:00"
    wrong = [*jobs, {"jobid": "app_4"}, philly_job("app_5", "Lost")]
    found = {(row.line, row.key, row.reason) for row in read("philly", json.dumps(wrong), tmp_path, 0.5)[1].dropped}
    assert found == {(4, "jobid", "no job of this log"), (5, "status", "unknown status")}
    with pytest.raises(
        InputError, match=r"trace:2: is not JSON \(Expecting value\); allowed: a list of jobs with jobid"
    ):
        read("philly", '[{"jobid":\n', tmp_path)


def test_shares_of_gpus_whole_gpus_and_none(tmp_path: Path) -> None:
    rows = ["a,0,0,0,0,,LS,Running,0,9,1", "b,1500,0,1,1000,,LS,Succeeded,0,9,1", "c,1,0,1,250,,BE,Pending,0,9,"]
    table, _ = read("alibaba", "\n".join([ALIBABA_HEADER, *rows, ""]), tmp_path)
    assert table["gpus"].tolist() == [0, 1, 1]
    assert table["gpu_share"].replace({np.nan: None}).tolist() == [None, None, 0.25]
    assert table["cpus"].tolist() == [0.0, 1.5, 0.001]
    assert table["run_s"].replace({np.nan: None}).tolist() == [8.0, 8.0, None]
    assert table["state"].astype(object).replace({np.nan: None}).tolist() == [None, "completed", None]


def test_quoted_values_may_hold_commas_and_line_ends(tmp_path: Path) -> None:
    text = 'job,submit_s,run_s,gpus,user\n"a, the first",0,1,1,"Ada\nL."\nb,1,1,1,plain\nc,2,oops,1,x\n'
    table, report = read("table", text, tmp_path, 0.5)
    assert table["job"].tolist() == ["a, the first", "b"]
    assert table["user"].tolist() == ["Ada\nL.", "plain"]
    assert [row.line for row in report.dropped] == [5]
