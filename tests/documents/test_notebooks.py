"""Notebooks run from top to bottom, and are kept without their outputs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIMIT_S = 180

# In a process of its own: the kernel client brings an event loop and warnings that are not ours.
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient

source, target, folder, limit_s = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
place = {"metadata": {"path": folder}}
client = NotebookClient(notebook, timeout=int(limit_s), kernel_name="python3", resources=place)
try:
    client.execute()
finally:
    nbformat.write(notebook, target)
"""


def execute(notebook: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a notebook in a folder; the executed copy is left in it."""
    executed = str(folder / "executed.ipynb")
    return subprocess.run(
        [sys.executable, "-c", EXECUTE, str(notebook), executed, str(folder), str(LIMIT_S)],
        capture_output=True,
        text=True,
        timeout=2 * LIMIT_S,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to work that looks like a clone; the user's own notebook settings stay out of it."""
    work = tmp_path / "notebooks"
    work.mkdir()
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter-data"))  # no kernel of another environment
    return work


# The last compares five schedulers, which takes as long as all the others.
RUN = [pytest.param(path, id=path.name, marks=pytest.mark.slow if path.name[:2] == "03" else ()) for path in NOTEBOOKS]


@pytest.mark.parametrize("notebook", RUN)
def test_notebook_runs(notebook: Path, folder: Path) -> None:
    process = execute(notebook, folder)
    assert process.returncode == 0, process.stderr[-4000:]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_kept_without_outputs(notebook: Path) -> None:
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert code, "a notebook without code"
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []
    assert content.cells[0].cell_type == "markdown", "the first cell says what the notebook is about"


def test_a_failing_cell_is_noticed(folder: Path) -> None:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 + 1 == 3")])
    nbformat.write(made, folder / "made.ipynb")
    process = execute(folder / "made.ipynb", folder)
    assert process.returncode != 0
    assert "AssertionError" in process.stderr
