"""The JSON Schema for editors: it accepts what people write, as an ordinary YAML reader sees it, and marks slips."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from provisioner.line.manifest import manifest_schema

ROOT = Path(__file__).parents[2]
GOOD = [
    *sorted((ROOT / "fixtures" / "manifests" / "good").glob("*.yaml")),
    ROOT / "config" / "manifests" / "example.yaml",
]
BAD = ROOT / "fixtures" / "manifests" / "bad"
SEEN_BY_AN_EDITOR = [
    "both_devices_and_file",
    "claim_not_a_mapping",
    "claim_without_to",
    "customer_missing",
    "customer_unexpected",
    "device_not_a_row",
    "device_without_id",
    "devices_empty",
    "devices_not_a_list",
    "expect_not_number",
    "id_not_hex",
    "id_short",
    "key_in_wrong_place",
    "layout_not_rows_by_columns",
    "lot_empty",
    "product_not_a_name",
    "secret_in_manifest",
    "serial_bad",
    "slot_a_list",
    "slot_not_number",
    "slot_too_high",
    "slot_zero",
    "takeover_not_a_list",
    "tray_id_bad",
    "tray_id_long",
    "tray_not_a_mapping",
    "tray_without_devices",
    "tray_without_id",
    "trays_empty",
    "trays_missing",
    "trays_not_a_list",
    "unknown_claim",
    "unknown_claim_key",
    "unknown_device_key",
    "unknown_key",
    "unknown_tray_key",
    "version_2",
    "version_missing",
    "wifi_empty",
]


@pytest.fixture(scope="module")
def validator():
    schema = manifest_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_it_says_which_dialect_it_is():
    assert manifest_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_a_good_manifest_is_accepted_as_a_plain_yaml_reader_sees_it(validator, path):
    document = yaml.safe_load(path.read_text(encoding="utf-8-sig"))

    assert [error.message for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize("name", SEEN_BY_AN_EDITOR)
def test_an_obvious_mistake_is_marked_in_the_editor(validator, name):
    document = yaml.safe_load((BAD / f"{name}.yaml").read_text(encoding="utf-8"))

    assert not validator.is_valid(document)


def test_every_key_tells_an_editor_what_it_is_for():
    schema = manifest_schema()
    parts = [schema, *(schema["$defs"][part] for part in ("TrayPart", "DeviceRow", "ClaimPart"))]

    for part in parts:
        assert part["additionalProperties"] is False
        for key, value in part["properties"].items():
            assert value["description"], key
