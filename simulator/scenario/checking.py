"""Turns a complaint of the schema into one line: file, line, key, what was found, what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from simulator.errors import InputError
from simulator.scenario.loading import nearest
from simulator.scenario.nodes import Document, KeyPath, dotted

_LONGEST_FOUND = 60
_YAML_1_1_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
"""Words that were truth values in YAML 1.1 and are text today."""

_PROBLEMS: dict[str, tuple[str, str]] = {
    "int_type": ("not a whole number", "a whole number"),
    "int_from_float": ("not a whole number", "a whole number"),
    "int_parsing": ("not a whole number", "a whole number"),
    "float_type": ("not a number", "a number"),
    "float_parsing": ("not a number", "a number"),
    "bool_type": ("neither true nor false", "true or false"),
    "bool_parsing": ("neither true nor false", "true or false"),
    "string_type": ("not a text", "a text"),
    "dict_type": ("not a mapping", "a mapping of keys"),
    "model_type": ("not a mapping", "a mapping of keys"),
    "model_attributes_type": ("not a mapping", "a mapping of keys"),
    "list_type": ("not a list", "a list"),
    "tuple_type": ("not a list", "a list"),
    "finite_number": ("not a finite number", "a finite number"),
    "int_parsing_size": ("absurdly large number", "a whole number"),
}
"""Problem and what is allowed, by pydantic's type of error."""


