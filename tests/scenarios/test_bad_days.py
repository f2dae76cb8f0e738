"""When reality does not behave: each thing that goes wrong has its own name, blame and end; nothing lies."""

import signal
from dataclasses import replace
from datetime import timedelta

import pytest
import trio
from factory import GOOD

from provisioner.errors import AdapterUnavailable, ExitCode
from provisioner.journal.reader import newest, replay
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.operators import Habits
from provisioner.simulator.photon.firmware import RELEASES, V0_6_0
from provisioner.simulator.photon.history import WRITE_ATTEMPTS, Event
from provisioner.simulator.radio import Act

NONE = PROFILES["none"]


async def test_a_stranger_is_named_once_and_never_written_to(factory, autojump_clock):
    """F16 and F38."""
    line = factory()
    (stranger,) = line.strange_boards(1)
    line.boards(3)

    end = await line.work()

    end.good(**{"pass": 3})
    assert not list(line.world.history.of(stranger.device_id, *WRITE_ATTEMPTS))
    (seen,) = end.events("stranger.seen")
    assert (seen.device, seen.code, seen.blame) == (stranger.device_id, "stranger_device", "operator")


async def test_somebody_elses_device_is_never_taken(factory, autojump_clock):
    """F20."""
    line = factory()
    foreign, _ours = line.boards(2)
    line.cloud.put_in_product(foreign.device_id)
    line.cloud.set_owner(foreign.device_id, "somebody@example.com")

    end = await line.work()

    end.good(**{"pass": 1, "fail": 1})
    assert end.outcome(foreign) == ("failed", "takeover_refused")
    assert not list(line.world.history.of(foreign.device_id, *WRITE_ATTEMPTS))
    assert line.cloud.find_device(foreign.device_id).owner.username == "somebody@example.com"


async def test_a_take_over_that_the_manifest_names_is_done(factory, autojump_clock):
    """F20."""
    line = factory()
    (board,) = line.boards(1)
    line.cloud.put_in_product(board.device_id)
    line.cloud.set_owner(board.device_id, "somebody@example.com")
    line.allow_takeover = (board.device_id,)

    end = await line.work()

    end.good(**{"pass": 1})


async def test_a_wrong_wifi_password_holds_the_line_after_three_boards(factory, autojump_clock):
    """F24."""
    line = factory(wifi_password="not the password", stations=1)
    boards = line.boards(12)

    end = await line.work()

    assert end.wrong == []
    assert end.exit == ExitCode.HELD_BY_SITE
    rejected = [board for board in boards if end.outcome(board) == ("failed", "wifi_credentials_rejected")]
    assert len(rejected) >= 3
    touched = [board for board in boards if line.world.history.written_to(board.device_id)]
    assert len(touched) < len(boards)  # boards were kept from it
    held = end.events("line.held")
    assert [(r.code, r.blame) for r in held] == [("wifi_credentials_rejected", "site")]


async def test_a_factory_network_that_is_off_holds_the_line_before_anything_connects(factory, autojump_clock):
    """F24."""
    line = factory()
    line.world.factory_networks.clear()
    boards = line.boards(6)

    end = await line.work()

    assert end.exit == ExitCode.HELD_BY_SITE
    assert end.wrong == []
    assert {r.code for r in end.events("line.held")} == {"factory_network_not_heard"}
    assert not any(list(line.world.history.of(board.device_id, Event.CONNECT)) for board in boards)


async def test_a_lost_answer_to_connect_ap_is_no_failure(factory, autojump_clock):
    line = factory(faults=replace(NONE, connect_reply_lost=1.0))
    line.boards(4)

    end = await line.work()

    end.good(**{"pass": 4})
    assert len(end.events("connect.unanswered")) >= 4


async def test_lost_answers_to_other_commands_are_repeated_once_and_then_visited_again(factory, autojump_clock):
    line = factory(faults=replace(NONE, reply_lost=0.15), limits={"device_attempts_max": 10})
    line.boards(4)

    end = await line.work()

    assert end.wrong == []
    assert end.outcomes().get("pass", 0) == 4, end.screen


