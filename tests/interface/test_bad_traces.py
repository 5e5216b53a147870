"""Broken trace files, each with the one line the user gets. All files are made here."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from simulator.errors import InputError
from simulator.workload.traces import read_trace, to_processors, write_table

# job, submit, wait, run, processors, …, 8: requested processors, 9: requested time, 11: status, 12: user
GOOD_SWF = "1 0 5 100 4 -1 -1 4 200 -1 1 7 1 -1 1 -1 -1 -1\n"
PHILLY_HEADER = "timestamp,duration,num_gpus,gpu_time,cluster\n"
GOOD_PHILLY = PHILLY_HEADER + "2017-10-09 07:01:55,66.0,2,132.0,11cb48\n"
TABLE_HEADER = "job,user,submit_s,start_s,end_s,run_s,requested_s,gpus,nodes,state\n"
GOOD_TABLE = TABLE_HEADER + "a,u,0,1,11,10,20,8,1,completed\n"

_S = "seconds, 0 to 1e12"
_SWF_S = "seconds, 0 to 1e12, or -1 for missing"
_SWF_COUNT = "a whole number, 0 to 1e9, or -1 for missing"
_ONE = "1 of 1 rows broken, at most 1.00% may be"
_COLUMNS = "timestamp, duration, num_gpus, gpu_time, cluster"


@dataclass(frozen=True)
class Case:
    name: str
    format: str
    content: bytes | str
    message: str
    file: str = "trace"


def swf(field: int, value: str) -> str:
    """The good line with one field (counted from 1) replaced."""
    fields = GOOD_SWF.split()
    fields[field - 1] = value
    return " ".join(fields) + "\n"


def philly(**values: str) -> str:
    row = {
        "timestamp": "2017-10-09 07:01:55",
        "duration": "66.0",
        "num_gpus": "2",
        "gpu_time": "132.0",
        "cluster": "c",
    }
    return PHILLY_HEADER + ",".join((row | values).values()) + "\n"


def table(**values: str) -> str:
    names = TABLE_HEADER.strip().split(",")
    row = dict(zip(names, GOOD_TABLE.splitlines()[1].split(","), strict=True)) | values
    return TABLE_HEADER + ",".join(row.values()) + "\n"


CASES = [
    # --- the file itself ---
    Case("empty", "swf", "", "trace: file is empty; allowed: at least one job"),
    Case("only comments", "swf", "; MaxProcs: 4\n", "trace: no job in the file; allowed: at least one job"),
    Case("only a header", "philly", PHILLY_HEADER, "trace: no job in the file; allowed: at least one job"),
    Case("blank lines", "table", "\n\n", "trace: file is empty; allowed: a header row and at least one job"),
    Case(
        "zero bytes",
        "swf",
        b"1 0 5\0\0\n",
        "trace:1: is not a text file; found a zero byte; allowed: text, one job a line",
    ),
    Case(
        "binary",
        "philly",
        b"\x89PNG\r\n\xff",
        "trace:1: is not a text file; found byte 0x89; allowed: UTF-8 text",
    ),
    Case(
        "other encoding in a row",
        "swf",
        "; Installation: H\xf4pital\n".encode("latin-1") + "1 0 caf\xe9\n".encode("latin-1"),
        "trace:2: is not a text file; found byte 0xe9; allowed: UTF-8 text",
    ),
    Case(
        "cut-off gzip",
        "swf",
        gzip.compress(GOOD_SWF.encode() * 50)[:-9],
        "trace.gz: gzip file is cut off or damaged; allowed: a complete gzip file",
        file="trace.gz",
    ),
    Case(
        "damaged gzip",
        "philly",
        gzip.compress(b"x" * 99)[:12] + b"\xff" * 20,
        "trace.gz: gzip file is cut off or damaged; allowed: a complete gzip file",
        file="trace.gz",
    ),
    Case(
        "not gzip",
        "swf",
        GOOD_SWF,
        "trace.gz: is not a gzip file; allowed: gzip content in a file called .gz",
        file="trace.gz",
    ),
    Case(
        "endless line",
        "swf",
        "1 " * (1 << 20),
        "trace:1: line is longer than 1 MiB; allowed: a text file, one job a line",
    ),
    Case(
        "cut-off parquet",
        "table",
        b"PAR1" + b"\x15" * 40,
        "trace: parquet file is cut off or damaged; allowed: a complete parquet file",
    ),
    Case(
        "broken quotes",
        "philly",
        PHILLY_HEADER + '2017-10-09 07:01:55,"66"x,2,132.0,c\n',
        "trace:2: is not a CSV file (',' expected after '\"'); allowed: comma-separated columns",
    ),
    # --- Standard Workload Format ---
    Case(
        "too few fields everywhere",
        "swf",
        "1 0 5 100\n2 0 5 100\n",
        "trace:1: fields: wrong number of fields (2 of 2 rows broken, at most 1.00% may be);"
        " found 4 fields; allowed: 18 fields",
    ),
    Case(
        "a CSV read as SWF",
        "swf",
        GOOD_PHILLY,
        "trace:1: fields: wrong number of fields (2 of 2 rows broken, at most 1.00% may be);"
        " found 1 fields; allowed: 18 fields",
    ),
    Case(
        "text in a number",
        "swf",
        "; a comment\n" + swf(4, "fast"),
        f"trace:2: run time (field 4): not a number ({_ONE}); found 'fast'; allowed: a number",
    ),
    Case(
        "text in a field we do not use",
        "swf",
        swf(17, "none"),
        f"trace:1: preceding job (field 17): not a number ({_ONE}); found 'none'; allowed: a number",
    ),
    Case(
        "underscores in a number",
        "swf",
        swf(4, "1_000"),
        f"trace:1: run time (field 4): not a number ({_ONE}); found '1_000'; allowed: a number",
    ),
    Case(
        "submit NaN",
        "swf",
        swf(2, "nan"),
        f"trace:1: submit time (field 2): not a finite number ({_ONE}); found 'nan'; allowed: a number",
    ),
    Case(
        "infinite run time",
        "swf",
        swf(4, "inf"),
        f"trace:1: run time (field 4): not a finite number ({_ONE}); found 'inf'; allowed: a number",
    ),
    Case(
        "submit missing",
        "swf",
        swf(2, "-1"),
        f"trace:1: submit time (field 2): negative time ({_ONE}); found '-1'; allowed: {_S}",
    ),
    Case(
        "negative run time in the second of two rows",
        "swf",
        GOOD_SWF + swf(4, "-100").replace("1", "2", 1),
        "trace:2: run time (field 4): negative time (1 of 2 rows broken, at most 1.00% may be);"
        f" found '-100'; allowed: {_SWF_S}",
    ),
    Case(
        "huge run time",
        "swf",
        swf(4, "1e300"),
        f"trace:1: run time (field 4): time out of range ({_ONE}); found '1e300'; allowed: {_SWF_S}",
    ),
    Case(
        "negative processors",
        "swf",
        swf(8, "-4"),
        f"trace:1: requested processors (field 8): negative number ({_ONE}); found '-4'; allowed: {_SWF_COUNT}",
    ),
    Case(
        "half a processor",
        "swf",
        swf(5, "1.5"),
        f"trace:1: allocated processors (field 5): not a whole number ({_ONE}); found '1.5'; allowed: {_SWF_COUNT}",
    ),
    Case(
        "huge number of processors",
        "swf",
        swf(5, "99999999999"),
        f"trace:1: allocated processors (field 5): number out of range ({_ONE}); found '99999999999';"
        f" allowed: {_SWF_COUNT}",
    ),
    Case(
        "unknown status",
        "swf",
        swf(11, "9"),
        f"trace:1: status (field 11): unknown status ({_ONE}); found '9'; allowed: -1, 0, 1, 2, 3, 4 or 5",
    ),
    Case(
        "job number twice",
        "swf",
        GOOD_SWF + GOOD_SWF,
        "trace:2: job number (field 1): job appears twice (1 of 2 rows broken, at most 1.00% may be);"
        " found '1'; allowed: one row per job; first in line 1",
    ),
    # --- Philly ---
    Case(
        "missing column",
        "philly",
        "timestamp,duration,gpus,gpu_time,cluster\n2017-10-09 07:01:55,66,2,132,c\n",
        "trace:1: num_gpus: missing column; found 'timestamp,duration,gpus,gpu_time,cluster';"
        f" allowed: {_COLUMNS} (is 'gpus' this column?)",
    ),
    Case(
        "an SWF log read as Philly",
        "philly",
        GOOD_SWF,
        f"trace:1: timestamp: missing column; found '1 0 5 100 4 -1 -1 4 200 -1 1 7 1 -1 1 -…'; allowed: {_COLUMNS}",
    ),
    Case(
        "column twice",
        "philly",
        "timestamp,duration,duration,num_gpus,gpu_time,cluster\n",
        "trace:1: duration: column appears twice; found 'timestamp,duration,duration,num_gpus,gp…';"
        " allowed: each column once",
    ),
    Case(
        "unknown column",
        "philly",
        PHILLY_HEADER.replace("cluster", "cluster,clusters"),
        "trace:1: clusters: unknown column; found 'timestamp,duration,num_gpus,gpu_time,cl…';"
        f" allowed: {_COLUMNS}; did you mean 'cluster'?",
    ),
    Case(
        "row too short",
        "philly",
        PHILLY_HEADER + "2017-10-09 07:01:55,66.0\n",
        f"trace:2: timestamp: wrong number of columns ({_ONE}); found 2 columns; allowed: 5 columns",
    ),
    Case(
        "not a time",
        "philly",
        philly(timestamp="09/10/2017 07:01"),
        f"trace:2: timestamp: not a time ({_ONE}); found '09/10/2017 07:01';"
        " allowed: a time like '2017-10-09 07:01:55'",
    ),
    Case(
        "impossible date",
        "philly",
        philly(timestamp="2017-02-30 00:00:00"),
        f"trace:2: timestamp: not a time ({_ONE}); found '2017-02-30 00:00:00';"
        " allowed: a time like '2017-10-09 07:01:55'",
    ),
    Case(
        "negative duration",
        "philly",
        philly(duration="-66", gpu_time="-132"),
        f"trace:2: duration: negative time ({_ONE}); found '-66'; allowed: {_S}",
    ),
    Case(
        "duration missing",
        "philly",
        philly(duration=""),
        f"trace:2: duration: not a number ({_ONE}); found ''; allowed: {_S}",
    ),
    Case(
        "columns swapped",
        "philly",
        philly(gpu_time="66.0"),
        f"trace:2: gpu_time: not duration × num_gpus ({_ONE}); found '66.0'; allowed: 132.0",
    ),
    # --- the common job table ---
    Case(
        "table without run time",
        "table",
        "job,submit_s,runtime_s,gpus\na,0,1,1\n",
        "trace:1: run_s: missing column; found 'job,submit_s,runtime_s,gpus';"
        " allowed: job, submit_s, run_s, gpus (is 'runtime_s' this column?)",
    ),
    Case(
        "misspelt optional column",
        "table",
        "job,submit_s,run_s,gpus,request_s\na,0,1,1,1\n",
        "trace:1: request_s: unknown column; found 'job,submit_s,run_s,gpus,request_s'; allowed: job, user,"
        " submit_s, start_s, end_s, run_s, requested_s, gpus, nodes, state, account, partition, cpus, gpu_share;"
        " did you mean 'requested_s'?",
    ),
    Case(
        "job without a name",
        "table",
        table(job=""),
        f"trace:2: job: missing value ({_ONE}); found nothing; allowed: a value in every row",
    ),
    Case(
        "submission NaN",
        "table",
        table(submit_s="NaN"),
        f"trace:2: submit_s: not a finite number ({_ONE}); found 'NaN'; allowed: {_S}",
    ),
    Case(
        "negative GPUs",
        "table",
        table(gpus="-8"),
        f"trace:2: gpus: negative number ({_ONE}); found '-8'; allowed: a whole number, 0 to 1e9",
    ),
    Case(
        "end before start",
        "table",
        table(end_s="0.5"),
        f"trace:2: end_s: end before start ({_ONE}); found '0.5'; allowed: start_s (1.0) or later",
    ),
    Case(
        "unknown state",
        "table",
        table(state="done"),
        f"trace:2: state: unknown state ({_ONE}); found 'done'; allowed: completed, failed, cancelled",
    ),
    Case(
        "job twice",
        "table",
        GOOD_TABLE + "a,u,0,1,11,10,20,8,1,completed\n",
        "trace:3: job: job appears twice (1 of 2 rows broken, at most 1.00% may be); found 'a';"
        " allowed: one row per job; first in line 2",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_file_is_one_clear_line(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that the message names the file as the user did
    content = case.content.encode() if isinstance(case.content, str) else case.content
    Path(case.file).write_bytes(content)
    with pytest.raises(InputError) as error:
        read_trace(case.format, case.file)
    assert str(error.value) == case.message
    assert "\n" not in str(error.value)


def test_the_good_rows_that_the_broken_ones_are_made_of_are_good(tmp_path: Path) -> None:
    for format, content in (("swf", GOOD_SWF), ("philly", GOOD_PHILLY), ("table", GOOD_TABLE)):
        path = tmp_path / format
        path.write_text(content)
        table, report = read_trace(format, path)
        assert (len(table), report.rows_read, report.rows_kept, report.dropped) == (1, 1, 1, ())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent.swf", "absent.swf: no such file; allowed: the path of a trace file"),
        (".", ".: is a directory; allowed: a trace file"),
        ("/dev/zero", "/dev/zero: is not a regular file; allowed: a trace file"),
        ("x" * 300, "x" * 300 + ": cannot be read (file name too long)"),
    ],
)
def test_a_path_that_is_no_file(path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for format in ("swf", "philly", "table"):
        with pytest.raises(InputError) as error:
            read_trace(format, path)
        assert str(error.value) == message


def test_unknown_format_and_unknown_output() -> None:
    with pytest.raises(InputError) as error:
        read_trace("phily", "anything")
    formats = "swf, slurm, helios, philly, acme, alibaba, table"
    expected = f"format: unknown trace format; found 'phily'; allowed: {formats}; did you mean 'philly'?"
    assert str(error.value) == expected
    with pytest.raises(InputError) as error:
        read_trace("swf", "anything", broken_fraction_allowed=float("nan"))
    assert str(error.value) == "broken_fraction_allowed: not a fraction; found nan; allowed: 0 to 1"
    with pytest.raises(InputError) as error:
        write_table(pd.DataFrame(), "jobs.xlsx")
    expected = "jobs.xlsx: unknown kind of table; found '.xlsx'; allowed: a name in .parquet or .csv"
    assert str(error.value) == expected


def test_output_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trace").write_text(GOOD_SWF)
    table, _ = read_trace("swf", "trace")
    for name in ("absent/jobs.parquet", "absent/jobs.csv"):
        with pytest.raises(InputError) as error:
            write_table(table, name)
        assert str(error.value).startswith(f"{name}: cannot be written (")


def test_nothing_left_after_cleaning(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(GOOD_SWF)
    table, _ = read_trace("swf", path)
    with pytest.raises(InputError) as error:
        to_processors(table, processors=3)
    expected = (
        "no job is left after cleaning; found 1 job, 1 with more GPUs than the machine; "
        "allowed: at least one job with GPUs and a run time"
    )
    assert str(error.value) == expected
    with pytest.raises(InputError) as error:
        to_processors(table, estimates="exactly")  # type: ignore[arg-type]
    expected = "estimates: unknown kind of estimates; found 'exactly'; allowed: requested, exact; did you mean 'exact'?"
    assert str(error.value) == expected


def test_a_few_broken_rows_are_dropped_and_every_one_is_reported(tmp_path: Path) -> None:
    lines = [swf(1, str(job)) for job in range(1, 301)]
    lines[9] = "10 0 5\n"
    lines[99] = swf(1, "100").replace(" 4 ", " four ", 1)
    lines[199] = swf(11, "3").replace("1", "200", 1)  # a stretch of a job: sound, but no job of its own
    path = tmp_path / "trace"
    path.write_text("; MaxProcs: 8\n" + "".join(lines))
    table, report = read_trace("swf", path)
    assert (report.rows_read, report.rows_kept, len(table)) == (300, 297, 297)
    assert [(row.line, row.key) for row in report.dropped] == [
        (11, "fields"),
        (101, "allocated processors (field 5)"),
        (201, "status (field 11)"),
    ]
    assert report.header == {"MaxProcs": "8"}
    assert report.describe() == [
        f"{path}: 300 rows read, 297 kept, 3 dropped",
        "  1 × fields: wrong number of fields (line 11)",
        "  1 × allocated processors (field 5): not a number (line 101)",
        "  1 × status (field 11): stretch of a job with a line of its own (line 201)",
    ]
    assert not set(table["job"]) & {"10", "100", "200"}
    with pytest.raises(InputError, match=r"2 of 300 rows broken, at most 0\.50% may be"):
        read_trace("swf", path, broken_fraction_allowed=0.005)
