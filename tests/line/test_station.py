"""One visit of one station: what it asks, writes, records, and what it leaves behind however it ends."""

from dataclasses import replace

import pytest
import trio
from stages import ACCOUNT, OWNER, Photon, id_of, in_cloud, listed, one_visit

from provisioner import errors
from provisioner.errors import (
    AdapterUnavailable,
    AssociationFailed,
    ClaimCodeUnavailable,
    CloudSlow,
    CloudUnreachable,
    CommandRefused,
    DeviceChanged,
    FactoryNetworkNotHeard,
    ImportQuarantined,
    LeaveFailed,
    LinkLost,
    NetworkNotFound,
    NotInProduct,
    NotTheScannedDevice,
    NotVisitable,
    SoftAPBusy,
    SoftAPCutShort,
    SoftAPEmptyReply,
    SoftAPError,
    SoftAPReplyUnreadable,
    SoftAPSilent,
    SoftAPUnreachable,
    StrangerDevice,
    SwitchingNotAllowed,
    TakeoverRefused,
)
from provisioner.line.station import is_setup_name
from provisioner.line.steps import State
from provisioner.line.visit import Wanted
from provisioner.model import Outcome

CALLS = ["identify", "prepare", "identify", "set_claim_code", "identify", "set_wifi", "identify", "connect"]
EVENTS = [
    "visit.started",
    "network.joined",
    "device.identified",
    "claim_code.intended",
    "claim_code.accepted",
    "wifi.intended",
    "wifi.accepted",
    "connect.intended",
    "connect.accepted",
    "visit.ended",
]


@pytest.fixture
def line(bench):
    """A line for three devices, with everything running."""
    return bench([listed(1), listed(2), listed(3)]).start()


def visit_events(line):
    return line.events(beside=("device.imported",))


# --- finding ---


async def test_the_next_board_is_taken_from_what_was_heard_a_moment_ago(line, autojump_clock):
    station = line.station(Photon(1, signal_dbm=-40), Photon(2, signal_dbm=-50), Photon(3, signal_dbm=-60))
    for _ in range(3):
        assert (await one_visit(station)).failure is None

    assert station.switcher.scans == 1
    assert len(line.named("connect.accepted")) == 3


async def test_what_was_heard_long_ago_is_listened_for_again(line, autojump_clock):
    station = line.station(Photon(1), Photon(2))
    await one_visit(station)
    await trio.sleep(line.budgets.scan_reuse_s)
    await one_visit(station)

    assert station.switcher.scans == 2


async def test_a_scanned_board_is_always_listened_for(line, autojump_clock):
    """It was put down after the last listen."""
    station = line.station(Photon(1), Photon(2))
    await one_visit(station)
    await station.find(Wanted(device=id_of(2)))

    assert station.switcher.scans == 2


async def test_a_network_that_is_gone_when_joined_makes_the_station_listen_again(line, autojump_clock):
    station = line.station(Photon(1), Photon(2))
    station.switcher.join_faults = [NetworkNotFound("gone")]
    visit = await one_visit(station)
    station.learn_from(visit)
    await one_visit(station)

    assert station.switcher.scans == 2


async def test_a_board_told_to_connect_by_another_station_is_not_taken_from_memory(line, autojump_clock):
    photon = Photon(1)
    first, second = line.station(photon), line.station(photon, name="S2")
    await second.listen()
    await one_visit(first)
    await trio.sleep(line.budgets.setup_network_back_s)

    assert await second.find() is None


async def test_a_whole_visit_is_these_calls_and_these_records(line, autojump_clock):
    photon = Photon(1)
    station = line.station(photon)

    visit = await one_visit(station)

    assert photon.calls == CALLS
    assert visit_events(line) == EVENTS
    assert visit.failure is None
    assert visit.handed_over.device == line.devices[0]
    assert line.state(line.devices[0]) is State.CONNECTING
    assert line.named("visit.ended")[0].outcome is Outcome.PASS


