"""The screen model: each device counted once, whatever comes in whatever order."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.console.tally import OUTCOME_OF, STATE_OF, State, Tally, word_of
from provisioner.console.view import FAILURES_KEPT, STRANGERS_KEPT, Screen
from provisioner.journal.fields import GENESIS
from provisioner.journal.records import compose
from provisioner.model import Outcome

AT = datetime(2026, 11, 20, tzinfo=UTC)
FAIL = {"outcome": "fail", "code": "no_address", "blame": "device", "remedy": "Press RESET."}


def stand(screen):
    return {state.value: count for state, count in screen.all.states.items() if count}


def test_every_outcome_has_a_state_and_a_word():
    assert set(OUTCOME_OF.values()) == set(STATE_OF) == set(Outcome) - {Outcome.ABORTED}
    assert [word_of(outcome) for outcome in STATE_OF] == ["PASS", "FAIL", "UNPROVEN", "SKIPPED"]


def test_a_run_starts_with_everything_listed(fold):
    screen = fold()

    assert stand(screen) == {"listed": 5}
    assert [(tray.name, tray.devices) for tray in screen.trays.values()] == [("T-0001", 3), ("T-0002", 2)]
    assert list(screen.stations) == ["ST1", "ST2"]
    assert screen.adds_up


def test_a_device_goes_its_way_to_confirmed(fold):
    at = {"station": "ST1", "device": 1}
    way = [
        ("device.imported", {"device": 1, "code": "added"}, "imported", ""),
        ("visit.started", {"station": "ST1", "ssid": "Photon-7K3M"}, "imported", "joining"),
        ("network.joined", {"station": "ST1"}, "imported", "identifying"),
        ("device.identified", at, "working", "claiming"),
        ("claim_code.intended", at, "working", "claiming"),
        ("wifi.intended", at, "working", "configuring"),
        ("connect.intended", at, "working", "connecting"),
        ("connect.accepted", at, "connecting", "connecting"),
        ("visit.ended", {**at, "outcome": "pass"}, "connecting", ""),
        ("device.confirmed", {"device": 1, "outcome": "pass"}, "confirmed", ""),
    ]
    for count in range(1, len(way) + 1):
        screen = fold(*((event, fields) for event, fields, _, _ in way[:count]))

        event, _, state, step = way[count - 1]
        assert stand(screen) == {"listed": 4, state: 1}, event
        assert screen.stations["ST1"].step == step, event
    assert (screen.stations["ST1"].visits, screen.stations["ST1"].passes) == (1, 1)
    assert screen.trays["T-0001"].outcome(Outcome.PASS) == 1


def test_a_records_own_step_wins_and_time_counts_from_the_change(fold):
    screen = fold(
        (5, "visit.started", {"station": "ST1"}),
        (9, "device.identified", {"station": "ST1", "device": 1, "step": "identifying"}),
        (12, "claim_code.intended", {"station": "ST1", "device": 1, "step": "claiming"}),
        (15, "claim_code.accepted", {"station": "ST1", "device": 1, "step": "claiming"}),
    )

    assert (screen.stations["ST1"].step, screen.stations["ST1"].since_ms) == ("claiming", 12_000)


def test_a_failed_visit_puts_the_device_back_where_it_stood(fold):
    seen = [("device.imported", {"device": 1}), ("device.identified", {"station": "ST1", "device": 1})]

    screen = fold(*seen, ("visit.ended", {"station": "ST1", "device": 1, **FAIL}))

    assert stand(screen) == {"listed": 4, "imported": 1}
    assert screen.stations["ST1"].trouble.code == "no_address"
    assert [trouble.remedy for trouble in screen.failures] == ["Press RESET."]
    assert list(screen.troubles()) == []


def test_a_device_identified_twice_goes_back_to_where_it_stood_at_first(fold):
    seen = ("device.identified", {"station": "ST1", "device": 1})

    screen = fold(
        ("device.imported", {"device": 1}), seen, seen, ("visit.ended", {"station": "ST1", "device": 1, **FAIL})
    )

    assert stand(screen) == {"listed": 4, "imported": 1}


def test_an_answer_lost_at_the_end_leaves_the_device_connecting(fold):
    screen = fold(
        ("device.identified", {"station": "ST1", "device": 1}),
        ("visit.ended", {"station": "ST1", "device": 1, "outcome": "unknown"}),
    )

    assert stand(screen) == {"listed": 4, "connecting": 1}


def test_a_later_final_record_replaces_the_earlier_one(fold):
    steps = [
        ("device.failed", {"device": 1, **FAIL}),
        ("device.unknown", {"device": 1, "outcome": "unknown", "code": "not_proven"}),
        ("device.confirmed", {"device": 1, "outcome": "pass"}),
    ]

    assert stand(fold(*steps[:1])) == {"listed": 4, "failed": 1}
    assert stand(fold(*steps[:2])) == {"listed": 4, "unknown": 1}
    assert [trouble.code for trouble in fold(*steps[:2]).troubles()] == ["not_proven"]
    assert stand(fold(*steps)) == {"listed": 4, "confirmed": 1}
    assert list(fold(*steps).troubles()) == []


def test_a_confirmed_device_that_comes_round_again_stays_confirmed_and_is_counted_once(fold):
    again = [("device.identified", {"station": "ST1", "device": 1}), ("device.confirmed", {"device": 1})]

    screen = fold(("device.confirmed", {"device": 1}), *again, ("visit.ended", {"station": "ST1", "device": 1, **FAIL}))

    assert stand(screen) == {"listed": 4, "confirmed": 1}
    assert screen.stations["ST1"].passes == 0


def test_a_pass_is_credited_to_the_station_that_had_the_device(fold):
    screen = fold(
        ("device.identified", {"station": "ST2", "device": 1}),
        ("device.confirmed", {"device": 1}),
        ("device.confirmed", {"device": 2}),
    )

    assert [station.passes for station in screen.stations.values()] == [0, 1]


def test_results_of_earlier_runs_count_but_not_for_the_pace(fold):
    screen = fold(
        ("device.carried", {"device": 1, "outcome": "pass"}),
        ("device.carried", {"device": 2, "outcome": "fail", "code": "takeover_refused"}),
        ("device.carried", {"device": 3, "outcome": "unknown"}),
        started=("run.started", {"trays": {"T-0001": 3}, "resumes": ["r-1"]}),
    )

    assert stand(screen) == {"confirmed": 1, "failed": 1, "unknown": 1}
    assert screen.carried == 3
    assert screen.resumes == ("r-1",)
    assert screen.all.open == 0
    assert list(screen.failures) == []
    assert screen.pace(600_000).overall_per_h is None


def test_a_new_run_starts_afresh(fold):
    screen = fold(("device.confirmed", {"device": 1}), ("line.held", {"code": "x"}), ("run.started", {"trays": {}}))

    assert (screen.all.devices, screen.held, stand(screen)) == (0, None, {})


def test_holding_and_draining_are_kept_until_they_end(fold):
    held = ("line.held", {"code": "cloud_unreachable", "blame": "site", "remedy": "Check the uplink."})
    drained = ("station.drained", {"station": "ST1", "code": "adapter_unavailable", "blame": "station"})

    assert fold(held).held.remedy == "Check the uplink."
    assert fold(held, ("line.released", {})).held is None
    assert fold(drained, ("station.stopped", {"station": "ST1"})).stations["ST1"].drained.code == "adapter_unavailable"
    assert fold(drained, ("station.started", {"station": "ST1"})).stations["ST1"].drained is None


def test_importing_is_shown_while_it_lasts(fold):
    begun = ("import.intended", {"tray": "T-0002"})

    assert fold(begun).importing == "T-0002"
    assert fold(begun, ("import.unanswered", {"tray": "T-0002"})).importing == "T-0002"
    assert fold(begun, ("import.settled", {"tray": "T-0002"})).importing == ""


def test_strangers_are_counted_once_each_and_go_when_a_known_board_comes(fold):
    met = [("stranger.seen", {"station": "ST1", "device": f"{number:024x}"}) for number in (1, 2, 1)]

    screen = fold(*met)
    later = fold(*met, ("device.identified", {"station": "ST1", "device": 1}))

    assert (screen.strangers, screen.stations["ST1"].trouble.word) == (2, "STRANGER")
    assert (later.strangers, later.stations["ST1"].trouble) == (2, None)
    assert screen.adds_up


def test_what_is_kept_of_failures_and_strangers_is_bounded(fold):
    strangers = [("stranger.seen", {"station": "ST1", "device": f"{n:024x}"}) for n in range(STRANGERS_KEPT + 50)]
    failures = [("visit.ended", {"station": "ST1", "bssid": str(n), **FAIL}) for n in range(50)]

    screen = fold(*strangers, *failures)

    assert screen.strangers == STRANGERS_KEPT
    assert len(screen.failures) == FAILURES_KEPT


def test_a_final_record_takes_the_place_of_its_visits_failure(fold):
    screen = fold(
        ("visit.ended", {"station": "ST1", "device": 1, **FAIL}),
        ("visit.ended", {"station": "ST1", "device": 2, **FAIL}),
        ("device.failed", {"device": 1, **FAIL, "code": "softap_silent"}),
    )

    assert [trouble.code for trouble in screen.failures] == ["no_address", "softap_silent"]


# --- what does not add up ---


def test_a_tray_with_more_devices_than_listed_does_not_add_up(fold):
    screen = fold(*(("device.confirmed", {"device": number, "tray": "T-0002"}) for number in (1, 2, 3)))

    assert not screen.adds_up


def test_a_device_in_no_tray_does_not_add_up(fold):
    assert not fold(("device.confirmed", {"device": 1, "tray": "T-0009"})).adds_up


def test_a_total_that_is_not_the_sum_of_the_trays_does_not_add_up(fold):
    assert not fold(started=("run.started", {"devices": 4, "trays": {"T-0001": 3}})).adds_up


def test_a_finished_run_adds_up_only_when_every_device_has_an_outcome(fold):
    four = [("device.confirmed", {"device": number}) for number in (1, 2, 3, 4)]
    done = ("run.finished", {"outcome": "pass"})

    assert not fold(*four, done).adds_up
    assert fold(*four, ("run.finished", {"outcome": "aborted"})).adds_up
    assert fold(*four, ("device.skipped", {"device": 5}), done).adds_up


EVENTS = st.sampled_from(
    ["device.imported", "device.refused", "device.carried", "device.identified", "connect.accepted", "visit.started",
     "connect.unanswered", "visit.ended", "device.confirmed", "device.failed", "device.unknown", "device.skipped",
     "stranger.seen", "station.drained", "station.stopped", "line.held", "never.heard_of"]
)  # fmt: skip


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            EVENTS,
            st.fixed_dictionaries(
                {},
                optional={
                    "device": st.sampled_from([f"{n:024x}" for n in range(4)]),
                    "station": st.sampled_from(["ST1", "ST2"]),
                    "tray": st.sampled_from(["A", "B"]),
                    "outcome": st.sampled_from(Outcome),
                    "code": st.text(max_size=3),
                },
            ),
        ),
        max_size=30,
    )
)
def test_whatever_the_records_say_each_device_is_counted_once(script):
    screen = Screen()
    for seq, (event, fields) in enumerate([("run.started", {"trays": {"A": 4, "B": 4}}), *script]):
        screen.see(compose(event, fields, seq=seq, at=AT, mono_ms=seq, run="r", prev=GENESIS)[0])

        for tally in (screen.all, *screen.trays.values()):
            assert sum(tally.states.values()) == tally.devices
            assert all(count >= 0 for count in tally.states.values())
        assert (
            sum((tray.states for tray in screen.trays.values()), start=type(screen.all.states)()) == +screen.all.states
        )


def _at(seq):
    pass


# --- pace and trays ---


def test_pace_is_unknown_first_and_then_counts_confirmed_devices(fold):
    passes = [(30 + number * 30, "device.confirmed", {"device": number}) for number in (1, 2, 3)]
    screen = fold((30, "visit.started", {"station": "ST1"}), *passes)

    assert screen.pace(50_000).recent_per_h is None
    pace = screen.pace(30_000 + 360_000)
    assert (pace.recent_per_h, pace.overall_per_h, pace.left_s) == (30.0, 30.0, 240.0)


def test_pace_forgets_what_is_older_than_ten_minutes(fold):
    screen = fold(
        (0, "visit.started", {"station": "ST1"}),
        (10, "device.confirmed", {"device": 1}),
        (3500, "device.confirmed", {"device": 2}),
    )

    pace = screen.pace(3_600_000)

    assert (pace.recent_per_h, pace.overall_per_h) == (6.0, 2.0)


def test_a_line_that_stands_still_has_no_pace_left_but_an_average(fold):
    screen = fold((0, "visit.started", {"station": "ST1"}), (10, "device.confirmed", {"device": 1}))

    pace = screen.pace(3_600_000)

    assert (pace.recent_per_h, pace.overall_per_h, pace.left_s) == (0.0, 1.0, 4 * 3600.0)


def test_of_many_trays_those_are_shown_where_work_is_done(fold):
    many = ("run.started", {"trays": {f"T-{number:02}": 5 for number in range(50)}})
    steps = [("device.imported", {"device": f"{n:024x}", "tray": f"T-{n:02}"}) for n in range(50)]
    steps += [("device.confirmed", {"device": f"{n:024x}", "tray": f"T-{n:02}"}) for n in (40, 30)]

    names = [tray.name for tray in fold(*steps, started=many).busy_trays(4)]

    assert names == ["T-00", "T-01", "T-30", "T-40"]
    assert len(fold(*steps, started=many).busy_trays(50)) == 50


def test_a_tally_counts_what_is_open():
    tally = Tally("T", 3)
    tally.states[State.LISTED] = 3
    tally.move(State.LISTED, State.REFUSED)

    assert (tally.open, tally.outcome(Outcome.FAIL)) == (2, 1)
