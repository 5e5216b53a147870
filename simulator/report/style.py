"""How figures look: fonts, colours that survive greyscale and colour blindness, equal bytes on every run."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#1C2733"
FAINT = "#5E6B78"
GRID = "#DCE1E6"
ACCENT = "#B5403A"

WIDTH_INCHES = 5.6
"""Width of every figure; at half a page (3.4 in) the smallest letters are still 5 points high."""

_NOTE_LETTERS = 98
"""Letters of a line below a figure that fit into its width."""

PNG_DPI = 200

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so a figure looks the same everywhere
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "text.usetex": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.w_pad": 0.09,
    "figure.constrained_layout.h_pad": 0.06,
    "svg.fonttype": "path",
    "svg.hashsalt": "simulator",
    "path.simplify": True,
}


@dataclass(frozen=True)
class Look:
    """How one series is drawn.

    Parameters
    ----------
    colour : str
        Fill, "#rrggbb".
    hatch : str
        Hatch pattern of matplotlib, "" for plain.
    marker : str
        Marker of matplotlib.
    line : str
        Line style of matplotlib.
    """

    colour: str
    hatch: str = ""
    marker: str = "o"
    line: str = "-"


_VARIANT_COLOURS = ("#23366F", "#E08A3C", "#1B7C7D", "#86B8E0", "#8E2B56", "#C9B458", "#5F7A1F", "#9DA1A8")
"""Neighbours differ in lightness by at least 15 of 100, and in blue against orange for the colour-blind."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "<", ">", "p")
_LINES: tuple[str, ...] = ("-", "--", "-.", ":")

BUCKET_LOOK: dict[str, Look] = {
    "productive": Look("#1F5A7A"),
    "checkpointing": Look("#A9D3EA", "////"),
    "lost_work": Look("#DB6A5F", "xx"),
    "detecting": Look("#F7CDA9", "...."),
    "restarting": Look("#DE8A33"),
    "degraded": Look("#F8E9B6", "++++"),
    "waiting_for_nodes": Look("#7A5C9E", "\\\\\\\\"),
    "idle": Look("#DFE3E7"),
    "spare": Look("#8CBF98", "||||"),
    "testing": Look("#D9C8E8", "----"),
    "draining": Look("#7C838A", "oo"),
    "down": Look("#2B2F33"),
    # state of the series table that stands for productive, checkpointing and lost work together
    "running": Look("#1F5A7A"),
}
"""Fixed look of each ledger bucket and state."""

PHASE_LOOK: dict[str, Look] = {
    "detect": BUCKET_LOOK["detecting"],
    "tear_down": Look("#7C838A"),
    "wait_for_nodes": BUCKET_LOOK["waiting_for_nodes"],
    "reallocate": Look("#A9D3EA"),
    "image": Look("#3F6FA3", "...."),
    "dependencies": Look("#F3E3A1", "xxxx"),
    "init": Look("#8E2B56"),
    "load": Look("#E3A0B4", "////"),
    "warm_up": Look("#2E6B45"),
}
"""Fixed look of each restart phase."""

OTHER_LOOK = Look("#EDEFF1", "||||")
"""Look of a phase that this version does not know."""

EDGE = "#FFFFFF"
HATCH_EDGE = "#4A5560"


def variant_looks(variants: Sequence[str]) -> dict[str, Look]:
    """Return the look of each variant, by its place in the scenario; the same in every figure of a study."""
    return {name: variant_look(place) for place, name in enumerate(variants)}


def variant_look(place: int) -> Look:
    """Return the look of the variant at that place; colour and marker together repeat only after 88 variants."""
    return Look(
        colour=_VARIANT_COLOURS[place % len(_VARIANT_COLOURS)],
        marker=_MARKERS[place % len(_MARKERS)],
        line=_LINES[place % len(_LINES)],
    )


@contextmanager
def paper() -> Iterator[None]:
    """Apply the house style inside a ``with`` block and leave the caller's settings as they were."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)  # type: ignore[arg-type, unused-ignore]
        yield


class PaperFigure(Figure):
    """A figure that keeps the house style wherever it is drawn and shows itself in a notebook."""

    def __init__(self, height_inches: float, width_inches: float = WIDTH_INCHES) -> None:
        super().__init__(figsize=(width_inches, height_inches), layout="constrained")
        FigureCanvasAgg(self)

    def png(self, dpi: int = PNG_DPI) -> bytes:
        """Return the figure as PNG; equal figures give equal bytes."""
        return self._rendered("png", dpi=dpi, metadata={"Software": None})

    def svg(self) -> bytes:
        """Return the figure as SVG; equal figures give equal bytes, letters are outlines."""
        return self._rendered("svg", dpi=PNG_DPI, metadata={"Date": None, "Creator": None})

    def _repr_png_(self) -> bytes:
        return self.png(dpi=110)

    def _rendered(self, kind: str, dpi: int, metadata: dict[str, None]) -> bytes:
        buffer = io.BytesIO()
        with paper():
            self.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
        return buffer.getvalue()


def footnote(figure: Figure, text: str) -> None:
    """Write units, interval and sample size below a figure, in small letters; a long text takes several lines."""
    lines = [textwrap.fill(line, _NOTE_LETTERS) for line in text.splitlines()]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8, color=FAINT, linespacing=1.35)


def clean_value_axis(axes: Axes, axis: str = "x") -> None:
    """Give the axis that carries values light grid lines and take tick marks off the other one."""
    axes.grid(visible=True, axis="x" if axis == "x" else "y")
    other = "y" if axis == "x" else "x"
    axes.tick_params(axis=other, length=0)  # type: ignore[arg-type]


def edge_of(look: Look) -> str:
    """Return the edge colour of a filled shape, which is also the colour of its hatch."""
    return HATCH_EDGE if look.hatch else EDGE
