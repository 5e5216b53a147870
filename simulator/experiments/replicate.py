"""One replication of one variant: a pure function of (scenario, seed, variant, replication)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator import compiled
from simulator.accounting.outcome import Outcome
from simulator.engine.world import World
from simulator.errors import SimulatorError
from simulator.experiments.own_policies import OwnVariant
from simulator.experiments.records import Task, encode

if TYPE_CHECKING:
    from simulator.scenario.resolved import Scenario


@dataclass(frozen=True)
class Done:
    """A finished replication.

    Parameters
    ----------
    record : bytes
        As ``records.encode`` writes it.
    work_s : float
        Seconds that it took, without those of loading modules and of compiling and loading kernels, which only the
        first replications of a process need.
    """

    record: bytes
    work_s: float


@dataclass(frozen=True)
class Replicator:
    """Runs any replication of a scenario; sent to each worker once.

    Parameters
    ----------
    scenario : Scenario
        What to simulate.
    seed : int
        Seed of the study.
    keep : {"first", "all"}
        Whether jobs, incidents and series are kept of replication 0 only or of all.
    own : mapping of str to OwnVariant
        Variants beyond the scenario's, with policies given as objects.
    """

    scenario: Scenario
    seed: int
    keep: str
    own: Mapping[str, OwnVariant] = field(default_factory=dict)

    def __call__(self, task: Task) -> Done:
        """Return a replication and its time; an error says which replication failed."""
        import simulator.engine
        import simulator.scenario.assembly  # noqa: F401  # before the clock starts

        start_s = time.perf_counter() - compiled.seconds()
        try:
            record = encode(task, self._outcome(task), self.keep)
            return Done(record, time.perf_counter() - compiled.seconds() - start_s)
        except SimulatorError as error:
            error.add_note(str(task))
            raise

    def _outcome(self, task: Task) -> Outcome:
        own = self.own.get(task.variant)
        if own is None:
            return simulate(self.scenario, task.variant, self.seed, task.replication)
        return simulate(self.scenario, own.base, self.seed, task.replication, own.fresh())


def simulate(
    scenario: Scenario,
    variant: str,
    seed: int,
    replication: int,
    policies: Mapping[str, Any] | None = None,
) -> Outcome:
    """Return the outcome of one replication of one variant.

    Parameters
    ----------
    scenario : Scenario
    variant : str
        Name of one of its variants.
    seed, replication : int
        Key of all random streams.
    policies : mapping of str to policy, optional
        Objects that replace the variant's policies, by family: ``scheduling``, ``placement``, ``recovery`` (of every
        job) and ``checkpointing`` (of every tier of every job). Checked by ``own_policies.demand_policies``.
    """
    from simulator.engine import run
    from simulator.scenario.assembly import assemble

    world = assemble(scenario, variant, seed, replication)
    return run(with_policies(world, policies) if policies else world)


def with_policies(world: World, policies: Mapping[str, Any]) -> World:
    """Return the world with some of its policies replaced by other objects."""
    own = {family: policies[family] for family in ("scheduling", "placement") if family in policies}
    profiles = tuple(
        dataclasses.replace(
            profile,
            recovery=policies.get("recovery", profile.recovery),
            checkpointing=(
                (policies["checkpointing"],) * len(profile.tiers)
                if "checkpointing" in policies
                else profile.checkpointing
            ),
        )
        for profile in world.profiles
    )
    return dataclasses.replace(world, profiles=profiles, **own)
