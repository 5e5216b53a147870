"""Jobs that use fabric or storage: those that run, and those that read a checkpoint before they run again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from simulator.network.fabric import Floats, Ints
from simulator.network.sharing import Traffic
from simulator.workload.checkpoints import CheckpointPlan
from simulator.workload.placed_step import PlacedStep, TrainingStep
from simulator.workload.storage import Ways, storage_traffics

if TYPE_CHECKING:
    from simpy.events import Event

    from simulator.engine.runs import Run


@dataclass(slots=True)
class StepRecord:
    """What became of the steps and the saves of one job.

    Parameters
    ----------
    nominal_s : dict of str to float
        Parts of its step on an idle, healthy fabric without oversubscription; empty without a training model.
    part_s : dict of str to float
        Total time of each part over all its steps.
    steps : float
        How many steps it made, lost ones included.
    stepped_s, stood_still_s : float
        Time it stepped, and time it stood still because its traffic did not get through.
    timeouts : int
        Interruptions because a standstill lasted too long.
    written_s, writes : float
        Time of all its writes of checkpoints to storage, and how many there were.
    """

    nominal_s: dict[str, float]
    part_s: dict[str, float]
    steps: float = 0.0
    stepped_s: float = 0.0
    stood_still_s: float = 0.0
    timeouts: int = 0
    written_s: float = 0.0
    writes: float = 0.0


class Member:
    """A running job that communicates, saves to storage or reads data.

    Parameters
    ----------
    run : Run
        The job.
    step : TrainingStep or None
        What it computes and communicates in a step.
    placed : PlacedStep or None
        The links a step uses, with the routes as they are now.
    ways : Ways or None
        How its bytes get to storage; None for a job that does not use it.
    now_s : float
        Begin of its attempt.

    Attributes
    ----------
    traffics : list of Traffic
        That of its steps, then one for each tier on storage and for its data.
    owners : list of int
        A number for each; those of one number never go on at the same time.
    identity : tuple of objects
        What its traffics follow from.
    links : int array
        All links in use, ascending.
    is_still, still_since_s : bool, float
        Whether its traffic does not get through, and since when.
    rate : float
        Useful seconds per second of training at the present pace.
    """

    def __init__(
        self,
        run: Run,
        step: TrainingStep | None,
        placed: PlacedStep | None,
        ways: Ways | None,
        now_s: float,
    ) -> None:
        self.run, self.step = run, step
        self._since_s = now_s
        self._parts_s = {} if step is None else dict(step.nominal_parts_s)
        self._write_s: tuple[float, ...] = ()
        self._useful_s = self._stood_s = 0.0
        self._loaded_s = 0.0  # useful time made on the present routes
        self._saved_s: list[float] = []  # useful time whose saves were written on them, by tier on storage
        self.is_still = False
        self.still_since_s = math.nan
        self.rate = 1.0
        self.move(placed, ways)

    def move(self, placed: PlacedStep | None, ways: Ways | None) -> None:
        """Take other routes from now on."""
        self.placed, self.ways = placed, ways
        self.traffics: list[Traffic] = [] if placed is None else [placed.traffic]
        steps, besides = 2 * self.run.job, 2 * self.run.job + 1
        self.owners = [steps] * len(self.traffics)
        self.identity = (placed, ways, self.run.plan)
        links = [] if placed is None else [placed.links]
        if ways is not None:
            plan, profile = self.run.plan, self.run.profile
            stored = storage_traffics(ways, plan.tiers, plan.intervals_s, profile.data_rate)
            self.traffics += [traffic for traffic, _ in stored]
            self.owners += [steps if is_blocking else besides for _, is_blocking in stored]
            links += [traffic.communications[0].links for traffic, _ in stored]
        self.links = links[0] if len(links) == 1 else np.unique(np.concatenate(links))

    def uses(self, links: Ints) -> bool:
        """Return whether its traffic crosses one of the links."""
        return _meets(self.links, links)

    def pace(self, seconds: Sequence[Floats]) -> CheckpointPlan:
        """Go on at the pace that follows from the seconds of each communication; return the plan of its saves.

        A job stands still when any of its traffic does not get through.
        """
        plan, found = self.run.plan, list(seconds)
        arrives = all(np.isfinite(each).all() for each in found)
        arrives &= self.placed is None or self.placed.arrives
        arrives &= self.ways is None or self.ways.arrives
        self.is_still, self.rate = not arrives, 1.0 if arrives else 0.0
        if not arrives:
            return plan
        read_s = float(found.pop()[0]) if self.run.profile.data_rate > 0.0 else 0.0  # in a second of useful work
        if self.step is not None and self.placed is not None:
            self._parts_s = self.step.parts(self.placed, found.pop(0), read_s * self.step.nominal_s)
            self.rate = self.step.rate(self._parts_s)
        if not found:
            return plan
        self._write_s = tuple(float(each[0]) for each in found)
        left = iter(self._write_s)
        tiers = tuple(each if each.transfer is None else each.written_in(next(left)) for each in plan.tiers)
        return CheckpointPlan(tiers, plan.intervals_s)

    def note(self, record: StepRecord, now_s: float) -> None:
        """Book the time since the last change of pace."""
        elapsed_s, self._since_s = now_s - self._since_s, now_s
        if self.is_still:
            record.stood_still_s += elapsed_s
            return
        assert self.run.segment is not None
        useful_s, stood_s = self.run.segment.progress(now_s)
        gained_s = useful_s - self._useful_s
        if self.step is not None:
            steps = gained_s / self.step.nominal_s
            record.stepped_s += elapsed_s - (stood_s - self._stood_s)
            record.steps += steps
            for part, each_s in self._parts_s.items():
                record.part_s[part] += each_s * steps
        stored = [k for k, tier in enumerate(self.run.plan.tiers) if tier.transfer is not None]
        self._saved_s = self._saved_s or [0.0] * len(self._write_s)
        for i, (k, write_s) in enumerate(zip(stored, self._write_s, strict=False)):
            # One save follows another: work that runs ahead of a slow one has written nothing yet.
            writes = gained_s / self.run.plan.intervals_s[k]
            if write_s > 0.0:
                writes = min(writes, elapsed_s / write_s)
            record.writes += writes
            record.written_s += writes * write_s
            self._saved_s[i] += writes * self.run.plan.intervals_s[k]
        self._loaded_s += gained_s
        self._useful_s, self._stood_s = useful_s, stood_s

    def unload(self, load_bytes: Floats) -> None:
        """Book the bytes moved on the present routes."""
        periods = [self._loaded_s] * len(self.traffics)
        if self.step is not None:
            periods[0] /= self.step.nominal_s
        first = 0 if self.step is None else 1
        periods[first : first + len(self._saved_s)] = self._saved_s
        for traffic, times in zip(self.traffics, periods, strict=True):
            for each, count in zip(traffic.communications, traffic.counts, strict=True):
                load_bytes[each.links] += each.weights * (each.flow_bytes * count * times)
        self._loaded_s, self._saved_s = 0.0, []


@dataclass(slots=True, eq=False)
class Loading:
    """A job that reads a checkpoint from storage before it runs again.

    Parameters
    ----------
    run : Run
        The job.
    ways : Ways
        How its bytes get there.
    size_bytes : float
        The checkpoint.
    since_s : float
        Since when its present pace holds.
    done : Event
        Succeeds when all has been read.
    """

    run: Run
    ways: Ways | None
    size_bytes: float
    since_s: float
    done: Event
    left: float = 1.0  # share of the bytes
    seconds: float = math.inf  # of all bytes at the present pace
    version: int = 0
    is_still: bool = False
    still_since_s: float = math.nan
    traffics: list[Traffic] = field(init=False)
    step: None = None
    placed: None = None
    _moved: float = 0.0  # share of the bytes moved on the present routes

    def __post_init__(self) -> None:
        self.move(None, self.ways)

    def move(self, placed: PlacedStep | None, ways: Ways | None) -> None:
        """Take other routes from now on."""
        assert ways is not None
        self.ways = ways
        self.traffics = [Traffic((ways.read.moving(self.size_bytes),), (1.0,), 0.0)]

    @property
    def owners(self) -> list[int]:
        """One number for its one traffic."""
        return [2 * self.run.job]

    @property
    def identity(self) -> tuple[object, ...]:
        """What its traffic follows from."""
        return (self.ways, self.run.plan)

    @property
    def links(self) -> Ints:
        """All links in use, ascending."""
        return self.traffics[0].communications[0].links

    @property
    def left_s(self) -> float:
        """Time until all is read at the present pace; infinite while nothing gets through."""
        return self.left * self.seconds if self.left > 0.0 else 0.0

    def uses(self, links: Ints) -> bool:
        """Return whether its traffic crosses one of the links."""
        return _meets(self.links, links)

    def pace(self, seconds: Sequence[Floats]) -> None:
        """Go on at the pace that follows from the seconds of reading all of it."""
        assert self.ways is not None
        self.seconds = float(seconds[0][0]) if self.ways.arrives else math.inf
        self.is_still = math.isinf(self.seconds)

    def note(self, record: StepRecord, now_s: float) -> None:
        """Book the time since the last change of pace."""
        elapsed_s, self.since_s = now_s - self.since_s, now_s
        if self.is_still:
            record.stood_still_s += elapsed_s
        moved = min(elapsed_s / self.seconds, self.left) if self.seconds > 0.0 else self.left
        self.left -= moved
        self._moved += moved

    def unload(self, load_bytes: Floats) -> None:
        """Book the bytes moved on the present routes."""
        each = self.traffics[0].communications[0]
        load_bytes[each.links] += each.weights * (each.flow_bytes * self._moved)
        self._moved = 0.0


def _meets(own: Ints, links: Ints) -> bool:
    at = np.minimum(np.searchsorted(own, links), len(own) - 1)
    return len(own) > 0 and bool((own[at] == links).any())
