"""Sum and maximum of the finish times that SimGrid gives for the workloads of benchmarks/bench_flows.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from simulator.network import simulate_flows

_FILE = Path(__file__).parents[2] / "benchmarks" / "bench_flows.py"
_SPEC = importlib.util.spec_from_file_location("bench_flows", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
bench_flows = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(bench_flows)


KNOWN = [row for row in bench_flows.ROWS if row[4] is not None]


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: row[0])
def test_check_sums_of_simgrid(row: tuple) -> None:
    _, make, _, total, longest = row
    finish = simulate_flows(*make())
    assert finish.max() == pytest.approx(longest, rel=1e-6)
    if total is not None:
        assert finish.sum() == pytest.approx(total, rel=1e-6)
