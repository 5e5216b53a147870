"""Broken scenario files, part 1: text, ``extends``, paths, variants and settings, each with its one-line error."""

from __future__ import annotations

import os

import pytest
from bad_scenarios import FILE, GOOD, Case, changed
from command_line import invoke

from simulator import scenario
from simulator.errors import InputError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{other}'] * 10)}]\n" for other, name in zip("abcdefgh", "bcdefghi", strict=True)
)
TRACE = "  trace: {format: swf, path: %s}\n  jobs:"
INSIDE = "a relative path inside the scenario's folder; --set may point anywhere"
A_BASE = "a .yaml file inside the scenario's folder, or the name of a preset scenario"


CASES = [
    # syntax and form
    Case("tab", changed("  nodes: 16", "\tnodes: 16"), "s.yaml:6: a tab in the indentation; allowed: spaces"),
    Case(
        "colon_in_value",
        changed("name: small", "name: small: one"),
        "s.yaml:1: a second ': ' where one value is expected; allowed: quotes, such as \"a: b\"",
    ),
    Case(
        "open_bracket",
        changed("{count: 2, kind: warm}", "{count: 2, kind: warm"),
        "s.yaml:10: a comma or a closing bracket is missing; found the bracket opened on line 9",
    ),
    Case("open_quote", changed("name: small", "name: 'small"), "s.yaml:1: a quote that is never closed"),
    Case(
        "indentation",
        changed("  domains: {rack: 4}", " domains: {rack: 4}"),
        "s.yaml:8: the indentation does not fit the lines above",
    ),
    Case("no_colon", changed("seed: 1", "seed 1"), "s.yaml:2: a key without ': '; allowed: key: value"),
    Case(
        "unknown_escape",
        changed("name: small", 'name: "\\q"'),
        "s.yaml:1: not valid YAML: found unknown escape character 'q' while scanning a double-quoted scalar",
    ),
    Case(
        "half_a_character",
        changed("name: small", 'name: "\\ud800"'),
        "s.yaml:1: name: half a character; found '\\ud800'; allowed: whole characters",
    ),
    Case(
        "repeated_key",
        changed("  domains: {rack: 4}", "  domains: {rack: 4}\n  nodes: 32"),
        "s.yaml:9: cluster.nodes: repeated key; found the same key on line 6",
    ),
    Case(
        "number_key",
        changed("  domains: {rack: 4}", "  domains: {4: rack}"),
        's.yaml:8: cluster.domains: a key that is not text; found 4; allowed: text, such as "4"',
    ),
    Case(
        "list_key",
        changed("  domains: {rack: 4}", "  ? [rack]\n  : 4"),
        "s.yaml:8: cluster: a key that is not text; allowed: text",
    ),
    Case(
        "merge_key",
        changed("scheduling: {policy: easy}", "scheduling: {<<: {policy: easy}}"),
        "s.yaml:28: scheduling: merge keys are not read; found <<; allowed: extends, variants, or an alias",
    ),
    Case(
        "unknown_alias",
        changed("seed: 1", "seed: *one"),
        "s.yaml:2: seed: unknown alias; found *one; allowed: an anchor &one before it",
    ),
    Case(
        "recursive_alias",
        changed("seed: 1", "seed: &one [*one]"),
        "s.yaml:2: seed.0: an alias inside its own anchor; found *one",
    ),
    Case("alias_bomb", BOMB, "s.yaml:4: too many values; allowed: at most 10,000 after aliases are expanded"),
    Case(
        "too_many_values",
        "name: x\nlist:\n" + "  - 1\n" * 10001,
        "s.yaml:10000: too many values; allowed: at most 10,000 after aliases are expanded",
    ),
    Case("too_deep", "name: " + "[" * 50 + "]" * 50, "s.yaml:1: nested too deeply; allowed: at most 40 levels"),
    Case(
        "python_tag",
        changed("name: small", "name: !!python/object/apply:os.system ['true']"),
        "s.yaml:1: name: tags are not read; found '!!python/object/apply:os.system'; allowed: plain values",
    ),
    Case(
        "plain_tag",
        changed("seed: 1", "seed: !!str 1"),
        "s.yaml:2: seed: tags are not read; found '!!str'; allowed: plain values",
    ),
    Case(
        "two_documents",
        GOOD + "---\nname: other\n",
        "s.yaml:32: a second document; allowed: one document per file: no line '---' in between",
    ),
    Case("yaml_1_1", "%YAML 1.1\n---\n" + GOOD, "s.yaml:2: YAML 1.1 is not read; allowed: YAML 1.2"),
    Case("empty", "", "s.yaml: the file is empty; allowed: a mapping of keys, such as name: my_scenario"),
    Case(
        "only_comments",
        "# nothing yet\n",
        "s.yaml: the file is empty; allowed: a mapping of keys, such as name: my_scenario",
    ),
    Case(
        "list_on_top",
        "- name: small\n",
        "s.yaml:1: the top level is not a mapping; allowed: keys, such as name: my_scenario",
    ),
    Case(
        "text_on_top", "small\n", "s.yaml:1: the top level is not a mapping; allowed: keys, such as name: my_scenario"
    ),
    Case(
        "not_utf8",
        GOOD.encode().replace(b"small", b"caf\xe9"),
        "s.yaml:1: not a UTF-8 text file; found byte 0xe9; allowed: YAML in UTF-8",
    ),
    Case("utf16", GOOD.encode("utf-16"), "s.yaml:1: not a UTF-8 text file; found byte 0xff; allowed: YAML in UTF-8"),
    Case("binary", bytes(range(256)), "s.yaml:2: not a UTF-8 text file; found byte 0x80; allowed: YAML in UTF-8"),
    Case(
        "control_character",
        changed("small", "sm\x07ll"),
        "s.yaml:1: not a text file; found the character U+0007; allowed: YAML",
    ),
    Case("too_large", GOOD + "#" * 1_000_000, "s.yaml: the file is too large; allowed: at most 1 MB"),
    # extends and paths
    Case("extends_itself", "extends: s.yaml\n" + GOOD, "s.yaml:1: extends: cyclic extends; found s.yaml -> s.yaml"),
    Case(
        "extends_cycle",
        "extends: b.yaml\n" + GOOD,
        "c.yaml:1: extends: cyclic extends; found s.yaml -> b.yaml -> c.yaml -> s.yaml",
        files={"b.yaml": "extends: c.yaml\n", "c.yaml": "extends: s.yaml\n"},
    ),
    Case(
        "extends_chain",
        "extends: c0.yaml\n" + GOOD,
        "c6.yaml:1: extends: a longer chain of extends than is read; allowed: at most 8 files",
        files={f"c{i}.yaml": f"extends: c{i + 1}.yaml\n" for i in range(9)},
    ),
    Case(
        "extends_outside",
        "extends: ../base.yaml\n" + GOOD,
        "s.yaml:1: extends: leaves the scenario's folder; found '../base.yaml'; allowed: a "
        "relative path inside the scenario's folder",
    ),
    Case(
        "extends_absolute",
        "extends: /elsewhere/base.yaml\n" + GOOD,
        "s.yaml:1: extends: not a relative path; found '/elsewhere/base.yaml'; allowed: a "
        "relative path inside the scenario's folder",
    ),
    Case(
        "extends_missing",
        "extends: bsae.yaml\n" + GOOD,
        "s.yaml:1: extends: no such file; found 'bsae.yaml'; did you mean 'base.yaml'?",
        files={"base.yaml": GOOD},
    ),
    Case(
        "extends_folder",
        "extends: sub.yaml\n" + GOOD,
        "s.yaml:1: extends: a folder, not a file; found 'sub.yaml'",
        files={"sub.yaml/x.yaml": GOOD},
    ),
    Case(
        "extends_unknown_preset",
        "extends: llama\n" + GOOD,
        f"s.yaml:1: extends: unknown preset scenario; found 'llama'; allowed: {A_BASE} (pretrain_16k)",
    ),
    Case("extends_number", "extends: 3\n" + GOOD, f"s.yaml:1: extends: not a file; found 3; allowed: {A_BASE}"),
    Case(
        "error_in_base",
        "extends: base.yaml\nname: x\n",
        "base.yaml:6: cluster.nodes: not a whole number; found 'sixteen'; allowed: a whole number",
        files={"base.yaml": changed("nodes: 16", "nodes: sixteen")},
    ),
    Case(
        "syntax_in_base",
        "extends: base.yaml\nname: x\n",
        "base.yaml:2: a bracket that is never closed",
        files={"base.yaml": "name: [\n"},
    ),
    Case(
        "trace_missing",
        changed("  jobs:", TRACE % "kth.swf"),
        "s.yaml:19: workload.trace.path: no such file; found 'kth.swf'",
    ),
    Case(
        "trace_outside",
        changed("  jobs:", TRACE % "../kth.swf"),
        f"s.yaml:19: workload.trace.path: leaves the scenario's folder; found '../kth.swf'; allowed: {INSIDE}",
    ),
    Case(
        "trace_absolute",
        changed("  jobs:", TRACE % "/elsewhere/kth.swf"),
        f"s.yaml:19: workload.trace.path: not a relative path; found '/elsewhere/kth.swf'; allowed: {INSIDE}",
    ),
    Case(
        "trace_home",
        changed("  jobs:", TRACE % "~/kth.swf"),
        f"s.yaml:19: workload.trace.path: not a relative path; found '~/kth.swf'; allowed: {INSIDE}",
    ),
    Case(
        "trace_format",
        changed("  jobs:", TRACE.replace("swf,", "swff,") % "kth.swf"),
        "s.yaml:19: workload.trace.format: not one of the choices; found 'swff'; allowed: swf, "
        "slurm, helios, philly, acme, alibaba, table; did you mean 'swf'?",
        files={"kth.swf": "x"},
    ),
    # variants
    Case(
        "variants_list",
        GOOD.split("variants:")[0] + "variants: [a, b]\n",
        "s.yaml:29: variants: not a mapping of variants; allowed: names with their changes, such "
        "as {large: {cluster.nodes: 512}}",
    ),
    Case(
        "variants_empty",
        GOOD.split("variants:")[0] + "variants: {}\n",
        "s.yaml:29: variants: not a mapping of variants; allowed: names with their changes, such "
        "as {large: {cluster.nodes: 512}}",
    ),
    Case(
        "variant_not_mapping",
        changed("now: {}", "now: 4"),
        "s.yaml:30: variants.now: not a mapping; found 4; allowed: a mapping of changes, such as "
        "{cluster.nodes: 512}, or {} for none",
    ),
    Case(
        "variant_unknown_key",
        changed("cluster.spares.count: 4", "cluster.spares.cuont: 4"),
        "s.yaml:31: cluster.spares.cuont: variant 'more_spares': unknown key; allowed: count, kind, per; "
        "did you mean 'count'?",
    ),
    Case(
        "variant_bad_value",
        changed("cluster.spares.count: 4", "cluster.spares.count: -4"),
        "s.yaml:31: cluster.spares.count: variant 'more_spares': too small; found -4; allowed: at least 0",
    ),
    Case(
        "variant_repeats",
        changed("{cluster.spares.count: 4}", "{cluster.spares.count: 4, cluster: {spares: {count: 5}}}"),
        "s.yaml:31: variants.more_spares.cluster.spares.count: repeated key; found the same key on line 31",
    ),
    Case(
        "variant_below_text",
        changed("cluster.spares.count: 4", "name.first: 4"),
        "s.yaml:31: name.first: variant 'more_spares': name holds no keys; found 'small'",
    ),
    Case(
        "variant_list_item",
        changed("cluster.spares.count: 4", "workload.jobs.2.nodes: 4"),
        "s.yaml:31: workload.jobs.2: variant 'more_spares': no such list item; found '2'; "
        "allowed: a position from 0 to 1",
    ),
    Case(
        "variant_empty_part",
        changed("cluster.spares.count: 4", "cluster..count: 4"),
        "s.yaml:31: variants.more_spares.cluster..count: not a dotted key; found 'cluster..count'; allowed: a.b.c",
    ),
    Case(
        "variant_of_variant",
        changed("cluster.spares.count: 4", "variants: {}"),
        "s.yaml:31: variants.more_spares.variants: a variant cannot change variants",
    ),
    # --set
    Case(
        "set_unknown_key",
        GOOD,
        "--set: cluster.nodez: unknown key; allowed: domains, fabric, node, node_sharing, nodes, "
        "partitions, price, spares, storage; did you mean 'nodes'?",
        settings=("cluster.nodez=4",),
    ),
    Case(
        "set_no_equals",
        GOOD,
        "--set: not a setting; found 'cluster.nodes'; allowed: key=value, such as cluster.nodes=512",
        settings=("cluster.nodes",),
    ),
    Case(
        "set_empty_key",
        GOOD,
        "--set: not a setting; found '=4'; allowed: key=value, such as cluster.nodes=512",
        settings=("=4",),
    ),
    Case(
        "set_bad_value",
        GOOD,
        "--set: cluster.nodes: a key that is not text; found 'cluster.nodes={4'; allowed: text, such as \"4\"",
        settings=("cluster.nodes={4",),
    ),
    Case(
        "set_bad_number",
        GOOD,
        "--set: cluster.nodes: not a whole number; found 'four'; allowed: a whole number",
        settings=("cluster.nodes=four",),
    ),
    Case(
        "set_tag",
        GOOD,
        "--set: name: tags are not read; found 'name=!!python/name:os.system x'; allowed: plain values",
        settings=("name=!!python/name:os.system x",),
    ),
    Case(
        "set_list_item",
        GOOD,
        "--set: workload.jobs.7: no such list item; found '7'; allowed: a position from 0 to 1",
        settings=("workload.jobs.7.nodes=4",),
    ),
    Case("set_below_number", GOOD, "--set: seed.x: seed holds no keys; found 1", settings=("seed.x=4",)),
    Case(
        "set_extends",
        GOOD,
        "--set: extends: extends stands in the file; found 'extends=other.yaml'",
        settings=("extends=other.yaml",),
    ),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_good_scenario_loads(folder):
    Case("good", GOOD, "").write(folder)
    loaded = scenario.load(FILE)
    assert loaded.variants == ("now", "more_spares")
    assert loaded.variant("more_spares").cluster.spares.count == 4


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_form_is_one_exact_line(case, folder):
    case.write(folder)
    with pytest.raises(InputError) as caught:
        scenario.load(FILE, settings=case.settings)
    assert str(caught.value) == case.expected


def test_missing_file_names_the_nearest(folder):
    Case("good", GOOD, "").write(folder)
    with pytest.raises(InputError) as caught:
        scenario.load("ss.yaml")
    assert str(caught.value) == "ss.yaml: no such file; did you mean 's.yaml'?"


def test_folder_is_refused(folder):
    with pytest.raises(InputError) as caught:
        scenario.load(folder)
    assert str(caught.value) == f"{folder}: a folder, not a file"


def test_pipe_is_not_read(folder):
    os.mkfifo("pipe.yaml")
    with pytest.raises(InputError) as caught:
        scenario.load("pipe.yaml")
    assert str(caught.value) == "pipe.yaml: not a regular file"


@pytest.mark.parametrize("key", ["extends", "trace"])
def test_link_out_of_the_folder_is_refused(key, folder):
    inside = folder / "inside"
    outside = folder / "outside"
    outside.mkdir()
    (outside / "base.yaml").write_text(GOOD)
    text = "extends: link/base.yaml\n" if key == "extends" else changed("  jobs:", TRACE % "link/base.yaml")
    Case("link", text, "").write(inside)
    (inside / "link").symlink_to(outside)
    with pytest.raises(InputError) as caught:
        scenario.load(inside / FILE)
    assert "leaves the scenario's folder; found 'link/base.yaml'" in str(caught.value)


def test_a_set_path_may_point_anywhere_and_nowhere_is_named(folder):
    Case("good", GOOD, "").write(folder)
    setting = f"workload.trace={{format: swf, path: {folder}/none.swf}}"
    with pytest.raises(InputError) as caught:
        scenario.load(FILE, settings=[setting])
    assert str(caught.value) == f"--set: workload.trace.path: no such file; found '{folder}/none.swf'"


COMMAND = ("tab", "python_tag", "alias_bomb", "not_utf8", "extends_cycle", "variant_unknown_key", "set_no_equals")


@pytest.mark.parametrize("case", [case for case in CASES if case.name in COMMAND], ids=lambda case: case.name)
def test_command_exits_2_with_the_line_and_no_traceback(case, folder):
    case.write(folder)
    words = [word for setting in case.settings for word in ("--set", setting)]
    done = invoke("check", FILE, *words)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.strip().endswith(case.expected)
    assert len(done.stderr.strip().splitlines()) == 1