async def test_setup_networks_that_vanish_at_any_step_never_lose_a_device(factory, autojump_clock):
    line = factory(faults=replace(NONE, ap_vanishes=0.1), limits={"device_attempts_max": 10}, seed=3)
    line.boards(6)

    end = await line.work()

    assert end.wrong == []
    assert any(r.code == "link_lost" for r in end.events("visit.ended"))
    assert end.outcomes().get("pass", 0) == 6, end.screen


async def test_a_device_that_never_reaches_the_cloud_is_unproven_not_failed(factory, autojump_clock):
    line = factory(faults=replace(NONE, never_online=1.0))
    (board,) = line.boards(1)

    end = await line.work()

    end.good(unknown=1)
    assert end.exit == ExitCode.SOME_UNKNOWN
    assert end.outcome(board) == ("unknown", "not_proven")


async def test_a_claim_code_that_the_cloud_does_not_honour_is_not_a_pass(factory, autojump_clock):
    line = factory(faults=replace(NONE, claim_code_forgotten=1.0))
    (board,) = line.boards(1)

    end = await line.work()

    end.good(fail=1)
    assert end.outcome(board) == ("failed", "not_claimed")


async def test_a_slow_owner_field_is_waited_for(factory, autojump_clock):
    line = factory(faults=replace(NONE, owner_lag_s=(30.0, 40.0)))
    line.boards(2)

    (await line.work()).good(**{"pass": 2})


async def test_a_unit_without_dhcp_is_reached_by_an_address_of_our_own(factory, autojump_clock):
    line = factory()
    (dead,) = line.boards(1, faults=replace(NONE, dhcp_dead=1.0))
    line.boards(3)

    end = await line.work()

    end.good(**{"pass": 4})
    assert [r.code for r in end.events("visit.ended") if r.outcome == "fail"] == ["no_address"]
    (joined,) = [r for r in end.events("network.joined") if r.code == "static_address"]
    assert joined.bssid == dead.bssid


async def test_bad_ids_are_refused_and_the_others_are_in(factory, autojump_clock):
    line = factory()
    unknown, foreign, good = line.boards(3)
    line.cloud.fleet.remove(unknown.device_id)
    line.cloud.add_user("outsider@example.com")
    line.cloud.set_owner(foreign.device_id, "outsider@example.com")

    end = await line.work()

    assert end.outcome(unknown) == ("refused", "import_invalid")
    assert end.outcome(foreign) == ("refused", "import_nonmember")
    assert end.outcome(good) == ("confirmed", None)
    assert end.exit == ExitCode.SOME_FAILED


async def test_rows_that_the_reply_forgets_are_sent_once_more_and_then_named(factory, autojump_clock):
    line = factory(faults=replace(NONE, import_row_missing=0.5), seed=5)
    line.boards(8)
    async with line.alive(bring=False):
        end = await line.run("import")

    classified = [*end.events("device.imported"), *end.events("device.refused")]
    assert len(classified) == 8
    assert len([1 for method, path, _ in line.requests if method == "POST" and path.endswith("/devices")]) == 2


async def test_a_cloud_outage_holds_the_line_and_burns_nothing(factory, autojump_clock):
    """F6."""
    line = factory()
    line.boards(6)

    async def outage(line):
        await trio.sleep(20)
        line.cloud.faults = replace(NONE, cloud_fault=1.0)
        await trio.sleep(120)
        line.cloud.faults = NONE

    end = await line.work(during=outage)

    end.good(**{"pass": 6})
    assert end.events("line.held")
    assert end.events("line.released")


async def test_an_outage_without_end_ends_the_run_as_held(factory, autojump_clock):
    """F6."""
    line = factory(budgets={"site_hold_max_s": 120})
    line.boards(4)

    async def outage(line):
        await trio.sleep(15)
        line.cloud.faults = replace(NONE, cloud_fault=1.0)

    end = await line.work(during=outage)

    assert end.wrong == []
    assert end.exit == ExitCode.HELD_BY_SITE


