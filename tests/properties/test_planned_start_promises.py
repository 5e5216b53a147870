"""Conservative backfilling: whatever is shared, reserved or in maintenance, every promise is kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crowded_worlds import crowded
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from worlds import profile, world

from simulator.engine.simulation import Simulation
from simulator.engine.world import Window
from simulator.policies.scheduling.conservative import Conservative, Memory


@dataclass(frozen=True)
class Watched:
    """Conservative backfilling whose promises are compared from pass to pass."""

    policy: Conservative
    promised_s: dict[int, float] = field(default_factory=dict)
    acts_always = True

    def remember(self) -> Memory:
        return self.policy.remember()

    def schedule(self, view: Any) -> Any:
        decisions = self.policy.schedule(view)
        kept = view.memory.plan
        now = {decision.job: view.now_s for decision in decisions if hasattr(decision, "job")}
        now |= {job: float(kept.profile.job[job].start_s) for job in view.queue.job.tolist() if job not in now}
        depth = self.policy.depth if isinstance(self.policy.depth, int) else len(now)
        for place, job in enumerate(view.queue.job.tolist()):
            is_first = place < depth and view.free_gpus > 0  # on a full machine nothing is planned
            if is_first or job in self.promised_s:  # NaN, no planned start, fails too
                assert now[job] <= self.promised_s.get(job, math.inf), f"job {job} at {view.now_s} s"
            if not math.isnan(now[job]):
                self.promised_s[job] = now[job]
        return decisions


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


@settings(max_examples=300, deadline=None)
@given(crowded(), st.sampled_from([1, 2, 7, "all"]))
def test_every_promise_is_kept_whatever_placement_does(parts: dict[str, Any], depth: Any) -> None:
    jobs, windows = parts["jobs"], parts["windows"]
    assume(jobs.shares.any() or windows)  # else it counts
    watched = Watched(Conservative(depth=depth))
    busy = world(
        parts["machine"], jobs, profile(), scheduling=watched, windows=windows, placement=parts["placement"]
    )  # fmt: skip
    simulation = Simulation(busy, guards=True)
    starts = seen_starts(simulation)
    outcome = simulation.run()
    for job, start_s, ids in starts:
        end_s = start_s + float(jobs.requested_s[job])
        for node in ids:
            assert not any(met(window, node, start_s, end_s, jobs.account[job]) for window in windows)
    assert set(outcome.tables["jobs"]["state"]) == {"completed"}
    assert outcome.tables["jobs"]["attempts"].tolist() == [1] * len(jobs)
