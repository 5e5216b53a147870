"""What the readers make of small traces of our own: nulls, order, ties, and the way through files and back."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from simulator.workload.traces import TABLE_COLUMNS, read_trace, to_processors, write_table

SWF = """\
; Version: 2.2
; Note: made for this test
; Note: no real log
; Information: first line
;              http://continued.example
3 10 -1 50 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1
2 10 4 100 4 -1 -1 2 80 -1 0 7 -1 -1 -1 -1 -1 -1

1 0 0 0 4 -1 -1 -1 -1 -1 5 8 -1 -1 -1 -1 -1 -1
4 12 0 9 64 -1 -1 0 20 -1 1 8 -1 -1 -1 -1 -1 -1
"""

PHILLY = """\
timestamp,duration,num_gpus,gpu_time,cluster
2017-10-09 07:01:55,66.0,1,66.0,b
2017-10-09 07:00:00,5.0,8,40.0,a
2017-10-09 07:01:55,66.0,1,66.0,b
2017-10-09 07:00:30,0.5,0,0.0,
"""


@pytest.fixture
def swf(tmp_path: Path) -> pd.DataFrame:
    path = tmp_path / "log.swf"
    path.write_bytes(gzip.compress(SWF.encode()))  # gzip is told by content, not by name
    return read_trace("swf", path)[0]


def test_swf_fields_nulls_and_order(swf: pd.DataFrame) -> None:
    assert list(swf.columns) == [column.name for column in TABLE_COLUMNS]
    assert swf["job"].tolist() == ["1", "2", "3", "4"]  # by submission, then job number
    nulls = swf.isna()
    assert nulls["nodes"].all()
    assert nulls[["user", "start_s", "end_s", "requested_s", "gpus", "state"]].all(axis=1).tolist() == [
        False,
        False,
        True,
        False,
    ]
    row = swf.to_dict("records")[1]
    assert (row["user"], row["gpus"], row["state"]) == ("7", 2, "failed")
    assert (row["submit_s"], row["start_s"], row["end_s"]) == (10.0, 14.0, 114.0)
    assert (row["run_s"], row["requested_s"]) == (100.0, 80.0)
    assert swf["gpus"].tolist()[0::3] == [4, 64]  # field 5 where field 8 is missing or 0
    assert swf["state"].tolist()[0::3] == ["cancelled", "completed"]


def test_swf_header_leaves_out_prose_and_joins_repeated_names(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("\ufeff" + SWF.replace("\n", "\r\n"), encoding="utf-8")
    table, report = read_trace("swf", path)
    assert len(table) == 4
    assert report.header == {
        "Version": "2.2",
        "Note": "made for this test; no real log",
        "Information": "first line",
    }


def test_cleaning_rules_one_by_one(swf: pd.DataFrame) -> None:
    jobs, report = to_processors(swf, processors=32)
    assert jobs.to_dict("records") == [
        {"job": "2", "submit_s": 10.0, "run_s": 80.0, "processors": 2, "requested_s": 80.0, "row": 1}
    ]
    assert (report.jobs_read, report.jobs_kept) == (4, 1)
    assert (report.without_run_time, report.without_processors, report.larger_than_machine) == (1, 1, 1)
    assert (report.cut_to_request, report.estimated_by_run_time) == (1, 0)
    jobs, report = to_processors(swf, estimates="exact")
    assert jobs["requested_s"].tolist() == jobs["run_s"].tolist() == [80.0, 9.0]
    assert report.larger_than_machine == 0


def test_philly_is_sorted_stably_and_counted_from_its_first_submission(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(PHILLY)
    table, report = read_trace("philly", path)
    assert table["job"].tolist() == ["2", "4", "1", "3"]  # row numbers; equal times and equal rows keep their order
    assert table["submit_s"].tolist() == [0.0, 30.0, 115.0, 115.0]
    assert table["gpus"].tolist() == [8, 0, 1, 1]
    assert table["partition"].isna().tolist() == [False, True, False, False]
    assert table["user"].isna().all()
    assert report.header == {"origin": "2017-10-09 07:00:00"}
    jobs, cleaning = to_processors(table)
    assert (len(jobs), cleaning.without_processors, cleaning.estimated_by_run_time) == (3, 1, 3)


@pytest.mark.parametrize("name", ["jobs.parquet", "jobs.csv"])
def test_a_table_comes_back_from_a_file_as_it_was(swf: pd.DataFrame, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_table(swf, str(path))
    back, report = read_trace("table", path)
    pd.testing.assert_frame_equal(back, swf)
    assert (report.rows_kept, report.dropped) == (4, ())
    assert [entry.name for entry in tmp_path.iterdir() if "partial" in entry.name] == []


def test_a_hand_written_table_needs_four_columns(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("gpus,job,run_s,submit_s\n8,a,3600,0\n16,b,7200,60\n")
    table, _ = read_trace("table", path)
    assert table["gpus"].tolist() == [8, 16]
    assert table["requested_s"].isna().all()


def test_a_parquet_table_names_the_row(tmp_path: Path) -> None:
    from simulator.errors import InputError

    path = tmp_path / "jobs.parquet"
    pd.DataFrame({"job": ["a", "b"], "submit_s": [0.0, -5.0], "run_s": [1, 1], "gpus": [1, 1]}).to_parquet(path)
    with pytest.raises(InputError) as error:
        read_trace("table", path)
    assert (error.value.line, error.value.key, error.value.found) == (2, "submit_s", "'-5.0'")
