"""What every switcher promises, one case each: plain functions over a `Bench`, run at every level a back end has.

In memory and virtual time by `test_switchers.py` (L1), in namespaces over real sockets (L2) and a real NetworkManager
(L3) by `tests/network/`, on a real Wi-Fi stack by `tests/radiobench/` (L4). A case asks its bench only for what any
world can do; what a world cannot, it says in `cannot`, and the case is left out there with that reason.
"""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import trio

from provisioner import errors
from provisioner.model import SetupNetwork
from provisioner.network.switcher import JoinPolicy, Link, NetworkSwitcher, Uplink

HOST, PORT = "192.168.0.1", 80
ONE, TWO = "Photon-AAAA", "Photon-BBBB"
SHOWN = "shown"
CASE_S = 120.0

# Names that must never harm us: no exception, and nothing offered that does not begin with the prefix.
HOSTILE = [
    "", "Photon-", "Photon-\x1b]0;owned\x07", "Photon-\x1b[2J", "Photon-\u202eABCD", "Photon-\0AB", "Photon-AB\nCD",
    "Photon-,=cmd|", "Photon-$(reboot)", "-AAAA", "--help", "Photon-\udcff\udcfe", "x" * 4000, "Factory", "photon",
    "Photon-\N{FULLWIDTH LATIN CAPITAL LETTER A}BCD", "Photon-ABCD; rm -rf /", "Photon-%s%n",
]  # fmt: skip
# Names that are to be joined as the very bytes they are: the line joins only setup networks, a site may call its own
# network anything.
NAMES = {
    "blanks": " two  blanks ",
    "quotes": '"it\'s" `quoted`',
    "backslashes": 'C:\\x41\\"\\',
    "non-ASCII": "Büro-2,4 GHz ☕",
    "equals and tabs": "a=b\tid_str=c",
    "32 raw bytes": bytes(range(0xE0, 0x100)).decode("utf-8", "surrogateescape"),
    "32 control bytes": bytes(range(1, 33)).decode(),
    "wpa_supplicant's own spelling": 'P"\\x41"',
}


class Bench(Protocol):
    """What a case may do to a back end's world. Who is spoken to is told by `who_answers`, never by a name alone."""

    policy: JoinPolicy
    cannot: Mapping[str, str]  # act -> why this world cannot do it
    join_bound_s: float  # a join that hangs has ended by then
    loss_seen_s: float  # so long until a link knows that its Photon is gone
    while_s: float  # a while, in this world's time
    slack_s: float  # what the machine itself may take
    restore_s: float  # the patience with an uplink that does not come back

    def put(self, ssid: str, *, lease: bool = True) -> None: ...  # a Photon in listening mode, with or without DHCP
    def vanish(self, ssid: str) -> None: ...  # its network is gone, also for who is on it
    def shout(self, ssid: str) -> None: ...  # any other network in the air, however it spells itself
    def hang_join(self) -> None: ...  # and every way back to the uplink
    def hang_leave(self) -> None: ...
    def fail_leave(self) -> None: ...
    def on_uplink(self, adapter: str) -> bool: ...
    def open(self, adapter: str, uplink: Uplink) -> AbstractAsyncContextManager[NetworkSwitcher]: ...
    async def find(self, switcher: NetworkSwitcher, ssid: str) -> SetupNetwork: ...  # by a scan
    async def who_answers(self, link: Link) -> str: ...  # the SSID of the Photon that does


@dataclass(frozen=True)
class Case:
    """One promise. `wants` are the acts of its bench that a world may be unable to do."""

    name: str
    run: Callable[[Bench], Awaitable[None]]
    wants: frozenset[str]

    def __str__(self) -> str:
        return self.name

    def left_out(self, bench: Bench | type[Bench]) -> str:
        """Why this world cannot show it; empty if it can."""
        return "; ".join(bench.cannot[act] for act in sorted(self.wants) if act in bench.cannot)


CASES: dict[str, Case] = {}
_Run = Callable[[Bench], Awaitable[None]]


