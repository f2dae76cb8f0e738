"""The shape of a manifest: its keys, their types and what an editor shows about them.

Rule 1: one set of models says it both to the loader and, as JSON Schema, to editors.
Rule 2: the loader hands them text (`strict_yaml`), one part at a time: trays and rows are skipped here, so that one
bad row does not hide the others. The schema sees what an ordinary YAML reader makes of the same file, so it lets
an unquoted ID of digits be a number.
Rule 3: what one value says about another is not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation, WithJsonSchema

from provisioner.model import ClaimTo, TrayLayout, printable

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _a_list(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError("not a list; write one entry a line, each after '- '")
    return value


def _text(pattern: str, rule: str) -> AfterValidator:
    """Check a text against `pattern`; `rule` completes the sentence `write ...`."""

    def check(value: str) -> str:
        if not value:
            raise ValueError(f"empty; write {rule}")
        if not re.fullmatch(pattern, value) or printable(value, len(value)) != value:
            raise ValueError(f"'{printable(value)}' cannot be used; write {rule}")
        return value

    return AfterValidator(check)


def _a_claim(value: object) -> object:
    if not isinstance(value, dict | ClaimPart):
        raise ValueError("not a block of keys; write it as {to: none}")
    return value


def _count(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,7}", value):
        raise ValueError("not a whole number; write how many devices the tray holds")
    return int(value)


_ID_SCHEMA = {
    "description": "Device ID: 24 hex digits as on the label. Quote it: other YAML readers make a number of some IDs.",
    "anyOf": [{"type": "string", "pattern": "^[0-9a-fA-F]{24}$"}, {"type": "integer", "minimum": 0}],
}
_NAME = r"[A-Za-z0-9._-]{1,32}"
_NAME_SCHEMA = {"anyOf": [{"type": "string", "pattern": f"^{_NAME}$"}, {"type": "integer", "minimum": 0}]}

DeviceText = Annotated[str, WithJsonSchema(_ID_SCHEMA)]
SlotText = Annotated[str, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 9999})]
SerialText = Annotated[
    str, WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^[ -~]{1,32}$"}, {"type": "integer"}]})
]
Count = Annotated[int, BeforeValidator(_count), WithJsonSchema({"type": "integer", "minimum": 1})]
TrayName = Annotated[str, _text(_NAME, "1 to 32 of A-Z a-z 0-9 . _ -"), WithJsonSchema(_NAME_SCHEMA)]
WifiName = Annotated[
    str, _text(_NAME, "the name of a Wi-Fi profile, or none"), WithJsonSchema({"type": "string", "minLength": 1})
]
FileName = Annotated[str, _text(r".{1,255}", "a file name"), WithJsonSchema({"type": "string", "minLength": 1})]
ProductName = Annotated[
    str,
    _text(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "the product's number or its short name (a-z 0-9 -)"),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}, {"type": "integer"}]}),
]
LotName = Annotated[
    str, _text(r".{1,64}", "1 to 64 letters, digits or signs"), WithJsonSchema({"type": ["string", "number"]})
]


def _layout(value: str) -> str:
    TrayLayout.parse(value)
    return value


LayoutText = Annotated[
    str, AfterValidator(_layout), WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]?x[1-9][0-9]?$"})
]


class Part(BaseModel):
    """A block of keys. `stand_ins` replace required or inherited values that are wrong, so that reading can go on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stand_ins: ClassVar[Mapping[str, object]] = {}


