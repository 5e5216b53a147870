"""The answer of a study in one sentence: every case, by its text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulator.experiments.statistics import mean_interval, more_to_decide
from simulator.report.answer import Answer, answer

NBSP = "\N{NO-BREAK SPACE}"
WORLDS = np.linspace(-1.0, 1.0, 10)  # what the random world adds to every variant; sums to 0


def told(**kwargs: object) -> Answer:
    arguments: dict[str, object] = {"metric": "ettr", "goal": "max", "baseline": "base"} | kwargs
    found = answer(**arguments)  # type: ignore[arg-type]
    plain = found.sentence.replace(NBSP, " ")
    assert plain.endswith(".")
    assert ". " not in plain, "one sentence"
    assert "nan" not in plain
    return Answer(found.kind, plain, found.best, found.tied)


def values(mean: float, noise: float = 0.0) -> np.ndarray:
    """A variant that feels the world, and a noise of its own that alternates in sign."""
    return mean + 0.01 * WORLDS + noise * (-1.0) ** np.arange(WORLDS.size)


def test_clear_winner_names_the_value_the_lead_and_the_confidence() -> None:
    found = told(values={"base": values(0.90), "better": values(0.95, 0.001)})
    assert (found.kind, found.best, found.tied) == ("clear", "better", ())
    # the mean is exactly 0.95 and the lead 0.05: noise and worlds sum to 0
    assert found.sentence.startswith("“better” has the highest ETTR, 0.9500 (95 % interval 0.94")
    assert ": 0.05000 higher than the baseline “base” (95 % interval 0.04925 to 0.05075, " in found.sentence
    assert "than the baseline “base”" in found.sentence
    assert "better in 100 % of 10 paired replications" in found.sentence


def test_interval_of_the_lead_is_the_paired_one() -> None:
    better, base = values(0.95, 0.001), values(0.90)
    interval = mean_interval(better - base)
    found = told(values={"base": base, "better": better})
    assert f"(95 % interval {interval.low:.5f} to {interval.high:.5f}, better" in found.sentence


def test_winner_is_compared_with_runner_up_and_baseline() -> None:
    found = told(values={"base": values(0.90), "second": values(0.93, 0.001), "best": values(0.95, 0.002)})
    assert found.kind == "clear"
    assert "higher than “second”" in found.sentence
    assert ", and 0.0500 higher than the baseline “base”" in found.sentence


def test_winning_baseline_is_called_the_baseline() -> None:
    found = told(values={"base": values(0.95), "other": values(0.90, 0.001)})
    assert found.sentence.startswith("“base”, the baseline, has the highest ETTR")
    assert "than “other”" in found.sentence


def test_minimised_metric_in_shown_units() -> None:
    hours = {"base": 3600 * values(20.0), "short": 3600 * values(10.0, 0.1)}
    found = told(metric="makespan_s", goal="min", values=hours)
    assert found.best == "short"
    assert found.sentence.startswith("“short” has the lowest makespan, 10.000 h (95 % interval")
    assert "10.000 h lower than the baseline" in found.sentence


def test_goal_of_the_metric_is_taken_when_none_is_given() -> None:
    found = told(
        metric="makespan_s", goal=None, values={"base": 3600 * values(20.0), "short": 3600 * values(10.0, 0.1)}
    )
    assert found.best == "short"


def test_tie_says_so_and_names_the_set_and_the_cheapest() -> None:
    found = told(
        values={"base": values(0.80), "a": values(0.95, 0.004), "b": values(0.9501, -0.004), "c": values(0.94, 0.001)},
        costs_usd={"base": 1.0, "a": 5.0, "b": 7.0, "c": 2.0},
    )
    assert (found.kind, found.best) == ("tie", "b")
    assert set(found.tied) == {"a", "b"}
    assert found.sentence.startswith("“b” and “a” cannot be told apart by ETTR at 10 replications: “b” reaches ")
    assert "the baseline “base”" in found.sentence
    assert found.sentence.endswith("; the cheapest of them is “a”.")


def test_tie_at_equal_cost_names_no_cheapest() -> None:
    tie = {"base": values(0.95, 0.004), "b": values(0.9501, -0.004)}
    assert "cheapest" not in told(values=tie, costs_usd={"base": 5.0, "b": 5.0}).sentence
    assert "cheapest" not in told(values=tie, costs_usd={"base": math.nan, "b": 5.0}).sentence


def test_identical_variants_are_told_as_identical() -> None:
    found = told(values={"base": values(0.9), "same": values(0.9)})
    assert found.kind == "tie"
    assert "“same” the same in every replication" in found.sentence


def test_many_tied_variants_are_counted_not_listed() -> None:
    found = told(values={name: values(0.9) for name in ("base", "b", "c", "d", "e", "f")})
    assert found.sentence.startswith("“base”, “b”, “c”, “d” and 2 more cannot be told apart")
    assert len(found.tied) == 6


def test_a_noisy_third_place_may_be_tied_while_the_second_is_not() -> None:
    found = told(values={"base": values(0.95), "second": values(0.949), "noisy": values(0.94, 0.05)})
    assert found.tied == ("base", "noisy")


def test_one_variant() -> None:
    found = told(values={"base": values(0.9, 0.001)})
    assert found.kind == "single"
    assert found.sentence.startswith("The ETTR is 0.9000 (95 % interval 0.895")
    assert found.sentence.endswith("over 10 replications; the scenario has no other variant to compare with.")


def test_one_variant_one_replication() -> None:
    found = told(values={"base": np.array([0.9])})
    assert found.sentence == (
        "The ETTR is 0.9000 in one replication, which gives no interval; "
        "the scenario has no other variant to compare with."
    )


def test_one_replication_claims_nothing() -> None:
    found = told(values={"base": np.array([0.9]), "other": np.array([0.95])})
    assert (found.kind, found.best) == ("one_replication", "other")
    assert "one replication says nothing about how sure that is" in found.sentence
    assert "interval" not in found.sentence


def test_one_replication_with_equal_values() -> None:
    found = told(values={"base": np.array([0.9]), "other": np.array([0.9])})
    assert found.sentence.startswith("“base” and “other” have the same ETTR")


def test_no_value_anywhere() -> None:
    found = told(metric="mtti_s", values={"base": np.full(5, math.nan), "other": np.full(5, math.nan)})
    assert (found.kind, found.best) == ("no_value", None)
    assert "has no value in any replication" in found.sentence


def test_value_in_one_variant_only() -> None:
    found = told(values={"base": np.full(10, math.nan), "other": values(0.9)})
    assert found.kind == "no_value"
    assert found.sentence.startswith("Only “other” has a value of ETTR")
    assert "(no value for “base”)" in found.sentence


def test_variant_without_value_is_left_out_and_named() -> None:
    found = told(values={"base": values(0.9), "good": values(0.95, 0.001), "empty": np.full(10, math.nan)})
    assert found.kind == "clear"
    assert found.sentence.endswith("(no value for “empty”).")


def test_missing_replications_are_left_out_of_the_pairs() -> None:
    holes = values(0.95, 0.001)
    holes[:3] = math.nan
    assert "of 7 paired replications" in told(values={"base": values(0.9), "good": holes}).sentence


def test_too_few_common_pairs_are_a_tie() -> None:
    left, right = values(0.9), values(0.95)
    left[1:] = math.nan
    found = told(values={"base": left, "other": right})
    assert found.kind == "tie"
    assert "too few pairs in common" in found.sentence


def test_metric_without_direction_names_no_best() -> None:
    found = told(goal="none", values={"base": values(0.9), "other": values(0.95)})
    assert (found.kind, found.best) == ("undirected", None)
    assert "no variant is named best" in found.sentence


def test_no_metric_asked_for() -> None:
    assert told(metric=None, values={}).kind == "unasked"


@pytest.mark.parametrize("name", ["\x1b[31mred", "line\nbreak"])
def test_names_cannot_steer_the_terminal(name: str) -> None:
    sentence = told(values={"base": values(0.9), name: values(0.95, 0.001)}).sentence
    assert sentence.isprintable()


# ----------------------------------------------------------------------------------------------- few replications


def test_no_interval_holds_what_its_metric_cannot_be() -> None:
    shares = told(values={"base": np.array([0.90, 0.93]), "better": np.array([0.97, 0.99])})
    assert shares.sentence.startswith("“better” has the highest ETTR, 0.980 (95 % interval 0.853 to 1.000): ")
    apart = told(values={"base": np.array([0.9, 0.0]), "better": np.array([0.1, 0.9])})
    assert "(95 % interval −1.0 to 1.0;" in apart.sentence
    alone = told(metric="interruptions", goal="min", values={"base": np.array([3.0, 9.0])})
    assert alone.sentence.startswith("The interruptions is 6 (95 % interval 0 to 44) over 2 replications;")


def test_a_bound_is_in_the_unit_that_is_shown() -> None:
    found = told(metric="energy_j", goal="min", values={"base": 3.6e9 * np.array([1.0, 9.0])})
    assert found.sentence.startswith("The energy of nodes is 5 MWh (95 % interval 0 to 56) over 2")


@pytest.mark.parametrize("count", [2, 4, 5, 10])
def test_a_share_of_pairs_needs_five_of_them(count: int) -> None:
    found = told(values={"base": values(0.90)[:count], "better": values(0.95, 0.001)[:count]})
    assert found.kind == "clear"
    assert ("better in 100 % of" in found.sentence) == (count >= 5)
    assert f"{count} paired replications)" in found.sentence


@pytest.mark.parametrize("count", [2, 10])
def test_a_tie_says_how_many_more_replications_decide_and_no_share(count: int) -> None:
    gap = 0.001 * np.linspace(0.2, 4.0, count) * (-1.0) ** (np.arange(count) // 3)
    found = told(values={"base": values(0.5)[:count], "a": values(0.9)[:count], "b": values(0.9)[:count] + gap})
    assert found.kind == "tie"
    assert "better in" not in found.sentence
    more = more_to_decide(gap)
    assert 0 < more < 1000
    held = f"; about {more:.0f} more replications to decide, should this difference hold), and"
    assert held in found.sentence


def test_a_tie_without_a_difference_says_that_no_end_is_in_sight() -> None:
    found = told(values={"base": np.array([0.9, 0.8]), "other": np.array([0.8, 0.9])})
    assert "; more than 1,000 more replications to decide)." in found.sentence


def test_a_tie_of_equal_values_says_nothing_of_more_replications() -> None:
    assert " more " not in told(values={"base": values(0.9), "same": values(0.9)}).sentence
