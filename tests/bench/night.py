"""Nights over many devices: what `reconcile` costs beside reading the cloud's list, and its memory.

The cloud is a function that writes pages as fast as it can; the time between them is the governor's, in virtual time.
Its own CPU is measured alone and taken off. Journals are real ones, with two records a device.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from provisioner import nightly
from provisioner.app import Outside
from provisioner.cloud.client import open_cloud
from provisioner.journal.fields import GENESIS
from provisioner.journal.records import compose
from provisioner.reconcile.index import open_index
from provisioner.reconcile.life import find, life_of
from provisioner.reconcile.lists import keep_up
from provisioner.secrets import Secret
from provisioner.settings import load_settings
from provisioner.simulator.clock import SimClock
from provisioner.simulator.faults import Dice
from provisioner.simulator.virtual.run import run_virtually

TRAY = 50
JOURNALS = 200
MANIFESTS = 20
EPOCH = datetime(2026, 11, 20, 6, tzinfo=UTC)
PASSED = {
    "in_product": True,
    "quarantined": False,
    "denied": False,
    "online": True,
    "owner": "line3@example.com",
    "last_handshake_at": "2026-11-20T06:00:00.000Z",
    "handshake_before": None,
}


def device_id(rank):
    """The ID at this place of the sorted list: the cloud need not hold a million of them."""
    return f"{rank:012x}473532363430"


def rank_of(number, devices):
    """Trays are not sorted: the `number`th board lies anywhere in the list."""
    return number * 7919 % devices


class Cloud(httpx.AsyncBaseTransport):
    """A product and its list, page by page."""

    def __init__(self, devices):
        self.devices, self.clock = devices, SimClock(epoch=EPOCH + timedelta(days=1))
        self.cpu_s, self.pages = 0.0, 0
        self.row = (
            '{"id":"%s","name":"x","owner":"line3@example.com","last_ip_address":"198.51.100.7","platform_id":6,'
            '"product_id":1319,"online":false,"last_heard":"2026-11-20T06:00:00.000Z",'
            '"last_handshake_at":"2026-11-20T06:00:00.000Z","serial_number":"PHHMAB000PAKLJZ","status":"normal",'
            '"firmware_version":3,"system_firmware_version":"2.3.1","quarantined":false,"denied":false,"groups":[],'
            '"functions":[],"variables":{}}'
        )

    async def handle_async_request(self, request):
        began = time.process_time()
        headers = {"content-type": "application/json", "date": f"{self.clock.now():%a, %d %b %Y %H:%M:%S} GMT"}
        path = request.url.path
        if path.endswith("/devices"):
            self.pages += 1
            page = int(request.url.params["page"])
            rows = ",".join(self.row % device_id(n) for n in range(self.devices)[(page - 1) * 100 : page * 100])
            meta = f'{{"total_pages":{-(-self.devices // 100)}}}'
            text = f'{{"devices":[{rows}],"customers":[],"meta":{meta}}}'
        elif path == "/oauth/token":
            text = '{"access_token":"0123456789abcdef0123456789abcdef","expires_in":7776000,"token_type":"bearer"}'
        elif path.startswith("/v1/products/"):
            text = '{"product":{"id":1319,"slug":"tempmon-v100","platform_id":6,"name":"x"}}'
        else:
            raise AssertionError(f"the list had every device, and {path} was asked")
        self.cpu_s += time.process_time() - began
        return httpx.Response(200, headers=headers, content=text.encode())


def write_site(folder, devices):
    """Settings, manifests and journals of so many devices; returns the manifests."""
    (folder / "line.yaml").write_text("version: 1\noperator: bench\ncloud: {client_id: bench-1}\n")
    manifests, share = [], devices // MANIFESTS
    for number in range(MANIFESTS):
        path = folder / f"m{number:02d}.yaml"
        lines = ["version: 1", "product: tempmon-v100", "claim: {to: customer, customer: line3@example.com}", "trays:"]
        for start in range(number * share, (number + 1) * share, TRAY):
            tray = f"T-{start // TRAY:06d}"
            (folder / f"{tray}.txt").write_text(
                "".join(f"{device_id(rank_of(n, devices))}\n" for n in range(start, start + TRAY))
            )
            lines.append(f"  - {{id: {tray}, file: {tray}.txt}}")
        path.write_text("\n".join(lines) + "\n")
        manifests.append(path)
    share, took_s = devices // JOURNALS, []
    settings = load_settings(folder / "line.yaml").settings
    for number in range(JOURNALS):
        write_journal(folder / "runs", number, range(number * share, (number + 1) * share), devices)
        began = time.process_time()
        keep_up(folder / "runs", manifests[number * MANIFESTS // JOURNALS], settings)  # as each run does at its end
        took_s.append(time.process_time() - began)
    return manifests, sum(took_s)


def write_journal(runs_dir, number, boards, devices):
    """A run that imported and proved these devices."""
    run = f"{EPOCH + timedelta(minutes=number):%Y%m%dT%H%M%SZ}-0000"
    path = runs_dir / run / "journal.jsonl"
    path.parent.mkdir(parents=True)
    head, seq = GENESIS, 0
    with path.open("wb") as file:

        def append(event, **fields):
            nonlocal head, seq
            record, line = compose(event, fields, seq=seq, at=EPOCH, mono_ms=seq, run=run, prev=head)
            head, seq = record.hash, seq + 1
            file.write(line)

        append("run.started", operator="bench", command="run", product="tempmon-v100")
        for board in boards:
            place = {"tray": f"T-{board // TRAY:06d}", "slot": board % TRAY + 1}
            row = {"device": device_id(rank_of(board, devices)), **place}
            append("device.imported", **row, code="added")
            append("device.confirmed", **row, outcome="pass", evidence=PASSED)
        append("run.finished", outcome="pass", code="all_good")


async def nights(folder, manifests, devices):
    """Two nights and one bare walk; returns what each took."""
    cloud = Cloud(devices)
    outside = Outside(
        environment={"PROVISIONER_CLIENT_SECRET": "x" * 40},
        wall=cloud.clock.now,
        dice=Dice(1).of("bench"),
        http_transport=cloud,
    )
    job = nightly.NightJob(folder / "line.yaml", folder / "runs", manifests)
    told = []
    for _ in range(2):
        cloud.cpu_s, began_cpu, began_s = 0.0, time.process_time(), cloud.clock.seconds()
        morning = await nightly.reconcile(job, outside)
        took = time.process_time() - began_cpu - cloud.cpu_s
        told.append((morning.verdict, took, cloud.clock.seconds() - began_s, morning.records_read))
    cloud.cpu_s, began_cpu, began_s = 0.0, time.process_time(), cloud.clock.seconds()
    settings = load_settings(job.config).settings
    secret = Secret("x" * 40)
    async with open_cloud(
        settings.cloud,
        client_secret=secret,
        user_token=None,
        dice=outside.dice,
        wall=outside.wall,
        http_transport=cloud,
    ) as client:
        async for _ in client.devices(await client.product("tempmon-v100")):
            pass
    bare = (time.process_time() - began_cpu - cloud.cpu_s, cloud.clock.seconds() - began_s)
    return told, bare


def show(runs_dir, device):
    """Seconds to find one device's life, as `provisioner show` does."""
    began = time.perf_counter()
    with open_index(runs_dir) as index:
        index.refresh()
        assert life_of(index, find(index, device)).runs
    return time.perf_counter() - began


