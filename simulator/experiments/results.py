"""What the verbs return: the tables of one replication, and of a study."""

from __future__ import annotations

import csv
import json
import math
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator import units
from simulator.accounting.columns import METRICS, TABLES
from simulator.accounting.outcome import Outcome
from simulator.errors import InputError
from simulator.experiments import manifest, store, tables
from simulator.experiments.own_policies import OwnVariant, comment, demand_policies
from simulator.experiments.records import Task, own_columns
from simulator.experiments.replicate import simulate
from simulator.scenario import workloads

if TYPE_CHECKING:
    import pandas as pd

    from simulator.scenario.resolved import Scenario


_TEXT = frozenset({"variant", "baseline", "metric", "unit"})
"""Columns of the CSV tables that hold text."""


class RunResult:
    """One replication of one variant.

    Parameters
    ----------
    task : Task
        Which one.
    seed : int
        Seed of its world.
    outcome : Outcome
        What the engine returned.
    policies : mapping of str to policy
        Objects that replaced the variant's policies, by family.
    log_start : datetime, optional
        Instant of time 0, where the jobs are of a log that tells it.

    Attributes
    ----------
    summary : dict of str to float
        Every metric in SI units, NaN where it has no value.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        outcome: Outcome,
        policies: Mapping[str, Any] | None = None,
        log_start: datetime | None = None,
    ) -> None:
        self.task = task
        self._log_start = log_start
        self._own = {task.variant: OwnVariant(task.variant, task.variant, policies)} if policies else {}
        self.seed = seed
        self.summary: dict[str, float] = {metric.name: outcome.summary[metric.name] for metric in METRICS}
        self._tables = outcome.tables

    def __repr__(self) -> str:
        """Return which replication it is."""
        return f"RunResult({self.task.variant!r}, replication {self.task.replication}, seed {self.seed})"

    def _repr_html_(self) -> str:
        """Return the metrics that have a value as a table, in units that people read."""
        import pandas as pd

        shown = {metric.name: units.show(self.summary[metric.name], metric.unit) for metric in METRICS}
        rows = [(name, text) for name, text in shown.items() if not math.isnan(self.summary[name])]
        return pd.DataFrame(rows, columns=["metric", repr(self)]).to_html(index=False)

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the tables of ``accounting.columns.TABLES``."""
        import pandas as pd

        columns = self._tables[name]
        frame = pd.DataFrame({column.name: columns[column.name] for column in own_columns(name)})
        for column in own_columns(name):
            if column.kind == "text":
                frame[column.name] = frame[column.name].astype("str")
        frame.insert(0, "replication", self.task.replication)
        frame.insert(0, "variant", pd.Series([self.task.variant] * len(frame), dtype="str"))
        return frame

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """Every job: when it waited, ran and ended, and what it lost."""
        return self.table("jobs")

    @cached_property
    def incidents(self) -> pd.DataFrame:
        """Every incident with the time of each stage."""
        return self.table("incidents")

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """GPU-seconds by bucket; they sum to all GPU-seconds of the machine."""
        return self.table("ledger")

    @cached_property
    def series(self) -> pd.DataFrame:
        """GPUs by state over time."""
        return self.table("series")

    @cached_property
    def phases(self) -> pd.DataFrame:
        """Time that jobs spent in each phase of restarts."""
        return self.table("phases")

    @cached_property
    def occupancy(self) -> pd.DataFrame:
        """Time at each number of nodes out of service and of replacements at work."""
        return self.table("occupancy")

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Parts of the training steps of each job."""
        return self.table("steps")

    @cached_property
    def links(self) -> pd.DataFrame:
        """Load of the links of the fabric by tier and pod."""
        return self.table("links")

    @property
    def queue(self) -> pd.DataFrame:
        """Length of the queue and free GPUs over time."""
        return self.table("queue")

    @property
    def classes(self) -> pd.DataFrame:
        """Waits and slowdowns by size of job."""
        return self.table("classes")

    @property
    def accounts(self) -> pd.DataFrame:
        """Work, waits and slowdowns by account."""
        return self.table("accounts")

    @property
    def spans(self) -> pd.DataFrame:
        """Who had which node when; only of small machines."""
        return self.table("spans")

    @cached_property
    def sacct(self) -> pd.DataFrame:
        """Jobs in the columns of Slurm's sacct, as text."""
        from simulator.experiments.sacct import sacct_table, simulated_s

        return sacct_table(self.jobs, simulated_s(self.ledger, self.series), self._log_start)

    def save(self, output: str | Path, scenario: Scenario) -> Path:
        """Write manifest, scenario, metrics and tables into a folder, visible only as a whole.

        Raises
        ------
        InputError
            When the folder holds other files.
        """
        folder = Path(output).absolute()
        store.demand_replaceable(folder)
        facts = {
            "scenario_sha256": manifest.study_sha256(scenario),
            "seed": self.seed,
            "variant": self.task.variant,
            "replication": self.task.replication,
            "own_policies": [row for variant in self._own.values() for row in variant.described()],
        }
        content = {name: value if value == value else None for name, value in self.summary.items()}
        with store.complete_folder(folder) as temporary:
            for name in TABLES:
                tables.write_table(temporary / f"{name}.parquet", name, self.task, self._tables[name])
            (temporary / "summary.json").write_bytes(manifest.json_bytes(content))
            (temporary / "scenario.yaml").write_bytes(comment(self._own) + manifest.scenario_bytes(scenario))
            own = manifest.manifest(scenario, facts, manifest.now_utc())
            (temporary / "manifest.json").write_bytes(manifest.json_bytes(own))
        return folder


