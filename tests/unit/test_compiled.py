"""The cache of compiled kernels, thrown away with what a kernel is made from and kept whatever else changes, and word
of their compilation."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import numba
import pytest

from simulator import compiled
from simulator.experiments import replicate
from simulator.experiments.records import Task

PACKAGE = Path(compiled.__file__).parent

TOY = {
    "engine.py": "from simulator.pure import outer\n",
    "pure/__init__.py": "",
    "pure/outer.py": "from simulator.pure.inner import twice\nfrom simulator.pure import (\n    constants,\n)\n",
    "pure/inner.py": "import numpy\n",
    "pure/constants.py": "import simulator.units as units\n",
    "pure/reader.py": "from simulator.pure.outer import outer\n",
    "units.py": "",
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compiled, "_PACKAGE", tmp_path)
    (tmp_path / "pure").mkdir()
    for name, text in TOY.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_kernel_is_made_from_its_file_and_all_that_it_imports(toy: Path) -> None:
    found = {file.relative_to(toy).as_posix() for file in compiled.sources(toy / "pure" / "outer.py")}
    assert found == {"pure/__init__.py", "pure/outer.py", "pure/inner.py", "pure/constants.py", "units.py"}


@pytest.mark.parametrize("changed", TOY)
def test_only_a_change_of_what_it_is_made_from_compiles_a_kernel_again(toy: Path, changed: str) -> None:
    kernels = toy / "pure" / "outer.py"
    needs = toy / changed in compiled.sources(kernels)
    folder_of = compiled.cache_folder.__wrapped__
    before = folder_of(kernels)
    (toy / changed).write_text(TOY[changed] + "ONE = 1\n", encoding="utf-8")
    assert (folder_of(kernels) != before) is needs


def test_what_every_kernel_is_made_from_is_what_python_imports() -> None:
    """Read from the text there, from the syntax tree here."""

    def imports(file: Path) -> set[Path]:
        names = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: a relative import"
                names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        places = [PACKAGE.parent.joinpath(*name.split(".")) for name in names if name.startswith("simulator")]
        return {
            file for place in places for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()
        }

    def closure(file: Path) -> set[Path]:
        found = {file}
        while more := set().union(*map(imports, found)) - found:
            found |= more
        return found

    files = [file for file in PACKAGE.rglob("*.py") if "@kernel\n" in file.read_text(encoding="utf-8")]
    assert len(files) > 10
    for file in files:
        assert set(compiled.sources(file)) == closure(file), file


def compile_anew() -> None:
    """Compile a kernel that calls another one, as nobody has done before."""
    inner = numba.njit(lambda x: x + 1)
    numba.njit(lambda x: inner(x) * 2)(1)


def test_one_is_told_once_that_kernels_are_compiled_and_how_long_it_took() -> None:
    told: list[float] = []
    before = compiled.seconds()
    start = time.perf_counter()
    with compiled.told(lambda: told.append(compiled.seconds())):
        compile_anew()
        compile_anew()
    spent = time.perf_counter() - start
    assert told == [before], "as it begins, and once"
    assert 0.5 * spent < compiled.seconds() - before < spent, "nested ones are not counted twice"
    compile_anew()
    assert len(told) == 1, "nobody listens any more"


def test_what_is_compiled_already_is_not_told() -> None:
    twice = numba.njit(lambda x: 2 * x)
    twice(1)
    told: list[bool] = []
    with compiled.told(lambda: told.append(True)):
        twice(3)
    assert told == []


def test_the_time_of_a_replication_leaves_compilation_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object) -> bytes:
        compile_anew()
        return b"record"

    monkeypatch.setattr(replicate, "simulate", slow)
    monkeypatch.setattr(replicate, "encode", lambda task, outcome, keep: outcome)
    start = time.perf_counter()
    done = replicate.Replicator(None, 1, "first")(Task("base", 0))  # type: ignore[arg-type]
    assert done.record == b"record"
    assert 0.0 <= done.work_s < 0.5 * (time.perf_counter() - start)
