"""Stage 1: a manifest file and its lists become trays of listed devices, or every mistake is named."""

import hashlib
import json
import os
import random
from pathlib import Path

import pytest

from provisioner.errors import FileRefused
from provisioner.line.manifest import load_manifest
from provisioner.model import ClaimPolicy, ClaimTo, DeviceID, ListedDevice
from provisioner.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
GOOD = ROOT / "fixtures" / "manifests" / "good"
HEAD = "version: 1\nproduct: tempmon-v100\n"
ID = "3b00210017473532363430"


def write(tmp_path, text, name="manifest.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(path, settings=None):
    with pytest.raises(FileRefused) as caught:
        load_manifest(path, settings)
    return [str(mistake).replace(f"{path.parent}/", "") for mistake in caught.value.mistakes]


def tray(tmp_path, *rows, extra=""):
    return write(
        tmp_path, f"{HEAD}{extra}trays:\n  - id: T-1\n    devices:\n" + "".join(f"      - {row}\n" for row in rows)
    )


# --- what is shipped ---


def test_the_example_of_the_contract_loads_as_it_reads():
    manifest = load_manifest(GOOD / "example.yaml", None)

    policy = ClaimPolicy(ClaimTo.CUSTOMER, "line3+{tray}@example.com")
    owner = "line3+t-0001@example.com"
    assert manifest.product == "tempmon-v100"
    assert manifest.lot == "2026-117"
    assert [tray.file for tray in manifest.trays] == [None, "T-0002.txt"]
    assert list(manifest)[:4] == [
        ListedDevice(DeviceID(ID + "33"), "T-0001", 1, None, policy, owner, "factory-2g", takeover_allowed=False),
        ListedDevice(
            DeviceID(ID + "34"), "T-0001", 2, "PHHMAB804PAKLJZ", policy, owner, "factory-2g", takeover_allowed=False
        ),
        ListedDevice(
            DeviceID("300021001747353236343035"), "T-0001", 3, None, policy, owner, "factory-2g", takeover_allowed=False
        ),
        ListedDevice(
            DeviceID("3c0021001747353236343101"),
            "T-0002",
            1,
            None,
            ClaimPolicy(ClaimTo.NONE),
            None,
            "factory-2g",
            takeover_allowed=False,
        ),
    ]


def test_the_shipped_example_fits_the_shipped_settings():
    line = load_settings(ROOT / "config" / "line.yaml").settings

    manifest = load_manifest(ROOT / "config" / "manifests" / "example.yaml", line)

    assert [len(tray.devices) for tray in manifest.trays] == [3, 4]


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.yaml")), ids=lambda path: path.name)
def test_a_good_manifest_is_accepted(path):
    line = Settings.model_validate({"wifi": {"factory-2g": {"ssid": "Factory-2G"}}})

    assert len(load_manifest(path, line)) > 0


# --- IDs ---


def test_ids_that_look_like_numbers_keep_every_character():
    manifest = load_manifest(GOOD / "ids_that_look_like_numbers.yaml", None)

    assert [device.id for device in manifest] == [
        "300021001747353236343033",
        "001234567012345670123456",
        "030021001747353236343033",
        "300021001747353236343e33",
        "000000000000000000000000",
        "123456789012345678901234",
        "1e0000000000000000000000",
        "300021001747353236343034",
        "001234567012345670123457",
        "999999999999999999999999",
        "0b10101010101010101010ab",
    ]
    assert [tray.id for tray in manifest.trays] == ["007", "1.0"]
    assert manifest.product == "1319"


def test_every_style_of_emailed_list_gives_its_three_devices_in_order():
    manifest = load_manifest(GOOD / "lists_as_emailed.yaml", None)

    assert len(manifest.trays) == 14
    assert [device.id[-2:] for device in manifest] == [f"{n:02d}" for n in range(42)]
    by_name = {tray.id: [(device.slot, device.serial) for device in tray.devices] for tray in manifest.trays}
    assert by_name["comma_with_header.csv"] == [(1, "S-01"), (2, "S-02"), (3, None)]
    assert by_name["semicolon_with_slots.csv"] == [(3, None), (1, None), (2, None)]
    assert by_name["tab.csv"] == [(1, "T-01"), (2, "T-02"), (3, "T-03")]
    assert by_name["plain.txt"] == [(1, None), (2, None), (3, None)]


def test_a_short_id_in_quotes_is_not_told_about_comments(tmp_path):
    plain, quoted = mistakes(tray(tmp_path, "3b0021001747 #3532", '"3b0021001748"'))

    assert "write it in quotes" in plain
    assert "write it in quotes" not in quoted


def test_all_duplicates_name_the_first_place(tmp_path):
    write(tmp_path, f"\n{ID}34\n{ID}33\n", "list.csv")
    path = write(
        tmp_path,
        f'{HEAD}trays:\n  - id: A\n    devices: ["{ID}33"]\n  - {{id: empty, devices: ["{ID}35"]}}\n'
        f"  - id: B\n    file: list.csv\n  - id: C\n    devices: ['{ID}34']\n",
    )

    in_tray, in_list = mistakes(path)

    assert in_list.startswith(
        f"list.csv:3:1: tray B, slot 2: {ID}33 is listed twice, first at manifest.yaml:5, tray A, slot 1"
    )
    assert in_tray.startswith(
        f"manifest.yaml:10:15: tray C, slot 1: {ID}34 is listed twice, first at list.csv:2, tray B, slot 1"
    )


# --- slots and serials ---


def test_a_tray_has_its_own_layout_or_the_manifests_and_tells_which_slots_are_in_use():
    first, second = load_manifest(GOOD / "trays_of_other_layouts.yaml", None).trays

    assert (str(first.layout), first.odd_slots) == ("4x8", [1, 2, 4])
    assert (str(second.layout), second.odd_slots) == ("10x5", None)
    assert load_manifest(GOOD / "example.yaml", None).trays[0].layout is None


def test_a_slot_is_the_position_unless_it_is_written(tmp_path):
    manifest = load_manifest(tray(tmp_path, f"{ID}31", f"{{id: {ID}32, slot: 9999}}", f"{ID}33"), None)

    assert [device.slot for device in manifest] == [1, 9999, 3]


def test_two_trays_of_one_name_are_told_apart_even_on_one_line(tmp_path):
    path = write(tmp_path, f'{HEAD}trays: [{{id: A, devices: ["{ID}31"]}}, {{id: A, devices: ["{ID}32"]}}]\n')

    (found,) = mistakes(path)

    assert "tray 'A' is there twice, first at line 3" in found


def test_a_bad_row_keeps_its_slot(tmp_path):
    first, second = mistakes(tray(tmp_path, f"{ID}31", "{slot: 7}", f"{{id: {ID}33, serial: Ä}}", "[]", f"{ID}34"))[:2]

    assert first.startswith("manifest.yaml:7:9: tray T-1, slot 2: 'id' is missing")
    assert second.startswith("manifest.yaml:8:14: tray T-1, slot 3: 'Ä' is no serial")


def test_positions_count_against_written_slots(tmp_path):
    """A row without a slot takes its position; a row that names the same slot is told who has it."""
    (found,) = mistakes(tray(tmp_path, f"{ID}31", f"{{id: {ID}32, slot: 1}}"))

    assert f"slot 1 is taken by {ID}31 (line 6)" in found


# --- claim, wifi, product, takeover ---


def test_a_tray_overrides_the_whole_claim_policy(tmp_path):
    path = write(
        tmp_path,
        f"{HEAD}wifi: factory-2g\nclaim: {{to: customer, customer: abc}}\ntrays:\n"
        f'  - {{id: A, devices: ["{ID}31"], claim: {{to: online}}, wifi: none}}\n'
        f'  - {{id: B, devices: ["{ID}32"]}}\n',
    )

    first, second = load_manifest(path, None)

    assert (first.claim, first.owner, first.wifi) == (ClaimPolicy(ClaimTo.ONLINE), None, None)
    assert (second.claim.to, second.owner, second.wifi) == (ClaimTo.CUSTOMER, "abc", "factory-2g")


def test_a_customer_template_is_filled_for_each_row(tmp_path):
    path = tray(
        tmp_path,
        f"{{id: {ID.upper()}31, serial: S1, slot: 4}}",
        extra='lot: L7\nclaim: {to: online, customer: "{tray}/{lot}/{slot}/{device}/{serial}"}\n',
    )

    (device,) = load_manifest(path, None)

    assert device.owner == f"t-1/l7/4/{ID}31/s1"


def test_a_mistake_in_a_shared_customer_name_is_told_once(tmp_path):
    trays = "".join(f'  - {{id: T-{n}, devices: ["{ID}{n}"]}}\n' for n in range(10, 30))

    assert len(mistakes(write(tmp_path, f"{HEAD}claim: {{to: customer, customer: ab}}\ntrays:\n{trays}"))) == 1


def test_nothing_follows_from_a_claim_that_is_wrong_already(tmp_path):
    """The tray's own claim is misspelled: the manifest's template is not held against its rows."""
    path = write(
        tmp_path,
        f'{HEAD}claim: {{to: customer, customer: "{{serial}}"}}\ntrays:\n'
        f'  - {{id: A, devices: ["{ID}31"], claim: {{to: nobody}}}}\n',
    )

    (found,) = mistakes(path)

    assert "'to' must be" in found


@pytest.mark.parametrize("text", ["{to: account}", "{to: none}"])
def test_takeover_is_allowed_for_the_named_devices_only(tmp_path, text):
    path = tray(tmp_path, f"{ID}31", f"{ID}32", extra=f'claim: {text}\nallow_takeover: ["{ID.upper()}32"]\n')

    assert [device.takeover_allowed for device in load_manifest(path, None)] == [False, True]


def test_a_product_is_needed_unless_every_tray_claims_to_the_account(tmp_path):
    trays = f'trays:\n  - {{id: A, devices: ["{ID}31"], claim: {{to: account}}}}\n'
    path = write(tmp_path, f"version: 1\n{trays}")
    assert load_manifest(path, None).product is None

    path = write(tmp_path, f'version: 1\n{trays}  - {{id: B, devices: ["{ID}32"]}}\n')
    assert "'product' is missing" in mistakes(path)[0]


def test_a_missing_product_is_not_held_against_a_claim_that_is_wrong_already(tmp_path):
    path = write(tmp_path, f'version: 1\ntrays:\n  - {{id: A, devices: ["{ID}31"], claim: {{to: acount}}}}\n')

    (found,) = mistakes(path)

    assert "'to' must be" in found


def test_without_settings_profiles_and_product_are_taken_as_written(tmp_path):
    path = tray(tmp_path, f"{ID}31", extra="wifi: never-heard-of\n")

    assert [device.wifi for device in load_manifest(path, None)] == ["never-heard-of"]


def test_only_the_lines_own_product_is_taken_on_a_guarded_line(tmp_path):
    path = tray(tmp_path, f"{ID}31")

    assert len(load_manifest(path, Settings(product="tempmon-v100"))) == 1
    assert "is not this line's" in mistakes(path, Settings(product="1319"))[0]


# --- the whole ---


def test_find_gives_the_row_of_every_device_and_none_for_a_stranger():
    for name in ("example.yaml", "lists_as_emailed.yaml", "claim_policies.yaml"):
        manifest = load_manifest(GOOD / name, None)

        assert [manifest.find(device.id) for device in manifest] == list(manifest)
        assert manifest.find(DeviceID("f" * 24)) is None


def test_the_fingerprint_covers_the_manifest_and_every_list(tmp_path):
    write(tmp_path, f"{ID}31\n", "a.txt")
    write(tmp_path, f"{ID}32\n", "b.txt")
    path = write(tmp_path, f"{HEAD}trays:\n  - {{id: B, file: b.txt}}\n  - {{id: A, file: a.txt}}\n")
    files = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in (path.name, "b.txt", "a.txt")]

    before = load_manifest(path, None).sha256
    write(tmp_path, f"{ID}31\n\n", "a.txt")
    after = load_manifest(path, None).sha256

    assert before == hashlib.sha256("".join(f"{digest}\n" for digest in files).encode()).hexdigest()
    assert before != after


