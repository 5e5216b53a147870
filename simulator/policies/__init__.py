"""Policies: one contract each, frozen dataclasses whose fields are their scenario keys, found by name."""

from __future__ import annotations

from simulator.policies.decisions import Fail, Hold, Migrate, Preempt, Replace, Requeue, Resize, Shrink, Start, Wake
from simulator.policies.fields import parameter
from simulator.policies.registry import families
from simulator.policies.scheduling.ordered import starts_in_order
from simulator.policies.views import CheckpointView, InterruptionView, PlacementView, SchedulerView

__all__ = [
    "CheckpointView",
    "Fail",
    "Hold",
    "InterruptionView",
    "Migrate",
    "PlacementView",
    "Preempt",
    "Replace",
    "Requeue",
    "Resize",
    "SchedulerView",
    "Shrink",
    "Start",
    "Wake",
    "families",
    "parameter",
    "starts_in_order",
]


def __dir__() -> list[str]:
    return __all__
