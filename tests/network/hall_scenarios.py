"""What is shown in a hall of namespaces (L2); prints one line of JSON, scenario by scenario. Run by `test_namespaces`.

The line's own code works here: stations, hand-over, SoftAP client, links; its cloud is scripted, everything below is
the kernel's. A scenario tells what happened; what must be so is asserted by the tests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import tempfile
import traceback
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import trio
from hall import AIR, Hall, run, sysctl
from hall_bench import contract

sys.path.insert(0, str(Path(__file__).parents[1] / "line"))

import stages

from provisioner.errors import ProvisionerError
from provisioner.journal.writer import open_journal
from provisioner.line.station import Station
from provisioner.line.visit import Wanted
from provisioner.model import DeviceID, SecurityType, SetupNetwork, WifiProfile
from provisioner.network.bound import BoundLink
from provisioner.network.host import look
from provisioner.network.manual import ManualFactory
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.secrets import Secret
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient

ADAPTERS = [f"ph{number}" for number in range(8)]
BUDGETS = Budgets(softap_command_s=2, softap_slow_command_s=20)
LOSSY = Budgets(softap_command_s=8, softap_slow_command_s=20)
FACTORY = {"factory-2g": (WifiProfile("factory-2g", "TestRouter", SecurityType.WPA2_AES, 6), Secret("mywifipassword"))}


def client_of(link, budgets=BUDGETS):
    return SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=budgets)


async def ask(adapter, times=3):
    """Who answers on this adapter, request by request: an ID, or the failure's code."""
    answers = []
    for _ in range(times):
        try:
            answers.append(str(await client_of(BoundLink(SetupNetwork("Photon-AAAA", "", 0, 0.0), adapter)).identify()))
        except ProvisionerError as failure:
            answers.append(failure.code)
    return answers


async def ask_all(adapters):
    answers = {}

    async def one(adapter):
        answers[adapter] = await ask(adapter)

    async with trio.open_nursery() as nursery:
        for adapter in adapters:
            nursery.start_soon(one, adapter)
    return answers


# --- the line in the hall ---


class Hands:
    """The person of the manual back end: names the unit that is on the jig, and says that all is done."""

    def __init__(self, unit):
        self.unit = unit

    async def tell(self, text):
        await trio.lowlevel.checkpoint()

    async def confirm(self, text):
        await trio.lowlevel.checkpoint()
        return True

    async def line(self, text):
        await trio.lowlevel.checkpoint()
        return self.unit.ssid


@contextlib.asynccontextmanager
async def line(units, budgets=BUDGETS):
    """A line whose manifest lists these units. Yields it with a function that opens a station for one of them."""
    devices = [
        dataclasses.replace(stages.listed(number), id=DeviceID.parse(unit.device_id))
        for number, unit in enumerate(units, 1)
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        open_journal(Path(folder), "run", wall=lambda: datetime.now(UTC), mono=trio.current_time) as journal,
    ):
        async with trio.open_nursery() as nursery, contextlib.AsyncExitStack() as stack:
            bench = stages.Bench(journal, nursery, devices, budgets=budgets)
            bench.shared = dataclasses.replace(bench.shared, wifi=FACTORY)
            bench.start()

            async def station(adapter, unit):
                session = ManualFactory(Hands(unit)).session(adapter=adapter, uplink=Uplink.SEPARATE)
                switcher = await stack.enter_async_context(session)
                return Station(adapter, switcher, bench.shared, lambda link: client_of(link, budgets))

            yield bench, station
            nursery.cancel_scope.cancel()


def told(bench, unit, visit):
    """How a visit ended, what the journal says, and what the unit itself experienced."""
    writes = [r.event for r in bench.records if r.event.partition(".")[0] in ("claim_code", "wifi", "connect")]
    failure = visit.failure
    return {
        "failure": failure.code if failure else None,
        "blame": failure.blame if failure else None,
        "journal": writes,
        "unit": unit.stop(),
    }


# --- scenarios ---


def ask_unbound():
    with urllib.request.urlopen("http://192.168.0.1/device-id", timeout=5) as answer:
        return [answer.status, json.loads(answer.read())["id"].lower()]


async def the_right_one(hall):
    """Eight units at one address; every answer under every setting of the reverse path filter."""
    for adapter in ADAPTERS:
        unit = hall.unit(f"Photon-AB{adapter[-1]}A")
        hall.adapter(adapter)
        hall.plug(adapter, unit)
    hall.heard()
    ids = {adapter: unit.device_id for adapter, unit in zip(ADAPTERS, hall.units, strict=True)}
    results = {"ids": ids, "filter": {}, "doctor": {}}
    results["unbound"] = await trio.to_thread.run_sync(ask_unbound)
    for value in (0, 2, 1):
        for conf in ("all", *ADAPTERS):
            sysctl(f"net.ipv4.conf.{conf}.rp_filter", value)
        results["filter"][value] = await ask_all(ADAPTERS)
        found = [finding for finding in look(ADAPTERS) if finding.what == "reverse path filter"]
        results["doctor"][value] = [finding.remedy for finding in found]
    return results


async def no_route(hall):
    """All routes of the Photons' range are gone: bound sockets do not need them."""
    sysctl("net.ipv4.conf.all.rp_filter", 0)
    for adapter in ADAPTERS:
        sysctl(f"net.ipv4.conf.{adapter}.rp_filter", 0)
        run("ip", "route", "flush", "dev", adapter)
    return await ask_all(ADAPTERS)


