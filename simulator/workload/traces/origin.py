"""The instant of a trace's zero, where its file tells it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo


def origin_of(header: Mapping[str, str]) -> datetime | None:
    """Return the instant that counts as 0 s, with its zone or as local time without one; None if it is not told.

    Parameters
    ----------
    header : mapping of str to str
        Of an `ImportReport`: ``origin`` in ISO 8601, or ``UnixStartTime`` (seconds since 1970) and ``TimeZoneString``
        of a Standard Workload Format log, whose clock is UTC if the zone is unknown.
    """
    if "origin" in header:
        return datetime.fromisoformat(header["origin"])
    start = header.get("UnixStartTime", "").split(";")[0]
    if not start.isdecimal() or int(start) == 0:
        return None
    return datetime.fromtimestamp(int(start), UTC).astimezone(_zone(header.get("TimeZoneString", "")))


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # no such zone, or no data of zones on this machine
        return UTC
