"""From sections of the file to the fault classes and repair mixes they mean, presets and overrides merged."""

from __future__ import annotations

import functools

from simulator.distributions import ZERO, Duration
from simulator.faults.catalogue import FaultClass, Frailty, Hazard, RepairMix, RepairTier
from simulator.scenario import presets
from simulator.scenario.fabrics import fabric_parts
from simulator.scenario.quantities import DurationSpec, merged
from simulator.scenario.schema import VariantSpec
from simulator.scenario.schema_faults import (
    FaultClassSection,
    FaultsSection,
    RepairMixSection,
    RepairsSection,
)
from simulator.scenario.schema_machine import ClusterSection

_FOR_ALL = ("detect", "localise", "clock", "hazard", "frailty")


def fault_sections(faults: FaultsSection) -> dict[str, FaultClassSection]:
    """Return the fault classes by name: mix, then the overrides for all classes, then those of single classes."""
    for_all = {key: getattr(faults, key) for key in _FOR_ALL if getattr(faults, key) is not None}
    overrides = FaultClassSection.model_construct(**for_all)
    mix = {} if faults.mix is None else faults.mix.classes
    result: dict[str, FaultClassSection] = {}
    for name in [*mix, *(name for name in faults.classes if name not in mix)]:
        section = FaultClassSection()
        if faults.mix is not None and name in mix:
            section = faults.mix.defaults.changed_by(mix[name])
        result[name] = section.changed_by(overrides).changed_by(faults.classes.get(name))
    return result


@functools.cache
def _preset_repair(name: str) -> RepairMixSection:
    return RepairMixSection.model_validate(presets.preset("repairs", name).body())


def repair_names(repairs: RepairsSection) -> list[str]:
    """Return the names a class may use as its repair mix."""
    return sorted({*presets.names("repairs"), *repairs.mixes})


def repair_section(repairs: RepairsSection, name: str) -> RepairMixSection:
    """Return a repair mix by name: the preset of that name changed by the scenario's own keys."""
    own = repairs.mixes.get(name)
    if name not in presets.names("repairs"):
        assert own is not None, "checked before"
        return own
    return merged(_preset_repair(name), own)


def repair_name_of(spec: VariantSpec, section: FaultClassSection) -> str | None:
    """Return the name of the repair mix of a class, None when it takes no node out or none is given."""
    if not section.takes_node_out and section.scope not in fabric_parts(spec.cluster):
        return None
    return spec.repairs.mix if section.repair is None else section.repair


def units_of(cluster: ClusterSection, scope: str) -> int:
    """Return how many units of a scope there are: nodes, GPUs, domains of that kind or parts of the fabric."""
    return fabric_parts(cluster).get(scope) or cluster.units_of(scope)


def unit_rate_per_s(spec: VariantSpec, section: FaultClassSection) -> float:
    """Return the rate of one unit of the class's scope, 1/s.

    Notes
    -----
    A rate of another population than the scope is spread evenly: unit rate = rate x members of the population / units
    of the scope. So events per node-day of a class that takes whole switches down are events per node-day of the
    machine, and a rate per GPU-hour is multiplied by the GPUs of the unit.
    """
    rate = section.unit_rate
    assert rate is not None, "checked before"
    if rate.population == section.scope:
        return rate.value_per_s * spec.faults.rate_factor
    members = units_of(spec.cluster, rate.population)
    return rate.value_per_s * (members / units_of(spec.cluster, section.scope)) * spec.faults.rate_factor


def _duration(section: DurationSpec | None) -> Duration:
    return ZERO if section is None else section.duration()


def repair_mix(repairs: RepairsSection, name: str) -> RepairMix:
    """Return the repair mix of that name."""
    section = repair_section(repairs, name)
    tiers = tuple(
        RepairTier(key, tier.probability, tier.time.duration(), tier.needs_technician)
        for key, tier in (section.tiers or {}).items()
    )
    return RepairMix(
        name,
        tiers,
        _duration(section.verify),
        section.failure_probability,
        section.escape_probability,
        _duration(section.recurrence),
    )


def fault_classes(spec: VariantSpec) -> tuple[FaultClass, ...]:
    """Return the fault classes of a variant; a rate of zero leaves its class out."""
    mixes: dict[str, RepairMix] = {}
    result: list[FaultClass] = []
    for name, section in fault_sections(spec.faults).items():
        rate = unit_rate_per_s(spec, section)
        if rate == 0.0:
            continue
        repair = repair_name_of(spec, section)
        if repair is not None and repair not in mixes:
            mixes[repair] = repair_mix(spec.repairs, repair)
        frailty = section.frailty
        of_fabric = section.scope in fabric_parts(spec.cluster)
        result.append(
            FaultClass(
                name=name,
                component=section.component or name,
                rate_per_s=rate,
                scope=section.scope,
                components_per_unit=section.components_per_unit,
                hazard=Hazard(section.hazard.family, section.hazard.shape, section.hazard.initial_age),
                clock=section.clock,
                stops_job=section.stops_job and not of_fabric,
                takes_node_out=section.takes_node_out and not of_fabric,
                detect=_duration(section.detect),
                localise=_duration(section.localise),
                repair=None if repair is None else mixes[repair],
                frailty=None
                if frailty is None
                else Frailty(frailty.lemon_fraction, frailty.lemon_factor, frailty.gamma_cv),
                is_of_fabric=of_fabric,
                capacity_left=section.capacity_left,
            )
        )
    return tuple(result)