async def stale_neighbour(hall):
    """The neighbour table still has the last unit's MAC for 192.168.0.1: nobody answers, and nothing is written."""
    gone, wanted = hall.unit("Photon-CCCC"), hall.unit("Photon-DDDD")
    hall.heard()
    hall.adapter("st0")
    hall.plug("st0", gone)
    before = await ask("st0", 1)
    hall.plug("st0", wanted)
    run("ip", "neigh", "replace", "192.168.0.1", "lladdr", gone.mac, "dev", "st0", "nud", "reachable")
    async with line([wanted]) as (bench, station):
        one = await station("st0", wanted)
        began = trio.current_time()
        visit = await stages.one_visit(one)
        took = trio.current_time() - began
        run("ip", "neigh", "flush", "dev", "st0")
        return {"before": before == [gone.device_id], "bounded": took < 30, **told(bench, wanted, visit)}


async def wrong_neighbour(hall):
    """Two units on one wire, and the neighbour table has the wrong one: it answers with 200, and is caught."""
    results = {}
    for listing in ("only the wanted one is listed", "both are listed, one was scanned"):
        wrong, wanted = hall.unit("Photon-EEEE"), hall.unit("Photon-FFFF")
        hall.heard()
        name = f"wn{len(results)}"
        hall.adapter(name)
        hall.plug(name, wanted)
        run("ip", "-n", AIR, "link", "set", f"{wrong.space}x", "master", wanted.space)
        run("ip", "neigh", "replace", "192.168.0.1", "lladdr", wrong.mac, "dev", name, "nud", "reachable")
        units = [wanted] if listing.startswith("only") else [wanted, wrong]
        async with line(units) as (bench, station):
            scanned = Wanted(device=DeviceID.parse(wanted.device_id))
            visit = await stages.one_visit(await station(name, wanted), scanned)
            results[listing] = {**told(bench, wrong, visit), "the wanted one": wanted.stop()}
    return results


async def swapped(hall):
    """The unit is swapped in mid-visit, after it was identified: the next write is not made."""
    first, second = hall.unit("Photon-GGGG"), hall.unit("Photon-HHHH")
    hall.heard()
    hall.adapter("sw0")
    hall.plug("sw0", first)
    async with line([first, second]) as (bench, station):

        def swap(record):
            if record.event == "claim_code.accepted":
                hall.plug("sw0", second)
                run("ip", "neigh", "flush", "dev", "sw0")

        bench.journal.subscribe(swap)
        visit = await stages.one_visit(await station("sw0", first))
        return {**told(bench, first, visit), "the second": second.stop()}


async def adapter_vanishes(hall):
    """The adapter is pulled out in mid-visit, after the claim code: the visit ends in words, the next join refuses."""
    unit = hall.unit("Photon-JJJJ")
    hall.heard()
    hall.adapter("va0")
    hall.plug("va0", unit)
    async with line([unit]) as (bench, station):

        def pull(record):
            if record.event == "claim_code.accepted":
                run("ip", "link", "delete", "va0")

        bench.journal.subscribe(pull)
        one = await station("va0", unit)
        visit = await stages.one_visit(one)
        try:
            async with one.switcher.joined(visit.network, JoinPolicy()):
                again = ["joined"]
        except ProvisionerError as failure:
            again = [failure.code, failure.blame, failure.detail]
        return {**told(bench, unit, visit), "again": again}


async def bad_cables(hall):
    """Eight whole visits at once over cables that lose and delay: what the journal says is what the units know."""
    losses = [0.0, 0.05, 0.05, 0.05, 0.1, 0.1, 0.1, 0.5]
    results, units = {}, []
    for number, loss in enumerate(losses):
        unit = hall.unit(f"Photon-KKK{'ABCDEFGH'[number]}")
        hall.bad_adapter(f"bc{number}", loss=loss, delay_ms=20, seed=number)
        hall.plug(f"bc{number}", unit)
        units.append(unit)
    hall.heard()
    async with line(units, LOSSY) as (bench, station):

        async def work(name, unit, loss):
            visit = await stages.one_visit(await station(name, unit))
            records = [r.event for r in bench.records if r.station == name]
            results[name] = {
                "loss": loss,
                "failure": visit.failure.code if visit.failure else None,
                "seconds": round(trio.current_time() - visit.began_s, 1),
                "device": [visit.device.id if visit.device else None, unit.device_id],
                "journal": records,
            }

        async with trio.open_nursery() as nursery:
            for number, (unit, loss) in enumerate(zip(units, losses, strict=True)):
                nursery.start_soon(work, f"bc{number}", unit, loss)
    for number, unit in enumerate(units):
        results[f"bc{number}"] |= {"unit": unit.stop(), "frames": hall.relayed(f"bc{number}")}
    return results


SCENARIOS = [
    the_right_one, no_route, stale_neighbour, wrong_neighbour, swapped, adapter_vanishes, bad_cables, contract
]  # fmt: skip


def main():
    hall, results = Hall(), {}
    for scenario in SCENARIOS:
        if scenario.__name__ in sys.argv[1:]:
            try:
                results[scenario.__name__] = {"result": trio.run(scenario, hall)}
            except BaseException:  # noqa: BLE001 - one bad scenario hides no other
                results[scenario.__name__] = {"error": traceback.format_exc()[-4000:]}
    print(json.dumps(results), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
