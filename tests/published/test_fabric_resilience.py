"""S7: what operators of multi-plane fabrics report comes out of the shipped scenario, in shape.

Facts (MRC, HPN SIGCOMM 2024): with one plane the loss of a NIC's link stops the job and a flap stalls it until routes
converge; with eight planes nothing but the NIC itself stops it, and a lost port costs at most an eighth of the rate.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simulator as sim

FILE = Path(__file__).resolve().parents[2] / "scenarios" / "fabric_resilience.yaml"
CONVERGENCE_S = 10.0


@pytest.fixture(scope="module")
def runs():
    # Faults many times as often as published, so that a day shows several of each kind.
    rates = {
        "faults.classes.nic_link.rate": "0.8 / 1000 host_link-days",
        "faults.classes.leaf_switch.rate": "10 / 1000 leaf_switch-days",
        "faults.classes.nic.rate": "0.1 / 1000 nic-days",
    }
    scenario = sim.load(FILE, overrides={"horizon": "1 day", **rates})
    return {name: sim.run(scenario, variant=name) for name in scenario.variants}


def interrupting(result):
    return result.incidents[result.incidents["effect"] == "interrupted"]


@pytest.mark.slow
def test_with_one_plane_every_lost_link_of_a_nic_stops_the_job(runs):
    result = runs["single_plane"]
    mine = result.incidents["class"].isin(["nic_link", "nic"]) & (result.incidents["job"] != "")
    assert mine.sum() >= 3
    assert (result.incidents[mine]["effect"] == "interrupted").all()
    assert result.summary["network_timeouts"] >= 2


@pytest.mark.slow
def test_with_one_plane_a_flap_stalls_the_job_until_routes_converge(runs):
    result = runs["single_plane"]
    flaps = result.incidents[(result.incidents["class"] == "flap") & (result.incidents["effect"] == "slowed")]
    assert len(flaps) >= 5
    assert result.summary["network_stall_s"] >= 0.8 * CONVERGENCE_S * len(flaps)


@pytest.mark.slow
def test_with_eight_planes_only_the_nic_itself_stops_the_job(runs):
    result = runs["eight_planes"]
    assert set(interrupting(result)["class"]) <= {"nic"}
    assert (result.incidents["class"] == "nic_link").sum() >= 24  # eight times as many ports
    assert (result.incidents["class"] == "leaf_switch").sum() >= 1
    quiet = interrupting(result).empty
    assert quiet == (result.summary["network_timeouts"] == 0)


@pytest.mark.slow
def test_with_eight_planes_the_lost_ports_of_a_run_cost_little(runs):
    steps = runs["eight_planes"].steps
    nominal_s, mean_s = float(steps["nominal_s"].sum()), float(steps["mean_s"].sum())
    network_s = float(steps.loc[~steps["part"].isin(["compute", "bubble", "optimiser"]), "nominal_s"].sum())
    assert nominal_s <= mean_s
    # Two ports of one NIC may be down at once, hence two eighths; the bubble grows with what the layers wait for.
    assert mean_s - nominal_s <= 2.0 / 6.0 * (network_s + float(steps.query("part == 'bubble'")["nominal_s"].sum()))


@pytest.mark.slow
def test_planes_rank_as_operators_say(runs):
    timeouts = [runs[name].summary["network_timeouts"] for name in ("single_plane", "dual_tor", "eight_planes")]
    stalls = [runs[name].summary["network_stall_s"] for name in ("single_plane", "dual_tor", "eight_planes")]
    assert timeouts[0] > timeouts[1] >= timeouts[2]
    assert stalls[0] > stalls[1] > stalls[2]
    assert np.isfinite(stalls).all()
