"""wpa_supplicant as a back end, for adapters of their own that nobody else manages (facts: network 1.6, 6.4).

Rule 1: quick: it listens on one channel in 0.06 s where a full scan takes 3.8. Photons are on channel 11 (firmware's
source; a field note says 1): those first, all channels only when nothing is heard there.
Rule 2: the address is one of our own, set with `ip`, which needs CAP_NET_ADMIN; the Photon's servers answer to it all
the same (facts: photon-softap T14). No route but the subnet's own, no resolver, no DHCP client.
Rule 3: our network is marked with `id_str`, so that what a killed run left is found and removed.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import trio

from provisioner.errors import (
    AdapterUnavailable,
    AssociationFailed,
    NetworkNotFound,
    NoAddress,
    SwitchError,
    SwitchingNotAllowed,
    UplinkNotRestored,
)
from provisioner.model import SetupNetwork, printable
from provisioner.network.adapter_lock import Hold, held
from provisioner.network.automatic import AutomaticSwitcher
from provisioner.network.bound import PHOTON_HOST, PHOTON_SUBNET, BoundLink, own_address
from provisioner.network.switcher import JoinPolicy, NetworkSwitcher, Traits, Uplink
from provisioner.network.wpa_control import (
    COMMAND_S,
    Control,
    networks_listed,
    networks_of,
    open_control,
    status_of,
)

LOOK_S = 0.05
ASSOCIATE_S = 8.0
UPLINK_S = 20.0  # a killed run may have left a shared adapter on its way back to the uplink
FIRST_CHANNELS = "2462,2412"  # MHz: 11 and 1
MARK = '"provisioner"'
_SCAN_ENDS = ("CTRL-EVENT-SCAN-RESULTS", "CTRL-EVENT-SCAN-FAILED")
_IDLE = ("SCANNING", "DISCONNECTED", "INACTIVE")  # after so long: it is not there, or does not let us in

_IP_ENV = {"PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"}  # ours holds secrets

OpenControl = Callable[[str], AbstractAsyncContextManager[Control]]
RunIp = Callable[[Sequence[str]], Awaitable[None]]


async def run_ip(arguments: Sequence[str]) -> None:
    """Run iproute2's `ip`. Raises SwitchingNotAllowed, AdapterUnavailable."""
    command = ["ip", *arguments]
    try:
        done = await trio.run_process(command, check=False, env=_IP_ENV, capture_stdout=True, capture_stderr=True)
    except OSError as error:
        raise AdapterUnavailable("the program `ip` is not installed", remedy="Install iproute2.") from error
    if done.returncode:
        why = printable(done.stderr.decode("utf-8", "replace").strip(), 200)
        if "not permitted" in why:
            raise SwitchingNotAllowed(
                f"this account may not set addresses: {why}",
                remedy="Run it with CAP_NET_ADMIN: AmbientCapabilities=CAP_NET_ADMIN in the service.",
            )
        raise AdapterUnavailable(f"ip {' '.join(arguments)}: {why}", backend_code=f"ip:{done.returncode}")


class WpaSupplicantFactory:
    """Makes switchers, one for each adapter that has a wpa_supplicant of its own."""

    def __init__(self, open_: OpenControl = open_control, *, ip: RunIp = run_ip, hold: Hold = held) -> None:
        self._open = open_
        self._ip = ip
        self._hold = hold

    def session(self, *, adapter: str, uplink: Uplink) -> AbstractAsyncContextManager[NetworkSwitcher]:
        """Yield a switcher for `adapter`. Raises BackendGone, SwitchingNotAllowed, AdapterUnavailable."""
        return self._session(adapter, uplink)

    @asynccontextmanager
    async def _session(self, adapter: str, uplink: Uplink) -> AsyncIterator[NetworkSwitcher]:
        with self._hold(adapter):
            async with self._open(adapter) as control:
                switcher = WpaSupplicantSwitcher(control, adapter, uplink, ip=self._ip)
                try:
                    await switcher.look_around()
                    yield switcher
                finally:
                    await switcher.say_goodbye()


