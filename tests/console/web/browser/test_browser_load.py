"""A large line and a long shift: how busy the page's main thread is, and that its memory stays flat."""

import json
import threading
import time

import page_server
import pytest
from looks import link

expect = pytest.importorskip("playwright.sync_api").expect

STATIONS = [f"ST{number:02d}" for number in range(1, 33)]
TRAYS = {f"T-{number:04d}": 40 for number in range(1, 9)}  # 320 slots
EVENTS_PER_S = 200
BUSY_MAX = 0.15
SECONDS = 6


class Shift:
    """Visits on all stations, as events in the order of time, without end."""

    def __init__(self, write, stations, trays):
        self.write, self.trays = write, trays
        self.places = [(tray, slot) for tray, count in trays.items() for slot in range(1, count + 1)]
        self.turn = 0
        self.at_s = 5.0
        self.works = {station: iter(()) for station in stations}

    def _visit(self, station):
        tray, slot = self.places[self.turn % len(self.places)]
        self.turn += 1
        here = {"station": station, "tray": tray, "slot": slot, "device": page_server._device(tray, slot)}
        air = {"station": station, "ssid": f"Photon-{self.turn % 9999:04d}", "bssid": "6c:0b:84:00:00:01"}
        yield "visit.started", air
        yield "network.joined", {**air, "seconds": 2.5}
        yield "device.identified", here
        for event in ("claim_code.intended", "wifi.intended", "connect.intended", "connect.accepted"):
            yield event, here
        yield "visit.ended", {**here, "outcome": "pass"}
        if self.turn % 17 == 0:
            yield "device.failed", {**here, "outcome": "fail", **page_server.WHY["fail"]}
        elif self.turn % 29 == 0:
            yield "device.unknown", {**here, "outcome": "unknown", **page_server.WHY["unproven"]}
        else:
            yield "device.confirmed", {**here, "outcome": "pass"}

    def step(self, seconds):
        """One event on each station."""
        for station in self.works:
            event = next(self.works[station], None)
            if event is None:
                self.works[station] = self._visit(station)
                event = next(self.works[station])
            self.at_s += seconds
            self.write(self.at_s, event[0], **event[1])


@pytest.fixture
def large_line(browser, tmp_path):
    with page_server.serving(tmp_path) as server:
        page_server.begin(server.write, STATIONS, TRAYS)
        yield server


def busy(client, seconds):
    """The share of its time that the page's main thread worked, by its own CPU clock: other processes do not count."""

    def task_s():
        rows = client.send("Performance.getMetrics")["metrics"]
        return {row["name"]: row["value"] for row in rows}["TaskDuration"]

    before, began_s = task_s(), time.monotonic()
    time.sleep(seconds)
    return (task_s() - before) / (time.monotonic() - began_s)


@pytest.mark.parametrize("hash_", ["#/", "#/station/ST01", "#/tray/T-0001"])
def test_32_stations_and_320_slots_at_200_events_a_second_leave_the_page_idle(
    tab, large_line, shots, hash_, record_property
):
    page = tab(link(large_line))
    page.goto(f"{large_line.url}/{hash_}")
    expect(page.locator(".live")).to_have_text("LIVE")
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable", {"timeDomain": "threadTicks"})
    shift, over, written = Shift(large_line.write, STATIONS, TRAYS), threading.Event(), []

    def work():
        began_s = time.monotonic()
        while not over.is_set():
            due = (time.monotonic() - began_s) * EVENTS_PER_S
            while len(written) * len(STATIONS) < due:
                shift.step(1 / EVENTS_PER_S)
                written.append(1)
            time.sleep(0.01)

    writer = threading.Thread(target=work)
    writer.start()
    share = busy(client, SECONDS)
    over.set()
    writer.join()
    page.wait_for_timeout(600)
    page.screenshot(path=shots / f"load-{hash_.strip('#/').replace('/', '-') or 'line'}.png")
    record_property("busy", round(share, 4))
    print(f"main thread busy on {hash_}: {share:.1%} at {len(written) * len(STATIONS) / SECONDS:.0f} events/s")

    assert share < BUSY_MAX
    if hash_ == "#/":
        visits = large_line.screen.stations["ST01"].today.passes
        expect(page.locator(".tiles li").first).to_contain_text(f"{visits} ✓")
        expect(page.locator(".minis i")).to_have_count(8 * 50)


def test_a_page_left_open_for_a_shift_of_twelve_hours_keeps_its_memory_flat(tab, large_line, shots, record_property):
    """Twelve hours of 300 boards an hour, on all stations, pass in seconds; the page takes what it can, as ever."""
    page = tab(link(large_line))
    expect(page.locator(".live")).to_have_text("LIVE")
    client = page.context.new_cdp_session(page)
    shift = Shift(large_line.write, STATIONS, TRAYS)
    rounds = 12 * 300 * 9 // len(STATIONS)  # nine events a board
    quarter, sizes, nodes = rounds // 4, [], []
    for number in range(rounds):
        shift.step(12 * 3600 / rounds / len(STATIONS))
        if number % 3 == 0:
            time.sleep(0.002)  # so that the page sees many moments of the shift, not only its end
        if number % quarter == quarter - 1:
            page.wait_for_timeout(500)
            for hash_ in ("#/station/ST02", "#/tray/T-0002", "#/charts", "#/"):  # somebody walks by now and then
                page.goto(f"{large_line.url}/{hash_}")
                page.wait_for_timeout(150)
            client.send("HeapProfiler.collectGarbage")
            sizes.append(page.evaluate("performance.memory.usedJSHeapSize"))
            nodes.append(page.evaluate("document.querySelectorAll('*').length"))
    page.screenshot(path=shots / "shift-of-twelve-hours.png")
    record_property("heap", json.dumps(sizes))
    print(f"heap after each quarter: {[round(size / 1e6, 2) for size in sizes]} MB; elements: {nodes}")

    assert large_line.screen.last.mono_ms >= 11.5 * 3600 * 1000
    assert max(sizes[1:]) - sizes[0] < 1_000_000
    assert max(nodes) - min(nodes) < 200
