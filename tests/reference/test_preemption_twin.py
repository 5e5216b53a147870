"""Whom to preempt: the kernel against the rule written down with lists, on nodes held whole and shared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.scheduling.preemption import fewest_preempted, freed_by

PER_NODE = 4


@dataclass
class Node:
    """A node: who has how much of it, how much is free, and whether the waiting job may use it."""

    held: dict[int, int]
    free: int
    is_open: bool


@st.composite
def machines(draw: st.DrawFn) -> tuple[list[Node], list[int], list[int], int, int]:
    """Nodes, jobs told to go, candidates, and what is wanted: so many nodes with so many GPUs each."""
    n_jobs = draw(st.integers(1, 7))
    nodes = []
    for _ in range(draw(st.integers(1, 6))):
        kind, held = draw(st.sampled_from(["free", "whole", "shared"])), {}
        if kind == "whole":
            held = {draw(st.integers(0, n_jobs - 1)): PER_NODE}
        elif kind == "shared":
            room = PER_NODE
            for job in draw(st.lists(st.integers(n_jobs, 2 * n_jobs - 1), unique=True, max_size=3)):
                if room > 0:
                    held[job] = draw(st.integers(1, room))
                    room -= held[job]
        # Out of service: nothing can start there even when nobody holds it.
        free = PER_NODE - sum(held.values()) if draw(st.integers(0, 9)) else 0
        nodes.append(Node(held, free, draw(st.integers(0, 5)) > 0))
    there = draw(st.permutations(sorted({job for node in nodes for job in node.held})))
    n_leaving = draw(st.integers(0, len(there)))
    n_candidates = draw(st.integers(0, len(there) - n_leaving))
    is_part = draw(st.booleans())
    level, need = (draw(st.integers(1, PER_NODE - 1)), 1) if is_part else (PER_NODE, draw(st.integers(1, len(nodes))))
    return nodes, there[:n_leaving], there[n_leaving : n_leaving + n_candidates], level, need


def fits(nodes: list[Node], gone: list[int], level: int, need: int) -> bool:
    room = [node.free + sum(node.held.get(job, 0) for job in gone) for node in nodes if node.is_open]
    return sum(gpus >= level for gpus in room) >= need


def plain(nodes: list[Node], leaving: list[int], candidates: list[int], level: int, need: int) -> list[int] | None:
    """The jobs to preempt in order, None if there is no room even without all of them."""
    chosen: list[int] = []
    while not fits(nodes, leaving + chosen, level, need):
        if len(chosen) == len(candidates):
            return None
        chosen.append(candidates[len(chosen)])
    for job in chosen[-2::-1]:
        spared = [each for each in chosen if each != job]
        if fits(nodes, leaving + spared, level, need):
            chosen = spared
    return chosen


@settings(max_examples=400, deadline=None)
@given(machines())
def test_it_takes_those_that_the_rule_takes_and_nobody_who_is_not_needed(
    case: tuple[list[Node], list[int], list[int], int, int],
) -> None:
    nodes, leaving, candidates, level, need = case
    holder = np.full(len(nodes), -1)
    tenant_job, tenant_gpus = np.full((len(nodes), PER_NODE), 0), np.zeros((len(nodes), PER_NODE), np.int64)
    for row, node in enumerate(nodes):
        if PER_NODE in node.held.values():
            holder[row] = next(iter(node.held))
        elif node.held:
            holder[row] = -2
            for slot, (job, gpus) in enumerate(node.held.items()):
                tenant_job[row, slot], tenant_gpus[row, slot] = job, gpus
    is_open = np.array([node.is_open for node in nodes])
    free = np.array([node.free if node.is_open else 0 for node in nodes])
    held = (20, PER_NODE, holder, tenant_job, tenant_gpus)
    free = np.where(is_open, freed_by(np.array(leaving, dtype=np.int64), free, *held), 0)
    found, places = fewest_preempted(free, level, need, np.array(candidates, dtype=np.int64), is_open, *held)
    chosen = [candidates[place] for place in places.tolist()] if found else None
    assert chosen == plain(nodes, leaving, candidates, level, need)
    if chosen:
        assert all(not fits(nodes, leaving + [job for job in chosen if job != each], level, need) for each in chosen)
