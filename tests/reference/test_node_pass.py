"""The pass that looks at every node: the plain one where nodes are whole; its promise to the head is kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.scheduling.backfill import easy_pass, fifo_pass
from simulator.scheduling.node_pass import node_pass
from simulator.scheduling.windows import WindowColumns

G = 4
NOW = 100.0


@st.composite
def states(draw: st.DrawFn, plain: bool = False) -> dict[str, Any]:
    """Return nodes with tenants and windows, and a queue; with ``plain`` whole nodes only and no windows."""
    n = draw(st.integers(1, 8))
    t_end, t_gpus = np.zeros((n, G)), np.zeros((n, G), np.int64)
    free, free_at = np.full(n, G), np.zeros(n)
    for node in range(n):
        kind = draw(st.sampled_from(["free", "whole", "out"] if plain else ["free", "whole", "out", "parts"]))
        if kind == "out":
            free[node], free_at[node] = 0, math.inf
        elif kind == "whole":
            free[node], free_at[node] = 0, NOW + draw(st.integers(1, 9))
        elif kind == "parts":
            left = G
            for slot in range(draw(st.integers(1, 3))):
                gpus = draw(st.integers(1, 2))
                if gpus > left:
                    break
                left -= gpus
                t_gpus[node, slot], t_end[node, slot] = gpus, NOW + draw(st.integers(1, 9))
            free[node], free_at[node] = left, t_end[node].max()
    windows = []  # begin, end, account, node
    for node in range(n) if not plain else []:
        begin = NOW + draw(st.integers(-3, 6))
        for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
            length = draw(st.integers(4, 8))
            windows.append((begin, begin + length, draw(st.integers(-1, 1)), node))
            begin += length + draw(st.integers(0, 6))
    queued = draw(st.integers(1, 10))
    shares = np.array([not plain and draw(st.booleans()) for _ in range(queued)])
    nodes = np.array([1 if part else draw(st.integers(1, n)) for part in shares])
    gpus = np.array([draw(st.integers(1, G - 1)) if part else k * G for part, k in zip(shares, nodes, strict=True)])
    return {
        "nodes": nodes, "gpus": gpus, "shares": shares,
        "requested": np.array([float(draw(st.integers(1, 12))) for _ in range(queued)]),
        "account": np.array([draw(st.integers(0, 1)) for _ in range(queued)]),
        "free": free.astype(np.int64), "free_at": free_at, "t_end": t_end, "t_gpus": t_gpus,
        "windows": sorted(windows),
    }  # fmt: skip


def columns(windows: list[tuple[float, float, int, int]], nodes: int) -> WindowColumns:
    begin, end, account, node = zip(*windows, strict=True) if windows else ((), (), (), ())
    return WindowColumns(
        np.array(begin, dtype=float), np.array(end, dtype=float), np.array(account, dtype=np.int64),
        np.array(node, dtype=np.int64), np.eye(nodes, dtype=np.bool_),
    )  # fmt: skip


def call(s: dict[str, Any], backfills: bool) -> tuple[list[int], list[bool], set[int], int, float]:
    queued = len(s["nodes"])
    started, apart = np.empty(queued, np.int64), np.zeros(queued, np.bool_)
    promised = np.zeros(len(s["free"]), np.bool_)
    count, head, shadow_s = node_pass(
        s["nodes"], s["gpus"], s["shares"], s["requested"], s["account"], G, NOW, s["free"], s["free_at"],
        s["t_end"], s["t_gpus"], columns(s["windows"], len(s["free"])), backfills, started, apart, promised,
    )  # fmt: skip
    nodes = set(np.flatnonzero(promised).tolist())
    return started[:count].tolist(), apart[:count].tolist(), nodes, head, shadow_s


@settings(max_examples=300, deadline=None)
@given(states(plain=True))
def test_whole_nodes_without_windows_are_served_as_by_the_plain_passes(s: dict[str, Any]) -> None:
    free = int((s["free"] == G).sum()) * G
    ends = s["free_at"][(s["free"] < G) & np.isfinite(s["free_at"])]
    started = np.empty(len(s["gpus"]), np.int64)
    count = easy_pass(s["gpus"], s["requested"], np.full(len(ends), G), np.sort(ends), free, NOW, started)
    assert call(s, True)[0] == started[:count].tolist()
    assert call(s, False)[0] == list(range(fifo_pass(s["gpus"], free)))


def is_open(s: dict[str, Any], node: int, start_s: float, job: int) -> bool:
    end_s = start_s + s["requested"][job]
    mine = [(begin, end, account) for begin, end, account, place in s["windows"] if place == node]
    return all(end_s <= begin or start_s >= end or account == s["account"][job] for begin, end, account in mine)


def ready_s(s: dict[str, Any], node: int, gpus: int) -> float:
    """When so many GPUs of a node are free if nothing starts, by the estimates."""
    for time_s in sorted({NOW, *s["t_end"][node][s["t_gpus"][node] > 0].tolist(), max(s["free_at"][node], NOW)}):
        leaving = s["t_gpus"][node][s["t_end"][node] <= time_s].sum()
        room = G if s["free_at"][node] <= time_s else s["free"][node] + leaving
        if room >= gpus and math.isfinite(time_s):
            return time_s
    return math.inf


@settings(max_examples=500, deadline=None)
@given(states())
def test_the_head_gets_its_nodes_when_it_was_promised_them(s: dict[str, Any]) -> None:
    """Place what starts as an adversary would, within the nodes each start may take; the head must still fit."""
    started, apart, promised, head, shadow_s = call(s, True)
    if head < 0 or math.isinf(shadow_s):
        return
    assert head not in started
    before = [job for job in started if job < head]
    assert before == list(range(head))  # those before the head start in order, none is skipped
    late = [
        (job, alone)
        for job, alone in zip(started, apart, strict=True)
        if job > head and NOW + s["requested"][job] > shadow_s
    ]
    # What outlasts the promise and may take promised nodes takes as many of them as it wants.
    lost = sum(int(s["nodes"][job]) for job, alone in late if not alone)
    kept = len(promised) - lost
    assert kept >= (1 if s["shares"][head] else s["nodes"][head])
    for node in promised:
        assert is_open(s, node, shadow_s, head)


@settings(max_examples=500, deadline=None)
@given(states())
def test_starts_fit_and_without_starts_the_promise_is_the_earliest_possible(s: dict[str, Any]) -> None:
    started, _, promised, head, shadow_s = call(s, True)
    assert s["gpus"][started].sum() <= s["free"].sum()
    for job in started:
        wanted = int(s["gpus"][job]) if s["shares"][job] else G
        there = [n for n in range(len(s["free"])) if s["free"][n] >= wanted and is_open(s, n, NOW, job)]
        assert len(there) >= s["nodes"][job]
    if head != 0:
        return
    wanted = int(s["gpus"][0]) if s["shares"][0] else G
    moments = {NOW, *(end for _, end, _, _ in s["windows"])}
    moments |= {ready_s(s, n, wanted) for n in range(len(s["free"]))} | {
        ready_s(s, n, G) for n in range(len(s["free"]))
    }
    possible = [
        t
        for t in sorted(moments)
        if t >= NOW
        and math.isfinite(t)
        and sum(ready_s(s, n, wanted) <= t and is_open(s, n, t, 0) for n in range(len(s["free"]))) >= s["nodes"][0]
    ]
    assert shadow_s == (possible[0] if possible else math.inf)
    assert math.isinf(shadow_s) == (not promised)
