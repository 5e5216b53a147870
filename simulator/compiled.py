"""The one decorator for compiled kernels, and the place where their cache is made safe."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., Any])


def _writable(folder: Path) -> bool:
    probe = folder
    while not probe.exists() and probe != probe.parent:
        probe = probe.parent
    return os.access(probe, os.W_OK)


def _secure_cache_folder() -> None:
    """Point Numba at a temporary cache where neither the package nor the home folder can be written.

    Without a place for its cache Numba raises at import and takes the whole program down.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    if _writable(Path(__file__).parent) or _writable(Path.home() / ".cache"):
        return
    os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "simulator-kernels")


_secure_cache_folder()

import numba  # noqa: E402  the cache folder must be settled before Numba is imported


def kernel(function: _F) -> _F:
    """Compile a pure function of arrays and scalars on its first call, with the result cached on disk.

    No fast-math: results are the same for the compiled and the plain function (``.py_func``).
    """
    return cast(_F, numba.njit(cache=True)(function))
