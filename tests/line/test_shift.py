"""A station's shift: when it goes on, when it ends, and the order of a single radio's window."""

import math

import pytest
import trio
from stages import OWNER, Photon, ScriptedSwitcher, cloud_time, id_of, in_cloud, listed

from provisioner.errors import AdapterUnavailable, CloudUnreachable, LeaveFailed, UplinkNotRestored
from provisioner.line.labels import Labels
from provisioner.line.proof import Expectation
from provisioner.line.scan_desk import Scan, ScanDesk
from provisioner.line.scan_text import Framing
from provisioner.line.shift import Shift, Window
from provisioner.line.steps import State
from provisioner.settings import Budgets, Limits


class Desk:
    """A shift over a bench, with a confirmer at work. Devices come online `online_s` after they are told to connect."""

    def __init__(self, line, *photons, waiting_max=32, online_s=5.0):
        self.line, self.photons, self.online_s = line.start(), photons, online_s
        self.station = line.station(*photons)
        self.switcher = self.station.switcher
        self.stop = trio.Event()
        self.confirmer = line.confirmer(waiting_max=waiting_max)
        self.shift = Shift(self.station, self.stop, self.confirmer, self.hand_over, lambda: None)
        self.preloads, self.ended = [], False
        line.journal.subscribe(self.see)

    def see(self, record):
        if record.event == "connect.accepted":
            self.line.nursery.start_soon(self.come_online, record.device)

    async def come_online(self, id_):
        await trio.sleep(self.online_s)
        device = self.line.manifest.find(id_)
        self.line.cloud.change(device, online=True, owner=OWNER, last_handshake_at=cloud_time(trio.current_time()))

    async def hand_over(self, done):
        wanted = Expectation(
            done.device, None, membership=True, visited=True, handshake_before=done.handshake_before,
            cloud_from=done.cloud_from,
        )  # fmt: skip
        await self.confirmer.add(wanted, station=done.station)

    async def preload(self, devices):
        await trio.sleep(0.1)
        assert not self.line.uplink.is_away
        self.preloads.append([device.slot for device in devices])
        self.line.lookups.preload({d.id: in_cloud(d) for d in devices}, [d.id for d in devices])

    def begin(self, work, *args):
        async def whole():
            await work(*args)
            self.ended = True

        self.line.nursery.start_soon(whole)

    def stop_gently(self):
        """As the scheduler does it."""
        self.stop.set()
        self.shift.leave_off()

    def pass_count(self):
        return self.line.ledger.states[State.CONFIRMED]


@pytest.fixture
def desk(bench):
    def make(count=3, *, limits=None, budgets=None, each_max=8, **how):
        devices = [listed(n) for n in range(1, count + 1)]
        line = bench(devices, limits=limits, budgets=budgets, each_max=each_max)
        return Desk(line, *(Photon(n, signal_dbm=-40 - n) for n in range(1, count + 1)), **how)

    return make


# --- an adapter of its own ---


async def test_boards_are_worked_one_after_the_other_and_the_next_begins_before_the_last_is_proven(
    desk, autojump_clock
):
    desk = desk(3, online_s=30)
    desk.begin(desk.shift.work_separate)
    await trio.sleep(15)
    assert (len(desk.switcher.joins), desk.pass_count()) == (3, 0)
    await trio.sleep(60)

    assert desk.pass_count() == 3


async def test_a_graceful_stop_ends_the_board_under_way_and_begins_no_other(desk, autojump_clock):
    """F3."""
    desk = desk(3)
    desk.begin(desk.shift.work_separate)
    await trio.sleep(1.2)  # joined to the first
    desk.stop_gently()
    await trio.sleep(30)

    assert desk.ended
    assert len(desk.line.named("visit.ended")) == len(desk.line.named("connect.accepted")) == 1
    assert desk.pass_count() == 1


