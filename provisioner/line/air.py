"""What is in the air: which setup networks are heard, taken, known, and to be left alone.

Rule 1: the key is the BSSID; SSIDs collide (facts: photon-softap 5.1). One key is leased to one station. Only a person
as back end knows no BSSID: then it is the SSID.
Rule 2: decisions are plain functions without waiting, so nothing can come between the look and the choice.
Rule 3: an identity learnt from an earlier visit is a hint for what to read ahead, never a reason to write.
"""

from __future__ import annotations

import math
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from provisioner.line.tray import Manifest
from provisioner.model import DeviceID, ListedDevice, SetupNetwork

WAITS_S = 120.0  # longer than a dozen visits: a board that every station hears weakly must not wait for ever
HEARD_MAX = 2048  # a hall full of Photons; beyond it the ones heard longest ago are forgotten


@dataclass(slots=True)
class _Heard:
    """What is remembered of one BSSID. Times are trio's."""

    ssid: str
    free_since_s: float
    device: DeviceID | None = None
    leased_by: str | None = None
    leave_alone_until_s: float = -math.inf
    told_s: float = -math.inf
    gone_s: float = -math.inf  # when it was last found to be gone
    no_lease: bool = False  # its DHCP server gave nothing: only an address of our own will do
    settled: bool = False  # the device that answered there has an outcome since
    looked_twice: bool = False
    misses: int = 0
    connected_s: float | None = None
    absent_since_connect: bool = False
    back: CameBack | None = None
    last_heard_s: float = field(default=-math.inf)


@dataclass(frozen=True, slots=True)
class CameBack:
    """The network of a device told to connect is heard again.

    `left_first`: it had gone, and came back as late as a refused Wi-Fi password brings it back. Otherwise the command
    may have been ignored, another unit may beacon under the same BSSID, or old firmware beacons on while it is online
    (facts: photon-softap 5.4, 7): only the cloud, or who answers there, can tell.
    """

    device: DeviceID
    left_first: bool


