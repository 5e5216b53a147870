"""Guarantees where jobs share nodes: a slow twin that looks at every second, and the nodes that jobs may then take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator.scheduling.boxes import Boxes, new_boxes
from simulator.scheduling.profile import Profile, new_profile
from simulator.scheduling.reservations import clear, no_reservations
from simulator.scheduling.shared_guarantees import PlannedJobs, RunningColumns, allowed_nodes, shared_guarantee_pass

LONG = 400
"""Seconds after which nothing is planned here."""


@dataclass(frozen=True)
class Job:
    gpus: int
    length: int
    shares: bool


@dataclass
class Span:
    """A job that is planned or runs, from the present or later."""

    job: int
    start: int
    end: int
    gpus: int
    has_begun: bool = False


@dataclass
class Box:
    born: int
    spans: list[Span] = field(default_factory=list)
    node: int | None = None

    def used(self, second: int) -> int:
        return sum(span.gpus for span in self.spans if span.start <= second < span.end)

    def begin(self) -> int:
        return min(span.start for span in self.spans)

    def end(self) -> int:
        return max(span.end for span in self.spans)

    def has_begun(self) -> bool:
        return self.node is not None


class Twin:
    """The plan, asked second by second."""

    def __init__(self, jobs: list[Job], g: int) -> None:
        self.g, self.jobs, self.now, self.level, self.born = g, jobs, 0, 0, 0
        self.whole: dict[int, Span] = {}
        self.boxes: list[Box] = []
        self.start = [math.nan] * len(jobs)
        self.holders: list[int] = []

    def empty(self, second: int) -> int:
        taken = sum(span.gpus // self.g for span in self.whole.values() if span.start <= second < span.end)
        return self.level - taken - sum(box.used(second) > 0 for box in self.boxes)

    def box_of(self, job: int) -> Box | None:
        return next((box for box in self.boxes if any(span.job == job for span in box.spans)), None)

    def span_of(self, job: int) -> Span | None:
        if job in self.whole:
            return self.whole[job]
        box = self.box_of(job)
        return next(span for span in box.spans if span.job == job) if box else None

    def new_box(self, span: Span, node: int | None = None) -> None:
        self.boxes.append(Box(self.born, [span], node))
        self.born += 1

    def take_out(self, job: int, span: Span | None = None) -> None:
        """Take a job, or one of its two places, out; let its box fall apart where nobody is in it any more."""
        if job in self.whole:
            del self.whole[job]
            return
        span = span or self.span_of(job)
        box = next(box for box in self.boxes if any(each is span for each in box.spans))
        box.spans = [each for each in box.spans if each is not span]
        pieces: list[Box] = []
        for each in sorted(box.spans, key=lambda each: (each.start, each.job)):
            if pieces and each.start <= pieces[-1].end():
                pieces[-1].spans.append(each)
            else:
                pieces.append(Box(box.born if not pieces else -1, [each]))
        if pieces and pieces[0].begin() == self.now:
            pieces[0].node = box.node
        for piece in pieces[1:]:
            piece.born, self.born = self.born, self.born + 1
        at = self.boxes.index(box)
        self.boxes[at : at + 1] = pieces

    def fits(self, box: Box, job: Job, start: int) -> bool:
        return all(
            box.used(second) + job.gpus <= self.g if second < box.end() else self.empty(second) >= 1
            for second in range(start, start + job.length)
        )

    def is_empty(self, start: int, length: int, nodes: int = 1) -> bool:
        return all(self.empty(second) >= nodes for second in range(start, start + length))

    def as_early_as_empty(self, second: int, nodes: int = 1) -> int:
        while second > self.now and self.empty(second - 1) >= nodes:
            second -= 1
        return second

    def place(self, j: int) -> float:
        return self.place_part(j) if self.jobs[j].shares else self.place_whole(j)

    def place_whole(self, j: int) -> float:
        job, old = self.jobs[j], self.whole.get(j)
        nodes = job.gpus // self.g
        limit = LONG if old is None else self.as_early_as_empty(old.start, nodes)
        found = [second for second in range(self.now, limit) if self.is_empty(second, job.length, nodes)]
        if old is None and not found:
            return math.inf
        start = found[0] if found else limit
        self.whole[j] = Span(j, start, start + job.length, job.gpus)
        return start

    def place_part(self, j: int) -> float:
        job, old, own = self.jobs[j], self.span_of(j), self.box_of(j)
        limit = LONG
        if old and own:
            limit = old.start
            while limit > own.begin() and own.used(limit - 1) + job.gpus <= self.g:
                limit -= 1
            if limit == own.begin() and not own.has_begun():
                limit = self.as_early_as_empty(limit)
        for second in range(self.now, limit):
            boxes = [box for box in self.boxes if box.used(second) and self.fits(box, job, second)]
            if boxes:
                box = min(boxes, key=lambda box: (-box.used(second), box.born))
                if second == box.begin() and not box.has_begun():
                    second = self.as_early_as_empty(second)
                box.spans.append(Span(j, second, second + job.length, job.gpus))
                break
            if self.is_empty(second, job.length):
                self.new_box(Span(j, second, second + job.length, job.gpus))
                break
        else:
            if not old or not own:
                return math.inf
            if limit == old.start:
                return limit
            second = limit
            span = Span(j, second, second + job.length, job.gpus)
            if span.end <= own.begin():
                self.new_box(span)
            else:
                own.spans.append(span)
        if old:
            self.take_out(j, old)
        return second

    def pass_over(
        self, now: int, level: int, running: list[tuple[int, int, int, int]], queue: list[int], compresses: bool
    ) -> bool:
        """Do what a pass does; return whether all had to be made anew."""
        ends = {job: end for job, _, end, _ in running}
        for j in queue:
            if math.isinf(self.start[j]):
                self.start[j] = math.nan
        is_kept = not any(self.start[j] < now for j in queue)
        if is_kept:
            self.give_up_what_changed(running, ends, queue)
            self.now, self.level = now, level
            for span in [*self.whole.values(), *(span for box in self.boxes for span in box.spans)]:
                span.start = max(span.start, now) if span.has_begun else span.start
            self.reserve_running(running, ends)
            is_kept = all(self.empty(second) >= 0 for second in range(now, LONG)) and all(
                box.used(second) <= self.g for box in self.boxes for second in range(now, LONG)
            )
        if not is_kept:
            self.now, self.level, self.born, self.whole, self.boxes = now, level, 0, {}, []
            for j in queue:
                self.start[j] = math.nan
            self.reserve_running(running, ends)
        elif compresses:
            for j in queue:
                if not math.isnan(self.start[j]):
                    before, self.start[j] = self.start[j], self.place(j)
                    assert self.start[j] <= before
        for j in queue:
            if math.isnan(self.start[j]):
                self.start[j] = self.place(j)
        self.holders = [*(job for job, *_ in running), *queue]
        return not is_kept

    def give_up_what_changed(
        self, running: list[tuple[int, int, int, int]], ends: dict[int, int], queue: list[int]
    ) -> None:
        stays = {j for j in queue if not math.isnan(self.start[j])}
        for j, gpus, _, node in running:
            span, box = self.span_of(j), self.box_of(j)
            if span and span.gpus == gpus and span.end == ends[j] and (span.has_begun or span.start == self.now):
                opens = box and not span.has_begun and box.node is None and box.begin() == self.now
                if box is None or box.node == node or opens:
                    stays.add(j)
        for j in self.holders:
            if self.span_of(j) and j not in stays:
                self.take_out(j)
        for j, _, _, node in running:
            span, box = self.span_of(j), self.box_of(j)
            if span is None or span.has_begun:
                continue
            if box:
                taken = any(other.node == node for other in self.boxes)
                if box.node is None and not taken and box.begin() == self.now:
                    box.node = node
                if box.node != node:
                    self.take_out(j)
                    continue
            span.has_begun = True

    def reserve_running(self, running: list[tuple[int, int, int, int]], ends: dict[int, int]) -> None:
        for j, gpus, _, node in running:
            if self.span_of(j):
                continue
            span = Span(j, self.now, ends[j], gpus, True)
            if node < 0:
                self.whole[j] = span
                continue
            box = next((box for box in self.boxes if box.node == node), None)
            if box:
                box.spans.append(span)
            else:
                self.new_box(span, node)


class Kernel:
    """The compiled pass, and its plan in plain terms."""

    def __init__(self, jobs: list[Job], nodes: int, g: int, block_steps: int) -> None:
        self.g = g
        self.jobs = PlannedJobs(
            np.array([job.gpus for job in jobs]),
            np.array([float(job.length) for job in jobs]),
            np.array([job.shares for job in jobs]),
            np.full(len(jobs), np.nan),
        )
        parts = self.jobs.gpus[self.jobs.shares]
        self.profile: Profile = new_profile(len(jobs), np.append(self.jobs.gpus[~self.jobs.shares], g), 1)
        self.boxes: Boxes = new_boxes(self.profile, len(parts), parts, nodes, g, block_steps)
        self.reservations = no_reservations(len(jobs))
        self.holders = np.empty(0, np.int64)
        clear(self.profile, 0.0, 0)

    def pass_over(
        self, now: int, level: int, running: list[tuple[int, int, int, int]], queue: list[int], compresses: bool
    ) -> bool:
        job, gpus, end, node = (np.array(column) for column in zip(*running, strict=True)) if running else [[]] * 4
        columns = RunningColumns(
            np.array(job, np.int64), np.array(gpus, np.int64), np.array(end, float), np.array(node, np.int64)
        )
        queue_job = np.array(queue, np.int64)
        is_anew = shared_guarantee_pass(
            self.profile, self.boxes, self.reservations, self.holders, float(now), level * self.g, columns, queue_job,
            self.jobs, compresses,
        )  # fmt: skip
        self.holders = np.concatenate((columns.job, queue_job))
        return bool(is_anew)

    def allowed(self, job: int, now: int, is_empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
        allowed = np.empty_like(is_empty)
        end_s = now + self.jobs.requested_s[job]
        allowed_nodes(self.profile, self.boxes, self.reservations[job], end_s, is_empty, allowed)
        return allowed

    def lie_together(self) -> set[tuple[int, frozenset[int]]]:
        """Return the jobs of every box and its node."""
        together: dict[int, set[int]] = {}
        for job in np.flatnonzero((self.reservations.last >= 0) & self.jobs.shares).tolist():
            together.setdefault(int(self.boxes.step[self.reservations[job].last].box), set()).add(job)
        return {(int(self.boxes.box[box].node), frozenset(jobs)) for box, jobs in together.items()}

    def check(self) -> None:
        """Assert that the lists are sound and that no bound is too low."""
        boxes, step = self.boxes, self.boxes.step
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
        for job in np.flatnonzero((self.reservations.last >= 0) & self.jobs.shares).tolist():
            b = int(step[self.reservations[job].last].box)
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
            assert self.profile.step[boxes.box[b].end].time_s == step[before].time_s
            begin = boxes.box[b].begin if boxes.box[b].begin >= 0 else self.profile.state[0].head
            assert self.profile.step[begin].time_s == step[first].time_s
            self.check_bounds(first)
        assert in_boxes == seen

    def check_bounds(self, first: int) -> None:
        boxes, step = self.boxes, self.boxes.step
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
                    while at >= 0 and self.profile.step[at].free >= self.g:
                        at = int(self.profile.step[at].after)
                    end_s = math.inf if at < 0 else float(self.profile.step[at].time_s)
                assert boxes.longest_s[grade, step[start].block] >= end_s - step[start].time_s


@settings(max_examples=250, deadline=None)
@given(st.integers(1, 5), st.sampled_from([2, 4, 4, 24]), st.integers(1, 30), st.integers(0, 10**9))
def test_passes_equal_the_twin(nodes: int, g: int, n_jobs: int, seed: int) -> None:
    """Jobs come, start where they may, end early, at their estimates or later; nodes are lost and come back."""
    rng = Random(seed)
    jobs = [
        Job(rng.randint(1, g - 1), rng.randint(1, 12), True)
        if rng.random() < 0.6
        else Job(g * rng.randint(1, nodes), rng.randint(1, 9), False)
        for _ in range(n_jobs)
    ]
    twin, kernel = Twin(jobs, g), Kernel(jobs, nodes, g, rng.choice([2, 4, 96]))
    coming, queue, now = list(range(n_jobs)), [], 0
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
        compresses = ended_early or came_back
        while True:
            whole = [(j, len(p) * g, end, -1) for j, (end, p) in sorted(runs.items()) if not jobs[j].shares]
            parts = [(p[0], j, end) for j, (end, p) in runs.items() if jobs[j].shares]
            running = whole + [(j, jobs[j].gpus, end, place) for place, j, end in sorted(parts)]
            level = nodes - len(out)
            was_anew = twin.pass_over(now, level, running, queue, compresses)
            assert kernel.pass_over(now, level, running, queue, compresses) == was_anew
            kernel.check()
            start_s = kernel.jobs.start_s
            assert start_s[queue].tolist() == [twin.start[j] for j in queue]
            together = {(-1 if b.node is None else b.node, frozenset(s.job for s in b.spans)) for b in twin.boxes}
            assert kernel.lie_together() == together
            compresses = False
            due = [j for j in queue if start_s[j] <= now]
            if not due:
                break
            for j in due:
                held = {place for _, places in runs.values() for place in places}
                is_empty = np.array([place not in held | out for place in range(nodes)])
                if jobs[j].shares:
                    allowed = kernel.allowed(j, now, is_empty)
                    place = rng.choice(np.flatnonzero(allowed).tolist())
                    used = sum(jobs[k].gpus for k, (_, p) in runs.items() if place in p)
                    assert used + jobs[j].gpus <= g
                    runs[j] = now + jobs[j].length, [place]
                else:
                    wanted = jobs[j].gpus // g
                    places = rng.sample(np.flatnonzero(is_empty).tolist(), wanted)
                    runs[j] = now + jobs[j].length, places
                queue.remove(j)
                start_s[j] = twin.start[j] = math.nan
                if jobs[j].shares:
                    break
        moments = [start_s[j] for j in queue if now < start_s[j] < math.inf]
        moments += [end for end, _ in runs.values() if end > now]
        if not coming and not queue and not runs:
            break
        ahead = int(min(moments, default=now + 1)) - now
        now += rng.choice([ahead, ahead, ahead, max(1, ahead // 2), *([ahead + 1] if not keeps_time else [])])
