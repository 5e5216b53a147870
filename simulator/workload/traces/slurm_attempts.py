"""From rows of Slurm's accounting to jobs: requeued jobs and heterogeneous jobs have several rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.workload.traces.jobs import JobRows, first_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_WORST_FIRST: tuple[Any, ...] = ("failed", "cancelled", None, "completed")
_SUMS, _GREATEST = ("gpus", "nodes", "cpus"), ("end_s", "run_s", "requested_s")
_CLOCK_S = 1.0
# Slurm forgets an ended job after MinJobAge (slurm.conf(5): 300 s) and cannot requeue it then; assumption: no site
# keeps jobs longer than a day.
_REMEMBERED_S = 86400.0


def one_row_a_job(rows: JobRows) -> tuple[pa.Table, tuple[str, ...]]:
    """Return the gathered rows with one row a job, and what was joined, in words.

    Rows of one JobID and one submission are the same attempt listed twice (dumps that overlap): the last one counts.
    Rows of one JobID and several submissions are attempts of a requeued job, because Slurm resets Submit when it
    requeues: the job keeps its first submission and everything else of its last attempt. Components of a heterogeneous
    job (``123+0``, ``123+1``) start together: GPUs, nodes and cores are added up, times are those of the longest, the
    state is the worst, the rest is that of the first component.

    Parameters
    ----------
    rows : JobRows
        Jobs with the columns ``line`` and ``word`` (Slurm's word for the state). Rows that are joined to others are
        left out there.
    """
    import pyarrow as pa

    table = rows.gathered()
    notes = []
    if len(table):
        is_component = np.array(_contains(table["job"], "+"))
        firsts = first_rows(_whole_names(table["job"]) if is_component.any() else table["job"])
        is_repeated = np.bincount(firsts, minlength=len(table))[firsts] > 1
        special = is_repeated | is_component
        if special.any():
            frame = table.filter(pa.array(special)).to_pandas()
            frame, reused = _told_apart(rows, frame)
            frame, told = _last_attempts(rows, frame)
            frame, more = _joined_components(rows, frame)
            notes += [*reused, *told, *more]
            frame["job"] += np.where(frame["turn"] > 1, "#" + frame["turn"].astype(str), "")
            joined = pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False)
            table = pa.concat_tables([table.filter(pa.array(~special)), joined])
            table = table.take(np.argsort(np.asarray(table["line"]), kind="stable"))
        notes += _about_times(table)
    return table.combine_chunks(), tuple(notes)


def _contains(column: pa.ChunkedArray, part: str) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.greater_equal(pc.find_substring(column, part), 0)


def _whole_names(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return JobIDs without the number of a component."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(column, r"[+][0-9]+", "")


def _leave_out(rows: JobRows, frame: pd.DataFrame, reason: str) -> None:
    rows.account.leave_out(frame["line"].tolist(), "JobID", reason, frame["job"].tolist())


def _told_apart(rows: JobRows, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return each attempt once, with the column ``turn``: how often its JobID had been given to a job by then."""
    frame = frame.sort_values(["job", "submit_s", "line"], kind="stable")
    again = frame.duplicated(["job", "submit_s"], keep="last")
    _leave_out(rows, frame[again], "attempt listed once more")
    name = frame["job"].str.partition("+")[0]
    frame = frame[~again].assign(name=name).sort_values(["name", "submit_s", "line"], kind="stable")
    before = frame.groupby("name", sort=False)[["user", "word", "submit_s"]].shift()
    ended_s = _ended_s(frame).groupby(frame["name"], sort=False).shift()
    gap_s = frame["submit_s"] - ended_s
    is_later = frame["submit_s"] > before["submit_s"]
    is_over = (gap_s >= 0) & ((before["word"] == "COMPLETED") | (gap_s > _REMEMBERED_S))
    is_anothers = frame["user"].fillna("") != before["user"].fillna("")
    turn = (is_later & (is_over | is_anothers)).groupby(frame["name"], sort=False).cumsum() + 1
    frame = frame.assign(turn=turn)
    given = int((frame.drop_duplicates(["name", "turn"])["turn"] > 1).sum())
    return frame, [f"{given:,} × job whose JobID an earlier job had had; named with #2, #3, …"] if given else []


def _ended_s(frame: pd.DataFrame) -> pd.Series:
    """Return when attempts ended; infinity for those that had not."""
    computed_s = frame["start_s"].fillna(frame["submit_s"]) + frame["run_s"].fillna(0.0)
    return frame["end_s"].fillna(computed_s.where(frame["state"].notna(), np.inf))


def _last_attempts(rows: JobRows, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return each job's last attempt with its first submission."""
    job = ["job", "turn"]
    frame = frame.sort_values([*job, "submit_s", "line"], kind="stable")
    earlier = frame.duplicated(job, keep="last")
    _leave_out(rows, frame[earlier], "earlier attempt of a requeued job")
    last = frame.assign(submit_s=frame.groupby(job)["submit_s"].transform("min"))[~earlier]
    if not earlier.any():
        return last, []
    ends = ", ".join(f"{word} {count:,}" for word, count in frame[earlier]["word"].value_counts().items())
    jobs = len(frame[earlier].drop_duplicates(job))
    return last, [f"{jobs:,} × requeued job; earlier attempts: {ends}"]


def _joined_components(rows: JobRows, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a frame in which the components of a heterogeneous job are one row."""
    import pandas as pd

    is_component = frame["job"].str.contains("+", regex=False)
    if not is_component.any():
        return frame, []
    parts = frame[is_component].copy()
    parts[["job", "place"]] = parts["job"].str.split("+", n=1, expand=True)
    job = ["job", "turn"]
    parts = parts.assign(place=parts["place"].astype(np.int64)).sort_values([*job, "place"], kind="stable")
    rank = parts["state"].map(lambda state: _WORST_FIRST.index(state if isinstance(state, str) else None))
    groups = parts.groupby(job, sort=False)
    whole = groups.first().assign(
        **{name: groups[name].sum(min_count=1) for name in _SUMS},
        **{name: groups[name].max() for name in _GREATEST},
        submit_s=groups["submit_s"].min(),
        start_s=groups["start_s"].min(),
        state=[_WORST_FIRST[worst] for worst in rank.groupby([parts[name] for name in job], sort=False).min()],
    )
    others = parts[parts.duplicated(job, keep="first")]
    names = others["job"] + "+" + others["place"].astype(str)
    _leave_out(rows, others.assign(job=names), "component of a heterogeneous job, added to its first")
    note = f"{len(whole):,} × heterogeneous job; components: {len(parts):,}"
    return pd.concat([frame[~is_component], whole.reset_index()[frame.columns]]), [note]


def _about_times(table: pa.Table) -> list[str]:
    """Return how many jobs had not ended, were suspended, or ran longer than their times say."""
    start_s, end_s, run_s = (np.asarray(table[name]) for name in ("start_s", "end_s", "run_s"))
    missing_s = end_s - start_s - run_s
    suspended, longer = missing_s > _CLOCK_S, missing_s < -_CLOCK_S
    hours = missing_s[suspended].sum() / 3600
    counted = (
        (table["state"].null_count, "job that had not ended; run time so far"),
        (int(suspended.sum()), f"Elapsed shorter than End - Start (suspended); together {hours:,.1f} h"),
        (int(longer.sum()), "Elapsed longer than End - Start (a clock set back?)"),
    )
    return [f"{count:,} × {what}" for count, what in counted if count]
