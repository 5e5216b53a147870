"""``simulator fit``: what it prints, writes and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import invoke

from simulator.scenario.workload_models import read_model
from simulator.workload.synthetic import DAY_S

RNG = np.random.default_rng(1)
N = 400


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Jobs of three users over ten days, in Standard Workload Format; two of them broken for a fit."""
    submit = np.sort(RNG.integers(0, 10 * 86400, N))
    lines = ["; UnixStartTime: 1714550400", "; TimeZoneString: UTC"]
    for number, at in enumerate(submit, 1):
        run, size = int(RNG.integers(1, 5000)), int(RNG.choice([1, 1, 2, 4, 16]))
        run = 0 if number == 7 else run
        size = -1 if number == 8 else size
        lines.append(
            f"{number} {at} 0 {run} {size} -1 -1 {size} {2 * run} -1 {number % 2} {number % 3} 3 -1 1 -1 -1 -1"
        )
    path = tmp_path / "site.swf"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_it_prints_a_table_and_writes_model_and_figure(trace: Path, tmp_path: Path) -> None:
    model, plot = tmp_path / "site.yaml", tmp_path / "site.png"
    done = invoke("fit", "swf", trace, "-o", model, "--plot", plot)
    assert done.returncode == 0
    for part in ("1 job without GPUs left out", "1 job without a run time left out", "398 in ", "peak hour", "\n16 "):
        assert part in done.stdout
    found = read_model(str(model))
    assert found.name == "site"
    assert found.jobs_per_s * DAY_S == pytest.approx(40, rel=0.05)
    assert found.users is not None
    assert found.users.count == 3
    assert found.requests is not None
    assert "sha256" in model.read_text()
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_equal_traces_give_equal_files(trace: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "a.svg", tmp_path / "b.svg"]
    for model, plot in ((files[0], files[2]), (files[1], files[3])):
        assert invoke("fit", "swf", trace, "-o", model, "--plot", plot).returncode == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[2].read_bytes() == files[3].read_bytes()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("swf", "{trace}", "-o", "m.json"), "error: m.json: unknown kind of file; allowed: a name in .yaml or .yml\n"),
        (
            ("swf", "{trace}", "-o", "m.yaml", "--plot", "m.pdf"),
            "error: m.pdf: unknown kind of file; allowed: a name in .png or .svg\n",
        ),
        (("swf", "none.swf", "-o", "m.yaml"), "error: none.swf: no such file; allowed: the path of a trace file\n"),
    ],
)
def test_what_cannot_be_is_one_line(words: tuple[str, ...], expected: str, trace: Path) -> None:
    done = invoke("fit", *(str(trace) if word == "{trace}" else word for word in words))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_too_few_jobs_are_one_line(trace: Path, tmp_path: Path) -> None:
    trace.write_text("\n".join(trace.read_text().splitlines()[:50]) + "\n")
    done = invoke("fit", "swf", trace, "-o", tmp_path / "m.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: too little to fit a workload to; found 46 jobs over ")
    assert not (tmp_path / "m.yaml").exists()
