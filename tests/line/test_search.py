"""Looking for the scanned board: it is found among many, nobody else gets a write, the verdict says why."""

import pytest
import trio
from stages import Photon, id_of, listed

from provisioner.errors import AssociationFailed, CloudUnreachable, NetworkNotFound, SoftAPSilent
from provisioner.line.search import Search
from provisioner.line.shift import Shift
from provisioner.line.steps import State
from provisioner.line.visit import Wanted
from provisioner.network.switcher import Traits
from provisioner.settings import Limits

SERIALS = {1: "PHHMAB804PAKLJZ", 2: "PHHMAB804PAKLJZ"[:-4] + "KLJY", 3: "PHHMAB804PA7F3Q"}
LABEL = Wanted(id_of(1), "KLJZ")


@pytest.fixture
def line(bench):
    return bench([listed(n, serial=SERIALS.get(n)) for n in range(1, 9)]).start()


async def search(line, wanted, *photons, go_on=None, station=None):
    station = station or line.station(*photons)
    shift = Shift(station, trio.Event(), None, line.hand_over, lambda: None)
    found = Search(station, wanted)
    line.air.forgive()
    await found.run(shift._next_board, go_on or shift._line_opens)
    return found


def asked(*photons):
    """Who was only asked who they are: no write, nothing else."""
    return all(set(photon.calls) == {"identify"} for photon in photons)


def untouched(*photons):
    return all(photon.calls == [] for photon in photons)


async def test_of_many_boards_only_the_named_one_is_ever_joined(line, autojump_clock):
    others = [Photon(n, signal_dbm=-30) for n in range(2, 9)]
    board = Photon(1, ssid="Photon-KLJZ", signal_dbm=-70)

    found = await search(line, LABEL, *others, board)

    assert found.visit.handed_over.device.id == id_of(1)
    assert untouched(*others)


async def test_a_board_of_six_symbols_is_found_by_asking_only_after_the_named_network_had_time_to_come(
    line, autojump_clock
):
    named_so = Photon(2, ssid="Photon-AAAA")  # the label would say so: never asked
    others = [Photon(n, ssid=f"Photon-QQQQ2{n}", signal_dbm=-40 - n) for n in (3, 4)]
    board = Photon(1, ssid="Photon-QRSTUV", signal_dbm=-60)
    began_s = trio.current_time()

    found = await search(line, LABEL, named_so, *others, board)

    assert found.visit.handed_over.device.id == id_of(1)
    assert asked(*others)
    assert untouched(named_so)
    assert trio.current_time() > began_s + line.budgets.other_names_after_s


async def test_a_board_that_is_still_booting_is_waited_for_and_nobody_else_is_asked(line, autojump_clock):
    other = Photon(3, ssid="Photon-QQQQ23")
    board = Photon(1, ssid="Photon-KLJZ")
    station = line.station(other)

    async def boot():
        await trio.sleep(5)
        station.switcher.photons.append(board)

    line.nursery.start_soon(boot)
    found = await search(line, LABEL, station=station)

    assert found.visit.handed_over.device.id == id_of(1)
    assert untouched(other)


async def test_of_two_boards_of_one_name_the_other_is_asked_and_left_alone(line, autojump_clock):
    twin, board = Photon(3, ssid="Photon-KLJZ", signal_dbm=-30), Photon(1, ssid="Photon-KLJZ", signal_dbm=-60)

    found = await search(line, LABEL, twin, board)

    assert found.visit.handed_over.device.id == id_of(1)
    assert asked(twin)


async def test_another_board_under_the_labels_name_is_a_mismatch_that_says_both(line, autojump_clock):
    twin, far = Photon(3, ssid="Photon-KLJZ"), [Photon(n, ssid=f"Photon-QQQQ2{n}") for n in (4, 5)]

    found = await search(line, LABEL, twin, *far)

    assert (found.failure.code, found.failure.blame) == ("not_the_scanned_device", "operator")
    assert id_of(1) in found.failure.detail
    assert id_of(3) in found.failure.detail
    assert asked(twin, *far)


async def test_the_only_board_here_being_another_is_a_mismatch_also_if_it_is_a_stranger(line, autojump_clock):
    stranger = Photon(77, ssid="Photon-QRSTUV")

    found = await search(line, LABEL, stranger)

    assert found.failure.code == "not_the_scanned_device"
    assert asked(stranger)
    assert [record.device for record in line.named("stranger.seen")] == [id_of(77)]


async def test_among_strangers_of_other_names_the_board_is_just_not_heard(line, autojump_clock):
    others = [Photon(n, ssid=f"Photon-QQQQ2{n}") for n in (3, 4, 5)]

    found = await search(line, LABEL, *others)

    assert found.failure.code == "scanned_not_heard"
    assert "3 others" in found.failure.detail
    assert asked(*others)


