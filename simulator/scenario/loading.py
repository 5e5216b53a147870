"""Reads scenario files: ``extends``, ``--set`` and variants, every value with its file and line."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulator.errors import InputError
from simulator.scenario.nodes import Document, KeyPath, Node, dotted, merge, without
from simulator.scenario.yaml_reader import MAX_DEPTH, read_mapping, read_value

__all__ = ["Document", "apply_set", "changes_of", "document_of", "nearest", "read_document", "variants_of"]

MAX_BYTES = 1_000_000
"""Size of the largest file."""
MAX_EXTENDS = 8
"""Longest chain of ``extends``."""
SET = "--set"
"""Name of the origin of settings in errors."""
MAPPING = "<mapping>"
"""Name of a scenario given as plain data in errors."""
BASE = "base"
"""Name of the only variant of a scenario without variants."""

_PRESETS = Path(__file__).parent / "presets" / "scenarios"


def read_document(path: str | Path) -> Document:
    """Return a scenario file with ``extends`` followed.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Document
        Plain data without ``extends``. Values of keys named ``path`` are joined to the folder of the file that
        writes them, so that they can be opened from the folder the program runs in.

    Raises
    ------
    InputError
        The file is missing, a folder, over 1 MB, not UTF-8 or not the YAML we read; ``extends`` is cyclic, longer
        than 8 files, or names what is not there; a path inside a file is absolute or leaves the folder.
    """
    file = os.fspath(path)
    folder = Path(file).parent
    root = _with_base(_read_file(file), file, folder, [file])
    return Document(root, file, folder)


def document_of(data: Mapping[str, Any], plain: Callable[[Any], Any] = str) -> Document:
    """Return the scenario that plain data describe, read as a file with these contents would be.

    Parameters
    ----------
    data : mapping
        Keys and values of a scenario file. Paths start at the working folder, and may point anywhere.
    plain : function
        Makes text or a number of any other value.

    Raises
    ------
    InputError
        What no file could hold, or an ``extends`` that is wrong.
    """
    try:
        text = json.dumps(data, default=plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            "not a scenario", MAPPING, found=str(error), allowed="mappings, lists, text, numbers"
        ) from error
    root = _without_lines(read_mapping(text, MAPPING))
    extends = root.child("extends")
    if extends is not None:
        base_file, base_folder = _base_file(extends, MAPPING, Path())
        root = _merged(
            _with_base(_read_file(base_file, extends), base_file, base_folder, [base_file]), without(root, "extends")
        )
    return Document(root, MAPPING, Path())


def apply_set(document: Document, settings: Iterable[str]) -> Document:
    """Return a document with settings of the form "a.b=c" on top.

    Parameters
    ----------
    document : Document
        The scenario.
    settings : iterable of str
        Dotted key, "=", value as in the file ("cluster.nodes=512", "workload.jobs.0.work=30 days"); a mapping
        is merged, everything else replaced; the last one wins. A path is taken as it is and may point anywhere.
        A variant that changes the same key keeps its own value.

    Raises
    ------
    InputError
        No "=", an empty key, a value that is not YAML, or a key below something that is no mapping or list.
    """
    root = document.root
    for setting in settings:
        key, equals, text = setting.partition("=")
        path = _parts(key.strip())
        if not equals or path is None:
            allowed = "key=value, such as cluster.nodes=512"
            raise InputError("not a setting", SET, found=repr(setting), allowed=allowed)
        if path[0] == "extends":
            raise InputError("extends stands in the file", SET, key=key.strip(), found=repr(setting))
        try:
            value = read_value(text, SET)
        except InputError as error:
            raise InputError(error.problem, SET, None, key.strip(), repr(setting), error.allowed) from error
        root = _changed(root, path, _without_lines(value))
    return replace(document, root=root)


def variants_of(document: Document) -> dict[str, Document]:
    """Return one document per variant: the base with the variant's changes merged, ``variants`` left out.

    Parameters
    ----------
    document : Document
        The scenario; its key ``variants`` maps names to changes, as nested mappings, dotted keys, or nothing.

    Returns
    -------
    dict of str to Document
        In the order of the file; a scenario without variants has one, "base".

    Raises
    ------
    InputError
        ``variants`` is not a mapping of mappings, a variant changes a key twice, adds variants of its own, or a
        file that a key ``path`` names is not there.
    """
    base = replace(document, root=without(document.root, "variants"))
    variants = document.root.child("variants")
    if variants is not None and variants.mapping:
        kept = {name: node for name, node in variants.mapping.items() if node.value is not None or node.file != SET}
        variants = replace(variants, value=kept or None)
    if variants is None or variants.value is None:
        result = {BASE: base}
    elif not variants.mapping:
        file, line = document.where(("variants",))
        allowed = "names with their changes, such as {large: {cluster.nodes: 512}}"
        raise InputError("not a mapping of variants", file, line, "variants", allowed=allowed)
    else:
        result, broken = {}, []
        for name, changes in variants.mapping.items():
            try:
                result[name] = replace(document, root=_variant(base.root, name, changes))
            except InputError as error:
                is_named = (error.key or "").startswith("variants.")
                broken.append(error if is_named else error.moved(error.file, error.line, repr(name)))
        if broken:
            raise InputError.together(broken)
    for variant in result.values():
        _refuse_missing_files(variant)
    return result


def changes_of(document: Document, variant: str) -> dict[KeyPath, Node]:
    """Return what a variant changes, by the keys that lead there; its dotted keys were checked before."""
    changes = document.root.child("variants")
    own = None if changes is None else changes.child(variant)
    return {} if own is None else dict(_leaves(own, without(document.root, "variants"), ("variants", variant), ()))


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice most like the word, None when none is; of two alike, the one of the same length."""
    by_lower = {choice.lower(): choice for choice in choices}
    lower = word.lower()
    close = difflib.get_close_matches(lower, by_lower, n=5)
    alike = [(difflib.SequenceMatcher(None, choice, lower).ratio(), choice) for choice in close]
    # "nodez" is closer to "node" by the ratio; a wrong letter is likelier than an added one.
    best = max(alike, key=lambda row: row[0] + 0.1 * (len(row[1]) == len(lower)), default=None)
    return None if best is None else by_lower[best[1]]