def explain(error: ValidationError, document: Document, model: type[BaseModel] | None = None) -> InputError:
    """Return the errors a user can act on.

    Parameters
    ----------
    error : ValidationError
        What the schema says.
    document : Document
        The document it was about, for file and line.
    model : type of BaseModel, optional
        The schema, for the keys that are allowed in place of an unknown one; the scenario's by default.

    Returns
    -------
    InputError
        The first, which carries the others. Unknown keys come first, because a misspelt key is also a missing one. All
        complaints about the same value (the members of a union) become one.
    """
    found: dict[KeyPath, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        path = _path_in(details["loc"], document.data)
        whole = path == details["loc"][:-1]  # and not what one member of a union misses
        found.setdefault(details["loc"] if details["type"] == "missing" and whole else path, []).append(details)
    unknown = [path for path, same in found.items() if same[0]["type"] == "extra_forbidden"]
    told = [_explained(path, found[path], document, model) for path in unknown]
    meant = {(*path[:-1], one.nearest) for path, one in zip(unknown, told, strict=True)}
    others = [path for path in found if path not in unknown and path not in meant]
    return InputError.together([*told, *(_explained(path, found[path], document, model) for path in others)])


def unknown_nulls(error: ValidationError, document: Document) -> list[InputError]:
    """Return the errors about keys that are null and unknown, from what the schema says of a document with nulls."""
    kinds: dict[KeyPath, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        kinds.setdefault(_path_in(details["loc"], document.data), []).append(details)
    # A key that one member of a union knows is not unknown.
    return [
        _explained(path, same, document, None)
        for path, same in kinds.items()
        if all(details["type"] == "extra_forbidden" and details["input"] is None for details in same)
    ]


def _explained(
    path: KeyPath, same: list[ErrorDetails], document: Document, model: type[BaseModel] | None
) -> InputError:
    first = same[0]
    if first["type"] == "extra_forbidden":
        problem, found_text, allowed, near = _unknown_key(path, model)
    elif first["type"] == "missing":
        path = (*path, str(first["loc"][-1])) if path != first["loc"] else path
        problem, found_text, allowed, near = "missing key", None, None, None
    else:
        problem, found_text, allowed, near = _combined(same)
    file, line = document.where(path)
    return InputError(problem, file, line, dotted(path) or None, found_text, allowed, near)


_Parts = tuple[str, str | None, str | None, str | None]
"""Problem, found, allowed, nearest."""


def _path_in(location: tuple[int | str, ...], data: object) -> KeyPath:
    """Return the part of pydantic's location that stands in the document.

    Left out are the names pydantic adds: of the members of a union, of validators, of a key that is missing.
    """
    path: list[str | int] = []
    node: Any = data
    for part in location:
        known = part in node if isinstance(node, Mapping) else isinstance(node, list) and part in range(len(node))
        if known:
            node = node[part]
            path.append(part)
    return tuple(path)


def _combined(complaints: list[ErrorDetails]) -> _Parts:
    """Return one complaint for all that pydantic has about one value."""
    parts = [_parts_of(details) for details in complaints]
    problem, found, _, near = parts[0]
    allowed = " or ".join(dict.fromkeys(each[2] for each in parts if each[2]))
    near = near or next((each[3] for each in parts if each[3]), None)
    return problem, found, allowed or None, near


def _parts_of(details: ErrorDetails) -> _Parts:
    """Return problem, found, allowed and nearest of one complaint."""
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    if "problem" in context:
        return context["problem"], context.get("found"), context.get("allowed"), context.get("nearest")
    if isinstance(context.get("error"), InputError):
        inner = context["error"]
        return inner.problem, inner.found, inner.allowed, inner.nearest
    found = _shown(value)
    if kind in ("literal_error", "enum"):
        return _not_a_choice(context["expected"], value)
    if kind in _PROBLEMS:
        problem, allowed = _PROBLEMS[kind]
        near = _YAML_1_1_WORDS.get(str(value).lower()) if kind.startswith("bool") else None
        return problem, found, allowed, near
    bound = _BOUNDS.get(kind)
    if bound is not None:
        problem, allowed_text = bound(context)
        return problem, found, allowed_text, None
    if kind == "string_pattern_mismatch":
        return "not a name", found, "letters, digits and _ . + -, no space, first a letter, a digit or _", None
    message = str(details["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:], found, None, None


_BOUNDS: dict[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "greater_than": lambda limits: ("too small", f"more than {limits['gt']}"),
    "greater_than_equal": lambda limits: ("too small", f"at least {limits['ge']}"),
    "less_than": lambda limits: ("too large", f"less than {limits['lt']}"),
    "less_than_equal": lambda limits: ("too large", f"at most {limits['le']}"),
    "string_too_short": lambda limits: ("an empty text", f"at least {limits['min_length']} character"),
    "string_too_long": lambda limits: ("too long a text", f"at most {limits['max_length']} characters"),
    "too_short": lambda limits: ("too few entries", f"at least {limits['min_length']}"),
    "too_long": lambda limits: ("too many entries", f"at most {limits['max_length']}"),
}


def _not_a_choice(expected: str, value: object) -> _Parts:
    """Return the complaint about a word that is not among the allowed ones.

    pydantic writes them as "'a', 'b' or 'c'".
    """
    choices = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    near = nearest(value, choices) if isinstance(value, str) else None
    return "not one of the choices", _shown(value), ", ".join(choices), near


def _unknown_key(path: KeyPath, model: type[BaseModel] | None) -> _Parts:
    """Return the complaint about a key the schema does not have."""
    if model is None:
        # Here, not at the top: the schema is heavy, and only an error needs it.
        from simulator.scenario.schema import ScenarioFile

        model = ScenarioFile
    schema = model.model_json_schema(by_alias=True)
    keys = sorted(_keys_at(schema, path[:-1]))
    return "unknown key", None, ", ".join(keys) or None, nearest(str(path[-1]), keys)


def is_known_key(key: str) -> bool:
    """Return whether some scenario can have a dotted key."""
    from simulator.scenario.schema import ScenarioFile  # late, as above

    schema = ScenarioFile.model_json_schema(by_alias=True)
    options = list(_resolved(schema, schema))
    for part in key.split("."):
        step: str | int = int(part) if part.isdigit() and any("items" in option for option in options) else part
        options = [below for option in options for below in _below(option, step, schema)]
    return bool(options)


def _keys_at(schema: dict[str, Any], path: KeyPath) -> set[str]:
    """Return the keys the JSON Schema allows in the mapping at a path."""
    options = list(_resolved(schema, schema))
    for part in path:
        options = [below for option in options for below in _below(option, part, schema)]
    return {key for option in options for key in option.get("properties", {})}


def _below(option: dict[str, Any], part: str | int, root: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the schemas of the value at a key or list position."""
    if isinstance(part, int):
        child = option.get("items")
    else:
        child = option.get("properties", {}).get(part) or option.get("additionalProperties")
        patterns = option.get("patternProperties", {})
        child = child if isinstance(child, dict) else next(iter(patterns.values()), None)
    return list(_resolved(child, root)) if isinstance(child, dict) else []


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield the alternatives of a schema, references followed."""
    if "$ref" in schema:
        yield from _resolved(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for key in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(key, ()):
            yield from _resolved(option, root)
    yield schema


def _shown(value: object) -> str:
    """Return what was found, in the spelling of the file, cut to a readable length."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    words = {None: "nothing", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_FOUND else text[: _LONGEST_FOUND - 3] + "..."
