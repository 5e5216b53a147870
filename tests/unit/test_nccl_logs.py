"""Logs of nccl-tests are read, and tables are written in its columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import simulator as sim
from simulator.cli.app import app
from simulator.experiments.nccl_logs import read_nccl_log, row

LOG = """\
# nThread 1 nGpus 1
0: #       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
0:         1024           256     float     sum      -1    26.00    0.04    0.07      0    25.60    0.04    0.07      0
   1073741824     268435456     float     sum      -1    4100.0  261.89  458.30      0    4050.0  265.12  463.96      0
    16777216       4194304     float     sum      -1    123.8  135.55  237.21      0
# Avg bus bandwidth    : 1
"""


def test_lines_with_and_without_rank_and_place_are_read(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(LOG, encoding="utf-8")
    table = read_nccl_log(tmp_path / "log.txt")
    assert table["bytes"].tolist() == [1024.0, 2.0**30, 2.0**24]
    assert table["time_s"].tolist() == pytest.approx([25.6e-6, 4050e-6, 123.8e-6])
    assert table["busbw"].tolist() == pytest.approx([0.07e9, 463.96e9, 237.21e9])


DEVICES = "".join(f"#  Rank {rank:2d} Group  0 Pid 9 on host device {rank} [0000:0f:00] GPU\n" for rank in range(2))
WAYS = "    50.00   20.97   20.97      0    40.00   26.21   26.21      0"
HEAD = "#  size  count  type  redop  root  time  algbw  busbw  #wrong  time  algbw  busbw  #wrong\n"
ROW = f"  1048576  262144  float  sum  -1{WAYS}"


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ("redop root time algbw busbw #wrong time algbw busbw #wrong", f"sum -1{WAYS}"),
        ("redop root time algbw busbw #wrong time algbw busbw #wrong", "sum -1 40.00 26.21 26.21 0 N/A N/A N/A N/A"),
        ("redop root time algbw busbw #wrong time algbw busbw #wrong", "sum -1 40.00 26.21 26.21 0"),
        ("redop time algbw busbw error time algbw busbw error", f"sum{WAYS}"),
        ("time algbw busbw error time algbw busbw error", WAYS),
        ("redop root time algbw busbw #wrong", "sum -1 40.00 26.21 26.21 N/A"),
        ("root time algbw busbw i_min time algbw busbw i_min timestamp", f"0{WAYS} 2025-01-02 03:04:05"),
    ],
)
def test_columns_go_by_the_header(tmp_path: Path, columns: str, row: str) -> None:
    (tmp_path / "log.txt").write_text(f"# size count type {columns}\n 1048576 262144 float {row}\n", encoding="utf-8")
    table = read_nccl_log(tmp_path / "log.txt")
    assert table.loc[0].tolist() == pytest.approx([2.0**20, 40e-6, 26.21e9, 26.21e9])
    assert table.attrs["left_out"] == {}


ONE_WAY = ROW.replace(WAYS, "  40.00  26.21  26.21  0")


@pytest.mark.parametrize("row", [ROW, ROW.replace("sum  -1", "sum"), ROW.replace("sum  -1", ""), ONE_WAY])
def test_without_a_header_columns_go_by_their_number(tmp_path: Path, row: str) -> None:
    (tmp_path / "log.txt").write_text(row, encoding="utf-8")
    time_s = read_nccl_log(tmp_path / "log.txt")["time_s"].tolist()
    assert time_s == pytest.approx([40e-6])


@pytest.mark.parametrize(
    "tag", ["[1,0]<stdout>:", "[1,0]<stdout>: ", "3: ", "worker-0 ", "[pod/run-0/main] ", "n1 2 | "]
)
def test_a_tag_of_a_launcher_is_left_out(tmp_path: Path, tag: str) -> None:
    lines = f"{DEVICES}{HEAD}{ROW}\n# Avg bus bandwidth : 1\n".splitlines()
    (tmp_path / "log.txt").write_text("".join(f"{tag}{line}\n" for line in lines), encoding="utf-8")
    table = read_nccl_log(tmp_path / "log.txt")
    assert (table["time_s"].tolist(), table.attrs["ranks"]) == (pytest.approx([40e-6]), 2)


def test_rows_with_text_inside_and_of_no_bytes_are_left_out_and_counted(tmp_path: Path) -> None:
    """A row of which a line of NCCL took the middle is none, and its rest is none of another size."""
    cut = (
        "  4194304  1048576  float  sum  -1host:100:120 [0] NCCL INFO 16 channels\n 23456  178.81  178.81  0  9 9 9 0\n"
    )
    empty = ROW.replace("1048576  262144", "0  0")
    late = f"{ROW}host:100:120 [0] NCCL INFO Done\n"
    (tmp_path / "log.txt").write_text(f"{HEAD}{cut}{empty}\n{ROW}\n{late}{ROW[:70]}", encoding="utf-8")
    table = read_nccl_log(tmp_path / "log.txt")
    assert table["bytes"].tolist() == [2.0**20]
    assert table.attrs["left_out"] == {"cut off, or other text inside": [2, 6, 7], "0 bytes, no measurement": [4]}
    words = ["collective", "--fabric", "rail_400g", "--ranks", "2", "--measured", str(tmp_path / "log.txt")]
    assert "3 rows left out: cut off, or other text inside, first in line 2" in CliRunner().invoke(app, words).output


@pytest.mark.parametrize(("colours", "ranks"), [("0101", 2), ("0000", 4), ("0011", 2)])
def test_ranks_are_those_of_one_group(tmp_path: Path, colours: str, ranks: int) -> None:
    devices = "".join(f"#  Rank {k} Group {g} Pid 1 on n device {k} [00] H\n" for k, g in enumerate(colours))
    (tmp_path / "log.txt").write_text(devices + ROW, encoding="utf-8")
    assert read_nccl_log(tmp_path / "log.txt").attrs["ranks"] == ranks


def json_report(**changes: object) -> str:
    way = {"time": 50.0, "alg_bw": 20.97, "bus_bw": 20.97, "nwrong": 0.0}
    result = {"size": 1048576, "count": 262144, "type": "float", "redop": "sum", "root": "    -1", "out_of_place": way}
    result["in_place"] = {**way, "time": 40.0}
    devices = [{"rank": rank, "group": 0} for rank in range(2)]
    return json.dumps({"version": 2, "config": {"devices": devices}, "results": [result | changes]})


def test_json_of_nccl_tests(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json_report(), encoding="utf-8")
    table = read_nccl_log(tmp_path / "log.json")
    assert (table["time_s"].tolist(), table.attrs["ranks"]) == (pytest.approx([40e-6]), 2)
    (tmp_path / "log.json").write_text(json_report(in_place=None), encoding="utf-8")
    assert read_nccl_log(tmp_path / "log.json")["time_s"].tolist() == pytest.approx([50e-6])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEAD.replace('time', 'cputime')}{ROW}", "log.txt:1: time: time of the CPU only; found size"),
        (json_report(in_place={"cpu_time": 1.0}), "log.txt: time: time of the CPU only; found cpu_time"),
        ("{", "log.txt:1: not the JSON of nccl-tests"),
        (json_report(size="big"), "log.txt: not the JSON of nccl-tests"),
        (
            "# Rank 0 Group 0 Pid\n# Rank 1 Group 0 Pid\n# Rank 2 Group 1 Pid\n" + ROW,
            "log.txt: groups of different numbers of ranks; found 1, 2",
        ),
        (HEAD + ROW[:80], "found 1 row left out: cut off, or other text inside, first in line 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "log.txt").write_text(text, encoding="utf-8")
    with pytest.raises(sim.InputError) as caught:
        read_nccl_log(tmp_path / "log.txt")
    assert message in str(caught.value)


@pytest.mark.parametrize(("text", "problem"), [(None, "no such file"), ("hello\n1 2 3\n", "no results of nccl-tests")])
def test_what_is_no_log_is_refused(tmp_path: Path, text: str | None, problem: str) -> None:
    if text is not None:
        (tmp_path / "log.txt").write_text(text, encoding="utf-8")
    with pytest.raises(sim.InputError, match=problem):
        read_nccl_log(tmp_path / "log.txt")


def test_our_lines_are_read_back(tmp_path: Path) -> None:
    lines = [row("all_reduce", 8, 2.0**20, 28.5e-6, 36.8e9, 64.4e9), row("all_gather", 8, 2.0**20, 0.5, 2e6, 1e6)]
    assert lines[0].split()[:5] == ["1048576", "262144", "float", "sum", "-1"]
    assert lines[1].split()[:5] == ["1048576", "32768", "float", "none", "-1"]
    (tmp_path / "log.txt").write_text("\n".join(lines), encoding="utf-8")
    assert read_nccl_log(tmp_path / "log.txt")["time_s"].tolist() == pytest.approx([28.5e-6, 0.5])


def test_a_log_of_another_number_of_ranks_is_refused(tmp_path: Path) -> None:
    devices = "".join(f"#  Rank {rank:2d} Group  0 Pid {rank + 10} on host device {rank}\n" for rank in range(8))
    (tmp_path / "log.txt").write_text(devices + LOG, encoding="utf-8")
    assert read_nccl_log(tmp_path / "log.txt").attrs["ranks"] == 8
    words = ["collective", "--fabric", "rail_400g", "--measured", str(tmp_path / "log.txt"), "--ranks"]
    assert CliRunner().invoke(app, [*words, "8"]).exit_code == 0
    done = CliRunner().invoke(app, [*words, "16"])
    assert done.exit_code == 2
    assert "found 16 ranks; allowed: --ranks 8, as measured" in done.stderr


def test_the_command_compares_with_a_log_and_draws(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(LOG, encoding="utf-8")
    words = ["collective", "--fabric", "rail_400g", "--ranks", "8", "--measured", str(tmp_path / "log.txt")]
    done = CliRunner().invoke(app, [*words, "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if not line.startswith("#")]
    assert len(lines) == 3
    assert "%" in lines[1]
    assert "NVLS" in lines[1]
    assert (tmp_path / "all_reduce_rail_400g_8.png").read_bytes()[:4] == b"\x89PNG"
