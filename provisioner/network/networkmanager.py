"""Linux's NetworkManager as a back end: one D-Bus connection, one adapter a station (facts: network 1-4, 7).

Rule 1: a profile of our own, volatile and bound to our connection: it is gone when we leave, and when this process is
killed NetworkManager itself leaves the Photon and goes back to the network before.
Rule 2: our deadlines lead: NetworkManager takes 16 s to notice that a Photon is gone, and 25 s to say it never was.
Rule 3: `Device.Disconnect` is never called: it would keep a shared adapter off its uplink for good. We deactivate our
own connection, and restore the one from before by activating it (0.6 s instead of 4).
Rule 4: only open networks are offered: a Photon's has no password, whatever else is called so.
"""

from __future__ import annotations

import getpass
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import trio

from provisioner.errors import (
    AdapterUnavailable,
    NetworkNotFound,
    NoAddress,
    ProfileDropped,
    SwitchError,
    SwitchingNotAllowed,
    UplinkNotRestored,
    WrongNetwork,
)
from provisioner.model import SetupNetwork, printable
from provisioner.network.adapter_lock import Hold, held
from provisioner.network.automatic import AutomaticSwitcher
from provisioner.network.bound import PHOTON_SUBNET, BoundLink
from provisioner.network.host import Finding
from provisioner.network.nm_bus import CALL_S, NM, ROOT, SETTINGS, Bus, OpenRouter, state_changed, system_bus
from provisioner.network.nm_profile import (
    ACTIVATED,
    DEACTIVATING,
    DISCONNECTED,
    NEW_ACTIVATION,
    OURS,
    RIGHTS,
    UNAVAILABLE,
    UNMANAGED,
    WIFI,
    address_of,
    failure_of,
    open_network,
    profile_of,
    ssid_bytes,
    what_was_dropped,
)
from provisioner.network.switcher import JoinPolicy, NetworkSwitcher, Traits, Uplink

NO_OBJECT = "/"
VERSION_MIN = (1, 16)  # AddAndActivateConnection2 with bind-activation
LOOK_S = 0.1
STATE_WAIT_S = 1.0  # then the state is read: a signal can be lost, a daemon can die
READY_S = 5.0
UPLINK_S = 20.0  # NetworkManager brings a Wi-Fi uplink back in 4.3 s (facts: network 6.2), after a scan of up to 15
FRESH_S = 30.0  # a beacon heard so long ago is worth a join
SCANS_MAX = 2
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ACTIVE, _OVER = 2, 4  # NMActiveConnectionState
_OPTIONS = {"persist": ("s", "volatile"), "bind-activation": ("s", "dbus-client")}


def _boot_s() -> float:
    """The clock of NetworkManager's `LastSeen` and `LastScan`."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else time.monotonic()


class NetworkManagerFactory:
    """Makes switchers over one shared connection, opened with the first session and closed with it."""

    def __init__(
        self, open_router: OpenRouter = system_bus, *, boot_s: Callable[[], float] = _boot_s, hold: Hold = held
    ) -> None:
        self._open_router = open_router
        self._boot_s = boot_s
        self._hold = hold
        self._bus: Bus | None = None

    def session(self, *, adapter: str, uplink: Uplink) -> AbstractAsyncContextManager[NetworkSwitcher]:
        """Yield a switcher for `adapter`; on exit the adapter is on what it was on before.

        Raises AdapterUnavailable, SwitchingNotAllowed, BackendGone, UplinkNotRestored.
        """
        return self._session(adapter, uplink)

    @asynccontextmanager
    async def _session(self, adapter: str, uplink: Uplink) -> AsyncIterator[NetworkSwitcher]:
        async with AsyncExitStack() as stack:
            stack.enter_context(self._hold(adapter))
            bus = self._bus
            if bus is None:
                bus = self._bus = Bus(await stack.enter_async_context(self._open_router()))
                stack.callback(self._forget_bus)
            switcher = self._switcher(bus, adapter, uplink, await _checked(bus, adapter))
            await switcher.look_around()
            try:
                yield switcher
            finally:
                await switcher.say_goodbye()

    def _switcher(self, bus: Bus, adapter: str, uplink: Uplink, device: str) -> NetworkManagerSwitcher:
        return NetworkManagerSwitcher(bus, adapter, uplink, device, boot_s=self._boot_s)

    def _forget_bus(self) -> None:
        self._bus = None

    async def examine(self, adapter: str) -> list[Finding]:
        """What `doctor` says of this adapter; changes nothing. Raises SwitchError where no session is possible."""
        async with self._open_router() as router:
            bus = Bus(router)
            version = str(await bus.get(ROOT, "", "Version"))
            numbers = tuple(int(part) for part in version.split(".")[:2] if part.isascii() and part.isdigit())
            findings = [
                Finding("NetworkManager", f"version {version} is running")
                if numbers >= VERSION_MIN
                else Finding("NetworkManager", f"version {version} is too old", "Install NetworkManager 1.16 or newer.")
            ]
            await _checked(bus, adapter)
            findings.append(Finding(f"adapter {adapter}", "a Wi-Fi adapter that NetworkManager lets this account use"))
            if remembered := (await _remembered(bus))[:5]:
                findings.append(
                    Finding(
                        "remembered networks",
                        f"this computer joins {', '.join(name for name, _ in remembered)} by itself",
                        f"Run: nmcli connection delete {' '.join(uuid or 'ITS-NAME' for _, uuid in remembered)}",
                    )
                )
            return findings


async def _remembered(bus: Bus) -> list[tuple[str, str]]:
    """Profiles of setup networks that somebody's other tool has left: they would pull an adapter away. Name and UUID:
    the name is what somebody's access point was called, and has no place in a command to copy."""
    found = []
    for profile in await bus.get(SETTINGS, ".Settings", "Connections"):
        with suppress(AdapterUnavailable):
            (settings,) = await bus.call(profile, f"{NM}.Settings.Connection", "GetSettings")
            kind, ssid = settings.get("802-11-wireless", {}).get("ssid", ("ay", b""))
            names = settings.get("connection", {})
            name, uuid = (str(names.get(key, ("s", ""))[1]) for key in ("id", "uuid"))
            if kind == "ay" and bytes(ssid).startswith(b"Photon-") and not name.startswith(OURS):
                found.append((printable(name), uuid if _UUID.fullmatch(uuid) else ""))
    return found