def test_mistakes_come_manifest_first_in_the_order_of_lines_and_stop_at_two_hundred(tmp_path):
    write(tmp_path, "".join(f"{n}\n" for n in range(1, 1001)), "bad.txt")
    path = write(tmp_path, f"{HEAD}wifi: [\n]\ntrays:\n  - {{id: A, file: bad.txt}}\n")

    found = mistakes(path)

    assert len(found) == 201
    assert found[0].startswith("manifest.yaml:3:7: 'wifi' must be a single text")
    assert [int(message.split(":")[1]) for message in found[1:200]] == list(range(1, 200))
    assert found[200] == "manifest.yaml: ... and 801 more; correct these first, then check again"


def test_an_unreadable_list_is_not_counted_against_expect(tmp_path):
    (tmp_path / "a.txt").write_bytes(f"{ID}31\n".encode() + b"\xff\xff\n")

    found = mistakes(write(tmp_path, f"{HEAD}trays:\n  - {{id: A, expect: 5, file: a.txt}}\n"))

    assert len(found) == 1
    assert "not UTF-8" in found[0]


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "outside.txt").write_text(f"{ID}31\n")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "list.txt").symlink_to(tmp_path / "outside.txt")

    (found,) = mistakes(write(folder, f"{HEAD}trays:\n  - {{id: A, file: list.txt}}\n"))

    assert "does not stay inside the manifest's folder" in found


