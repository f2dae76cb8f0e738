"""What one line of the journal says, as a frozen type and as bytes. Pure.

Rule 1: a line is one JSON object in UTF-8, compact, its keys in one order, and ends with a newline. The order is
the CLI contract's: `v seq at mono_ms run event`, then of `CORE` what applies, then `detail` and our additions in
the order they were given, and last `prev` and `hash`. A field without a value is left out.
Rule 2: `hash` is the SHA-256, in lower-case hex, of exactly the bytes that stand before `,"hash":"` (the brace at
the start is one of them, the last is the quote that closes `prev`). `prev` is the `hash` of the line before,
`GENESIS` in the first. Changing, dropping or moving any line but the last breaks the chain.
Rule 3: no secret gets in: a `Secret` anywhere in the fields is refused, at the price of stopping the run.
Rule 4: control, bidi and other invisible characters are written as `\\uXXXX`: showing the file harms no terminal.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypedDict

from provisioner.errors import Blame, JournalTooNew
from provisioner.model import DeviceID, Outcome, harmless_json, printable
from provisioner.secrets import Secret

SCHEMA_VERSION = 1
GENESIS = "0" * 64
LINE_BYTES_MAX = 8 * 1024 * 1024  # run.started names every tray; 40,000 of them are about 1 MB

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

_HEAD = ("v", "seq", "at", "mono_ms", "run", "event")
CORE = ("station", "operator", "tray", "slot", "device", "ssid", "bssid", "attempt", "step", "outcome", "code", "blame",
        "remedy", "evidence", "detail")  # fmt: skip
_SEALS = ("prev", "hash")
_RESERVED = frozenset((*_HEAD, *_SEALS))

_EVENT = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+")
_KEY = re.compile(r"[a-z][a-z0-9_]*")
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_DIGEST = re.compile("[0-9a-f]{64}")
_SEAL_BYTES = len(b',"hash":""}') + 64
_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_AS_IT_IS = frozenset({int, bool, type(None)})  # most values are a text or one of these, and exactly these
# Half a character (of a device's JSON, or of a file name that is no UTF-8) cannot be written to a file or a database.
_HALVES = re.compile("[\ud800-\udfff]")


class NotARecord(ValueError):
    """A line that is not a record this program could have written; the message says why."""


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


_OUR_KEYS = frozenset(Fields.__annotations__)  # these need no other look
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


# --- writing ---


def compose(
    event: str, fields: Mapping[str, Any], *, seq: int, at: datetime, mono_ms: int, run: str, prev: str
) -> tuple[Record, bytes]:
    """Make the record of these fields and its line, newline included.

    Raises ValueError, which is our bug, for an event that is not dotted lower case, a key that is reserved, a value
    that JSON or the schema cannot hold, a line over LINE_BYTES_MAX, and a `Secret` anywhere.
    """
    plain: dict[str, Any] = {
        key: value if (kind := type(value)) in _AS_IT_IS or (kind is str and value.isascii()) else _plain(value, key)
        for key, value in fields.items()
        if value is not None
    }
    if not _OUR_KEYS.issuperset(plain):
        _require_keys(plain.keys() - _OUR_KEYS)
    device = fields.get("device")
    if isinstance(device, str):  # SoftAP's upper case becomes the one spelling
        plain["device"] = device if type(device) is DeviceID else DeviceID.parse(device)
    whole = {"seq": seq, "mono_ms": mono_ms, "run": run, "event": event, "prev": prev, **plain}
    record = _checked(SCHEMA_VERSION, _whole_ms(at), whole)
    body = _body(record)
    digest = hashlib.sha256(body).hexdigest()
    line = _sealed(body, digest)
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"a record of {len(line):,} bytes; {LINE_BYTES_MAX:,} are the most")
    return _record((*record[:_HASH], digest, *record[_HASH + 1 :])), line


def _require_keys(others: Set[str]) -> None:
    """Of what `Fields` does not list, the journal's own keys are refused, and what is not spelled like a key."""
    if misplaced := _RESERVED & others:
        raise ValueError(f"the journal itself writes {sorted(misplaced)}")
    if wrong := [key for key in others if not _KEY.fullmatch(key)]:
        raise ValueError(f"not a key of the journal: {wrong}")


def encode(record: Record) -> bytes:
    """Return the record's line, newline included: for a record of ours, the very bytes it was read from."""
    return _sealed(_body(record), record.hash)


def _body(record: Record) -> bytes:
    whole: dict[str, JSON] = {
        "v": record.v,
        "seq": record.seq,
        "at": _at_text(record.at),
        "mono_ms": record.mono_ms,
        "run": record.run,
        "event": record.event,
    }
    core: tuple[Any, ...] = tuple(record)[_CORE]
    whole.update({key: value for key, value in zip(CORE, core, strict=True) if value is not None})
    whole.update(record.extra)
    whole["prev"] = record.prev
    text = _COMPACT.encode(whole)
    return harmless_json(text)[:-1].encode()


def _sealed(body: bytes, digest: str) -> bytes:
    return b"%b%b\n" % (body, _seal(digest))


