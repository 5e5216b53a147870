"""Ageing components inside the engine: the long-run rate holds for every hazard, and shape 1 is exponential."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from worlds import DAY_S, HOUR_S, fault, job_table, machine, profile, repair, world

from simulator.engine.ageing import AgeingClock
from simulator.engine.simulation import Simulation
from simulator.faults.ageing import AgeingSource
from simulator.faults.catalogue import Frailty, Hazard

RATE = 1 / (4 * DAY_S)


def failures_and_exposure(
    hazard: Hazard, frailty: Frailty | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, float]:
    """Run 128 nodes of 8 components for a year under a job; return failures and the time on the hazard's clock."""
    seen: list[AgeingSource] = []
    original = AgeingClock.__init__

    def remember(self: Any, simulation: Simulation, source: AgeingSource) -> None:
        seen.append(source)
        original(self, simulation, source)

    monkeypatch.setattr(AgeingClock, "__init__", remember)
    kind = fault(RATE, hazard=hazard, components_per_unit=8, frailty=frailty, repair=repair("fixed", 360.0))
    jobs = job_table([1] * 128, [math.inf] * 128)
    base = world(machine(130, spares=2), jobs, profile(), kind, horizon_s=730 * DAY_S, sample_every_s=1e12)
    simulation = Simulation(base)
    outcome = simulation.run()
    return len(outcome.tables["incidents"]["onset_s"]), seen[0].exposure_s(simulation.now)


HAZARDS = [Hazard("weibull", 0.7), Hazard("weibull", 1.0), Hazard("weibull", 1.5), Hazard("lognormal", 1.0)]
FRAILTIES = {"equal": None, "lemons": Frailty(lemon_fraction=0.02, lemon_factor=10.0)}
QUICK = {("weibull", 0.7, "lemons"), ("lognormal", 1.0, "equal")}
CASES = [
    pytest.param(
        hazard,
        frailty,
        id=f"{hazard.family}-{hazard.shape}-{name}",
        # The quick pairs have the two families and both frailties.
        marks=() if (hazard.family, hazard.shape, name) in QUICK else pytest.mark.slow,
    )
    for hazard in HAZARDS
    for name, frailty in FRAILTIES.items()
]


@pytest.mark.parametrize(("hazard", "frailty"), CASES)
def test_realised_rate_is_nominal(hazard: Hazard, frailty: Frailty | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least 20,000 failures, stationary initial age, perfect repair: within 2 %.

    Repairs are short: a lemon that is out more often than the others has a smaller share of the clock than of the
    fleet, so long repairs lower the realised rate of an unequal fleet by its very definition.
    """
    failures, exposure_s = failures_and_exposure(hazard, frailty, monkeypatch)
    assert failures >= 20_000
    assert failures / exposure_s == pytest.approx(RATE, rel=0.02)


def test_weibull_of_shape_one_is_exponential() -> None:
    """Numbers of failures of 60 replications have equal mean: difference within 3.3 standard errors (99.9 %)."""
    counts = {}
    for hazard in (Hazard("weibull", 1.0), Hazard()):
        kind = fault(RATE, hazard=hazard, components_per_unit=4, repair=repair("fixed", HOUR_S))
        counts[hazard.family] = np.array(
            [
                len(Simulation(base).run().tables["incidents"]["onset_s"])
                for k in range(60)
                for base in [
                    world(machine(16), job_table([], []), profile(), kind, horizon_s=60 * DAY_S, replication=k)
                ]
            ]
        )
    first, second = counts["weibull"], counts["exponential"]
    error = math.sqrt(first.var(ddof=1) / 60 + second.var(ddof=1) / 60)
    assert abs(first.mean() - second.mean()) <= 3.3 * error
    # Dispersion of a Poisson count over 60 replications lies within its 99.9 % chi-square range.
    for values in (first, second):
        assert 0.45 < values.var(ddof=1) / values.mean() < 1.85
