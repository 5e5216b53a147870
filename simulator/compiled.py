"""The one decorator for compiled kernels, and the place where their cache is made safe."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., Any])
_PACKAGE = Path(__file__).parent
_ROOMS_WITH_KERNELS = ("network", "scheduling", "workload", "faults")


@cache
def cache_folder() -> Path:
    """Return the folder for compiled kernels: a new one for every state of the kernels' sources.

    Numba keys its cache by the file of the kernel alone, but a kernel calls kernels of other files, whose machine
    code is built into its own; after a change or an upgrade the old code would go on running. And where neither
    the package nor the home folder can be written Numba raises at import, so a temporary folder is the last resort.
    """
    digest = hashlib.sha256()
    for room in _ROOMS_WITH_KERNELS:
        for source in sorted((_PACKAGE / room).rglob("*.py")):
            digest.update(source.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    if "NUMBA_CACHE_DIR" in os.environ:
        return Path(os.environ["NUMBA_CACHE_DIR"]) / name
    homes = (_PACKAGE / "__pycache__", Path.home() / ".cache" / "simulator")
    home = next((home for home in homes if _is_writable(home)), Path(tempfile.gettempdir()) / "simulator-kernels")
    return home / name


def kernel(function: _F) -> _F:
    """Compile a pure function of arrays and scalars on its first call, with the result cached on disk.

    No fast-math: results are the same for the compiled and the plain function (``.py_func``).
    """
    others = numba.config.CACHE_DIR  # of other packages in this process, left as it was
    numba.config.CACHE_DIR = str(cache_folder())
    try:
        return cast(_F, numba.njit(cache=True)(function))
    finally:
        numba.config.CACHE_DIR = others


def _is_writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
