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
import hashlib
import json
import math
import re
from collections.abc import Mapping, Set
from datetime import UTC, datetime
from typing import Any

from provisioner.errors import JournalTooNew
from provisioner.journal.fields import CORE, JSON, OUR_KEYS, SCHEMA_VERSION, Record, checked, from_values
from provisioner.model import DeviceID, harmless_json, printable
from provisioner.secrets import Secret

LINE_BYTES_MAX = 8 * 1024 * 1024  # run.started names every tray; 40,000 of them are about 1 MB

_HEAD = ("v", "seq", "at", "mono_ms", "run", "event")
_SEALS = ("prev", "hash")
_RESERVED = frozenset((*_HEAD, *_SEALS))
_HASH = Record._fields.index("hash")
_CORE = slice(Record._fields.index(CORE[0]), Record._fields.index(CORE[-1]) + 1)

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
    if not OUR_KEYS.issuperset(plain):
        _require_keys(plain.keys() - OUR_KEYS)
    device = fields.get("device")
    if isinstance(device, str):  # SoftAP's upper case becomes the one spelling
        plain["device"] = device if type(device) is DeviceID else DeviceID.parse(device)
    whole = {"seq": seq, "mono_ms": mono_ms, "run": run, "event": event, "prev": prev, **plain}
    record = checked(SCHEMA_VERSION, _whole_ms(at), whole)
    body = _body(record)
    digest = hashlib.sha256(body).hexdigest()
    line = _sealed(body, digest)
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"a record of {len(line):,} bytes; {LINE_BYTES_MAX:,} are the most")
    return from_values((*record[:_HASH], digest, *record[_HASH + 1 :])), line


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
        return checked(v, datetime.fromisoformat(at), whole, digest=digest)
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
