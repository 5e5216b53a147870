import json
import math
import os

import numpy as np
import pandas as pd
import pytest

from simulator.accounting.columns import METRICS, TABLES
from simulator.accounting.outcome import Outcome
from simulator.errors import InputError, InvariantError
from simulator.experiments import store, tables
from simulator.experiments.records import Task, decode, encode, own_columns
from simulator.experiments.statistics import SummaryRow

KEY = store.StudyKey("0.1.0", "abc", 1, "first")


def outcome(seed: int, rows: int = 3) -> Outcome:
    rng = np.random.default_rng(seed)
    summary = {metric.name: float(rng.normal()) for metric in METRICS} | {"mtti_s": math.nan}
    fill = {
        "text": lambda: np.array([f'näme {rng.integers(9)}\n,"x"' for _ in range(rows)], dtype=object),
        "int": lambda: rng.integers(-1, 2**40, rows),
        "float": lambda: np.where(rng.random(rows) < 0.3, math.nan, rng.normal(size=rows)),
    }
    return Outcome(summary, {name: {c.name: fill[c.kind]() for c in own_columns(name)} for name in TABLES})


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_record_gives_back_every_bit(rows):
    task, given = Task("wärm 8", 0), outcome(1, rows)
    record = decode(encode(task, given, "first"))
    assert record.task == task
    np.testing.assert_array_equal(record.values, [given.summary[metric.name] for metric in METRICS])
    assert list(record.tables) == list(TABLES)
    for name, columns in record.tables.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(np.asarray(values), given.tables[name][column])


def test_later_replications_keep_what_the_dictionary_says():
    kept = set(decode(encode(Task("a", 1), outcome(1), "first")).tables)
    assert kept == {"ledger", "phases", "occupancy", "steps", "classes", "accounts"}
    assert set(decode(encode(Task("a", 1), outcome(1), "all")).tables) == set(TABLES)


def test_incomplete_outcomes_are_refused():
    lacking = outcome(1)
    del lacking.summary["ettr"]
    with pytest.raises(InvariantError, match=r"variant 'a', replication 2: the outcome lacks the metrics \['ettr'\]"):
        encode(Task("a", 2), lacking, "first")
    odd = outcome(1)
    odd.tables["ledger"]["gpu_s"] = np.zeros(9)
    with pytest.raises(InvariantError, match="columns of table 'ledger' differ in length"):
        encode(Task("a", 0), odd, "first")
    odd = outcome(1)
    del odd.tables["jobs"]["user"]
    with pytest.raises(InvariantError, match="table 'jobs' has the columns"):
        encode(Task("a", 0), odd, "first")


def filled(folder, count: int) -> dict[Task, bytes]:
    records = {Task("a", r): encode(Task("a", r), outcome(r), "first") for r in range(count)}
    with store.Journal(folder, KEY, resume=False) as journal:
        for task, record in records.items():
            journal.append(task, record)
    return records


def test_journal_gives_back_what_it_was_given(tmp_path):
    records = filled(tmp_path / "x.partial", 5)
    with store.Journal(tmp_path / "x.partial", KEY, resume=True) as journal:
        assert len(journal) == 5
        for task, record in records.items():
            assert task in journal
            np.testing.assert_array_equal(journal.read(task).values, decode(record).values)
        assert Task("b", 0) not in journal


def test_journal_forgets_a_torn_record_and_goes_on_behind_the_last_whole_one(tmp_path):
    folder = tmp_path / "x.partial"
    records = filled(folder, 4)
    path = folder / "finished.journal"
    whole = path.read_bytes()
    for cut in (1, 17, 500):
        path.write_bytes(whole[:-cut])
        with store.Journal(folder, KEY, resume=True) as journal:
            assert len(journal) == 3
            assert Task("a", 3) not in journal
            journal.append(Task("a", 3), records[Task("a", 3)])
        assert path.read_bytes() == whole


