"""A results folder, read and checked; the only place of the report that touches result files."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.accounting.columns import LOWER_BOUNDS, TABLES
from simulator.errors import InputError

FORMAT = 1
"""Format number of the results folder that this report reads."""

_SUMMARY = ("variant", "metric", "unit", "mean", "ci_low", "ci_high", "p05", "p50", "p95", "replications")
_DIFFERENCES = ("variant", "baseline", "metric", "mean_difference", "ci_low", "ci_high", "probability_better")
_MOST_DECIDING = 7
_VISIBLE = 0.01
_ADVICE = "a folder that `simulator compare SCENARIO --output DIR` has written"


@dataclass(frozen=True)
class Results:
    """What a study left behind.

    Parameters
    ----------
    folder : Path
        Results folder.
    manifest : dict
        How the study was run: command, seed, versions, host.
    facts : dict
        ``report.json``: question, answer metric and goal, assumptions, published figures, metrics shown.
    summary, differences, runs : DataFrame
        Tables of the study as the folder's files hold them (SI units).
    """

    folder: Path
    manifest: dict[str, Any]
    facts: dict[str, Any]
    summary: pd.DataFrame
    differences: pd.DataFrame
    runs: pd.DataFrame

    @property
    def variants(self) -> list[str]:
        """Variants in the order of the scenario."""
        return [str(name) for name in self.manifest["variants"]]

    @property
    def baseline(self) -> str:
        """Variant with which the others are compared."""
        return str(self.manifest["baseline"])

    @property
    def replications(self) -> int:
        """Replications of each variant."""
        return int(self.manifest["replications"])

    @property
    def leaves_jobs_out(self) -> bool:
        """Whether jobs had not started at the end in any variant, so that waits and slowdowns are lower bounds."""
        return "jobs_waiting" in self.runs and bool((self.runs["jobs_waiting"] > 0).any())

    def decisive(self, name: str) -> str:
        """Return the metric that answers, rankings and figures use for one: its lower bound where jobs are left out."""
        bound = LOWER_BOUNDS.get(name, name)
        return bound if self.leaves_jobs_out and bound in self.runs else name

    @property
    def answer_metric(self) -> str | None:
        """Metric that answers the question."""
        answer = self.facts.get("answer_metric")
        return None if answer is None else self.decisive(str(answer))

    @property
    def metrics_shown(self) -> list[str]:
        """Metrics of the report, the answer's first, without those that have no value in any variant.

        Beside waits and slowdowns stand how many jobs they leave out and, if they do, their lower bounds.
        """
        answer = self.facts.get("answer_metric")
        named = [] if answer is None else [self.decisive(str(answer)), str(answer)]
        named += [str(name) for name in self.facts.get("metrics_shown") or []]
        ordered = [each for name in named for each in (self.decisive(name), name)]
        if any(name in LOWER_BOUNDS for name in named):
            last = max(place for place, name in enumerate(ordered) if name in LOWER_BOUNDS)
            ordered.insert(last + 1, "jobs_waiting")
        known = set(self.summary.loc[self.summary["mean"].notna(), "metric"])
        return [name for name in dict.fromkeys(ordered) if name in known]

    @property
    def metrics_drawn(self) -> list[str]:
        """Metrics of figures: those shown, but for waits and slowdowns for which lower bounds stand."""
        return [name for name in self.metrics_shown if self.decisive(name) == name]

    @property
    def metrics_deciding(self) -> list[str]:
        """The few metrics of figures and of tables of many variants: the answer's, and those that tell most apart.

        Metrics are ranked by the largest difference from the baseline against half its interval, without intervals
        against the baseline's mean. Metrics in which no variant differs, or by less than the eye sees beside how they
        differ from replication to replication, are none of them.
        """
        if len(self.variants) == 1:
            return self.metrics_drawn[:_MOST_DECIDING]
        known = self.differences.set_index("metric")
        apart: dict[str, float] = {}
        for name in self.metrics_drawn:
            entries = known.loc[[name]] if name in known.index else known.iloc[:0]
            size = entries["mean_difference"].abs()
            size = size.where(size > _VISIBLE * float(np.ptp(self.runs[name].dropna())), 0.0)
            half = (entries["ci_high"] - entries["ci_low"]) / 2
            scale = half.fillna(abs(float(self.statistic(name)["mean"].iloc[0])))
            ratio = (size[size > 0] / scale[size > 0]).fillna(math.inf)
            if len(ratio):
                apart[name] = float(ratio.max())
        ranked = sorted(apart, key=lambda name: (name != self.answer_metric, -apart[name]))
        return [name for name in self.metrics_drawn if name in ranked[:_MOST_DECIDING]]

    def decisive_columns(self, table: str, names: Sequence[str]) -> list[str]:
        """Return the columns of a table that figures use for some: lower bounds where jobs are left out."""
        path = self.folder / f"{table}.parquet"
        known = pq.read_schema(path).names if self.leaves_jobs_out and path.is_file() else []
        return [LOWER_BOUNDS[name] if LOWER_BOUNDS.get(name) in known else name for name in names]

    def table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Return columns of one of the event tables; a table that is not there is empty.

        Parameters
        ----------
        name : str
            Key of ``accounting.columns.TABLES``.
        columns : sequence of str
            Columns to read besides ``variant`` and ``replication``.

        Raises
        ------
        InputError
            The file is damaged or lacks a column.
        """
        wanted = ["variant", "replication", *columns]
        path = self.folder / f"{name}.parquet"
        if not path.is_file():
            kinds = {column.name: column.kind for column in TABLES[name]}
            types = {"text": "str", "int": "int64", "float": "float64"}
            return pd.DataFrame({column: pd.Series(dtype=types[kinds[column]]) for column in wanted})
        frame = _read_parquet(path, wanted)
        return frame.assign(variant=frame["variant"].astype(str))

    def statistic(self, metric: str) -> pd.DataFrame:
        """Return the summary rows of one metric, indexed by variant in scenario order (NaN where there are none)."""
        rows = self.summary[self.summary["metric"] == metric].set_index("variant")
        return rows.reindex(self.variants)