async def test_a_wrong_client_secret_costs_two_token_calls_and_never_a_lockout(factory, autojump_clock):
    """F12."""
    line = factory(client_secret="0" * 40)
    line.boards(2)
    async with line.alive(bring=False):
        first = await line.run()
        second = await line.run()

    assert (first.exit, second.exit) == (ExitCode.HELD_BY_SITE, ExitCode.HELD_BY_SITE)
    assert len([1 for _, path, _ in line.requests if path == "/oauth/token"]) == 2
    assert {r.code for r in first.events("line.held")} == {"credentials_refused"}


async def test_a_graceful_stop_finishes_the_boards_it_has_written_to_and_the_next_run_goes_on(factory, autojump_clock):
    """F3."""
    line = factory(stations=2)
    line.boards(10)

    async def operator_stops(line):
        await trio.sleep(45)
        signal.raise_signal(signal.SIGTERM)

    async with line.alive():
        first = await line.run(during=operator_stops)
        second = await line.run()

    assert first.wrong == []
    assert first.exit == ExitCode.INTERRUPTED
    assert {r.step for r in first.events("visit.ended") if r.outcome == "aborted"} <= {"joining", "identifying"}
    assert second.wrong == []
    assert second.exit == GOOD, second.screen


@pytest.mark.parametrize("cut_s", [8, 15, 22, 30, 37, 45, 60])
async def test_a_crash_at_any_time_loses_and_doubles_nothing(factory, autojump_clock, cut_s):
    """F2. The run is cut off (no clean-up record is written); the next run settles what was open by reading first."""
    line = factory(stations=2)
    line.boards(5)
    async with line.alive():
        with trio.move_on_after(cut_s):
            await line.run()
        await trio.sleep(60)
        end = await line.run()

    assert end.exit == GOOD, end.screen
    assert len(end.events("device.confirmed")) + len(end.events("device.carried")) == 5


async def test_typical_and_nasty_days_end_with_every_device_in_an_outcome(factory, autojump_clock):
    for name in ("typical", "nasty"):
        for seed in range(3):
            line = factory(faults=PROFILES[name], seed=seed, stations=3)
            line.folder = line.folder / f"{name}{seed}"
            line.folder.mkdir()
            line.runs_dir = line.folder / "runs"
            line.boards(15)
            line.strange_boards(1)
            end = await line.work()
            assert end.wrong == [], end.screen
            assert sum(end.outcomes().values()) == 15


async def test_an_online_claim_never_takes_somebody_elses_device(factory, autojump_clock):
    """F20."""
    line = factory(claim="{to: online}", wifi=None)
    foreign, ours = line.boards(2)
    for board in (foreign, ours):
        line.cloud.put_in_product(board.device_id)
    line.cloud.set_owner(foreign.device_id, "somebody@example.com")
    async with line.alive(bring=False):
        for board in (foreign, ours):
            line.cloud.device_online(board.device_id, None)
        end = await line.run()

    assert end.outcome(foreign) == ("failed", "wrong_owner")
    assert end.outcome(ours) == ("confirmed", None)
    assert [r.device for r in end.events("claim.intended")] == [ours.device_id]


# --- the air ---


async def test_boards_with_one_suffix_are_told_apart(factory, autojump_clock):
    line = factory()
    line.boards(4, ssid="Photon-KLJZ")

    (await line.work()).good(**{"pass": 4})


async def test_two_boards_with_one_bssid_are_both_proven(factory, autojump_clock):
    """The first is told to connect while the second beacons on under its name: that is no return of the first."""
    line = factory(faults=replace(NONE, same_bssid=0.001), stations=1, budgets={"idle_stop_s": 600})
    line.boards(2, ssid="Photon-KLJZ", bssid="6c:0b:84:00:00:01")
    line.boards(1)

    end = await line.work()

    end.good(**{"pass": 3})
    assert "wifi_credentials_rejected" not in {record.code for record in end.records}


async def test_old_firmware_that_beacons_on_while_it_is_online_is_proven_and_drains_nobody(factory, autojump_clock):
    line = factory(budgets={"idle_stop_s": 200})
    line.boards(8, firmware=V0_6_0)

    end = await line.work()

    end.good(**{"pass": 8})
    assert end.events("station.drained") == []


