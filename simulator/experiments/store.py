"""Finished replications on disk, from the moment they are finished until the results folder is complete.

A running study keeps ``DIR.partial/`` beside its results folder: ``study.json`` says which study it is and
``finished.journal`` holds one record after the other. A record that was cut off by a crash is recognised by its
checksum and overwritten.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from simulator.errors import InputError, SimulatorError
from simulator.experiments.records import Record, Task, decode, task_of

FORMAT = 1
"""Version of the layout of results folders and journals."""

_FRAME = struct.Struct("<4sIQ")  # mark, checksum, length
_MARK = b"repl"
_SYNC_EVERY_S = 1.0


@dataclass(frozen=True)
class StudyKey:
    """What decides the bytes of a replication; finished ones are reused only under an equal key.

    Parameters
    ----------
    simulator : str
        Version of the simulator.
    scenario_sha256 : str
        Hash of the resolved scenario with its variants and of the files it reads.
    seed : int
        Seed of the study.
    keep : str
        "first" or "all".
    own_policies : str
        Names of the variants whose policies were given as objects, "" without any.
    format : int
        Version of the layout.
    """

    simulator: str
    scenario_sha256: str
    seed: int
    keep: str
    own_policies: str = ""
    format: int = FORMAT


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def partial_folder(output: Path) -> Path:
    """Return where an unfinished study keeps what it has, beside its results folder."""
    return output.with_name(output.name + ".partial")


class Journal:
    """Finished replications of one study in one file. Use as a context manager.

    Parameters
    ----------
    folder : path
        The ``.partial`` folder; made when missing.
    key : StudyKey
        The study.
    resume : bool
        Whether to keep what is there; otherwise the journal starts empty.

    Raises
    ------
    InputError
        When ``resume`` meets another study, or another process is writing there.
    """

    def __init__(self, folder: Path, key: StudyKey, resume: bool) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / "finished.journal").open(
                "r+b" if (folder / "finished.journal").exists() else "x+b", buffering=0
            )
        except OSError as error:
            raise InputError("cannot write the results here", found=f"{folder} ({error.strerror})") from None
        try:
            self._lock()
            self._places: dict[Task, tuple[int, int]] = {}
            self._end = 0
            self._synced = time.monotonic()
            known = folder / "study.json"
            if resume and known.exists():
                _demand_equal(known, key)
                self._scan()
            else:
                os.ftruncate(self._file.fileno(), 0)
                write_atomically(known, json.dumps(asdict(key), indent=2).encode())
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        """Refuse a second study in the same folder; the system lets go of the lock however we end."""
        try:
            import fcntl
        except ImportError:  # systems without it have no lock; two studies in one folder are then the user's care
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "another study is writing here",
                found=str(self.folder),
                allowed="another output folder, or wait until it has finished",
            ) from None

    def _scan(self) -> None:
        """Find the whole records; stop at the first that was cut off."""
        size = os.fstat(self._file.fileno()).st_size
        while (record := self._whole_record(self._end, size)) is not None:
            self._places[task_of(record)] = (self._end + _FRAME.size, len(record))
            self._end += _FRAME.size + len(record)

    def _whole_record(self, offset: int, size: int) -> bytes | None:
        frame = os.pread(self._file.fileno(), _FRAME.size, offset)
        if len(frame) < _FRAME.size:
            return None
        mark, checksum, length = _FRAME.unpack(frame)
        if mark != _MARK or offset + _FRAME.size + length > size:
            return None
        record = self._read(offset + _FRAME.size, length)
        return record if zlib.crc32(record) == checksum else None

    def _read(self, offset: int, length: int) -> bytes:
        parts = []
        while length:  # one call returns at most 2 GiB
            part = os.pread(self._file.fileno(), length, offset)
            if not part:
                raise SimulatorError(f"{self.folder}: the journal became shorter while it was read")
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def append(self, task: Task, record: bytes) -> None:
        """Put a finished replication on disk."""
        content = memoryview(_FRAME.pack(_MARK, zlib.crc32(record), len(record)) + record)
        # Written at a known place, not at the end: a write that Ctrl-C tore is then overwritten by the next one.
        written = 0
        while written < len(content):
            written += os.pwrite(self._file.fileno(), content[written:], self._end + written)
        self._places[task] = (self._end + _FRAME.size, len(record))
        self._end += len(content)
        if time.monotonic() - self._synced > _SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Ask the system to bring everything to the disk."""
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def read(self, task: Task) -> Record:
        """Return the record of a finished replication."""
        return decode(self._read(*self._places[task]))

    def __contains__(self, task: Task) -> bool:
        return task in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def discard(self) -> None:
        """Remove the folder; the results folder is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _demand_equal(known: Path, key: StudyKey) -> None:
    try:
        there = json.loads(known.read_bytes())
    except ValueError:
        there = {}
    ours = asdict(key)
    names = {
        "simulator": "version of the simulator",
        "scenario_sha256": "scenario",
        "seed": "seed",
        "keep": "choice of --keep",
        "own_policies": "set of own policies",
        "format": "format of results",
    }
    if different := [text for field, text in names.items() if there.get(field) != ours[field]]:
        raise InputError(
            f"cannot resume: the unfinished study there has another {' and another '.join(different)}",
            found=str(known.parent),
            allowed="the same scenario, seed and version, or another output folder, or no --resume to start again",
        )


def holds_finished(partial: Path) -> bool:
    """Return whether an interrupted study left finished replications in a ``.partial`` folder."""
    with contextlib.suppress(OSError):
        return (partial / "finished.journal").stat().st_size > 0
    return False


def demand_folder(output: Path) -> None:
    """Raise InputError where no folder can be: a file stands there or further up."""
    there = next(path for path in (output, *output.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        found, allowed = f"{there} (not a folder)", "a folder, new or there already"
        raise InputError("cannot write the results here", found=found, allowed=allowed)


def demand_replaceable(output: Path) -> None:
    """Refuse an output folder that is neither new, nor empty, nor one of our own results folders.

    Raises
    ------
    InputError
        So that a mistyped path never costs somebody else's files.
    """
    if not output.exists() and not output.is_symlink():
        demand_folder(output)
        return
    allowed = "a new folder, an empty one, or an earlier results folder"
    if not output.is_dir() or output.is_symlink():
        raise InputError("the output is not a folder", found=str(output), allowed=allowed)
    if any(output.iterdir()) and not is_results_folder(output):
        raise InputError("the output folder holds other files", found=str(output), allowed=allowed)


def is_results_folder(folder: Path) -> bool:
    """Return whether the simulator wrote this folder."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and {"format", "simulator", "scenario_name"} <= set(manifest)


@contextlib.contextmanager
def complete_folder(output: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``output``; on success it becomes ``output``, otherwise it is removed."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary.mkdir()
    try:
        yield temporary
        demand_replaceable(output)
        _swap(temporary, output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _swap(temporary: Path, output: Path) -> None:
    """Put the new folder in the place of the old one; whatever happens, one of the two is there whole."""
    if not output.exists():
        temporary.rename(output)
        return
    old = output.with_name(f".{output.name}.{os.getpid()}.old")
    output.rename(old)
    try:
        temporary.rename(output)
    except BaseException:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
