"""Workload models as files and presets, and the jobs of a scenario that names one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import simulator as sim
from simulator.errors import InputError
from simulator.scenario import presets
from simulator.scenario.assembly import assemble
from simulator.scenario.describe import describe
from simulator.scenario.workload_models import model_text, preset_model, read_model
from simulator.streams import generator
from simulator.workload.job import JobTable
from simulator.workload.synthetic import DAY_S, draw

SUMMARY = {
    # data/cluster_summary.csv of the AcmeTrace repository: GPU jobs, mean and median run time, mean GPUs, greatest run
    # time, greatest GPUs, and GPU time by state
    "acme_seren": (663_813, 1414.335, 122.0, 5.68, 1_209_604.0, 1024, (4_560_592_618, 14_274_584_510, 2_675_447_459)),
    "helios": (1_580_464, 6651.681, 206.0, 3.716, 4_320_009.0, 2048, (39_994_296_320, 30_715_109_125, 7_288_334_702)),
}
STATES = ("completed", "cancelled", "failed")


@pytest.mark.parametrize("name", SUMMARY)
def test_presets_have_the_totals_of_their_published_summaries(name: str) -> None:
    jobs, mean_s, median_s, gpus, longest_s, largest, gpu_s = SUMMARY[name]
    model = preset_model(name)
    days = {"acme_seren": 184, "helios": 183}[name]
    assert model.jobs_per_s * DAY_S * days == pytest.approx(jobs, rel=1e-4)
    assert sum(each.share * each.mean_run_s for each in model.sizes) == pytest.approx(mean_s, rel=2e-3)
    assert sum(each.share * each.mean_gpus for each in model.sizes) == pytest.approx(gpus, rel=2e-3)
    assert model.mean_gpu_s == pytest.approx(sum(gpu_s) / jobs, rel=2e-3)
    assert model.largest == largest
    by_state = [
        sum(
            each.share * each.mean_gpus * ending.share * ending.run_s.mean
            for each in model.sizes
            for ending in each.endings
            if ending.state == state
        )
        for state in STATES
    ]
    assert np.array(by_state) / sum(by_state) == pytest.approx(np.array(gpu_s) / sum(gpu_s), abs=2e-3)
    drawn = draw(model, lambda purpose: generator(1, 0, purpose), model.jobs_per_s, jobs=200_000)
    # 200,000 jobs: the median lies within 1 % of its own.
    assert np.median(drawn.run_s) == pytest.approx(median_s, rel=0.03)
    assert np.median(drawn.gpus) == 1
    assert drawn.run_s.max() <= longest_s * (1 + 1e-6)


def test_rsc1_offers_its_published_load_to_its_machine() -> None:
    model = preset_model("rsc1")
    assert model.jobs_per_s * DAY_S == pytest.approx(7200)
    assert model.rate_for(0.83, 16_000) * DAY_S == pytest.approx(7200, rel=1e-3)
    largest = model.sizes[-1]
    assert largest.gpus == (4096,)
    share = largest.share * 4096 * largest.mean_run_s / model.mean_gpu_s
    assert share == pytest.approx(0.12, abs=0.001)
    assert max(ending.run_s.values[-1] for each in model.sizes for ending in each.endings) <= 7 * DAY_S


def test_philly_is_the_extraction_it_was_fitted_to() -> None:
    model = preset_model("philly")
    assert model.jobs_per_s * DAY_S == pytest.approx(377, rel=0.01)
    assert sum(each.share * each.mean_gpus for each in model.sizes) == pytest.approx(1.56, rel=0.01)
    # 880,894 GPU-hours of 41,021 jobs
    assert model.mean_gpu_s == pytest.approx(880_894 * 3600 / 41_021, rel=1e-3)


@pytest.mark.parametrize("name", presets.names("workloads"))
def test_a_model_reads_back_as_it_was_written(name: str, tmp_path: Path) -> None:
    model = preset_model(name)
    path = tmp_path / f"{name}.yaml"
    path.write_text(model_text(model, "title", "note"))
    again = read_model(str(path))
    assert again.mean_gpu_s == pytest.approx(model.mean_gpu_s, rel=1e-4)
    assert again.jobs_per_s == pytest.approx(model.jobs_per_s, rel=1e-5)
    assert (again.rhythm, again.users, again.batches.jobs) == (model.rhythm, model.users, model.batches.jobs)
    for read, written in zip(again.sizes, model.sizes, strict=True):
        assert read.gpus == written.gpus
        assert read.share == pytest.approx(written.share, rel=1e-5)
        for one, other in zip(read.endings, written.endings, strict=True):
            assert (one.state, one.share) == (other.state, pytest.approx(other.share, rel=1e-5))
            assert one.run_s == other.run_s


SCENARIO = """\
name: mix
horizon: 4 days
cluster: {nodes: 32, node: {gpus: 8, gpu: A100, name: mine}, spares: {count: 2}}
workload:
  jobs: [{name: first, nodes: 2, work: 1 h, submit: 1 h}]
  synthetic: {model: philly, load: 0.7}
