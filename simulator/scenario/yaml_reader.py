"""YAML 1.2 text to a tree of nodes with line numbers; refuses what could surprise, hang or run code.

The parser's events are folded into nodes here, not by the library's constructors: so no tag can name a class,
repeated keys are seen, values are counted while aliases are expanded (a file of 1 kB can stand for 10^9 values),
and the plain scalars follow the YAML 1.2 core schema: ``1e9`` is a number, ``no`` and ``12:30:00`` are text,
``012`` is twelve.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from simulator.errors import InputError
from simulator.scenario.nodes import Node, Scalar, dotted

MAX_NODES = 10_000
"""Values of the largest file, aliases expanded."""
MAX_DEPTH = 40
"""Deepest nesting."""
MAX_NUMBER = 1e18
"""Largest number: a larger one is a slip of the keyboard."""

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

_SYNTAX: tuple[tuple[str, str, str | None], ...] = (
    (r"'\\t'|tab char", "a tab in the indentation", "spaces"),
    (r"mapping values are not allowed", "a second ': ' where one value is expected", 'quotes, such as "a: b"'),
    (r"end of stream", "a quote that is never closed", None),
    (r"<stream end>", "a bracket that is never closed", None),
    (r"expected ',' or", "a comma or a closing bracket is missing", None),
    (r"expected <block end>|did not find expected", "the indentation does not fit the lines above", None),
    (r"could not find expected ':'", "a key without ': '", "key: value"),
)


@dataclass
class _Open:
    """A mapping or list that is still being read."""

    is_mapping: bool
    line: int
    anchor: str | None
    children: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    key: str | None = None
    key_line: int = 0
    size: int = 1
    height: int = 1


def read_mapping(text: str, file: str) -> Node:
    """Return the one mapping a file holds.

    Parameters
    ----------
    text : str
        The file's text.
    file : str
        Its name for positions and errors.

    Raises
    ------
    InputError
        Bad syntax, an empty file, another top level than a mapping, or anything `read_value` refuses.
    """
    node = read_value(text, file)
    if node.value is None:
        raise InputError("the file is empty", file, allowed="a mapping of keys, such as name: my_scenario")
    if node.mapping is None:
        raise InputError("the top level is not a mapping", file, node.line, allowed="keys, such as name: my_scenario")
    return node


def read_value(text: str, file: str) -> Node:
    """Return one YAML document as a node; nothing is null.

    Raises
    ------
    InputError
        Bad syntax, several documents, a tag, a repeated or non-text key, a merge key, an unknown or recursive
        alias, a number that is not finite or beyond 1e18, more than 10,000 values, or nesting beyond 40.
    """
    builder = _Builder(file)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except YAMLError as error:
        raise _syntax_error(error, text, file) from error
    return builder.result or Node(None, file, 1)


class _Builder:
    """Folds parser events into nodes; a stack instead of recursion, so depth costs nothing."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.result: Node | None = None
        self._documents = 0
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._count = 0

    def take(self, event: Any) -> None:
        """Take the next event of the parser."""
        line = event.start_mark.line + 1
        if isinstance(event, DocumentStartEvent):
            self._start_document(event, line)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._refuse_tag(event, line)
            self._enter(_Open(isinstance(event, MappingStartEvent), line, event.anchor))
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._leave()
        elif isinstance(event, ScalarEvent):
            self._refuse_tag(event, line)
            self._scalar(event, line)
        elif isinstance(event, AliasEvent):
            self._alias(event.anchor, line)
        elif isinstance(event, DocumentEndEvent):
            self._anchors.clear()

    def _start_document(self, event: Any, line: int) -> None:
        self._documents += 1
        if self._documents > 1:
            raise self._error("a second document", line, allowed="one document per file: no line '---' in between")
        if event.version not in (None, (1, 2)):
            version = ".".join(str(part) for part in event.version)
            raise self._error(f"YAML {version} is not read", line, allowed="YAML 1.2")

    def _refuse_tag(self, event: Any, line: int) -> None:
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            raise self._error("tags are not read", line, found=repr(tag), allowed="plain values")

    def _enter(self, opened: _Open) -> None:
        if self._open and self._open[-1].is_mapping and self._open[-1].key is None:
            raise self._error("a key that is not text", opened.line, allowed="text")
        self._counted(1, opened.line)
        self._open.append(opened)
        if len(self._open) > MAX_DEPTH:
            raise InputError("nested too deeply", self.file, opened.line, allowed=f"at most {MAX_DEPTH} levels")

    def _leave(self) -> None:
        done = self._open.pop()
        value = dict(done.children) if done.is_mapping else tuple(done.items)
        self._place(Node(value, self.file, done.line), done.size, done.height, done.anchor, done.line)

    def _scalar(self, event: Any, line: int) -> None:
        plain = bool(event.implicit[0])
        text = self._text(event.value, line)
        top = self._open[-1] if self._open else None
        if top is not None and top.is_mapping and top.key is None:
            self._key(top, text, plain, line)
            return
        self._counted(1, line)
        value = self._plain_value(text, line) if plain else text
        self._place(Node(value, self.file, line), 1, 1, event.anchor, line)

    def _text(self, text: str, line: int) -> str:
        """Return a text in which the two escapes of one character, as JSON writes them, are that character."""
        if _SURROGATE.search(text) is None:
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise self._error("half a character", line, found=ascii(text), allowed="whole characters") from error

    def _key(self, top: _Open, text: str, plain: bool, line: int) -> None:
        if plain and (text in _WORDS or _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text)):
            raise self._error(
                "a key that is not text", line, found=text or "nothing", allowed=f'text, such as "{text}"'
            )
        if plain and text == "<<":
            raise self._error("merge keys are not read", line, found="<<", allowed="extends, variants, or an alias")
        top.key, top.key_line = text, line
        if text in top.children:
            first = top.children[text].line
            raise self._error("repeated key", line, found=f"the same key on line {first}")

    def _alias(self, anchor: str, line: int) -> None:
        if self._open and self._open[-1].is_mapping and self._open[-1].key is None:
            raise self._error("a key that is not text", line, found=f"*{anchor}", allowed="text")
        if any(opened.anchor == anchor for opened in self._open):
            raise self._error("an alias inside its own anchor", line, found=f"*{anchor}")
        if anchor not in self._anchors:
            raise self._error("unknown alias", line, found=f"*{anchor}", allowed=f"an anchor &{anchor} before it")
        node, size, height = self._anchors[anchor]
        self._counted(size, line)
        if len(self._open) + height > MAX_DEPTH:
            raise self._error("nested too deeply", line, found=f"*{anchor}", allowed=f"at most {MAX_DEPTH} levels")
        self._place(node, size, height, None, line)

    def _place(self, node: Node, size: int, height: int, anchor: str | None, line: int) -> None:
        """Put a finished node into the mapping or list it belongs to."""
        if anchor is not None:
            self._anchors[anchor] = (node, size, height)
        if not self._open:
            self.result = node
            return
        top = self._open[-1]
        top.size += size
        top.height = max(top.height, height + 1)
        if top.key is None:
            top.items.append(replace(node, line=line))
        else:
            top.children[top.key] = replace(node, line=top.key_line)
            top.key = None

    def _counted(self, values: int, line: int) -> None:
        # MUST HOLD: counted before anything is expanded, so no file can fill the memory.
        self._count += values
        if self._count > MAX_NODES:
            raise InputError(
                "too many values", self.file, line, allowed=f"at most {MAX_NODES:,} after aliases are expanded"
            )

    def _plain_value(self, text: str, line: int) -> Scalar:
        if text in _WORDS:
            return _WORDS[text]
        if _NOT_FINITE.fullmatch(text):
            raise self._error("not a finite number", line, found=text, allowed="a finite number")
        if _INTEGER.fullmatch(text):
            # int() refuses texts of thousands of digits with an error of its own; 40 are far beyond the limit.
            value: int | float = int(text, 0 if text[:2] in ("0o", "0x") else 10) if len(text) <= 40 else float("inf")
        elif _FLOAT.fullmatch(text):
            value = float(text)
        else:
            return text
        if abs(value) > MAX_NUMBER:
            shown = text if len(text) <= 40 else text[:37] + "..."
            raise self._error("absurdly large number", line, found=shown, allowed=f"at most {MAX_NUMBER:g}")
        return value

    def _error(self, problem: str, line: int, *, found: str | None = None, allowed: str | None = None) -> InputError:
        key = dotted(tuple(self._path())) or None
        return InputError(problem, self.file, line, key, found, allowed)

    def _path(self) -> Iterator[str | int]:
        for opened in self._open:
            if not opened.is_mapping:
                yield len(opened.items)
            elif opened.key is not None:
                yield opened.key


def _syntax_error(error: YAMLError, text: str, file: str) -> InputError:
    """Return the parser's complaint in our words, at the line where the user must look."""
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return InputError("not a text file", file, line, found=_character(error), allowed="YAML")
    if not isinstance(error, MarkedYAMLError):
        return InputError(f"not valid YAML: {error}", file)
    problem = " ".join(str(part) for part in (error.problem, error.context) if part)
    mark = error.problem_mark or error.context_mark
    for seen, words, allowed in _SYNTAX:
        if re.search(seen, problem):
            # The parser notices at the end what began at the context: there the user must look.
            began = "never closed" in words or "without ': '" in words
            mark = error.context_mark if began and error.context_mark is not None else mark
            opening = error.context_mark if "closing" in words else None
            found = None if opening is None else f"the bracket opened on line {opening.line + 1}"
            return InputError(words, file, None if mark is None else mark.line + 1, None, found, allowed)
    return InputError(f"not valid YAML: {problem}", file, None if mark is None else mark.line + 1)


def _character(error: ReaderError) -> str:
    """Return the character that no text file has, by its number."""
    number = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
    return f"the character U+{number:04X}"