async def test_the_evidence_before_the_visit_stands_in_the_intention_to_connect(line, autojump_clock):
    (first, *_) = line.devices
    line.cloud.change(first, last_handshake_at=line.shared.cloud_time(-500))

    visit = await one_visit(line.station(Photon(1)))

    (intended,) = line.named("connect.intended")
    assert intended.evidence["handshake_before"] == "2026-11-20T05:51:40.000Z"
    assert intended.evidence["cloud_from"] is not None
    assert visit.handed_over.handshake_before == line.shared.cloud_time(-500)
    assert line.ledger[first.id].handshake_before == line.shared.cloud_time(-500)


@pytest.mark.parametrize(
    ("device", "calls"),
    [
        (listed(1, to="none"), ["identify", "prepare", "identify", "set_wifi", "identify", "connect"]),
        (listed(1, wifi=None), ["identify", "identify", "set_claim_code", "identify", "connect"]),
    ],
)
async def test_a_device_gets_only_what_its_tray_asks_for(bench, autojump_clock, device, calls):
    photon = Photon(1)

    await one_visit(bench([device]).start().station(photon))

    assert photon.calls == calls


# --- devices that are not ours to work: no write at all ---


async def test_a_stranger_is_asked_for_its_id_and_gets_no_write(line, autojump_clock):
    photon = Photon(9)
    station = line.station(photon)

    visit = await one_visit(station)

    assert isinstance(visit.failure, StrangerDevice)
    assert photon.calls == ["identify"]
    assert [record.device for record in line.named("stranger.seen")] == [id_of(9)]
    await trio.sleep(1000)
    assert await station.find() is None  # and is left alone from now on


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("device.refused", {"code": "import_invalid"}),
        ("device.confirmed", {}),
        ("device.failed", {"code": "wrong_owner"}),
    ],
)
async def test_a_device_that_has_ended_gets_no_write(line, autojump_clock, event, fields):
    line.write(event, line.devices[0], **fields)
    before = line.state(line.devices[0])
    photon = Photon(1)

    visit = await one_visit(line.station(photon))

    assert isinstance(visit.failure, NotVisitable)
    assert photon.calls == ["identify"]
    assert line.state(line.devices[0]) is before


async def test_a_device_that_another_station_has_gets_no_write(line, autojump_clock):
    line.ledger.take(id_of(1), "S2")
    photon = Photon(1)

    visit = await one_visit(line.station(photon))

    assert isinstance(visit.failure, NotVisitable)
    assert photon.calls == ["identify"]
    assert line.ledger[id_of(1)].with_station == "S2"


async def test_a_board_that_waits_for_the_clouds_answer_is_left_alone_until_it_came_and_then_visited(
    line, autojump_clock
):
    """F2: an earlier run was killed just before it told this board to connect, which still listens."""
    line.write("device.resumed", line.devices[0])
    photon = Photon(1)
    station = line.station(photon)

    early = await one_visit(station)
    await trio.sleep(100)
    nothing = await station.find()
    line.write("device.returned", line.devices[0], code="not_proven")
    line.air.returned(id_of(1))
    later = await one_visit(station)

    assert isinstance(early.failure, NotVisitable)
    assert nothing is None
    assert later.handed_over is not None
    assert photon.calls == ["identify", *CALLS]


async def test_a_stop_lets_a_board_go_that_nothing_was_written_to(line, nursery, autojump_clock):
    """F3: while it is joined, and while it is identified."""
    station = line.station(Photon(1))
    for wait_s in (0.6, 1.15):
        network = await station.find()
        ended = []
        nursery.start_soon(_visit_into, station, network, ended)
        await trio.sleep(wait_s)
        station.let_go()
        await trio.sleep(0.01)

        (visit,) = ended
        assert (visit.touched, visit.handed_over, visit.failure) == (False, None, None)
        assert line.named("visit.ended")[-1].outcome is Outcome.ABORTED
    assert line.state(line.devices[0]) is State.IMPORTED


