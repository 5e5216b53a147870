"""Conservative backfilling where jobs share nodes and nodes are kept: promises that can be worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from worlds import fault, job_table, machine, profile, repair, story, world

from simulator.engine.world import Window
from simulator.errors import PolicyError
from simulator.policies.placement.best_fit import BestFit
from simulator.policies.placement.spread import Spread
from simulator.policies.placement.topology import TopologyAware
from simulator.policies.scheduling.conservative import Conservative
from simulator.policies.scheduling.easy import Easy


def starts(nodes: int, jobs: Any, *windows: Window, **more: Any) -> list[float]:
    settings = {"scheduling": Conservative(), "placement": BestFit(), "windows": windows, **more}
    strikes, kinds = settings.pop("strikes", []), settings.pop("kinds", ())
    outcome = story(world(machine(nodes), jobs, profile(), *kinds, **settings), strikes)
    return outcome.tables["jobs"]["start_s"].tolist()


def asking(*jobs: tuple[int, float, float], accounts: str = "") -> Any:
    """Return jobs of (GPUs, length, submission) on nodes of 8 GPUs; fewer than 8 share a node."""
    gpus, length_s, submit_s = (list(column) for column in zip(*jobs, strict=True))
    more = {"account": np.array(list(accounts), dtype=object)} if accounts else {}
    return job_table(
        [max(g // 8, 1) for g in gpus], length_s, submit_s, gpus=gpus, shares=[g < 8 for g in gpus],
        requested_s=length_s, **more,
    )  # fmt: skip


def test_parts_of_nodes_fill_holes_and_delay_nobody() -> None:
    """The first two fill a node until 100 and 300; the third wants both nodes, the sixth one, the others parts."""
    jobs = asking((6, 100, 0), (2, 300, 0), (16, 50, 1), (4, 400, 2), (4, 200, 3), (8, 100, 4), (3, 500, 5))
    # 4 GPUs for 400 s must wait for the job of both nodes, for 200 s they need not. The last lies beside the fourth.
    assert starts(2, jobs) == [0, 0, 300, 350, 3, 350, 350]


def test_the_second_in_the_queue_is_protected_too() -> None:
    """Two of three nodes are in use until 100; the head wants two, the next all, the last a part for a long time."""
    jobs = asking((16, 100, 0), (16, 50, 1), (24, 10, 2), (4, 500, 3))
    assert starts(3, jobs, scheduling=Easy()) == [0, 100, 503, 3]
    assert starts(3, jobs) == [0, 100, 150, 160]


def test_a_reservation_is_for_its_account_alone() -> None:
    """Node 0 is kept for b from 300 to 500."""
    window = Window("demo", 300.0, 500.0, np.array([0]), "b", is_maintenance=False)
    jobs = asking(
        (16, 100, 0), (8, 250, 10), (8, 150, 20), (16, 100, 30), (8, 150, 40), (8, 50, 50), accounts="aaaaba"
    )  # fmt: skip
    # 250 s fit on node 1 alone, 150 s before the reservation; both nodes are open to a again at 500; b may run into it.
    assert starts(2, jobs, window) == [0, 100, 100, 500, 250, 350]


def test_nodes_in_maintenance_are_promised_from_its_end_on() -> None:
    window = Window("upgrade", 300.0, 400.0, np.arange(2), "", is_maintenance=True)
    jobs = asking((8, 150, 0), (16, 250, 100), (8, 140, 110), (16, 50, 120), (8, 100, 130), (8, 20, 350), (3, 10, 360))
    # The large job is promised 400 and gets it; what comes during maintenance is promised what is left after it.
    assert starts(2, jobs, window) == [0, 400, 110, 250, 150, 650, 650]


def test_promises_outlive_the_last_window() -> None:
    """Node 1 is kept for b until 10."""
    window = Window("early", 0.0, 10.0, np.array([1]), "b", is_maintenance=False)
    jobs = asking((16, 100, 0), (8, 50, 1), (8, 9, 1), (8, 200, 50), (16, 10, 60), (8, 150, 61), accounts="aaaaaa")
    assert starts(2, jobs, window) == [10, 110, 1, 110, 310, 160]


def test_a_job_takes_the_nodes_that_others_can_use_least() -> None:
    """All four nodes are kept for b from 60 to 90, and two of them close at 280: the two for b go there."""
    windows = (
        Window("r0", 60.0, 90.0, np.arange(4), "b", is_maintenance=False),
        Window("r1", 280.0, 320.0, np.array([1, 2]), "", is_maintenance=True),
    )
    jobs = asking((32, 30, 0), (32, 20, 10), (16, 40, 11), (16, 20, 20), (8, 80, 30), accounts="abbab")
    # The job of a must wait for the end of the window; the last one, long and for b, has a node from 50 on.
    assert starts(4, jobs, *windows) == [0, 30, 50, 90, 50]


@pytest.mark.parametrize("spares", [0, 1])
def test_a_reserved_node_is_no_spare(spares: int) -> None:
    """The last of four nodes, at first the spare, is kept for b from 100 to 500; a holds all others."""
    window = Window("demo", 100.0, 500.0, np.array([3]), "b", is_maintenance=False)
    jobs = asking((24, 1000, 0), (8, 50, 200), (8, 400, 300), accounts="aba")
    outcome = story(world(machine(4, spares=spares), jobs, profile(), windows=(window,), scheduling=Easy()), [])
    # After the reservation the node is a spare again, so the last job waits for the end of the first.
    assert outcome.tables["jobs"]["start_s"].tolist() == [0, 200, 1000 if spares else 500]


def test_a_job_without_nodes_runs_beside_one_on_the_only_node() -> None:
    """The node is lost at 10 and back at 15, too late for the first job to end before it is kept for b from 100 on."""
    window = Window("demo", 100.0, 200.0, np.array([0]), "b", is_maintenance=False)
    jobs = asking((8, 90, 0), (8, 50, 5), (8, 20, 6), accounts="abb")
    kind = fault(1e-9, repair=repair("fixed", 5.0))
    outcome = story(world(machine(1), jobs, profile(), kind, windows=(window,), scheduling=Easy()), [(10.0, 0, 0)])
    # The first job waits for the node until 200; those of b have it meanwhile.
    assert outcome.tables["jobs"]["start_s"].tolist() == [0, 15, 65]
    assert outcome.tables["jobs"]["end_s"].tolist() == [290, 65, 85]


def test_a_spare_goes_only_to_a_job_to_which_it_is_open() -> None:
    """Node 0 is lost at 50. The spare, node 3, is kept for b from 500 on; the job, until 1,000, gets node 2."""
    window = Window("demo", 500.0, 600.0, np.array([3]), "b", is_maintenance=False)
    jobs = asking((16, 1000, 0), (8, 50, 510), accounts="ab")
    kind = fault(1e-9, repair=repair("fixed", 5000.0))
    crowd = world(machine(4, spares=1), jobs, profile(1e9), kind, windows=(window,), scheduling=Easy())
    spans = story(crowd, [(50.0, 0, 0)]).tables["spans"]
    held = {(int(node), str(job)) for node, job in zip(spans["node"], spans["job"], strict=True)}
    assert (2, "job-0") in held
    assert (3, "job-0") not in held
    assert (3, "job-1") in held


@pytest.mark.parametrize("placement", [BestFit(), Spread(), TopologyAware(wait_for_fit=True)])
def test_placement_is_barred_from_nodes_that_are_promised(placement: Any) -> None:
    """Nodes 0 and 1 close at 100 for good. Three short jobs and one for 200 s come; the long one needs node 2."""
    window = Window("end", 100.0, 1e6, np.array([0, 1]), "", is_maintenance=False)
    jobs = asking((16, 50, 0), (8, 50, 0), (8, 200, 1), (2, 40, 2), (2, 90, 3), (8, 10, 4))
    # At 50 all nodes are free: 200 s and 90 s only fit on node 2, one after the other; the rest goes before 100.
    assert starts(3, jobs, window, placement=placement) == [0, 0, 50, 50, 250, 50]


def test_an_early_end_moves_promises_forward_in_queue_order() -> None:
    """The first job says 1,000 s and runs 100; the second wants the node, the third a part beside nobody."""
    jobs = job_table(
        [1, 1, 1, 1], [100.0, 50.0, 50.0, 20.0], [0.0, 1.0, 2.0, 3.0], gpus=[8, 8, 3, 6],
        shares=[False, False, True, True],
        requested_s=[1000.0, 50.0, 50.0, 20.0],
    )  # fmt: skip
    assert starts(1, jobs) == [0, 100, 150, 200]


def test_a_lost_node_makes_all_promises_anew() -> None:
    """Two nodes; the second fails at 10 for 1,000 s under nobody. The large job then waits, and others go before it."""
    kind = fault(1e-9, repair=repair("fixed", 1000.0))
    jobs = asking((8, 100, 0), (16, 50, 20), (8, 500, 30), (2, 900, 40), (2, 300, 50))
    # At 20 nobody knows when both nodes will be there. When the other is back one part of a node still has 490 s to go.
    assert starts(2, jobs, kinds=(kind,), strikes=[(10.0, 0, 1)]) == [0, 1500, 100, 600, 600]


@pytest.mark.parametrize("requested_s", [0.0, math.inf])
@pytest.mark.parametrize("gpus", [8, 3])
def test_a_job_without_a_usable_estimate_is_refused(requested_s: float, gpus: int) -> None:
    jobs = job_table([1], [10.0], gpus=[gpus], shares=[gpus < 8], requested_s=[requested_s])
    with pytest.raises(
        PolicyError, match="job job-0 has no usable estimate: a planned start rests on a positive, finite one"
    ):
        starts(1, jobs)
