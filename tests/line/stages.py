"""What the stages' tests share: listed devices, a cloud, an air and Photons that follow a script.

Rule 1: journal, ledger, air, hold, lookups and codes are the real ones; only the cloud, the adapter and the device
are scripted, at the seams the stages call.
Rule 2: every scripted act takes time (a checkpoint), so that virtual time and cancellation find a place in it.
"""

import dataclasses
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from provisioner.errors import NotInCloud
from provisioner.line.air import Air, Suffixes
from provisioner.line.claim_codes import ClaimCodes
from provisioner.line.confirmer import Confirmer
from provisioner.line.hold import LineHold
from provisioner.line.ledger import Ledger
from provisioner.line.lookups import Lookups
from provisioner.line.newest import RecentPage
from provisioner.line.station import Station
from provisioner.line.tray import Manifest, Tray
from provisioner.line.uplink import Uplink
from provisioner.line.visit import Shared
from provisioner.model import (
    ClaimPolicy,
    ClaimTo,
    CloudDevice,
    DeviceID,
    ListedDevice,
    SecurityType,
    SetupNetwork,
    WifiProfile,
)
from provisioner.network.switcher import Traits
from provisioner.secrets import ClaimCode, Secret
from provisioner.settings import Budgets, Limits

ACCOUNT = "factory@example.com"
OWNER = "line3+t-1@example.com"
EPOCH = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
NEVER = datetime.min.replace(tzinfo=UTC)
WIFI = {"factory-2g": (WifiProfile("factory-2g", "Factory", SecurityType.WPA2_AES, 6), Secret("canary-wifi-password"))}


def id_of(number):
    return DeviceID.parse(f"{0x3B0021001747353236343000 + number:024x}")


def listed(number, *, to="customer", wifi="factory-2g", tray="T-1", owner=OWNER, serial=None, takeover=False):
    policy = ClaimPolicy(ClaimTo(to), "line3+{tray}@example.com" if to == "customer" else None)
    return ListedDevice(
        id_of(number), tray, number, serial, policy, owner if to == "customer" else None, wifi, takeover
    )


def manifest_of(*devices):
    trays = {device.tray: [] for device in devices}
    for device in devices:
        trays[device.tray].append(device)
    return Manifest(
        Path("manifest.yaml"),
        "0" * 64,
        "tempmon-v100",
        None,
        tuple(Tray(tray, rows[0].claim, rows[0].wifi, rows) for tray, rows in trays.items()),
    )


def in_cloud(device, **changes):
    row = {"online": False, "owner": None, "in_product": True, "quarantined": False, "denied": False,
           "last_handshake_at": None}  # fmt: skip
    return CloudDevice(device if isinstance(device, DeviceID) else device.id, **(row | changes))


def cloud_time(at_s):
    return EPOCH + timedelta(seconds=at_s)


class ScriptedCloud:
    """Devices by ID; `faults` are raised by the next calls of that kind, first come first served."""

    def __init__(self, *devices):
        self.devices = {device.id: in_cloud(device) for device in devices}
        self.reads, self.made, self.claims = [], [], []
        self.pages = []
        self.faults = {"read": [], "page": [], "make": [], "claim": []}
        self.read_s = self.make_s = self.claim_s = 0.1

    def change(self, device, **changes):
        self.devices[device.id] = dataclasses.replace(self.devices[device.id], **changes)

    def _fail(self, kind):
        if self.faults[kind]:
            fault = self.faults[kind].pop(0)
            if fault is not None:
                raise fault

    async def read(self, device):
        self.reads.append((device.id, trio.current_time()))
        await trio.sleep(self.read_s)
        self._fail("read")
        if device.id not in self.devices:
            raise NotInCloud("not found", status=404, reason="not found")
        return self.devices[device.id]

    def know(self, id_, **changes):
        self.devices[id_] = in_cloud(id_, **changes)

    async def read_recent(self, count):
        self.pages.append((count, trio.current_time()))
        await trio.sleep(self.read_s)
        self._fail("page")
        newest = sorted(self.devices.values(), key=lambda row: row.last_handshake_at or NEVER, reverse=True)
        return RecentPage.of(newest[:count], whole=len(newest) <= count)

    async def make(self, owner):
        await trio.sleep(self.make_s)
        self._fail("make")
        self.made.append(owner)
        return ClaimCode(f"canary{len(self.made):057d}")

    async def claim(self, device):
        self.claims.append(device.id)
        await trio.sleep(self.claim_s)
        self._fail("claim")


class Photon:
    """One device in listening mode. `script` maps the number of a call (from 0) to what happens instead or before.

    An exception is raised after `call_s`; a callable is called before the answer, and may change `id`.
    """

    def __init__(self, number, *, signal_dbm=-50, ssid=None):
        self.id = id_of(number)
        self.ssid = ssid or f"Photon-{'ABCDEFGHJK'[number // 10 % 10]}{'ABCDEFGHJK'[number % 10]}22"
        self.bssid = f"02:00:00:00:00:{number:02x}"
        self.signal_dbm = signal_dbm
        self.calls, self.script = [], {}
        self.listening, self.linked, self.call_s = True, True, 0.1

    def heard(self):
        return SetupNetwork(self.ssid, self.bssid, self.signal_dbm, trio.current_time())

    def writes(self):
        return [call for call in self.calls if call not in ("identify", "prepare")]

    async def _call(self, name):
        happening = self.script.get(len(self.calls))
        self.calls.append(name)
        await trio.sleep(self.call_s)
        if callable(happening) and not isinstance(happening, type):
            happening = happening()
        if isinstance(happening, BaseException):
            raise happening

    async def identify(self):
        await self._call("identify")
        return self.id

    async def prepare(self):
        await self._call("prepare")

    async def set_claim_code(self, code):
        self.code = code.reveal()
        await self._call("set_claim_code")

    async def set_wifi(self, profile, password):
        await self._call("set_wifi")

    async def connect(self):
        await self._call("connect")
        self.listening = False


