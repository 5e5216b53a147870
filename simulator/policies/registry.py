"""Every policy by family and scenario name: the built-in ones, and those of installed packages."""

from __future__ import annotations

import dataclasses
import functools
from importlib.metadata import EntryPoint, entry_points
from typing import NoReturn

from simulator.errors import InputError
from simulator.policies.checkpointing.intervals import Daly, Exact, Fixed, Never, Young
from simulator.policies.health.strikes import Strikes
from simulator.policies.placement.best_fit import BestFit
from simulator.policies.placement.first_fit import FirstFit
from simulator.policies.placement.pack import Pack
from simulator.policies.placement.rail_aligned import RailAligned
from simulator.policies.placement.scale_up_aligned import ScaleUpAligned
from simulator.policies.placement.scattered import Scattered
from simulator.policies.placement.spread import Spread
from simulator.policies.placement.topology import TopologyAware
from simulator.policies.recovery.ladder import GiveUp, ReplaceNodes, ReplaceOrRequeue, ReplaceOrShrink, RequeueJob
from simulator.policies.scheduling.conservative import Conservative
from simulator.policies.scheduling.defragment import Defragment
from simulator.policies.scheduling.easy import Easy
from simulator.policies.scheduling.elastic import Elastic
from simulator.policies.scheduling.fifo import Fifo
from simulator.policies.scheduling.multifactor import Multifactor
from simulator.policies.scheduling.no_gang import NoGang
from simulator.policies.scheduling.preemptive import Preemptive
from simulator.policies.scheduling.priority import PriorityClasses
from simulator.policies.scheduling.quota import Quota
from simulator.policies.scheduling.sjf import ShortestFirst

_FAMILIES: dict[str, dict[str, type]] = {
    "scheduling": {
        "fifo": Fifo,
        "easy": Easy,
        "conservative": Conservative,
        "sjf": ShortestFirst,
        "priority": PriorityClasses,
        "multifactor": Multifactor,
        "preemptive": Preemptive,
        "quota": Quota,
        "elastic": Elastic,
        "no_gang": NoGang,
        "defragment": Defragment,
    },
    "placement": {
        "first_fit": FirstFit,
        "best_fit": BestFit,
        "pack": Pack,
        "spread": Spread,
        "scattered": Scattered,
        "topology_aware": TopologyAware,
        "rail_aligned": RailAligned,
        "scale_up_aligned": ScaleUpAligned,
    },
    "checkpointing": {"fixed": Fixed, "young": Young, "daly": Daly, "exact": Exact, "never": Never},
    "recovery": {
        "replace": ReplaceNodes,
        "requeue": RequeueJob,
        "replace_or_requeue": ReplaceOrRequeue,
        "replace_or_shrink": ReplaceOrShrink,
        "fail": GiveUp,
    },
    "health": {"strikes": Strikes},
}


GROUP = "simulator.policies"
"""Entry points under which an installed package offers policies; each is called "family.name"."""

METHODS = {
    "scheduling": "schedule",
    "placement": "place",
    "checkpointing": "interval_s",
    "recovery": "recover",
    "health": "quarantine_s",
}
"""The one method of each family."""


@functools.cache
def families() -> dict[str, dict[str, type]]:
    """Return family -> name -> policy class; each class is a frozen dataclass whose fields are its scenario keys.

    Raises
    ------
    InputError
        An installed package offers something that is no policy, or a name that is taken.
    """
    found = {family: dict(members) for family, members in _FAMILIES.items()}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        family, _, name = entry.name.partition(".")
        if family not in found or not name:
            _refuse(entry, "its name", repr(entry.name), "family.name, with a family of " + ", ".join(found))
        if name in found[family]:
            _refuse(entry, "its name", repr(entry.name), "a name that no other policy has")
        found[family][name] = _loaded(entry, METHODS[family])
    return found


def _loaded(entry: EntryPoint, method: str) -> type:
    """Return the class behind an entry point."""
    try:
        policy = entry.load()
    except Exception as error:  # whatever the package does when it is imported
        _refuse(entry, "it cannot be imported", f"{type(error).__name__}: {error}", "a class")
    if not (isinstance(policy, type) and dataclasses.is_dataclass(policy) and hasattr(policy, method)):
        _refuse(entry, "what it names", entry.value, f"a dataclass with the method {method}")
    assert isinstance(policy, type)
    return policy


def _refuse(entry: EntryPoint, what: str, found: str, allowed: str) -> NoReturn:
    package = "" if entry.dist is None else f" of package {entry.dist.name}"
    raise InputError(f"the policy {entry.name!r}{package} cannot be used: {what}", found=found, allowed=allowed)