variants:
  fifo: {scheduling.policy: fifo}
  easy: {scheduling.policy: easy}
"""


def jobs_of(file: Path, variant: str, seed: int, replication: int, **keys: object) -> JobTable:
    overrides = {f"workload.synthetic.{key}": value for key, value in keys.items()}
    return assemble(sim.load(file, overrides=overrides), variant, seed, replication).jobs


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "mix.yaml"
    path.write_text(SCENARIO)
    return path


def test_variants_meet_the_same_jobs_and_replications_do_not(scenario: Path) -> None:
    fifo, easy = (jobs_of(scenario, variant, 1, 0) for variant in ("fifo", "easy"))
    assert fifo.submit_s.tobytes() == easy.submit_s.tobytes()
    assert fifo.work_s.tobytes() == easy.work_s.tobytes()
    assert jobs_of(scenario, "fifo", 1, 1).submit_s.tobytes() != fifo.submit_s.tobytes()
    assert jobs_of(scenario, "fifo", 2, 0).submit_s.tobytes() != fifo.submit_s.tobytes()


def test_jobs_fit_the_machine_and_small_ones_share_nodes(scenario: Path) -> None:
    jobs = jobs_of(scenario, "fifo", 1, 0)
    assert (np.diff(jobs.submit_s) >= 0).all()
    assert jobs.submit_s[-1] < 4 * DAY_S
    drawn = jobs.profile == 1
    assert drawn.sum() == len(jobs) - 1
    assert (jobs.nodes[drawn] == -(-jobs.gpus[drawn] // 8)).all()
    assert (jobs.shares[drawn] == (jobs.gpus[drawn] < 8)).all()
    assert jobs.gpus.max() <= 240
    assert (jobs.requested_s[drawn] == jobs.work_s[drawn]).all()
    assert len(set(jobs.job)) == len(jobs)


def test_keys_scale_the_workload(scenario: Path) -> None:
    plain = jobs_of(scenario, "fifo", 1, 0, jobs=2000)
    assert len(plain) == 2001
    double = jobs_of(scenario, "fifo", 1, 0, jobs=2000, load=1.4)
    assert plain.submit_s[-1] / double.submit_s[-1] == pytest.approx(2.0, rel=0.05)
    small = jobs_of(scenario, "fifo", 1, 0, jobs=2000, largest=4)
    assert small.gpus[small.profile == 1].max() == 4
    large = jobs_of(scenario, "fifo", 1, 0, jobs=2000, size_factor=2)
    assert large.gpus[large.profile == 1].min() == 2
    named = jobs_of(scenario, "fifo", 1, 0, jobs=2000, users=3)
    assert set(named.user[named.profile == 1]) == {"user-1", "user-2", "user-3"}
    fast = jobs_of(scenario, "fifo", 1, 0, load=None, rate_factor=10.0)
    # Batches of up to 365 jobs make the number of jobs vary by several percent.
    assert len(fast) == pytest.approx(4 * 3767, rel=0.3)


def test_requests_of_a_model_are_estimates(scenario: Path) -> None:
    model = preset_model("rsc1")
    asks = "requests: {above: [0 s], ratios: [{at: [0, 1], values: [2, 4]}], greatest: 7 days}\n"
    (scenario.parent / "own.yaml").write_text(model_text(model, "own", "own") + asks)
    keys = {"model": None, "path": str(scenario.parent / "own.yaml"), "jobs": 500}
    jobs = jobs_of(scenario, "fifo", 1, 0, **keys)
    drawn = jobs.profile == 1
    below = drawn & (jobs.work_s < 1.75 * DAY_S)
    assert (jobs.requested_s[below] >= 2 * jobs.work_s[below] * (1 - 1e-12)).all()
    exact = jobs_of(scenario, "fifo", 1, 0, **keys, estimates="exact")
    assert (exact.requested_s[drawn] == exact.work_s[drawn]).all()


def test_the_engine_runs_a_synthetic_workload_and_check_explains_it(scenario: Path) -> None:
    loaded = sim.load(scenario)
    rows = dict(row for heading, rows in describe(loaded) if heading == "Jobs" for row in rows)
    assert rows["synthetic"].startswith("model philly, ")
    assert rows["offered load"] == "0.7 of the machine"
    assert sim.run(loaded, variant="easy").summary["jobs_completed"] > 100
    assert ("workloads", "philly") in loaded.presets


def test_guesses_of_a_preset_are_assumptions_of_the_scenario(scenario: Path) -> None:
    found = sim.load(scenario, overrides={"workload.synthetic.model": "rsc1"}).assumptions
    keys = {row.key for row in found if row.value and row.key.startswith("workload.")}
    assert {"workload.hours", "workload.days", "workload.sizes.share", "workload.sizes.mean"} <= keys
    assert not any(row.key.startswith("workload.") for row in sim.load(scenario).assumptions)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("jobs_per_day: 10", "jobs_per_day: 0", "m.yaml:1: jobs_per_day: too small; found 0; allowed: more than 0"),
        (
            "share: 0.9",
            "share: 0.8",
            "m.yaml:1: shares of sizes must sum to 1; found 0.9",
        ),
        (
            "days: [1, 1, 1, 1, 1, 1, 1]",
            "days: [1, 1]",
            "m.yaml:2: days: too few entries; found a list; allowed: at least 7",
        ),
        (
            "users:",
            "user:",
            "m.yaml:3: user: unknown key; allowed: batches, days, hours, jobs_per_day, requests, sizes, users; "
            "did you mean 'users'?",
        ),
        (
            "[1 s, 5 s, 9 s]",
            "[1 s, 9 s, 5 s]",
            "m.yaml:5: sizes.one.endings.completed.run: quantiles must not descend",
        ),
        (
            "at: [0, 0.5, 1]",
            "at: [0, 0.5, 0.9]",
            "m.yaml:5: sizes.one.endings.completed.run: probabilities go from 0 to 1; found 0 to 0.9",
        ),
        (
            "at: [0, 0.5, 1], values: [1 s, 5 s, 9 s]",
            "median: 5 s",
            "m.yaml:5: sizes.one.endings.completed.run: a distribution is given in one way; "
            "allowed: at and values, or median, mean and greatest",
        ),
        (
            "median: 5 s, mean: 9 s",
            "median: 9 s, mean: 5 s",
            "m.yaml: sizes.two.endings.unknown.run: not a lognormal; "
            "found median 9, mean 5, greatest 99; allowed: 0 < median <= mean < greatest",
        ),
        (
            "[1 s, 5 s, 9 s]",
            "[1, 5, 9]",
            "m.yaml:5: sizes.one.endings.completed.run.values.0: a duration needs its unit",
        ),
        ("gpus: [2, 4]", "gpus: [4, 2]", "m.yaml:6: sizes.two: sizes must ascend; found 4, 2"),
    ],
)
def test_a_broken_model_is_one_line(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert MODEL_FILE.count(old) == 1
    path = tmp_path / "m.yaml"
    path.write_text(MODEL_FILE.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_model(str(path))
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(expected)


MODEL_FILE = """\
jobs_per_day: 10
days: [1, 1, 1, 1, 1, 1, 1]
users: {count: 3, exponent: 1}
sizes:
  one: {gpus: [1], share: 0.9, endings: {completed: {run: {at: [0, 0.5, 1], values: [1 s, 5 s, 9 s]}}}}
  two: {gpus: [2, 4], share: 0.1, endings: {unknown: {run: {median: 5 s, mean: 9 s, greatest: 99 s}}}}
