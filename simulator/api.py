"""Studies with figures and reports: what ``import simulator`` offers on top of experiments."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.experiments import results, store
from simulator.experiments.compare import Progress
from simulator.experiments.compare import compare as _compare

if TYPE_CHECKING:
    from simulator.engine.world import Network
    from simulator.network.fabric import Fabric
    from simulator.report.style import PaperFigure
    from simulator.scenario.resolved import Scenario


class Study(results.Study):
    """All variants of a scenario in the same random worlds, with figures and a report.

    ``summary``, ``differences``, ``runs``, ``ledger``, ``jobs``, ``incidents``, ``series``, ``phases``,
    ``occupancy``, ``steps`` and ``links`` are DataFrames, read when first asked for.
    """

    def plot(self, metric: str) -> PaperFigure:
        """Return one metric by variant with its 95 % interval as a figure.

        Parameters
        ----------
        metric : str
            Name of the metric in the data dictionary.

        Raises
        ------
        InputError
            The study has no such metric; the error names the nearest.
        """
        from simulator.report import plot_metric

        return plot_metric(self, metric)

    def _repr_html_(self) -> str:
        """Return the answer and the table of the metrics that are shown, by variant."""
        from simulator.report import study_html

        return study_html(self.folder)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report and return where its page is.

        Parameters
        ----------
        path : path, optional
            A name in ``.html``: the self-contained page alone. Any other: a complete results folder. None: into the
            study's own folder.

        Raises
        ------
        InputError
            When the folder holds other files.
        """
        from simulator.report import write_report

        if path is None:
            return write_report(self.folder)
        target = Path(path).absolute()
        if target == self.folder.absolute():
            return write_report(self.folder)
        if target.suffix != ".html":
            store.demand_replaceable(target)
            with store.complete_folder(target) as temporary:
                shutil.copytree(self.folder, temporary, dirs_exist_ok=True)
                write_report(temporary)
            return target / "report.html"
        page = write_report(self.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        store.write_atomically(target, page.read_bytes())
        return target


def compare(
    scenario: Scenario,
    replications: int | None = None,
    workers: int | None = None,
    seed: int | None = None,
    output: str | Path | None = None,
    resume: bool = False,
    keep: str = "first",
    precision: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    policies: Mapping[str, Mapping[str, Any]] | None = None,
) -> Study:
    """Run every variant of a scenario in the same random worlds and return what they say together.

    Parameters
    ----------
    scenario : Scenario
        What to compare; its first variant is the baseline.
    replications : int, optional
        Random worlds; the scenario's own number by default.
    workers : int, optional
        Worker processes, as many as processors by default; the results are the same bytes for any number.
    seed : int, optional
        Seed; the scenario's own by default.
    output : path, optional
        Results folder, written with figures and report. Without one the tables live as long as the study does.
    resume : bool
        Do only what an interrupted study with the same output has not finished.
    keep : {"first", "all"}
        Whether ``jobs``, ``incidents`` and ``series`` hold replication 0 or all.
    precision : float, optional
        Instead of ``replications``: add replications until the 95 % interval of the scenario's answer metric is no
        wider than this on either side of its mean, in every variant (absolute for fractions, relative otherwise).
    progress : function, optional
        Called with a ``Progress`` as the study goes on.
    policies : mapping of str to mapping, optional
        New variants with policies of your own: ``{"mine": {"scheduling": MyPolicy()}}``. Each is the scenario's first
        variant, or the one that its key ``variant`` names, with these policies instead; the inner mapping is what
        ``run`` takes. Classes may be of a notebook or a script, for any number of workers. Every replication gets
        copies of the objects, so what one leaves in them reaches no other.

    Raises
    ------
    InputError
        For a wrong argument, an output folder that holds other files, nothing to resume from the same study, or
        ``resume`` with policies of your own.
    """

    def finish(folder: Path) -> None:
        from simulator.report import write_report

        write_report(folder)

    return _compare(
        scenario,
        replications,
        workers,
        seed,
        output,
        resume,
        keep,
        precision,
        progress,
        policies,
        finish if output is not None else None,
        kind=Study,
    )


def load_fabric(name: str, gpus: int | None = None) -> Network:
    """Return fabric, routing and transport of a preset, of a fabric file, or of a scenario's cluster.

    Parameters
    ----------
    name : str
        A preset's name (``rail_400g``), or a YAML file: the keys of ``cluster.fabric``, or a whole scenario.
    gpus : int, optional
        Size of the machine where neither the file nor the topology gives one.

    Raises
    ------
    InputError
        Neither a preset nor a file, a file that is wrong, or no size.
    """
    from simulator.scenario import fabrics

    return fabrics.load_fabric(name, gpus)[0]


def draw_fabric(fabric: Fabric) -> PaperFigure:
    """Return a picture of a fabric: every link of a small one, pods and groups of a large one.

    Parameters
    ----------
    fabric : Fabric
        For example ``load_fabric("rail_400g", 1024).fabric``, or one of ``simulator.network``.
    """
    from simulator.network.facts import facts
    from simulator.report.plots.fabric import fabric_picture

    return fabric_picture(fabric, facts(fabric))
