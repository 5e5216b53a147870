"""Guarantees by node: a slow twin that looks at every second, and plain conservative backfilling on whole nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from guarantee_twin import Job, Running, Twin, Window
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from worlds import job_table, machine, profile, world

from simulator import engine
from simulator.policies.decisions import Start
from simulator.policies.scheduling import node_guarantees
from simulator.policies.scheduling.conservative import Conservative, Memory
from simulator.policies.scheduling.node_guarantees import NodeGuarantees
from simulator.policies.views import NodesView, QueuedJobs
from simulator.scheduling.boxes import new_boxes
from simulator.scheduling.kinds import alike, empty_of, room
from simulator.scheduling.profile import new_profile
from simulator.scheduling.windows import NOBODY, WindowColumns
from simulator.telemetry.submissions import submissions


class Kernel:
    """What conservative backfilling remembers, and its plan in plain terms."""

    def __init__(self, jobs: list[Job], nodes: int, g: int) -> None:
        self.g, self.jobs, self.nodes = g, jobs, nodes
        table = job_table(
            [1 if job.shares else job.gpus // g for job in jobs],
            [float(job.length) for job in jobs],
            gpus=np.array([job.gpus for job in jobs]),
            shares=np.array([job.shares for job in jobs]),
            requested_s=np.array([float(job.length) for job in jobs]),
            account=np.array(["abc"[job.account] for job in jobs], dtype=object),
            gpus_per_node=g,
        )
        self.known = submissions(table, g)
        self.kept: NodeGuarantees | None = None

    def view(self, now: int, runs: list[Running], out: set[int], windows: list[Window], queue: list[int]) -> Any:
        n, g = self.nodes, self.g
        numbers = {"abc".index(name): number for number, name in enumerate(self.known.accounts)}
        groups = list(dict.fromkeys(window.nodes for window in windows))
        # What an account without a job has reserved is kept from all the same.
        account = [
            window.account if window.account == NOBODY else numbers.get(window.account, NOBODY) for window in windows
        ]
        columns = WindowColumns(
            np.array([float(window.begin) for window in windows]), np.array([float(window.end) for window in windows]),
            np.array(account, np.int64), np.array([groups.index(window.nodes) for window in windows], np.int64),
            np.array([[node in group for node in range(n)] for group in groups], np.bool_).reshape(len(groups), n),
        )  # fmt: skip
        free, free_at, holder = np.full(n, g), np.zeros(n), np.full(n, -1)
        t_end, t_gpus, t_job = np.zeros((n, g)), np.zeros((n, g), np.int64), np.full((n, g), -1)
        for each in runs:
            for node in each.places:
                if not each.shares:
                    holder[node], free[node], free_at[node] = each.job, 0, each.end
                    continue
                slot = int(np.argmin(t_gpus[node]))
                holder[node], free[node] = -2, free[node] - each.gpus
                t_end[node, slot], t_gpus[node, slot], t_job[node, slot] = each.end, each.gpus, each.job
        for node in range(n):
            if node in out or (holder[node] == -1 and in_maintenance(node, now, windows)):
                free[node], free_at[node] = 0, math.inf
        nodes = NodesView(g, free, free_at, holder, t_end, t_gpus, t_job, columns)
        waiting = np.array(queue, np.int64)
        queued = QueuedJobs(self.known, waiting, self.known.gpus[waiting], self.known.requested_s[waiting], {})
        return SimpleNamespace(now_s=float(now), nodes=nodes, queue=queued)

    def pass_over(self, view: Any, compresses: bool) -> list[Start]:
        if self.kept is None:
            self.kept = NodeGuarantees(self.known, view.nodes, view.now_s)
        return [each for each in self.kept.pass_over(view, compresses) if isinstance(each, Start)]

    @property
    def start_s(self) -> NDArray[np.float64]:
        assert self.kept is not None
        return self.kept.start_s

    def lie_together(self) -> set[tuple[int, int, frozenset[int]]]:
        """Return the node, the kind and the jobs of every box."""
        plan, together = self.kept.plan, {}
        for job in np.flatnonzero((plan.reservations.last >= 0) & self.known.shares).tolist():
            together.setdefault(int(plan.boxes.step[plan.reservations[job].last].box), set()).add(job)
        box = plan.boxes.box
        return {(int(box[b].node), int(box[b].kind), frozenset(jobs)) for b, jobs in together.items()}

    def taken(self) -> dict[int, dict[int, int]]:
        """Return the nodes of every kind of each job for whole ones."""
        plan = self.kept.plan
        found = {}
        for job in np.flatnonzero((plan.reservations.last >= 0) & ~self.known.shares).tolist():
            row = plan.taken[job].tolist() or [int(plan.reservations[job].nodes)]
            found[job] = {kind: gpus // self.g for kind, gpus in enumerate(row) if gpus}
        return found

    def check(self) -> None:
        """Assert that the lists are sound and that no bound is too low."""
        profile, boxes = self.kept.plan.profile, self.kept.plan.boxes
        step = boxes.step
        self.check_profile()
        seen = 0
        for place in range(boxes.state[0].blocks):
            at = boxes.order[place]
            x, count = boxes.block[at].first, 0
            while x >= 0:
                assert step[x].block == at
                assert place == 0 or step[x].time_s >= boxes.block[at].begin_s
                count, x = count + 1, step[x].next
            assert count == boxes.block[at].steps
            seen += count
        in_boxes, first_of = 0, {}
        for job in np.flatnonzero((self.kept.plan.reservations.last >= 0) & self.known.shares).tolist():
            b = int(step[self.kept.plan.reservations[job].last].box)
            first_of[b] = int(boxes.box[b].first)
        for b, first in first_of.items():
            x, before = first, -1
            while x >= 0:
                in_boxes += 1
                assert step[x].box == b
                assert step[x].before == before
                assert (step[x].used == 0) == (step[x].after < 0)
                assert before < 0 or step[x].time_s > step[before].time_s
                before, x = x, int(step[x].after)
            assert boxes.box[b].last == before
            assert profile.step[boxes.box[b].end].time_s == step[before].time_s
            begin = boxes.box[b].begin if boxes.box[b].begin >= 0 else profile.state[0].head
            assert profile.step[begin].time_s == step[first].time_s
            self.check_bounds(first)
        assert in_boxes == seen

    def steps(self) -> Iterator[int]:
        at = int(self.kept.plan.profile.state[0].head)
        while at >= 0:
            yield at
            at = int(self.kept.plan.profile.step[at].after)

    def check_profile(self) -> None:
        """Each claimant's column is the sum of what is open to it, and no stretch in it is longer than its bound."""
        profile, kinds = self.kept.plan.profile, self.kept.plan.taken.shape[1]
        for claimant in range(profile.longest_s.shape[0]):
            free = [int(profile.free[at, claimant]) for at in self.steps()]
            assert not kinds or free == [
                sum(room(profile, at, kind, claimant) for kind in range(kinds) if alike(profile, at, kind) == kind)
                for at in self.steps()
            ]
            for grade, nodes in enumerate(profile.grade_nodes):
                start = None
                for at, count in [*zip(self.steps(), free, strict=True), (-1, -1)]:
                    time_s = profile.step[at].time_s if at >= 0 else math.inf
                    if count >= nodes and start is None:
                        start = time_s, profile.step[at].block
                    elif count < nodes and start is not None:
                        assert profile.longest_s[claimant, grade, start[1]] >= time_s - start[0]
                        start = None

    def check_bounds(self, first: int) -> None:
        profile, boxes = self.kept.plan.profile, self.kept.plan.boxes
        step, kind = boxes.step, boxes.box[boxes.step[first].box].kind
        for grade, gpus in enumerate(boxes.grade_gpus.tolist()):
            x = first
            while step[x].after >= 0:
                start = x
                while step[x].after >= 0 and self.g - step[x].used >= gpus:
                    x = int(step[x].after)
                if x == start:
                    x = int(step[x].after)
                    continue
                end_s = float(step[x].time_s)
                if step[x].after < 0:
                    at = int(boxes.box[step[x].box].end)
                    while at >= 0 and empty_of(profile, at, kind) >= self.g:
                        at = int(profile.step[at].after)
                    end_s = math.inf if at < 0 else float(profile.step[at].time_s)
                assert boxes.longest_s[grade, step[start].block] >= end_s - step[start].time_s


