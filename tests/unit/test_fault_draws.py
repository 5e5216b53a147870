"""Every draw belongs to its fault: not to the horizon, the policy, the consumer or another distribution."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from worlds import DAY_S, fault, machine

from simulator.distributions import Duration
from simulator.errors import InputError
from simulator.faults.catalogue import FaultClass, Frailty, Hazard, RepairMix, RepairTier
from simulator.faults.repairs import visits_of
from simulator.faults.sources import Fault, ageing_sources, merged, poisson_sources

MIX = RepairMix(
    "operator",
    (
        RepairTier("reboot", 0.6, Duration("fixed", 600.0)),
        RepairTier("swap", 0.3, Duration("lognormal", 20_000.0, 0.5), needs_technician=True),
        RepairTier("rma", 0.1, Duration("gamma", 600_000.0, 0.7)),
    ),
    verify=Duration("exponential", 1200.0),
    failure_probability=0.3,
    escape_probability=0.4,
    recurrence=Duration("exponential", DAY_S),
)
GPU = fault(1e-6, "gpu", repair=MIX, detect=Duration("gamma", 60.0, 2.0), localise=Duration("lognormal", 300.0, 1.0))
NIC = fault(3e-7, "nic", repair=MIX, detect=Duration("exponential", 30.0))
SWITCH = fault(5e-6, "switch", scope="switch", takes_node_out=False)
CLASSES = (GPU, NIC, SWITCH)


def first(kinds: tuple[FaultClass, ...], n: int, nodes: int = 256, seed: int = 1, replication: int = 0) -> list[Fault]:
    return list(itertools.islice(merged(poisson_sources(kinds, machine(nodes), seed, replication)), n))


def of_class(faults: list[Fault], index: int) -> list[dict[str, Any]]:
    """Return what was drawn for a class's faults, without the origin, which names the class's own settings."""
    rows = [one._asdict() | {"visits": one.repair and visits_of(one, one.origin.kind)} for one in faults]
    return [{k: v for k, v in row.items() if k != "origin"} for row in rows if row["class_index"] == index]


def without(rows: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in keys} for row in rows]


def test_faults_come_in_order_of_time_numbered_within_their_class() -> None:
    faults = first(CLASSES, 1000)
    assert [one.time_s for one in faults] == sorted(one.time_s for one in faults)
    for index in range(3):
        numbers = [one.number for one in faults if one.class_index == index]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > 20
    assert {one.unit for one in faults if one.class_index == 2} == set(range(8))  # 256 nodes, 32 to a switch
    assert {one.unit for one in faults if one.class_index < 2} <= set(range(256))


def test_a_seed_gives_the_same_faults_and_another_one_others() -> None:
    assert first(CLASSES, 300) == first(CLASSES, 300)
    assert first(CLASSES, 300)[:200] == first(CLASSES, 200)
    assert first(CLASSES, 300) != first(CLASSES, 300, seed=2)
    assert first(CLASSES, 300) != first(CLASSES, 300, replication=1)


def test_a_source_can_be_read_twice() -> None:
    (source,) = poisson_sources([GPU], machine(256), 1, 0)
    assert list(itertools.islice(source, 200)) == list(itertools.islice(source, 200))


def test_draws_do_not_depend_on_who_else_is_there_or_on_the_order_of_reading() -> None:
    together = first(CLASSES, 1000)
    sources = poisson_sources(CLASSES, machine(256), 1, 0)
    in_turn = [list(itertools.islice(source, 100)) for source in reversed(sources)][::-1]
    for index in range(3):
        assert of_class(together, index)[:100] == of_class(in_turn[index], index)[: len(of_class(together, index))]


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"detect": Duration("lognormal", 9.0, 0.3)}, {"detect_s"}),
        ({"localise": Duration("gamma", 9.0, 0.3)}, {"localise_s"}),
        ({"repair": replace(MIX, verify=Duration("gamma", 50.0, 3.0))}, {"repair", "visits"}),
        ({"frailty": Frailty(0.1, 10.0)}, {"unit"}),
        ({"repair": None, "takes_node_out": False}, {"repair", "visits"}),
    ],
    ids=["detect", "localise", "verify", "frailty", "no repair"],
)
def test_changing_one_distribution_moves_no_other_draw(change: dict[str, Any], moved: set[str]) -> None:
    base = first((GPU, NIC), 500)
    changed = first((replace(GPU, **change), NIC), 500)
    rows, changed_rows = of_class(base, 0), of_class(changed, 0)
    for key in moved:
        assert [row[key] for row in rows] != [row[key] for row in changed_rows]
    assert without(rows, *moved) == without(changed_rows, *moved)
    assert of_class(base, 1) == of_class(changed, 1)


def test_changing_the_verification_moves_no_repair() -> None:
    changed = replace(GPU, repair=replace(MIX, verify=Duration("gamma", 50.0, 3.0)))
    pairs = list(zip(first((GPU,), 300), first((changed,), 300), strict=True))
    for one, other in pairs:
        assert one.repair is not None
        assert other.repair is not None
        assert one.repair._replace(verify_s=0.0) == other.repair._replace(verify_s=0.0)


def test_a_rate_change_keeps_everything_but_the_times() -> None:
    rows = of_class(first((GPU,), 300), 0)
    faster = of_class(first((replace(GPU, rate_per_s=2e-6),), 300), 0)
    assert without(rows, "time_s") == without(faster, "time_s")
    assert [row["time_s"] / 2 for row in rows] == pytest.approx([row["time_s"] for row in faster], rel=1e-12)


def test_visits_are_as_likely_as_the_mix_says() -> None:
    """10,000 faults; 4 standard errors of each share."""
    n = 10_000
    visits = [visits_of(one, GPU) for one in first((GPU,), n)]
    caught, escaped = 0.3 * 0.6, 0.3 * 0.4

    def near(count: float, trials: float, probability: float) -> None:
        assert count == pytest.approx(trials * probability, abs=4 * (trials * probability * (1 - probability)) ** 0.5)

    tiers = Counter(v.tier for one in visits for v in one)
    all_visits = sum(tiers.values())
    near(sum(len(one) > 1 for one in visits), n, caught)
    near(sum(len(one) > 2 for one in visits), n, caught**2)
    near(sum(one[-1].strikes_again_after_s is not None for one in visits), n, escaped / (1 - caught))
    for tier in MIX.tiers:
        near(tiers[tier.name], all_visits, tier.probability)
    assert all(v.strikes_again_after_s is None for one in visits for v in one[:-1])
    assert all(v.needs_technician == (v.tier == "swap") for one in visits for v in one)
    assert all(v.duration_s == 600.0 for one in visits for v in one if v.tier == "reboot")
    back = [one[-1].strikes_again_after_s for one in visits if one[-1].strikes_again_after_s is not None]
    assert sum(back) / len(back) == pytest.approx(DAY_S, rel=4 / len(back) ** 0.5)


def test_visits_are_the_same_whenever_they_are_asked_for() -> None:
    faults = first((GPU,), 200)
    assert [visits_of(one, GPU) for one in faults] == [visits_of(one, GPU) for one in faults[::-1]][::-1]


def test_a_fault_that_escaped_strikes_again_with_draws_of_its_own() -> None:
    one = first((GPU,), 1)[0]
    again = one.again(5000.0)
    assert (again.time_s, again.unit, again.number, again.strike) == (5000.0, one.unit, one.number, 1)
    assert again == one.again(5000.0)
    third = again.again(9000.0)
    assert len({one.localise_s, again.localise_s, third.localise_s}) == 3
    assert visits_of(again, GPU) == visits_of(one.again(7000.0), GPU)
    assert first((SWITCH,), 1)[0].again(1.0).repair is None


def test_a_repair_that_always_cures_is_one_visit() -> None:
    perfect = replace(GPU, repair=replace(MIX, failure_probability=0.0))
    assert all(len(visits_of(one, perfect)) == 1 for one in first((perfect,), 500))


@pytest.mark.parametrize("sources", [poisson_sources, ageing_sources])
def test_endless_repairs_and_missing_repairs_are_refused(sources: Any) -> None:
    hazard = Hazard() if sources is poisson_sources else Hazard("weibull", 2.0)
    endless = replace(GPU, hazard=hazard, repair=replace(MIX, failure_probability=1.0, escape_probability=0.0))
    with pytest.raises(InputError, match="repairs of fault class 'gpu' never end"):
        sources([endless], machine(4), 1, 0)
    with pytest.raises(InputError, match="needs repairs; found gpu"):
        sources([replace(GPU, hazard=hazard, repair=None)], machine(4), 1, 0)


def test_each_class_goes_to_the_source_of_its_hazard() -> None:
    ageing = replace(NIC, hazard=Hazard("lognormal", 1.0))
    never = replace(NIC, name="never", rate_per_s=0.0)
    kinds = [GPU, ageing, never, replace(ageing, name="never too", rate_per_s=0.0)]
    assert [source.class_index for source in poisson_sources(kinds, machine(8), 1, 0)] == [0]
    assert [source.class_index for source in ageing_sources(kinds, machine(8), 1, 0)] == [1]
