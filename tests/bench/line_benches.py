"""The benchmarks of the line: each is a function that yields rows of text, and says its assumptions first."""

from __future__ import annotations

import time

import import_rate
import night
import serial
from metered import read, shift, started

from provisioner.simulator.faults import PROFILES


def assumptions():
    low, high = PROFILES["none"].cloud_latency_s
    yield "assumed (facts: photon-softap 6): join median 2.5 s p95 8 s, configure-ap 3-8 s, other commands 0.02-0.7 s,"
    yield "  a listen 0.6-4 s, connect-ap to online median 8 s p95 20 s, the owner field 0-10 s after that,"
    yield f"  the cloud {low:g}-{high:g} s a request"


def utilisation(*, full):
    """how busy adapters are while work waits (profile none)"""
    yield from assumptions()
    for stations, devices in ((1, 60), (2, 100), (4, 200), (8, 400), (32, 1200)):
        run = shift(devices, stations)
        yield (
            f"{stations:>3} adapters: {run.busy:6.1%} busy, {run.held:6.1%} with a board (the rest is listening);"
            f" {run.per_hour:8,.0f} devices/h"
        )


def speedup(*, full):
    """devices an hour against the serial sequence of the seeds, and N adapters against one"""
    yield from assumptions()
    by_hand = serial.devices_per_hour(60)
    yield f"serial sequence, one radio: {by_hand:8,.0f} devices/h"
    shared = shift(60, 1, uplink="shared")
    times = shared.per_hour / by_hand
    yield f"one radio that is also the uplink: {shared.per_hour:8,.0f} devices/h, {times:5.2f} times the serial one"
    one = None
    for stations, devices in ((1, 240), (2, 480), (4, 960), (8, 1920)):
        run = shift(devices, stations)
        one = one or run
        of_one = run.per_hour / one.per_hour / stations
        yield (
            f"{stations} adapters: {run.per_hour:8,.0f} devices/h, {run.per_hour / by_hand:6.2f} times the serial"
            f" sequence, {of_one:5.2f} N (shared channel off)"
        )


def windows(*, full):
    """one radio that is also the uplink: devices an hour by the length of its windows"""
    yield from assumptions()
    one = None
    for boards in (1, 5, 10, 20):
        run = shift(60, 1, uplink="shared", limits={"window_devices_max": boards}, boards_per_station=24)
        one = one or run.per_hour
        yield f"windows of {boards:>2}: {run.per_hour:6,.0f} devices/h, {run.per_hour / one:5.2f} times windows of one"


def virtual_shift(*, full):
    """a whole shift in virtual time: what it costs this computer"""
    for devices, stations in ((10_000, 32), *(((100_000, 256),) if full else ())):
        run = shift(devices, stations)
        yield (
            f"{devices:,} devices on {stations} stations: {run.passed:,} proven in {run.hours:.2f} simulated h;"
            f" {run.wall_s:.0f} s here, {run.cpu_ms_each:.1f} ms of CPU and {run.requests_each:.2f} requests a device"
        )
    yield two_lines(5_000, 16)


def two_lines(devices, stations):
    """One line is one process and one core; a hall with two cores' worth of boards has two."""
    began = time.perf_counter()
    lines = [started(devices, stations, seed) for seed in (1, 2)]
    passed = sum(read(line)["passed"] for line in lines)
    took = time.perf_counter() - began
    boards = f"{2 * devices:,} devices on {2 * stations} stations"
    return f"{boards} as two lines side by side, a process each: {passed:,} proven, {took:.0f} s here"


def cpu(*, full):
    """our CPU a device: the whole simulated world and the line over real TLS in one process"""
    for faults in ("none", "typical", "nasty"):
        run = shift(1000, 16, faults=faults)
        yield f"{faults:<8} {run.cpu_ms_each:5.1f} ms a device, {run.requests_each:.2f} requests a device"


def memory(*, full):
    """peak memory of a whole run, line and world together, each in a process of its own"""
    before = None
    for devices in (1_000, 10_000, *((100_000,) if full else ())):
        peak = read(started(devices, 32))["peak_mb"]
        grown = f", {(peak - before[1]) * 1024 / (devices - before[0]):6.2f} KiB more a device" if before else ""
        yield f"{devices:>7,} devices on 32 stations: {peak:6.0f} MB{grown}"
        before = (devices, peak)


BENCHES = {
    "utilisation": utilisation,
    "speedup": speedup,
    "windows": windows,
    "import": import_rate.rate,
    "cpu": cpu,
    "shift": virtual_shift,
    "memory": memory,
    "night": night.reconcile,
}
