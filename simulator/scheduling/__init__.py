"""Scheduling: passes over a queue, placement on nodes, and the replay of traces.

``replay`` is the public verb; the kernels live in their own modules.
"""

# Imported at once, not on first use: the function and its module share a name, and the function must win.
from simulator.scheduling.replay import replay

__all__ = ["replay"]


def __dir__() -> list[str]:
    return __all__
