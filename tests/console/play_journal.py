"""Play a recorded journal (or a scripted shift) on the terminal, to look at the screen: not a test.

PYTHONPATH=. python tests/console/play_journal.py [JOURNAL] [--speed 20] [--trays 6]
"""

import argparse
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from provisioner.console.terminal import make_console, shown
from provisioner.console.view import Screen
from provisioner.journal.fields import GENESIS
from provisioner.journal.reader import replay
from provisioner.journal.records import compose

START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
STATIONS = ["ST1", "ST2", "ST3", "ST4"]
TROUBLES = {
    "no_address": ("device", "Press RESET on the board and bring it back within ten seconds."),
    "softap_silent": ("device", "Press RESET on the board, hold SETUP until it blinks blue, let it try again."),
    "takeover_refused": ("operator", "Set the board aside and ask whose it is."),
}
NOT_PROVEN = {
    "code": "not_proven", "blame": "device",
    "remedy": "Leave the board powered in reach of the factory Wi-Fi; the night job asks again.",
}  # fmt: skip
HELD = {
    "code": "wifi_credentials_rejected", "blame": "site",
    "detail": "three boards in a row came back from the factory Wi-Fi",
    "remedy": "Check the factory Wi-Fi: is it up, is the password right, does DHCP answer?",
}  # fmt: skip
DRAINED = {
    "code": "adapter_unavailable", "blame": "station", "detail": "wlan3 is gone",
    "remedy": "Unplug the Wi-Fi adapter and plug it in again; then run again.",
}  # fmt: skip


def scripted_shift(trays=6, devices=20, seed=1):
    """Yield (at_s, event, fields) of one shift with every kind of ending; times may not be in order."""
    dice = random.Random(seed)
    listed = {f"T-{number:04}": devices for number in range(1, trays + 1)}
    yield 0, "run.started", {
        "tool": "0.1.0", "command": "run", "product": "tempmon-v100", "devices": trays * devices, "trays": listed,
        "stations": STATIONS, "resumes": [],
    }  # fmt: skip
    boards = []
    for number, tray in enumerate(listed):
        yield number, "import.intended", {"tray": tray, "counts": {"devices": devices}}
        for slot in range(1, devices + 1):
            device = f"{dice.getrandbits(96):024x}"
            boards.append({"tray": tray, "slot": slot, "device": device})
            yield number + 0.5, "device.imported", {**boards[-1], "code": "added"}
        yield number + 0.9, "import.accepted", {"tray": tray, "counts": {"devices": devices}}
    clocks = dict.fromkeys(STATIONS, float(trays) + 1)
    for number, board in enumerate(boards):
        station = min(clocks, key=clocks.get)
        yield from _visit(dice, number, board, station, clocks)
        if number == len(boards) // 3:
            yield clocks["ST4"], "station.drained", {"station": "ST4", **DRAINED}
            clocks["ST4"] = float("inf")
        if number == len(boards) // 2:
            yield clocks["ST1"], "line.held", HELD
            yield clocks["ST1"] + 60, "line.released", {}
            clocks = {station: at_s + 60 for station, at_s in clocks.items()}
    end_s = max(at_s for at_s in clocks.values() if at_s < float("inf")) + 120
    yield end_s, "run.finished", {"outcome": "fail", "code": "some_failed", "counts": {}}


def _visit(dice, number, board, station, clocks):
    at_s, known = clocks[station], {**board, "station": station}
    air = {"station": station, "ssid": f"Photon-{number:04X}", "bssid": f"6c:0b:84:00:{number // 256:02x}:{number:02x}"}
    yield at_s, "visit.started", {**air, "attempt": 1}
    yield at_s + 4, "network.joined", {**air, "seconds": 4.0}
    yield at_s + 4.3, "device.identified", known
    fate = dice.random()
    if fate < 0.06:
        code = dice.choice(list(TROUBLES))
        blame, remedy = TROUBLES[code]
        why = {"outcome": "fail", "code": code, "blame": blame, "remedy": remedy}
        yield at_s + 7, "visit.ended", {**known, **why}
        yield at_s + 7.1, "device.failed", {**known, **why}
    else:
        for wait_s, event in ((4.6, "claim_code.intended"), (5.2, "wifi.intended"), (8.9, "connect.intended")):
            yield at_s + wait_s, event, known
        yield at_s + 9.2, "connect.accepted", known
        yield at_s + 10, "visit.ended", {**known, "outcome": "pass"}
        if fate < 0.1:
            yield at_s + 100, "device.unknown", {**board, "outcome": "unknown", **NOT_PROVEN}
        else:
            yield at_s + 19, "device.confirmed", {**board, "outcome": "pass"}
    if fate > 0.98:
        yield at_s + 11, "stranger.seen", {
            "station": station, "device": f"{dice.getrandbits(96):024x}", "code": "stranger_device",
            "blame": "operator", "remedy": "Take the board off the bench; find its tray.",
        }  # fmt: skip
    clocks[station] = at_s + 12 + dice.random()


def records_of(script, run="20261120T060000Z-4f2a"):
    """The script as records, in the order of time."""
    prev = GENESIS
    for seq, (at_s, event, fields) in enumerate(sorted(script, key=lambda part: part[0])):
        at = START + timedelta(seconds=at_s)
        record, _ = compose(event, fields, seq=seq, at=at, mono_ms=round(at_s * 1000), run=run, prev=prev)
        prev = record.hash
        yield record


async def play(records, speed):
    """Show the records at `speed` times the recorded pace; 0 is as fast as it goes."""
    began_s = time.monotonic()
    screen = Screen()
    last_ms = 0

    def now_ms():
        return max(last_ms, round((time.monotonic() - began_s) * 1000 * speed))

    with shown(screen, console=make_console(), now_ms=now_ms) as display:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(display.refresh_forever)
            for record in records:
                while speed and now_ms() < record.mono_ms:
                    await trio.sleep(0.01)
                last_ms = record.mono_ms
                screen.see(record)
                display.see(record)
            await trio.sleep(1 if speed else 0)
            nursery.cancel_scope.cancel()


def main():
    """Read the command line and play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("journal", nargs="?", type=Path)
    parser.add_argument("--speed", type=float, default=20)
    parser.add_argument("--trays", type=int, default=6)
    asked = parser.parse_args()
    records = replay(asked.journal) if asked.journal else records_of(scripted_shift(asked.trays))
    trio.run(play, records, asked.speed)


if __name__ == "__main__":
    main()
