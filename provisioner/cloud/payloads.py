"""What the cloud's answers hold: bytes in, frozen types out (facts: particle-cloud 2-8, 14).

Rule 1: fields that we do not know are skipped (the API adds and reorders fields at any time); a field that must be
there and is not, or has another type, is `CloudReplyUnreadable` with the field's name. Values never stand in messages.
Rule 2: an absent `online` or `quarantined` is False and an absent owner is None, because that is how the API writes
an unclaimed device that has never been online; everything that could let a device pass wrongly must be present.
Rule 3: one spelling: device IDs and echoes of imported IDs lower case, times in UTC.
Refusals (4xx, 5xx) are read in refusals.py.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from provisioner.errors import CloudReplyUnreadable
from provisioner.model import CloudDevice, DeviceID
from provisioner.secrets import ClaimCode, Secret

_TEXT_CHARACTERS_MAX = 1_000
_TOKEN_CHARACTERS_MAX = 4_096
_NUMBER_MAX = 2**53
_HEADER_SAFE = re.compile(r"[\x21-\x7e]{1,4096}")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. `expires_in_s` counts from the answer, None means never; `scope` is `customer=<id>` or None."""

    access_token: Secret
    expires_in_s: float | None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class ProductInfo:
    """A product. `platform_id` 6 is the Photon, 8 the P1."""

    id: int
    slug: str
    platform_id: int
    name: str


@dataclass(frozen=True, slots=True)
class ImportReply:
    """What became of imported IDs, each trimmed and in lower case; `updated` counts the newly added.

    `legacy` is True when the answer does not tell added from existing (2017: three fields); then what is in no list
    is in the product, and only a listing tells whether it was before.
    """

    added: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    nonmember: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    updated: int = 0
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class DevicePage:
    """One page of a product's list."""

    devices: tuple[CloudDevice, ...]
    total_pages: int


def read_token(body: bytes) -> Token:
    """POST /oauth/token and POST .../customers: `access_token`; 0, null and no `expires_in` all mean never."""
    row = _Row.of(body, "get a token")
    token = row.needed_text("access_token", _TOKEN_CHARACTERS_MAX)
    if not _HEADER_SAFE.fullmatch(token):
        raise row.unreadable("access_token", "cannot be sent in a header")
    return Token(Secret(token), row.seconds("expires_in"), row.text("scope"))


def read_product(body: bytes) -> ProductInfo:
    """GET /v1/products/:p. `product` was a list of one in 2018 and is an object since 2019."""
    envelope = _Row.of(body, "read a product")
    value = envelope.value("product")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    row = _Row(value, envelope.what, "product")
    return ProductInfo(
        row.needed_whole("id"), row.needed_text("slug"), row.needed_whole("platform_id"), row.text("name") or ""
    )


def read_import(body: bytes) -> ImportReply:
    """POST /v1/products/:p/devices, both generations. Echoes are what was passed, so they may be serial numbers."""
    row = _Row.of(body, "import devices")
    added, existing = row.texts("updatedDeviceIds"), row.texts("existingDeviceIds")
    invalid, nonmember = row.texts("invalidDeviceIds"), row.texts("nonmemberDeviceIds")
    if invalid is None:
        raise row.unreadable("invalidDeviceIds", "is missing")
    if nonmember is None:
        raise row.unreadable("nonmemberDeviceIds", "is missing")
    return ImportReply(
        added=_echoes(added or ()),
        existing=_echoes(existing or ()),
        invalid=_echoes(invalid),
        nonmember=_echoes(nonmember),
        protected=_echoes(row.texts("protectedDeviceIds") or ()),
        updated=row.needed_whole("updated"),
        legacy=added is None or existing is None,
    )


def _echoes(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.strip().lower() for text in texts)


def read_page(body: bytes, product: ProductInfo) -> DevicePage:
    """GET /v1/products/:p/devices: `devices`, `meta.total_pages`, and `customers` to name owners by."""
    envelope = _Row.of(body, "list devices")
    rows = envelope.value("devices")
    if not isinstance(rows, list):
        raise envelope.unreadable("devices", "is not a list")
    meta = _Row(envelope.value("meta"), envelope.what, "meta")
    customers = _customer_names(envelope)
    devices = tuple(
        _device(_Row(row, envelope.what, f"devices[{index}]"), product, customers) for index, row in enumerate(rows)
    )
    return DevicePage(devices, meta.needed_whole("total_pages"))


def _customer_names(envelope: _Row) -> Mapping[str, str]:
    """`customers` of a page, by ID; an addition to the rows, so what does not fit is skipped."""
    listed = envelope.value("customers")
    names: dict[str, str] = {}
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and isinstance(item.get("id"), str) and isinstance(item.get("username"), str):
            names[item["id"]] = _whole_characters(item["username"][:_TEXT_CHARACTERS_MAX])
    return names


def read_device(body: bytes, product: ProductInfo | None) -> CloudDevice:
    """GET .../devices/:id. Without a product nothing is known about membership, so `in_product` is False."""
    return _device(_Row.of(body, "read a device"), product, {})


def read_claim_code(body: bytes) -> ClaimCode:
    """POST .../device_claims: `claim_code` of exactly 63 characters. `device_ids` (all the owner has) is skipped."""
    row = _Row.of(body, "make a claim code")
    with contextlib.suppress(ValueError):
        return ClaimCode(row.needed_text("claim_code"))
    raise row.unreadable("claim_code", "is not 63 base64 characters")


