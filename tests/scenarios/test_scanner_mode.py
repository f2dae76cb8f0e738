"""Scanner mode with the whole line in it: what was scanned is found among many, and nothing else is ever touched."""

import random
from collections import Counter, defaultdict

import pytest
import trio

from provisioner.line.scan_desk import Scan
from provisioner.simulator.faults import Faults
from provisioner.simulator.photon.firmware import RELEASES
from provisioner.simulator.photon.history import WRITE_ATTEMPTS, Event

HOSTILE = [
    "",
    "\r\n",
    "\x1b[2J\x1b]0;x\x07",
    "\u202ePHHM\u202c",
    "x" * 10_000,
    "\x00",
    "'; DROP TABLE devices; --",
    "PVCTLDANCE",
    "PHHM",
    "3b0021001747353236",
    "é&à(è",
    "T-0001/99999",
    "T-9999/1",
    "Photon-",
    "q",
    "\x03",
]


class Worker:
    """One person with one scanner, twenty boards on the bench, and bad habits. Scans until everything is worked."""

    def __init__(self, factory, *, seed, scans, in_the_air=20, station=None):
        self.factory, self.dice = factory, random.Random(seed)
        self.left, self.in_the_air, self.station = scans, in_the_air, station
        self.answers, self.wanted = Counter(), []
        self.todo = list(factory.listed)
        self.on_bench = []

    async def work(self, desk):
        self.desk = desk
        for stranger in self.factory.strangers:
            self.factory.world.present(stranger)
        while self.left > 0 or self.todo or self.on_bench:
            assert self.left > -500, f"never worked: {self.on_bench}"
            self._fill_bench()
            await self._one()
            await trio.sleep(self.dice.uniform(0.05, 2.0))

    def _fill_bench(self):
        self.on_bench = [board for board in self.on_bench if not board.left_listening.is_set()]
        while (
            self.todo[0 if self.left <= 0 else 1 :]
            and len(self.on_bench) + len(self.factory.strangers) < self.in_the_air
        ):
            board = self.todo.pop(self.dice.randrange(len(self.todo)))
            self.factory.world.present(board)
            self.on_bench.append(board)

    async def _one(self):
        """A good scan for the next board, or one of the things people do."""
        roll = self.dice.random()
        if self.on_bench and (roll < 0.25 or self.left <= 0):
            await self.desk.wait_free(self.station)
            self.scan(self.label(self.dice.choice(self.on_bench)))
        elif roll < 0.5 and self.on_bench:
            self.scan(self.label(self.dice.choice(self.on_bench)))  # whether or not the station has one
        elif roll < 0.65:
            self.scan(self.label(self.dice.choice(self.factory.listed)))  # done, booting, still in its tray
        elif roll < 0.75 and self.factory.strangers:
            self.scan(self.label(self.dice.choice(self.factory.strangers)))
        elif roll < 0.85 and len(self.on_bench) > 1:
            one, two = self.dice.sample(self.on_bench, 2)
            self.scan(one.serial + two.serial)
        else:
            self.scan(self.dice.choice(HOSTILE))

    def label(self, board):
        """What is on the board, its box, or the tray."""
        ways = [board.device_id, board.device_id.upper(), board.serial, board.serial.lower() + "\r"]
        if board in self.factory.listed:
            ways.append(f"T-0001/{self.factory.listed.index(board) + 1}")
        return self.dice.choice(ways)

    def scan(self, text):
        self.left -= 1
        answer = self.desk.put(Scan(text, "terminal", self.station))
        self.answers[answer.code] += 1


def worked_for(records):
    """For each station the stretches [from, to) in which it worked a scan, and the device of it."""
    stretches, since = defaultdict(list), {}
    for record in records:
        if record.event == "scan.taken":
            since[record.station] = (record.mono_ms / 1000, record.device)
        elif record.event == "scan.ended":
            began_s, device = since.pop(record.station)
            stretches[record.station].append((began_s, record.mono_ms / 1000, device))
    assert since == {}, "every scan that was taken has an end"
    return stretches


async def a_shift(factory, *workers):
    async def all_scan(desk):
        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(worker.work, desk)
        desk.no_more()

    async with factory.alive(bring=False):
        return await factory.run(scanner=all_scan)


@pytest.mark.slow
async def test_of_twenty_boards_in_the_air_a_thousand_scans_join_no_other_than_the_scanned(factory, autojump_clock):
    """Labels that name their network (four symbols): no join of another board, no write to one, no visit of one."""
    factory = factory(seed=7, stations=1)
    factory.boards(120, firmware=RELEASES["0.6.4"])
    factory.strange_boards(3, firmware=RELEASES["0.6.4"])
    worker = Worker(factory, seed=7, scans=1000)

    end = await a_shift(factory, worker)

    end.good(**{"pass": 120})
    assert sum(worker.answers.values()) >= 1000
    (stretches,) = worked_for(end.records).values()
    joins = [lived for lived in factory.world.history if lived.event is Event.JOINED]
    assert len(joins) >= 120
    zero_s = min(lived.at_s for lived in joins) - next(r.mono_ms for r in end.events("network.joined")) / 1000
    for lived in joins:
        assert any(
            a - 0.01 <= lived.at_s - zero_s <= b + 0.01 and device == lived.device_id for a, b, device in stretches
        ), lived
    assert not [lived for lived in factory.world.history if lived.device_id in strangers(factory) and is_touch(lived)]
    visited = [record.device for record in end.events("visit.ended")]
    assert len(visited) == len(set(visited)) == 120
    for code in ("station_busy", "scan_glued", "not_in_manifest", "already_confirmed", "scan_unreadable", "scan_empty",
                 "scan_too_long", "scan_partial", "command_unknown", "scan_repeated", "waits_for_proof"):  # fmt: skip
        assert worker.answers[code], (code, worker.answers)


