"""A person as a back end: what is said to the person, and what is believed of the answers."""

import ipaddress
from contextlib import nullcontext

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from provisioner import errors
from provisioner.model import SetupNetwork
from provisioner.network import manual
from provisioner.network.manual import ManualFactory, setup_ssid
from provisioner.network.switcher import JoinPolicy, NetworkSwitcher, Uplink

NETWORK = SetupNetwork("Photon-AB23", "", 0, 0.0)
POLICY = JoinPolicy()
ON_PHOTON = ipaddress.IPv4Address("192.168.0.2")
ON_UPLINK = ipaddress.IPv4Address("10.0.0.5")
NO_LEASE = ipaddress.IPv4Address("169.254.7.7")


class Script:
    """An `Ask` that answers from a list; None is a person who has gone home."""

    def __init__(self, *answers):
        self.answers, self.said, self.asked = list(answers), [], []

    async def tell(self, text):
        await trio.lowlevel.checkpoint()
        self.said.append(text)

    async def confirm(self, text):
        return await self.line(text)

    async def line(self, text):
        self.asked.append(text)
        await trio.lowlevel.checkpoint()
        if not self.answers or self.answers[0] is None:
            await trio.sleep_forever()
        return self.answers.pop(0)


@pytest.fixture
def addresses(monkeypatch):
    """Where this computer finds itself, look by look; the last one stays."""
    found = [ON_PHOTON]

    async def own_address(adapter, host):
        assert (adapter, host) == ("wlan1", "192.168.0.1")
        return found.pop(0) if len(found) > 1 else found[0]

    monkeypatch.setattr(manual, "own_address", own_address)
    monkeypatch.setattr(manual, "_try_binding", lambda adapter: None)
    return found


def opened(ask, uplink=Uplink.SEPARATE, **options):
    return ManualFactory(ask, hold=nullcontext, **options).session(adapter="wlan1", uplink=uplink)


@pytest.mark.parametrize(
    "text",
    ["Photon-AB23", "AB23", "ab23", " photon-ab23\r\n", "]Q1Photon-AB23", "\x02AB23\x03", "]C0AB23\t", "PHOTON-AB23"],
)
def test_a_typed_or_scanned_name_or_suffix_is_the_network(text):
    assert setup_ssid(text, "Photon-") == "Photon-AB23"


def test_newer_devices_have_six_symbols():
    assert setup_ssid("8GCS9Z", "Acme-") == "Acme-8GCS9Z"


@pytest.mark.parametrize(
    "text",
    ["", "AB1", "AB23456", "AB10", "ABIO", "Photon-", "Photon-$(x)", "Photon-AB23 AB34", "-AB23", "Factory-AB23",
     "ＡＢ２３", "Photon-\x1b]0;x\x07", "ÄB12", "Photon-Photon-AB23", "ſſſſ"],
)  # fmt: skip
def test_anything_else_is_not(text):
    assert setup_ssid(text, "Photon-") is None


@given(st.text())
def test_what_passes_is_always_plain(text):
    ssid = setup_ssid(text, "Photon-")

    assert ssid is None or (ssid.isascii() and ssid.isprintable() and 11 <= len(ssid) <= 13)


async def test_traits_say_that_a_person_is_needed(autojump_clock, addresses):
    async with opened(Script(), Uplink.SHARED) as switcher:
        assert isinstance(switcher, NetworkSwitcher)
        traits = switcher.traits

    assert (traits.name, traits.adapter, traits.uplink) == ("manual", "wlan1", Uplink.SHARED)
    assert (traits.scans, traits.pins_bssid, traits.unattended) == (False, False, False)


async def test_scan_gives_the_network_that_was_named(autojump_clock, addresses):
    async with opened(Script("nonsense\x1b[2J", "ab23")) as switcher:
        found = await switcher.scan(prefix="Photon-", timeout=15)

    assert [(network.ssid, network.bssid, network.key) for network in found] == [("Photon-AB23", "", "Photon-AB23")]


async def test_what_is_no_setup_network_is_said_escaped(autojump_clock, addresses):
    ask = Script("\x1b[2J", "")
    async with opened(ask) as switcher:
        assert await switcher.scan(prefix="Photon-", timeout=15) == []

    assert len(ask.said) == 1
    assert ask.said[0].isprintable()


@pytest.mark.parametrize("answers", [("",), ("x", "y", "z", "ab23"), (None,)])
async def test_no_name_is_no_network(autojump_clock, addresses, answers):
    ask = Script(*answers)
    async with opened(ask) as switcher:
        assert await switcher.scan(prefix="Photon-", timeout=15) == []

    assert len(ask.asked) <= manual.ASKS_MAX


async def test_the_person_is_told_network_and_adapter(autojump_clock, addresses):
    ask = Script(True)
    async with opened(ask) as switcher, switcher.joined(NETWORK, POLICY) as link:
        assert link.network is NETWORK

    assert "Photon-AB23" in ask.asked[0]
    assert "wlan1" in ask.asked[0]


