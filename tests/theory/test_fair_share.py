"""Fair share: the formulas against hand-worked trees, and usage that converges to shares."""

from __future__ import annotations

import numpy as np
import pytest
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
