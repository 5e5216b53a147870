"""Planned starts by node against a reference implementation, pass by pass in worlds where much goes wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from crowded_worlds import crowded
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import fault, profile, repair, story, world

from simulator.distributions import Duration
from simulator.policies.decisions import Start
from simulator.policies.recovery.ladder import ReplaceOrRequeue, RequeueJob
from simulator.policies.scheduling.conservative import Conservative, Memory


@dataclass
class Planner:
    """The reference: slow, and as plain as possible. ``plan`` is job -> (start, nodes)."""

    depth: float = math.inf
    window_s: float = math.inf
    resolution_s: float = 0.0
    plan: dict[int, tuple[float, list[int]]] = field(default_factory=dict)

    def end(self, start_s: float, length_s: float) -> float:
        end_s = start_s + length_s
        return math.ceil(end_s / self.resolution_s) * self.resolution_s if self.resolution_s else end_s

    def look(self, view: Any) -> None:
        """Note who holds what until when, as (node, begin, end, GPUs), and which nodes are kept for whom."""
        nodes, self.now, self.g = view.nodes, view.now_s, view.nodes.gpus_per_node
        self.soon = math.nextafter(self.now, math.inf)
        w = nodes.windows
        self.windows = [
            (set(np.flatnonzero(w.members[w.group[k]]).tolist()), w.begin_s[k], w.end_s[k], w.account[k])
            for k in range(len(w.begin_s))
        ]
        self.usable, self.held = set(), []
        for node, holder in enumerate(nodes.holder.tolist()):
            closed = any(node in m and b <= self.now < e and a == -1 for m, b, e, a in self.windows)
            if holder >= 0 and nodes.free_at_s[node] < math.inf:
                here = [(nodes.free_at_s[node], self.g)]
            elif holder == -2 and nodes.free_gpus[node] + nodes.tenant_gpus[node].sum() == self.g:
                here = [(e, n) for e, n in zip(nodes.tenant_end_s[node], nodes.tenant_gpus[node], strict=True) if n]
            elif holder == -1 and (nodes.free_gpus[node] == self.g or closed):
                here = []
            else:
                continue
            self.usable.add(node)
            self.held += [(node, self.now, self.end(max(e, self.soon), 0.0), n) for e, n in here]

    def booked(self, skipped: int | None) -> list[tuple[int, float, float, int]]:
        """Return what is held or planned, one job left out."""
        return self.held + [
            (node, start, self.end(start, self.length[job]), self.gpus[job])
            for job, (start, nodes) in self.entered.items()
            if job != skipped
            for node in nodes
        ]

    def ask(self, job: int, node: int, start: float, end: float, booked: Any) -> tuple[bool, int, float]:
        """Return whether a job may be there between two times, GPUs free at first, and until when anybody may."""
        mine = [(b, e, n) for other, b, e, n in booked if other == node and e > start]
        kept = [(b, e, a) for members, b, e, a in self.windows if node in members and e > start]
        times = sorted({start, *(b for b, _, _ in mine if b > start), *(b for b, _, _ in kept if b > start)})
        free = {t: self.g - sum(n for b, e, n in mine if b <= t < e) for t in times}
        fits = node in self.usable and all(free[t] >= self.gpus[job] for t in times if t < end)
        fits &= all(a == self.account[job] for b, _, a in kept if b < end)
        everybodys = [t for t in times if free[t] < self.gpus[job] or any(b <= t < e for b, e, _ in kept)]
        return fits, free[start], min(everybodys, default=math.inf)

    def earliest(self, job: int, until: float, among: set[int] | None = None) -> tuple[float, list[int]] | None:
        booked, among = self.booked(job), self.usable if among is None else among
        moments = {self.now, *(e for _, _, e, _ in booked), *(e for _, _, e, _ in self.windows)}
        for start in sorted(t for t in moments if self.now <= t <= until and t < math.inf):
            answers = [
                (free, common, node)
                for node in sorted(among)
                for fits, free, common in [self.ask(job, node, start, self.end(start, self.length[job]), booked)]
                if fits
            ]
            if len(answers) >= self.nodes[job]:
                return start, [node for _, _, node in sorted(answers)[: self.nodes[job]]]
        return None

    def pass_over(self, view: Any, moves: bool) -> None:
        """Plan the queue."""
        self.look(view)
        q = view.queue
        queue = q.job.tolist()
        columns = (np.where(q.shares, q.gpus, self.g), q.nodes, q.requested_s, q.account)
        self.gpus, self.nodes, self.length, self.account = (
            dict(zip(queue, column.tolist(), strict=True)) for column in columns
        )
        before, self.entered, moves = self.plan, {}, moves or self.resolution_s > 0
        for job in [job for job in queue if job in before]:
            start, nodes = before[job]
            end, booked, until = self.end(start, self.length[job]), self.booked(None), self.now + self.window_s
            if start >= self.now and all(self.ask(job, node, start, end, booked)[0] for node in nodes):
                self.entered[job] = before[job]
            else:
                moves, found = True, self.earliest(job, until, set(nodes)) or self.earliest(job, until)
                self.entered |= {job: found} if found else {}
        for job in [job for job in queue if job in self.entered and moves]:
            found = self.earliest(job, self.entered[job][0])
            if found and found[0] < self.entered[job][0]:
                self.entered[job] = found
        for position, job in enumerate(queue):
            if job not in self.entered:
                found = self.earliest(job, self.now + (self.window_s if position < self.depth else 0.0))
                self.entered |= {job: found} if found else {}
        self.plan = self.entered


@dataclass(frozen=True)
class Compared:
    """Conservative backfilling whose every pass is compared with the reference."""

    policy: Conservative
    reference: Planner
    acts_always = True

    def remember(self) -> Memory:
        return self.policy.remember()

    def schedule(self, view: Any) -> Any:
        memory = view.memory
        moves = view.ended_early or view.capacity_gpus > memory.capacity_gpus
        decisions = self.policy.schedule(view)
        if not view.free_gpus:
            assert not decisions
            return decisions
        self.reference.pass_over(view, moves)
        plan = self.reference.plan
        jobs = view.queue.job.tolist()
        due = [job for job in jobs if job in plan and plan[job][0] <= view.now_s]
        starts = [decision for decision in decisions if isinstance(decision, Start)]
        assert [start.job for start in starts] == due[: len(starts)]
        assert len(starts) == len(due) or view.queue.shares[jobs.index(due[len(starts) - 1])]
        planned, place = memory.plan.profile.job, memory.plan.profile.place
        for job in jobs:
            nodes = place[planned[job].first : planned[job].first + planned[job].nodes]
            started = next((start for start in starts if start.job == job), None)
            if started is not None:
                assert set(nodes) == set(plan[job][1])
                assert not started.avoid[nodes].any()
                del plan[job]
            elif job in plan:
                assert (planned[job].start_s, set(nodes)) == (plan[job][0], set(plan[job][1]))
            else:
                assert math.isnan(planned[job].start_s)
        return decisions


@settings(max_examples=300, deadline=None)
@given(crowded(overruns=True), st.data())
def test_every_pass_plans_as_the_reference_does(parts: dict[str, Any], data: st.DataObject) -> None:
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
    depth = data.draw(st.sampled_from([1, 2, 5, "all", None]))
    window = data.draw(st.sampled_from([None, None, 5.0, 40.0]))
    resolution = data.draw(st.sampled_from([None, None, 2.0, 7.0]))
    policy = Conservative(depth=depth, window=window, resolution=resolution)
    if not (parts["jobs"].shares.any() or parts["windows"] or depth in (1, 2, 5) or window or resolution):
        policy = replace(policy, window=1e6)  # else it counts
    places = {None: 100, "all": math.inf}.get(depth, depth)
    reference = Planner(places, policy.window or math.inf, resolution or 0.0)
    settings_ = {name: parts[name] for name in ("windows", "placement")}
    base = world(parts["machine"], parts["jobs"], saves, kind, scheduling=Compared(policy, reference), **settings_)
    outcome = story(base, sorted((float(time_s), index, unit) for time_s, index, unit in strikes))
    assert set(outcome.tables["jobs"]["state"]) == {"completed"}