# ------------------------------------------------------------------------------------------- files and extends


def _read_file(file: str, origin: Node | None = None) -> Node:
    """Return the mapping of one file; what is wrong with finding it stands at the key that names it."""
    try:
        content = _content(Path(file))
    except InputError as error:
        if origin is None:
            raise InputError(error.problem, file, nearest=error.nearest) from error
        at = (origin.file, origin.line, "extends")
        raise InputError(error.problem, *at, repr(file), nearest=error.nearest) from error
    if len(content) > MAX_BYTES:
        raise InputError("the file is too large", file, allowed=f"at most {MAX_BYTES // 10**6} MB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x}"
        raise InputError("not a UTF-8 text file", file, line, found=found, allowed="YAML in UTF-8") from error
    return read_mapping(text, file)


def _content(path: Path) -> bytes:
    """Return the first `MAX_BYTES` + 1 bytes of a file."""
    try:
        if path.exists() and not path.is_file():
            raise InputError("a folder, not a file" if path.is_dir() else "not a regular file")
        if not path.is_file():
            beside = [other.name for other in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
            raise InputError("no such file", nearest=nearest(path.name, beside))
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot be read: {reason}") from error


def _with_base(root: Node, file: str, folder: Path, chain: Sequence[str]) -> Node:
    """Return a file's mapping on top of the one it extends; `chain` holds the files read so far."""
    root = _joined_paths(root, file, folder, ())
    extends = root.child("extends")
    if extends is None:
        return root
    own = without(root, "extends")
    base_file, base_folder = _base_file(extends, file, folder)
    names = [*chain, base_file]
    if any(os.path.realpath(base_file) == os.path.realpath(seen) for seen in chain):
        found = " -> ".join(os.path.basename(name) for name in names)
        raise InputError("cyclic extends", extends.file, extends.line, "extends", found)
    if len(names) > MAX_EXTENDS:
        allowed = f"at most {MAX_EXTENDS} files"
        raise InputError("a longer chain of extends than is read", extends.file, extends.line, "extends", None, allowed)
    base = _with_base(_read_file(base_file, extends), base_file, base_folder, names)
    return _merged(base, own)


def _merged(base: Node, own: Node) -> Node:
    """Return a file on top of the one it extends; a variant of that one that it sets to null is gone."""
    inherited, mine = base.child("variants"), own.child("variants")
    root = merge(base, own)
    if inherited is None or mine is None or mine.mapping is None:
        return root
    gone = [name for name, changes in mine.mapping.items() if changes.value is None and inherited.child(name)]
    variants = root.child("variants")
    assert variants is not None
    for name in gone:
        variants = without(variants, name)
    return replace(root, value={**(root.mapping or {}), "variants": variants})


def _base_file(extends: Node, file: str, folder: Path) -> tuple[str, Path]:
    """Return the file that ``extends`` means and the folder its own paths must stay in."""
    name = extends.value
    allowed = "a .yaml file inside the scenario's folder, or the name of a preset scenario"
    if not isinstance(name, str) or not name:
        raise InputError("not a file", extends.file, extends.line, "extends", repr(extends.plain()), allowed)
    if name.endswith((".yaml", ".yml")):
        return _inside(extends, ("extends",), file, folder), folder
    known = sorted(preset.stem for preset in _PRESETS.glob("*.yaml"))
    if name not in known:
        if known:
            allowed += f" ({', '.join(known)})"
        near = nearest(name, known)
        raise InputError("unknown preset scenario", extends.file, extends.line, "extends", repr(name), allowed, near)
    return str(_PRESETS / f"{name}.yaml"), _PRESETS


def _inside(node: Node, path: KeyPath, file: str, folder: Path) -> str:
    """Return a path written in a file, joined to that file's folder; it must stay inside `folder`.

    Symbolic links are followed first, so that none leads out.
    """
    written = str(node.value)
    allowed = "a relative path inside the scenario's folder"
    if path != ("extends",):
        allowed += "; --set may point anywhere"
    if os.path.isabs(written) or written.startswith("~") or "\\" in written or "\0" in written:
        raise InputError("not a relative path", node.file, node.line, dotted(path), repr(written), allowed)
    joined = os.path.normpath(os.path.join(os.path.dirname(file), written))
    real, home = os.path.realpath(joined), os.path.realpath(folder)
    if os.path.commonpath([real, home]) != home:
        raise InputError("leaves the scenario's folder", node.file, node.line, dotted(path), repr(written), allowed)
    return joined


def _joined_paths(node: Node, file: str, folder: Path, path: KeyPath) -> Node:
    """Return a tree in which every text under a key ``path`` is joined to the folder of its file."""
    if isinstance(node.value, str):
        names_file = bool(path) and str(path[-1]).rpartition(".")[2] == "path"
        return replace(node, value=_inside(node, path, file, folder)) if names_file else node
    if node.mapping is not None:
        children = {key: _joined_paths(child, file, folder, (*path, key)) for key, child in node.mapping.items()}
        return replace(node, value=children)
    if isinstance(node.value, tuple):
        items = (_joined_paths(child, file, folder, (*path, i)) for i, child in enumerate(node.value))
        return replace(node, value=tuple(items))
    return node


def _refuse_missing_files(document: Document) -> None:
    """Refuse a key ``path`` whose file is not there; after ``--set``, which may have put another in its place."""
    for path, node in document.root.walk():
        if path and path[-1] == "path" and isinstance(node.value, str) and not os.path.isfile(node.value):
            problem = "a folder, not a file" if os.path.isdir(node.value) else "no such file"
            raise InputError(problem, node.file, node.line, dotted(path), repr(node.value))


# ---------------------------------------------------------------------------------------- settings and variants


def _parts(key: str) -> tuple[str, ...] | None:
    """Return the parts of a dotted key, None when one is empty or there are too many."""
    parts = tuple(part.strip() for part in key.split("."))
    return parts if all(parts) and len(parts) <= MAX_DEPTH else None


def _without_lines(node: Node) -> Node:
    """Return a value of the command line, where lines mean nothing."""
    if node.mapping is not None:
        return replace(node, value={key: _without_lines(child) for key, child in node.mapping.items()}, line=None)
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(_without_lines(child) for child in node.value), line=None)
    return replace(node, line=None)


def _changed(node: Node, path: tuple[str, ...], value: Node, done: KeyPath = ()) -> Node:
    """Return a tree with a value merged in at a path; missing mappings on the way are made."""
    if not path:
        return merge(node, value)
    key, rest = path[0], path[1:]
    here = (*done, key)
    if isinstance(node.value, tuple):
        position = int(key) if key.isascii() and key.isdigit() and len(key) <= 6 else -1
        if not 0 <= position < len(node.value):
            count = len(node.value)
            allowed = f"a position from 0 to {count - 1}" if count else "nothing: the list is empty"
            raise InputError("no such list item", value.file, value.line, dotted(here), repr(key), allowed)
        items = list(node.value)
        items[position] = _changed(items[position], rest, value, here)
        return replace(node, value=tuple(items))
    if node.mapping is None and node.value is not None:
        found = repr(node.value)
        raise InputError(f"{dotted(done)} holds no keys", value.file, value.line, dotted(here), found)
    children = dict(node.mapping or {})
    below = children.get(key, Node(None, value.file, value.line))
    children[key] = _changed(below, rest, value, here)
    return replace(node, value=children)


def _variant(base: Node, name: str, changes: Node) -> Node:
    """Return the base with a variant's changes."""
    if changes.value is None:
        return base
    if changes.mapping is None:
        allowed = "a mapping of changes, such as {cluster.nodes: 512}, or {} for none"
        found = repr(changes.plain())
        raise InputError("not a mapping", changes.file, changes.line, dotted(("variants", name)), found, allowed)
    root = base
    seen = _SaidKeys(name)
    for path, value in _leaves(changes, base, ("variants", name), ()):
        seen.add(path, value)
        root = _changed(root, path, value)
    return root


def _leaves(
    node: Node, base: Node | None, above: KeyPath, done: tuple[str, ...]
) -> Iterable[tuple[tuple[str, ...], Node]]:
    """Yield every single change of a variant as a path of undotted keys and a value.

    A mapping that meets a single value in the base replaces it whole: a random duration in place of "10 s".
    """
    for key, child in (node.mapping or {}).items():
        path = (*done, *_checked_parts(key, child, (*above, *done)))
        below = _at(base, path[len(done) :])
        single = below is not None and below.value is not None and not isinstance(below.value, Mapping | tuple)
        if child.mapping and not single:
            yield from _leaves(child, below, above, path)
        else:
            yield path, child


def _checked_parts(key: str, node: Node, above: KeyPath) -> tuple[str, ...]:
    """Return the parts of a key of a variant."""
    place = dotted((*above, key))
    parts = _parts(key)
    if parts is None or len(above) + len(parts) > MAX_DEPTH:
        raise InputError("not a dotted key", node.file, node.line, place, repr(key), "a.b.c")
    if len(above) == 2 and parts[0] in ("variants", "extends"):
        raise InputError(f"a variant cannot change {parts[0]}", node.file, node.line, place)
    return parts


def _at(node: Node | None, path: tuple[str, ...]) -> Node | None:
    """Return the node at a path of texts, list positions included; None where there is none."""
    for key in path:
        if node is None:
            return None
        position = isinstance(node.value, tuple) and key.isascii() and key.isdigit()
        node = node.child(int(key) if position else key)
    return node


class _SaidKeys:
    """Keys that a variant has changed; refuses to hear one twice, once dotted and once nested."""

    def __init__(self, variant: str) -> None:
        self._variant = variant
        self._paths: dict[tuple[str, ...], Node] = {}
        self._prefixes: dict[tuple[str, ...], Node] = {}

    def add(self, path: tuple[str, ...], value: Node) -> None:
        """Remember a change."""
        prefixes = [path[:length] for length in range(1, len(path))]
        first = self._prefixes.get(path) or self._paths.get(path)
        said = (self._paths[prefix] for prefix in prefixes if prefix in self._paths)
        # A section that was emptied before may be filled anew: nothing is said twice.
        first = first or next((node for node in said if node.value is not None), None)
        if first is not None:
            place = dotted(("variants", self._variant, *path))
            found = f"the same key on line {first.line}"
            raise InputError("repeated key", value.file, value.line, place, found)
        self._paths[path] = value
        self._prefixes |= dict.fromkeys(prefixes, value)
