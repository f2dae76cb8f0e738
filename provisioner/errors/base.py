"""Exit codes, blames, and the root of the tree."""

from __future__ import annotations

import enum
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """What a command's end means to a script (CLI contract)."""

    ALL_GOOD = 0
    SOME_FAILED = 1
    INPUT_REFUSED = 2
    SOME_UNKNOWN = 3
    HELD_BY_SITE = 4
    OUR_BUG = 70
    INTERRUPTED = 130


class Blame(enum.StrEnum):
    """Whose fault it is; decides what the line does next."""

    OPERATOR = "operator"
    DEVICE = "device"
    STATION = "station"
    SITE = "site"


class Again(enum.StrEnum):
    """Whether another try can help, and when."""

    THIS_RUN = "this run"  # the same device may come round again on the same or another station
    NEXT_RUN = "next run"  # somebody has to mend something first
    NEVER = "never"  # the board is set aside; only a person can bring it back


class ProvisionerError(Exception):
    """Base of every failure that is not our bug. `detail` is one sentence for a person."""

    code: ClassVar[str] = "failed"
    blame: ClassVar[Blame] = Blame.STATION
    again: ClassVar[Again] = Again.NEXT_RUN
    remedy: str = "Read the message, mend the cause, run the same command again."

    def __init__(self, detail: str, *, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if remedy is not None:
            self.remedy = remedy
