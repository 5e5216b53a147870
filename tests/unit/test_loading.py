"""Loading: YAML 1.2 values, positions through merges, extends, settings, variants, and what it all costs."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import jsonschema
import pytest
from bad_scenarios import FILE, GOOD, Case
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from simulator.errors import InputError
from simulator.scenario import loading
from simulator.scenario.checking import explain
from simulator.scenario.loading import apply_set, nearest, read_document, variants_of
from simulator.scenario.schema import json_schema
from simulator.scenario.yaml_reader import read_mapping, read_value


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document(text, **files):
    Case("", text, "", files=files).write(Path())
    return read_document(FILE)


PLAIN = [
    ("1e9", 1e9),
    ("1E-3", 1e-3),
    (".5", 0.5),
    ("5.", 5.0),
    ("-12", -12),
    ("+3", 3),
    ("012", 12),
    ("0o17", 15),
    ("0x1F", 31),
    ("no", "no"),
    ("yes", "yes"),
    ("on", "on"),
    ("true", True),
    ("False", False),
    ("~", None),
    ("null", None),
    ("", None),
    ("12:30:00", "12:30:00"),
    ("2024-05-01", "2024-05-01"),
    ("1_000", "1_000"),
    ("0b11", "0b11"),
    ("nan", "nan"),
    ("'12'", "12"),
    ('"1e9"', "1e9"),
    ("54 days", "54 days"),
    ("2.95 USD/GPU/h", "2.95 USD/GPU/h"),
    ("97 %", "97 %"),
    ("[1, a, 2.5]", [1, "a", 2.5]),
    ("{a: 1, b: {c: [d]}}", {"a": 1, "b": {"c": ["d"]}}),
    ("|\n  two\n  lines\n", "two\nlines\n"),
]


@pytest.mark.parametrize(("text", "value"), PLAIN)
def test_plain_values_follow_yaml_1_2(text, value):
    read = read_mapping(f"key: {text}", "f").plain()["key"]
    assert read == value
    assert type(read) is type(value)


_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**18), 10**18), st.floats(-1e18, 1e18), st.text(max_size=8)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=6), _VALUES, min_size=1, max_size=4), st.sampled_from([None, 2]))
def test_reads_what_a_json_writer_writes(data, indent):
    assert read_mapping(json.dumps(data, indent=indent), "f").plain() == data


def test_byte_order_mark_and_anchors(folder):
    (folder / FILE).write_bytes(b"\xef\xbb\xbfa: &x {b: 1}\nc: *x\nd: *x\n")
    read = read_document(FILE)
    assert read.data == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1}}
    assert read.where(("c",)) == (FILE, 2)
    assert read.where(("c", "b")) == (FILE, 1), "the value stands at the anchor"


def test_lines_of_keys_and_items(folder):
    read = document("# head\na:\n  b:\n    - 1\n    - {c: 2,\n       d: 3}\n")
    assert read.positions[("a",)] == 2
    assert read.positions[("a", "b", 0)] == 4
    assert read.positions[("a", "b", 1, "c")] == 5
    assert read.positions[("a", "b", 1, "d")] == 6
    assert read.where(("a", "nothing", "here")) == (FILE, 2), "a missing value is where its mapping is"


# ---------------------------------------------------------------------------------------------------- extends


def test_extends_merges_mappings_replaces_lists_and_keeps_positions(folder):
    read = document(
        "extends: sub/b.yaml\ncluster:\n  nodes: 8\njobs: [z]\n",
        **{
            "sub/b.yaml": "extends: c.yaml\ncluster: {nodes: 4, spares: 1}\n",
            "sub/c.yaml": "name: c\n\ncluster:\n  node: h100\n  spares: 3\njobs: [x, y]\n",
        },
    )
    assert read.data == {"name": "c", "cluster": {"node": "h100", "spares": 1, "nodes": 8}, "jobs": ["z"]}
    assert list(read.data) == ["name", "cluster", "jobs"], "the base's order"
    assert read.where(("cluster", "nodes")) == (FILE, 3)
    assert read.where(("cluster", "spares")) == ("sub/b.yaml", 2)
    assert read.where(("cluster", "node")) == ("sub/c.yaml", 4)
    assert read.where(("jobs", 0)) == (FILE, 4)
    assert "extends" not in read.data


def test_null_replaces_a_mapping(folder):
    read = document("extends: b.yaml\nfaults: null\n", **{"b.yaml": "faults: {mix: a}\n"})
    assert read.data == {"faults": None}


def test_extends_a_preset_scenario(folder, tmp_path_factory, monkeypatch):
    presets = tmp_path_factory.mktemp("presets")
    (presets / "machine_16k.yaml").write_text("extends: common.yaml\ncluster: {nodes: 2048}\n")
    (presets / "common.yaml").write_text("seed: 7\n")
    monkeypatch.setattr(loading, "_PRESETS", presets)
    assert document("extends: machine_16k\nname: x\n").data == {
        "seed": 7,
        "cluster": {"nodes": 2048},
        "name": "x",
    }
    with pytest.raises(InputError) as caught:
        document("name: x\nextends: machine_61k\n")
    assert caught.value.nearest == "machine_16k"
    assert caught.value.line == 2


def test_longest_chain_of_extends(folder):
    files = {f"c{i}.yaml": f"extends: c{i + 1}.yaml\nk{i}: {i}\n" for i in range(6)} | {"c6.yaml": "end: 1\n"}
    assert document("extends: c0.yaml\n", **files).data["end"] == 1


def test_paths_are_joined_to_the_folder_of_the_file_that_writes_them(folder):
    files = {"sub/base.yaml": "trace: {path: ../t/a.swf}\n", "t/a.swf": "x", "t/b.swf": "x", "s/x": ""}
    text = "extends: sub/base.yaml\nvariants: {one: {}, two: {trace.path: t/b.swf}}\n"
    Case("", text, "", files=files).write(folder)
    read = read_document(folder / FILE)
    assert read.data["trace"]["path"] == str(folder / "t/a.swf")
    assert variants_of(read)["two"].data["trace"]["path"] == str(folder / "t/b.swf")


# --------------------------------------------------------------------------------------- settings and variants


def test_settings_are_parsed_merged_and_named(folder):
    read = document("cluster: {nodes: 8, spares: {count: 2}}\njobs: [{name: a}, {name: b}]\n")
    changed = apply_set(
        read,
        [
            "cluster.nodes=16",
            "cluster.spares={kind: hot}",
            "jobs.1.name=2.5 h",
            "new.key=[1, 2]",
            "empty=",
            "cluster.nodes=32",
            'text="a=b"',
        ],
    )
    assert changed.data == {
        "cluster": {"nodes": 32, "spares": {"count": 2, "kind": "hot"}},
        "jobs": [{"name": "a"}, {"name": "2.5 h"}],
        "new": {"key": [1, 2]},
        "empty": None,
        "text": "a=b",
    }
    assert changed.where(("cluster", "nodes")) == ("--set", None)
    assert changed.where(("new", "key", 1)) == ("--set", None)
    assert changed.where(("cluster", "spares", "count")) == (FILE, 1)
    assert read.data["cluster"]["nodes"] == 8, "the document itself does not change"


def test_variants_dotted_and_nested(folder):
    read = document(
        "a: {b: 1, c: 2}\nlist: [{x: 1}, {x: 2}]\ntime: 10 s\n"
        "variants:\n  same:\n  dotted: {a.b: 5, list.1.x: 9}\n"
        "  nested:\n    a: {b: 6}\n    list: [7]\n    time: {family: lognormal, mean: 10 min}\n"
        "  new: {d.e.f: 1}\n"
    )
    variants = variants_of(read)
    base = {"a": {"b": 1, "c": 2}, "list": [{"x": 1}, {"x": 2}], "time": "10 s"}
    assert list(variants) == ["same", "dotted", "nested", "new"]
    assert variants["same"].data == base
    assert variants["dotted"].data == {**base, "a": {"b": 5, "c": 2}, "list": [{"x": 1}, {"x": 9}]}
    assert variants["nested"].data == {
        "a": {"b": 6, "c": 2},
        "list": [7],
        "time": {"family": "lognormal", "mean": "10 min"},
    }
    assert variants["new"].data == {**base, "d": {"e": {"f": 1}}}
    assert variants["dotted"].where(("a", "b")) == (FILE, 6)
    assert variants["nested"].where(("a", "b")) == (FILE, 8)
    assert variants["nested"].where(("a", "c")) == (FILE, 1)


def test_without_variants_there_is_base(folder):
    assert list(variants_of(document("a: 1\n"))) == ["base"]
    assert variants_of(document("a: 1\nvariants: null\n"))["base"].data == {"a": 1}


def test_a_variant_keeps_its_value_over_a_setting(folder):
    read = apply_set(document("a: 1\nvariants: {x: {}, y: {a: 2}}\n"), ["a=3"])
    assert [variant.data["a"] for variant in variants_of(read).values()] == [3, 2]


@pytest.mark.parametrize(
    "changes",
    ["{a.b: 1, a: {b: 2}}", "{a: {b: 1}, a.b: 2}", "{a.b.c: 1, a: {b: 2}}", "{a: {b: 2}, a.b.c: 1}", "{a: 1, a.b: 2}"],
)
def test_a_variant_says_a_key_once(changes, folder):
    with pytest.raises(InputError) as caught:
        variants_of(document(f"z: 1\nvariants:\n  v: {changes}\n"))
    assert caught.value.problem == "repeated key"
    assert caught.value.line == 3


def test_a_variant_can_empty_a_mapping_and_fill_it_anew(folder):
    (folder / "base.yaml").write_text("a: {b: 1}\nvariants:\n  v: {a: {b: 2, c: {d: 3}}}\n")
    read = document("extends: base.yaml\nvariants:\n  v: {a: null, a.c.e: 4}\n")
    assert variants_of(read)["v"].data == {"a": {"c": {"e": 4}}}


@pytest.mark.parametrize("changes", ["{a.c.e: 4, a: null}", "{a: {b: null}, a.b: 1}", "{a.b: 1, a: {b: null}}"])
def test_a_key_is_not_emptied_once_it_is_said(changes, folder):
    with pytest.raises(InputError, match="repeated key"):
        variants_of(document(f"a: {{b: 1}}\nvariants:\n  v: {changes}\n"))


def test_deep_dotted_keys_are_refused(folder):
    deep = ".".join(["a"] * 500)
    with pytest.raises(InputError, match="not a setting"):
        apply_set(document("a: 1\n"), [f"{deep}=1"])
    with pytest.raises(InputError, match="not a dotted key"):
        variants_of(document(f"variants: {{v: {{{deep}: 1}}}}\n"))


@pytest.mark.parametrize(
    ("word", "choices", "expected"),
    [
        ("nodez", ["node", "nodes"], "nodes"),
        ("EASY", ["fifo", "easy"], "easy"),
        ("xyz", ["node", "nodes"], None),
        ("", [], None),
    ],
)
def test_nearest(word, choices, expected):
    assert nearest(word, choices) == expected


# ------------------------------------------------------------------------------------------------------- costs


def test_an_alias_bomb_is_refused_before_memory_grows():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(30)
    )
    read_value("a: 1", "warm")
    tracemalloc.start()
    with pytest.raises(InputError, match="too many values"):
        read_value(bomb, "f")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6, "10^31 values stand in this file"


def test_hostile_depth_and_size_are_refused():
    for text in (
        "[" * 200_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "a:\n" + "".join(" " * i + "- \n" for i in range(1, 200)),
    ):
        with pytest.raises(InputError):
            read_value(text, "f")


# --------------------------------------------------------------------------------------------------- explaining


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    count: int = 0
    flag: bool = False


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    leaf: Leaf | None = None
    leaves: dict[str, Leaf] = {}
    rows: list[Leaf] = []
    either: int | bool | None = None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("leaf: {cuont: 1}", "s.yaml:1: leaf.cuont: unknown key; allowed: count, flag; did you mean 'count'?"),
        ("leaves: {a: {x: 1}}", "s.yaml:1: leaves.a.x: unknown key; allowed: count, flag"),
        ("rows:\n- {}\n- {flga: 1}", "s.yaml:3: rows.1.flga: unknown key; allowed: count, flag; did you mean 'flag'?"),
        ("either: x", "s.yaml:1: either: not a whole number; found 'x'; allowed: a whole number or true or false"),
        (
            "leaf: {flag: off}",
            "s.yaml:1: leaf.flag: neither true nor false; found 'off'; allowed: true or false; did you mean 'false'?",
        ),
        ("leaf: 3", "s.yaml:1: leaf: not a mapping; found 3; allowed: a mapping of keys"),
        ("rows: {a: 1}", "s.yaml:1: rows: not a list; found a mapping; allowed: a list"),
        (
            "leaf: {count: 1.5}\nlaef: 1",
            "s.yaml:2: laef: unknown key; allowed: either, leaf, leaves, rows; did you mean 'leaf'?",
        ),
    ],
)
def test_explains_what_the_schema_says(text, message, folder):
    read = document(text)
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(read.data)
    assert str(explain(caught.value, read, Tree)) == message


def test_the_good_scenario_meets_the_published_schema(folder):
    jsonschema.validate(document(GOOD).data, json_schema())