async def test_a_stop_does_not_cut_off_a_board_that_was_written_to(line, nursery, autojump_clock):
    """F3."""
    station = line.station(Photon(1))
    network = await station.find()
    ended = []
    nursery.start_soon(_visit_into, station, network, ended)
    while "claim_code.intended" not in line.events():
        await trio.sleep(0.01)
    station.let_go()
    await trio.sleep(10)

    assert ended[0].handed_over is not None


async def test_a_stop_that_comes_with_the_answer_before_a_write_leaves_the_board_as_it_came(line, autojump_clock):
    """F3: the answer is there already, so being let go is felt only later; it must be before the intention."""
    photon = Photon(1)
    station = line.station(photon)
    photon.script[CALLS.index("set_claim_code") - 1] = station.let_go

    visit = await one_visit(station)

    assert (visit.touched, visit.handed_over) == (False, None)
    assert photon.writes() == []
    assert "claim_code.intended" not in line.events()
    assert line.named("visit.ended")[-1].outcome is Outcome.ABORTED


async def _visit_into(station, network, ended):
    ended.append(await station.visit(network))


async def test_a_device_listed_for_import_only_gets_no_write(bench, autojump_clock):
    photon = Photon(1)

    visit = await one_visit(bench([listed(1, to="none", wifi=None)]).start().station(photon))

    assert isinstance(visit.failure, NotVisitable)
    assert photon.calls == ["identify"]


async def test_the_board_that_was_not_scanned_gets_no_write(line, autojump_clock):
    photon = Photon(2)

    visit = await one_visit(line.station(photon), Wanted(id_of(1)))

    assert isinstance(visit.failure, NotTheScannedDevice)
    assert photon.calls == ["identify"]
    assert line.ledger.may_visit(id_of(2))


async def test_a_device_that_somebody_else_owns_gets_no_write(line, autojump_clock):
    line.cloud.change(line.devices[0], owner="Somebody@example.com")
    photon = Photon(1)

    visit = await one_visit(line.station(photon))

    assert isinstance(visit.failure, TakeoverRefused)
    assert photon.writes() == []
    assert line.state(line.devices[0]) is State.FAILED
    assert not line.ledger.may_visit(id_of(1))


@pytest.mark.parametrize("owner", [OWNER.upper(), ACCOUNT.upper()])
async def test_what_is_ours_already_is_no_takeover(line, autojump_clock, owner):
    line.cloud.change(line.devices[0], owner=owner)

    assert (await one_visit(line.station(Photon(1)))).failure is None


async def test_a_takeover_with_leave_goes_through(bench, autojump_clock):
    line = bench([listed(1, takeover=True)]).start()
    line.cloud.change(line.devices[0], owner="somebody@example.com")

    assert (await one_visit(line.station(Photon(1)))).failure is None


@pytest.mark.parametrize(
    ("change", "failure"),
    [({"quarantined": True}, ImportQuarantined), ({"denied": True}, ImportQuarantined), (None, NotInProduct)],
)
async def test_a_device_that_is_no_member_gets_no_write(line, autojump_clock, change, failure):
    if change is None:
        del line.cloud.devices[id_of(1)]
    else:
        line.cloud.change(line.devices[0], **change)
    photon = Photon(1)
    station = line.station(photon)

    visit = await one_visit(station)

    assert isinstance(visit.failure, failure)
    if change is None:  # one answer may come from a copy that is behind: it comes round again, and not for ever
        assert line.state(line.devices[0]) is State.IMPORTED
        for _ in range(2):
            await trio.sleep(10)
            await one_visit(station)
    assert photon.writes() == []
    assert line.state(line.devices[0]) is State.FAILED


async def test_a_developer_device_that_is_nobodys_is_worked(bench, autojump_clock):
    line = bench([listed(1, to="account")], membership=False).start()
    del line.cloud.devices[id_of(1)]

    assert (await one_visit(line.station(Photon(1)))).failure is None