class WpaSupplicantSwitcher(AutomaticSwitcher):
    """One adapter under its own wpa_supplicant."""

    def __init__(self, control: Control, adapter: str, uplink: Uplink, *, ip: RunIp) -> None:
        super().__init__(Traits(name="wpa_supplicant", adapter=adapter, uplink=uplink, static_addresses=True))
        self._control = control
        self._ip = ip
        self._put = ""  # the address that was put on the adapter for a Photon
        self._before: str | None = None  # the network it was on when we came
        self._enabled: list[str] = []  # and those it could have chosen: selecting one disables all others
        # Every adapter has an address of its own, so that two on one Photon by mistake are told apart.
        self._own = f"192.168.0.{100 + zlib.crc32(adapter.encode()) % 100}"

    # --- before and after ---

    async def look_around(self) -> None:
        """See that it answers, sweep what a killed run left, and remember the network it is on. Raises SwitchError."""
        if await self._control.ask("PING") != "PONG":
            raise AdapterUnavailable(f"the wpa_supplicant of {self._adapter} does not answer PING")
        if await self._sweep():
            await self._ip(["addr", "flush", "dev", self._adapter, "to", f"{self._own}/32"])
            # The killed run had selected its network, which disables all others: nobody knows any more which were.
            await self._control.ask("ENABLE_NETWORK all")
        shared = self._traits.uplink is Uplink.SHARED
        with trio.move_on_after(UPLINK_S if shared else COMMAND_S):
            while (before := await self._carried()) is None and shared:  # noqa: ASYNC110
                await trio.sleep(LOOK_S)
            self._before = before
        if shared and self._before is None:
            raise UplinkNotRestored(
                f"{self._adapter} is said to carry the uplink (`uplink: shared`), and is on nothing"
            )
        rows = networks_listed(await self._control.ask("LIST_NETWORKS"))
        self._enabled = [number for number, flags in rows if "[DISABLED]" not in flags]

    async def _carried(self) -> str | None:
        status = status_of(await self._control.ask("STATUS"))
        return status.get("id") if status.get("wpa_state") == "COMPLETED" else None

    async def _sweep(self) -> bool:
        swept = False
        for number, _ in networks_listed(await self._control.ask("LIST_NETWORKS")):
            if await self._control.ask(f"GET_NETWORK {number} id_str") == MARK:
                await self._control.ask(f"REMOVE_NETWORK {number}")
                swept = True
        return swept

    @property
    def _carried_something(self) -> bool:
        return self._before is not None

    async def _go_back(self) -> None:
        await self._must(f"SELECT_NETWORK {self._before}")
        await self._until(lambda status: status.get("wpa_state") == "COMPLETED")

    async def say_goodbye(self) -> None:
        """Put the adapter back where it was, and let it choose again among the networks it had."""
        await super().say_goodbye()
        with trio.move_on_after(COMMAND_S, shield=True), suppress(SwitchError):
            for number in self._enabled:
                await self._control.ask(f"ENABLE_NETWORK {number}")

    # --- listening ---

    async def scan(self, *, prefix: str, timeout: float) -> Sequence[SetupNetwork]:
        """Listen afresh on the Photons' channels, then on all; none within `timeout`: an empty list."""
        with trio.move_on_after(timeout):
            for channels in (f"SCAN freq={FIRST_CHANNELS}", "SCAN"):
                if found := await self._listen(channels, prefix):
                    return found
        return []

    async def _listen(self, command: str, prefix: str) -> list[SetupNetwork]:
        """One scan to its end. It is over when the event says so: a scan that is asked for shows in no state."""
        await self._control.ask("BSS_FLUSH 0")  # what was heard before says nothing now
        self._control.forget_events()
        while True:
            if await self._control.ask(command) == "OK" and await self._control.event(*_SCAN_ENDS) == _SCAN_ENDS[0]:
                break
            await trio.sleep(LOOK_S * 4)  # another scan is under way
        return networks_of(await self._control.ask("SCAN_RESULTS"), prefix=prefix, heard_s=trio.current_time())

    # --- joining ---

    def _link_of(self, network: SetupNetwork) -> BoundLink:
        return WpaLink(network, self._adapter, self._control)

    async def _join(self, network: SetupNetwork, policy: JoinPolicy, begun: list[str]) -> None:
        number = await self._control.ask("ADD_NETWORK")
        if not (number.isascii() and number.isdigit()):
            raise AdapterUnavailable(f"wpa_supplicant takes no network: {printable(number)}", backend_code="wpa:ADD")
        begun.append(number)
        self._moved = True
        ssid = network.ssid.encode("utf-8", "surrogateescape").hex()
        for setting in (f"ssid {ssid}", f"bssid {network.bssid}", "key_mgmt NONE", f"id_str {MARK}"):
            await self._must(f"SET_NETWORK {number} {setting}")
        await self._must(f"SELECT_NETWORK {number}")
        await self._associated(network)
        self._put = f"{policy.static_address or self._own}/{PHOTON_SUBNET.prefixlen}"
        await self._ip(["addr", "replace", self._put, "dev", self._adapter])
        seen = await own_address(self._adapter, PHOTON_HOST)
        if seen is None or seen not in PHOTON_SUBNET:
            raise NoAddress(f"{self._adapter} has no address in the Photon's subnet ({seen or 'none'})")

    async def _associated(self, network: SetupNetwork) -> None:
        """Wait until the adapter is on that BSSID. Raises NetworkNotFound, AssociationFailed."""
        began_s, tried = trio.current_time(), False
        while True:
            status = status_of(await self._control.ask("STATUS"))
            state = status.get("wpa_state", "")
            if state == "COMPLETED" and status.get("bssid", "").lower() == network.bssid:
                return
            tried = tried or state in ("AUTHENTICATING", "ASSOCIATING", "ASSOCIATED")
            if state in _IDLE and trio.current_time() > began_s + ASSOCIATE_S:
                name = printable(network.ssid)
                if tried:
                    raise AssociationFailed(f"{name} did not let the adapter in", backend_code=f"wpa:{state}")
                raise NetworkNotFound(f"{name} is not heard any more", backend_code=f"wpa:{state}")
            await trio.sleep(LOOK_S)

    async def _take_down(self, begun: str) -> None:
        try:
            await self._must(f"REMOVE_NETWORK {begun}")
            await self._until(lambda status: status.get("wpa_state") != "COMPLETED")
        finally:  # ours and no other: a shared adapter keeps the address that it has on its uplink
            put, self._put = self._put, ""
            if put:
                await self._ip(["addr", "del", put, "dev", self._adapter])

    # --- words ---

    async def _must(self, command: str) -> None:
        answer = await self._control.ask(command)
        if answer != "OK":
            what = command.split(" ", 1)[0]
            raise AdapterUnavailable(f"wpa_supplicant refused {what}: {printable(answer)}", backend_code=f"wpa:{what}")

    async def _until(self, holds: Callable[[dict[str, str]], bool]) -> None:
        while not holds(status_of(await self._control.ask("STATUS"))):  # noqa: ASYNC110
            await trio.sleep(LOOK_S)


class WpaLink(BoundLink):
    """A bound link whose health wpa_supplicant knows, too: it misses a Photon's beacons within 1.4 s."""

    def __init__(self, network: SetupNetwork, adapter: str, control: Control) -> None:
        super().__init__(network, adapter)
        self._control = control

    async def healthy(self) -> bool:
        """Whether the adapter is still on that BSSID and has its address."""
        if not await super().healthy():
            return False
        try:
            status = status_of(await self._control.ask("STATUS"))
        except SwitchError:
            return False
        return status.get("wpa_state") == "COMPLETED" and status.get("bssid", "").lower() == self.network.bssid
