"""Policies given as objects: checked, copied for every replication, sent to workers, and described in results."""

from __future__ import annotations

import copy
import difflib
import pickle
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError
from simulator.policies.registry import METHODS

if TYPE_CHECKING:
    from simulator.scenario.resolved import Scenario

POLICY_FAMILIES = ("scheduling", "placement", "recovery", "checkpointing")
"""Families of policies that can be handed over as objects."""

BASE = "variant"
"""Key of an own variant that names the variant of the scenario whose policies are replaced."""

_EXAMPLE = "a name for a new variant and its policies, such as {'mine': {'scheduling': MyPolicy()}}"
_LONGEST_REPR = 200


class OwnVariant:
    """A variant of the scenario with some of its policies replaced by objects; picklable, whatever they are made of.

    Parameters
    ----------
    name : str
        Name of the new variant.
    base : str
        Variant of the scenario that it is but for the policies.
    policies : mapping of str to policy
        By family.

    Notes
    -----
    Pickled by value where a worker could not import it: classes of a notebook or a script travel as code. They are
    unpacked when they are first needed, so that what goes wrong is told as an error of a task.
    """

    def __init__(self, name: str, base: str, policies: Mapping[str, Any]) -> None:
        self.name = name
        self.base = base
        self._policies: dict[str, Any] | None = dict(policies)
        self._packed: bytes | None = None

    @property
    def policies(self) -> dict[str, Any]:
        """The objects by family.

        Raises
        ------
        InputError
            In a worker that cannot import what they are made of.
        """
        if self._policies is None:
            assert self._packed is not None
            try:
                self._policies = pickle.loads(self._packed)
            except Exception as error:  # whatever the user's modules do when they are imported
                raise self._refusal("cannot be loaded in a worker process", error, _PORTABLE) from error
        return self._policies

    def fresh(self) -> dict[str, Any]:
        """Return copies for one replication.

        MUST HOLD: no replication sees what another left in a policy, or results would depend on who did which.

        Raises
        ------
        InputError
            When they cannot be copied.
        """
        policies = self.policies
        try:
            return copy.deepcopy(policies)
        except Exception as error:  # whatever the user's objects do
            allowed = "objects that copy.deepcopy can copy: every replication gets its own"
            raise self._refusal("cannot be copied", error, allowed) from error

    def packed(self) -> bytes:
        """Return the policies as bytes for workers.

        Raises
        ------
        InputError
            When they cannot be pickled.
        """
        if self._packed is None:
            import cloudpickle

            try:
                self._packed = cloudpickle.dumps(self.policies)
            except Exception as error:  # whatever the user's objects do
                raise self._refusal("cannot be sent to worker processes", error, _PORTABLE) from error
        return self._packed

    def _refusal(self, problem: str, error: Exception, allowed: str) -> InputError:
        found = f"{type(error).__name__}: {error}"
        return InputError(f"the policies {problem}", key=f"policies.{self.name}", found=found, allowed=allowed)

    def __getstate__(self) -> tuple[str, str, bytes]:
        return self.name, self.base, self.packed()

    def __setstate__(self, state: tuple[str, str, bytes]) -> None:
        self.name, self.base, self._packed = state
        self._policies = None

    def described(self) -> list[dict[str, str]]:
        """Return a row for each policy: what is known of code that no file of the results holds."""
        return [
            {"variant": self.name, "of": self.base, "family": family, **_described(policy)}
            for family, policy in self.policies.items()
        ]


_PORTABLE = "objects that can be pickled, of a notebook, a script or a module that can be imported; or workers=1"


