"""The rules of the house that neither the linter nor the import contracts can express."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.accounting import columns
from simulator.policies.registry import families

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "simulator"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE_LINES = 600

# Where alone a library may be imported, at module level or inside a function (folder or file of the package);
# pandas and pyarrow have a test of their own.
LIVES_IN = {
    "simpy": ("engine/",),
    "numba": ("compiled.py",),
    "networkx": ("network/",),
    "pydantic": ("scenario/",),
    "ruamel": ("scenario/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "matplotlib": ("report/",),
    "jinja2": ("report/",),
    "cloudpickle": ("experiments/own_policies.py",),
}
TABLE_LIBRARIES = ("pandas", "pyarrow")
TABLE_FLOORS = ("experiments/", "report/", "cli/")  # floor 7 and up
TABLE_BOUNDARY = ("scheduling/replay.py", "workload/traces/")  # below, inside functions only
NOT_AT_START = frozenset(LIVES_IN) | {"numpy", "scipy", *TABLE_LIBRARIES}


def place(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), filename=str(module))


def imported(node: ast.AST) -> Iterator[str]:
    """Top-level names of the packages that one statement imports."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name.partition(".")[0]
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
        yield node.module.partition(".")[0]


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def packages(node: ast.AST, *, at_start: bool) -> Iterator[str]:
    """Packages imported below a node but for type checkers; ``at_start``: those of functions left out too."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child) or (at_start and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)):
            continue
        yield from imported(child)
        yield from packages(child, at_start=at_start)


def dotted(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""


@pytest.mark.parametrize("library", LIVES_IN)
def test_each_heavy_library_lives_in_one_room(library: str) -> None:
    rooms = LIVES_IN[library]
    strangers = [
        place(module)
        for module in MODULES
        if not place(module).startswith(rooms) and any(library in imported(node) for node in ast.walk(tree(module)))
    ]
    assert strangers == [], f"{library} may only be imported in {', '.join(rooms)}"


def test_tables_of_dataframes_stay_above_floor_six_but_for_two_boundaries() -> None:
    strangers = []
    for module in MODULES:
        if place(module).startswith(TABLE_FLOORS):
            continue
        at_start = place(module).startswith(TABLE_BOUNDARY)
        found = set(packages(tree(module), at_start=at_start))
        strangers += [f"{place(module)}: {name}" for name in TABLE_LIBRARIES if name in found]
    assert strangers == []


def test_random_numbers_come_from_streams_only() -> None:
    strangers = []
    for module in MODULES:
        if place(module) == "streams.py":
            continue
        for node in ast.walk(tree(module)):
            if "random" in imported(node):
                strangers.append(f"{place(module)}:{getattr(node, 'lineno', 0)}: import random")
            if isinstance(node, ast.Call) and dotted(node.func).startswith(("np.random.", "numpy.random.")):
                strangers.append(f"{place(module)}:{node.lineno}: {dotted(node.func)}")
    assert strangers == []


def test_every_module_says_what_it_is() -> None:
    assert [place(module) for module in MODULES if not ast.get_docstring(tree(module))] == []


def test_no_file_swallows_every_feature() -> None:
    files = [
        *MODULES,
        *ROOT.glob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "benchmarks").rglob("*.py"),
    ]
    lengths = {file.relative_to(ROOT).as_posix(): len(file.read_bytes().splitlines()) for file in files}
    assert {file: lines for file, lines in lengths.items() if lines > LONGEST_FILE_LINES} == {}


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, simulator; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = process.stdout.split()
    assert "simulator" in loaded
    assert sorted(NOT_AT_START & set(loaded)) == []


@pytest.mark.parametrize("table", columns.TABLES)
def test_columns_are_declared_once_with_unit_and_meaning(table: str) -> None:
    declared = columns.TABLES[table]
    repeated = [name for name, times in Counter(column.name for column in declared).items() if times > 1]
    assert repeated == []
    assert [column.name for column in declared if not column.meaning.strip()] == []
    assert [column.name for column in declared[:2]] == ["variant", "replication"]
    # A quantity carries its unit where it leaves a function.
    assert [c.name for c in declared if c.unit and not f"_{c.name}".endswith("_" + suffix(c.unit))] == []


def test_metrics_are_declared_once_with_unit_and_meaning() -> None:
    repeated = [name for name, times in Counter(m.name for m in columns.METRICS).items() if times > 1]
    assert repeated == []
    assert [metric.name for metric in columns.METRICS if not metric.meaning.strip()] == []
    assert [m.name for m in columns.METRICS if bool(m.unit) != bool(m.shown_unit)] == []
    time_or_money = [m for m in columns.METRICS if m.unit in {"s", "GPU-s", "USD", "J", "kg"}]
    assert [m.name for m in time_or_money if not m.name.endswith("_" + suffix(m.unit))] == []


def suffix(unit: str) -> str:
    return unit.lower().replace("-", "_").replace("/", "_per_")


def test_every_bucket_has_a_meaning() -> None:
    assert len(set(columns.BUCKETS)) == len(columns.BUCKETS)
    assert set(columns.BUCKET_MEANING) == set(columns.BUCKETS)
    assert all(meaning.strip() for meaning in columns.BUCKET_MEANING.values())


def test_tables_kept_for_all_replications_exist() -> None:
    assert set(columns.TABLES) >= columns.KEPT_FOR_ALL


def test_policies_are_frozen_and_explain_their_keys() -> None:
    for family, members in families().items():
        for name, policy in members.items():
            assert dataclasses.is_dataclass(policy), f"{family}.{name} must be a dataclass"
            assert vars(policy)["__dataclass_params__"].frozen, f"{family}.{name} must be frozen"
            silent = [key.name for key in dataclasses.fields(policy) if not key.metadata.get("meaning")]
            assert silent == [], f"{family}.{name}: declare these fields with policies.fields.parameter"


def test_constraints_pin_every_requirement_and_name_no_index() -> None:
    pin = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==[A-Za-z0-9.+!]+(?: ; .+)?")
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [pin.fullmatch(line) for line in lines if line and not line.startswith("#")]
    assert None not in found, "a line of constraints.txt is not of the form name==version"
    pinned = {normal(match["name"]) for match in found if match is not None}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    names = {normal(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]) for requirement in wanted}
    assert sorted(names - pinned) == []


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
