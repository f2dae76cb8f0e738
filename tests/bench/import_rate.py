"""How fast trays are imported, against what the governor allows: `provisioner import` of one long manifest."""

from __future__ import annotations

import io
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from provisioner.demo.files import LineFile, TrayFile
from provisioner.demo.virtual import VirtualFactory
from provisioner.job import Job
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.virtual.run import run_virtually

TRAY = 50
LIMIT = 600  # requests in five minutes: a tenth of the cloud's and less, so that the limit and not the work decides


def rate(*, full, devices=20_000):
    """requests an import makes while it has work, against the governor's limit"""
    devices = 60_000 if full else devices
    seconds, requests = run_virtually(lambda: _import(devices), seed=1)
    allowed = LIMIT / 300
    yield f"limit set to {LIMIT} requests in five minutes ({allowed:g} a second), one call a tray of {TRAY}"
    share = requests / seconds / allowed
    yield f"{devices:,} devices: {requests:,} requests in {seconds:,.0f} simulated s = {share:.1%} of the limit"
    yield f"at the cloud's own limit of 10,000 that is {share * 10_000 * 12 * devices / requests:,.0f} devices an hour"


async def _import(devices):
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        factory = VirtualFactory(seed=1, faults=replace(PROFILES["none"], cloud_latency_s=(0.05, 0.25)))
        boards = factory.world.deliver(devices)
        trays = (
            TrayFile(f"T-{number // TRAY:05d}", map(factory.world.label_of, boards[number : number + TRAY]), "txt")
            for number in range(0, devices, TRAY)
        )
        line = LineFile(["sim1"], cloud={"requests_per_5min": LIMIT})
        manifest, settings = factory.write(folder, trays, line, claim="{to: none}", wifi=None)
        async with factory.alive():
            began_s = factory.clock.seconds()
            end = await factory.run(
                Job("import", manifest, settings, folder / "runs"), console=Console(file=io.StringIO())
            )
            seconds = factory.clock.seconds() - began_s
        if int(end.exit_code):
            raise SystemExit(f"the import ended with {end.exit_code!r}")
        return seconds, factory.cloud.limits.requests_by_window.total()
