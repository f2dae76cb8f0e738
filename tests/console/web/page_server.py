"""A page over scripted records, in a thread of its own: what the browser tests and people who look at it use.

PYTHONPATH=. python tests/console/web/page_server.py [--bind 127.0.0.1:8650]
"""

import argparse
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from provisioner.console.board import Gauges
from provisioner.console.view import Screen
from provisioner.console.web.feed import Feed
from provisioner.console.web.pages import Desk, page_app
from provisioner.console.web.server import bind, served
from provisioner.journal.fields import GENESIS
from provisioner.journal.records import compose

START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
RUN = "20261120T060000Z-4f2a"


class Writer:
    """Makes records of a script, as a journal would, and gives them to a screen."""

    def __init__(self, see, run=RUN):
        self.see, self.run = see, run
        self.seq, self.prev = 0, GENESIS

    def __call__(self, at_s, event, **fields):
        at = START + timedelta(seconds=at_s)
        record, _ = compose(
            event, fields, seq=self.seq, at=at, mono_ms=round(at_s * 1000), run=self.run, prev=self.prev
        )
        self.seq, self.prev = self.seq + 1, record.hash
        self.see(record)


class PageServer:
    """The page over `screen`; `write` adds a record. `orders` and `scans` are what the page asked for."""

    def __init__(self, folder, *, where="127.0.0.1:0", environment=None, answer=None):
        self.address = bind(where, folder, environment or {})
        self.screen = Screen()
        self.write = Writer(self._see)
        self.orders, self.scans = [], []
        self.answer = answer or {"done": True, "code": "scan_taken", "word": "TAKEN", "detail": "", "remedy": ""}
        self.refuse = None
        self.now_ms = None
        self.lives = {}
        self._ready, self._stop = threading.Event(), None
        self._thread = threading.Thread(target=lambda: trio.run(self._serve), daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.address.port}"

    def _see(self, record):
        """In the server's own thread once it serves, as in a run: else the page could read a screen half changed."""
        if self._ready.is_set() and self._thread.is_alive():
            trio.from_thread.run_sync(self._take, record, trio_token=self._token)
        else:
            self.screen.see(record)

    def _take(self, record):
        self.screen.see(record)
        self.feed.notice()

    def _now(self):
        last = self.screen.last
        return self.now_ms if self.now_ms is not None else (last.mono_ms if last else 0)

    async def _serve(self):
        self._token, self._stop = trio.lowlevel.current_trio_token(), trio.Event()
        self.feed = Feed(self.screen, self._now, lambda: Gauges(8123, 9000, 2, 0.0))
        self.desk = desk = Desk(order=self._order, scan=self._scan, find=self._find, life=self._life)
        app = page_app(self.feed, self.address.guard, desk, run=lambda: self.screen.run)
        async with served(app, self.feed, self.address):
            self._ready.set()
            await self._stop.wait()

    def _order(self, order):
        if self.refuse is not None:
            raise self.refuse
        self.orders.append(order)

    def _scan(self, text, station, operator):
        self.scans.append((text, station, operator))
        return self.answer

    def _find(self, text):
        return text if text in self.screen.roll.numbers else None

    async def _life(self, text):
        return self.lives.get(text, {"device": text, "serial": None, "places": [], "runs": []})

    def start(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def close(self):
        """Ends the server; returns how many seconds that took."""
        began_s = time.monotonic()
        if not self._thread.is_alive():
            return 0.0
        self._token.run_sync_soon(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
        return time.monotonic() - began_s


@contextmanager
def serving(folder, **how):
    """A started server, closed at the end."""
    server = PageServer(folder, **how).start()
    try:
        yield server
    finally:
        server.close()


# --- a screen with one station for each thing a station can show ---

TRAY, DEVICE = "T-0001", "3b00210017473532363430{:02x}"
RESET = "Press RESET on the board, hold SETUP until it blinks blue, and let the station try again."
WHY = {
    "fail": {"code": "softap_silent", "blame": "device", "remedy": RESET, "detail": "no whole answer within 8 s"},
    "again": {"code": "association_failed", "blame": "device", "remedy": RESET, "detail": "reason 15"},
    "stranger": {"code": "stranger_device", "blame": "operator", "remedy": "Take the board off the bench; find its "
                 "tray; run that tray's manifest instead."},
    "mismatch": {"code": "not_the_scanned_device", "blame": "operator",
                 "remedy": "Scan the label of the board that is on the jig."},
    "unproven": {"code": "not_proven", "blame": "device", "remedy": "Leave the board powered in reach of the factory "
                 "Wi-Fi; the next run or the night job asks again."},
    "drained": {"code": "adapter_unavailable", "blame": "station", "detail": "wlan3 is gone", "remedy": "Unplug the "
                "Wi-Fi adapter and plug it in again; run `provisioner run` again if the station stays drained."},
    "site": {"code": "wifi_credentials_rejected", "blame": "site", "detail": "three boards in a row came back",
             "remedy": "Check the factory Wi-Fi: its name and password (PROVISIONER_WIFI_...), is it up, does its "
             "DHCP answer."},
}  # fmt: skip


def begin(write, stations, trays=None, **more):
    """The first record of a run."""
    trays = trays or {TRAY: 20, "T-0002": 20}
    write(
        0, "run.started", command="run", product="tempmon-v100", lot="2026-117", devices=sum(trays.values()),
        trays=trays, stations=stations, resumes=[], **more,
    )  # fmt: skip
    for tray, count in trays.items():
        for slot in range(1, min(count, 99) + 1):
            write(1, "device.imported", tray=tray, slot=slot, device=_device(tray, slot), code="added")


def _device(tray, slot):
    return f"{int(tray[-4:]):02x}0021001747353236343{slot:03x}00"[:24]


def visit(write, at_s, station, slot, tray=TRAY, *, until="visit.ended", took_s=9.0):
    """A visit as far as `until`."""
    here = {"station": station, "tray": tray, "slot": slot, "device": _device(tray, slot)}
    air = {"station": station, "ssid": f"Photon-{station[-1]}{slot:03d}", "bssid": f"6c:0b:84:00:{slot:02x}:01"}
    for share, event, fields in (
        (0.0, "visit.started", air),
        (0.4, "network.joined", {**air, "seconds": took_s * 0.4}),
        (0.45, "device.identified", here),
        (0.5, "claim_code.intended", here),
        (0.6, "wifi.intended", here),
        (0.9, "connect.intended", here),
        (0.95, "connect.accepted", here),
        (1.0, "visit.ended", {**here, "outcome": "pass"}),
    ):
        write(at_s + share * took_s, event, **fields)
        if event == until:
            return


def gallery(write):
    """Stations named after what they show."""
    begin(
        write, ["ready", "running", "waiting", "pass", "fail", "unproven", "again", "stranger", "mismatch", "drained"]
    )
    for number, station in enumerate(["running", "waiting", "pass", "fail", "unproven"]):
        for turn in range(2):
            slot = number * 3 + turn + 1
            visit(write, 10 + 20 * turn, station, slot)
            write(25 + 20 * turn, "device.confirmed", tray=TRAY, slot=slot, device=_device(TRAY, slot), outcome="pass")
    visit(write, 60, "waiting", 16)
    visit(write, 60, "pass", 17)
    write(75, "device.confirmed", tray=TRAY, slot=17, device=_device(TRAY, 17), outcome="pass")
    for station, slot, event, outcome in (
        ("fail", 18, "device.failed", "fail"),
        ("unproven", 19, "device.unknown", "unknown"),
    ):
        visit(write, 60, station, slot)
        fields = {"tray": TRAY, "slot": slot, "device": _device(TRAY, slot), "station": station}
        write(80, event, outcome=outcome, **fields, **WHY[station])
    for station in ("again", "stranger", "mismatch"):
        visit(write, 60, station, 1, "T-0002", until="network.joined")
        write(
            70, "visit.ended", station=station, ssid="Photon-XK2Q", outcome="fail", step="identifying", **WHY[station]
        )
    write(78, "station.drained", station="drained", **WHY["drained"])
    visit(write, 80, "running", 2, "T-0002", until="wifi.intended")


def main():
    """Serve the gallery until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1:8650")
    parser.add_argument("--then", choices=["", "held", "paused", "finished", "stopping"], default="")
    asked = parser.parse_args()
    server = PageServer(Path("/tmp/provisioner-page"), where=asked.bind)
    gallery(server.write)
    if asked.then == "held":
        server.write(90, "line.held", **WHY["site"])
    elif asked.then == "paused":
        server.write(90, "line.held", operator="Mira", code="held_by_operator", blame="operator", remedy="Press RESUME")
    elif asked.then == "stopping":
        server.write(90, "run.stopping", operator="Mira")
    elif asked.then == "finished":
        server.write(90, "run.finished", outcome="fail", code="some_failed", counts={})
    server.now_ms = 88_000
    print(server.address.link)
    server.start()
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print(f"closed in {server.close():.3f} s")


if __name__ == "__main__":
    main()
