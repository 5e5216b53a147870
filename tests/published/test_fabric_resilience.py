"""S7: what operators of multi-plane fabrics report comes out of the shipped scenario, in shape.

Facts (MRC, HPN SIGCOMM 2024): with one plane the loss of a NIC's link stops the job and a flap stalls it until routes
converge; with eight planes nothing but the NIC itself stops it, and a lost port costs at most an eighth of the rate.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simulator as sim
from simulator.network import sharing
from simulator.scenario.fabrics import network_of
from simulator.scenario.profiles import training_step

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


@pytest.mark.parametrize("planes", [1, 2, 8])
def test_a_lost_port_costs_no_more_than_its_plane(planes):
    spec = sim.load(FILE).variant({1: "single_plane", 2: "dual_tor", 8: "eight_planes"}[planes])
    step, net = training_step(spec, spec.workload.jobs[0]), network_of(spec.cluster)
    fabric, nodes = net.fabric, np.arange(1024)

    def seconds(up=None):
        placed = step.place(fabric, net.routing, net.transport, nodes, up)
        capacity = fabric.capacity if up is None else np.where(up, fabric.capacity, 0.0)
        return placed, sharing.alone_times(capacity, placed.traffic)

    whole, before_s = seconds()
    port = np.flatnonzero((fabric.tail == 0) & (fabric.tier == fabric.tiers.index("host")))[0]
    reached, after_s = seconds(fabric.cable != fabric.cable[port])
    assert reached.arrives == (planes > 1)
    if planes == 1:
        return
    # A rank keeps 7/8 of its bandwidth, in every phase of every collective; what stays in the node keeps all.
    rate = before_s / after_s
    assert rate.min() == pytest.approx((planes - 1) / planes, rel=1e-9)
    assert np.all(np.isclose(rate, 1.0) | np.isclose(rate, (planes - 1) / planes))
    slower = 1.0 / step.rate(step.parts(reached, after_s)) - 1.0
    network_s = sum(s for part, s in step.parts(whole, before_s).items() if part in ("tp", "cp", "pp", "dp", "bubble"))
    assert 0.0 < slower * step.nominal_s <= network_s / (planes - 1)


@pytest.mark.slow
def test_planes_rank_as_operators_say(runs):
    timeouts = [runs[name].summary["network_timeouts"] for name in ("single_plane", "dual_tor", "eight_planes")]
    stalls = [runs[name].summary["network_stall_s"] for name in ("single_plane", "dual_tor", "eight_planes")]
    assert timeouts[0] > timeouts[1] >= timeouts[2]
    assert stalls[0] > stalls[1] > stalls[2]
    assert np.isfinite(stalls).all()
