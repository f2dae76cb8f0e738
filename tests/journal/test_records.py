"""Records as bytes: one order of keys, one hash, no secret, nothing that harms a terminal."""

import hashlib
import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import Blame, JournalTooNew
from provisioner.journal.fields import CORE, GENESIS, Fields
from provisioner.journal.records import NotARecord, compose, decode, encode, is_torn
from provisioner.model import DeviceID, Outcome
from provisioner.secrets import ClaimCode, Secret

AT = datetime(2026, 11, 20, 23, 16, 0, 123_456, tzinfo=UTC)
DEVICE = DeviceID("3b0021001747353236343033")


def composed(event="device.confirmed", *, at=AT, **fields):
    return compose(event, fields, seq=7, at=at, mono_ms=4_211, run="20261120T231600Z-4f2a", prev=GENESIS)


def rehashed(changes):
    """A line of our own making whose hash is right although its content is not."""
    whole = json.loads(composed(station="ST1")[1])
    whole |= changes
    whole.pop("hash")
    body = json.dumps(whole, separators=(",", ":"))[:-1].encode()
    return body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def test_keys_stand_in_the_order_of_the_contract_whatever_the_order_of_the_call():
    fields = {
        "counts": {"devices": 3}, "evidence": {"online": True}, "detail": "seen", "remedy": "none", "code": "c",
        "blame": Blame.SITE, "outcome": Outcome.PASS, "step": "confirming", "attempt": 2, "bssid": "aa:bb:cc:dd:ee:ff",
        "ssid": "Photon-7K3M", "device": DEVICE, "slot": 3, "tray": "T-0001", "operator": "Ada", "station": "ST1",
        "serial": "X",
    }  # fmt: skip

    _, line = composed(**fields)

    contract = "v seq at mono_ms run event station operator tray slot device ssid bssid attempt step outcome code blame"
    assert [*contract.split(), "remedy", "evidence", "detail", "counts", "serial", "prev", "hash"] == list(
        json.loads(line)
    )


def test_a_field_without_a_value_is_left_out():
    _, line = composed(station="ST1", tray=None, owner=None)

    assert {"v", "seq", "at", "mono_ms", "run", "event", "station", "prev", "hash"} == set(json.loads(line))


def test_the_hash_is_over_the_bytes_before_it():
    record, line = composed(station="ST1")

    body, _, rest = line.partition(b',"hash":"')
    assert hashlib.sha256(body).hexdigest() == record.hash
    assert f'{record.hash}"}}\n'.encode() == rest


def test_time_is_utc_in_whole_milliseconds():
    at = AT.astimezone(timezone(timedelta(hours=8)))

    record, line = composed(at=at)

    assert json.loads(line)["at"] == "2026-11-20T23:16:00.123Z"
    assert record.at == AT.replace(microsecond=123_000)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        composed(at=datetime(2026, 11, 20))  # noqa: DTZ001


@pytest.mark.parametrize("event", ["confirmed", "Device.confirmed", "device confirmed", "device.", ".x", "a.b\n", ""])
def test_an_event_that_is_not_dotted_lower_case_is_refused(event):
    with pytest.raises(ValueError, match="not an event"):
        composed(event)


CODE = ClaimCode("c" * 63)


@pytest.mark.parametrize(
    "fields",
    [
        {"detail": Secret("hunter2")},
        {"claim_code": CODE},
        {"evidence": {"token": Secret("hunter2")}},
        {"evidence": {"deep": [{"deeper": (1, CODE)}]}},
        {"stations": ["ST1", Secret("hunter2")]},
    ],
)
def test_a_secret_anywhere_is_refused_and_not_told(fields):
    with pytest.raises(ValueError, match="a secret in") as refused:
        composed(**fields)

    assert "hunter2" not in str(refused.value)
    assert "ccc" not in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"seq": 3}, {"hash": "0"}, {"run": "x"}, {"Slot": 3}, {"a b": 1}, {"slot": "3"}, {"slot": True}, {"tray": 5},
        {"device": "3b00"}, {"device": 3}, {"outcome": "success"}, {"blame": "nobody"}, {"evidence": [1]},
        {"seconds": float("nan")}, {"seconds": float("inf")}, {"evidence": {1: 2}}, {"file": object()}, {"x": b"raw"},
        {"slot": -1}, {"attempt": 2**60}, {"trays": {"T": "3"}}, {"counts": [1]}, {"stations": ["A", 1]}, {"serial": 7},
        {"evidence": {"handshake_before": "yesterday"}}, {"evidence": {"cloud_from": "2026-11-20T06:00:00"}},
        {"evidence": {"last_handshake_at": 5}},
    ],
)  # fmt: skip
def test_what_the_schema_cannot_hold_is_refused(fields):
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own sentence
        composed(**fields)


def test_upper_case_device_ids_become_the_one_spelling():
    record, line = composed(device=DEVICE.upper())

    assert record.device == DEVICE
    assert json.loads(line)["device"] == DEVICE


HOSTILE = "\x1b]0;owned\x07 \x7f\x85\x9b31m \u202eexe.gpj \u2066 \u200b \u2028\ufeff \ud800 \U000e0041 \0\r\n"


def test_hostile_text_is_escaped_on_disk_and_whole_on_reading():
    record, line = composed(ssid=HOSTILE, evidence={HOSTILE: [HOSTILE]})

    assert not [char for char in line.decode()[:-1] if unicodedata.category(char)[0] == "C"]
    assert line.count(b"\n") == 1
    assert len(line.decode().splitlines()) == 1
    assert decode(line) == record
    assert record.ssid == HOSTILE.replace("\ud800", "\\ud800")  # half a character can be in no file


