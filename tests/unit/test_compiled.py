"""The cache of compiled kernels: thrown away with what a kernel is made from, kept whatever else changes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from simulator import compiled

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