async def test_the_person_is_told_to_leave_also_when_the_visit_is_cancelled(autojump_clock, addresses):
    ask = Script(True)
    async with opened(ask) as switcher:
        with trio.CancelScope() as scope:
            async with switcher.joined(NETWORK, POLICY):
                scope.cancel()
                await trio.sleep_forever()

    assert "Photon-AB23 is finished" in ask.said[0]


async def test_the_person_is_asked_again_until_the_address_is_there(autojump_clock, addresses):
    addresses[:] = [ON_UPLINK, NO_LEASE, ON_PHOTON]
    ask = Script(True, True, True)
    async with opened(ask) as switcher, switcher.joined(NETWORK, POLICY):
        pass

    assert len(ask.asked) == 3
    assert "not on Photon-AB23 yet" in ask.asked[1]


@pytest.mark.parametrize(
    ("where", "kind"), [(ON_UPLINK, errors.WrongNetwork), (NO_LEASE, errors.NoAddress), (None, errors.NoAddress)]
)
async def test_after_three_asks_it_fails_with_what_was_found(autojump_clock, addresses, where, kind):
    addresses[:] = [where]
    ask = Script(True, True, True, True)
    async with opened(ask) as switcher:
        with pytest.raises(kind, match="Photon-AB23"):
            async with switcher.joined(NETWORK, POLICY):
                pytest.fail("yielded without an address")

    assert len(ask.asked) == manual.ASKS_MAX


async def test_no_leaves_the_device_out(autojump_clock, addresses):
    async with opened(Script(False)) as switcher:
        with pytest.raises(errors.OperatorDeclined):
            async with switcher.joined(NETWORK, POLICY):
                pytest.fail("yielded though the operator said no")


async def test_the_person_gets_a_persons_time_and_no_more(autojump_clock, addresses):
    async with opened(Script(None)) as switcher:
        with pytest.raises(errors.JoinTimeout):
            async with switcher.joined(NETWORK, JoinPolicy(budget_s=1)):
                pytest.fail("yielded without an answer")

    assert trio.current_time() == manual.PERSON_BUDGET_S


async def test_a_shared_uplink_is_asked_back_once(autojump_clock, addresses):
    ask = Script(True, True, True)
    async with opened(ask, Uplink.SHARED) as switcher:
        await switcher.restore(timeout=30)
        assert ask.asked == []
        async with switcher.joined(NETWORK, POLICY):
            pass
        addresses[:] = [ON_PHOTON, ON_UPLINK]
        await switcher.restore(timeout=30)
        await switcher.restore(timeout=30)

    assert len(ask.asked) == 3  # to join, and twice to go back: the first time it had not happened
    assert "uplink" not in ask.said[-1]


@pytest.mark.parametrize("answers", [(True, False), (True, None), (True, True, True, True)])
async def test_an_uplink_that_does_not_come_back_is_said(autojump_clock, addresses, answers):
    ask = Script(*answers)
    async with opened(ask, Uplink.SHARED) as switcher:
        async with switcher.joined(NETWORK, POLICY):
            pass
        with pytest.raises(errors.UplinkNotRestored):
            await switcher.restore(timeout=30)

    assert "uplink" in ask.said[-1]  # and once more at the end, without waiting


async def test_an_adapter_of_its_own_is_never_asked_back(autojump_clock, addresses):
    ask = Script(True)
    async with opened(ask) as switcher:
        async with switcher.joined(NETWORK, POLICY):
            pass
        await switcher.restore(timeout=30)

    assert len(ask.asked) == 1


async def test_a_missing_adapter_is_said_before_anybody_is_asked():
    with pytest.raises(errors.AdapterUnavailable, match="no-such-wlan") as caught:
        async with ManualFactory(Script(), hold=nullcontext).session(adapter="no-such-wlan", uplink=Uplink.SEPARATE):
            pass

    assert caught.value.backend_code == "ENODEV"


async def test_a_forbidden_adapter_is_a_missing_right(monkeypatch):
    def refuse(adapter):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(manual, "bound_socket", refuse)
    with pytest.raises(errors.SwitchingNotAllowed):
        async with ManualFactory(Script(), hold=nullcontext).session(adapter="wlan1", uplink=Uplink.SEPARATE):
            pass


async def test_on_loopback_the_whole_way_is_real():
    everything = ipaddress.IPv4Network("127.0.0.0/8")
    factory = ManualFactory(Script(True), hold=nullcontext, host="127.0.0.1", subnet=everything)
    async with factory.session(adapter="lo", uplink=Uplink.SEPARATE) as switcher:
        async with switcher.joined(NETWORK, POLICY) as link:
            assert await link.healthy()
        assert not await link.healthy()