def run(
    scenario: Scenario,
    seed: int | None = None,
    variant: str | None = None,
    policies: Mapping[str, Any] | None = None,
) -> RunResult:
    """Simulate one world: replication 0 of a seed.

    Parameters
    ----------
    scenario : Scenario
    seed : int, optional
        The scenario's own by default.
    variant : str, optional
        The first by default.
    policies : mapping of str to policy, optional
        Your own policy objects instead of the variant's: ``scheduling``, ``placement``, ``recovery`` (of every job),
        ``checkpointing`` (of every tier of every job).

    Raises
    ------
    InputError
        For an unknown variant, a negative seed, an unknown family of policies or what is no policy.
    """
    chosen = scenario.variants[0] if variant is None else variant
    number = scenario.seed if seed is None else seed
    if number < 0:
        raise InputError("negative seed", key="seed", found=str(number), allowed="0 or more")
    log_start = workloads.log_start(scenario.variant(chosen))
    if policies is not None:
        demand_policies(policies)
    return RunResult(Task(chosen, 0), number, simulate(scenario, chosen, number, 0, policies), policies, log_start)


class Study:
    """All variants of a scenario in the same random worlds: a results folder, read when asked.

    Parameters
    ----------
    folder : path
        Results folder.
    owned : path, optional
        Temporary folder that goes when the study goes.
    """

    def __init__(self, folder: str | Path, owned: Path | None = None) -> None:
        self.folder = Path(folder)
        if not store.is_results_folder(self.folder) or not (self.folder / "runs.parquet").exists():
            raise InputError("not a results folder of a comparison", found=str(folder))
        if owned is not None:
            weakref.finalize(self, shutil.rmtree, owned, ignore_errors=True)

    def __repr__(self) -> str:
        """Return name, variants and number of replications."""
        own = self.manifest
        return f"Study({own['scenario_name']!r}, {len(own['variants'])} variants x {own['replications']} replications)"

    def __reduce__(self) -> tuple[Any, ...]:
        """Carry the tables along, so that a study can be read where its folder is not."""
        files = {path.name: path.read_bytes() for path in sorted(self.folder.iterdir()) if path.is_file()}
        return _study_of, (type(self), files)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """How the study was made."""
        content: dict[str, Any] = json.loads((self.folder / "manifest.json").read_bytes())
        return content

    @property
    def variants(self) -> list[str]:
        """Names of the variants, the baseline first."""
        return list(self.manifest["variants"])

    @property
    def replications(self) -> int:
        """Number of random worlds."""
        return int(self.manifest["replications"])

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean, interval and quantiles of each metric by variant."""
        return self._csv("summary.csv")

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Paired difference of each variant from the baseline, by metric."""
        return self._csv("differences.csv")

    @cached_property
    def runs(self) -> pd.DataFrame:
        """All metrics, one row for each variant and replication."""
        return self._parquet("runs")

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """Every job of the replications that were kept."""
        return self._parquet("jobs")

    @cached_property
    def incidents(self) -> pd.DataFrame:
        """Every incident of the replications that were kept."""
        return self._parquet("incidents")

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """GPU-seconds by bucket, variant and replication."""
        return self._parquet("ledger")

    @cached_property
    def series(self) -> pd.DataFrame:
        """GPUs by state over time, of the replications that were kept."""
        return self._parquet("series")

    @cached_property
    def phases(self) -> pd.DataFrame:
        """Time in each phase of restarts, by variant and replication."""
        return self._parquet("phases")

    @cached_property
    def occupancy(self) -> pd.DataFrame:
        """Time at each number of nodes out and of replacements, by variant and replication."""
        return self._parquet("occupancy")

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Parts of the training steps of each job."""
        return self._parquet("steps")

    @cached_property
    def links(self) -> pd.DataFrame:
        """Load of the links of the fabric by tier and pod."""
        return self._parquet("links")

    @property
    def queue(self) -> pd.DataFrame:
        """Length of the queue and free GPUs over time."""
        return self._parquet("queue")

    @property
    def classes(self) -> pd.DataFrame:
        """Waits and slowdowns by size of job."""
        return self._parquet("classes")

    @property
    def accounts(self) -> pd.DataFrame:
        """Work, waits and slowdowns by account."""
        return self._parquet("accounts")

    @property
    def spans(self) -> pd.DataFrame:
        """Who had which node when; only of small machines."""
        return self._parquet("spans")

    def sacct(self, variant: str | None = None) -> pd.DataFrame:
        """Return the jobs of a variant, by default the first, in the columns of Slurm's sacct, as text; replication 0.

        Raises
        ------
        InputError
            There is no such variant.
        """
        from simulator.experiments.sacct import read_sacct

        return read_sacct(self.folder, variant)

    def _csv(self, name: str) -> pd.DataFrame:
        """Read a CSV exactly: text stays text ("nan" may be a variant), an empty number is missing."""
        import pandas as pd

        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        columns: dict[str, Any] = {}
        for index, column in enumerate(header):
            cells = [row[index] for row in rows]
            if column in _TEXT:
                columns[column] = pd.Series(cells, dtype="str")
            elif column == "replications":
                columns[column] = pd.Series([int(cell) for cell in cells], dtype="int64")
            else:
                columns[column] = pd.Series([float(cell or "nan") for cell in cells], dtype="float64")
        return pd.DataFrame(columns)

    def _parquet(self, name: str) -> pd.DataFrame:
        import pandas as pd

        return pd.read_parquet(self.folder / f"{name}.parquet")


def _study_of(kind: type[Study], files: Mapping[str, bytes]) -> Study:
    """Return a study with a folder of its own, which holds these files and goes when the study goes."""
    folder = Path(tempfile.mkdtemp(prefix="simulator-"))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return kind(folder, owned=folder)