def in_maintenance(node: int, now: int, windows: list[Window]) -> bool:
    return any(w.account == NOBODY and node in w.nodes and w.begin <= now < w.end for w in windows)


def some_windows(rng: Random, nodes: int) -> list[Window]:
    """Return windows by begin; those of a node do not overlap."""
    found: list[Window] = []
    groups = [frozenset(rng.sample(range(nodes), rng.randint(1, nodes))) for _ in range(rng.randint(1, 3))]
    for _ in range(rng.choice([0, 0, 1, 3, 6])):
        begin, group = rng.randint(0, 60), rng.choice(groups)
        new = Window(begin, begin + rng.choice([1, 5, 20]), rng.choice([NOBODY, 0, 1, 2]), group)
        if not any(new.begin < w.end and w.begin < new.end and new.nodes & w.nodes for w in found):
            found.append(new)
    return sorted(found, key=lambda window: window.begin)


@settings(max_examples=250, deadline=None)
@given(st.integers(1, 5), st.sampled_from([2, 4, 4, 24]), st.integers(1, 30), st.integers(0, 10**9))
def test_passes_equal_the_twin(nodes: int, g: int, n_jobs: int, seed: int) -> None:
    """Jobs come, start where they may, end early, at their estimates or later; nodes are lost and come back."""
    rng = Random(seed)
    jobs = [
        Job(rng.randint(1, g - 1), rng.randint(1, 12), True, rng.randint(0, 2))
        if rng.random() < 0.6
        else Job(g * rng.randint(1, nodes), rng.randint(1, 9), False, rng.randint(0, 2))
        for _ in range(n_jobs)
    ]
    owners = {job.account for job in jobs} | {NOBODY}
    windows = [window for window in some_windows(rng, nodes) if window.account in owners]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_guarantees, "new_boxes", partial(new_boxes, block_steps=rng.choice([2, 4, 96])))
        patch.setattr(node_guarantees, "new_profile", partial(new_profile, fewest_steps=1))
        patch.setattr(node_guarantees, "FEWEST_RESERVATIONS", nodes * g + rng.choice([1, 3, 100]))
        seen: list[bool] = []
        plain = node_guarantees.node_guarantee_pass
        patch.setattr(node_guarantees, "node_guarantee_pass", lambda *a: seen.append(bool(plain(*a))))
        live(rng, jobs, g, nodes, windows, seen)