def own_variants(policies: Mapping[str, Mapping[str, Any]] | None, scenario: Scenario) -> dict[str, OwnVariant]:
    """Return the variants that a mapping of names to policies adds to a scenario.

    Parameters
    ----------
    policies : mapping of str to mapping, optional
        For each new name: policies by family, and under ``variant`` which variant they change, the first by default.
    scenario : Scenario

    Raises
    ------
    InputError
        For a name that is taken or no text, an unknown variant or family, or what is no policy.
    """
    if policies is None:
        return {}
    _demand_mapping(policies, "policies", _EXAMPLE)
    _demand_names(policies, scenario)
    own = {}
    for name, changes in policies.items():
        key = f"policies.{name}"
        _demand_mapping(changes, key, f"a family and your policy, such as {{{name!r}: {{'scheduling': MyPolicy()}}}}")
        base = changes.get(BASE, scenario.variants[0])
        if not isinstance(base, str):
            raise InputError("not the name of a variant", key=f"{key}.{BASE}", found=_shown(base), allowed="text")
        scenario.variant(base)
        objects = {family: policy for family, policy in changes.items() if family != BASE}
        demand_policies(objects, key)
        if not objects:
            raise InputError("no policy", key=key, allowed="a policy of " + ", ".join(POLICY_FAMILIES))
        own[name] = OwnVariant(name, base, objects)
    return own


def _demand_names(policies: Mapping[str, Any], scenario: Scenario) -> None:
    for name, changes in policies.items():
        if name in POLICY_FAMILIES and not isinstance(changes, Mapping):
            # What sim.run takes; here a variant needs a name as well.
            allowed = f"a name for the new variant around it, such as {{'mine': {{{name!r}: ...}}}}"
            raise InputError("a policy without a variant", key="policies", found=repr(name), allowed=allowed)
        if not isinstance(name, str) or not name or not name.isprintable():
            raise InputError("not a name for a variant", key="policies", found=_shown(name), allowed="printable text")
        if name in scenario.variants:
            taken = ", ".join(scenario.variants)
            raise InputError(
                "the scenario has a variant of this name", key="policies", found=repr(name), allowed=f"none of {taken}"
            )


def demand_policies(policies: Mapping[str, Any], key: str = "policies") -> None:
    """Refuse what is no mapping of families to policies.

    Parameters
    ----------
    policies : mapping of str to policy
    key : str
        Where it stands, for the error.

    Raises
    ------
    InputError
        For an unknown family, a class instead of an object, or an object without the method of its family.
    """
    _demand_mapping(policies, key, "a family and your policy, such as {'scheduling': MyPolicy()}")
    for family, policy in policies.items():
        if family not in POLICY_FAMILIES:
            close = difflib.get_close_matches(str(family), POLICY_FAMILIES, n=1)
            raise InputError(
                "unknown family of policies",
                key=key,
                found=repr(family),
                allowed=", ".join(POLICY_FAMILIES),
                nearest=close[0] if close else None,
            )
        if isinstance(policy, type):
            name = policy.__name__
            raise InputError("a class, not an object", key=f"{key}.{family}", found=name, allowed=f"{name}(...)")
        if not callable(getattr(policy, METHODS[family], None)):
            allowed = f"an object with the method {METHODS[family]}(view)"
            raise InputError(
                "not a policy of this family", key=f"{key}.{family}", found=_shown(policy), allowed=allowed
            )


def _demand_mapping(value: object, key: str, allowed: str) -> None:
    if not isinstance(value, Mapping):
        raise InputError("not a mapping", key=key, found=_shown(value), allowed=allowed)


def _shown(value: object) -> str:
    """Return any object as short text."""
    text = _described(value)
    return text["repr"] or f"an object of {text['class']}"


def _described(value: object) -> dict[str, str]:
    """Return the class of an object, and its repr where that says more: printable, of one line, without addresses."""
    kind = type(value)
    text = "" if kind.__repr__ is object.__repr__ else repr(value)
    # MUST HOLD: no addresses, which differ from process to process: equal studies write equal bytes.
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", text)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = " ".join(text.split())
    short = text if len(text) <= _LONGEST_REPR else text[: _LONGEST_REPR - 1] + "…"
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "repr": short}


def comment(own: Mapping[str, OwnVariant]) -> bytes:
    """Return YAML comments that say which variants a scenario file does not hold; nothing where it holds all."""
    if not own:
        return b""
    lines = ["# Not in this file, because their policies were given in code:"]
    for variant in own.values():
        policies = ", ".join(f"{row['family']} = {row['repr'] or row['class']}" for row in variant.described())
        lines.append(f"#   {variant.name}: variant {variant.base} with {policies}")
    return "".join(f"{line}\n" for line in lines).encode()
