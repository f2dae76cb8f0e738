"""A wpa_supplicant in memory: its control commands and their times, as measured (facts: network 6.4)."""

import itertools
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import trio

from provisioner.errors import BackendGone


@dataclass
class Point:
    """One access point."""

    ssid: bytes
    bssid: str
    secured: bool = False
    frequency: int = 2462
    up: bool = True


class FakeWpa:
    """One adapter's daemon. `moved(adapter, ssid)` is told where it is; `points` is shared by all in one air."""

    def __init__(self, nursery, adapter, points, *, moved=lambda *_: None):
        self.nursery, self.adapter, self.points, self.moved = nursery, adapter, points, moved
        self.networks, self.state, self.bssid, self.current = {}, "DISCONNECTED", "", None
        self.calls, self.results, self.hangs, self.fails = [], [], set(), {}
        self.running, self.disabled = True, set()
        self.scanning, self.scans_fail = False, 0
        self._tell, self._told = trio.open_memory_channel(100)
        self._numbers = itertools.count()
        self.scope = trio.CancelScope()

    def put_on_uplink(self):
        number = str(next(self._numbers))
        self.networks[number] = {"ssid": b"home".hex()}
        self.state, self.current, self.bssid = "COMPLETED", number, "aa:aa:aa:aa:aa:aa"
        self.moved(self.adapter, "uplink")
        return number

    @asynccontextmanager
    async def open(self, adapter):
        if not self.running:
            raise BackendGone(f"no wpa_supplicant serves {adapter}")
        yield self

    async def ask(self, command):
        await trio.sleep(0.001)
        name, *rest = command.split(" ")
        self.calls.append(command)
        if not self.running:
            raise BackendGone("wpa_supplicant does not answer")
        if name in self.hangs:
            await trio.sleep(3.0)
            raise BackendGone("wpa_supplicant does not answer")
        if name in self.fails:
            return self.fails[name]
        return getattr(self, f"on_{name}")(*rest)

    # --- commands ---

    def on_PING(self):
        return "PONG"

    def on_BSS_FLUSH(self, _age):
        self.results = []
        return "OK"

    def on_SCAN(self, channels=""):
        """As the real one: a scan that is asked for does not show in `wpa_state`; a second one fails."""
        if self.scanning:
            return "FAIL-BUSY"
        frequencies = [int(one) for one in channels.removeprefix("freq=").split(",")] if channels else None
        self.scanning = True
        self.nursery.start_soon(self._scan, frequencies)
        return "OK"

    async def _scan(self, frequencies):
        await trio.sleep(0.06 if frequencies else 3.8)
        self.scanning = False
        if self.scans_fail:
            self.scans_fail -= 1
            self._tell.send_nowait("CTRL-EVENT-SCAN-FAILED")
            return
        self.results = [p for p in self.points if p.up and (frequencies is None or p.frequency in frequencies)]
        self._tell.send_nowait("CTRL-EVENT-SCAN-RESULTS")

    def forget_events(self):
        with suppress(trio.WouldBlock):
            while True:
                self._told.receive_nowait()

    async def event(self, *names):
        while (told := await self._told.receive()) not in names:
            pass
        return told

    def on_SCAN_RESULTS(self):
        rows = ["bssid / frequency / signal level / flags / ssid"]
        for point in self.results:
            flags = "[WPA2-PSK-CCMP][ESS]" if point.secured else "[ESS]"
            rows.append(f"{point.bssid}\t{point.frequency}\t-51\t{flags}\t{escaped(point.ssid)}")
        return "\n".join(rows)

    def on_LIST_NETWORKS(self):
        rows = [
            f"{number}\t{escaped(bytes.fromhex(one['ssid']))}\tany\t"
            + ("[CURRENT]" if number == self.current else "[DISABLED]" if number in self.disabled else "")
            for number, one in self.networks.items()
        ]
        return "\n".join(["network id / ssid / bssid / flags", *rows])

    def on_GET_NETWORK(self, number, key):
        return self.networks[number].get(key, "FAIL")

    def on_ADD_NETWORK(self):
        number = str(next(self._numbers))
        self.networks[number] = {}
        return number

    def on_SET_NETWORK(self, number, key, value):
        self.networks[number][key] = value
        return "OK"

    def on_SELECT_NETWORK(self, number):
        if number not in self.networks:
            return "FAIL"
        self.disabled = set(self.networks) - {number}
        self.scope.cancel()
        self.scope = trio.CancelScope()
        self.state, self.current, self.bssid = "SCANNING", number, ""
        self.moved(self.adapter, None)
        self.nursery.start_soon(self._associate, number, self.scope)
        return "OK"

    async def _associate(self, number, scope):
        with scope:
            network = self.networks[number]
            if "bssid" not in network:
                await trio.sleep(0.5)
                if "associate" in self.hangs:
                    await trio.sleep_forever()
                self.state, self.bssid = "COMPLETED", "aa:aa:aa:aa:aa:aa"
                self.moved(self.adapter, "uplink")
                return
            while True:
                await trio.sleep(0.1)
                for point in self.points:
                    same = point.bssid == network["bssid"] and point.ssid.hex() == network["ssid"]
                    if point.up and same:
                        self.state = "ASSOCIATING"
                        if "associate" in self.hangs:
                            await trio.sleep_forever()
                        await trio.sleep(0.05)
                        self.state, self.bssid = "COMPLETED", point.bssid
                        self.moved(self.adapter, point.ssid.decode("utf-8", "surrogateescape"))
                        return

    def on_ENABLE_NETWORK(self, number):
        """As the real one: where nothing is joined, it chooses among what is enabled."""
        self.disabled -= set(self.networks) if number == "all" else {number}
        home = next((n for n, one in self.networks.items() if "bssid" not in one and n not in self.disabled), None)
        if self.current is None and home is not None:
            others = set(self.disabled)
            self.on_SELECT_NETWORK(home)
            self.disabled = others
        return "OK"

    def on_REMOVE_NETWORK(self, number):
        if number not in self.networks:
            return "FAIL"
        del self.networks[number]
        if self.current == number:
            self.scope.cancel()
            self.state, self.current, self.bssid = "DISCONNECTED", None, ""
            self.moved(self.adapter, None)
        return "OK"

    def on_STATUS(self):
        point = next((p for p in self.points if p.bssid == self.bssid), None)
        if point is not None and not point.up:  # its beacons are missed
            self.state, self.bssid = "SCANNING", ""
        rows = [f"wpa_state={self.state}"]
        rows += [f"bssid={self.bssid}"] if self.bssid else []
        rows += [f"id={self.current}"] if self.current is not None else []
        return "\n".join(rows)


def escaped(raw):
    """As wpa_supplicant's printf_encode."""
    names = {0x22: '\\"', 0x5C: "\\\\", 0x1B: "\\e", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
    return "".join(names.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in raw)