# --- boards are swapped ---


@pytest.mark.parametrize("at", range(1, len(CALLS)))
async def test_a_board_swapped_before_any_call_gets_no_later_write(line, autojump_clock, at):
    """The change is seen by the next `identify`; until then at most the one write under way has gone out."""
    photon = Photon(1)
    first_id = photon.id

    def swap():
        photon.id = id_of(2)

    photon.script[at] = swap
    visit = await one_visit(line.station(photon))

    if at == CALLS.index("connect"):
        assert visit.failure is None  # too late to be seen here: the cloud will tell
        return
    assert isinstance(visit.failure, DeviceChanged)
    assert photon.calls[at + 1 :] == ([] if CALLS[at] == "identify" else ["identify"])
    assert visit.device.id == first_id
    assert visit.handed_over is None
    assert line.state(line.devices[0]) is State.IMPORTED


# --- failures at every call ---

ERRORS = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, SoftAPError)]


def an_error(cls):
    return cls("scripted", command="x", result=-7) if issubclass(cls, CommandRefused) else cls("scripted")


@pytest.mark.parametrize("healthy", [True, False])
@pytest.mark.parametrize("at", range(len(CALLS)))
@pytest.mark.parametrize("cls", ERRORS)
async def test_a_softap_failure_at_any_call_ends_as_a_value_and_frees_everything(
    line, autojump_clock, cls, at, healthy
):
    photon = Photon(1)
    photon.linked = healthy
    photon.script = dict.fromkeys(range(at, 50), an_error(cls))
    station = line.station(photon)

    visit = await one_visit(station)

    device = line.devices[0]
    assert visit_events(line).count("visit.ended") == 1
    assert station.switcher.left == 1
    assert line.ledger[device.id].with_station is None
    assert station.drained is None
    kept = {event for event in line.events(of=device) if event.endswith(".intended")}
    for act in ("claim_code", "wifi", "connect"):
        results = [r for r in line.records if r.event.startswith(f"{act}.")]
        assert bool(results) == (f"{act}.intended" in kept)
        assert len(results) % 2 == 0, "every intention has its result"
    if at < CALLS.index("connect"):
        assert visit.handed_over is None
        assert line.state(device) in (State.IMPORTED, State.FAILED)
        lost = not healthy and not issubclass(cls, CommandRefused)
        assert isinstance(visit.failure, LinkLost if lost else cls)
        again = visit.failure.again is errors.Again.THIS_RUN
        assert line.ledger.may_visit(device.id) == (again or at == 0), "at 0 nobody knows which device it was"
        await trio.sleep(3)
        never = visit.failure.again is errors.Again.NEVER
        assert (await station.find() is not None) == (not never if at == 0 else again)
    elif issubclass(cls, (SoftAPUnreachable, SoftAPBusy, errors.SoftAPNotFound, CommandRefused)):
        # The Photon said no, or never heard it: it has certainly not been told to go.
        assert visit.handed_over is None
        assert line.state(device) in (State.IMPORTED, State.FAILED)
        assert [r.event for r in line.records if r.event.startswith("connect.")] == [
            "connect.intended",
            "connect.refused",
        ]
    else:
        assert visit.handed_over is not None
        assert line.state(device) is State.CONNECTING


@pytest.mark.parametrize("cls", [SoftAPSilent, SoftAPCutShort, SoftAPEmptyReply, SoftAPBusy])
@pytest.mark.parametrize("at", range(len(CALLS) - 1))
async def test_one_lost_answer_before_connect_is_asked_again(line, autojump_clock, cls, at):
    photon = Photon(1)
    photon.script[at] = cls("scripted")

    visit = await one_visit(line.station(photon))

    assert visit.failure is None
    assert visit.handed_over is not None


