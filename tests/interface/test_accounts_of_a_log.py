"""Shares, quotas and reservations name accounts of the log that a scenario replays."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator import scenario
from simulator.errors import InputError

TEXT = """\
name: own
cluster: {nodes: 4, node: {gpus: 8}}
workload:
  jobs: [{name: mine, nodes: 1, work: 1 h, account: ops}]
  trace: {format: table, path: jobs.csv}
scheduling: SCHEDULING
"""
ROWS = [("a", "ann", "lab/vision"), ("b", "bob", ""), ("c", "cid", "speech")]


def load(folder: Path, scheduling: str, rows: list[tuple[str, str, str]] | str = ROWS, more: str = "") -> None:
    if not isinstance(rows, str):
        lines = [f"{job},{user},{account},{k},60,1" for k, (job, user, account) in enumerate(rows)]
        rows = "\n".join(["job,user,account,submit_s,run_s,gpus", *lines])
    (folder / "jobs.csv").write_text(rows)
    (folder / "s.yaml").write_text(TEXT.replace("SCHEDULING", scheduling) + more)
    scenario.load("s.yaml")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_accounts_groups_and_users_without_an_account_are_known(tmp_path: Path) -> None:
    names = "{lab: 3, lab/vision: 2, bob: 1, speech: 1, ops: 1}"
    load(tmp_path, f"{{policy: multifactor, shares: {names}}}")
    load(tmp_path, f"{{policy: quota, quotas: {names}}}")


@pytest.mark.parametrize(
    ("scheduling", "key", "name", "near"),
    [
        ("{policy: multifactor, shares: {speech: 2, lab/visoin: 1}}", "shares", "lab/visoin", "lab/vision"),
        ("{policy: quota, quotas: {speach: 8}}", "quotas", "speach", "speech"),
        ("{policy: quota, quotas: {ann: 8}}", "quotas", "ann", None),
    ],
)
def test_a_misspelt_account_is_refused(tmp_path: Path, scheduling: str, key: str, name: str, near: str | None) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, scheduling)
    allowed = "allowed: bob, lab, lab/vision, ops, speech"
    asked = f"; did you mean {near!r}?" if near else ""
    line = f"s.yaml:6: scheduling.{key}.{name}: no job is on this account; found {name!r}; {allowed}{asked}"
    assert str(caught.value) == line


def test_a_reservation_for_an_account_of_the_log(tmp_path: Path) -> None:
    more = "reservations: [{name: r, start: 0 s, duration: 1 h, nodes: 1, account: NAME}]\n"
    load(tmp_path, "{policy: easy}", more=more.replace("NAME", "speech"))
    with pytest.raises(InputError, match=r"reservations\.0\.account: no job is on this account; found 'spech'"):
        load(tmp_path, "{policy: easy}", more=more.replace("NAME", "spech"))


def test_of_many_accounts_ten_are_listed_and_the_nearest_is_still_found(tmp_path: Path) -> None:
    rows = [(f"j{k}", "u", f"team-{k:03}") for k in range(300)]
    with pytest.raises(InputError) as caught:
        load(tmp_path, "{policy: quota, quotas: {taem-222: 8}}", rows)
    assert caught.value.allowed == "ops, " + ", ".join(f"team-{k:03}" for k in range(9)) + ", ..."
    assert caught.value.nearest == "team-222"


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("job,submit_s,gpus\n", "jobs.csv"),
        ("job,submit_s,run_s,gpus\na,0,60,0\n", "jobs.csv: no job is left after cleaning"),
    ],
)
def test_a_log_that_holds_no_jobs_is_named_and_read_only_for_these_keys(tmp_path: Path, log: str, message: str) -> None:
    load(tmp_path, "{policy: easy}", log)
    with pytest.raises(InputError) as caught:
        load(tmp_path, "{policy: quota, quotas: {speech: 8}}", log)
    assert str(caught.value).startswith(message)
