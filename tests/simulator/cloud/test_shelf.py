"""What lies on the shelf is what was put there, and no change to it is lost, whoever held it meanwhile."""

import gc
import weakref
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.simulator.clock import EPOCH
from provisioner.simulator.cloud.packing import pack_code, pack_device, unpack_code, unpack_device
from provisioner.simulator.cloud.shelf import Shelf, temporary_database
from provisioner.simulator.cloud.state import SimAccount, SimCode, SimDevice

STEPS = ["get", "change", "hold", "change held", "let go", "drop"]
KEYS = [f"{number:02}" for number in range(8)]


@dataclass(slots=True, weakref_slot=True, eq=False)
class Thing:
    value: int


class Shelved:
    """A shelf of Things, and how often it read one from the database."""

    def __init__(self, at_hand):
        self.db, self.read = temporary_database(), 0
        self.db.execute("CREATE TABLE thing (key TEXT PRIMARY KEY, state BLOB)")
        self.shelf = Shelf(self.db, "thing", pack=lambda one: b"%d" % one.value, unpack=self.unpack, at_hand=at_hand)

    def unpack(self, state):
        self.read += 1
        return Thing(int(state))

    def put(self, key, thing):
        self.db.execute("INSERT INTO thing (key) VALUES (?)", (key,))
        self.shelf.put(key, thing)


def filled(at_hand, count=100):
    shelved = Shelved(at_hand)
    for number in range(count):
        shelved.put(f"{number}", Thing(number))
    return shelved


def test_a_bounded_number_is_in_memory_and_all_are_there():
    shelved = Shelved(at_hand=10)
    things = weakref.WeakSet()
    for number in range(1000):
        shelved.put(f"{number}", thing := Thing(number))
        things.add(thing)
        del thing

    gc.collect()
    assert len(things) == 10
    assert [shelved.shelf.get(f"{number}").value for number in range(1000)] == list(range(1000))
    assert shelved.read > 980


def test_what_was_asked_for_last_is_not_read_again():
    shelved = filled(at_hand=10)
    for _ in range(50):
        shelved.shelf.get("99")
        shelved.shelf.get("98")

    assert shelved.read == 0


def test_what_somebody_holds_stays_one_object_and_a_late_change_is_kept():
    """The danger: it is written and leaves memory, and he who holds it changes it afterwards."""
    shelved = filled(at_hand=3)
    held = [shelved.shelf.get(f"{number}") for number in range(20)]
    for number in range(20, 100):
        shelved.shelf.get(f"{number}")

    assert [shelved.shelf.get(f"{number}") is thing for number, thing in enumerate(held)] == [True] * 20
    for thing in held:
        thing.value += 1000
    del thing, held
    for number in (*range(20, 100), *range(20, 100)):
        shelved.shelf.get(f"{number}")

    read = shelved.read
    assert [shelved.shelf.get(f"{number}").value for number in range(20)] == list(range(1000, 1020))
    assert shelved.read == read + 20, "they had left when they were let go"


def test_what_was_only_read_is_not_written_again():
    shelved = filled(at_hand=3)
    for number in range(100):
        shelved.shelf.get(f"{number}")
    before = shelved.db.total_changes
    for number in range(100):
        shelved.shelf.get(f"{number}")

    assert shelved.db.total_changes == before


def test_what_is_dropped_is_gone_at_hand_and_at_rest():
    shelved = filled(at_hand=3)

    for key in ("0", "99"):
        assert shelved.shelf.get(key) is not None
        shelved.shelf.get("50")
        shelved.shelf.drop(key)
        assert shelved.shelf.get(key) is None


@pytest.mark.parametrize("key", ["unheard", "", "\ud800", "'; DROP TABLE thing; --"])
def test_a_key_that_nobody_put_there_is_none(key):
    assert filled(at_hand=3).shelf.get(key) is None


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(["get", "change", "hold", "change held", "let go", "drop"]), st.sampled_from(KEYS))
    ),
)
def test_whatever_is_done_it_says_what_a_dict_says(at_hand, steps):
    shelved, model, held = Shelved(at_hand), {}, {}
    for number, (step, key) in enumerate(steps):
        thing = shelved.shelf.get(key)
        assert (thing.value if thing else None) == model.get(key)
        if thing is None:
            shelved.put(key, Thing(number))
            model[key] = number
        elif step == "change":
            thing.value = model[key] = number
        elif step == "hold":
            assert held.setdefault(key, thing) is thing
        elif step == "drop":
            shelved.shelf.drop(key)
            del model[key]
            held.pop(key, None)
        thing = None
        if step == "change held" and key in held:
            held[key].value = model[key] = number
        elif step == "let go":
            held.pop(key, None)

    left = {key: shelved.shelf.get(key) for key in KEYS}
    assert {key: thing.value for key, thing in left.items() if thing} == model


# --- packing ---

ACCOUNTS = (SimAccount("a" * 24, "line3+t-1@example.com", 1319), SimAccount("b" * 24, "käthe@example.com"))
DEVICE = SimDevice(
    id="3b0021001747353236343033",
    serial="PHHMAB000PAKLJZ",
    platform_id=10,
    protected=True,
    product_id=1319,
    quarantined_in=1320,
    firmware_product_id=1321,
    denied=True,
    owner=ACCOUNTS[0],
    owner_before=ACCOUNTS[1],
    owner_shown_s=12.345678901234567,
    online=True,
    last_handshake_at=EPOCH + timedelta(seconds=1.000001),
    last_heard=EPOCH + timedelta(seconds=100_000.999999),
    name='kitchen\n"\ud800',
    notes="\u202e",
    development=True,
    groups=("lot-1", "red"),
    desired_firmware_version=3,
    public_key="-----BEGIN",
    handshakes=2,
)


def test_every_field_of_a_device_comes_back():
    new = SimDevice("", "")

    assert [field.name for field in fields(SimDevice) if getattr(DEVICE, field.name) == getattr(new, field.name)] == []
    assert unpack_device(pack_device(DEVICE)) == DEVICE
    assert unpack_device(pack_device(new)) == new


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_time_comes_back_to_the_microsecond(naive):
    at = naive.replace(tzinfo=UTC)

    assert unpack_device(pack_device(SimDevice("", "", last_heard=at))).last_heard == at


@pytest.mark.parametrize("code", [
    SimCode("c" * 63, "sha256:12", ACCOUNTS[0], 1319, 1.5, "3b0021001747353236343033"),
    SimCode("d" * 63, "sha256:13", ACCOUNTS[1], None, 0.1),
])  # fmt: skip
def test_every_field_of_a_claim_code_comes_back(code):
    assert unpack_code(pack_code(code)) == code