async def test_a_device_that_fails_before_it_is_worked_is_not_visited_for_ever(line, autojump_clock):
    """A board whose public key cannot be read gets as many visits as any other."""
    photon = Photon(1)
    photon.script = dict.fromkeys([n for n in range(200) if n % 2], SoftAPReplyUnreadable("no key"))
    station = line.station(photon)

    for _ in range(line.limits.device_attempts_max):
        await one_visit(station)
        await trio.sleep(100)

    assert line.state(line.devices[0]) is State.FAILED
    assert await station.find() is None


# --- connect-ap ---


async def test_a_lost_answer_to_connect_is_sent_again_while_the_device_listens_three_times_at_most(
    line, autojump_clock
):
    photon = Photon(1)
    photon.script = {n: SoftAPSilent("scripted") for n in (7, 10, 13, 16)}

    visit = await one_visit(line.station(photon))

    assert photon.calls.count("connect") == 3
    assert visit.handed_over is not None
    assert [r.attempt for r in line.named("connect.intended")] == [1, 2, 3]


@pytest.mark.parametrize("after", ["gone", "another", "unlinked"])
async def test_a_lost_answer_to_connect_is_not_sent_again_when_the_device_is_gone(line, autojump_clock, after):
    photon = Photon(1)

    def lose():
        if after == "another":
            photon.id = id_of(2)
        photon.linked = after != "unlinked"
        return SoftAPCutShort("scripted")

    photon.script = {7: lose, 8: SoftAPUnreachable("gone") if after == "gone" else None}
    visit = await one_visit(line.station(photon))

    assert photon.calls.count("connect") == 1
    assert visit.handed_over is not None
    assert line.state(line.devices[0]) is State.CONNECTING


async def test_unreachable_after_a_lost_answer_is_no_refusal(line, autojump_clock):
    """The first connect-ap may have been received; the device stays with the confirmer."""
    photon = Photon(1)
    photon.script = {7: SoftAPSilent("lost"), 10: SoftAPUnreachable("leaving"), 11: SoftAPUnreachable("gone")}

    visit = await one_visit(line.station(photon))

    assert photon.calls.count("connect") == 2
    assert visit.handed_over is not None
    assert "connect.refused" not in visit_events(line)
    assert line.state(line.devices[0]) is State.CONNECTING


async def test_a_leave_that_failed_after_the_handover_keeps_the_device_and_drains_the_station(line, autojump_clock):
    station = line.station(Photon(1))
    station.switcher.leave_faults.append(LeaveFailed("stuck"))

    visit = await one_visit(station)

    assert visit.handed_over is not None
    assert isinstance(station.drained, LeaveFailed)
    assert line.state(line.devices[0]) is State.CONNECTING
    assert "device.failed" not in visit_events(line)


# --- cancellation ---


@pytest.mark.parametrize("tenth", range(32))
async def test_a_visit_cancelled_anywhere_is_written_as_aborted_and_frees_its_lease(line, autojump_clock, tenth):
    photon = Photon(1)
    station = line.station(photon)
    network = await station.find()
    with trio.move_on_after(tenth / 10 + 0.05) as scope:
        await station.visit(network)

    if not scope.cancelled_caught:
        assert tenth >= 22, "the whole visit takes 2.3 seconds"
        return
    (ended,) = line.named("visit.ended")
    assert ended.outcome is Outcome.ABORTED
    assert station.switcher.left == len(station.switcher.joins)
    assert line.ledger[id_of(1)].with_station is None
    free = await line.station(photon, name="S2").find()
    assert (free is not None and free.key == network.key) != bool(line.named("connect.intended"))
    expected = State.CONNECTING if line.named("connect.intended") else State.IMPORTED
    assert line.state(line.devices[0]) is expected


# --- the site's faults ---


async def test_a_cloud_that_does_not_say_who_owns_it_holds_the_line_and_nothing_is_written(line, autojump_clock):
    line.cloud.read_s = 60
    photon = Photon(1)

    visit = await one_visit(line.station(photon))

    assert isinstance(visit.failure, CloudSlow)
    assert photon.writes() == []
    assert line.hold.reason is visit.failure
    assert "device.failed" not in visit_events(line)
    assert line.ledger.may_visit(id_of(1))


