"""Scenario keys of policies, taken from the fields of the policy classes."""

from __future__ import annotations

import dataclasses
import math
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import Field, create_model

from simulator import units
from simulator.policies.fields import Numbers
from simulator.policies.registry import families
from simulator.policies.scheduling.combined import Combined, Limit, Limits
from simulator.policies.scheduling.preemptive import Preemptive
from simulator.scenario.quantities import PositiveSeconds, Seconds, Section, merged

_UNSET: Any = None
_Keys = TypeVar("_Keys", bound="PolicySection")
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class PolicySection(Section):
    """A policy by its registry name, together with its own keys."""

    def chosen(self) -> str:
        """Return the registry name."""
        return str(getattr(self, "policy"))  # noqa: B009  each subclass has its own set of names

    def own_keys(self) -> dict[str, Any]:
        """Return the policy's keys that the user gave."""
        keys = {field for members in families().values() for policy in members.values() for field in keys_of(policy)}
        return {key: getattr(self, key) for key in sorted(self.model_fields_set & keys)}


class LimitSection(Section):
    """What somebody may run at once."""

    gpus: Annotated[int, Field(ge=0)] | None = None
    """Most GPUs; absent: no limit."""
    jobs: Annotated[int, Field(ge=0)] | None = None
    """Most jobs; absent: no limit."""

    def limit(self) -> Limit:
        """Return it as policies take it."""
        return Limit(*(math.inf if most is None else float(most) for most in (self.gpus, self.jobs)))


class LimitsSection(Section):
    """What accounts and users may run at once; jobs beyond that wait, and others go before them."""

    accounts: dict[_Text, LimitSection] = Field(default_factory=dict)
    """By name of an account, or of a group before a slash (physics for physics/theory)."""
    users: dict[_Text, LimitSection] = Field(default_factory=dict)
    """By name of a user."""
    each_account: LimitSection | None = None
    """Of every account."""
    each_user: LimitSection | None = None
    """Of every user."""

    def limits(self) -> Limits:
        """Return them as policies take them."""
        accounts, users = (
            {name: section.limit() for name, section in of.items()} for of in (self.accounts, self.users)
        )
        each_account, each_user = (
            None if section is None else section.limit() for section in (self.each_account, self.each_user)
        )
        return Limits(accounts, users, each_account, each_user)


class PreemptionSection(Section):
    """Running jobs are taken off their nodes for waiting ones."""

    by: Literal["priority"] = "priority"
    """Who may go: jobs of a lower class of priority than the one that waits, the lowest and youngest first."""
    mode: Literal["requeue", "cancel"] = "requeue"
    """What becomes of a preempted job: it queues again, or ends."""
    grace: Seconds = 0.0
    """Time a preempted job may go on."""
    min_run_time: Seconds = 0.0
    """Time a job runs before it can be preempted."""
    most_preemptions: Annotated[int, Field(ge=0)] = 0
    """A job preempted so often is left alone; 0: no limit."""


class CombinedSection(PolicySection):
    """A scheduling policy, which preemption and limits can be combined with where it is an order of the queue."""

    preemption: PreemptionSection | None = None
    """Taking running jobs off their nodes for those that wait; absent: nobody is."""
    limits: LimitsSection | None = None
    """What accounts and users may run at once; absent: whatever fits."""


def keys_of(policy: type) -> dict[str, dataclasses.Field[Any]]:
    """Return the scenario keys of a policy class: the fields of the dataclass."""
    return {field.name: field for field in dataclasses.fields(policy)}


def changed_policy(family: str, base: _Keys, changes: _Keys | None) -> _Keys:
    """Return a policy section with the keys that another one sets; keys that only the old policy has are left aside."""
    result = merged(base, changes)
    others = {key for policy in families()[family].values() for key in keys_of(policy)}
    others -= set(keys_of(families()[family][result.chosen()]))
    inherited = base.model_fields_set - (set() if changes is None else changes.model_fields_set)
    kept = result.model_fields_set - (others & inherited)
    values = {key: getattr(result, key) for key in kept}
    return cast("_Keys", type(result).model_construct(set(kept), **values))


def build(family: str, section: PolicySection) -> Any:
    """Return the policy a section describes; its keys were validated before."""
    keys = {
        key: tuple(sorted(value.items())) if isinstance(value, dict) else value
        for key, value in section.own_keys().items()
    }
    return families()[family][section.chosen()](**keys)


def build_scheduling(section: PolicySection) -> Any:
    """Return the scheduling policy a section describes, with preemption and limits where it has them."""
    policy = build("scheduling", section)
    preemption, limits = getattr(section, "preemption", None), getattr(section, "limits", None)
    if preemption is None and limits is None:
        return policy
    taking = None
    if preemption is not None:
        keys = ("mode", "grace", "min_run_time", "most_preemptions")
        taking = Preemptive(backfill=policy.backfill, **{key: getattr(preemption, key) for key in keys})
    return Combined(policy, taking, None if limits is None else limits.limits())


def _annotation(policy: type, field: dataclasses.Field[Any], owners: list[str]) -> tuple[Any, Any]:
    """Return type and default of a key; the schema tells which policies have it, and their default."""
    meaning = f"{field.metadata.get('meaning', '')} ({', '.join(owners)})"
    about: Any = {"description": meaning}
    if field.default is not None and field.default != ():
        default: Any = field.default
        shown = units.show(default, "s") if field.metadata.get("unit") == "duration" else default
        about["json_schema_extra"] = {"default": shown}
    if field.metadata.get("unit") == "duration":
        positive = (field.metadata.get("at_least") or 0.0) > 0.0
        kind: Any = PositiveSeconds if positive else Seconds
        return Annotated[kind, Field(**about)], _UNSET
    bounds: dict[str, Any] = {"ge": field.metadata.get("at_least"), "le": field.metadata.get("at_most")}
    plain: Any = get_type_hints(policy)[field.name]
    if plain == Numbers:
        return Annotated[dict[_Text, Annotated[float, Field(**bounds)]], Field(**about)], _UNSET
    if get_origin(plain) in (Union, UnionType):  # a number or a word; bounds are for the number, and None is no key
        kinds = [kind for kind in get_args(plain) if kind is not NoneType]
        plain = reduce(or_, [Annotated[kind, Field(**bounds)] if kind in (int, float) else kind for kind in kinds])
        bounds = {}
    return Annotated[plain, Field(**about, **bounds)], _UNSET


def policy_section(family: str, default: str, name: str, base: type[PolicySection] = PolicySection) -> Any:
    """Return a model with the key ``policy`` and every key of the family's policies.

    Which of the keys belong to the chosen policy is checked afterwards (``checks``), so that errors keep the plain
    position of the key.
    """
    members = families()[family]
    fields: dict[str, Any] = {}
    for policy in members.values():
        for key, field in keys_of(policy).items():
            owners = [other for other, each in members.items() if key in keys_of(each)]
            fields[key] = _annotation(policy, field, owners)
    described = f"registry name of the {family} policy"
    fields["policy"] = (Annotated[Literal[tuple(members)], Field(description=described)], default)
    return create_model(name, __base__=base, __module__=base.__module__, __doc__=f"The {family} policy.", **fields)


if TYPE_CHECKING:
    HealthSection = PolicySection
    SchedulingSection = CombinedSection
    PlacementSection = PolicySection
else:
    HealthSection = policy_section("health", "strikes", "HealthSection")
    SchedulingSection = policy_section("scheduling", "fifo", "SchedulingSection", CombinedSection)
    PlacementSection = policy_section("placement", "first_fit", "PlacementSection")