def read_ok(body: bytes, what: str) -> None:
    """Claim by ID and DELETE .../owner: `{"ok": true}`, whatever else is in there."""
    row = _Row.of(body, what)
    if row.flag("ok") is not True:
        raise row.unreadable("ok", "is not true")


def read_anything(body: bytes, what: str) -> None:
    """Whatever the API says, it is a JSON object."""
    _Row.of(body, what)


def in_product(row_product_id: int | None, product: ProductInfo, *, quarantined: bool, denied: bool) -> bool:
    """Whether a row is a member. A quarantined row shows the *platform* as product_id (facts: particle-cloud 3)."""
    return row_product_id == product.id and not quarantined and not denied


def _device(row: _Row, product: ProductInfo | None, customers: Mapping[str, str]) -> CloudDevice:
    try:
        device_id = DeviceID.parse(row.needed_text("id"))
    except ValueError:
        raise row.unreadable("id", "is not a device ID") from None
    product_id = row.whole("product_id") if product is None else row.needed_whole("product_id")
    quarantined, denied = row.flag("quarantined") or False, row.flag("denied") or False
    online = row.flag("online")
    return CloudDevice(
        id=device_id,
        online=bool(row.flag("connected") if online is None else online),  # `connected` is the old name
        owner=_owner(row, customers),
        in_product=product is not None and in_product(product_id, product, quarantined=quarantined, denied=denied),
        quarantined=quarantined,
        denied=denied,
        last_handshake_at=row.time("last_handshake_at"),
        last_heard=row.time("last_heard"),
        serial_number=row.text("serial_number"),
        platform_id=row.whole("platform_id"),
        product_id=product_id,
        name=row.text("name"),
    )


def _owner(row: _Row, customers: Mapping[str, str]) -> str | None:
    """The owner's name. A row with an owner's ID but no name is owned all the same: then the ID stands for the name.

    Taking such a device for free would let a claim code take it over.
    """
    customer_id = row.text("customer_id")
    named = customers.get(customer_id) if customer_id else None
    return row.text("owner") or named or customer_id or row.text("user_id") or None


class _Row:
    """One JSON object, read field by field. null counts as absent; every complaint names the field."""

    def __init__(self, value: object, what: str, at: str = "") -> None:
        self.what = what
        self.at = at
        if not isinstance(value, dict):
            raise self.unreadable("", "is not an object")
        self._fields = value

    @classmethod
    def of(cls, body: bytes, what: str) -> _Row:
        try:
            value = _STRICT.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
        except (ValueError, RecursionError):
            value = None
        return cls(value, what)

    def unreadable(self, name: str, complaint: str) -> CloudReplyUnreadable:
        field = ".".join(part for part in (self.at, name) if part)
        subject = f"field {field}" if field else "it"
        return CloudReplyUnreadable(
            f"When asked to {self.what}, something answered that is not the API: {subject} {complaint}"
        )

    def value(self, name: str) -> object:
        return self._fields.get(name)

    def text(self, name: str, characters_max: int = _TEXT_CHARACTERS_MAX) -> str | None:
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.unreadable(name, "is not a text")
        if len(value) > characters_max:  # it would go into journals, tables and pages
            raise self.unreadable(name, "is longer than any text of the API")
        return _whole_characters(value)

    def needed_text(self, name: str, characters_max: int = _TEXT_CHARACTERS_MAX) -> str:
        text = self.text(name, characters_max)
        if not text:
            raise self.unreadable(name, "is missing")
        return text

    def texts(self, name: str) -> tuple[str, ...] | None:
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.unreadable(name, "is not a list of texts")
        return tuple(_whole_characters(item) for item in value)

    def whole(self, name: str) -> int | None:
        value = self.value(name)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _NUMBER_MAX:
            return value
        raise self.unreadable(name, "is not a whole number")

    def needed_whole(self, name: str) -> int:
        value = self.whole(name)
        if value is None:
            raise self.unreadable(name, "is missing")
        return value

    def flag(self, name: str) -> bool | None:
        value = self.value(name)
        if value is None or isinstance(value, bool):
            return value
        raise self.unreadable(name, "is not true or false")

    def seconds(self, name: str) -> float | None:
        """None when absent or 0. Raises for what is no span of time."""
        value = self.value(name)
        if value is None or value == 0:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12 or math.isnan(value):
            raise self.unreadable(name, "is not a number of seconds")
        return float(value)

    def time(self, name: str) -> datetime | None:
        """ISO 8601 as UTC; without a zone it is taken for UTC."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return _utc(text)
        except (ValueError, OverflowError):
            raise self.unreadable(name, "is not a time") from None


@functools.lru_cache(maxsize=1024)  # a page of devices says the same few times again and again
def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The API says everything once; what says `owner` twice is somebody else, and each reader would see another."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key occurs twice")
    return fields


# Made once: `json.loads` would make one for every answer.
_STRICT = json.JSONDecoder(object_pairs_hook=_each_key_once)


def _whole_characters(text: str) -> str:
    """JSON can escape half a surrogate pair, which no file or terminal can take."""
    return text.encode("utf-8", "backslashreplace").decode()