def case(*wants: str) -> Callable[[_Run], _Run]:
    """Enter a function as a case under its own words."""

    def enter(run: _Run) -> _Run:
        add(run.__name__.replace("_", " "), run, wants)
        return run

    return enter


def add(name: str, run: _Run, wants: Sequence[str]) -> None:
    """Enter a case."""
    CASES[name] = Case(name, run, frozenset(wants))


async def show(benches: Callable[[], AbstractContextManager[Bench]], cases: Sequence[Case]) -> dict[str, str]:
    """Run cases one after the other in real time, each in a bench of its own; what came of each, in words."""
    results = {}
    for one in cases:
        with benches() as bench:
            if why := one.left_out(bench):
                results[one.name] = f"left out: {why}"
                continue
            try:
                with trio.fail_after(CASE_S):
                    await one.run(bench)
                results[one.name] = SHOWN
            except Exception:  # noqa: BLE001 - all of them are told
                results[one.name] = traceback.format_exc()[-3000:]
    return results


class Caught:
    """What `raises` caught."""

    value: Any = None


@contextlib.contextmanager
def raises(*kinds: type[BaseException], match: str = "") -> Iterator[Caught]:
    """As pytest's own, without pytest: the emulated processor of the radio bench takes seconds to import it."""
    caught = Caught()
    try:
        yield caught
    except kinds as error:
        assert re.search(match, str(error)), f"{error!r} does not say {match!r}"  # noqa: PT017
        caught.value = error
    else:
        fail(f"nothing raised {' or '.join(kind.__name__ for kind in kinds)}")


def fail(why: str) -> NoReturn:
    """End the case."""
    raise AssertionError(why)


class BodyFailed(Exception):
    """The body's own error."""


async def assert_dead(link: Link) -> None:
    """A link that was left: ill, and it dials no more."""
    assert not await link.healthy()
    with raises(OSError, match=r".+"):
        await link.dial(HOST, PORT)


async def assert_dies(link: Link, bench: Bench) -> None:
    """A link whose Photon is gone: ill within the time this world takes to see it, and nothing answers."""
    with trio.move_on_after(bench.loss_seen_s):
        while await link.healthy():
            await trio.sleep(0.1)
    assert not await link.healthy()
    with raises(OSError, trio.TooSlowError), trio.fail_after(10):
        await link.dial(HOST, PORT)


# --- what it is, and what it hears ---


@case()
async def it_says_what_it_is(bench: Bench) -> None:
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        assert isinstance(switcher, NetworkSwitcher)
        assert switcher.traits.adapter
        assert switcher.traits.uplink is Uplink.SEPARATE
        assert switcher.traits.name


@case("scan")
async def a_scan_gives_a_fresh_network_that_can_be_joined(bench: Bench) -> None:
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        await trio.sleep(bench.while_s)
        asked_s = trio.current_time()
        network = await bench.find(switcher, ONE)

    assert network.ssid == ONE
    assert network.heard_s >= asked_s - bench.slack_s
    assert network.key


@case("scan")
async def a_scan_ends_at_its_timeout(bench: Bench) -> None:
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        start_s = trio.current_time()
        with contextlib.suppress(errors.SwitchError):
            await switcher.scan(prefix="Photon-", timeout=0.5)
        assert trio.current_time() - start_s <= 0.5 + bench.slack_s


async def hostile_names_never_raise_and_only_the_prefix_is_offered(
    bench: Bench, names: Sequence[str], also: Sequence[str] = ()
) -> None:
    """Run by whoever can shout: all at once where there are radios, one by one where a person types.

    `also`: what else is in the air.
    """
    for name in names:
        bench.shout(name)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        found = await switcher.scan(prefix="Photon-", timeout=15)

    assert all(network.ssid.startswith("Photon-") for network in found)
    assert {network.ssid for network in found} <= {ONE, *names, *also}


