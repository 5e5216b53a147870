"""All variants of a scenario in the same random worlds: the study."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.columns import LOWER_BOUNDS, METRICS
from simulator.errors import InputError
from simulator.experiments import manifest, precision, store, tables
from simulator.experiments.executors import default_workers, executor
from simulator.experiments.own_policies import OwnVariant, comment, own_variants
from simulator.experiments.records import Task
from simulator.experiments.replicate import Done, Replicator
from simulator.experiments.results import Study
from simulator.experiments.statistics import DifferenceRow, SummaryRow, difference_rows, summary_rows

if TYPE_CHECKING:
    from simulator.scenario.resolved import Scenario

S = TypeVar("S", bound=Study)
Stage = Literal["discarding", "compiling", "simulating", "writing"]


@dataclass(frozen=True)
class Progress:
    """Where a study stands.

    Parameters
    ----------
    stage : {"discarding", "compiling", "simulating", "writing"}
        What happens now. ``discarding``: an interrupted study in the same place is thrown away; ``compiling``: a
        first replication also compiles kernels, told once; ``writing``: tables, and the report where there is one.
    done, total : int
        Replications of variants finished (resumed ones included) and wanted.
    resumed : int
        How many of them an earlier, interrupted study had finished.
    left_s : float
        Seconds that the rest will take if it goes on as so far, the compilation of kernels left out; NaN as long as
        nothing says.
    """

    stage: Stage
    done: int
    total: int
    resumed: int = 0
    left_s: float = math.nan


class StudyInterrupted(KeyboardInterrupt):
    """Ctrl-C during a study; says what was kept and how to go on.

    Parameters
    ----------
    finished, total : int
        Replications of variants that are done and wanted.
    folder : str or None
        Where they are kept, None when nothing is.
    """

    def __init__(self, finished: int, total: int, folder: str | None) -> None:
        super().__init__(finished, total, folder)
        self.finished = finished
        self.total = total
        self.folder = folder

    def __str__(self) -> str:
        """One line."""
        if self.folder is None:
            return f"interrupted after {self.finished} of {self.total} replications; nothing was kept"
        return (
            f"interrupted: {self.finished} of {self.total} replications are kept in {self.folder}; "
            "run the same command with --resume to do the rest"
        )


def compare(
    scenario: Scenario,
    replications: int | None = None,
    workers: int | None = None,
    seed: int | None = None,
    output: str | Path | None = None,
    resume: bool = False,
    keep: str = "first",
    precision: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    policies: Mapping[str, Mapping[str, Any]] | None = None,
    finish: Callable[[Path], object] | None = None,
    *,
    kind: type[S],
) -> S:
    """Run every variant of a scenario in the same random worlds and return what they say together.

    Parameters
    ----------
    scenario : Scenario
        What to compare; its first variant is the baseline.
    replications : int, optional
        Random worlds; the scenario's own number by default.
    workers : int, optional
        Worker processes, as many as processors by default; 1 runs in this process. The results are the same bytes
        for any number.
    seed : int, optional
        Seed; the scenario's own by default.
    output : path, optional
        Results folder. Without one the tables live in a temporary folder as long as the study does.
    resume : bool
        Do only what an interrupted study with the same output has not finished.
    keep : {"first", "all"}
        Whether ``jobs``, ``incidents`` and ``series`` hold replication 0 or all.
    precision : float, optional
        Instead of ``replications``: add replications until the half-width of the 95 % interval of the scenario's
        answer metric is at most this for every variant (absolute for fractions, relative to the mean otherwise), or
        ``precision.MOST_REPLICATIONS`` is reached.
    progress : function of a Progress, optional
        Called in this process as the study goes on.
    policies : mapping of str to mapping, optional
        New variants with policies of your own: ``{"mine": {"scheduling": MyPolicy()}}``, each the scenario's first
        variant but for the policies, or the one that its key ``variant`` names. Every replication gets copies.
    finish : function of a path, optional
        Called with the complete, not yet visible results folder, to add to it (a report).
    kind : type of study
        ``Study``, or a class of it that can do more.

    Raises
    ------
    InputError
        For a wrong argument, an output folder that holds other files, nothing to resume from the same study, or
        ``resume`` with policies of your own.
    StudyInterrupted
        On Ctrl-C.
    """
    plan = _Plan(
        scenario,
        scenario.seed if seed is None else seed,
        keep,
        _valid_workers(workers),
        scenario.replications if replications is None else replications,
        precision,
        own_variants(policies, scenario),
    )
    _demand_valid(plan, replications)
    _demand_resumable(plan, output, resume)
    _demand_portable(plan)
    report = progress or (lambda _: None)
    if output is not None:
        folder = Path(output).absolute()
        store.demand_replaceable(folder)
        return kind(_run(plan, folder, resume, report, finish, is_kept=True))
    home = Path(tempfile.mkdtemp(prefix="simulator-"))
    try:
        return kind(_run(plan, home / "study", False, report, finish, is_kept=False), owned=home)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


@dataclass(frozen=True)
class _Plan:
    """What decides a study, and with how many workers it is done."""

    scenario: Scenario
    seed: int
    keep: str
    workers: int
    replications: int
    precision: float | None
    own: Mapping[str, OwnVariant]

    @property
    def variants(self) -> tuple[str, ...]:
        """Variants of the scenario, the baseline first, and then those with policies given as objects."""
        return (*self.scenario.variants, *self.own)

    @property
    def described(self) -> list[dict[str, str]]:
        """What the results say about policies that no file holds."""
        return [row for variant in self.own.values() for row in variant.described()]

    def tasks(self, start: int, stop: int) -> list[Task]:
        """Return the tasks of some replications, all variants of one before the next."""
        return [Task(v, r) for r in range(start, stop) for v in self.variants]

    @property
    def answer_metric(self) -> str:
        """The metric that the scenario's answer is about."""
        return str(self.scenario.variant(self.scenario.variants[0]).report.answer.metric)