class ClaimPart(Part):
    """Who shall own the devices in the end."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"to": {"const": "customer"}}},
            "then": {"required": ["customer"]},
            "else": {
                "if": {"properties": {"to": {"const": "online"}}},
                "else": {"not": {"required": ["customer"]}},
            },
        }
    )
    stand_ins: ClassVar[Mapping[str, object]] = {"to": ClaimTo.NONE}

    to: ClaimTo = Field(
        description="none: product membership only. account: the account whose token we hold. customer: a shadow "
        "customer, by claim code. online: a customer or the account, once the cloud sees the device."
    )
    customer: str | None = Field(
        None, description="The customer's name; {tray} {lot} {slot} {device} {serial} are filled in.", min_length=1
    )


Claim = Annotated[ClaimPart, BeforeValidator(_a_claim)]
NO_CLAIM = ClaimPart(to=ClaimTo.NONE)
BROKEN_CLAIM = ClaimPart(to=ClaimTo.NONE)  # told by identity: a claim with mistakes, from which nothing follows


class DeviceRow(Part):
    """One device with its slot or serial."""

    stand_ins: ClassVar[Mapping[str, object]] = {"id": ""}

    id: DeviceText
    slot: SlotText | None = Field(None, description="Place in the tray; left out, it is the row's position from 1.")
    serial: SerialText | None = Field(None, description="Serial number from the label; unique in the manifest.")


class TrayPart(Part):
    """One tray: its devices here, or in a list."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["devices"]}, {"required": ["file"]}]})
    stand_ins: ClassVar[Mapping[str, object]] = {"id": "-", "claim": BROKEN_CLAIM}

    id: TrayName = Field(description="The tray's label; unique in the manifest.")
    expect: Count | None = Field(None, description="How many devices the tray holds; checked against the list.")
    devices: Annotated[SkipValidation[tuple[DeviceText | DeviceRow, ...] | None], BeforeValidator(_a_list)] = Field(
        None, description="Device IDs in the order of the tray.", json_schema_extra={"minItems": 1}
    )
    file: FileName | None = Field(
        None, description="A list of device IDs as e-mailed (TXT or CSV), named relative to the manifest."
    )
    wifi: WifiName | None = Field(None, description="Wi-Fi profile for this tray instead of the manifest's; or none.")
    claim: Claim | None = Field(None, description="Claim policy for this tray instead of the manifest's.")
    layout: LayoutText | None = Field(None, description="Rows x columns of this tray instead of the manifest's.")


class ManifestFile(Part):
    """Trays of Photon device IDs, and what shall become of them."""

    stand_ins: ClassVar[Mapping[str, object]] = {"version": "1", "claim": BROKEN_CLAIM, "trays": []}

    version: Annotated[Literal["1"], WithJsonSchema({"const": 1})] = Field(description="Version of this format.")
    product: ProductName | None = Field(
        None, description="Product, by number or short name; needed unless every tray claims to: account."
    )
    lot: LotName | None = Field(None, description="Lot or order number; {lot} in names of customers.")
    wifi: WifiName | None = Field(None, description="Wi-Fi profile of config/line.yaml that devices get; or none.")
    claim: Claim = Field(NO_CLAIM, description="Who shall own the devices; a tray can say otherwise.")
    layout: LayoutText | None = Field(
        None, description="Rows x columns of a tray as it lies on the bench, for the tray map; slot 1 is top left."
    )
    allow_takeover: Annotated[SkipValidation[tuple[DeviceText, ...]], BeforeValidator(_a_list)] = Field(
        (), description="Devices that may be taken from their present owner."
    )
    trays: Annotated[SkipValidation[tuple[TrayPart, ...]], BeforeValidator(_a_list)] = Field(
        description="At least one tray.", json_schema_extra={"minItems": 1}
    )


KNOWN_KEYS = frozenset(key for part in (ManifestFile, TrayPart, DeviceRow, ClaimPart) for key in part.model_fields)


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a manifest, for editors."""
    schema: dict[str, Any] = _without_noise(ManifestFile.model_json_schema())
    return {"$schema": DIALECT, **schema, "title": "provisioner manifest"}


def _without_noise(node: Any) -> Any:
    """Drop generated titles and nulls: an absent key is left out in YAML, never written as null."""
    if isinstance(node, list):
        return [_without_noise(item) for item in node]
    if not isinstance(node, dict):
        return node
    noise = {key for key, value in node.items() if value is None or (key == "title" and isinstance(value, str))}
    kept = {key: _without_noise(value) for key, value in node.items() if key not in noise}
    options = kept.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        options.remove({"type": "null"})
        if len(options) == 1:
            del kept["anyOf"]
            kept = {**options[0], **kept}
    return kept
