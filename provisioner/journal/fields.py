"""What a record of the journal may say: its keys, their kinds, and the checks that reader and writer share. Pure.

Rule 1: the same checks for what is written and for what is read, so nothing is written that could not be read.
Rule 2: a key that this program does not know is kept, not refused: adding keys does not need a new version.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypedDict

from provisioner.errors import Blame
from provisioner.model import DeviceID, Outcome, printable

SCHEMA_VERSION = 1
GENESIS = "0" * 64

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

CORE = ("station", "operator", "tray", "slot", "device", "ssid", "bssid", "attempt", "step", "outcome", "code", "blame",
        "remedy", "evidence", "detail")  # fmt: skip
_EVENT = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+")


class Fields(TypedDict, total=False):
    """What `append` takes beside the event. A new key is added here, so that mypy knows every word we write.

    A value of None is the same as leaving the key out.
    """

    station: str | None
    operator: str | None
    tray: str | None
    slot: int | None
    device: DeviceID | str | None
    ssid: str | None
    bssid: str | None
    attempt: int | None
    step: str | None
    outcome: Outcome | str | None
    code: str | None
    blame: Blame | str | None
    remedy: str | None
    evidence: Mapping[str, JSON] | None
    detail: str | None
    # our additions: the run as a whole
    tool: str
    command: str
    cloud: str
    product: str
    lot: str
    manifest: str
    manifest_sha256: str
    manifests: Sequence[str]
    settings: str
    settings_sha256: str
    clock: str
    host: str
    seed: int
    devices: int
    trays: Mapping[str, int]
    layout: str  # of a tray, rows x columns
    layouts: Mapping[str, str] | None  # of the trays that differ
    today: Mapping[str, Sequence[int]] | None  # by station: PASS, FAIL, not proven, of this day so far
    slots: Mapping[str, str] | None  # of the trays whose slots are not 1, 2, 3 to the end
    stations: Sequence[str]
    resumes: Sequence[str]
    counts: Mapping[str, int]
    head: str  # of the first record: the file that the journal's head is kept in; the writer's own
    # our additions: one act
    again: str
    bytes: int
    claim_code: str  # its fingerprint, never the code
    customer: str
    file: str
    neighbours: int
    owner: str | None
    reason: str
    scanner: bool | None  # the run works only what is scanned
    scanned: str  # a scan's text, printable
    seconds: float
    serial: str | None
    signal_dbm: int
    source: str  # by which way a scan came
    status: int
    wifi: str  # the profile's name


OUR_KEYS = frozenset(Fields.__annotations__)  # these need no other look
_TIMES = ("handshake_before", "cloud_from", "last_handshake_at")  # of `evidence`
_NUMBER_MAX = 2**53  # what every reader of JSON can hold


class Record(NamedTuple):
    """One thing that was about to be done, or was done. None means that the line does not say it.

    `at` is UTC in whole milliseconds, for people; `mono_ms` counts from the journal's opening by a clock that is
    never set, for durations. `outcome` and `blame` are one of `Outcome` and `Blame`; `extra` has all other keys.
    A tuple, because a frozen dataclass of 26 fields takes as long to make as the rest of a line.
    """

    seq: int
    at: datetime
    mono_ms: int
    run: str
    event: str
    station: str | None = None
    operator: str | None = None
    tray: str | None = None
    slot: int | None = None
    device: DeviceID | None = None
    ssid: str | None = None
    bssid: str | None = None
    attempt: int | None = None
    step: str | None = None
    outcome: Outcome | None = None
    code: str | None = None
    blame: Blame | None = None
    remedy: str | None = None
    evidence: Mapping[str, JSON] | None = None
    detail: str | None = None
    extra: Mapping[str, JSON] = MappingProxyType({})
    prev: str = GENESIS
    hash: str = ""
    v: int = SCHEMA_VERSION


# --- checks ---


def checked(v: int, at: datetime, whole: Mapping[str, Any], *, digest: str = "") -> Record:
    """Build a record from plain values; the same checks for what we write and for what we read."""
    known: dict[str, Any] = {"v": v, "at": at, "hash": digest}
    known["extra"] = extra = {}
    for key, value in whole.items():
        check = _FIELDS.get(key)
        if check is None:
            fits = _KINDS.get(key)
            if fits is not None and value is not None and not fits(value):
                raise ValueError(f"'{key}' is not what it is in every record of ours")
            extra[key] = value
        elif check is _text and type(value) is str:  # as most of them: no need to ask
            known[key] = value
        else:
            known[key] = check(key, value)
    if not known.keys() >= _NEEDED:
        raise ValueError(f"{sorted(_NEEDED - known.keys())} must stand in every record")
    return from_values(map(known.get, Record._fields, _DEFAULTS))


def from_values(values: Iterable[Any]) -> Record:
    """A record from all its values in their order: a third of the time that naming them takes."""
    return tuple.__new__(Record, values)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"'{key}' is not a text")
    return value


def _count(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _NUMBER_MAX:
        raise ValueError(f"'{key}' is no number that a count or a clock could have")
    return value


def _event(key: str, value: object) -> str:
    text = _text(key, value)
    if not _is_event(text):
        raise ValueError(f"{printable(text)!r} is not an event: dotted, lower case, past tense")
    return text


def _device(key: str, value: object) -> DeviceID:
    if type(value) is DeviceID:
        return value
    text = _text(key, value)
    device = DeviceID.parse(text)
    if device != text:
        raise ValueError(f"'{key}' is not in its one spelling, lower case")
    return device


def _evidence(key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"'{key}' is not a group of facts")
    _check_times(value)
    return value


# An enumeration is quick to be looked up in a table, and slow to be called.
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_BLAMES = {blame.value: blame for blame in Blame}

# How each field of `Record` is read; `extra` is the rest.
_FIELDS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    **dict.fromkeys(("seq", "mono_ms", "slot", "attempt"), _count),
    **dict.fromkeys(("run", "prev", "station", "operator", "tray", "ssid", "bssid", "step", "code", "remedy"), _text),
    "detail": _text,
    "event": _event,
    "device": _device,
    "outcome": lambda key, value: _OUTCOMES.get(_text(key, value)) or Outcome(value),
    "blame": lambda key, value: _BLAMES.get(_text(key, value)) or Blame(value),
    "evidence": _evidence,
}
_DEFAULTS = tuple(Record._field_defaults.get(key) for key in Record._fields)
_NEEDED = frozenset({"seq", "mono_ms", "run", "event", "prev"})


def _check_times(evidence: dict[str, Any]) -> None:
    """The times in evidence decide what is proven: whoever folds them may rely on them."""
    for key in _TIMES:
        if (text := evidence.get(key)) is not None:
            try:
                zone = datetime.fromisoformat(text).tzinfo
            except (TypeError, ValueError):
                zone = None
            if zone is None:
                raise ValueError(f"'{key}' in the evidence is not a time with a zone")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _NUMBER_MAX


def _fitting(kind: str) -> Callable[[Any], bool]:
    """What an annotation of `Fields` says, as a question to a value that came from JSON."""
    kind = kind.removesuffix(" | None")
    if kind.startswith("Sequence["):
        each = _fitting(kind.removeprefix("Sequence[")[:-1])
        return lambda value: isinstance(value, list) and all(map(each, value))
    if kind.startswith("Mapping[str, "):
        each = _fitting(kind.removeprefix("Mapping[str, ")[:-1])
        return lambda value: isinstance(value, dict) and all(map(each, value.values()))
    return {
        "str": lambda value: isinstance(value, str),
        "bool": lambda value: isinstance(value, bool),
        "int": _is_number,
        "float": lambda value: isinstance(value, float) or _is_number(value),
    }[kind]


# For those keys that `Record` has no field for: their types are said once, and checked both ways.
_KINDS = {
    key: _fitting(getattr(kind, "__forward_arg__", str(kind)))
    for key, kind in Fields.__annotations__.items()
    if key not in CORE
}


@functools.lru_cache(maxsize=256)
def _is_event(text: str) -> bool:
    return _EVENT.fullmatch(text) is not None
