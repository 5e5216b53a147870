"""Guarantees by node: a slow twin that looks at every second, and plain conservative backfilling on whole nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import job_table, machine, profile, world

from simulator import engine
from simulator.policies.scheduling.conservative import Conservative, Memory
from simulator.policies.scheduling.node_guarantees import NodeGuarantees, kinds_of, no_promises
from simulator.scheduling.node_guarantees import Promises, QueueColumns, node_guarantee_pass
from simulator.scheduling.node_plan import NodeColumns
from simulator.scheduling.windows import WindowColumns

G = 4
LAST = 150
"""A second by which everything planned here is over."""


@dataclass
class State:
    """Nodes as (holder, expected end) or lists of tenants (end, GPUs), windows as (begin, end, account, node)."""

    held: dict[int, int] = field(default_factory=dict)
    out: set[int] = field(default_factory=set)
    tenants: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    windows: list[tuple[int, int, int, int]] = field(default_factory=list)
    nodes: int = 0


@dataclass
class Job:
    nodes: int
    gpus: int
    shares: bool
    length: int
    account: int
    start: float = math.nan
    taken: dict[int, int] = field(default_factory=dict)  # nodes by kind
    box: int = -1


class Twin:
    """The plan at one moment, asked second by second."""

    def __init__(self, now: int, state: State, kind: list[int], jobs: list[Job]) -> None:
        self.now, self.state, self.kind, self.jobs = now, state, kind, jobs
        self.kinds = sorted(set(kind))

    def is_open(self, kind: int, second: int, account: int) -> bool:
        node = self.kind.index(kind)
        return all(
            not (place == node and begin <= second < end) or owner == account
            for begin, end, owner, place in self.state.windows
        )

    def is_there(self, node: int, second: int) -> bool:
        """Whether no whole job is on a node and it is in service."""
        if node in self.state.out:
            closed = [end for b, end, owner, n in self.state.windows if n == node and owner < 0 and b <= self.now < end]
            return bool(closed) and second >= closed[0]
        return second >= self.state.held.get(node, 0)

    def used(self, box: int, second: int) -> int:
        mine = [job.gpus for job in self.jobs if job.box == box and job.start <= second < job.start + job.length]
        there = self.state.tenants.get(box, [])
        return sum(mine) + sum(gpus for end, gpus in there if second < end)

    def kind_of(self, box: int) -> int:
        if box < self.state.nodes:
            return self.kind[box]
        return next(k for job in self.jobs if job.box == box for k in job.taken)

    def boxes(self) -> list[int]:
        return sorted(set(self.state.tenants) | {job.box for job in self.jobs if job.box >= 0})

    def empty(self, kind: int, second: int) -> int:
        there = sum(self.is_there(node, second) for node in range(self.state.nodes) if self.kind[node] == kind)
        whole = sum(
            job.taken.get(kind, 0) for job in self.jobs if job.box < 0 and job.start <= second < job.start + job.length
        )
        boxes = sum(self.used(box, second) > 0 and self.kind_of(box) == kind for box in self.boxes())
        return there - whole - boxes

    def room(self, kind: int, second: int, account: int) -> int:
        return self.empty(kind, second) if self.is_open(kind, second, account) else 0

    def holds(self) -> bool:
        seconds = range(self.now, LAST)
        return (
            all(math.isnan(job.start) or job.start >= self.now for job in self.jobs)
            and all(self.empty(kind, second) >= 0 for kind in self.kinds for second in seconds)
            and all(self.used(box, second) <= G for box in self.boxes() for second in seconds)
        )

    def order(self, second: int) -> list[int]:
        """Kinds in the order in which they are taken: by the begin of their next window."""

        def key(kind: int) -> float:
            node = self.kind.index(kind)
            mine = [(begin, end) for begin, end, _, place in self.state.windows if place == node]
            if any(begin <= second < end for begin, end in mine):
                return -math.inf
            return min((begin for begin, _ in mine if begin > second), default=math.inf)

        return sorted(self.kinds, key=key)

    def place(self, job: Job) -> None:
        job.start, job.taken, job.box = math.nan, {}, -1
        (self.place_part if job.shares else self.place_whole)(job)

    def place_whole(self, job: Job) -> None:
        for start in range(self.now, LAST):
            seconds = range(start, start + job.length)
            least = {k: min(self.room(k, second, job.account) for second in seconds) for k in self.kinds}
            if sum(least.values()) >= job.nodes:
                left = job.nodes
                for k in self.order(start):
                    if min(left, least[k]) > 0:
                        job.taken[k] = min(left, least[k])
                        left -= job.taken[k]
                job.start = start
                return
        job.start = math.inf

    def place_part(self, job: Job) -> None:
        """Take the fullest box that has room, else an empty node, else a box in which something lies only later."""
        for start in range(self.now, LAST):
            seconds = range(start, start + job.length)
            boxes = [box for box in self.boxes() if self.takes(box, job, seconds)]
            new = [k for k in self.order(start) if all(self.room(k, second, job.account) >= 1 for second in seconds)]
            most = max((self.used(box, start) for box in boxes), default=0)
            if new and most == 0:
                job.box = next(box for box in range(self.state.nodes, LAST) if box not in self.boxes())
                job.taken = {new[0]: 1}
            elif boxes:
                box = next(box for box in boxes if self.used(box, start) == most)
                job.taken, job.box = {self.kind_of(box): 1}, box
            if job.taken:
                job.start = start
                return
        job.start = math.inf

    def takes(self, box: int, job: Job, seconds: range) -> bool:
        kind = self.kind_of(box)
        return all(
            self.used(box, second) + job.gpus <= G and self.is_open(kind, second, job.account)
            if self.used(box, second) > 0
            else self.room(kind, second, job.account) >= 1
            for second in seconds
        )

    def pass_over(self, compresses: bool) -> bool:
        """Do what a pass does; return whether all had to be made anew."""
        for job in self.jobs:
            if math.isinf(job.start):
                job.start, job.taken, job.box = math.nan, {}, -1
        is_kept = self.holds()
        if not is_kept:
            for job in self.jobs:
                job.start, job.taken, job.box = math.nan, {}, -1
        elif compresses:
            for job in self.jobs:
                if not math.isnan(job.start):
                    before = job.start
                    self.place(job)
                    assert job.start <= before
        for job in self.jobs:
            if math.isnan(job.start):
                self.place(job)
        return not is_kept


def by_kernel(now: int, state: State, jobs: list[Job], before: Promises, compresses: bool) -> tuple[Promises, bool]:
    """Call the pass; return what it promises and whether all was made anew."""
    n = state.nodes
    holder, free, free_at = np.full(n, -1), np.full(n, G), np.zeros(n)
    t_end, t_gpus = np.zeros((n, G)), np.zeros((n, G), np.int64)
    for node, end in state.held.items():
        holder[node], free[node], free_at[node] = 7, 0, end
    for node in state.out:
        free[node], free_at[node] = 0, math.inf
    for node, tenants in state.tenants.items():
        holder[node] = -2
        for slot, (end, gpus) in enumerate(tenants):
            t_end[node, slot], t_gpus[node, slot] = end, gpus
        free[node] -= sum(gpus for _, gpus in tenants)
    columns = window_columns(state)
    queue = QueueColumns(
        np.array([job.nodes for job in jobs]), np.array([job.gpus for job in jobs]),
        np.array([job.shares for job in jobs]), np.array([float(job.length) for job in jobs]),
        np.array([job.account for job in jobs]),
    )  # fmt: skip
    nodes = NodeColumns(G, kinds_of(columns, n), holder, free, free_at, t_end, t_gpus, columns)
    promises = no_promises(len(jobs), before.taken.shape[1])
    for now_column, column in zip(promises, before, strict=True):
        now_column[: len(column)] = column
    is_anew = node_guarantee_pass(float(now), nodes, queue, promises, compresses)[3]
    return promises, is_anew


def window_columns(state: State) -> WindowColumns:
    begin, end, account, place = zip(*sorted(state.windows), strict=True) if state.windows else ((), (), (), ())
    return WindowColumns(
        np.array(begin, dtype=float), np.array(end, dtype=float), np.array(account, dtype=np.int64),
        np.array(place, dtype=np.int64), np.eye(state.nodes, dtype=np.bool_),
    )  # fmt: skip


NOW = 10


@st.composite
def states(draw: st.DrawFn) -> State:
    state = State(nodes=draw(st.integers(1, 5)))
    for node in range(state.nodes):
        kind = draw(st.sampled_from(["free", "whole", "out", "parts", "parts"]))
        if kind == "out":
            state.out.add(node)
        elif kind == "whole":
            state.held[node] = NOW + draw(st.integers(2, 9))
        elif kind == "parts":
            sizes = draw(st.sampled_from([[1], [2], [3], [1, 1], [2, 2], [1, 2], [3, 1], [1, 1, 1, 1]]))
            state.tenants[node] = [(NOW + draw(st.integers(2, 9)), gpus) for gpus in sizes]
        begin = NOW + draw(st.integers(-3, 12))
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
            end = begin + draw(st.integers(3, 8))
            state.windows.append((begin, end, draw(st.integers(-1, 1)), node))
            begin = end + draw(st.integers(0, 6))
    return state


@st.composite
def queues(draw: st.DrawFn, nodes: int) -> list[Job]:
    jobs = []
    for _ in range(draw(st.integers(1, 8))):
        shares = draw(st.booleans())
        count = 1 if shares else draw(st.integers(1, nodes))
        gpus = draw(st.integers(1, G - 1)) if shares else count * G
        jobs.append(Job(count, gpus, shares, draw(st.integers(1, 8)), draw(st.integers(0, 1))))
    return jobs


def assert_equal(jobs: list[Job], promises: Promises) -> None:
    assert promises.start_s.tolist() == [job.start for job in jobs]
    assert promises.box.tolist() == [job.box for job in jobs]
    for job, taken in zip(jobs, promises.taken.tolist(), strict=True):
        assert taken == [job.taken.get(kind, 0) for kind in range(len(taken))]


@settings(max_examples=300, deadline=None)
@given(st.data(), states())
def test_passes_equal_the_twin(data: st.DataObject, state: State) -> None:
    """All guarantees are given; then some of what runs ends early, nodes are lost, time goes on, and more come."""
    jobs = data.draw(queues(state.nodes))
    kind = kinds_of(window_columns(state), state.nodes).tolist()
    Twin(NOW, state, kind, jobs).pass_over(False)
    promises, _ = by_kernel(NOW, state, jobs, no_promises(0, max(kind) + 1), False)
    assert_equal(jobs, promises)

    now = NOW + data.draw(st.sampled_from([0, 0, 1]))
    compresses = data.draw(st.booleans())
    for node in [node for node in state.held if data.draw(st.booleans())]:
        del state.held[node]
        if data.draw(st.sampled_from([False, False, True])):
            state.out.add(node)
    for node, tenants in list(state.tenants.items()):
        state.tenants[node] = tenants[data.draw(st.integers(0, len(tenants))) :]
        if not state.tenants[node]:
            del state.tenants[node]
            fresh = max([state.nodes, *(job.box + 1 for job in jobs)])
            for job in jobs:
                job.box = fresh if job.box == node else job.box
    boxes = sorted({job.box for job in jobs if job.box >= state.nodes})
    for job in jobs:
        job.box = state.nodes + boxes.index(job.box) if job.box >= state.nodes else job.box
    promises = promises._replace(box=np.array([job.box for job in jobs]))
    jobs += data.draw(queues(state.nodes))
    was_anew = Twin(now, state, kind, jobs).pass_over(compresses)
    promises, is_anew = by_kernel(now, state, jobs, promises, compresses)
    assert is_anew == was_anew
    assert_equal(jobs, promises)


# --- whole nodes that nobody has a claim on --------------------------------------------------------------------------


@dataclass(frozen=True)
class ByNode(Conservative):
    """Conservative backfilling that plans by node where counting would do."""

    def remember(self) -> Memory:
        return Memory(guarantees=NodeGuarantees())


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
    return job_table(sizes, work_s.tolist(), submit_s, requested_s=np.maximum(work_s + slack_s, 1.0), gpus_per_node=G)


@settings(max_examples=200, deadline=None)
@given(whole())
def test_whole_nodes_start_at_the_second_at_which_counting_starts_them(jobs: Any) -> None:
    starts = []
    for policy in (Conservative(), ByNode()):
        outcome = engine.run(world(machine(8, G), jobs, profile(), scheduling=policy))
        starts.append(outcome.tables["jobs"]["start_s"].tolist())
    assert starts[0] == starts[1]
