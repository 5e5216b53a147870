"""Every flow finishes when SimGrid says (300 flows, leaf-spine), to 1e-6 of its duration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from simulator.network import simulate_flows


def test_every_flow_finishes_when_simgrid_says() -> None:
    oracle = json.loads((Path(__file__).parent / "data" / "simgrid_flows.json").read_text())
    flows = oracle["flows"]
    indptr = np.cumsum([0, *(len(f["route"]) for f in flows)])
    links = np.concatenate([f["route"] for f in flows])
    starts = np.array([f["start"] for f in flows])
    finish = simulate_flows([e["capacity"] for e in oracle["links"]], indptr, links, [f["size"] for f in flows], starts)
    assert len(flows) == 300
    np.testing.assert_allclose(finish - starts, np.array([f["finish"] for f in flows]) - starts, rtol=1e-6)