async def test_without_a_claim_code_nothing_is_written_and_the_device_comes_round_again(line, autojump_clock):
    """However often: the site's fault is no try of the device's."""
    line.cloud.make_s = 10_000
    photon = Photon(1)
    station = line.station(photon)

    for _ in range(line.limits.device_attempts_max + 2):
        visit = await one_visit(station)
        assert isinstance(visit.failure, ClaimCodeUnavailable)
        await trio.sleep(100)

    assert photon.writes() == []
    assert "device.failed" not in visit_events(line)
    assert line.ledger.may_visit(id_of(1))


async def test_an_owner_that_cannot_be_read_leaves_the_device_untouched(line, autojump_clock):
    line.cloud.faults["read"] = [CloudUnreachable("no route")] * 9
    photon = Photon(1)

    visit = await one_visit(line.station(photon))

    assert isinstance(visit.failure, CloudUnreachable)
    assert photon.writes() == []
    assert line.ledger.may_visit(id_of(1))


async def test_three_boards_that_do_not_hear_the_factory_network_hold_the_line(line, autojump_clock):
    station = line.station(*[Photon(n) for n in (1, 2, 3)])
    for photon in station.switcher.photons:
        photon.script[5] = FactoryNetworkNotHeard("-2", command="configure-ap", result=-2)

    for _ in range(2):
        await one_visit(station)
    assert line.hold.reason is None
    await one_visit(station)

    assert isinstance(line.hold.reason, FactoryNetworkNotHeard)
    assert line.hold.for_good


# --- the station's health ---


async def test_five_different_boards_failing_to_join_in_a_row_drain_the_station(line, autojump_clock):
    station = line.station(*[Photon(n) for n in range(1, 6)])
    station.switcher.join_faults = [AssociationFailed("no") for _ in range(5)]

    for drained in (False, False, False, False, True):
        await one_visit(station)
        assert (station.drained is not None) == drained
    assert isinstance(station.drained, AdapterUnavailable)


async def test_one_board_that_fails_to_join_three_times_is_left_alone_not_the_station(line, autojump_clock):
    station = line.station(Photon(1))
    station.switcher.join_faults = [AssociationFailed("no") for _ in range(3)]

    for _ in range(3):
        await one_visit(station)
        await trio.sleep(100)

    assert station.drained is None
    assert await station.find() is None


async def test_a_board_that_was_left_alone_for_good_is_free_again_when_the_adapter_turns_out_to_be_sick(
    line, autojump_clock
):
    """It came first, and alone; the boards after it show that it was not to blame."""
    first = Photon(1)
    sick = line.station(first)
    sick.switcher.join_faults = [AssociationFailed("no") for _ in range(7)]
    for _ in range(3):
        await one_visit(sick)
        await trio.sleep(100)
    well = line.station(first, name="S2")
    condemned = await well.find()

    sick.switcher.photons += [Photon(n) for n in range(2, 6)]
    for _ in range(4):
        await one_visit(sick)

    assert condemned is None
    assert isinstance(sick.drained, AdapterUnavailable)
    assert (await one_visit(well)).handed_over is not None


async def test_a_board_that_joined_clears_the_row(line, autojump_clock):
    station = line.station(*[Photon(n) for n in (1, 2, 3, 9)])
    no = AssociationFailed("no")
    station.switcher.join_faults = [no, no, None, no]

    for _ in range(4):
        await one_visit(station)
        await trio.sleep(5)

    assert len(line.named("network.joined")) == 1
    assert station.drained is None


async def test_an_adapter_that_may_not_be_moved_drains_at_once(line, autojump_clock):
    station = line.station(Photon(1))
    station.switcher.join_faults = [SwitchingNotAllowed("no right")]

    await one_visit(station)

    assert isinstance(station.drained, SwitchingNotAllowed)


