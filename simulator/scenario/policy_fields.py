"""Scenario keys of policies, taken from the fields of the policy classes."""

from __future__ import annotations

import dataclasses
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import Field, create_model

from simulator.policies.fields import Numbers
from simulator.policies.registry import families
from simulator.scenario.quantities import PositiveSeconds, Seconds, Section

_UNSET: Any = None
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


def keys_of(policy: type) -> dict[str, dataclasses.Field[Any]]:
    """Return the scenario keys of a policy class: the fields of the dataclass."""
    return {field.name: field for field in dataclasses.fields(policy)}


def build(family: str, section: PolicySection) -> Any:
    """Return the policy a section describes; its keys were validated before."""
    keys = {
        key: tuple(sorted(value.items())) if isinstance(value, dict) else value
        for key, value in section.own_keys().items()
    }
    return families()[family][section.chosen()](**keys)


def _annotation(policy: type, field: dataclasses.Field[Any]) -> tuple[Any, Any]:
    meaning = str(field.metadata.get("meaning", ""))
    if field.metadata.get("unit") == "duration":
        positive = (field.metadata.get("at_least") or 0.0) > 0.0
        kind: Any = PositiveSeconds if positive else Seconds
        return Annotated[kind, Field(description=meaning)], _UNSET
    bounds: dict[str, Any] = {"ge": field.metadata.get("at_least"), "le": field.metadata.get("at_most")}
    plain: Any = get_type_hints(policy)[field.name]
    if plain == Numbers:
        return Annotated[dict[_Text, Annotated[float, Field(**bounds)]], Field(description=meaning)], _UNSET
    if get_origin(plain) in (Union, UnionType):  # a number or a word; bounds are for the number, and None is no key
        kinds = [kind for kind in get_args(plain) if kind is not NoneType]
        plain = reduce(or_, [Annotated[kind, Field(**bounds)] if kind in (int, float) else kind for kind in kinds])
        bounds = {}
    return Annotated[plain, Field(description=meaning, **bounds)], _UNSET


def policy_section(family: str, default: str, name: str, base: type[PolicySection] = PolicySection) -> Any:
    """Return a model with the key ``policy`` and every key of the family's policies.

    Which of the keys belong to the chosen policy is checked afterwards (``checks``), so that errors keep the plain
    position of the key.
    """
    members = families()[family]
    fields: dict[str, Any] = {}
    for policy in members.values():
        for key, field in keys_of(policy).items():
            fields[key] = _annotation(policy, field)
    described = f"registry name of the {family} policy"
    fields["policy"] = (Annotated[Literal[tuple(members)], Field(description=described)], default)
    return create_model(name, __base__=base, __module__=base.__module__, __doc__=f"The {family} policy.", **fields)


if TYPE_CHECKING:
    HealthSection = PolicySection
    SchedulingSection = PolicySection
    PlacementSection = PolicySection
else:
    HealthSection = policy_section("health", "strikes", "HealthSection")
    SchedulingSection = policy_section("scheduling", "fifo", "SchedulingSection")
    PlacementSection = policy_section("placement", "first_fit", "PlacementSection")