async def test_a_stop_ends_a_shift_that_waits_for_the_line(desk, autojump_clock):
    """F3. Held for good, the line never opens again: the run must end all the same."""
    desk = desk(1)
    desk.line.hold.report(CloudUnreachable("no route"))
    desk.begin(desk.shift.work_separate)
    await trio.sleep(100)
    assert desk.switcher.scans == 0
    desk.line.hold.give_up()
    desk.stop_gently()
    await trio.sleep(0.1)

    assert desk.ended


@pytest.mark.parametrize("fault", [CloudUnreachable("no route"), None])
async def test_what_comes_while_a_station_listens_keeps_it_from_beginning_a_board(desk, autojump_clock, fault):
    """F3 and F6: a hold, or a stop, and the board that was just found is left for later."""
    desk = desk(1)
    desk.switcher.scan_s = 4.0
    desk.begin(desk.shift.work_separate)
    await trio.sleep(2)
    if fault is None:
        desk.stop_gently()
    else:
        desk.line.hold.report(fault)
    await trio.sleep(100)
    assert desk.switcher.joins == []
    if fault is not None:
        desk.line.hold.release()
        await trio.sleep(100)

    assert desk.pass_count() == (fault is not None)


async def test_a_drained_station_ends_its_shift(desk, autojump_clock):
    desk = desk(3)
    desk.switcher.leave_faults = [LeaveFailed("stuck")]
    desk.begin(desk.shift.work_separate)
    await trio.sleep(30)

    assert desk.ended
    assert len(desk.switcher.joins) == 1
    assert desk.pass_count() == 1


async def test_an_adapter_that_cannot_listen_drains_after_some_tries_in_a_row(desk, autojump_clock):
    desk = desk(1)
    no = AdapterUnavailable("gone")
    desk.switcher.scan_faults = [no] * 4
    desk.begin(desk.shift.work_separate)
    await trio.sleep(30)
    assert (desk.ended, desk.pass_count()) == (False, 1)
    desk.switcher.scan_faults = [no] * 5
    await trio.sleep(60)

    assert desk.ended
    assert desk.station.drained is no


async def test_a_full_confirmer_keeps_the_station_from_its_next_board(desk, autojump_clock):
    desk = desk(3, waiting_max=1, online_s=math.inf)
    desk.begin(desk.shift.work_separate)
    await trio.sleep(60)

    assert len(desk.switcher.joins) == 2


async def test_a_stop_lets_a_board_wait_for_its_proof_but_not_when_nobody_can_prove_it(desk, autojump_clock):
    desk = desk(2, waiting_max=1, online_s=math.inf)
    desk.begin(desk.shift.work_separate)
    await trio.sleep(30)
    desk.stop_gently()
    await trio.sleep(10)
    assert not desk.ended, "the second board waits for a place"

    desk.line.hold.report(CloudUnreachable("no route"))
    desk.line.hold.give_up()
    desk.shift.leave_off()
    await trio.sleep(0.1)

    assert desk.ended


# --- the only radio ---


async def test_a_window_prepares_on_the_uplink_works_away_from_it_and_comes_back_to_confirm(desk, autojump_clock):
    desk = desk(5, limits=Limits(window_devices_max=2))
    away = []
    desk.line.journal.subscribe(lambda r: away.append((r.event, desk.line.uplink.is_away)))
    desk.begin(desk.shift.work_in_windows, Window(desk.line.uplink, desk.preload))
    await trio.sleep(100)

    assert desk.pass_count() == 5
    assert all(is_away == (event.startswith(("visit.", "connect."))) for event, is_away in away
               if event.startswith(("visit.", "connect.", "device.confirmed")))  # fmt: skip
    order = [event for event, _ in away if event in ("visit.ended", "device.confirmed")]
    assert order == ["visit.ended"] * 2 + ["device.confirmed"] * 2 + ["visit.ended"] * 2 + ["device.confirmed"] * 2 + [
        "visit.ended",
        "device.confirmed",
    ]
    assert desk.preloads[:3] == [[1, 2, 3, 4, 5], [3, 4, 5], [5]]
    assert desk.switcher.restored == 3