class Air:
    """The shared memory of all stations of a run."""

    def __init__(self, *, back_after_s: float, refused_after_s: float, signal_floor_dbm: int) -> None:
        self._back_after_s = back_after_s
        self._refused_after_s = refused_after_s
        self._signal_floor_dbm = signal_floor_dbm
        self._heard: dict[str, _Heard] = {}
        self._keys: dict[DeviceID, tuple[str, ...]] = {}  # where each device answered last: most often one place
        self._told: set[str] = set()  # whose devices were told to connect and are not settled
        self._earlier: dict[str, tuple[DeviceID, bool]] = {}

    def knew(self, key: str, device: DeviceID, *, settled: bool) -> None:
        """An earlier run found this device there, and it has its outcome, or is in doubt: should it be heard again, it
        is as if that run had gone on. (Old firmware beacons on while it is online: a rack of proven boards must not
        look like an adapter that joins nothing.)"""
        self._earlier[key] = device, settled

    def hear(self, networks: Sequence[SetupNetwork]) -> list[CameBack]:
        """Take in one fresh scan; return the devices that came back after being told to connect."""
        present = {network.key for network in networks}
        for key in self._told - present:
            self._heard[key].absent_since_connect = True
        back: list[CameBack] = []
        for network in networks:
            heard = self._remember(network)
            heard.last_heard_s = max(heard.last_heard_s, network.heard_s)
            if heard.connected_s is None or heard.device is None:
                continue
            after_s = self._refused_after_s if heard.absent_since_connect else self._back_after_s
            if network.heard_s < heard.connected_s + after_s or (heard.back and not heard.absent_since_connect):
                continue
            heard.back = CameBack(heard.device, heard.absent_since_connect)
            back.append(heard.back)
            if heard.absent_since_connect:
                heard.connected_s = None
                self._told.discard(network.key)
        return back

    def choose(
        self,
        networks: Sequence[SetupNetwork],
        *,
        station: str,
        now_s: float,
        fits: Callable[[SetupNetwork, DeviceID | None], bool],
    ) -> SetupNetwork | None:
        """Lease the strongest free network that `fits`, or None; see `_order`."""
        free = [
            network
            for network in networks
            if network.signal_dbm >= self._signal_floor_dbm
            and self._is_free(network, now_s)
            and fits(network, self.device_of(network.key))
        ]
        if not free:
            return None
        best = min(free, key=lambda network: self._order(network, now_s))
        self._heard[best.key].leased_by = station
        return best

    def _order(self, network: SetupNetwork, now_s: float) -> tuple[int, float, int, str]:
        """Boards that nothing is known against come first, the strongest of them; but one that waited too long before
        all others: a line that never runs out of new boards must not forget the one that failed once."""
        heard = self._heard[network.key]
        rank = heard.misses + heard.settled
        waited_s = now_s - heard.free_since_s
        if waited_s > WAITS_S * 2**rank:
            return 0, -waited_s, -network.signal_dbm, network.key
        return rank, 0.0, -network.signal_dbm, network.key

    def give_back(self, network: SetupNetwork, *, now_s: float) -> None:
        """End the lease."""
        heard = self._heard[network.key]
        heard.leased_by, heard.free_since_s = None, now_s

    def learn(self, network: SetupNetwork, device: DeviceID) -> None:
        """Remember who answered there, until somebody else does."""
        heard = self._heard[network.key]
        self._forget_device(network.key, heard)
        heard.settled = False
        heard.device, heard.back = device, None  # it listens: what was heard after an earlier visit is settled
        self._is_at(device, network.key)

    def leave_alone(self, network: SetupNetwork, *, until_s: float, missed: bool = True) -> None:
        """Do not choose this network again before then (`math.inf`: not in this run). `missed`: it counts."""
        heard = self._heard[network.key]
        heard.leave_alone_until_s = until_s
        heard.misses += missed

    def forgive(self) -> None:
        """A person vouches for what is on the bench: nothing is left alone for good any more."""
        for heard in self._heard.values():
            if heard.leave_alone_until_s == math.inf:
                heard.leave_alone_until_s = -math.inf

    def acquit(self, keys: Iterable[str]) -> None:
        """It was the adapter that could not join them: another one may, also what was left alone for good."""
        for key in keys:
            if (heard := self._heard.get(key)) is not None and not heard.settled:
                heard.leave_alone_until_s, heard.misses = -math.inf, 0

    def gone(self, network: SetupNetwork, *, now_s: float) -> None:
        """It was not there when an adapter came, or vanished under one: what was heard before says nothing now.

        Nobody was looked at, so a second look is still to come.
        """
        heard = self._heard[network.key]
        heard.gone_s, heard.looked_twice = now_s, False

    def no_lease(self, network: SetupNetwork) -> None:
        """Its DHCP server gave no address (facts: photon-softap T14: an address of our own works).

        Nobody was looked at the first time, so a second look is still to come.
        """
        heard = self._heard[network.key]
        heard.looked_twice, heard.no_lease = heard.looked_twice and heard.no_lease, True

    def needs_static_address(self, network: SetupNetwork) -> bool:
        """Whether its DHCP server has failed before."""
        return self._heard[network.key].no_lease

    def misses(self, network: SetupNetwork) -> int:
        """How many visits there ended badly."""
        return self._heard[network.key].misses

    def told_to_connect(self, network: SetupNetwork, *, now_s: float) -> None:
        """The device there was told to leave; a beacon from now on may be stale, later it means it is back."""
        heard = self._heard[network.key]
        heard.connected_s, heard.absent_since_connect, heard.back = now_s, False, None
        heard.told_s = now_s
        self._told.add(network.key)
        heard.leave_alone_until_s = now_s + self._back_after_s

    def settled(self, device: DeviceID) -> None:
        """The device has an outcome: its network coming back is no longer news."""
        for key in self._keys.get(device, ()):
            heard = self._heard[key]
            heard.connected_s, heard.back, heard.settled = None, None, True
            self._told.discard(key)

    def give_another_chance(self, device: DeviceID) -> None:
        """A person wants it worked again: what its earlier visits told against its network is forgotten."""
        for key in self._keys.get(device, ()):
            heard = self._heard[key]
            heard.leave_alone_until_s, heard.misses, heard.settled, heard.looked_twice = -math.inf, 0, False, False

    def returned(self, device: DeviceID) -> None:
        """The device has no outcome after all, and a station shall have it: nothing that was noted while none might
        (it is in doubt, so it was left alone) counts any more."""
        self.settled(device)
        for key in self._keys.get(device, ()):
            heard = self._heard[key]
            heard.settled, heard.leave_alone_until_s = False, -math.inf

    def may_be_another(self, network: SetupNetwork) -> bool:
        """Whether another unit may answer there than the settled one that did: a network that is still heard long
        after. It is worth one look."""
        heard = self._heard[network.key]
        late = network.heard_s > heard.told_s + self._refused_after_s
        return heard.settled and late and not heard.looked_twice

    def look_twice(self, network: SetupNetwork) -> None:
        """That one look begins."""
        self._heard[network.key].looked_twice = True

    def back_since_connect(self, device: DeviceID) -> CameBack | None:
        """The news that it came back, if it has no outcome since: for whoever was not there when it was told."""
        return next((back for key in self._keys.get(device, ()) if (back := self._heard[key].back)), None)

    def device_of(self, key: str) -> DeviceID | None:
        """Who answered there last, if anybody."""
        heard = self._heard.get(key)
        return heard.device if heard is not None else None

    def _is_free(self, network: SetupNetwork, now_s: float) -> bool:
        """Not with a station, not to be left alone, and heard since the device there was told to connect."""
        heard = self._heard.get(network.key)
        return (
            heard is not None
            and heard.leased_by is None
            and now_s >= heard.leave_alone_until_s
            and network.heard_s > max(heard.told_s + self._back_after_s, heard.gone_s)
        )

    def _remember(self, network: SetupNetwork) -> _Heard:
        heard = self._heard.get(network.key)
        if heard is None:
            if len(self._heard) >= HEARD_MAX:
                self._forget_oldest()
            heard = self._heard[network.key] = _Heard(network.ssid, free_since_s=network.heard_s)
            if network.key in self._earlier:
                heard.device, heard.settled = self._earlier[network.key]
                self._is_at(heard.device, network.key)
        return heard

    def _is_at(self, device: DeviceID, key: str) -> None:
        keys = self._keys.get(device, ())
        self._keys[device] = keys if key in keys else (*keys, key)

    def _forget_oldest(self) -> None:
        """Forget those heard longest ago: an eighth of them, so that this is not done for every new one."""
        idle = [key for key, heard in self._heard.items() if heard.leased_by is None and heard.connected_s is None]
        idle.sort(key=lambda key: self._heard[key].last_heard_s)
        for key in idle[: HEARD_MAX // 8]:
            self._forget_device(key, self._heard.pop(key))

    def _forget_device(self, key: str, heard: _Heard) -> None:
        """Somebody else answers there now, or the network is forgotten."""
        if heard.device is not None and (keys := self._keys.get(heard.device)) is not None:
            self._keys[heard.device] = tuple(other for other in keys if other != key)
            if not self._keys[heard.device]:
                del self._keys[heard.device]


def suffix_of(ssid: str) -> str:
    """The device code of a setup SSID: `Photon-KLJZ` -> `KLJZ`."""
    return ssid.rpartition("-")[2].upper()


class Suffixes:
    """Listed devices by the last four characters of their serial number.

    The box label's last four characters name a 4-symbol setup network (facts: factory-anchors 1.4). It is a hint
    for reading ahead and for the scanner, never an identity. A device costs eight bytes here: two sorted columns.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        marked = sorted((_mark(device.serial), row) for row, device in enumerate(manifest) if device.serial)
        self._marks = array("I", (mark for mark, _ in marked))
        self._rows = array("I", (row for _, row in marked))

    def candidates(self, ssid: str) -> list[ListedDevice]:
        """The listed devices whose label would name this setup network."""
        suffix = suffix_of(ssid)
        mark = zlib.crc32(suffix.encode())
        rows = self._rows[bisect_left(self._marks, mark) : bisect_right(self._marks, mark)]
        found = [self._manifest.row(row) for row in rows]
        return [device for device in found if device.serial and serial_suffix(device.serial) == suffix]


def _mark(serial: str) -> int:
    return zlib.crc32(serial_suffix(serial).encode())


def serial_suffix(serial: str) -> str:
    """`PHHMAB804PAKLJZ` -> `KLJZ`; the older `PH-160329-KVXY-0` -> `KVXY`."""
    parts = serial.upper().split("-")
    return parts[2] if len(parts) == 4 and len(parts[2]) == 4 else serial.upper()[-4:]