def _valid_workers(workers: int | None) -> int:
    if workers is not None and workers < 1:
        raise InputError("too few workers", key="workers", found=str(workers), allowed="1 or more")
    return default_workers() if workers is None else workers


def _demand_valid(plan: _Plan, replications: int | None) -> None:
    if plan.replications < 1:
        raise InputError("too few replications", key="replications", found=str(plan.replications), allowed="1 or more")
    if plan.seed < 0:
        raise InputError("negative seed", key="seed", found=str(plan.seed), allowed="0 or more")
    if plan.keep not in ("first", "all"):
        raise InputError("unknown choice", key="keep", found=repr(plan.keep), allowed="'first' or 'all'")
    if plan.precision is not None:
        precision.demand_valid(plan.precision)
        if replications is not None:
            raise InputError("replications and precision exclude each other", key="precision", allowed="one of the two")


def _demand_resumable(plan: _Plan, output: str | Path | None, resume: bool) -> None:
    if resume and plan.own:
        names = ", ".join(plan.own)
        allowed = "resume=False: nothing says whether code is the same as before"
        raise InputError(
            "a study with policies of your own cannot be resumed",
            key="resume",
            found=f"policies of {names}",
            allowed=allowed,
        )
    if resume and output is None:
        raise InputError("nothing to resume without an output folder", key="resume")


def _demand_portable(plan: _Plan) -> None:
    """Refuse own policies that a replication or a worker cannot get, before anything is done."""
    for variant in plan.own.values():
        variant.fresh()
        if plan.workers > 1:
            variant.packed()


def _run(
    plan: _Plan,
    output: Path,
    resume: bool,
    report: Callable[[Progress], None],
    finish: Callable[[Path], object] | None,
    is_kept: bool,
) -> Path:
    """Simulate what is missing, write the results folder and return it."""
    started, clock = manifest.now_utc(), time.monotonic()
    sha256 = manifest.study_sha256(plan.scenario)
    key = store.StudyKey(manifest.version(), sha256, plan.seed, plan.keep, ", ".join(plan.own))
    partial = store.partial_folder(output)
    if resume and not store.holds_finished(partial) and _is_complete(plan, output):
        everything = plan.replications * len(plan.variants)
        report(Progress("simulating", everything, everything, everything))
        return output
    if not resume and store.holds_finished(partial):
        report(Progress("discarding", 0, 0))
    done = total = 0
    try:
        with store.Journal(partial, key, resume) as journal, _nothing_left_of_own(plan, journal):
            counter = _Counter(plan, journal, report)
            try:
                total_replications = _simulate(plan, journal, counter)
            finally:
                done, total = len(journal), counter.total
                if not done:
                    journal.discard()
            report(Progress("writing", done, total))
            facts = {
                "variants": list(plan.variants),
                "own_policies": plan.described,
                "scenario_sha256": sha256,
                "seed": plan.seed,
                "replications": total_replications,
                "precision": plan.precision,
                "precision_reached": _is_precise(plan, journal, total_replications),
                "workers": plan.workers,
                "keep": plan.keep,
                "wall_s": round(time.monotonic() - clock, 3),
            }
            _write(plan, output, journal, manifest.manifest(plan.scenario, facts, started), finish)
            journal.discard()
    except KeyboardInterrupt:
        raise StudyInterrupted(done, total, str(partial) if is_kept and done and not plan.own else None) from None
    return output


@contextlib.contextmanager
def _nothing_left_of_own(plan: _Plan, journal: store.Journal) -> Iterator[None]:
    """Discard what an ended study with own policies has finished: nobody can resume it."""
    try:
        yield
    except BaseException:
        if plan.own:
            journal.discard()
        raise