# --- finding ---


@pytest.mark.parametrize(
    ("ssid", "ok"),
    [
        ("Photon-KLJZ", True),
        ("Photon-KLJZ23", True),
        ("Photon-", False),
        ("Photon-ABC", False),
        ("Photon-ABCDEFG", False),
        ("Photon-A\x1b[2J", False),
        ("Photon-$(x)", False),
        ("Phaton-KLJZ", False),
        ("Photon-ÄÖÜß", False),
    ],
)
def test_only_names_that_a_photon_gives_itself_are_joined(ssid, ok):
    assert is_setup_name(ssid, "Photon-") is ok


async def test_a_network_with_a_hostile_name_is_never_joined(line, autojump_clock):
    station = line.station(Photon(1, ssid="Photon-\x1b]0;x"))

    assert await station.find() is None


async def test_a_board_whose_label_names_its_network_is_read_ahead_once(bench, autojump_clock):
    line = bench([listed(1, serial="PHHMAB804PAKLJZ")]).start()
    station = line.station(Photon(1, ssid="Photon-KLJZ"))

    network = await station.find()
    await trio.sleep(1)
    assert [device for device, _ in line.cloud.reads] == [id_of(1)]
    await station.visit(network)

    assert len(line.cloud.reads) == 1


async def test_the_label_picks_its_network_and_others_of_six_symbols_only_when_they_are_let_in(line, autojump_clock):
    station = line.station(Photon(1, ssid="Photon-AAAA", signal_dbm=-30), Photon(2, ssid="Photon-KLJZ"))
    label = Wanted(id_of(1), "KLJZ")

    assert (await station.find(label)).ssid == "Photon-KLJZ"
    assert await station.find(label) is None
    station.switcher.photons.append(Photon(3, ssid="Photon-QRSTUV"))
    assert await station.find(label) is None

    assert (await station.find(replace(label, any_name=True))).ssid == "Photon-QRSTUV"


@pytest.mark.parametrize("device", [None, id_of(1)])
async def test_a_whole_network_name_that_was_scanned_lets_no_other_network_in(line, autojump_clock, device):
    """With the name alone any listed board would be worked: so it must be that name to the letter."""
    station = line.station(Photon(3, ssid="Photon-QRSTUV"))

    assert await station.find(Wanted(device, "QRST", named_by_network=True, any_name=True)) is None


async def test_a_board_that_was_only_looked_at_for_another_is_as_good_as_before(line, autojump_clock):
    photon = Photon(2)
    station = line.station(photon)
    for _ in range(5):
        visit = await one_visit(station, Wanted(id_of(1), not_there=frozenset()))
        assert isinstance(visit.failure, NotTheScannedDevice)
        line.air.learn(visit.network, id_of(1))  # as if it had been another one the last time

    visit = await one_visit(station)
    assert visit.handed_over.device.id == id_of(2)


async def test_a_device_that_is_on_its_way_is_not_visited_again(line, autojump_clock):
    photon = Photon(1)
    station = line.station(photon)
    await one_visit(station)
    photon.listening = True
    await trio.sleep(100)

    assert await station.find() is None
    assert [back.device for back in line.came_back] == [id_of(1)]


# --- secrets ---


async def test_no_record_and_no_message_holds_a_secret(line, autojump_clock):
    photon = Photon(1)
    photon.script[5] = CommandRefused("refused", command="configure-ap", result=-1)

    visit = await one_visit(line.station(photon))

    written = line.journal.path.read_bytes()
    assert b"claim_code.intended" in written
    assert b"canary" not in written
    assert "canary" not in repr(visit)
    assert photon.code.startswith("canary")


def test_the_cloud_helper_knows_what_it_says():
    """A scripted device is a member that nobody owns, so the tests above fail for their own reason."""
    assert in_cloud(id_of(1)).in_product