async def test_a_board_that_was_asked_for_another_can_be_scanned_itself_as_often_as_it_takes(line, autojump_clock):
    board = Photon(3, ssid="Photon-QRSTUV")
    station = line.station(board)
    for _ in range(5):
        assert (await search(line, LABEL, station=station)).failure is not None

    assert (await search(line, Wanted(id_of(3), "7F3Q"), station=station)).visit.handed_over.device.id == id_of(3)
    assert board.calls.count("identify") < 10, "who answers there is remembered"


async def test_two_boards_of_one_name_cannot_be_told_by_that_name(line, autojump_clock):
    twins = [Photon(1, ssid="Photon-KLJZ"), Photon(3, ssid="Photon-KLJZ")]

    found = await search(line, Wanted(code="KLJZ", named_by_network=True), *twins)

    assert found.failure.code == "setup_network_ambiguous"
    assert untouched(*twins)


async def test_a_network_that_was_scanned_by_name_is_worked_if_a_listed_board_answers(line, autojump_clock):
    other, board = Photon(2, signal_dbm=-30), Photon(3, ssid="Photon-QRSTUV")

    found = await search(line, Wanted(code="QRSTUV", named_by_network=True), other, board)

    assert found.visit.handed_over.device.id == id_of(3)
    assert untouched(other)


@pytest.mark.parametrize(
    "fault", [AssociationFailed("no"), NetworkNotFound("gone")], ids=["does not let us in", "gone for a moment"]
)
async def test_a_join_that_fails_once_is_tried_again_by_itself(line, autojump_clock, fault):
    station = line.station(Photon(1, ssid="Photon-KLJZ"))
    station.switcher.join_faults = [fault]

    found = await search(line, LABEL, station=station)

    assert found.visit.handed_over is not None


async def test_a_board_that_keeps_failing_is_not_tried_for_ever(bench, autojump_clock):
    line = bench([listed(1, serial=SERIALS[1])], limits=Limits(device_attempts_max=2)).start()
    board = Photon(1, ssid="Photon-KLJZ")

    async def silent(code):
        await trio.sleep(8)
        raise SoftAPSilent("no answer")

    board.set_claim_code = silent

    found = await search(line, LABEL, board)

    assert found.visit.handed_over is None
    assert found.failure.code == "softap_silent"
    assert line.ledger[id_of(1)].visits == 2
    assert line.state(line.devices[0]) is State.FAILED


async def test_a_board_left_alone_for_good_is_worked_when_a_person_scans_it(line, autojump_clock):
    """Three failed joins end a network's chances in a run that finds boards by itself; a scan is a person's word."""
    board = Photon(1, ssid="Photon-KLJZ")
    station = line.station(board)
    station.switcher.join_faults = [AssociationFailed("no")] * 40
    assert (await search(line, LABEL, station=station)).failure.code == "association_failed"
    station.switcher.join_faults = []

    assert (await search(line, LABEL, station=station)).visit.handed_over is not None


async def test_the_time_that_the_line_is_held_is_not_the_boards(line, autojump_clock):
    station = line.station()
    line.hold.report(CloudUnreachable("no route"))

    async def mend():
        await trio.sleep(300)
        station.switcher.photons.append(Photon(1, ssid="Photon-KLJZ"))
        line.hold.release()

    line.nursery.start_soon(mend)
    found = await search(line, LABEL, station=station)

    assert found.visit.handed_over is not None


async def test_a_run_that_stops_ends_a_search_without_a_verdict(line, autojump_clock):
    async def no():
        await trio.lowlevel.checkpoint()
        return False

    found = await search(line, LABEL, Photon(1, ssid="Photon-KLJZ"), go_on=no)

    assert (found.visit, found.failure) == (None, None)


# --- a person as back end ---


class Hands:
    """A switcher that a person moves: it sees no BSSID, and is never asked to listen."""

    traits = Traits("hands", "", scans=False, pins_bssid=False, unattended=False)


async def test_a_person_is_not_asked_for_the_network_that_the_label_names(line, autojump_clock):
    board = Photon(1, ssid="Photon-KLJZ")
    board.bssid = ""
    station = line.station(board)
    station.switcher.traits = Hands.traits

    found = await search(line, LABEL, station=station)

    assert found.visit.handed_over.device.id == id_of(1)
    assert station.switcher.scans == 0


async def test_at_a_persons_station_a_second_board_of_the_same_name_can_be_scanned(line, autojump_clock):
    """Without a BSSID the name is the key: who answered there last says nothing of who does now."""
    first, second = Photon(3, ssid="Photon-7F3Q"), Photon(4, ssid="Photon-7F3Q")
    first.bssid = second.bssid = ""
    station = line.station(first)
    station.switcher.traits = Hands.traits
    assert (await search(line, Wanted(id_of(3), "7F3Q"), station=station)).visit.handed_over is not None
    station.switcher.photons = [second]

    found = await search(line, Wanted(id_of(4), "7F3Q"), station=station)

    assert found.visit.handed_over.device.id == id_of(4)
