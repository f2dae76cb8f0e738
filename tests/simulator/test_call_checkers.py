"""Each checker sees it when what it watches is broken: a checker that never complains would be worth nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioner.journal.fields import Record
from provisioner.model import DeviceID
from provisioner.simulator.call_checkers import Calls, check_calls, no_effect_after
from provisioner.simulator.clock import EPOCH
from provisioner.simulator.cloud.state import Happening, What
from provisioner.simulator.photon.history import Event, Experience

A, B = (f"3b002100174735323634303{n}" for n in (1, 2))


def said(event, at_s, device=None, **extra):
    return Record(
        seq=0,
        at=EPOCH + timedelta(seconds=at_s),
        mono_ms=0,
        run="r",
        event=event,
        device=DeviceID(device) if device else None,
        extra=extra,
    )


def lived(at_s, event, device=A, detail=""):
    return Experience(at_s, device, event, "02:00:00:00:00:01", "sim1", detail)


GOOD = Calls(
    records=[
        said("import.intended", 1.0),
        said("customer.intended", 2.0, customer="line3@example.com"),
        said("claim_code.intended", 11.0, A),
        said("connect.intended", 13.0, A),
    ],
    photons=[
        lived(10.0, Event.JOINED),
        lived(10.5, Event.ASKED, detail="device-id"),
        lived(11.2, Event.CLAIM_CODE_SET),
        lived(12.0, Event.ASKED, detail="device-id"),
        lived(13.5, Event.CONNECT),
        lived(14.0, Event.LEFT),
    ],
    cloud=[
        Happening(1.1, What.IMPORTED, device=A),
        Happening(1.1, What.IMPORTED, device=B),
        Happening(2.1, What.CUSTOMER_CREATED, account="line3@example.com"),
        Happening(3.0, What.CODE_MINTED, account="line3@example.com", code="c1"),
    ],
    epoch=EPOCH,
    codes_max=1,
)


def test_a_run_as_it_should_be_has_nothing_wrong():
    assert check_calls(GOOD) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"photons": [e for e in GOOD.photons if e.at_s != 12.0]}, "without its ID having been read just before"),
        ({"photons": [*GOOD.photons[:3], lived(12.0, Event.ASKED, B, "device-id"), *GOOD.photons[4:]]}, "its ID"),
        ({"records": [*GOOD.records[:2], said("claim_code.intended", 11.3, A), GOOD.records[3]]}, "before its int"),
        ({"records": GOOD.records[:3]}, "told to connect of .* came before its intention"),
        ({"records": GOOD.records[1:]}, "imported of a tray at 1.1"),
        ({"records": [GOOD.records[0], *GOOD.records[2:]]}, "customer created of line3@example.com"),
        ({"cloud": [*GOOD.cloud, Happening(5.0, What.CLAIMED, device=A, detail="claim by ID")]}, "claimed of"),
        ({"cloud": [*GOOD.cloud, Happening(1.1, What.IMPORTED, device=B)]}, "imported 2 times"),
        ({"codes_max": 0}, "1 claim codes were made, 0 are the most"),
        ({"photons": GOOD.photons[:-1]}, "sim1 is still on the setup network"),
        ({"photons": [*GOOD.photons[:-1], lived(13.9, Event.JOINED, B), GOOD.photons[-1]]}, "while it was on"),
    ],
)  # fmt: skip
def test_what_is_broken_is_seen(changes, sentence):
    (wrong,) = check_calls(replace(GOOD, **changes))

    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(wrong)


def test_a_network_that_went_away_under_the_adapter_need_not_be_left():
    assert check_calls(replace(GOOD, photons=[*GOOD.photons[:-1], lived(13.9, Event.SILENT)])) == []


def test_an_effect_after_the_journal_failed_is_seen():
    changes = [("POST /v1/devices", 5.0), ("set", 5.1)]

    assert list(no_effect_after(5.1, changes)) == []
    assert list(no_effect_after(5.0, changes)) == ["set at 5.100 s, after the journal failed at 5.000 s"]
