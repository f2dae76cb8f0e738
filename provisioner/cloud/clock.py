"""What time it is in the cloud: its own `Date` header plus the seconds since, never this computer's time of day.

A device is proven by a handshake that is newer than the visit. Both times must be the cloud's: a station's clock may
be minutes off. `Date` counts whole seconds, so an estimate is good to about two.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


class CloudClock:
    """The cloud's time of day, estimated from its last answer."""

    def __init__(self) -> None:
        self._date: datetime | None = None
        self._heard_s = 0.0

    def observe(self, date: str | None, heard_s: float) -> None:
        """Take the `Date` header of an answer that came at trio time `heard_s`; one that is no date is skipped."""
        if not date:
            return
        try:
            parsed = parsedate_to_datetime(date)
            self._date = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        self._heard_s = heard_s

    def at(self, mono_s: float) -> datetime | None:
        """The cloud's time of day (UTC) at trio time `mono_s`; None before its first answer."""
        if self._date is None:
            return None
        try:
            return self._date + timedelta(seconds=mono_s - self._heard_s)
        except OverflowError:
            return None