def live(rng: Random, jobs: list[Job], g: int, nodes: int, windows: list[Window], seen: list[bool]) -> None:
    twin, kernel = Twin(jobs, g, windows, nodes), Kernel(jobs, nodes, g)
    coming, queue, now = list(range(len(jobs))), [], 0
    out: set[int] = set()
    runs: dict[int, tuple[int, list[int]]] = {}
    keeps_time, loses_nodes = rng.random() < 0.8, rng.random() < 0.3
    for _ in range(60):
        ended_early = came_back = False
        for j, (end, places) in list(runs.items()):
            if end > now and rng.random() < 0.15:
                ended_early = True
                del runs[j]
                if rng.random() < 0.1:
                    queue.append(j)
                    queue.sort()
                elif loses_nodes and rng.random() < 0.3:
                    out |= set(places) - {place for _, others in runs.values() for place in others}
            elif end <= now and (keeps_time or rng.random() < 0.7):
                del runs[j]
            elif end <= now:
                runs[j] = now + rng.randint(1, 3), places
        if out and rng.random() < 0.3:
            out.remove(rng.choice(sorted(out)))
            came_back = True
        for _ in range(rng.choice([0, 0, 1, 1, 3, 8])):
            if coming:
                queue.append(coming.pop(0))
        queue.sort()
        windows = [window for window in windows if window.end > now]
        compresses = ended_early or came_back
        for _ in range(3 * len(jobs) + 3):
            whole = [
                Running(j, len(p) * g, end, p, False) for j, (end, p) in sorted(runs.items()) if not jobs[j].shares
            ]
            parts = [Running(j, jobs[j].gpus, end, p, True) for j, (end, p) in runs.items() if jobs[j].shares]
            running = whole + sorted(parts, key=lambda each: each.places[0])
            view = kernel.view(now, running, out, windows, queue)
            before = kernel.kept and kernel.kept.plan
            starts = kernel.pass_over(view, compresses)
            new = twin.keep(windows)
            if before is not None and before.profile is not kernel.kept.plan.profile:
                twin.merge(new)
            assert kernel.kept.plan.kind.tolist() == twin.kind
            level = dict.fromkeys(twin.kinds, 0)
            for node in range(nodes):
                idle = all(node not in p for _, p in runs.values())
                level[twin.kind[node]] += node not in out or (idle and in_maintenance(node, now, windows))
            was_anew = twin.pass_over(now, level, running, queue, compresses)
            assert seen[-1] == was_anew
            kernel.check()
            due = [j for j in queue if twin.start[j] <= now]
            started = [each.job for each in starts]
            assert started == due[: len(started)]
            expected = [math.nan if j in started else float(twin.start[j]) for j in queue]
            assert str(kernel.start_s[queue].tolist()) == str(expected)
            assert kernel.lie_together() == {
                (-1 if b.node is None else b.node, b.kind, frozenset(s.job for s in b.spans)) for b in twin.boxes
            }
            assert kernel.taken() == {j: span.taken for j, span in twin.whole.items()}
            compresses = False
            if not due:
                break
            assert started, "somebody is due"
            for each in starts:
                j, allowed = each.job, np.flatnonzero(~each.avoid).tolist()
                held = {place for k, (_, places) in runs.items() for place in places if not jobs[k].shares}
                if jobs[j].shares:
                    place = rng.choice([node for node in allowed if node not in held])
                    used = sum(jobs[k].gpus for k, (_, p) in runs.items() if place in p)
                    assert used + jobs[j].gpus <= g
                    runs[j] = now + jobs[j].length, [place]
                else:
                    empty = [node for node in allowed if node not in held]
                    runs[j] = now + jobs[j].length, rng.sample(empty, jobs[j].gpus // g)
                for place in runs[j][1]:
                    for second in range(now, now + jobs[j].length):
                        assert twin.is_open(twin.kind[place], second, jobs[j].account)
                queue.remove(j)
                twin.start[j] = math.nan
        else:
            pytest.fail("somebody who is due never starts")
        moments = [twin.start[j] for j in queue if now < twin.start[j] < math.inf]
        moments += [end for end, _ in runs.values() if end > now]
        if not coming and not queue and not runs:
            break
        ahead = int(min(moments, default=now + 1)) - now
        now += rng.choice([ahead, ahead, ahead, max(1, ahead // 2), *([ahead + 1] if not keeps_time else [])])


# --- whole nodes that nobody has a claim on --------------------------------------------------------------------------


@dataclass(frozen=True)
class ByNode(Conservative):
    """Conservative backfilling that plans by node where counting would do."""

    def schedule(self, view: Any) -> Any:
        memory = view.memory
        assert isinstance(memory, Memory)
        if memory.guarantees is None:
            memory.guarantees = NodeGuarantees(view.queue.known, view.nodes, view.now_s)
        return super().schedule(view)


@st.composite
def whole(draw: st.DrawFn) -> Any:
    """Return jobs for whole nodes, which may outlive their estimates."""
    n = draw(st.integers(1, 30))

    def each(strategy: Any) -> Any:
        return draw(st.lists(strategy, min_size=n, max_size=n))

    work_s = np.array(each(st.integers(1, 12)), dtype=float)
    slack_s = np.array(each(st.sampled_from([0, 0, 1, 3, 10, *([-3] if draw(st.booleans()) else [])])), dtype=float)
    sizes = each(st.one_of(st.integers(1, 3), st.integers(1, 8)))
    submit_s = sorted(float(second) for second in each(st.integers(0, 40)))
    return job_table(sizes, work_s.tolist(), submit_s, requested_s=np.maximum(work_s + slack_s, 1.0), gpus_per_node=4)


@settings(max_examples=200, deadline=None)
@given(whole())
def test_whole_nodes_start_at_the_second_at_which_counting_starts_them(jobs: Any) -> None:
    starts = []
    for policy in (Conservative(), ByNode()):
        outcome = engine.run(world(machine(8, 4), jobs, profile(), scheduling=policy))
        starts.append(outcome.tables["jobs"]["start_s"].tolist())
    assert starts[0] == starts[1]
