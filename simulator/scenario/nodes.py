"""A document as a tree in which every value knows its file and line, so that merging keeps positions."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys and list positions that lead to a value."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it is written.

    Parameters
    ----------
    value : scalar, mapping of str to Node, or tuple of Node
        The value; containers hold nodes.
    file : str
        File as the user named it, or "--set".
    line : int or None
        Line of its key, or of the list item, counted from 1; None where there are no lines.
    """

    value: Scalar | Mapping[str, Node] | tuple[Node, ...]
    file: str
    line: int | None

    @property
    def mapping(self) -> Mapping[str, Node] | None:
        """The children by key, None when this is no mapping."""
        return self.value if isinstance(self.value, Mapping) else None

    def child(self, key: str | int) -> Node | None:
        """Return the child at a key or list position, None where there is none."""
        if isinstance(self.value, Mapping):
            return self.value.get(str(key))
        if isinstance(self.value, tuple) and isinstance(key, int) and 0 <= key < len(self.value):
            return self.value[key]
        return None

    def plain(self) -> Any:
        """Return dicts, lists and scalars without positions."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, tuple) else self.value

    def walk(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
        """Yield every node below this one, and itself, with its path."""
        yield path, self
        if isinstance(self.value, Mapping):
            for key, node in self.value.items():
                yield from node.walk((*path, key))
        elif isinstance(self.value, tuple):
            for position, node in enumerate(self.value):
                yield from node.walk((*path, position))


def merge(base: Node, changes: Node) -> Node:
    """Return `base` with `changes` on top: mappings are merged key by key, everything else is replaced.

    A merged mapping keeps the order of the base, new keys follow; its position is that of the changes.
    """
    if base.mapping is None or changes.mapping is None:
        return changes
    children = dict(base.mapping)
    for key, node in changes.mapping.items():
        children[key] = merge(children[key], node) if key in children else node
    return replace(changes, value=children)


def without(node: Node, key: str) -> Node:
    """Return a mapping without one key."""
    children = node.mapping or {}
    return replace(node, value={name: child for name, child in children.items() if name != key})


def without_nulls(node: Node) -> Node:
    """Return a tree without the keys that are null: an empty value is as good as none."""
    if node.mapping is not None:
        kept = {key: without_nulls(child) for key, child in node.mapping.items() if child.value is not None}
        return replace(node, value=kept)
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(without_nulls(child) for child in node.value))
    return node


@dataclass(frozen=True)
class Document:
    """A file after ``extends``: plain data, and the position of every value.

    Parameters
    ----------
    root : Node
        The top-level mapping.
    file : str
        File as the user named it.
    folder : Path
        Its folder; paths inside the file stay within it.
    """

    root: Node
    file: str
    folder: Path

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """The document as dicts, lists and scalars."""
        return {key: node.plain() for key, node in (self.root.mapping or {}).items()}

    @functools.cached_property
    def positions(self) -> dict[KeyPath, int]:
        """Line of every value that stands in a file."""
        return {path: node.line for path, node in self.root.walk() if node.line is not None}

    def where(self, path: KeyPath) -> tuple[str, int | None]:
        """Return file and line of a value; of the nearest mapping or list around it where it is missing."""
        node = self.root
        for key in path:
            child = node.child(key)
            if child is None:
                break
            node = child
        return node.file, node.line


def dotted(path: KeyPath) -> str:
    """Return a path as people write it ("workload.jobs.0.nodes")."""
    return ".".join(str(part) for part in path)