async def _checked(bus: Bus, adapter: str) -> str:
    """The adapter's D-Bus path, if it is one that we may use. Raises AdapterUnavailable, SwitchingNotAllowed."""
    try:
        (device,) = await bus.call(ROOT, NM, "GetDeviceByIpIface", "s", (adapter,))
    except AdapterUnavailable as error:
        raise AdapterUnavailable(
            f"there is no adapter {printable(adapter)}", backend_code=error.backend_code,
            remedy="Compare `adapter:` in the settings with `nmcli device`, and plug the adapter in.",
        ) from error  # fmt: skip
    if await bus.get(device, ".Device", "DeviceType") != WIFI:
        raise AdapterUnavailable(
            f"{printable(adapter)} is no Wi-Fi adapter", remedy="Name a Wi-Fi adapter as `adapter:` in the settings."
        )
    state = await _settled(bus, device)
    if state <= UNMANAGED:
        raise AdapterUnavailable(
            f"NetworkManager does not manage {printable(adapter)}",
            remedy=f"Run `nmcli device set {printable(adapter)} managed yes`.",
        )
    if state <= UNAVAILABLE:
        raise AdapterUnavailable(
            f"{printable(adapter)} is switched off",
            remedy="Switch Wi-Fi on: `nmcli radio wifi on`, and the key for it.",
        )
    (rights,) = await bus.call(ROOT, NM, "GetPermissions")
    if missing := [right for right in RIGHTS if rights.get(right) != "yes"]:
        raise SwitchingNotAllowed(
            f"this account lacks {', '.join(right.rpartition('Manager.')[2] for right in missing)}",
            backend_code="polkit",
            remedy="Install config/polkit/50-provisioner.rules (README, Setting up a real line).",
        )
    path: str = device
    return path


async def _settled(bus: Bus, device: str) -> int:
    """The device's state; not managed or not available may only mean that it, or NetworkManager, has just come."""
    state = UNAVAILABLE
    with trio.move_on_after(READY_S):
        while (state := int(await bus.get(device, ".Device", "State"))) <= UNAVAILABLE:  # noqa: ASYNC110
            await trio.sleep(LOOK_S)
    return state


