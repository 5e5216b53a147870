"""Conservative backfilling: whatever is shared, reserved or in maintenance, every promise is kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from worlds import fault, job_table, machine, profile, repair, story, world

from simulator.distributions import Duration
from simulator.engine.simulation import Simulation
from simulator.engine.world import Window
from simulator.policies.placement.best_fit import BestFit
from simulator.policies.placement.first_fit import FirstFit
from simulator.policies.placement.scattered import Scattered
from simulator.policies.placement.spread import Spread
from simulator.policies.recovery.ladder import ReplaceOrRequeue, RequeueJob
from simulator.policies.scheduling import node_guarantees
from simulator.policies.scheduling.conservative import Conservative, Memory

G = 4


@dataclass(frozen=True)
class Watched:
    """Conservative backfilling whose promises are compared from pass to pass."""

    promised_s: dict[int, float] = field(default_factory=dict)
    acts_always = True

    def remember(self) -> Memory:
        self.promised_s.clear()
        return Conservative().remember()

    def schedule(self, view: Any) -> Any:
        decisions = Conservative().schedule(view)
        kept = view.memory.guarantees
        now = {decision.job: view.now_s for decision in decisions if hasattr(decision, "job")}
        now |= {job: float(kept.start_s[job]) for job in view.queue.job.tolist() if job not in now}
        for job, start_s in now.items():
            assert start_s <= self.promised_s.get(job, math.inf), f"job {job} at {view.now_s} s"
            self.promised_s[job] = start_s
        return decisions


@st.composite
def windows(draw: st.DrawFn, nodes: int) -> tuple[Window, ...]:
    """Return reservations and maintenance; those of a node do not overlap."""
    found: list[Window] = []
    for number in range(draw(st.integers(0, 4))):
        start_s = float(draw(st.integers(0, 40)))
        members = np.flatnonzero(np.array(draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes))))
        is_maintenance = draw(st.booleans())
        account = "" if is_maintenance else draw(st.sampled_from(["a", "b", "c", ""]))
        end_s = start_s + draw(st.sampled_from([1, 5, 20]))
        if not any(
            start_s < other.end_s and other.start_s < end_s and len(np.intersect1d(members, other.nodes))
            for other in found
        ):
            found.append(Window(f"window-{number}", start_s, end_s, members, account, is_maintenance))
    return tuple(found)


@st.composite
def crowded(draw: st.DrawFn, overruns: bool = False) -> dict[str, Any]:
    """Return a machine, more jobs than it can run at once, and windows."""
    nodes, n_jobs = draw(st.integers(1, 6)), draw(st.integers(1, 25))

    def each(strategy: Any) -> Any:
        return draw(st.lists(strategy, min_size=n_jobs, max_size=n_jobs))

    shares = np.array(each(st.booleans())) & draw(st.booleans())
    sizes = np.where(shares, 1, np.array(each(st.integers(1, nodes))))
    work_s = np.array(each(st.integers(1, 12)), dtype=float)
    slack_s = np.array(each(st.sampled_from([0, 0, 1, 3, 10] + ([-4] if overruns else []))), dtype=float)
    jobs = job_table(
        sizes.tolist(),
        work_s.tolist(),
        sorted(float(s) for s in each(st.integers(0, 30))),
        gpus=np.where(shares, np.array(each(st.integers(1, G - 1))), sizes * G),
        shares=shares,
        requested_s=np.maximum(work_s + slack_s, 1.0),
        account=np.array(each(st.sampled_from(["a", "b", "c"])), dtype=object),
        gpus_per_node=G,
    )
    return {
        "machine": machine(nodes, G),
        "jobs": jobs,
        "windows": draw(windows(nodes)),
        "placement": draw(st.sampled_from([FirstFit(), BestFit(), Spread(), Scattered(1), Scattered(2)])),
    }


def settings_of(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: parts[name] for name in ("windows", "placement")}


def met(window: Window, node: int, start_s: float, end_s: float, account: str) -> bool:
    return node in window.nodes and window.start_s < end_s and start_s < window.end_s and window.account != account


def seen_starts(simulation: Simulation) -> list[tuple[int, float, list[int]]]:
    """Return a list that fills up with job, time and nodes of every start."""
    starts: list[tuple[int, float, list[int]]] = []
    start: Callable[..., None] = simulation.jobs.start

    def noted(run: Any, ids: Any) -> None:
        starts.append((run.job, simulation.now, ids.tolist()))
        start(run, ids)

    simulation.jobs.start = noted  # type: ignore[method-assign]
    return starts


def refuse_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where guarantees have to be made anew."""
    plain = node_guarantees.node_guarantee_pass

    def checked(*arguments: Any) -> Any:
        assert not plain(*arguments), f"all guarantees had to be made anew at {arguments[2]} s"

    monkeypatch.setattr(node_guarantees, "node_guarantee_pass", checked)


@settings(max_examples=300, deadline=None)
@given(crowded())
def test_every_promise_is_kept_whatever_placement_does(parts: dict[str, Any]) -> None:
    jobs, shared = parts["jobs"], parts["jobs"].shares.any() or bool(parts["windows"])
    assume(shared)  # else it counts
    simulation = Simulation(
        world(parts["machine"], jobs, profile(), scheduling=Watched(), **settings_of(parts)), guards=True
    )
    starts = seen_starts(simulation)
    with pytest.MonkeyPatch.context() as patch:
        refuse_anew(patch)
        outcome = simulation.run()
    for job, start_s, ids in starts:
        end_s = start_s + float(jobs.requested_s[job])
        for node in ids:
            assert not any(met(window, node, start_s, end_s, jobs.account[job]) for window in parts["windows"])
    assert set(outcome.tables["jobs"]["state"]) == {"completed"}
    assert outcome.tables["jobs"]["attempts"].tolist() == [1] * len(jobs)


@settings(max_examples=150, deadline=None)
@given(crowded(overruns=True), st.data())
def test_every_job_ends_though_estimates_are_wrong_and_nodes_fail(parts: dict[str, Any], data: st.DataObject) -> None:
    """With each fault a node is lost for a while; no fault strikes after a minute, so all that is left can end."""
    kind = fault(
        1e-9,
        repair=repair("fixed", float(data.draw(st.sampled_from([1, 7, 30])))),
        scope=data.draw(st.sampled_from(["node", "switch"])),
        detect=Duration("fixed", float(data.draw(st.sampled_from([0, 2])))),
        stops_job=data.draw(st.booleans()),
    )
    units = parts["machine"].nodes if kind.scope == "node" else 1
    strikes = data.draw(st.lists(st.tuples(st.integers(0, 60), st.just(0), st.integers(0, units - 1)), max_size=6))
    saves = replace(
        data.draw(st.sampled_from([profile(), profile(1e9)])),
        recovery=data.draw(st.sampled_from([RequeueJob(), RequeueJob(backoff=3.0), ReplaceOrRequeue()])),
    )
    base = world(parts["machine"], parts["jobs"], saves, kind, scheduling=Conservative(), **settings_of(parts))
    outcome = story(base, sorted((float(time_s), index, unit) for time_s, index, unit in strikes))
    assert set(outcome.tables["jobs"]["state"]) == {"completed"}