async def test_no_window_begins_before_its_codes_lie_ready(desk, autojump_clock):
    desk = desk(3, each_max=3)
    desk.line.cloud.make_s = 20
    desk.begin(desk.shift.work_in_windows, Window(desk.line.uplink, desk.preload))
    await trio.sleep(59)
    assert desk.switcher.joins == []
    await trio.sleep(40)

    assert desk.pass_count() == 3


async def test_a_window_ends_before_its_codes_grow_old(desk, autojump_clock):
    """F13."""
    desk = desk(5, budgets=Budgets(claim_code_age_s=60.0))
    desk.switcher.join_s = 20.0
    desk.begin(desk.shift.work_in_windows, Window(desk.line.uplink, desk.preload))
    await trio.sleep(200)

    assert desk.switcher.restored >= 2
    assert desk.pass_count() == 5
    assert {r.code for r in desk.line.named("visit.ended")} == {None}, "no visit found its code too old"


async def test_a_window_whose_codes_are_gone_goes_back_for_more(desk, autojump_clock):
    desk = desk(4, each_max=1)
    desk.begin(desk.shift.work_in_windows, Window(desk.line.uplink, desk.preload))
    await trio.sleep(200)

    assert desk.pass_count() == 4
    assert "device.failed" not in desk.line.events()
    assert len(desk.switcher.joins) <= 8, "one board too many a window, not all of them"


async def test_the_uplink_is_restored_also_when_the_run_is_cancelled(desk, autojump_clock):
    """F3."""
    desk = desk(3)
    with trio.move_on_after(4):
        await desk.shift.work_in_windows(Window(desk.line.uplink, desk.preload))

    assert desk.switcher.joins
    assert desk.switcher.restored == 1
    assert not desk.line.uplink.is_away


@pytest.mark.parametrize("how", ["says so", "hangs"])
async def test_an_uplink_that_does_not_come_back_drains_the_station(desk, autojump_clock, how):
    desk = desk(1)
    if how == "hangs":
        desk.switcher.restore_s = math.inf
    else:
        desk.switcher.restore_faults = [UplinkNotRestored("no")]
    desk.begin(desk.shift.work_in_windows, Window(desk.line.uplink, desk.preload))
    await trio.sleep(60)

    assert desk.ended
    assert isinstance(desk.station.drained, UplinkNotRestored)
    assert desk.line.state(desk.line.devices[0]) is State.CONNECTING


async def test_a_back_end_that_says_why_it_is_not_back_is_heard(desk, autojump_clock):
    """Its own limit is the shift's: the shift must not cut it off in the same moment."""
    desk = desk(1)

    async def restore(*, timeout):
        await trio.sleep(timeout)
        raise UplinkNotRestored("the router does not answer")

    desk.switcher.restore = restore
    desk.begin(desk.shift.work_in_windows, Window(desk.line.uplink, desk.preload))
    await trio.sleep(60)

    assert desk.station.drained.detail == "the router does not answer"


async def test_a_stop_ends_a_wait_for_codes_and_begins_no_window(desk, autojump_clock):
    desk = desk(1)
    desk.line.cloud.make_s = math.inf
    desk.begin(desk.shift.work_in_windows, Window(desk.line.uplink, desk.preload))
    await trio.sleep(100)
    desk.stop_gently()
    await trio.sleep(0.1)

    assert desk.ended
    assert desk.preloads == []


async def test_a_read_that_fails_before_a_window_holds_the_line(desk, autojump_clock):
    desk = desk(1)
    faults = [CloudUnreachable("no route")]

    async def preload(devices):
        if faults:
            raise faults.pop()
        await desk.preload(devices)

    desk.begin(desk.shift.work_in_windows, Window(desk.line.uplink, preload))
    await trio.sleep(30)
    assert isinstance(desk.line.hold.reason, CloudUnreachable)
    assert desk.switcher.joins == []
    desk.line.hold.release()
    await trio.sleep(30)

    assert desk.pass_count() == 1


# --- a person with a scanner ---