async def test_a_board_in_doubt_that_listens_already_is_visited_as_soon_as_the_cloud_has_said_no(
    factory, autojump_clock
):
    """F2: stations meet it while the cloud is still asked about it; that must not cost it its turn in this run."""
    line = factory(stations=2, wifi_password="not the password")
    line.boards(3)
    async with line.alive():
        with trio.move_on_after(45):
            await line.run()
        await trio.sleep(60)
        line.wifi_password = TEST_ROUTER.password
        end = await line.run()

    assert end.events("device.resumed")
    assert (end.exit, end.outcomes()) == (GOOD, {"pass": 3}), end.screen


async def test_a_rack_of_proven_boards_that_beacon_on_drains_no_station_of_the_next_run(factory, autojump_clock):
    """It is as if the first run had gone on: their networks are known, and looked at once, not held against it."""
    line = factory(stations=1, habits=Habits(handling_s=(0.1, 0.2)))
    rack, late = line.boards(7, firmware=V0_6_0), line.boards(1)
    async with line.alive(bring=False):
        line.world.start_operators(rack, line.habits)
        await line.run()

        async def later(_):
            await trio.sleep(120)
            line.world.start_operators(late, line.habits)

        end = await line.run(during=later)

    assert len(end.events("device.carried")) == 7
    assert end.events("station.drained") == []
    end.good(**{"pass": 8})


async def test_every_firmware_in_one_tray_is_proven(factory, autojump_clock):
    line = factory()
    for firmware in RELEASES.values():
        line.boards(2, firmware=replace(firmware, claim_code_garbled=0.0))

    (await line.work()).good(**{"pass": 2 * len(RELEASES)})


async def test_an_adapter_that_sickens_is_drained_and_its_boards_go_to_another_station(factory, autojump_clock):
    line = factory(stations=2)
    boards = line.boards(16)
    line.world.radio._sick_until_s["sim1"] = 1e9

    end = await line.work()

    end.good(**{"pass": 16})
    assert [record.station for record in end.events("station.drained")] == ["S1"]
    assert {
        via for board in boards for via in (e.via for e in line.world.history.of(board.device_id, Event.CONNECT))
    } == {"sim2"}


async def test_few_boards_on_a_sick_adapter_are_not_blamed_for_it(factory, autojump_clock):
    """It meets the same few again and again: they are neither left alone for good nor lost for the other station."""
    line = factory(stations=2)
    line.boards(4)
    line.world.radio._sick_until_s["sim1"] = line.world.radio._sick_until_s["sim2"] = 1e9

    async def mend(line):
        await trio.sleep(90)
        line.world.radio._sick_until_s["sim2"] = 0

    end = await line.work(during=mend)

    end.good(**{"pass": 4})


async def test_an_adapter_that_is_unplugged_is_drained_and_the_line_goes_on(factory, autojump_clock):
    line = factory(stations=2)
    line.boards(6)
    line.world.radio._sick_until_s["sim1"] = float("inf")

    end = await line.work()

    end.good(**{"pass": 6})
    assert [(record.station, record.code) for record in end.events("station.drained")] == [
        ("S1", "adapter_unavailable")
    ]


async def test_without_any_adapter_the_run_ends_by_that_name_and_not_as_our_bug(factory, autojump_clock):
    """No board had a turn, and what is said of each is what to do about the adapters."""
    line = factory(stations=2)
    boards = line.boards(3)
    for adapter in ("sim1", "sim2"):
        line.world.radio.scripted(adapter, Act.OPEN, AdapterUnavailable("it is not there"))

    with pytest.RaisesGroup(pytest.RaisesExc(AdapterUnavailable), flatten_subgroups=True):
        await line.work()

    records = list(replay(newest(line.runs_dir).journal))
    assert (records[-1].event, records[-1].code) == ("run.finished", "some_failed")
    skipped = [record for record in records if record.event == "device.skipped"]
    assert {record.device for record in skipped} == {board.device_id for board in boards}
    assert {record.code for record in skipped} == {"adapter_unavailable"}


