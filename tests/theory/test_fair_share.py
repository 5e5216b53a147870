"""Fair share: the formulas against hand-worked trees, and usage that converges to shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import job_table, machine, profile, world

from simulator import engine
from simulator.policies.scheduling.multifactor import Multifactor
from simulator.policies.scheduling.priority import PriorityClasses
from simulator.policies.scheduling.sjf import ShortestFirst
from simulator.scheduling.fairness import account_tree, classic_factor, fair_tree_factor

HOUR_S = 3600.0


def test_classic_factor_is_a_half_where_an_account_got_its_share() -> None:
    tree = account_tree(("a", "b"), {"a": 1.0, "b": 3.0})
    assert classic_factor(tree, np.array([25.0, 75.0])).tolist() == [0.5, 0.5]
    assert classic_factor(tree, np.array([100.0, 0.0])).tolist() == [2.0**-4, 1.0]
    assert classic_factor(tree, np.zeros(2)).tolist() == [1.0, 1.0]


def test_classic_factor_lets_an_account_answer_for_its_siblings() -> None:
    # Two groups of equal share; x/a used everything of x, so x/b has half of what a did on its account.
    tree = account_tree(("x/a", "x/b", "y"), {})
    found = classic_factor(tree, np.array([40.0, 0.0, 60.0]))
    # x: usage 0.4. a: E = 0.4 + (0.4 - 0.4) / 2; b: E = 0 + (0.4 - 0) / 2; entitled to 1/4 each. y: 0.6 of 1/2.
    np.testing.assert_allclose(found, 2.0 ** -np.array([0.4 / 0.25, 0.2 / 0.25, 0.6 / 0.5]))


def test_fair_tree_orders_groups_before_their_members() -> None:
    # Group x is behind its share, so both its accounts come before those of y, even the one that used much.
    tree = account_tree(("x/a", "x/b", "y/c", "y/d"), {})
    found = fair_tree_factor(tree, np.array([30.0, 10.0, 59.0, 1.0]))
    assert found.tolist() == [0.75, 1.0, 0.25, 0.5]


def test_fair_tree_gives_equal_accounts_the_better_place() -> None:
    tree = account_tree(("a", "b", "c"), {})
    assert fair_tree_factor(tree, np.array([1.0, 1.0, 4.0])).tolist() == [1.0, 1.0, 1 / 3]


def test_fair_tree_gives_an_account_the_place_of_the_first_of_a_group_it_ties_with() -> None:
    tree = account_tree(("x", "G/u1", "G/u2"), {})
    assert fair_tree_factor(tree, np.zeros(3)).tolist() == [1.0, 1.0, 1.0]
    # u2 has used more than u1, and G as much as x.
    assert fair_tree_factor(tree, np.array([4.0, 1.0, 3.0])).tolist() == [1.0, 1.0, 1 / 3]


@pytest.mark.parametrize("factor", [fair_tree_factor, classic_factor])
def test_who_has_no_share_comes_last(factor: Callable[[Any, Any], Any]) -> None:
    tree = account_tree(("a", "b", "c/d", "c/e"), {"b": 0.0, "c/d": 0.0, "c/e": 0.0})
    for usage in (np.zeros(4), np.array([9.0, 0.0, 0.0, 1.0])):
        found = factor(tree, usage)
        assert np.isfinite(found).all()
        assert found[0] > found[1]
        assert found[2] == found[3]


def slow_fair_tree(names: list[str], shares: dict[str, float], usage: dict[str, float]) -> dict[str, float]:
    """Fair Tree as its page tells it: siblings in order, groups that tie merged, users before groups."""
    factor, left = {}, [len(names), len(names)]  # rank of the last one, rank of the next

    def level(member: str, siblings: list[str]) -> float:
        used = {each: sum(usage[n] for n in names if (n + "/").startswith(each + "/")) for each in siblings}
        if shares.get(member, 1.0) == 0.0:
            return 0.0
        if used[member] == 0.0:
            return math.inf
        entitled = shares.get(member, 1.0) / sum(shares.get(each, 1.0) for each in siblings)
        return entitled / (used[member] / sum(used.values()))

    def walk(families: list[list[str]], is_tied: bool) -> None:
        found = sorted((-level(m, family), m not in names, m) for family in families for m in family)
        at = 0
        while at < len(found):
            fs, is_group, member = found[at]
            tied = is_tied if at == 0 else found[at - 1][0] == fs
            if is_group:
                merged = [m for other, _, m in found[at:] if other == fs]
                walk([children(m) for m in merged], tied)
                at += len(merged)
                continue
            if not tied:
                left[0] = left[1]
            factor[member] = left[0] / len(names)
            left[1] -= 1
            at += 1

    def children(group: str) -> list[str]:
        prefix = f"{group}/" if group else ""
        return sorted({prefix + n[len(prefix) :].split("/")[0] for n in names if n.startswith(prefix)})

    walk([children("")], False)
    return factor


TREES = st.lists(
    st.sampled_from(["a", "b", "c/a", "c/b", "d/a", "d/b/a", "d/b/b", "e/a/a", "e/b"]), min_size=1, unique=True
)


@settings(deadline=None, max_examples=300)
@given(st.data(), TREES)
def test_fair_tree_is_what_its_page_says(data: st.DataObject, names: list[str]) -> None:
    groups = sorted({n.rpartition("/")[0] for n in names} - {""})
    shares = {name: data.draw(st.sampled_from([0.0, 1.0, 1.0, 2.0])) for name in names + groups}
    usage = [float(data.draw(st.sampled_from([0, 0, 1, 2]))) for _ in names]
    slow = slow_fair_tree(names, shares, dict(zip(names, usage, strict=True)))
    found = fair_tree_factor(account_tree(tuple(names), shares), np.array(usage))
    assert found.tolist() == pytest.approx([slow[name] for name in names])


def saturated(formula: str, shares: tuple[tuple[str, float], ...]) -> dict[str, float]:
    """Return the shares of GPU time that accounts got in 20 days in which each always has jobs waiting."""
    n = 20 * 24 * 10  # an hour each on ten nodes: for each account enough for the whole machine
    accounts = np.array(["a", "b"] * n, dtype=object)
    table = job_table([1] * (2 * n), [HOUR_S] * (2 * n), requested_s=np.full(2 * n, HOUR_S), account=accounts)
    policy = Multifactor(fair_share=formula, shares=shares, weight_age=0.0)  # type: ignore[arg-type]
    outcome = engine.run(
        world(machine(10), table, profile(), scheduling=policy, horizon_s=20 * 24 * HOUR_S, sample_every_s=1e9)
    )
    found = outcome.tables["accounts"]
    return dict(zip(found["account"], found["share"], strict=True))


@pytest.mark.parametrize("formula", ["fair_tree", "classic"])
@pytest.mark.parametrize("share", [1.0, 3.0, 9.0])
def test_usage_under_saturation_converges_to_shares(formula: str, share: float) -> None:
    found = saturated(formula, (("a", 1.0), ("b", share)))
    # Ten jobs start at a time, so the shares are met to a few jobs in the 4,800 of the run.
    assert found["b"] == pytest.approx(share / (1.0 + share), abs=0.01)


def test_age_stops_counting_at_its_greatest() -> None:
    policy = Multifactor(weight_fair_share=0.0, weight_class=1000.0, weight_age=500.0, max_age=HOUR_S)
    # The old job of class 0 can gain 500 by age, the new one of class 2 has 1000.
    table = job_table(
        [1, 1, 1], [2 * HOUR_S, 1.0, 1.0], [0.0, 1.0, 1.9 * HOUR_S], priority=[0, 0, 2], requested_s=[1e6, 1.0, 1.0]
    )
    outcome = engine.run(world(machine(1), table, profile(), scheduling=policy))
    assert outcome.tables["jobs"]["start_s"].tolist() == [0.0, 2 * HOUR_S + 1.0, 2 * HOUR_S]


def test_orders_of_priority_and_length() -> None:
    table = job_table(
        [1, 1, 1, 1], [10.0] * 4, [0.0, 1.0, 2.0, 3.0], priority=[0, 0, 1, 1], requested_s=[10.0, 30.0, 20.0, 10.0]
    )
    by_class = engine.run(world(machine(1), table, profile(), scheduling=PriorityClasses()))
    assert by_class.tables["jobs"]["start_s"].tolist() == [0.0, 30.0, 10.0, 20.0]
    by_length = engine.run(world(machine(1), table, profile(), scheduling=ShortestFirst()))
    assert by_length.tables["jobs"]["start_s"].tolist() == [0.0, 30.0, 20.0, 10.0]
