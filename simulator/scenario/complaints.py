"""What a broken rule of a scenario says: the key to blame, what is wrong, what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulator.policies.registry import families
from simulator.scenario.loading import nearest
from simulator.scenario.policy_fields import PolicySection, changed_policy, keys_of

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Complaint:
    """A broken rule: the key to blame and the parts of the message.

    Parameters
    ----------
    path : tuple of str and int
        Keys that lead to the value to blame.
    problem, found, allowed, nearest : str
        As in ``InputError``.
    """

    path: KeyPath
    problem: str
    found: str | None = None
    allowed: str | None = None
    nearest: str | None = None


def unknown(path: KeyPath, problem: str, word: str, choices: list[str]) -> Complaint:
    """Blame a word that is none of the choices; the nearest of them is named."""
    allowed = ", ".join(choices) if choices else "none are defined here"
    return Complaint(path, problem, repr(word), allowed, nearest(word, choices))


def own_keys(
    family: str, section: PolicySection, path: KeyPath, base: PolicySection | None = None
) -> Iterator[Complaint]:
    """Blame keys that the section's policy does not have, and say whose they are; it may change a base section's."""
    chosen = (section if base is None else changed_policy(family, base, section)).chosen()
    own = list(keys_of(families()[family][chosen]))
    for key in section.own_keys():
        if key not in own:
            others = ", ".join(name for name, policy in families()[family].items() if key in keys_of(policy))
            yield unknown((*path, key), f"policy {chosen!r} has no such key (a key of {others})", key, own)
