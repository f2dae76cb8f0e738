"""In the virtual machine: radios, Photons and an uplink, then the scenarios, and the contract of both back ends.

First what is timed, by itself; then lanes side by side, each a process; last what concerns all adapters at once.
"""
# ruff: noqa: E402

import inspect
import os
import sys
import time
import traceback
from functools import partial
from pathlib import Path

sys.modules["pytest"] = None  # trio.testing would import it if it could: seconds on an emulated processor

import lane
import photons
import scenes
import trio
from air import Radios, sh, started

RADIOS, KERNEL = int(os.environ["RADIOS"]), os.environ["KERNEL"]
ONLY = os.environ["ONLY"].split()
SYMBOLS = "23456789ABCDEFGH"
PHOTON_NAMES = [f"Photon-AB{symbol}Z" for symbol in SYMBOLS]
LONER = "Photon-LNER"
OTHERS = [*PHOTON_NAMES, LONER]
# One lane after the other: its back end, how many adapters, its channel, its uplink's name.
LANES = (
    ("networkmanager", 2, 11, 'Büro "2,4 GHz" \\x41'),
    ("networkmanager", 1, 6, "  blanks  all around  "),
    ("networkmanager", 1, 1, "it's = a $(site) ☕"),
    ("wpa_supplicant", 2, 11, bytes(range(0xE0, 0x100)).decode("utf-8", "surrogateescape")),
)


def uptime():
    return round(time.monotonic(), 1)


def wanted(name):
    """Everything but the contract, which takes as long again, if nothing is named."""
    return name in ONLY or (not ONLY and name != "contract")


def build(at):
    """Everything that is in the air, and the Photons behind it."""
    with_lanes = wanted("contract")
    spare = sum(adapters + 3 for _, adapters, _, _ in LANES) + 1 if with_lanes else 0
    radios = Radios(2 * RADIOS + 3 + spare, KERNEL)
    at["radios"] = uptime()
    adapters = [radios.adapter() for _ in range(RADIOS)]
    boards = {name: radios.point() for name in PHOTON_NAMES[:RADIOS]}
    hall = scenes.Hall(
        adapters, boards, loner=radios.point(), twin=radios.point(),
        uplink=radios.point(address="10.9.0.1", channel=6), phy_of=radios.phy_of,
    )  # fmt: skip
    lanes, crowd = [], None
    if with_lanes:
        for number, (backend, count, channel, name) in enumerate(LANES):
            own = [radios.adapter() for _ in range(count)]
            points = [radios.point(channel=channel) for _ in range(2)]
            uplink = radios.point(address=f"10.9.{number + 1}.1", channel=channel)
            lanes.append(lane.Lane(backend, own, points, uplink, name))
        crowd = radios.point()
    at["access points"] = uptime()
    everybody = [*boards.values(), hall.loner, *(point for one in lanes for point in one.photons)]
    names = [*boards, LONER, *(f"Photon-LANE{number}" for number in range(2 * len(lanes)))]
    photons.power(everybody, [name[:11] for name in names])
    at["Photons"] = uptime()
    for name, point in boards.items():
        point.up(name)
    hall.loner.up(LONER)
    hall.uplink.up(hall.uplink_name, wpa=True)
    Path("/var/empty").mkdir(exist_ok=True)
    Path("/var/empty/index.html").write_text(scenes.AT_HOME)
    started(f"exec {hall.uplink.inside} busybox httpd -f -p 10.9.0.1:80 -h /var/empty", "web.log")
    at["networks"] = uptime()
    scenes.start_services()
    at["services"] = uptime()
    for one in lanes:
        for name in one.adapters if one.backend == "wpa_supplicant" else ():
            sh(f"nmcli device set {name} managed no")
    time.sleep(2)
    return hall, lanes, crowd


def play(results, hall, scenarios):
    for scenario in scenarios:
        name = scenario.__name__
        if not wanted(name):
            continue
        began = time.monotonic()
        try:
            act = partial(trio.run, scenario) if inspect.iscoroutinefunction(scenario) else scenario
            result = {"ok": True, "result": act(hall), "seconds": round(time.monotonic() - began, 1)}
        except BaseException:  # noqa: BLE001 - every scenario is told
            result = {"ok": False, "error": traceback.format_exc()[-3000:]}
        scenes.told(results, name, result)


def side_by_side(works):
    """Children of this process; waits for all. Each tells its results in a file of its own."""
    children = []
    for work in works:
        child = os.fork()
        if child == 0:
            try:
                work({})
            except BaseException:  # noqa: BLE001
                (scenes.OUT / f"results-{os.getpid()}.json").write_text(
                    '{"a lane": {"ok": false, "error": "see guest.log"}}'
                )
                traceback.print_exc()
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def run_lane(one, cases, names, crowd, results):
    began = time.monotonic()
    done = lane.run(one, cases)
    if crowd is not None:
        try:
            done[names] = {"shown": trio.run(lane.shouted, one, crowd, OTHERS)}
        except BaseException:  # noqa: BLE001
            done[names] = traceback.format_exc()[-3000:]
    seconds = round(time.monotonic() - began, 1)
    scenes.told(results, f"contract {one.backend} {os.getpid()}", {"contract": done, "backend": one.backend,
                                                                   "seconds": seconds})  # fmt: skip


def main():
    results, at = {}, {"program": uptime()}
    hall, lanes, crowd = build(at)
    scenes.told(results, "start", {"ok": True, "result": {"up after": at}, "seconds": uptime()})
    play(results, hall, scenes.FIRST)
    works = [partial(lambda group, own: play(own, hall, group), group) for group in scenes.SIDE_BY_SIDE]
    by_backend = {backend: [one for one in lanes if one.backend == backend] for backend in lane.BENCHES}
    alone = {}
    for backend, its_lanes in by_backend.items():
        if its_lanes:
            shares, alone[backend] = lane.shares(backend, len(its_lanes))
            for one, share in zip(its_lanes, shares, strict=True):
                # The cases that need two adapters go to the lane that has two.
                both = [case for case in lane.CASES.values() if case.name.startswith("two adapters")]
                mine = [case for case in share if case not in both] + (both if one is its_lanes[0] else [])
                works.append(partial(run_lane, one, mine, "", None))
    side_by_side(works)
    for backend, its_lanes in by_backend.items():
        if its_lanes:
            run_lane(its_lanes[0], alone[backend], "hostile names, all at once", crowd, results)
    play(results, hall, scenes.ALONE)


main()
