"""What holds for every list of IDs, and for every heap of bytes."""

import random
import re
import string

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from provisioner.errors import FileRefused
from provisioner.line import device_list
from provisioner.line.manifest import load_manifest
from provisioner.model import DeviceID

HEAD = "version: 1\nproduct: 1319\ntrays:\n  - id: T\n"
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def same_length(alphabet):
    return st.text(alphabet, min_size=24, max_size=24)


# Mostly IDs that some reader would take for a number: all digits, octal, one e among digits, 0x, 0b.
device_ids = st.one_of(
    same_length("0123456789abcdef"),
    same_length("0123456789"),
    same_length("01"),
    st.builds(
        lambda a, b: f"{a}e{b}"[:24].ljust(24, "7"), st.text("0123456789", min_size=1, max_size=22), st.just("12")
    ),
    st.sampled_from(["0b", "00", "0e", "1e"]).flatmap(
        lambda start: same_length("0123456789").map(lambda t: start + t[2:])
    ),
)
lists = st.lists(device_ids, min_size=1, max_size=12, unique=True)
spelled = st.sampled_from([str.lower, str.upper, str.capitalize])


def outcome(path):
    """Devices, or mistakes: anything but FileRefused goes up."""
    try:
        return list(load_manifest(path, None)), ()
    except FileRefused as refused:
        return [], refused.mistakes


def ids_of(path):
    return [str(device.id) for device in load_manifest(path, None)]


@quick
@given(ids=lists, case=spelled, quote=st.sampled_from(["", '"', "'"]), data=st.data())
def test_ids_written_inline_come_back_exactly(tmp_path, ids, case, quote, data):
    flow = data.draw(st.booleans())
    rows = [f"{quote}{case(text)}{quote}" for text in ids]
    listing = f"[{', '.join(rows)}]" if flow else "".join(f"\n      - {row}" for row in rows)
    path = tmp_path / "m.yaml"
    path.write_text(f"{HEAD}    devices: {listing}\n")

    assert ids_of(path) == ids


@quick
@given(
    ids=lists,
    case=spelled,
    quote=st.sampled_from(["", '"', "'"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.booleans(),
    between=st.sampled_from(["", "  ", "# note"]),
    shape=st.sampled_from(["{id}", "  {id}  ", "{id},x", "x;{id};", "\t{id}"]),
    header=st.booleans(),
)
def test_ids_in_a_list_come_back_exactly(  # noqa: PLR0917
    tmp_path, ids, case, quote, end, bom, between, shape, header
):
    rows = [shape.format(id=f"{quote}{case(text)}{quote}") for text in ids]
    if header:
        rows.insert(0, shape.format(id="Device ID"))
    text = end.join(line for row in rows for line in (row, *([between] if between else []))) + end
    (tmp_path / "list.csv").write_bytes(text.encode("utf-8-sig" if bom else "utf-8"))
    path = tmp_path / "m.yaml"
    path.write_text(f"{HEAD}    file: list.csv\n")

    assert ids_of(path) == ids


@quick
@given(ids=lists, data=st.data())
def test_a_changed_row_is_named_by_its_slot_and_nothing_else_is(tmp_path, ids, data):
    place = data.draw(st.integers(0, len(ids) - 1))
    broken = data.draw(st.sampled_from(["", "g", "0", " ", "é"]))
    rows = [*ids]
    rows[place] = ids[place][:-1] if broken == "" else ids[place][:-1] + broken + ("1" if broken == " " else "7")
    path = tmp_path / "m.yaml"
    path.write_text(HEAD + "    devices:\n" + "".join(f'      - "{row}"\n' for row in rows), encoding="utf-8")

    with pytest.raises(FileRefused) as caught:
        load_manifest(path, None)
    (mistake,) = caught.value.mistakes

    assert mistake.where == f"tray T, slot {place + 1}"
    assert mistake.line == 6 + place


@quick
@given(data=st.binary(max_size=400))
@example(b"\xef\xbb\xbf")
@example(b"a: \xf0\x9f\x98\x80")
@example(b"? a\n: b")
@example(b"%YAML 9.9\n---\na: b")
@example("version: ١".encode())
def test_bytes_are_loaded_or_refused_and_nothing_else(tmp_path, data):
    path = tmp_path / "m.yaml"
    path.write_bytes(data)

    with pytest.raises(FileRefused):
        load_manifest(path, None)


@quick
@given(data=st.binary(max_size=400) | st.text(string.printable + "\x00\ufeff\u2028é", max_size=300).map(str.encode))
@example(b'device_id,"\n"')
@example(b'a;"b\n"\r\n')
def test_any_bytes_as_a_list_are_rows_or_refused_and_nothing_else(data):
    refused = []

    rows = list(device_list.rows(data, lambda *mistake: refused.append(mistake)))

    assert all(row.line >= 1 and row.column >= 1 for row in rows)
    assert all(what and remedy for _, _, what, remedy in refused)


words = st.sampled_from(
    [
        "version",
        "product",
        "lot",
        "wifi",
        "claim",
        "to",
        "customer",
        "allow_takeover",
        "trays",
        "id",
        "expect",
        "devices",
        "file",
        "slot",
        "serial",
        "none",
        "1",
        "x",
    ]
)
values = st.recursive(
    words | st.integers() | st.none() | st.text(max_size=8) | device_ids,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=25,
)


@settings(parent=quick, max_examples=150)
@given(document=st.dictionaries(words, values, max_size=8))
@example(
    {"version": 1, "product": "p", "trays": [{"id": "a", "devices": [{"id": "1" * 24}], "claim": {"to": "online"}}]}
)
@example({"trays": [{"file": "."}, {"file": ""}, {"file": "x\ny"}, {"file": "/"}, {"file": ".."}, {"file": "~"}]})
def test_any_yaml_is_loaded_or_refused_and_nothing_else(tmp_path, document):
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")

    devices, mistakes = outcome(path)

    assert devices or mistakes
    assert all(isinstance(device.id, DeviceID) for device in devices)
    assert all(mistake.what and mistake.remedy and str(mistake).isprintable() for mistake in mistakes)


@settings(parent=quick, max_examples=100)
@given(seed=st.integers(0, 2**32), keep=st.integers(0, 100))
def test_a_good_manifest_with_bytes_changed_is_loaded_or_refused(tmp_path, seed, keep):
    dice = random.Random(seed)
    text = (
        "version: 1\nproduct: 1319\nlot: 'a'\nclaim: {to: online, customer: '{tray}{lot}{serial}'}\ntrays:\n"
        "  - id: T\n    expect: 2\n    devices:\n      - {id: 3b0021001747353236343033, serial: A1, slot: 2}\n"
        "      - {id: '300021001747353236343034', serial: A2, slot: 1}\n"
    )
    data = bytearray(text.encode())
    for _ in range(dice.randrange(1, 6)):
        data[dice.randrange(len(data))] = dice.choice(b"{}[]:,'\"\n#&*!-? 0a\x00\xff")
    path = tmp_path / "m.yaml"
    path.write_bytes(bytes(data))

    devices, mistakes = outcome(path)

    assert devices or mistakes
    assert all(re.fullmatch(r"[0-9a-f]{24}", device.id) for device in devices)
