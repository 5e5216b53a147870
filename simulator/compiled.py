"""The one decorator for compiled kernels, the place where their cache is made safe, and word of their compilation."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event

_F = TypeVar("_F", bound=Callable[..., Any])
_PACKAGE = Path(__file__).parent
_IMPORT = re.compile(r"^ *(?:from|import) +simulator([\w.]*)(?: +import +(\([\w\s,]+|[\w ,]+))?", re.MULTILINE)


@cache
def cache_folder(source: Path) -> Path:
    """Return the folder for the compiled kernels of a file: a new one for every state of what they are made from.

    Numba keys its cache by the file of the kernel alone, but a kernel calls kernels of other files and uses their
    constants, which are built into its machine code; after a change the old code would go on running. (Python, Numba
    and the processor are in Numba's own keys.) And where neither the package nor the home folder can be written Numba
    raises at import, so a temporary folder is the last resort.
    """
    digest = hashlib.sha256()
    for part in sources(source):
        digest.update(part.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    if "NUMBA_CACHE_DIR" in os.environ:
        return Path(os.environ["NUMBA_CACHE_DIR"]) / name
    homes = (_PACKAGE / "__pycache__", Path.home() / ".cache" / "simulator")
    home = next((home for home in homes if _is_writable(home)), Path(tempfile.gettempdir()) / "simulator-kernels")
    return home / name


def sources(source: Path) -> tuple[Path, ...]:
    """Return the files that a file's kernels can depend on: itself and what it imports of the package, sorted.

    Read from the text, because kernels are made while the modules are still being loaded.
    """
    found, ahead = {source}, [source]
    while ahead:
        for module, names in _IMPORT.findall(ahead.pop().read_text(encoding="utf-8")):
            place = _PACKAGE.joinpath(*module.split("."))
            inside = (place / f"{name}.py" for name in ("__init__", *re.findall(r"\w+", names)))
            new = {file for file in (place.with_suffix(".py"), *inside) if file.is_file()} - found
            found |= new
            ahead += new
    return tuple(sorted(found))


def kernel(function: _F) -> _F:
    """Compile a pure function of arrays and scalars on its first call, with the result cached on disk.

    No fast-math: results are the same for the compiled and the plain function (``.py_func``).
    """
    others = numba.config.CACHE_DIR  # of other packages in this process, left as it was
    numba.config.CACHE_DIR = str(cache_folder(Path(function.__code__.co_filename)))
    try:
        return cast(_F, numba.njit(cache=True)(function))
    finally:
        numba.config.CACHE_DIR = others


class _Begin(event.Listener):  # type: ignore[misc]  # Numba has no types
    """Calls a function once, when a kernel that is not in the cache begins to be compiled."""

    def __init__(self, began: Callable[[], None]) -> None:
        self._began: Callable[[], None] | None = began

    def on_start(self, _: event.Event) -> None:
        began, self._began = self._began, None
        if began is not None:
            began()

    def on_end(self, _: event.Event) -> None:
        """Take no notice: how long it took is in ``seconds``."""


@contextlib.contextmanager
def told(began: Callable[[], None]) -> Iterator[None]:
    """Call a function when this process begins to compile: once, since a first kernel seldom comes alone."""
    with event.install_listener("numba:compile", _Begin(began)):
        yield


_IN_COMPILER = event.TimingListener()
# Numba holds this lock while it compiles, and while it loads what it has compiled before.
event.register("numba:compiler_lock", _IN_COMPILER)


def seconds() -> float:
    """Return how long this process has compiled kernels, or loaded compiled ones, so far."""
    return float(_IN_COMPILER.duration) if _IN_COMPILER.done else 0.0


def _is_writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
