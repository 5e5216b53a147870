"""The outcome of one replication of one variant: tables of columns and one number per metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcome:
    """What one replication of one variant left behind.

    Parameters
    ----------
    summary : dict of str to float
        Every metric of ``columns.METRICS``; NaN where it has no value (no price, no interruption).
    tables : dict of str to dict of str to array
        For each table of ``columns.TABLES`` its columns, without ``variant`` and ``replication``, which the caller
        adds.
    """

    summary: dict[str, float]
    tables: dict[str, dict[str, NDArray[Any]]]