def _seal(digest: str) -> bytes:
    return b',"hash":"%b"}' % digest.encode()


def _plain(value: object, where: str) -> JSON:
    """Copy a value into what JSON gives back on reading, so that listeners see what readers will see."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value  # type: ignore[return-value]
    if kind is str:
        return _whole_characters(value)  # type: ignore[arg-type]
    result: JSON
    match value:
        case Secret():
            raise ValueError(f"a secret in {where!r}; the journal keeps only fingerprints")
        case None | bool():
            result = value
        case enum.Enum():
            result = _plain(value.value, where)
        case int():
            result = int(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{where!r} is {value}, which JSON cannot say")
            result = float(value)
        case str():
            result = _whole_characters(str(value))
        case Mapping():
            result = _plain_mapping(value, where)
        case list() | tuple():
            result = [_plain(item, where) for item in value]
        case _:
            raise ValueError(f"{where!r} is a {type(value).__name__}, which JSON cannot say")
    return result


def _plain_mapping(value: Mapping[Any, object], where: str) -> dict[str, JSON]:
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"a key in {where!r} is {type(key).__name__}, not text")
    return {_whole_characters(str(key)): _plain(item, f"{where}.{key}") for key, item in value.items()}


def _whole_characters(text: str) -> str:
    return text if text.isascii() or not _HALVES.search(text) else text.encode("utf-8", "backslashreplace").decode()


def _whole_ms(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a record's time has no time zone")
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.replace(microsecond=at.microsecond // 1000 * 1000)


def _at_text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


# --- reading ---


def decode(line: bytes) -> Record:
    """Read one line, with or without its newline, and check it against its own hash.

    Raises NotARecord with what is wrong, JournalTooNew for a schema version this program does not know. Keys it
    does not know are kept in `extra`: adding keys does not need a new version.
    """
    line = line.removesuffix(b"\n")
    if len(line) >= LINE_BYTES_MAX:
        raise NotARecord(f"longer than {LINE_BYTES_MAX:,} bytes")
    whole = _parsed(line)
    v = whole.pop("v", None)
    if isinstance(v, int) and v > SCHEMA_VERSION:
        raise JournalTooNew(f"the record has schema version {v}; this program reads up to {SCHEMA_VERSION}")
    if type(v) is not int or v != SCHEMA_VERSION:
        raise NotARecord("the schema version 'v' is missing or not one that was ever written")
    body, seal = line[:-_SEAL_BYTES], line[-_SEAL_BYTES:]
    digest, told = hashlib.sha256(body).hexdigest(), whole.pop("hash", None)
    if told != digest or seal != _seal(digest):
        if not isinstance(told, str) or not _DIGEST.fullmatch(told) or seal != _seal(told):
            raise NotARecord("'hash' is missing, or is not the last key")
        raise NotARecord("its bytes do not give its 'hash': the line was changed")
    at = whole.pop("at", None)
    if not isinstance(at, str) or not _AT.fullmatch(at):
        raise NotARecord("'at' is not a UTC time in milliseconds")
    try:
        return _checked(v, datetime.fromisoformat(at), whole, digest=digest)
    except ValueError as error:
        raise NotARecord(str(error)) from None


def is_torn(tail: bytes) -> bool:
    """Whether the last bytes of a journal can be a write that a crash cut, which was never acknowledged.

    A crash can leave a part of one line, with or without its newline (pages reach a disk in any order). It cannot
    leave a whole line with something behind it, nor a line that ends properly and is wrong: that is a change.
    """
    text = tail.removesuffix(b"\n").decode(errors="replace")
    try:
        whole, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return True
    if not isinstance(whole, dict):
        return True
    return end == len(text) and not tail.endswith(b"\n")


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        text = line.decode()
        whole, end = _STRICT.raw_decode(text)
        if end != len(text):
            _STRICT.decode(text)  # says what is wrong with it
    except UnicodeDecodeError:
        raise NotARecord("not UTF-8 text") from None
    except RecursionError:
        raise NotARecord("nested too deeply") from None
    except ValueError as error:  # JSONDecodeError is one; an endless number is another
        raise NotARecord(f"not JSON: {printable(str(error), 120)}") from None
    if not isinstance(whole, dict):
        raise NotARecord("not a JSON object")
    if b"\\ud" in line.lower() and _HALVES.search(json.dumps(whole, ensure_ascii=False)):
        raise NotARecord("half a character")
    return whole


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a key stands there twice")
    return unique


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number too large for a float")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number JSON knows")


# Made once: `json.loads` would make one for every line.
_STRICT = json.JSONDecoder(object_pairs_hook=_no_key_twice, parse_constant=_no_constant, parse_float=_finite)


def _checked(v: int, at: datetime, whole: Mapping[str, Any], *, digest: str = "") -> Record:
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
    return _record(map(known.get, Record._fields, _DEFAULTS))


def _record(values: Iterable[Any]) -> Record:
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
_HASH = Record._fields.index("hash")
_CORE = slice(Record._fields.index(CORE[0]), Record._fields.index(CORE[-1]) + 1)
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
