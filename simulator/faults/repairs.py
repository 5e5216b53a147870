"""The visits to the repair shop that a fault needs."""

from __future__ import annotations

from typing import NamedTuple

from simulator.faults.catalogue import FaultClass, RepairMix
from simulator.faults.draws import Fault, RepairDraw, repair_draws


class Visit(NamedTuple):
    """One repair and the verification after it.

    Parameters
    ----------
    tier : str
        Name of the repair tier.
    duration_s : float
        Time of the repair, waiting for a technician not included.
    needs_technician : bool
        Whether a technician is busy meanwhile.
    verify_s : float
        Time of the verification.
    strikes_again_after_s : float or None
        For the last visit of a fault that escaped: time in service until it strikes again; None otherwise.
    """

    tier: str
    duration_s: float
    needs_technician: bool
    verify_s: float
    strikes_again_after_s: float | None


def is_caught(mix: RepairMix, outcome: float) -> bool:
    """Return whether a repair failed and verification noticed, so that it is done again."""
    return outcome < mix.failure_probability * (1.0 - mix.escape_probability)


def is_escaped(mix: RepairMix, outcome: float) -> bool:
    """Return whether a repair failed and verification did not notice, so that the fault returns with the node."""
    return not is_caught(mix, outcome) and outcome < mix.failure_probability


def visits_of(fault: Fault, kind: FaultClass) -> list[Visit]:
    """Return the visits of a fault in order, at least one; the same at every call.

    Parameters
    ----------
    fault : Fault
        The fault, of a class with repairs.
    kind : FaultClass
        Its class.

    Notes
    -----
    A repair fails with ``failure_probability``; verification misses a failure with ``escape_probability``. A failure
    that is caught means another visit. Further visits and the time until an escaped fault strikes again are rare;
    their draws come from streams of the fault itself.
    """
    mix, draw = kind.repair, fault.repair
    assert mix is not None
    assert draw is not None
    visits: list[Visit] = []
    while is_caught(mix, draw.outcome):
        visits.append(_visit(mix, draw, None))
        draw = _further_draw(fault, mix, len(visits))
    visits.append(_visit(mix, draw, _recurrence_s(fault, mix) if is_escaped(mix, draw.outcome) else None))
    return visits


def _visit(mix: RepairMix, draw: RepairDraw, strikes_again_after_s: float | None) -> Visit:
    tier = mix.tiers[draw.tier]
    return Visit(tier.name, draw.repair_s, tier.needs_technician, draw.verify_s, strikes_again_after_s)


def _further_draw(fault: Fault, mix: RepairMix, visit: int) -> RepairDraw:
    rng = fault.origin.generator("visit", fault.number, fault.strike, visit)
    return next(repair_draws(mix, 1, lambda _: rng))


def _recurrence_s(fault: Fault, mix: RepairMix) -> float:
    rng = fault.origin.generator("recurrence", fault.number, fault.strike)
    return float(mix.recurrence.draw(rng, 1)[0])