class ScriptedLink:
    def __init__(self, network, photon):
        self.network, self.photon = network, photon

    async def dial(self, host, port):
        raise NotImplementedError

    async def healthy(self):
        await trio.lowlevel.checkpoint()
        return self.photon.linked


class ScriptedSwitcher:
    """One adapter among Photons. `join_faults` and `scan_faults` are raised by the next joins and scans."""

    traits = Traits("scripted", "sim0")

    def __init__(self, *photons):
        self.photons = list(photons)
        self.join_faults, self.scan_faults, self.leave_faults, self.restore_faults = [], [], [], []
        self.joins, self.left, self.scans, self.restored = [], 0, 0, 0
        self.scan_s, self.join_s, self.restore_s = 0.5, 1.0, 0.1
        self.on_scan = lambda: None

    async def scan(self, *, prefix, timeout):
        self.scans += 1
        await trio.sleep(self.scan_s)
        self.on_scan()
        if self.scan_faults:
            raise self.scan_faults.pop(0)
        return [photon.heard() for photon in self.photons if photon.listening]

    @asynccontextmanager
    async def joined(self, network, policy):
        await trio.sleep(self.join_s)
        fault = self.join_faults.pop(0) if self.join_faults else None
        if fault is not None:
            raise fault
        (photon,) = (photon for photon in self.photons if photon.bssid == network.bssid)
        self.joins.append(network.bssid)
        failed = True
        try:
            yield ScriptedLink(network, photon)
            failed = False
        finally:
            self.left += 1
            if self.leave_faults and not failed:
                raise self.leave_faults.pop(0)

    async def restore(self, *, timeout):
        await trio.sleep(self.restore_s)
        self.restored += 1
        if self.restore_faults:
            raise self.restore_faults.pop(0)


class Bench:
    """A line for the devices of a manifest: everything a station shares, real but for the cloud and the air."""

    def __init__(self, journal, nursery, devices, *, budgets=None, limits=None, membership=True, each_max=1):
        self.journal, self.nursery, self.devices = journal, nursery, devices
        self.records = []
        self.budgets = budgets or Budgets()
        self.limits = limits or Limits()
        self.manifest = manifest_of(*devices)
        self.ledger = Ledger(self.manifest, account=ACCOUNT, visits_max=self.limits.device_attempts_max)
        journal.subscribe(self.records.append)
        journal.subscribe(self.ledger.see)
        self.cloud, self.uplink = ScriptedCloud(*devices), Uplink()
        self.hold = LineHold(journal, same_fault_holds_at=self.limits.same_site_fault_holds_at)
        self.air = Air(
            back_after_s=self.budgets.setup_network_back_s,
            refused_after_s=self.budgets.wifi_refused_after_s,
            signal_floor_dbm=self.limits.signal_floor_dbm,
        )
        self.lookups = Lookups(self.cloud.read, self.uplink, report=self.hold.report)
        self.codes = ClaimCodes(
            self.cloud.make,
            self.ledger,
            self.uplink,
            self.hold,
            each_max=each_max,
            ready_max=self.limits.codes_max(1),
            age_max_s=self.budgets.claim_code_age_s,
            clock=trio.current_time,
            give_up_s=self.budgets.site_hold_max_s,
        )
        self.handed_over, self.came_back = [], []
        self.shared = Shared(
            joins=trio.Semaphore(8),
            journal=journal,
            ledger=self.ledger,
            air=self.air,
            hold=self.hold,
            lookups=self.lookups,
            codes=self.codes,
            suffixes=Suffixes(self.manifest),
            budgets=self.budgets,
            limits=self.limits,
            prefix="Photon-",
            wifi=WIFI,
            account=ACCOUNT,
            membership=membership,
            cloud_time=cloud_time,
            hand_over=self.hand_over,
            came_back=self.came_back.append,
        )

    async def hand_over(self, done):
        await trio.lowlevel.checkpoint()
        self.handed_over.append(done)

    def start(self):
        """Start what serves stations, and import every device."""
        self.nursery.start_soon(self.codes.keep_stocked)
        self.nursery.start_soon(self.lookups.work)
        for device in self.devices:
            self.write("device.imported", device, code="added")
        return self

    def station(self, *photons, name="S1"):
        switcher = ScriptedSwitcher(*photons)
        return Station(name, switcher, self.shared, lambda link: link.photon)

    def confirmer(self, *, waiting_max=32, workers=2, may_visit_again=lambda device: True):
        """A confirmer over these parts, with its workers at work."""
        confirmer = Confirmer(
            read=self.cloud.read,
            read_recent=self.cloud.read_recent,
            claim=self.cloud.claim,
            journal=self.journal,
            air=self.air,
            hold=self.hold,
            uplink=self.uplink,
            budgets=self.budgets,
            waiting_max=waiting_max,
            may_visit_again=may_visit_again,
        )
        for _ in range(workers):
            self.nursery.start_soon(confirmer.work)
        return confirmer

    def write(self, event, device, **fields):
        self.journal.append(event, tray=device.tray, slot=device.slot, device=device.id, **fields)

    def events(self, *, of=None, beside=()):
        return [r.event for r in self.records if r.event not in beside and (of is None or r.device == of.id)]

    def named(self, event):
        return [record for record in self.records if record.event == event]

    def state(self, device):
        return self.ledger[device.id].state


async def one_visit(station, wanted=None):
    """Find a board, visit it, and learn from it; returns the Visit."""
    network = await station.find(wanted)
    assert network is not None
    visit = await station.visit(network, wanted)
    station.learn_from(visit)
    return visit
