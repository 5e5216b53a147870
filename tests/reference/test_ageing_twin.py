"""Ageing components against a twin that keeps the age of each one and walks through time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import fault, machine

from simulator.errors import InvariantError
from simulator.faults.ageing import AgeingSource
from simulator.faults.catalogue import Frailty, Hazard
from simulator.faults.draws import Origin
from simulator.faults.hazards import first_life_s, life_s
from simulator.faults.sources import ageing_sources

CHUNK = 4096  # the number of lives that belong to one stream


class Twin:
    """Every component has an age and a life; time passes for those whose unit is on."""

    def __init__(self, origin: Origin, multipliers: list[float]) -> None:
        self.origin = origin
        self.multipliers = multipliers
        self.n_components = origin.kind.components_per_unit
        slots = [(u, c) for u in range(len(multipliers)) for c in range(self.n_components)]
        self.age = dict.fromkeys(slots, 0.0)
        self.lives_drawn = dict.fromkeys(slots, 0)
        self.life = {slot: self.draw(slot) for slot in slots}
        self.on = [False] * len(multipliers)
        self.now = 0.0
        self.exposure = 0.0

    def draw(self, slot: tuple[int, int]) -> float:
        generation = self.lives_drawn[slot]
        self.lives_drawn[slot] += 1
        kind = self.origin.kind
        chunk, place = divmod(slot[0] * self.n_components + slot[1], CHUNK)
        rng = self.origin.generator("lives", generation, chunk)
        draw = first_life_s if generation == 0 else life_s
        mean = self.n_components / kind.rate_per_s
        return float(draw(kind.hazard, mean, rng, CHUNK)[place]) / self.multipliers[slot[0]]

    def pass_time(self, to: float) -> None:
        for slot in self.age:
            if self.on[slot[0]]:
                self.age[slot] += to - self.now
        self.exposure += sum(self.on) * (to - self.now)
        self.now = to

    def next(self) -> tuple[float, tuple[int, int] | None]:
        left = {slot: self.life[slot] - self.age[slot] for slot in self.age if self.on[slot[0]]}
        if not left:
            return math.inf, None
        slot = min(left, key=left.__getitem__)
        return self.now + left[slot], slot

    def pop(self) -> tuple[float, tuple[int, int]]:
        time, slot = self.next()
        assert slot is not None
        self.pass_time(time)
        self.age[slot] = 0.0
        self.life[slot] = self.draw(slot)
        return time, slot


hazards = st.sampled_from(
    [Hazard("weibull", 0.7), Hazard("weibull", 2.5), Hazard("weibull", 0.7, "new"), Hazard("lognormal", 0.8)]
)
# A step: strike the next fault, or let a share of the time to it pass and switch some units.
steps = st.lists(
    st.one_of(st.none(), st.tuples(st.floats(0.01, 0.99), st.sets(st.integers(0, 3)), st.booleans())), max_size=25
)


@settings(max_examples=40, deadline=None)
@given(hazards, st.integers(1, 3), st.integers(0, 5), steps)
def test_agrees_with_the_walk(
    hazard: Hazard, components: int, seed: int, plan: list[tuple[float, set[int], bool] | None]
) -> None:
    kind = fault(components / 1000.0, hazard=hazard, components_per_unit=components)
    origin = Origin(kind, 0, seed, 0)
    multipliers = [0.5, 1.0, 1.0, 1.5]
    source, twin = AgeingSource(origin, np.array(multipliers)), Twin(origin, multipliers)
    twin.on = [True, True, False, True]
    source.start(np.array(twin.on), 0.0)
    for step in plan:
        expected_s, slot = twin.next()
        time_s, unit = source.next_time()
        assert time_s == pytest.approx(expected_s, rel=1e-9)
        if slot is not None:
            assert unit == slot[0]
        if step is None and slot is not None:
            struck = source.pop(time_s)
            assert (struck.unit, struck.component) == twin.pop()[1]
        elif step is not None:
            share, units, on = step
            now_s = twin.now + share * (expected_s - twin.now) if math.isfinite(expected_s) else twin.now + 100.0
            twin.pass_time(now_s)
            for unit in units:
                twin.on[unit] = on
            source.set_clock(np.array(sorted(units), dtype=np.int64), on, now_s)
        assert source.exposure_s(twin.now) == pytest.approx(twin.exposure, rel=1e-9)


def test_a_life_belongs_to_its_slot_and_not_to_the_order_of_events() -> None:
    """Unit 0 fails at the same readings of its clock, whatever happens to the others, when all clocks run on."""
    kind = fault(1 / 1000.0, hazard=Hazard("weibull", 0.7), frailty=Frailty(gamma_cv=0.5))

    def times_of_unit_0(others_on: bool) -> list[float]:
        (source,) = ageing_sources([kind], machine(20), seed=3, replication=1)
        source.start(np.array([True] + [others_on] * 19), 0.0)
        times: list[float] = []
        while len(times) < 30:
            struck = source.pop(source.next_time()[0])
            if struck.unit == 0:
                times.append(struck.time_s)
        return times

    assert times_of_unit_0(True) == times_of_unit_0(False)


def test_nothing_is_due_while_all_clocks_stand() -> None:
    (source,) = ageing_sources([fault(1e-3, hazard=Hazard("weibull", 2.0))], machine(3), seed=1, replication=0)
    source.start(np.zeros(3, dtype=bool), 0.0)
    assert source.next_time()[0] == math.inf
    with pytest.raises(InvariantError, match="no fault of 'gpu' is due at 5"):
        source.pop(5.0)


def test_switching_a_clock_to_what_it_is_changes_nothing() -> None:
    (source,) = ageing_sources([fault(1e-3, hazard=Hazard("weibull", 2.0))], machine(3), seed=1, replication=0)
    source.start(np.ones(3, dtype=bool), 0.0)
    before = source.next_time()
    source.set_clock(np.arange(3), True, before[0] / 2)
    assert source.next_time() == before
    source.set_clock(np.arange(3), False, before[0] / 2)
    source.set_clock(np.arange(3), False, before[0])
    assert source.exposure_s(before[0]) == pytest.approx(1.5 * before[0])


def test_more_slots_than_one_stream_holds() -> None:
    """The lives of the first units do not change when the machine grows past a chunk."""
    kind = replace(fault(8 / 1e9, hazard=Hazard("weibull", 0.7)), components_per_unit=8)
    strikes = []
    for nodes in (512, 700):
        (source,) = ageing_sources([kind], machine(nodes), seed=1, replication=0)
        source.start(np.ones(nodes, dtype=bool), 0.0)
        struck = [source.pop(source.next_time()[0]) for _ in range(200)]
        strikes.append([(one.time_s, one.unit, one.component) for one in struck if one.unit < 512])
    assert strikes[1] == strikes[0][: len(strikes[1])]
    assert len(strikes[1]) < 200