async def a_name_is_joined_as_the_bytes_it_is(bench: Bench, name: str) -> None:
    """Run for each of NAMES."""
    bench.put(name)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, name)
        assert network.ssid == name
        async with switcher.joined(network, bench.policy) as link:
            assert await bench.who_answers(link) == name


def _named(name: str) -> _Run:
    return lambda bench: a_name_is_joined_as_the_bytes_it_is(bench, name)


for _word, _name in NAMES.items():
    add(f"a name is joined as the bytes it is ({_word})", _named(_name), ("names",))


# --- joining ---


@case("dhcp")
async def joined_yields_only_with_an_address_in_the_photons_subnet(bench: Bench) -> None:
    bench.put(ONE, lease=False)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        with raises(errors.NoAddress):
            async with switcher.joined(network, bench.policy):
                fail("yielded without an address")


@case("vanish")
async def a_network_that_is_gone_is_not_joined(bench: Bench) -> None:
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        bench.vanish(ONE)
        with raises(errors.SwitchError) as caught:
            async with switcher.joined(network, bench.policy):
                fail("yielded without a network")

    assert caught.value.blame is errors.Blame.DEVICE


@case()
async def dial_reaches_the_joined_photon_and_no_other(bench: Bench) -> None:
    bench.put(ONE)
    bench.put(TWO)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        async with switcher.joined(await bench.find(switcher, TWO), bench.policy) as link:
            assert link.network.ssid == TWO
            assert await link.healthy()
            assert await bench.who_answers(link) == TWO
        async with switcher.joined(await bench.find(switcher, ONE), bench.policy) as link:
            assert await bench.who_answers(link) == ONE


@case()
async def two_adapters_joined_at_once_reach_their_own_photons(bench: Bench) -> None:
    bench.put(ONE)
    bench.put(TWO)
    async with (
        bench.open("wlan1", Uplink.SEPARATE) as left,
        bench.open("wlan2", Uplink.SEPARATE) as right,
        left.joined(await bench.find(left, ONE), bench.policy) as to_one,
        right.joined(await bench.find(right, TWO), bench.policy) as to_two,
    ):
        assert [await bench.who_answers(link) for link in (to_one, to_two, to_one)] == [ONE, TWO, ONE]


@case("one owner")
async def an_adapter_that_another_station_holds_is_refused_and_free_afterwards(bench: Bench) -> None:
    async with bench.open("wlan1", Uplink.SEPARATE):
        with raises(errors.AdapterUnavailable, match=r"another station|another program"):
            async with bench.open("wlan1", Uplink.SEPARATE):
                fail("two stations on one adapter")
    async with bench.open("wlan1", Uplink.SEPARATE):
        pass


# --- leaving ---


@case()
async def a_link_is_dead_after_leaving_with_all_its_streams(bench: Bench) -> None:
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        async with switcher.joined(await bench.find(switcher, ONE), bench.policy) as link:
            stream = await link.dial(HOST, PORT)

        await assert_dead(link)
        with raises(trio.ClosedResourceError, trio.BrokenResourceError):
            await stream.send_all(b"too late")


def _spoil(bench: Bench, leave: str) -> None:
    {"works": lambda: None, "hangs": bench.hang_leave, "fails": bench.fail_leave}[leave]()


def _leaving_on_an_error(leave: str) -> _Run:
    async def run(bench: Bench) -> None:
        bench.put(ONE)
        async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
            links: list[Link] = []
            with raises(BodyFailed):
                await _fail_on(
                    switcher, await bench.find(switcher, ONE), bench.policy, links, lambda: _spoil(bench, leave)
                )
            await assert_dead(links[0])

    return run


async def _fail_on(
    switcher: NetworkSwitcher, network: SetupNetwork, policy: JoinPolicy, links: list[Link], before: Callable[[], None]
) -> None:
    async with switcher.joined(network, policy) as link:
        links.append(link)
        before()
        raise BodyFailed


