"""What a device goes through, as a table of data. The README's picture is printed from it.

Rule 1: which event leads from which state to which is decided here and nowhere else; an event that is not in the
row raises and nothing changes (that is our bug, so the run stops).
Rule 2: nothing here waits, opens or writes: `station.py`, `confirmer.py` and `importer.py` act and record, the
ledger folds their records through this table.
Rule 3: an intention changes the state where doubt begins: from `connect.intended` on the device may be on its way,
whether an answer came or not. Earlier intentions need no state: their act is safe to repeat.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from provisioner.model import Outcome


class Step(enum.StrEnum):
    """The acts of a visit and after it, in order, as the journal and the screen name them."""

    JOINING = "joining"
    IDENTIFYING = "identifying"
    CLAIMING = "claiming"
    CONFIGURING = "configuring"
    CONNECTING = "connecting"
    CONFIRMING = "confirming"


class State(enum.StrEnum):
    """Where a device stands. Before `identified` nobody knows which device was joined."""

    LISTED = "listed"
    IMPORTED = "imported"
    IDENTIFIED = "identified"
    CLAIM_CODE_SET = "claim_code_set"
    CONFIGURED = "configured"
    CONNECTING = "connecting"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


_ENDS = {"device.failed": State.FAILED, "device.unknown": State.UNKNOWN, "device.skipped": State.SKIPPED}
_FINALS = {"device.confirmed": State.CONFIRMED, **_ENDS}  # only where a proof can be: not in the middle of a visit
_IMPORTS = {"device.imported": State.IMPORTED, "device.refused": State.REFUSED}
_LOOKED_AT = {"device.identified": State.IDENTIFIED}
_LEFT_EARLY = {"visit.ended": State.IMPORTED}
# Not proven, and not ended either: it is listening again, or an earlier run left it open and the cloud says no.
_RETURNED = {"device.returned": State.IMPORTED}
_REOPENED = {"device.reopened": State.IMPORTED}  # a person wants it worked once more


def _stays(state: State, *events: str) -> dict[str, State]:
    return dict.fromkeys(events, state)


NEXT: Mapping[State, Mapping[str, State]] = MappingProxyType(
    {
        State.LISTED: {
            "device.carried": State.CONFIRMED,  # an earlier run has proven it
            **_IMPORTS,
            **_ENDS,
            **_stays(State.LISTED, "device.identified", "visit.ended"),
        },
        State.IMPORTED: {
            "device.resumed": State.CONNECTING,  # an earlier run told it to connect and did not see the end
            **_IMPORTS,
            **_LOOKED_AT,
            **_RETURNED,
            **_FINALS,
            **_stays(State.IMPORTED, "visit.ended"),
        },
        State.IDENTIFIED: {
            "claim_code.accepted": State.CLAIM_CODE_SET,
            "wifi.accepted": State.CONFIGURED,
            **_LEFT_EARLY,
            **_ENDS,
        },
        State.CLAIM_CODE_SET: {
            "wifi.accepted": State.CONFIGURED,
            "connect.intended": State.CONNECTING,
            **_stays(State.CLAIM_CODE_SET, "claim_code.accepted"),
            **_LEFT_EARLY,
            **_ENDS,
        },
        State.CONFIGURED: {
            "connect.intended": State.CONNECTING,
            **_stays(State.CONFIGURED, "wifi.accepted"),
            **_LEFT_EARLY,
            **_ENDS,
        },
        State.CONNECTING: {
            "connect.refused": State.CONFIGURED,
            **_stays(State.CONNECTING, "connect.intended", "connect.accepted", "connect.unanswered", "visit.ended"),
            **_LOOKED_AT,
            **_RETURNED,
            **_FINALS,
        },
        # A device that ended may be seen again: confirmed and refused ones are looked at and left alone, the
        # others may have another visit.
        State.CONFIRMED: {**_stays(State.CONFIRMED, "device.identified", "visit.ended", "device.confirmed")},
        State.REFUSED: {**_IMPORTS, **_stays(State.REFUSED, "device.identified", "visit.ended")},
        State.FAILED: {**_LOOKED_AT, **_REOPENED, **_FINALS, **_stays(State.FAILED, "visit.ended")},
        State.UNKNOWN: {**_LOOKED_AT, **_REOPENED, **_FINALS, **_stays(State.UNKNOWN, "visit.ended")},
        State.SKIPPED: {**_LOOKED_AT, **_REOPENED, **_FINALS, **_stays(State.SKIPPED, "visit.ended")},
    }
)

OUTCOME: Mapping[State, Outcome] = MappingProxyType(
    {
        State.CONFIRMED: Outcome.PASS,
        State.REFUSED: Outcome.FAIL,
        State.FAILED: Outcome.FAIL,
        State.UNKNOWN: Outcome.UNKNOWN,
        State.SKIPPED: Outcome.SKIPPED,
    }
)
MOVING_EVENTS = frozenset(event for row in NEXT.values() for event in row)


class ImpossibleEvent(RuntimeError):
    """An event that cannot happen in this state: a bug of ours, never a device's fault."""


def after(state: State, event: str) -> State:
    """The state that `event` leads to. Raises ImpossibleEvent, and then nothing has changed."""
    try:
        return NEXT[state][event]
    except KeyError:
        raise ImpossibleEvent(f"{event} cannot follow {state}") from None


def picture() -> Iterator[str]:
    """The table as lines of a Mermaid state diagram, for the README. The ends that are possible nearly everywhere
    (failed, unknown, skipped) would hide the way and are left out; what leads on from them is drawn."""
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.LISTED}"
    for state, row in NEXT.items():
        for target in dict.fromkeys(row.values()):
            if target is not state and target not in _ENDS.values():
                events = [event for event, to in row.items() if to is target]
                yield f"    {state} --> {target}: {', '.join(events)}"
