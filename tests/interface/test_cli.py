"""The command line as users and scripts meet it: exit codes, one-line errors, nothing heavy loaded early."""

import html
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from command_line import command, invoke

import simulator
from simulator.cli import progress
from simulator.experiments.compare import Progress

SCENARIO = """\
name: cli
question: Which restart time is worth its price?
horizon: 10 days
replications: 3
cluster: {nodes: 10, node: {gpus: 8, gpu: H100-SXM, price: "2.95 USD/GPU/h"}}
faults:
  classes:
    node: {component: node, rate: "100 / 1000 node-days", stops_job: true, takes_node_out: true}
  detect: 1 min
repairs: {mixes: {outage: {tiers: {swap: {probability: 1, time: 5 h}}}}, mix: outage}
workload: {jobs: [{name: pretrain, nodes: 8}]}
checkpoint: {tiers: [{name: remote, blocking: 30 s, load: 2 min, survives: domain, interval: 1 h}]}
recovery: {policy: replace, phases: {image: 10 min}}
variants: {slow: {}, fast: {recovery.phases.image: 1 min}}
report: {answer: {metric: ettr, goal: max}}
"""

VERBS = ["run", "compare", "check", "report", "presets", "import", "fit", "schema"]
HEAVY = ["numpy", "pandas", "numba", "scipy", "matplotlib", "simpy", "ruamel", "pyarrow"]


@pytest.fixture
def scenario(tmp_path) -> Path:
    path = tmp_path / "cli.yaml"
    path.write_text(SCENARIO)
    return path


def loaded_by(code: str) -> list[str]:
    program = f"import sys\n{code}\nprint([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1].replace("'", '"'))


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import simulator") == []
    assert loaded_by("import simulator; simulator.InputError, simulator.errors") == []


def test_help_loads_nothing_heavy():
    for words in ([], ["--help"], ["compare", "--help"]):
        assert loaded_by(
            f"sys.argv = ['simulator', *{words}]\nimport simulator.cli\n"
            "try: simulator.cli.main()\nexcept SystemExit: pass"
        ) == []  # fmt: skip


def test_help_names_every_verb_and_the_exit_codes():
    done = command("--help")
    assert done.returncode == 0
    assert all(f" {verb} " in done.stdout for verb in VERBS)
    assert "130 interrupted" in " ".join(done.stdout.split())
    for verb in VERBS:
        assert invoke(verb, "--help").returncode == 0


def test_version():
    done = command("--version")
    assert done.stdout == f"simulator {simulator.__version__}\n"


def test_public_names_exist_and_unknown_ones_do_not():
    for name in simulator.__all__:
        assert getattr(simulator, name) is not None
    assert set(simulator.__all__) <= set(dir(simulator))
    with pytest.raises(AttributeError, match="has no attribute 'sweep'"):
        simulator.sweep  # noqa: B018


@pytest.mark.parametrize(
    "words",
    [
        ["compare"],
        ["fly"],
        ["compare", "x.yaml", "--speed", "9"],
        ["compare", "x.yaml", "--replications", "0"],
        ["compare", "x.yaml", "--replications", "many"],
        ["compare", "x.yaml", "--workers", "-1"],
        ["compare", "x.yaml", "--keep", "some"],
        ["run", "x.yaml", "--seed", "-1"],
        ["import", "swf"],
    ],
)
def test_wrong_usage_exits_2_without_traceback(words):
    done = invoke(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "missing.yaml"], "error: missing.yaml: "),
        (["compare", "missing.yaml"], "error: missing.yaml: "),
        (["check", "."], "error: ."),
        (["run", "cli.yaml", "--variant", "fst"], "error: unknown variant; found 'fst'; allowed: slow, fast"),
        (["run", "cli.yaml", "--set", "cluster.nodes=0"], "cluster.nodes: "),
        (["run", "cli.yaml", "--set", "cluster.nodse=4"], "did you mean 'nodes'?"),
        (["compare", "cli.yaml", "--precision", "2"], "error: precision: precision out of range; found 2;"),
        (["compare", "cli.yaml", "--precision", "0.1", "--replications", "9"], "exclude each other"),
        (["compare", "cli.yaml", "--output", "thesis"], "error: the output folder holds other files"),
        (["run", "cli.yaml", "--output", "thesis"], "error: the output folder holds other files"),
        (["compare", "cli.yaml", "--output", "cli.yaml"], "error: the output is not a folder"),
        (["compare", "cli.yaml", "--output", "cli.yaml/x"], "error: cannot write the results here"),
        (["report", "thesis"], "error: "),
        (["presets", "h1000"], "error: "),
        (["import", "swiff", "jobs.txt", "-o", "jobs.parquet"], "did you mean 'swf'?"),
        (["import", "swf", "missing.txt", "-o", "jobs.parquet"], "error: missing.txt: "),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(scenario, words, expected, monkeypatch):
    monkeypatch.chdir(scenario.parent)
    thesis = scenario.parent / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("years of work")
    done = invoke(*words)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert expected in lines[0]
    assert sorted(path.name for path in scenario.parent.iterdir()) == ["cli.yaml", "thesis"]
    assert [path.name for path in thesis.iterdir()] == ["chapter.txt"]