def _leaving_on_a_cancel(leave: str) -> _Run:
    async def run(bench: Bench) -> None:
        bench.put(ONE)
        async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
            network = await bench.find(switcher, ONE)
            with trio.CancelScope() as scope:
                async with switcher.joined(network, bench.policy) as link:
                    _spoil(bench, leave)
                    scope.cancel()
                    await trio.sleep_forever()
            assert scope.cancelled_caught
            await assert_dead(link)

    return run


for _leave, _wants in {"works": (), "hangs": ("hang leave",), "fails": ("fail leave",)}.items():
    add(f"an error leaves and is not masked (leaving {_leave})", _leaving_on_an_error(_leave), _wants)
    add(f"a cancel leaves and is not masked (leaving {_leave})", _leaving_on_a_cancel(_leave), _wants)


@case("hang leave")
async def leaving_is_bounded(bench: Bench) -> None:
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        with contextlib.suppress(errors.LeaveFailed):  # said only where nothing else went wrong
            async with switcher.joined(network, bench.policy):
                bench.hang_leave()
                start_s = trio.current_time()
        assert trio.current_time() - start_s <= bench.policy.leave_budget_s + bench.slack_s


@case("hang join")
async def a_join_that_hangs_ends_with_its_budget(bench: Bench) -> None:
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        bench.hang_join()
        start_s = trio.current_time()
        with raises(errors.JoinTimeout, errors.AssociationFailed):
            async with switcher.joined(network, bench.policy):
                fail("yielded though the join hangs")

    assert trio.current_time() - start_s <= bench.join_bound_s + bench.policy.leave_budget_s + bench.slack_s


@case("hang join")
async def a_join_can_be_cancelled(bench: Bench) -> None:
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        bench.hang_join()
        with trio.move_on_after(3) as scope:
            async with switcher.joined(network, bench.policy):
                fail("yielded though the join hangs")

    assert scope.cancelled_caught


@case("vanish")
async def a_photon_that_vanishes_takes_its_link_with_it(bench: Bench) -> None:
    bench.put(ONE)
    async with (
        bench.open("wlan1", Uplink.SEPARATE) as switcher,
        switcher.joined(await bench.find(switcher, ONE), bench.policy) as link,
    ):
        bench.vanish(ONE)
        await assert_dies(link, bench)


@case()
async def after_an_error_the_same_adapter_joins_the_next_photon(bench: Bench) -> None:
    bench.put(ONE)
    bench.put(TWO)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        with raises(BodyFailed):
            await _fail_on(switcher, await bench.find(switcher, ONE), bench.policy, [], lambda: None)
        async with switcher.joined(await bench.find(switcher, TWO), bench.policy) as link:
            assert await bench.who_answers(link) == TWO


# --- the uplink ---


@case("uplink")
async def restore_brings_a_shared_adapter_back_and_is_idempotent(bench: Bench) -> None:
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SHARED) as switcher:
        await switcher.restore(timeout=30)
        async with switcher.joined(await bench.find(switcher, ONE), bench.policy):
            assert not bench.on_uplink("wlan1")
        bench.vanish(ONE)
        await switcher.restore(timeout=30)
        assert bench.on_uplink("wlan1")
        await switcher.restore(timeout=30)
        assert bench.on_uplink("wlan1")


@case("uplink", "goodbye")
async def a_session_that_ends_without_a_restore_leaves_the_adapter_on_its_uplink(bench: Bench) -> None:
    bench.put(ONE)
    async with (
        bench.open("wlan1", Uplink.SHARED) as switcher,
        switcher.joined(await bench.find(switcher, ONE), bench.policy),
    ):
        assert not bench.on_uplink("wlan1")
    assert bench.on_uplink("wlan1")


@case("uplink", "hang join")
async def an_uplink_that_cannot_be_restored_is_said(bench: Bench) -> None:
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SHARED) as switcher:
        async with switcher.joined(await bench.find(switcher, ONE), bench.policy):
            pass
        bench.hang_join()
        with raises(errors.UplinkNotRestored):
            await switcher.restore(timeout=bench.restore_s)