class NetworkManagerSwitcher(AutomaticSwitcher):
    """One adapter under NetworkManager."""

    def __init__(self, bus: Bus, adapter: str, uplink: Uplink, device: str, *, boot_s: Callable[[], float]) -> None:
        super().__init__(
            Traits(name="networkmanager", adapter=adapter, uplink=uplink, restores_on_crash=True, static_addresses=True)
        )
        self._bus = bus
        self._device = device
        self._boot_s = boot_s
        self._before = NO_OBJECT  # the profile that was active when we came
        self._user = getpass.getuser()

    # --- before and after ---

    async def look_around(self) -> None:
        """Sweep what an earlier run may have left, and remember what the adapter is on.

        A killed run, or a killed NetworkManager, may leave a shared adapter on a Photon or on nothing; with what we
        sweep away its uplink comes back by itself, and is waited for. Raises UplinkNotRestored.
        """
        for profile in await self._bus.get(SETTINGS, ".Settings", "Connections"):
            if await self._is_ours(profile):
                await self._bus.call(profile, f"{NM}.Settings.Connection", "Delete")
        shared = self._traits.uplink is Uplink.SHARED
        with trio.move_on_after(UPLINK_S if shared else CALL_S):
            while (before := await self._carried()) == NO_OBJECT and shared:  # noqa: ASYNC110
                await trio.sleep(LOOK_S)
            self._before = before
        if shared and self._before == NO_OBJECT:
            raise UplinkNotRestored(
                f"{self._adapter} is said to carry the uplink (`uplink: shared`), and is on nothing"
            )

    async def _carried(self) -> str:
        """The profile of the network that the adapter is on; none if that is one of ours, or not up yet."""
        try:
            active = await self._bus.get(self._device, ".Device", "ActiveConnection")
            if active == NO_OBJECT or await self._bus.get(active, ".Connection.Active", "State") != _ACTIVE:
                return NO_OBJECT
            before: str = await self._bus.get(active, ".Connection.Active", "Connection")
        except AdapterUnavailable:  # it changed between two looks
            return NO_OBJECT
        return NO_OBJECT if await self._is_ours(before) else before

    async def _is_ours(self, profile: str) -> bool:
        """Whether a profile is one of ours for this adapter; one that vanishes while we look is not."""
        try:
            (settings,) = await self._bus.call(profile, f"{NM}.Settings.Connection", "GetSettings")
        except AdapterUnavailable:
            return False
        return bool(settings.get("connection", {}).get("id") == ("s", f"{OURS}{self._adapter}"))

    @property
    def _carried_something(self) -> bool:
        return self._before != NO_OBJECT

    async def _go_back(self) -> None:
        async with self._bus.states_of(self._device) as states:
            args = (self._before, self._device, NO_OBJECT)
            (active,) = await self._bus.call(ROOT, NM, "ActivateConnection", "ooo", args)
            await self._until_activated(states, SetupNetwork("the uplink", "", 0, 0.0), active)

    # --- listening ---

    async def scan(self, *, prefix: str, timeout: float) -> Sequence[SetupNetwork]:
        """Listen afresh: open networks with that prefix that were heard since. None within `timeout`: an empty list."""
        with trio.move_on_after(timeout):
            since_s = await self._scanned()
            return [found for found, _ in await self._heard(prefix, since_s=since_s)]
        return []

    async def _scanned(self) -> float:
        """Ask for a scan and wait until it is done; returns when it began, in seconds since boot."""
        before = await self._bus.get(self._device, ".Device.Wireless", "LastScan")
        began_s = self._boot_s()
        await self._bus.call(self._device, f"{NM}.Device.Wireless", "RequestScan", "a{sv}", ({},))
        while await self._bus.get(self._device, ".Device.Wireless", "LastScan") == before:  # noqa: ASYNC110
            await trio.sleep(LOOK_S)
        return began_s

    async def _heard(self, prefix: str, *, since_s: float) -> list[tuple[SetupNetwork, str]]:
        """The setup networks in NetworkManager's list that were heard since then, with their paths."""
        found: list[tuple[SetupNetwork, str]] = []
        (paths,) = await self._bus.call(self._device, f"{NM}.Device.Wireless", "GetAllAccessPoints")
        for path in paths:
            try:
                point = await self._bus.get_all(path, ".AccessPoint")
            except AdapterUnavailable:
                continue  # it vanished between the list and the look
            network = open_network(point, boot_s=self._boot_s(), now_s=trio.current_time())
            wanted = prefix.encode("utf-8", "surrogateescape")
            if network is not None and ssid_bytes(network).startswith(wanted) and point["LastSeen"] >= since_s - 1:
                found.append((network, path))
        return found

    # --- joining ---

    def _link_of(self, network: SetupNetwork) -> BoundLink:
        return NetworkManagerLink(network, self._adapter, self._bus, self._device)

    async def _join(self, network: SetupNetwork, policy: JoinPolicy, begun: list[str]) -> None:
        point = await self._point_of(network)
        profile = profile_of(network, self._adapter, user=self._user, static=policy.static_address)
        self._moved = True
        async with self._bus.states_of(self._device) as states:
            args = (profile, self._device, point, _OPTIONS)
            answer = await self._bus.call(ROOT, NM, "AddAndActivateConnection2", "a{sa{sv}}ooa{sv}", args)
            begun.append(answer[1])
            (taken,) = await self._bus.call(answer[0], f"{NM}.Settings.Connection", "GetSettings")
            if dropped := what_was_dropped(profile, taken):
                raise ProfileDropped(
                    f"NetworkManager did not take {', '.join(dropped)} of our profile", backend_code="nm:dropped"
                )
            await self._until_activated(states, network, answer[1])
        await self._check_where_we_are(network)

    async def _point_of(self, network: SetupNetwork) -> str:
        """The access point to join: heard a moment ago, or after listening once more. Raises NetworkNotFound."""
        since_s = self._boot_s() - FRESH_S
        for _ in range(SCANS_MAX + 1):
            for found, path in await self._heard(network.ssid[:1], since_s=since_s):
                if found.bssid == network.bssid and ssid_bytes(found) == ssid_bytes(network):
                    return path
            since_s = await self._scanned()
        raise NetworkNotFound(f"{printable(network.ssid)} is not heard any more")

    async def _until_activated(
        self, states: trio.MemoryReceiveChannel[Any], network: SetupNetwork, active: str
    ) -> None:
        """Wait for our own activation; raises what the device's reason means when it is no more.

        Whether it lives is asked of itself: the device's states may be those of the network it was on, which
        NetworkManager takes down for ours, or had begun to bring back by itself (measured: reason 60 for both).
        """
        why = 0
        while True:
            state, reason = await self._next_state(states)
            ours = await self._state_of(active)
            if state == ACTIVATED and ours == _ACTIVE:
                return
            if (
                (state >= DEACTIVATING or state <= DISCONNECTED)
                and reason not in (0, why)
                and why in (0, NEW_ACTIVATION)
            ):
                why = reason
            if ours > _ACTIVE:
                raise failure_of(why, network)

    async def _state_of(self, active: str) -> int:
        """NMActiveConnectionState of a connection of ours; one that is gone is deactivated."""
        try:
            return int(await self._bus.get(active, ".Connection.Active", "State"))
        except AdapterUnavailable:
            return _OVER

    async def _next_state(self, states: trio.MemoryReceiveChannel[Any]) -> tuple[int, int]:
        """The next change of state and its reason; after a silence, the state as it is read."""
        with trio.move_on_after(STATE_WAIT_S):
            try:
                told = state_changed(await states.receive())
            except trio.EndOfChannel:
                await trio.sleep(STATE_WAIT_S)  # the bus is closed: the read below says so
            else:
                if told is not None:
                    return told
        now: tuple[int, int] = await self._bus.get(self._device, ".Device", "StateReason")
        try:
            told = state_changed(states.receive_nowait())  # what came meanwhile is older, and has the true reason
        except (trio.WouldBlock, trio.EndOfChannel):
            return now
        return told or now

    async def _check_where_we_are(self, network: SetupNetwork) -> None:
        """The BSSID that was asked for, and an address of the Photon's. Raises WrongNetwork, NoAddress."""
        point = await self._bus.get(self._device, ".Device.Wireless", "ActiveAccessPoint")
        bssid = str(await self._bus.get(point, ".AccessPoint", "HwAddress")).lower() if point != NO_OBJECT else ""
        if bssid != network.bssid:
            raise WrongNetwork(f"the adapter is on {printable(bssid) or 'no network'}, not on {network.bssid}")
        config = await self._bus.get(self._device, ".Device", "Ip4Config")
        rows = await self._bus.get(config, ".IP4Config", "AddressData") if config != NO_OBJECT else []
        addresses = [address for row in rows if (address := address_of(row)) is not None]
        if not any(address in PHOTON_SUBNET for address in addresses):
            told = ", ".join(map(str, addresses)) or "none"
            raise NoAddress(f"{printable(network.ssid)} gave no address of its subnet ({told})")

    async def _take_down(self, begun: str) -> None:
        with suppress(AdapterUnavailable):  # it is down already: the Photon has gone
            await self._bus.call(ROOT, NM, "DeactivateConnection", "o", (begun,))
        with suppress(AdapterUnavailable):  # the adapter itself is gone: there is nothing to leave
            while await self._bus.get(self._device, ".Device", "ActiveConnection") == begun:  # noqa: ASYNC110
                await trio.sleep(LOOK_S)


class NetworkManagerLink(BoundLink):
    """A bound link whose health NetworkManager knows, too."""

    def __init__(self, network: SetupNetwork, adapter: str, bus: Bus, device: str) -> None:
        super().__init__(network, adapter)
        self._bus = bus
        self._device = device

    async def healthy(self) -> bool:
        """Whether the adapter is still on that BSSID and has its address."""
        if not await super().healthy():
            return False
        try:
            state = await self._bus.get(self._device, ".Device", "State")
            point = await self._bus.get(self._device, ".Device.Wireless", "ActiveAccessPoint")
            bssid = await self._bus.get(point, ".AccessPoint", "HwAddress") if point != NO_OBJECT else ""
        except SwitchError:
            return False
        return state == ACTIVATED and str(bssid).lower() == self.network.bssid