@pytest.mark.slow
async def test_boards_that_no_label_can_tell_are_found_and_no_other_gets_a_write(factory, autojump_clock):
    """Six symbols, twins, two people with a scanner each: other boards are asked who they are, and no more."""
    factory = factory(seed=11, faults=Faults(stock="mixed"), stations=2)
    factory.boards(40)
    for twin in factory.listed[:6]:
        factory.boards(1, serial=f"PHTWIN{twin.serial[6:]}", ssid=twin.ssid)
    factory.strange_boards(2)
    factory.strange_boards(1, ssid=factory.listed[7].ssid)
    workers = [Worker(factory, seed=n, scans=200, in_the_air=10, station=f"S{n}") for n in (1, 2)]
    workers[0].todo, workers[1].todo = factory.listed[::2], factory.listed[1::2]

    end = await a_shift(factory, *workers)

    end.good(**{"pass": 46})
    only_the_scanned_were_written_to(factory, end)


@pytest.mark.slow
async def test_boards_that_all_have_one_name_are_found_where_the_settings_say_so(factory, autojump_clock):
    """Product firmware can give every board the same setup name (facts: photon-softap 5.1)."""
    factory = factory(seed=13, stations=1, scanner={"labels_name_networks": "false"})
    factory.boards(12, ssid="Photon-LINE")
    worker = Worker(factory, seed=3, scans=40, in_the_air=5)

    end = await a_shift(factory, worker)

    end.good(**{"pass": 12})
    only_the_scanned_were_written_to(factory, end)


async def test_one_radio_for_scans_and_for_the_cloud(factory, autojump_clock):
    """The only radio goes away for one scanned board at a time; the factory checks that no cloud call is tried then."""
    factory = factory(seed=5, stations=1, uplink="shared")
    factory.boards(6, firmware=RELEASES["0.6.4"])
    worker = Worker(factory, seed=5, scans=30)

    end = await a_shift(factory, worker)

    end.good(**{"pass": 6})
    only_the_scanned_were_written_to(factory, end)


async def test_serial_numbers_of_a_list_without_any_come_from_the_cloud(factory, autojump_clock):
    """Particle's e-mailed lists have device IDs only, and a box label has the serial number only."""
    factory = factory(seed=5, stations=1, serials=False)
    boards = factory.boards(3, firmware=RELEASES["0.6.4"])

    async def scan_all(desk):
        for board in boards:
            factory.world.present(board)
            await desk.wait_free()
            assert desk.put(Scan(board.serial, "terminal")).taken
        await trio.sleep_forever()

    async with factory.alive(bring=False):
        end = await factory.run(scanner=scan_all)

    end.good(**{"pass": 3})
    assert len(end.events("visit.ended")) == 3, "the serial also named the network"


async def test_lunch_does_not_end_a_run_with_a_scanner(factory, autojump_clock):
    factory = factory(seed=5, stations=1)
    (board,) = factory.boards(1, firmware=RELEASES["0.6.4"])

    async def person(desk):
        await trio.sleep(3600)
        factory.world.present(board)
        await trio.sleep(10)
        desk.put(Scan(board.serial, "terminal"))
        await trio.sleep_forever()

    async with factory.alive(bring=False):
        end = await factory.run(scanner=person)

    end.good(**{"pass": 1})


async def test_a_run_whose_scanner_nobody_uses_ends_at_last(factory, autojump_clock):
    factory = factory(seed=5, stations=1)
    factory.boards(1)

    async def nobody(desk):
        await trio.sleep_forever()

    async with factory.alive(bring=False):
        end = await factory.run(scanner=nobody)

    end.good(skipped=1)


async def test_stop_finishes_the_board_that_has_been_written_to(factory, autojump_clock):
    factory = factory(seed=5, stations=1)
    one, two = factory.boards(2, firmware=RELEASES["0.6.4"])

    async def person(desk):
        factory.world.present(one)
        await desk.wait_free()
        await trio.sleep(15)
        desk.put(Scan("PVCTLID.Ada", "terminal"))
        desk.put(Scan(one.serial, "terminal"))
        while not any(lived.event is Event.CLAIM_CODE_SET for lived in factory.world.history):
            await trio.sleep(0.1)
        assert desk.put(Scan("PVCTLSTOP", "terminal")).taken
        assert desk.put(Scan(two.serial, "terminal")).code == "run_stopping"
        await trio.sleep_forever()

    async with factory.alive(bring=False):
        end = await factory.run(scanner=person)

    assert end.wrong == []
    assert [r.outcome for r in end.events("scan.ended")] == ["pass"]
    assert [r.operator for r in end.events("run.stopping")] == ["Ada"]
    assert end.outcome(two) == ("skipped", "not_seen")


def only_the_scanned_were_written_to(factory, end):
    stretches = worked_for(end.records)
    for event in ("claim_code.intended", "wifi.intended", "connect.intended"):
        for record in end.events(event):
            at_s = record.mono_ms / 1000
            assert any(a <= at_s <= b and d == record.device for a, b, d in stretches[record.station]), record
    written = {lived.device_id for lived in factory.world.history if lived.event in WRITE_ATTEMPTS}
    assert written == {board.device_id for board in factory.listed}


def strangers(factory):
    return {board.device_id for board in factory.strangers}


def is_touch(lived):
    return lived.event in WRITE_ATTEMPTS | {Event.JOINED}