def test_an_absolute_name_is_refused_even_inside_the_folder(tmp_path):
    """The manifest would not be the same on the next computer."""
    write(tmp_path, f"{ID}31\n", "a.txt")

    (found,) = mistakes(write(tmp_path, f"{HEAD}trays:\n  - {{id: A, file: {tmp_path}/a.txt}}\n"))

    assert "give its name as seen from there" in found


def test_a_list_in_a_subfolder_is_read(tmp_path):
    (tmp_path / "lists").mkdir()
    write(tmp_path, f"{ID}31\n", "lists/a.txt")

    assert len(load_manifest(write(tmp_path, f"{HEAD}trays:\n  - {{id: A, file: lists/a.txt}}\n"), None)) == 1


def test_a_hundred_thousand_devices_from_lists_come_back_exactly(tmp_path):
    dice = random.Random(117)
    ids = list({f"{dice.getrandbits(96):024x}" for _ in range(100_000)})
    lines = [HEAD, "trays:\n"]
    for number in range(4):
        write(tmp_path, "\n".join(ids[number::4]), f"{number}.txt")
        lines.append(f"  - {{id: T-{number}, expect: {len(ids[number::4])}, file: {number}.txt}}\n")

    manifest = load_manifest(write(tmp_path, "".join(lines)), None)

    assert len(manifest) == len(ids)
    assert [device.id for device in manifest] == [device for number in range(4) for device in ids[number::4]]
    for place in dice.sample(range(len(ids)), 1000):
        found = manifest.find(DeviceID(ids[place]))
        assert (found.tray, found.slot) == (f"T-{place % 4}", place // 4 + 1)


# --- hostile input ---


def test_a_manifest_of_fifty_megabytes_is_refused_by_its_size(tmp_path):
    path = tmp_path / "manifest.yaml"
    with path.open("wb") as file:
        file.truncate(50_000_000)

    assert mistakes(path) == [
        "manifest.yaml: the file has 50,000,000 bytes, more than 16,777,216; put long device lists into `file:` lists"
    ]


def test_a_list_above_the_cap_is_refused_by_its_size(tmp_path):
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(70_000_000)

    (found,) = mistakes(write(tmp_path, f"{HEAD}trays:\n  - {{id: A, file: a.txt}}\n"))

    assert "'a.txt': the file has 70,000,000 bytes" in found


@pytest.mark.parametrize(
    "text",
    ["[" * 10_000, "[" * 10_000 + "]" * 10_000, "{a: " * 10_000, "a:\n" + "".join(" " * n + "-\n" for n in range(200))],
    ids=["open", "closed", "mappings", "block"],
)
def test_ten_thousand_levels_of_nesting_are_refused(tmp_path, text):
    assert "nested too deeply" in mistakes(write(tmp_path, text))[0]


@pytest.mark.parametrize("name", ["manifest.yaml", "list.txt"])
def test_a_pipe_is_never_opened(tmp_path, name):
    """Reading it would wait for ever."""
    write(tmp_path, f"{HEAD}trays:\n  - {{id: A, file: list.txt}}\n")
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)

    assert "not a plain file" in mistakes(tmp_path / "manifest.yaml")[0]