def test_other_scripts_stay_readable():
    _, line = composed(operator="Zoë 李")

    assert "Zoë 李".encode() in line


def test_listeners_get_a_copy_that_the_caller_cannot_change():
    evidence = {"owner": "a", "list": [1]}

    record, _ = composed(evidence=evidence)
    evidence["owner"] = "b"
    evidence["list"].append(2)

    assert record.evidence == {"owner": "a", "list": [1]}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
text = st.text(st.characters(exclude_categories=()), max_size=20)
counts = st.integers(0, 2**53)
tallies = st.dictionaries(text, counts, max_size=3)
some_fields = st.fixed_dictionaries(
    {},
    optional={
        "station": text, "operator": text, "tray": text, "slot": counts, "ssid": text, "bssid": text,
        "device": st.from_regex(r"[0-9a-fA-F]{24}", fullmatch=True), "attempt": counts, "step": text,
        "outcome": st.sampled_from(Outcome), "code": text, "blame": st.sampled_from(Blame), "remedy": text,
        "evidence": st.dictionaries(text, values, max_size=4), "detail": text, "counts": tallies, "later": values,
        "seconds": st.floats(-1e300, 1e300), "trays": tallies,
    },
)  # fmt: skip


@given(fields=some_fields, at=st.datetimes(timezones=st.just(UTC)))
def test_every_record_reads_back_as_itself(fields, at):
    record, line = composed(at=at, **fields)

    assert record == decode(line)
    assert line == encode(decode(line))
    assert line.count(b"\n") == 1


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_one_way(line):
    with pytest.raises((NotARecord, JournalTooNew)):
        decode(line)


@given(data=st.data())
def test_a_changed_byte_never_reads_as_a_record(data):
    _, line = composed(station="ST1", evidence={"owner": "a"})
    index = data.draw(st.integers(0, len(line) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[index]))

    with pytest.raises((NotARecord, JournalTooNew)):
        decode(line[:index] + bytes([byte]) + line[index + 1 :])


def test_a_newer_schema_is_refused_with_a_sentence():
    with pytest.raises(JournalTooNew, match="schema version 2; this program reads up to 1"):
        decode(rehashed({"v": 2}))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"v": 0}, "schema version"), ({"v": True}, "schema version"), ({"v": "1"}, "schema version"),
        ({"seq": "7"}, "'seq'"), ({"seq": 7.0}, "'seq'"), ({"mono_ms": None}, "'mono_ms'"), ({"run": 3}, "'run'"),
        ({"at": "2026-11-20T23:16:00Z"}, "'at'"), ({"at": "2026-13-20T23:16:00.123Z"}, "month"), ({"at": 5}, "'at'"),
        ({"event": "confirmed"}, "not an event"), ({"station": None}, "'station'"), ({"slot": "3"}, "'slot'"),
        ({"device": DEVICE.upper()}, "one spelling"), ({"device": "x"}, "device ID"), ({"outcome": "good"}, "good"),
        ({"blame": "me"}, "me"), ({"evidence": 4}, "'evidence'"),
    ],
)  # fmt: skip
def test_a_well_hashed_line_with_wrong_content_is_refused_by_name(changes, what):
    with pytest.raises(NotARecord, match=what):
        decode(rehashed(changes))


@pytest.mark.parametrize("key", ["seq", "mono_ms", "run", "event", "prev"])
def test_a_well_hashed_line_that_lacks_what_every_record_has_is_refused_by_name(key):
    whole = json.loads(composed(tray="A")[1])
    body = json.dumps({k: v for k, v in whole.items() if k not in (key, "hash")}, separators=(",", ":"))[:-1].encode()

    with pytest.raises(NotARecord, match=f"'{key}'"):
        decode(body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n')


def test_a_hash_that_is_right_and_not_written_as_ours_is_refused():
    body = composed(tray="A")[1].rpartition(b',"hash":"')[0] + b","  # the blank below stands where the comma should

    with pytest.raises(NotARecord, match="last key"):
        decode(body + b' "hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n')


def test_two_records_in_one_line_are_refused():
    line = composed(tray="A")[1]

    with pytest.raises(NotARecord, match="not JSON"):
        decode(line[:-1] + line)


def test_keys_of_a_later_minor_version_are_kept():
    record = decode(rehashed({"lamp": {"colour": "cyan"}, "note": None}))

    assert record.extra == {"lamp": {"colour": "cyan"}, "note": None}


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999", b"9" * 5000])
def test_numbers_that_json_does_not_know_are_refused(number):
    body = composed()[1].split(b',"prev"')[0] + b',"seconds":' + number + b',"prev":"%b"' % GENESIS.encode()

    with pytest.raises(NotARecord, match="not JSON"):
        decode(body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n')


def test_a_key_twice_is_refused():
    body = composed(tray="A")[1].split(b',"prev"')[0] + b',"tray":"B","prev":"%b"' % GENESIS.encode()

    with pytest.raises(NotARecord, match="twice"):
        decode(body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n')


def test_deep_nesting_is_refused_not_followed():
    with pytest.raises(NotARecord):
        decode(b'{"v":1,"x":' + b"[" * 100_000 + b"}\n")


def test_every_part_of_a_line_can_be_a_torn_write_and_nothing_else_can():
    _, line = composed(station="ST1")

    assert all(is_torn(line[:size]) for size in range(1, len(line)))
    assert is_torn(line[:20] + b"\0" * 50 + line[70:])  # a page that never reached the disk
    assert not is_torn(line)
    assert not is_torn(line[:-1] + b"x")
    assert not is_torn(line[:-1] + line)


def test_the_typed_fields_name_every_core_key():
    assert set(CORE) <= set(Fields.__annotations__)
