"""Every call is a fault point: the quick half of `python tests/faults --sweep`, each sweep to its end.

Each case is one run with one injured call and the same run again on a sound line; `one_visit` says what is judged.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from call_points import Injury, Kind
from one_visit import WRITES_BY_NAME, Case, Site, case_of, names_of, sweep
from sweep import Plan, main, plans

from provisioner.app import RunEnd
from provisioner.errors import ExitCode
from provisioner.simulator.photon.history import WRITES

VISIT = ["device-id", "public-key", "device-id", "set", "device-id", "configure-ap", "device-id", "connect-ap"]
WITH_SEVERAL = Site(stations=3)


def swept(kind, injury, **how):
    """The whole sweep, judged."""
    found = list(sweep(kind, injury, **how))
    assert [line for done in found for line in done.wrong] == []
    return found


def test_a_visit_without_injury_makes_these_calls_and_needs_no_second_run():
    done = case_of(Case(None))

    assert done.wrong == []
    assert done.line.points.names[Kind.DEVICE] == VISIT  # the second run asked the board for nothing
    assert done.calls[Kind.ADAPTER].count("join") == 1


@pytest.mark.parametrize("injury", [Injury.LOST, Injury.HANGS, Injury.NOT_TAKEN])
def test_f7_each_request_to_a_device_is_lost_hangs_or_is_not_taken(injury):
    """F7: no answer is no failure: the board is proven within the same run, whichever request it was."""
    found = swept(Kind.DEVICE, injury)

    assert [done.call for done in found] == VISIT
    assert {done.became for done in found} == {"pass"}


@pytest.mark.parametrize("injury", [Injury.LOST, Injury.MUTE])
def test_f7_each_request_to_the_cloud_is_done_and_its_answer_lost(injury):
    """F7: what was done is not done again but claim codes, one at most, and the board is proven within the same run."""
    found = swept(Kind.CLOUD, injury)

    assert len(found) == len(names_of(Site(), Kind.CLOUD)) >= 12
    assert {done.became for done in found} == {"pass"}


def test_f7_the_answers_of_two_requests_in_a_row_are_lost():
    """F7, twice: for every two neighbours among the requests to the cloud."""
    found = swept(Kind.CLOUD, Injury.LOST, times=2)

    assert {done.became for done in found} == {"pass"}


def test_f6_each_request_to_the_cloud_meets_503():
    """F6: one 503 anywhere is not noticed by anybody."""
    assert {done.became for done in swept(Kind.CLOUD, Injury.NOT_TAKEN)} == {"pass"}


@pytest.mark.parametrize("kind", [Kind.DEVICE, Kind.CLOUD, Kind.ADAPTER])
def test_f3_the_run_is_cancelled_at_each_call(kind):
    """F3, I5: two signals while any call is under way end the run at once with the network left; the next one ends
    where an undisturbed one would have."""
    found = swept(kind, Injury.CANCELLED)

    assert {done.exit for done in found} == {ExitCode.INTERRUPTED}


def test_f3_the_run_is_stopped_at_each_call_to_a_device():
    """F3: one signal: a board that was written to is finished, another is let go as it came."""
    found = swept(Kind.DEVICE, Injury.STOPPED)

    assert {done.exit for done in found} == {ExitCode.INTERRUPTED}
    for done in found:
        told = done.calls[Kind.DEVICE]
        assert told == VISIT or not WRITES_BY_NAME & set(told)
        assert told == VISIT or done.case.at < VISIT.index("set") + 1


def test_each_act_of_an_adapter_fails():
    """A failed listen, join or leave harms no board; an adapter that cannot be opened ends the run before it began."""
    found = swept(Kind.ADAPTER, Injury.FAILS)

    assert {done.call for done in found} == {"open", "scan", "join", "leave"}
    assert all(isinstance(done.first, RunEnd) or done.call == "open" for done in found)


def test_a_single_radio_comes_back_to_its_uplink_at_each_act_that_fails():
    """As above, where the adapter is also the way to the cloud."""
    found = swept(Kind.ADAPTER, Injury.FAILS, site=Site(uplink="shared"))

    assert "restore" in {done.call for done in found}


def test_f15_the_setup_network_vanishes_between_any_two_requests():
    """F15: the station is back on its own network and says so within 30 s; the board comes again, and is proven."""
    found = swept(Kind.DEVICE, Injury.VANISHES)

    assert [done.call for done in found] == VISIT
    for done in found:
        first_end = next(record for record in done.records if record.event == "visit.ended")
        assert first_end.extra["seconds"] < 30
        assert done.became == "pass"


def test_f16_a_board_exchanged_by_hand_between_any_two_requests_is_not_written_to():
    """F16: a board in no tray, with the same network name and BSSID, takes the place of the one that was joined."""
    found = swept(Kind.DEVICE, Injury.EXCHANGED)

    assert [done.call for done in found] == VISIT
    for done in found:
        other = done.line.stranger.device_id
        assert not any(entry.event in WRITES for entry in done.line.world.history if entry.device_id == other)
        assert done.became != "pass"


def test_f16_another_device_answers_from_any_request_on():
    """F16: on a join that never broke. Every write comes right behind a read of the identity, so whoever answers from
    a read on gets no write. (At a write itself it gets that one: see `one_visit._after_the_gap`.)"""
    found = swept(Kind.DEVICE, Injury.ANOTHER)

    for done in found:
        other = done.line.stranger.device_id
        writes = [entry for entry in done.line.world.history if entry.device_id == other and entry.event in WRITES]
        assert len(writes) <= (done.call in WRITES_BY_NAME)
        assert done.became != "pass"


def test_f4_each_call_of_the_disk_fails():
    """F4: nothing more is done to a board or the cloud, the disk is not asked again, and the message names it.
    (Here each call fails as such calls do: a full disk at writes and names, a bad one at syncs.)"""
    calls = names_of(Site(), Kind.DISK)
    assert {"make_folder", "open_lock", "open_new", "write", "sync_data", "sync_folder"} <= set(calls)

    for at, name in enumerate(calls, 1):
        done = case_of(Case(Kind.DISK, at, Injury.BROKEN if name.startswith("sync") else Injury.FULL))

        assert done.wrong == []
        assert done.call == name
        assert not isinstance(done.first, RunEnd)


def test_f4_while_one_station_leaves_its_board_the_others_do_nothing_more():
    """F4: a journal that breaks ends the run for everybody at once, not when the first of them has left its network.
    (These are the writes during which three stations have boards in hand.)"""
    writes = [at for at, name in enumerate(names_of(WITH_SEVERAL, Kind.DISK), 1) if name == "write" and 36 < at < 60]

    found = [case_of(Case(Kind.DISK, at, Injury.FULL, 1, WITH_SEVERAL)) for at in writes]

    assert [line for done in found for line in done.wrong] == []


def test_one_case_can_be_shown_again(capsys):
    with pytest.raises(SystemExit) as end:
        main(str(Case(Kind.CLOUD, 7, Injury.LOST)))

    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "device_claims" in shown
    assert "nothing is wrong" in shown


def test_the_whole_sweep_has_every_kind_of_call_and_every_injury():
    assert {plan.kind for plan in plans()} == set(Kind)
    assert {plan.injury for plan in plans()} == set(Injury)
    assert {plan.fault for plan in plans()} == {"F3", "F4", "F6", "F7", "F15", "F16"}
    assert Plan(Kind.DISK, Injury.FULL).fault == "F4"
