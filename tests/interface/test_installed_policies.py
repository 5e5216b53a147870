"""Policies of installed packages: found by their entry points, named in scenario files like the built-in ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MODULE = '''
from dataclasses import dataclass

from simulator.policies.decisions import Start
from simulator.policies.fields import parameter


@dataclass(frozen=True)
class SmallestFirst:
    """The smallest waiting jobs first."""

    most: int = parameter(1000, "starts in a pass", at_least=1)

    def schedule(self, view):
        free, starts = view.free_gpus, []
        for place in view.queue.gpus.argsort(kind="stable")[: self.most]:
            if view.queue.gpus[place] <= free:
                free -= int(view.queue.gpus[place])
                starts.append(Start(int(view.queue.job[place])))
        return starts


class NotAPolicy:
    pass
'''

SCENARIO = """
name: own
replications: 1
cluster: {nodes: 4, node: {gpus: 1}, node_sharing: false}
workload:
  jobs:
    - {name: running, nodes: 3, work: 1 h}
    - {name: large, nodes: 3, work: 1 h, submit: 1 s}
    - {name: small, nodes: 1, work: 1 h, submit: 2 s}
scheduling: {policy: smallest_first, most: 5}
"""


def command(
    folder: Path, *arguments: str, entry: str = "scheduling.smallest_first = own_policies:SmallestFirst"
) -> str:
    (folder / "own_policies.py").write_text(MODULE, encoding="utf-8")
    (folder / "own.yaml").write_text(SCENARIO, encoding="utf-8")
    facts = folder / "own_policies-1.0.dist-info"
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: own-policies\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text(f"[simulator.policies]\n{entry}\n", encoding="utf-8")
    path = os.pathsep.join((str(folder), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def test_a_scenario_names_a_policy_of_an_installed_package(tmp_path: Path) -> None:
    found = command(tmp_path, "run", "own.yaml", "--output", "out")
    assert found.startswith("0\n"), found
    import pandas as pd

    jobs = pd.read_parquet(tmp_path / "out" / "jobs.parquet").set_index("job")
    assert jobs.loc["small", "wait_s"] == 0.0
    assert jobs.loc["large", "wait_s"] == 3599.0


def test_keys_of_an_installed_policy_are_checked(tmp_path: Path) -> None:
    found = command(tmp_path, "check", "own.yaml", "--set", "scheduling.most=0")
    assert found == "2\nerror: --set: scheduling.most: too small; found 0; allowed: at least 1\n"


def test_what_is_no_policy_is_refused_with_the_name_of_its_package(tmp_path: Path) -> None:
    found = command(tmp_path, "check", "own.yaml", entry="scheduling.none = own_policies:NotAPolicy")
    expected = (
        "the policy 'scheduling.none' of package own-policies cannot be used: what it names; "
        "found 'own_policies:NotAPolicy'; allowed: a dataclass with the method schedule"
    )
    assert found.startswith("2\n")
    assert expected.replace("'", "") in " ".join(found.split()).replace("'", "")
    taken = command(tmp_path, "check", "own.yaml", entry="scheduling.fifo = own_policies:SmallestFirst")
    assert "a name that no other policy has" in " ".join(taken.split())
