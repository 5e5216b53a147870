"""Guarantees by node as a slow program has them that looks at every second: the twin of the compiled pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LONG = 600
"""Seconds after which nothing is planned here."""


@dataclass(frozen=True)
class Job:
    gpus: int
    length: int
    shares: bool
    account: int


@dataclass(frozen=True)
class Window:
    begin: int
    end: int
    account: int
    nodes: frozenset[int]


@dataclass
class Span:
    """A job that is planned or runs, from the present or later."""

    job: int
    start: int
    end: int
    gpus: int
    has_begun: bool = False
    taken: dict[int, int] = field(default_factory=dict)  # nodes of every kind, for a job for whole ones


@dataclass
class Box:
    born: int
    kind: int
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


@dataclass(frozen=True)
class Running:
    job: int
    gpus: int
    end: int
    places: list[int]
    shares: bool


class Twin:
    """The plan, asked second by second."""

    def __init__(self, jobs: list[Job], g: int, windows: list[Window], nodes: int) -> None:
        self.g, self.jobs, self.now, self.born, self.nodes = g, jobs, 0, 0, nodes
        self.level: dict[int, int] = {}
        self.whole: dict[int, Span] = {}
        self.boxes: list[Box] = []
        self.start = [math.nan] * len(jobs)
        self.holders: list[int] = []
        self.keep(windows)

    def keep(self, windows: list[Window]) -> dict[int, int]:
        """Number the kinds of nodes, in order of the windows they lie in; return the new number of every old one."""
        before = getattr(self, "kind", None)
        self.windows = windows
        self.memo: dict[tuple[int, int], list[int]] = {}
        groups = list(dict.fromkeys(window.nodes for window in windows))
        lies_in = [tuple(node in group for group in groups) for node in range(self.nodes)]
        order = sorted(set(lies_in))
        self.kind = [order.index(each) for each in lies_in]
        self.kinds = range(len(order))
        return dict(zip(before, self.kind, strict=True)) if before else {}

    def merge(self, new: dict[int, int]) -> None:
        """Do what happens when a plan is laid out again: the oldest box is the one that begins first."""
        for span in self.whole.values():
            taken = span.taken
            span.taken = {}
            for kind, nodes in taken.items():
                span.taken[new[kind]] = span.taken.get(new[kind], 0) + nodes
        self.boxes.sort(key=lambda box: min((span.start if not span.has_begun else -1, span.job) for span in box.spans))
        for born, box in enumerate(self.boxes):
            box.born, box.kind = born, new[box.kind]
        self.born = len(self.boxes)

    def is_open(self, kind: int, second: int, account: int) -> bool:
        node = self.kind.index(kind)
        return all(
            node not in window.nodes or not window.begin <= second < window.end or window.account == account
            for window in self.windows
        )

    def alike(self, kind: int, second: int) -> list[int]:
        """Return the kinds that lie in the same windows from a second on."""

        def left(kind: int) -> list[tuple[int, int, int]]:
            node = self.kind.index(kind)
            return [(w.begin, w.end, w.account) for w in self.windows if node in w.nodes and w.end > second]

        if (kind, second) not in self.memo:
            self.memo[kind, second] = [other for other in self.kinds if left(other) == left(kind)]
        return self.memo[kind, second]

    def empty(self, kind: int, second: int) -> int:
        kinds = self.alike(kind, second)
        there = sum(self.level.get(each, 0) for each in kinds)
        for span in self.whole.values():
            if span.start <= second < span.end:
                there -= sum(span.taken.get(each, 0) for each in kinds)
        return there - sum(box.kind in kinds and box.used(second) > 0 for box in self.boxes)

    def room(self, kind: int, second: int, account: int) -> int:
        return self.empty(kind, second) if self.is_open(kind, second, account) else 0

    def share_out(self, nodes: int, start: int, length: int, account: int) -> dict[int, int]:
        """Return what a job takes of every kind, in that order; too few where there are not enough."""
        taken: dict[int, int] = {}
        rooms = {(k, s): self.room(k, s, account) for k in self.kinds for s in range(start, start + length)}
        for k in self.order(start):
            most = nodes - sum(taken.values())
            for second in range(start, start + length):
                used = sum(taken.get(each, 0) for each in self.alike(k, second))
                most = min(most, rooms[k, second] - used)
            if most > 0:
                taken[k] = most
        return taken

    def order(self, second: int) -> list[int]:
        """Kinds in the order in which they are taken: by the begins of their windows, one after the other."""

        def key(kind: int) -> list[float]:
            node = self.kind.index(kind)
            ahead = [window.begin for window in self.windows if node in window.nodes and window.end > second]
            return [*sorted(max(begin, second) for begin in ahead), math.inf]

        return sorted(self.kinds, key=key)

    def box_of(self, job: int) -> Box | None:
        return next((box for box in self.boxes if any(span.job == job for span in box.spans)), None)

    def span_of(self, job: int) -> Span | None:
        if job in self.whole:
            return self.whole[job]
        box = self.box_of(job)
        return next(span for span in box.spans if span.job == job) if box else None

    def new_box(self, span: Span, kind: int, node: int | None = None) -> None:
        self.boxes.append(Box(self.born, kind, [span], node))
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
                pieces.append(Box(box.born if not pieces else -1, box.kind, [each]))
        if pieces and pieces[0].begin() == self.now:
            pieces[0].node = box.node
        for piece in pieces[1:]:
            piece.born, self.born = self.born, self.born + 1
        at = self.boxes.index(box)
        self.boxes[at : at + 1] = pieces

    def fits(self, box: Box, job: Job, start: int) -> bool:
        return all(
            self.is_open(box.kind, second, job.account)
            and (box.used(second) + job.gpus <= self.g if second < box.end() else self.empty(box.kind, second) >= 1)
            for second in range(start, start + job.length)
        )

    def as_early_as_open(self, second: int, account: int, taken: dict[int, int]) -> int:
        while second > self.now and all(self.room(k, second - 1, account) >= n for k, n in taken.items()):
            second -= 1
        return second

    def place(self, j: int) -> float:
        return self.place_part(j) if self.jobs[j].shares else self.place_whole(j)

    def place_whole(self, j: int) -> float:
        job, old = self.jobs[j], self.whole.get(j)
        nodes, limit = job.gpus // self.g, LONG
        if old:
            limit = self.as_early_as_open(old.start, job.account, old.taken)
        for start in range(self.now, limit):
            taken = self.share_out(nodes, start, job.length, job.account)
            if sum(taken.values()) == nodes:
                self.whole[j] = Span(j, start, start + job.length, job.gpus, False, taken)
                return start
        if not old:
            return math.inf
        self.whole[j] = Span(j, limit, limit + job.length, job.gpus, False, old.taken)
        return limit

    def place_part(self, j: int) -> float:
        job, old, own = self.jobs[j], self.span_of(j), self.box_of(j)
        limit = LONG
        if old and own:
            limit = old.start
            while (
                limit > own.begin()
                and own.used(limit - 1) + job.gpus <= self.g
                and self.is_open(own.kind, limit - 1, job.account)
            ):
                limit -= 1
            if limit == own.begin() and not own.has_begun():
                limit = self.as_early_as_open(limit, job.account, {own.kind: 1})
        for second in range(self.now, limit):
            boxes = [box for box in self.boxes if box.used(second) and self.fits(box, job, second)]
            if boxes:
                box = min(boxes, key=lambda box: (-box.used(second), box.born))
                if second == box.begin() and not box.has_begun():
                    second = self.as_early_as_open(second, job.account, {box.kind: 1})
                box.spans.append(Span(j, second, second + job.length, job.gpus))
                break
            new = self.share_out(1, second, job.length, job.account)
            if new:
                self.new_box(Span(j, second, second + job.length, job.gpus), next(iter(new)))
                break
        else:
            if not old or not own:
                return math.inf
            if limit == old.start:
                return limit
            second = limit
            span = Span(j, second, second + job.length, job.gpus)
            if span.end <= own.begin():
                self.new_box(span, own.kind)
            else:
                own.spans.append(span)
        if old:
            self.take_out(j, old)
        return second

    def pass_over(
        self, now: int, level: dict[int, int], running: list[Running], queue: list[int], compresses: bool
    ) -> bool:
        """Do what a pass does; return whether all had to be made anew."""
        for j in queue:
            if math.isinf(self.start[j]):
                self.start[j] = math.nan
        is_kept = not any(self.start[j] < now for j in queue)
        if is_kept:
            self.give_up_what_changed(running, queue)
            self.now, self.level = now, level
            for span in [*self.whole.values(), *(span for box in self.boxes for span in box.spans)]:
                span.start = max(span.start, now) if span.has_begun else span.start
            self.reserve_running(running)
            is_kept = all(self.empty(kind, second) >= 0 for kind in self.kinds for second in range(now, LONG)) and all(
                box.used(second) <= self.g for box in self.boxes for second in range(now, LONG)
            )
        if not is_kept:
            self.now, self.level, self.born, self.whole, self.boxes = now, level, 0, {}, []
            for j in queue:
                self.start[j] = math.nan
            self.reserve_running(running)
        elif compresses:
            for j in queue:
                if not math.isnan(self.start[j]):
                    before, self.start[j] = self.start[j], self.place(j)
                    assert self.start[j] <= before
        for j in queue:
            if math.isnan(self.start[j]):
                self.start[j] = self.place(j)
        self.holders = [*(each.job for each in running), *queue]
        return not is_kept

    def held(self, each: Running) -> dict[int, int]:
        """Return the nodes of every kind that a job for whole ones holds."""
        kinds = [self.kind[place] for place in each.places]
        return {kind: kinds.count(kind) for kind in set(kinds)}

    def give_up_what_changed(self, running: list[Running], queue: list[int]) -> None:
        stays = {j for j in queue if not math.isnan(self.start[j])}
        for each in running:
            span, box = self.span_of(each.job), self.box_of(each.job)
            if not span or span.end != each.end or not (span.has_begun or span.start == self.now):
                continue
            if not box:
                is_kept = span.taken == self.held(each)
            else:
                node = each.places[0]
                opens = not span.has_begun and box.node is None and box.begin() == self.now
                is_kept = box.node == node or (opens and box.kind == self.kind[node])
            if is_kept:
                stays.add(each.job)
        for j in self.holders:
            if self.span_of(j) and j not in stays:
                self.take_out(j)
        for each in running:
            span, box, node = self.span_of(each.job), self.box_of(each.job), each.places[0]
            if span is None or span.has_begun:
                continue
            if box:
                taken = any(other.node == node for other in self.boxes)
                if box.node is None and not taken and box.begin() == self.now and box.kind == self.kind[node]:
                    box.node = node
                if box.node != node:
                    self.take_out(each.job)
                    continue
            span.has_begun = True

    def reserve_running(self, running: list[Running]) -> None:
        for each in running:
            if self.span_of(each.job):
                continue
            span = Span(each.job, self.now, each.end, each.gpus, True)
            if not each.shares:
                span.taken = self.held(each)
                self.whole[each.job] = span
                continue
            node = each.places[0]
            box = next((box for box in self.boxes if box.node == node), None)
            if box:
                box.spans.append(span)
            else:
                self.new_box(span, self.kind[node], node)