def measure(devices):
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        manifests, index_s = write_site(folder, devices)
        told, bare = run_virtually(lambda: nights(folder, manifests, devices), seed=1)
        show_s = show(folder / "runs", device_id(devices // 2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"told": told, "bare": bare, "peak_mb": peak, "show_s": show_s, "index_s": index_s}


def reconcile(*, full):
    """what a night costs beside reading the cloud's list (100 devices a page, at the governor's rate)"""
    for devices in (100_000, *((1_000_000,) if full else ())):
        script = [sys.executable, __file__, str(devices)]
        found = json.loads(subprocess.run(script, check=True, capture_output=True, text=True).stdout)
        (first, second), (bare_cpu, bare_s) = found["told"], found["bare"]
        yield f"{devices:,} devices, {JOURNALS} journals, {MANIFESTS} manifests: {second[0]}"
        yield f"   reading the list alone takes {bare_s:,.0f} s at the governor's rate, and {bare_cpu:.1f} s of CPU"
        each_ms = found["index_s"] / JOURNALS * 1000
        share = f"{devices // JOURNALS:,} devices"
        yield f"   each run took its journal ({share}) and its manifest in at its end: {each_ms:.0f} ms of CPU"
        for name, night in (("first", first), ("second", second)):
            own = night[1] - bare_cpu
            read = f"{name} night reads {night[3]:,} records"
            yield f"   {read}: {own:.1f} s of CPU beside reading the list, {own / bare_s:.1%} of its time"
        yield f"   peak {found['peak_mb']:.0f} MB; `show` of one device then takes {found['show_s']:.2f} s"


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