def read_results(folder: Path) -> Results:
    """Read a results folder.

    Raises
    ------
    InputError
        The folder does not exist, is not a results folder, or one of its files is damaged.
    """
    if not folder.is_dir():
        raise InputError("no such folder", file=str(folder), allowed=_ADVICE)
    manifest = _read_json(folder / "manifest.json", ("variants", "baseline", "replications"))
    if manifest.get("format") != FORMAT:
        found = str(manifest.get("format"))
        raise InputError(
            "results folder of another format", file=str(folder), key="format", found=found, allowed=str(FORMAT)
        )
    runs = _read_parquet(_existing(folder / "runs.parquet"), None)
    _require(runs, ("variant", "replication"), folder / "runs.parquet")
    return Results(
        folder=folder,
        manifest=manifest,
        facts=_read_json(folder / "report.json", ("name",)),
        summary=_read_csv(folder / "summary.csv", _SUMMARY),
        differences=_read_csv(folder / "differences.csv", _DIFFERENCES),
        runs=runs.assign(variant=runs["variant"].astype(str)),
    )


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"not a results folder: {path.name} is missing", file=str(path.parent), allowed=_ADVICE)
    return path


def _read_json(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    try:
        content = json.loads(_existing(path).read_text(encoding="utf-8"))
    except (ValueError, OSError) as problem:
        raise InputError("damaged file, JSON cannot be read", file=str(path), allowed=_ADVICE) from problem
    if not isinstance(content, dict):
        raise InputError("damaged file, a JSON mapping is expected", file=str(path), allowed=_ADVICE)
    for key in keys:
        if key not in content:
            raise InputError("missing key", file=str(path), key=key, allowed=_ADVICE)
    return content


def _read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    # A variant may be called "1", "nan" or "None", so names stay text and only an empty cell is missing.
    texts: dict[str, type] = dict.fromkeys(("variant", "baseline", "metric", "unit"), str)
    try:
        frame = pd.read_csv(_existing(path), dtype=texts, keep_default_na=False, na_values=[])
        _require(frame, columns, path)
        for column in columns:
            if column not in texts:
                frame[column] = pd.to_numeric(frame[column].replace("", np.nan)).astype(float)
    except (ValueError, OSError) as problem:
        raise InputError("damaged table", file=str(path), allowed=_ADVICE) from problem
    return frame


def _read_parquet(path: Path, columns: Sequence[str] | None) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pq.read_table(path, columns=None if columns is None else list(columns)).to_pandas()
    except (pa.ArrowException, OSError) as problem:
        raise InputError("damaged table", file=str(path), allowed=_ADVICE) from problem
    _require(frame, columns or (), path)
    return frame


def _require(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    for column in columns:
        if column not in frame.columns:
            raise InputError("missing column", file=str(path), key=column, allowed=_ADVICE)