def _is_complete(plan: _Plan, output: Path) -> bool:
    """Return whether a results folder already holds exactly the study that is asked for."""
    try:
        found = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    asked = {
        "simulator": manifest.version(),
        "own_policies": plan.described,
        "scenario_sha256": manifest.study_sha256(plan.scenario),
        "seed": plan.seed,
        "keep": plan.keep,
        "replications": plan.replications,
        "precision": plan.precision,
    }
    return plan.precision is None and {name: found.get(name) for name in asked} == asked


class _Counter:
    """Puts results on disk and tells how far the study is."""

    def __init__(self, plan: _Plan, journal: store.Journal, report: Callable[[Progress], None]) -> None:
        self._journal = journal
        self._report = report
        self._variants = len(plan.variants)
        self._workers = plan.workers
        self.total = 0
        self._resumed = len(journal)
        self._work_s, self._new = 0.0, 0
        self._is_told = False

    def expect(self, replications: int) -> None:
        """Set how many replications there will be and report it."""
        self.total = replications * self._variants
        self._tell("simulating")

    def compiling(self) -> None:
        """Report, once, that a replication compiles kernels."""
        if not self._is_told:
            self._is_told = True
            self._tell("compiling")

    def __call__(self, task: Task, replication: Done) -> None:
        """Keep a finished replication."""
        self._journal.append(task, replication.record)
        self._work_s += replication.work_s
        self._new += 1
        self._tell("simulating")

    def _tell(self, stage: Stage) -> None:
        # A resumed journal may hold more replications than are wanted now.
        done = min(len(self._journal), self.total)
        self._report(Progress(stage, done, self.total, min(self._resumed, self.total), self._left_s(self.total - done)))

    def _left_s(self, missing: int) -> float:
        if missing == 0:
            return 0.0
        return self._work_s / self._new * missing / min(self._workers, missing) if self._new else math.nan


def _simulate(plan: _Plan, journal: store.Journal, counter: _Counter) -> int:
    """Do all replications that are wanted and missing; return their number."""
    total = plan.replications if plan.precision is None else precision.FIRST_BATCH
    most = len(plan.variants) * total
    work = Replicator(plan.scenario, plan.seed, plan.keep, plan.own)
    with executor(work, min(plan.workers, most), counter.compiling) as workers:
        done = 0
        while done < total:
            counter.expect(total)
            workers.run([task for task in plan.tasks(done, total) if task not in journal], counter)
            done = total
            if plan.precision is not None and done < precision.MOST_REPLICATIONS:
                metric, samples = _samples(plan, journal, done)
                total = precision.next_total(plan.precision, metric, done, samples)
    journal.sync()
    return total


def _samples(plan: _Plan, journal: store.Journal, done: int) -> tuple[str, list[NDArray[np.float64]]]:
    """Return the metric that decides, and its values for each variant.

    Where jobs had not started at the end that is the lower bound that counts their wait so far.
    """
    names = [metric.name for metric in METRICS]
    values = [
        np.array([journal.read(Task(variant, r)).values for r in range(done)], dtype=np.float64)
        for variant in plan.variants
    ]
    leaves_out = any((each[:, names.index("jobs_waiting")] > 0).any() for each in values)
    metric = LOWER_BOUNDS.get(plan.answer_metric, plan.answer_metric) if leaves_out else plan.answer_metric
    return metric, [each[:, names.index(metric)] for each in values]


def _is_precise(plan: _Plan, journal: store.Journal, replications: int) -> bool | None:
    """Return whether the wanted precision was reached, None where none was wanted."""
    if plan.precision is None:
        return None
    metric, samples = _samples(plan, journal, replications)
    return all(precision.half_width(metric, values) <= plan.precision for values in samples)


def _write(
    plan: _Plan,
    output: Path,
    journal: store.Journal,
    own_manifest: dict[str, Any],
    finish: Callable[[Path], object] | None,
) -> None:
    """Write the results folder, at once visible as a whole."""
    replications = range(own_manifest["replications"])
    tasks = [Task(variant, r) for variant in plan.variants for r in replications]
    facts = manifest.report_facts(plan.scenario) | {"own_policies": plan.described}
    with store.complete_folder(output) as folder:
        values = tables.write_tables(folder, tasks, journal.read)
        tables.write_runs(folder / "runs.parquet", tasks, values)
        runs = dict(tables.by_variant(tasks, values))
        (folder / "summary.csv").write_bytes(tables.csv_bytes(SummaryRow, summary_rows(runs)))
        (folder / "differences.csv").write_bytes(tables.csv_bytes(DifferenceRow, difference_rows(runs)))
        (folder / "scenario.yaml").write_bytes(comment(plan.own) + manifest.scenario_bytes(plan.scenario))
        (folder / "report.json").write_bytes(manifest.json_bytes(facts))
        (folder / "manifest.json").write_bytes(manifest.json_bytes(own_manifest))
        if finish is not None:
            finish(folder)