"""


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("{}", "workload.synthetic: a synthetic workload has one model; allowed: model: rsc1, for example, or path"),
        (
            "{model: rsc2}",
            "workload.synthetic.model: unknown workload model; found 'rsc2'; "
            "allowed: acme_seren, helios, philly, rsc1; did you mean 'rsc1'?",
        ),
        (
            "{model: rsc1, jobs: 5, span: 1 h}",
            "workload.synthetic: jobs and span are two ways of saying the same; allowed: one of the two",
        ),
        (
            "{model: rsc1, load: 0.5, rate_factor: 2}",
            "workload.synthetic: load and rate_factor are two ways of saying the same; allowed: one of the two",
        ),
        ("{model: rsc1, load: 0}", "workload.synthetic.load: too small; found 0; allowed: more than 0.0"),
        (
            "{model: rsc1}",
            "workload.synthetic: how many jobs come? There is no horizon; allowed: jobs, span or horizon",
        ),
        (
            "{model: rsc1, span: 365000 days}",
            "workload.synthetic: too many jobs; found about 2.56e+09; allowed: at most 10000000",
        ),
        (
            "{model: rsc1, jobs: 9, largest: 4, size_factor: 8}",
            "workload.synthetic: no job of the model is this small; found sizes from 8 GPUs; allowed: at most 4 GPUs",
        ),
        ("{path: own.yaml}", "workload.synthetic.path: no such file; found '{}/own.yaml'"),
    ],
)
def test_a_broken_section_is_one_line(keys: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"name: s\ncluster: {{nodes: 4, node: {{gpus: 8, gpu: A}}}}\nworkload:\n  synthetic: {keys}\n")
    with pytest.raises(InputError) as caught:
        sim.load(path)
    assert str(caught.value) == f"{path}:4: {expected.replace('{}', str(tmp_path))}"