def test_a_list_of_nothing_but_mistakes_is_counted_not_kept(tmp_path):
    write(tmp_path, "x\n" * 50_000, "a.txt")

    found = mistakes(write(tmp_path, f"{HEAD}trays:\n  - {{id: A, file: a.txt}}\n"))

    assert len(found) == 201
    assert "... and 49,800 more" in found[-1]


@pytest.mark.parametrize("key", ["id", "slot", "serial"])
def test_a_token_in_a_row_is_refused_and_not_repeated(tmp_path, key):
    token = "deadbeef" * 5
    row = {"id": f"{ID}31", "slot": "1", "serial": "S1"} | {key: token}

    found = mistakes(tray(tmp_path, json.dumps(row)))

    assert f"'{key}' holds a secret" in found[0]
    assert len(found) == 1


def test_a_token_as_lot_does_not_come_out_in_a_customers_name(tmp_path):
    token = "deadbeef" * 5

    found = mistakes(tray(tmp_path, f"{ID}31", extra=f"lot: {token}\nclaim: {{to: customer, customer: '{{lot}} x'}}\n"))

    assert "'lot' holds a secret" in found[0]
    assert not any(token in message for message in found)


@pytest.mark.parametrize(
    "extra",
    [
        "wifi: {}\n",
        "lot: {}\n",
        "product2: {}\n",
        "allow_takeover: [{}]\n",
        "allow_takeover: {}\n",
        "claim: {{to: {}}}\n",
        "claim: {{to: customer, customer: {}}}\n",
        "claim: {}\n",
    ],
)
def test_a_token_anywhere_is_told_once_and_not_repeated(tmp_path, extra):
    found = mistakes(tray(tmp_path, f"{ID}31", extra=extra.format("deadbeef" * 5)))

    assert len(found) == 1
    assert "secrets never stand in YAML" in found[0]
    assert "deadbeef" not in found[0]