def test_journal_stops_at_a_damaged_record(tmp_path):
    folder = tmp_path / "x.partial"
    filled(folder, 4)
    path = folder / "finished.journal"
    content = bytearray(path.read_bytes())
    content[len(content) * 4 // 5] ^= 1
    path.write_bytes(bytes(content))
    with store.Journal(folder, KEY, resume=True) as journal:
        assert 1 <= len(journal) <= 3


def test_journal_starts_empty_without_resume(tmp_path):
    filled(tmp_path / "x.partial", 2)
    with store.Journal(tmp_path / "x.partial", KEY, resume=False) as journal:
        assert len(journal) == 0


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (store.StudyKey("0.2.0", "abc", 1, "first"), "another version of the simulator"),
        (store.StudyKey("0.1.0", "xyz", 1, "first"), "another scenario"),
        (store.StudyKey("0.1.0", "abc", 2, "all"), "another seed and another choice of --keep"),
        (store.StudyKey("0.1.0", "abc", 1, "first", "mine"), "another set of own policies"),
    ],
)
def test_journal_refuses_to_resume_another_study(tmp_path, key, words):
    filled(tmp_path / "x.partial", 2)
    with pytest.raises(InputError, match=f"cannot resume: the unfinished study there has {words}"):
        store.Journal(tmp_path / "x.partial", key, resume=True)


def test_journal_refuses_a_second_writer(tmp_path):
    with (
        store.Journal(tmp_path / "x.partial", KEY, resume=False),
        pytest.raises(InputError, match="another study is writing here"),
    ):
        store.Journal(tmp_path / "x.partial", KEY, resume=True)


def test_journal_says_where_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the results here"):
        store.Journal(tmp_path / "file" / "x.partial", KEY, resume=False)


def test_folder_is_there_whole_or_not_at_all(tmp_path):
    with pytest.raises(FileNotFoundError), store.complete_folder(tmp_path / "out") as folder:
        (folder / "missing").rename(folder / "half")
    assert os.listdir(tmp_path) == []
    with store.complete_folder(tmp_path / "out") as folder:
        (folder / "manifest.json").write_text(json.dumps({"format": 1, "simulator": "0", "scenario_name": "x"}))
        (folder / "old").write_text("")
        assert not (tmp_path / "out").exists()
    with store.complete_folder(tmp_path / "out") as folder:
        (folder / "new").write_text("")
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["new"]


def test_other_peoples_folders_are_never_replaced(tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    store.demand_replaceable(thesis)
    (thesis / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="the output folder holds other files"):
        store.demand_replaceable(thesis)
    (thesis / "manifest.json").write_text('{"name": "web app"}')
    with pytest.raises(InputError, match="the output folder holds other files"):
        store.demand_replaceable(thesis)
    with pytest.raises(InputError, match="the output is not a folder"):
        store.demand_replaceable(thesis / "chapter.txt")


def test_parquet_has_rows_in_order_and_reads_back_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_PER_GROUP", 5)  # several row groups
    given = {Task(v, r): outcome(r) for v in "ba" for r in range(4)}
    records = {task: encode(task, result, "first") for task, result in given.items()}
    values = tables.write_tables(tmp_path, list(given), lambda task: decode(records[task]))
    assert values.shape == (8, len(METRICS))
    ledger = pd.read_parquet(tmp_path / "ledger.parquet")
    assert list(ledger.columns) == [column.name for column in TABLES["ledger"]]
    assert list(dict.fromkeys(zip(ledger["variant"], ledger["replication"], strict=True))) == [
        (task.variant, task.replication) for task in given
    ]
    expected = np.concatenate([result.tables["ledger"]["gpu_s"] for result in given.values()])
    np.testing.assert_array_equal(ledger["gpu_s"].to_numpy(), expected)
    assert set(pd.read_parquet(tmp_path / "jobs.parquet")["replication"]) == {0}


def test_csv_keeps_every_digit_and_leaves_missing_numbers_empty():
    row = SummaryRow("a,b", "ettr", "", 0.1 + 0.2, math.nan, math.nan, 1e-300, 2.0, 3.0, 1)
    header, line = tables.csv_bytes(SummaryRow, [row]).decode().splitlines()
    assert header == "variant,metric,unit,mean,ci_low,ci_high,p05,p50,p95,replications"
    assert line == '"a,b",ettr,,0.30000000000000004,,,1e-300,2.0,3.0,1'
