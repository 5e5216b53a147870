"""Whether the compiled kernels of the simulator are in Numba's cache, for a word to the user before a slow start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def are_compiled() -> bool:
    """Return whether some kernel of the loaded modules has a cache entry that is newer than its source.

    False on the first run after an installation or an upgrade; which kernels a scenario needs is known only later.
    """
    return any(_has_entry(kernel) for kernel in _kernels())


def _kernels() -> list[Any]:
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("simulator.")]
    return [
        value
        for module in modules
        for value in vars(module).values()
        if hasattr(value, "py_func") and hasattr(value, "stats")
    ]


def _has_entry(kernel: Any) -> bool:
    source = Path(kernel.py_func.__code__.co_filename)
    prefix = f"{source.stem}.{kernel.py_func.__qualname__}-"
    cache = Path(kernel.stats.cache_path)
    if not cache.is_dir() or not source.exists():
        return False
    written = source.stat().st_mtime
    return any(entry.stat().st_mtime >= written for entry in cache.glob(f"{prefix}*.nbc"))
