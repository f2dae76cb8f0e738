"""The contract suite in a hall of namespaces (L2): the manual back end, whose person moves real cables."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from hall import Hall, run

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from switcher_benches import ManualBench, Operator
from switcher_cases import CASES, show

from provisioner.network.manual import ManualFactory
from provisioner.network.switcher import JoinPolicy
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient

ADAPTERS = ("wlan1", "wlan2")
LEASE, NO_LEASE, HOME = "192.168.0.2/24", "169.254.3.4/16", "10.9.0.5/24"


class Cables(dict):
    """Where each adapter is, as the person has plugged it; with the address that a computer would have there."""

    def __init__(self, bench):
        super().__init__()
        self.bench = bench

    def __setitem__(self, adapter, where):
        super().__setitem__(adapter, where)
        hall = self.bench.hall
        hall.unplug(adapter)
        run("ip", "addr", "flush", "dev", adapter)
        place = ("home", HOME) if where == "uplink" else self.bench.units.get(where)
        if place is not None:  # else the network is gone: the cable hangs
            hall.plug(adapter, place[0])
            run("ip", "addr", "add", place[1], "dev", adapter)


class HallAir:
    """What the person sees."""

    def __init__(self, bench):
        self.on = Cables(bench)


class HallBench(ManualBench):
    """Two units that stay powered; which of them has which name is the case's."""

    policy = JoinPolicy(budget_s=20, leave_budget_s=2)
    join_bound_s = 6.0
    while_s = 0.5
    slack_s = 1.0
    restore_s = 8.0
    cannot: ClassVar = ManualBench.cannot

    def __init__(self, hall: Hall, powered):
        self.hall, self.powered, self.units = hall, list(powered), {}
        self.air = HallAir(self)
        self.operator = Operator(self.air, needs_s=0.05)
        for adapter in ADAPTERS:
            self.air.on[adapter] = "uplink"

    def put(self, ssid, *, lease=True):
        self.units[ssid] = (self.powered.pop(0), LEASE if lease else NO_LEASE)

    def vanish(self, ssid):
        unit, _ = self.units.pop(ssid)
        for adapter, where in self.air.on.items():
            if where == ssid:
                self.air.on[adapter] = None
        self.powered.append(unit)

    def open(self, adapter, uplink):
        return ManualFactory(self.operator, person_budget_s=self.join_bound_s).session(adapter=adapter, uplink=uplink)

    async def who_answers(self, link):
        device = str(await SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets()).identify())
        return next(ssid for ssid, (unit, _) in self.units.items() if unit.device_id == device)


async def contract(hall):
    """Every case of the contract that a person as a back end can show."""
    units = [hall.unit("Photon-YYYY"), hall.unit("Photon-ZZZZ")]
    hall.heard()
    hall.space("home", "10.9.0.1/24", "02:00:00:00:02:00")
    for adapter in ADAPTERS:
        hall.adapter(adapter, "")

    @contextmanager
    def benches():
        yield HallBench(hall, units)

    return await show(benches, list(CASES.values()))
