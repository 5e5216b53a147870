"""The columns of the common job table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of the common job table.

    Parameters
    ----------
    name : str
        Column name, unit included.
    kind : {"text", "seconds", "count", "amount", "share"}
        How it is stored: text; 64-bit integer for counts; float64 for times in seconds, amounts and shares (above 0, at
        most 1). Each may be null except where required.
    is_required : bool
        Must be there when a table is read.
    meaning : str
        One sentence.
    """

    name: str
    kind: Literal["text", "seconds", "count", "amount", "share"]
    is_required: bool
    meaning: str


TABLE_COLUMNS: tuple[TableColumn, ...] = (
    TableColumn("job", "text", True, "Name of the job, unique in the table."),
    TableColumn("user", "text", False, "Who submitted it."),
    TableColumn("submit_s", "seconds", True, "Submission, seconds since the trace's zero."),
    TableColumn("start_s", "seconds", False, "Start as logged, on the same clock."),
    TableColumn("end_s", "seconds", False, "End as logged, on the same clock."),
    TableColumn("run_s", "seconds", True, "Run time as logged, suspended time left out."),
    TableColumn("requested_s", "seconds", False, "Run time its user asked for."),
    TableColumn("gpus", "count", True, "GPUs it held; in a CPU log its processors."),
    TableColumn("nodes", "count", False, "Nodes it held, where the trace says."),
    TableColumn("state", "text", False, "How it ended: completed, failed or cancelled; null if it had not."),
    TableColumn("account", "text", False, "Account, project or group it is charged to."),
    TableColumn("partition", "text", False, "Partition, queue or virtual cluster it was submitted to."),
    TableColumn("cpus", "amount", False, "CPU cores it held; fractions where cores are shared."),
    TableColumn("gpu_share", "share", False, "Fraction of its one GPU that it held; null is the whole of each GPU."),
)
COLUMN_NAMES: tuple[str, ...] = tuple(column.name for column in TABLE_COLUMNS)
