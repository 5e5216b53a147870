"""Logs of nccl-tests are read, and tables are written in its columns."""

from __future__ import annotations

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
