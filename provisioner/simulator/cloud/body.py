"""Request bodies of the simulated cloud: form, JSON and multipart into one kind of value (facts, particle-cloud 1).

Rule 1: everything stays in memory (the server caps the size); no temporary files, no threads.
Rule 2: what cannot be read is refused with a JSON answer, as the API's clients expect.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from provisioner.simulator.cloud.api import Body
from provisioner.simulator.cloud.rules import Json, Refused, said_no

_LIST_KEY = re.compile(r"([^\[\]]+)\[\d*\]")
_PARTS_MAX = 1000


def parse_body(content_type: str, raw: bytes) -> Body:
    """The body's fields and files. Raises Refused (400) if it is not what its content type says."""
    if not raw:
        return Body("form" if _is_form(content_type) else "")
    kind, options = parse_options_header(content_type)
    if kind == b"application/json":
        return _json(raw)
    if kind == b"multipart/form-data":
        return _multipart(options.get(b"boundary", b""), raw)
    if _is_form(content_type):
        return Body("form", _fields(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True)))
    return Body()


def _is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


def _fields(pairs: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """`a=1&ids[]=2&ids[]=3` -> {a: "1", ids: ["2", "3"]}; of a repeated plain name the last one counts."""
    plain: dict[str, Json] = {}
    lists: dict[str, list[Json]] = {}
    for name, value in pairs:
        listed = _LIST_KEY.fullmatch(name)
        if listed:
            lists.setdefault(listed[1], []).append(value)
        else:
            plain[name] = value
    return {**plain, **lists}


def _json(raw: bytes) -> Body:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise said_no(400, "Request body is not valid JSON") from None
    if not isinstance(value, dict):
        raise said_no(400, "Request body is not a JSON object")
    return Body("json", value)


@dataclass(slots=True)
class _Part:
    header_name: bytes = b""
    header_value: bytes = b""
    disposition: bytes = b""
    data: bytearray = field(default_factory=bytearray)


class _Parts:
    """Collects the parts of a multipart body from the parser's callbacks, all in memory."""

    def __init__(self, boundary: bytes) -> None:
        self.found: list[_Part] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name,
                "on_header_value": self._value,
                "on_header_end": self._header,
                "on_part_data": self._data,
            },
        )

    def feed(self, raw: bytes) -> None:
        """Parse the whole body. Raises FormParserError."""
        self._parser.write(raw)
        self._parser.finalize()

    def _begin(self) -> None:
        if len(self.found) >= _PARTS_MAX:
            raise FormParserError(f"more than {_PARTS_MAX} parts")
        self.found.append(_Part())

    def _name(self, data: bytes, start: int, end: int) -> None:
        self.found[-1].header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self.found[-1].header_value += data[start:end]

    def _header(self) -> None:
        part = self.found[-1]
        if part.header_name.lower() == b"content-disposition":
            part.disposition = part.header_value
        part.header_name = part.header_value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.found[-1].data += data[start:end]


def _multipart(boundary: bytes, raw: bytes) -> Body:
    refused: Refused = said_no(400, "Request body is not valid multipart/form-data")
    if not boundary:
        raise refused
    try:
        parts = _Parts(boundary)
        parts.feed(raw)
    except FormParserError:
        raise refused from None
    pairs: list[tuple[str, str]] = []
    files: dict[str, bytes] = {}
    for part in parts.found:
        _, options = parse_options_header(part.disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options or name == "file":  # particle-api-js sends a file name of its own making
            files[name] = bytes(part.data)
        else:
            pairs.append((name, part.data.decode("utf-8", "replace")))
    return Body("multipart", _fields(pairs), files)


def bearer_token(authorization: str) -> str | None:
    """The token of an `Authorization: Bearer` header, or None if it is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """User and password of an `Authorization: Basic` header, or None if it is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:  # bad base64 or bad UTF-8
        return None
    return (user, password) if colon else None