def scanner(desk, *texts, pause_s=0.1):
    """A desk for scans at this bench's station; `texts` are scanned one after the other, and then no more come."""
    line = desk.line
    labels = Labels(line.manifest, line.shared.suffixes, Framing(), setup_prefix="Photon-")
    scan_desk = ScanDesk(line.journal, line.ledger, labels, orders=lambda _: None, operator="Ada")
    scan_desk.answers = []

    async def scan():
        for text in texts:
            await trio.sleep(pause_s)
            scan_desk.answers.append(scan_desk.put(Scan(text, "terminal")).code)
        scan_desk.no_more()

    line.nursery.start_soon(scan)
    return scan_desk


async def test_one_scan_is_one_board(desk, autojump_clock):
    desk = desk(3)
    desk.photons[0].listening = False
    desk.begin(desk.shift.work_scanned, scanner(desk, id_of(2), id_of(1), pause_s=20))
    await trio.sleep(18)
    assert desk.switcher.scans == 0, "nothing is done without a scan"
    await trio.sleep(16)
    desk.photons[0].listening, desk.photons[2].listening = True, False
    await trio.sleep(60)

    assert desk.ended, "the scanner has no more"
    passed = [r.device for r in desk.line.named("visit.ended") if r.outcome == "pass"]
    assert passed == [id_of(2), id_of(1)]
    assert [(r.device, r.outcome, r.operator) for r in desk.line.named("scan.ended")] == [
        (id_of(2), "pass", "Ada"),
        (id_of(1), "pass", "Ada"),
    ]


async def test_another_board_on_the_jig_ends_the_scan_without_a_write(desk, autojump_clock):
    desk = desk(2)
    desk.photons[1].listening = False
    desk.begin(desk.shift.work_scanned, scanner(desk, id_of(2)))
    await trio.sleep(60)

    assert [r.code for r in desk.line.named("visit.ended")] == ["not_the_scanned_device"]
    (ended,) = desk.line.named("scan.ended")
    assert (ended.device, ended.outcome, ended.code, ended.blame) == (
        id_of(2),
        "fail",
        "not_the_scanned_device",
        "operator",
    )
    assert desk.photons[0].writes() == []


async def test_junk_is_refused_and_the_next_scan_is_taken(desk, autojump_clock):
    desk = desk(1)
    desk.begin(desk.shift.work_scanned, scanner(desk, "\x1b[2Jjunk", id_of(1)))
    await trio.sleep(60)

    (refused,) = desk.line.named("scan.refused")
    assert refused.code == "scan_unreadable"
    assert "\x1b" not in refused.detail
    assert desk.pass_count() == 1


async def test_a_board_that_is_not_heard_is_said_after_its_time(desk, autojump_clock):
    desk = desk(1)
    desk.photons[0].listening = False
    desk.begin(desk.shift.work_scanned, scanner(desk, id_of(1)))
    await trio.sleep(58)
    assert desk.line.named("scan.ended") == []
    await trio.sleep(10)

    assert [r.code for r in desk.line.named("scan.ended")] == ["scanned_not_heard"]


async def test_a_visit_that_begins_late_is_not_cut_short(desk, autojump_clock):
    """Only the listening has a limit; a visit under way runs to its end."""
    desk = desk(1)
    photon = desk.photons[0]
    photon.listening = False
    desk.begin(desk.shift.work_scanned, scanner(desk, id_of(1)))
    await trio.sleep(58)
    photon.listening = True
    await trio.sleep(30)

    assert [r.outcome for r in desk.line.named("visit.ended")] == ["pass"]
    assert desk.pass_count() == 1


async def test_a_stop_ends_a_shift_that_waits_for_a_scan(desk, autojump_clock):
    desk = desk(1)
    desk.begin(desk.shift.work_scanned, scanner(desk, id_of(1), pause_s=10_000))
    await trio.sleep(5)
    desk.stop_gently()
    await trio.sleep(0.1)

    assert desk.ended


def test_the_scripted_switcher_has_the_face_of_a_real_one():
    from provisioner.network.switcher import NetworkSwitcher

    assert isinstance(ScriptedSwitcher(), NetworkSwitcher)