async def test_a_board_whose_power_fails_between_wifi_and_connect_is_in_doubt(factory, autojump_clock):
    """F14, I13: with the factory Wi-Fi stored it goes online by itself once it has power again: no station hears it."""
    line = factory(stations=1, budgets={"idle_stop_s": 60})
    (board,) = line.boards(1)

    async def loose_plug(line):
        while not line.history_so_far("wifi.accepted"):
            await trio.sleep(0.01)
        board.power_cycle()

    async with line.alive():
        first = await line.run(during=loose_plug)
        second = await line.run()
        board.power_cycle()
        await trio.sleep(1)
        board.hold_setup()
        third = await line.run()

    for end in (first, second):  # nobody told it to connect, so nobody may say that it passed
        assert end.exit == ExitCode.SOME_UNKNOWN
        assert end.outcome(board) == ("unknown", "not_proven")
        (said,) = end.events("device.unknown")
        assert "was given the factory Wi-Fi" in said.detail
        assert "hold SETUP" in said.remedy
    third.good(**{"pass": 1})


async def test_a_crowded_channel_slows_the_line_and_loses_nothing(factory, autojump_clock):
    hours = []
    for crowding in (0.0, 1.0):
        line = factory(
            faults=replace(NONE, channel_crowding=crowding),
            stations=8,
            habits=Habits(boards_max=24, handling_s=(0.1, 0.2)),
        )
        line.boards(40)
        line.runs_dir = line.folder / f"runs-{crowding}"
        end = await line.work()
        end.good(**{"pass": 40})
        hours.append(end.records[-1].mono_ms)

    assert hours[1] > 1.2 * hours[0]


async def test_a_board_below_the_signal_floor_is_left_for_its_operator_to_move(factory, autojump_clock):
    line = factory(limits={"signal_floor_dbm": -60}, budgets={"idle_stop_s": 100})
    strong, weak = line.boards(1), line.boards(1, faults=replace(NONE, weak_board=1.0))

    end = await line.work()

    assert end.wrong == []
    assert end.outcome(weak[0]) == ("skipped", "not_seen")
    assert not list(line.world.history.of(weak[0].device_id, Event.JOINED))
    assert end.outcome(strong[0])[0] in ("confirmed", "skipped")


async def test_hostile_names_in_the_air_harm_nobody(factory, autojump_clock):
    line = factory(faults=replace(NONE, hostile_air=True))
    line.boards(4)

    (await line.work()).good(**{"pass": 4})


async def test_a_damaged_key_is_the_devices_own_fault(factory, autojump_clock):
    line = factory()
    damaged = line.boards(1, faults=replace(NONE, key_damaged=1.0))
    missing = line.boards(1, faults=replace(NONE, key_missing=1.0))
    line.boards(2)

    end = await line.work()

    end.good(**{"pass": 2, "fail": 2})
    assert end.outcome(damaged[0]) == ("failed", "wifi_password_undecipherable")
    assert end.outcome(missing[0]) == ("failed", "command_refused")
    assert not end.events("line.held")


async def test_a_clock_that_is_set_back_between_two_runs_loses_no_proof(factory, autojump_clock):
    """F25: the first run, an hour ahead, saw no board; the second proves them; the third must still know it."""
    line = factory(stations=2, budgets={"idle_stop_s": 20})
    line.boards(3)
    ahead, outside = [timedelta(hours=1)], line.virtual.outside
    line.virtual.outside = lambda secrets: replace(outside(secrets), wall=lambda: line.clock.now() + ahead[0])
    async with line.alive(bring=False):
        first = await line.run()
        ahead[0] = timedelta()
        line.world.start_operators(line.listed, line.habits)
        second = await line.run()
        third = await line.run()

    assert [end.outcomes() for end in (first, second, third)] == [{"skipped": 3}, {"pass": 3}, {"pass": 3}]
    assert len(third.events("device.carried")) == 3
    assert third.events("visit.started") == []
