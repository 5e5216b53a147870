"""Trace files as blocks of whole lines, plain or gzip by content; every failure is one InputError."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from simulator.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
# No format read here has longer lines; a file of zeros or one endless line must not fill the memory.
_LONGEST_LINE_BYTES = 1 << 20
BLOCK_BYTES = 1 << 24
"""Bytes read at once: many rows for array operations, little beside the table they become."""


def check_readable(path: str) -> None:
    """Refuse a path that is no readable, non-empty file.

    Parameters
    ----------
    path : str
        As the user named it.

    Raises
    ------
    InputError
        The path is absent, a directory or a device, empty, or may not be read.
    """
    try:
        place = Path(path)
        if place.is_dir():
            raise InputError("is a directory", file=path, allowed="a trace file")
        if not place.exists():
            raise InputError("no such file", file=path, allowed="the path of a trace file")
        if not place.is_file():
            raise InputError("is not a regular file", file=path, allowed="a trace file")
        if place.stat().st_size == 0:
            raise InputError("file is empty", file=path, allowed="at least one job")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def unreadable(path: str, error: Exception) -> InputError:
    """Return the error for a file the operating system does not give us."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InputError(f"cannot be read ({reason.lower()})", file=path)


def starts_like_parquet(path: str) -> bool:
    """Return whether the file's first bytes are those of a parquet file."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == _PARQUET_MAGIC
    except OSError as error:
        raise unreadable(path, error) from None


def text_blocks(path: str, comment: str | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield (number of its first line, counted from 1; whole lines of UTF-8) of a text file, gzip or not.

    Lines end in one newline, the last one too; a byte order mark is taken off.

    Parameters
    ----------
    path : str
        As the user named it.
    comment : str, optional
        Lines that start with it may hold bytes that are not UTF-8 (old logs name people in other encodings).

    Raises
    ------
    InputError
        The file cannot be read, is cut off, is called ``.gz`` without being gzip, or is not text.
    """
    with reading(path) as file:
        line, rest = 1, b""
        while chunk := file.read(BLOCK_BYTES):
            cut = chunk.rfind(b"\n") + 1
            block, rest = (rest + chunk[:cut], chunk[cut:]) if cut else (b"", rest + chunk)
            if len(rest) > _LONGEST_LINE_BYTES:
                _refuse_lines(block + rest, path, line, comment)
            if block:
                yield line, _checked(block, path, line, comment)
                line += block.count(b"\n")
        if rest:
            yield line, _checked(rest + b"\n", path, line, comment)


@contextmanager
def reading(path: str) -> Iterator[IO[bytes]]:
    """Open a file, gzip or not, for bytes; what fails while it is read is one InputError."""
    check_readable(path)
    try:
        with _opened(path) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError("gzip file is cut off or damaged", file=path, allowed="a complete gzip file") from None
    except OSError as error:
        raise unreadable(path, error) from None


def _opened(path: str) -> IO[bytes]:
    with open(path, "rb") as file:
        is_gzip = file.read(2) == _GZIP_MAGIC
    if is_gzip:
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.endswith(".gz"):
        raise InputError("is not a gzip file", file=path, allowed="gzip content in a file called .gz")
    return open(path, "rb")


def _checked(block: bytes, path: str, first: int, comment: str | None) -> bytes:
    """Return the lines of a block as clean UTF-8; refuse what is no text."""
    longest = max(map(len, block.split(b"\n")))
    if b"\0" in block or longest > _LONGEST_LINE_BYTES or not _is_utf8(block):
        block = _refuse_lines(block, path, first, comment)
    block = block.removeprefix(b"\xef\xbb\xbf") if first == 1 else block
    return block.replace(b"\r\n", b"\n")


def _is_utf8(block: bytes) -> bool:
    try:
        return block.isascii() or bool(block.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _refuse_lines(block: bytes, path: str, first: int, comment: str | None) -> bytes:
    """Refuse the first line that is no text; return the block with its comments made UTF-8 if there is none."""
    lines = [
        _decoded(raw, path, number, comment) for number, raw in enumerate(block.removesuffix(b"\n").split(b"\n"), first)
    ]
    return "\n".join([*lines, ""]).encode()


def _decoded(raw: bytes, path: str, number: int, comment: str | None) -> str:
    if len(raw) > _LONGEST_LINE_BYTES:
        raise InputError("line is longer than 1 MiB", file=path, line=number, allowed="a text file, one job a line")
    if b"\0" in raw:
        raise InputError(
            "is not a text file", file=path, line=number, found="a zero byte", allowed="text, one job a line"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if comment is not None and raw.startswith(comment.encode()):
            return raw.decode("latin-1")
        found = f"byte 0x{raw[error.start]:02x}"
        raise InputError("is not a text file", file=path, line=number, found=found, allowed="UTF-8 text") from None
