"""Scheduling: passes over a queue, placement on nodes, and the replay of traces.

``replay`` is the public verb. It is found on first use, because it brings in Numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.scheduling.replay import replay

__all__ = ["replay"]


def __getattr__(name: str) -> Any:
    if name == "replay":
        import importlib

        return importlib.import_module("simulator.scheduling.replay").replay
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