def test_a_process_of_its_own_exits_2_too(tmp_path):
    done = command("check", "missing.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert command("compare", "--fast").returncode == 2


def test_run_prints_one_replication_and_writes_its_tables(scenario, tmp_path):
    done = invoke("run", scenario, "--variant", "fast", "--seed", 4, "--output", tmp_path / "one")
    assert done.returncode == 0, done.stderr
    result = simulator.run(simulator.load(scenario), seed=4, variant="fast")
    assert "cli, variant fast, seed 4, one replication" in done.stdout
    assert f"{result.summary['ettr']:.4f}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())
    assert summary["ettr"] == result.summary["ettr"]
    ledger = pd.read_parquet(tmp_path / "one" / "ledger.parquet")
    pd.testing.assert_frame_equal(ledger, result.ledger, check_dtype=False)
    assert invoke("run", scenario, "--output", tmp_path / "one").returncode == 0  # its own folder may be replaced


def test_compare_writes_the_whole_folder_and_ends_with_the_report(scenario, tmp_path, without_figures):
    done = command("compare", scenario, "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results" / "cli"
    assert done.stdout.splitlines()[-1] == "Report: results/cli/report.html"
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "6 of 6 done" in done.stderr
    names = {path.name for path in folder.iterdir()}
    tables = {"ledger", "jobs", "incidents", "series", "phases", "occupancy", "runs"}
    assert {f"{name}.parquet" for name in tables} <= names
    assert {"manifest.json", "scenario.yaml", "report.json", "summary.csv", "differences.csv"} <= names
    assert {"report.html", "figures"} <= names
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["cli"]
    own = json.loads((folder / "manifest.json").read_text())
    assert own["command"][1:4] == ["compare", str(scenario), "--workers"]
    assert (own["replications"], own["variants"], own["baseline"]) == (3, ["slow", "fast"], "slow")
    again = invoke("compare", folder / "scenario.yaml", "--workers", "1", "--output", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "runs.parquet").read_bytes() == (folder / "runs.parquet").read_bytes()
    report = invoke("report", folder)
    assert report.returncode == 0, report.stderr
    assert report.stdout.splitlines()[:-1] == done.stdout.splitlines()[:-1]


def test_progress_says_the_time_left_and_names_the_compilation_of_kernels(monkeypatch, capsys):
    clock = iter([0.0, 1.0, 2.0, 9.0, 13.0, 14.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    lines = progress.Lines()
    for step in (
        Progress("simulating", 0, 20),
        Progress("compiling", 0, 20),
        Progress("simulating", 1, 20, 0, 75.4),  # too soon after the last line
        Progress("simulating", 2, 20, 0, 71.6),
        Progress("simulating", 3, 20, 0, 68.0),
        Progress("simulating", 20, 20, 0, 0.0),
    ):
        lines.update(step)
    assert capsys.readouterr().err.splitlines() == [
        "20 replications of variants to do",
        "compiling kernels (first run only)",
        "2 of 20 done, 12 s, about 0:01:12 left",
        "20 of 20 done, 39 s",
    ]


def test_a_study_tells_the_time_left(scenario, tmp_path):
    told = []
    simulator.compare(simulator.load(scenario), replications=3, workers=1, progress=told.append)
    running = [step for step in told if step.stage == "simulating"]
    assert math.isnan(running[0].left_s)
    assert all(step.left_s > 0.0 for step in running[1:-1])
    assert running[-1].left_s == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("words", [["run", "cli.yaml"], ["collective", "--fabric", "rail_400g", "--ranks", "16"]])
def test_a_first_run_says_that_it_compiles(scenario, tmp_path, words):
    cold = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = command(*words, cwd=tmp_path, env=cold)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("compiling kernels (first run only)\n") == 1
    done = command(*words, cwd=tmp_path, env=cold)
    assert "compiling" not in done.stderr


SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def page_command(folder: Path) -> list[str]:
    """Return the command that a report gives to run it again, in the words that a shell makes of it."""
    found = re.search("<pre>(.*?)</pre>", (folder / "report.html").read_text(), re.DOTALL)
    assert found, "the page has no command"
    script = "simulator() { printf '%s\\0' \"$@\"; }\n" + html.unescape(found[1])
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_the_command_of_the_report_works_in_the_folder_of_the_report(tmp_path, monkeypatch, without_figures):
    log = tmp_path / "my site's: logs" / "small $HOME.swf"
    log.parent.mkdir()
    log.write_bytes((SCENARIOS / "traces" / "small_site.swf").read_bytes())
    folder = tmp_path / "out"
    settings = ["--set", f'workload.trace.path="{log}"', "--set", "cluster.nodes=20", "--set", "name=mine"]
    words = ["--seed", 5, "--replications", 2, "--keep", "all", "--workers", 1, "--output", folder]
    first = invoke("compare", SCENARIOS / "trace_replay.yaml", *settings, *words)
    assert first.returncode == 0, first.stderr
    monkeypatch.chdir(folder)
    again = invoke(*page_command(folder), "--workers", "1")
    assert again.returncode == 0, again.stderr
    written = {path.name for path in folder.iterdir() if path.is_file()}
    assert "jobs.parquet" in written
    for name in written - {"manifest.json", "report.html"}:
        assert (tmp_path / "mine-again" / name).read_bytes() == (folder / name).read_bytes(), name
    assert page_command(tmp_path / "mine-again") == page_command(folder)


def test_files_of_single_variants_are_left_to_the_reader(tmp_path, without_figures):
    (tmp_path / "b.swf").write_bytes((SCENARIOS / "traces" / "small_site.swf").read_bytes())
    text = (SCENARIOS / "trace_replay.yaml").read_text().replace("traces/small_site.swf", "b.swf")
    path = tmp_path / "s.yaml"
    path.write_text(text.replace("{scheduling.policy: easy}", "{workload.trace.path: b.swf}"))
    assert invoke("compare", path, "--workers", "1", "--output", tmp_path / "out").returncode == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<pre>" not in page
    assert "put these beside it" in page
    files = json.loads((tmp_path / "out" / "manifest.json").read_text())["files"]
    assert files == dict.fromkeys(("workload.trace.path", "variants.easy.workload.trace.path"), str(tmp_path / "b.swf"))
    assert invoke("check", tmp_path / "out" / "scenario.yaml").returncode == 2
    (tmp_path / "out" / "b.swf").write_bytes((tmp_path / "b.swf").read_bytes())
    assert invoke("check", tmp_path / "out" / "scenario.yaml").returncode == 0


def test_compare_says_whether_the_precision_was_reached(scenario, tmp_path, monkeypatch, without_figures):
    from simulator.experiments import precision

    monkeypatch.setattr(precision, "MOST_REPLICATIONS", precision.FIRST_BATCH + 5)
    for wanted, verdict in (("0.5", "reached with 20"), ("1e-6", "NOT reached after 25")):
        done = invoke("compare", scenario, "--precision", wanted, "--workers", 1, "--output", tmp_path / "out")
        assert f"A precision of {float(wanted):g} was {verdict} replications." in done.stdout


def test_python_study_plots_and_reports(scenario, tmp_path, without_figures):
    study = simulator.compare(simulator.load(scenario), replications=2, workers=1)
    assert study.plot("ettr") is not None
    page = study.report(tmp_path / "deep" / "page.html")
    assert page.read_text().lower().startswith("<!doctype html>")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    whole = study.report(tmp_path / "whole")
    assert whole == tmp_path / "whole" / "report.html"
    assert (tmp_path / "whole" / "runs.parquet").exists()


def test_own_policies_replace_those_of_the_scenario(scenario):
    loaded = simulator.load(scenario)
    with pytest.raises(simulator.InputError, match=r"policies: unknown family of policies; found 'schedulling'"):
        simulator.run(loaded, policies={"schedulling": object()})

    from simulator.policies.checkpointing.intervals import Never
    from simulator.policies.recovery.ladder import GiveUp

    given_up = simulator.run(loaded, policies={"recovery": GiveUp()})
    assert list(given_up.jobs["state"]) == ["failed"]
    unsaved = simulator.run(loaded, policies={"checkpointing": Never()})
    assert unsaved.summary["ettr"] < simulator.run(loaded).summary["ettr"]


def test_check_says_what_the_scenario_means(scenario):
    done = invoke("check", scenario)
    assert done.returncode == 0, done.stderr
    assert "valid" in done.stdout.splitlines()[0]
    assert "10 x 8 GPUs" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_schema_is_json():
    done = invoke("schema")
    assert done.returncode == 0
    assert json.loads(done.stdout)["$schema"].startswith("https://json-schema.org/draft/2020-12")


def test_presets_lists_all_and_shows_sources():
    done = invoke("presets")
    assert done.returncode == 0
    from simulator.scenario.presets import list_presets

    for preset in list_presets():
        assert preset.name in done.stdout
    one = invoke("presets", list_presets()[0].name)
    assert one.returncode == 0
    assert list_presets()[0].rows()[0].source.split()[0] in one.stdout
    assert max(map(len, (done.stdout + one.stdout).splitlines())) <= 100


def test_import_writes_the_common_table(tmp_path):
    trace = tmp_path / "jobs.swf"
    trace.write_text("; UnixStartTime: 0\n1 0 5 60 2 -1 -1 2 100 -1 1 7 1 1 1 1 -1 -1\n")
    done = invoke("import", "swf", trace, "-o", tmp_path / "jobs.parquet")
    assert done.returncode == 0, done.stderr
    assert "1 job written" in done.stdout
    table = pd.read_parquet(tmp_path / "jobs.parquet")
    assert (table["run_s"][0], table["requested_s"][0]) == (60.0, 100.0)


def test_a_closed_pipe_is_quiet():
    code = "import sys; sys.argv = ['simulator', 'schema']; from simulator.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait()
    process.stderr.close()
