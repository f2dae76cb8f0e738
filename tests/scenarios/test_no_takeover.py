"""A device that somebody else owns, from before the run or since: it gets nothing from us, and nothing is hidden."""

import shutil

import pytest
import trio
from factory import CUSTOMER, GOOD

from provisioner import nightly
from provisioner.errors import ExitCode
from provisioner.simulator.cloud.state import What
from provisioner.simulator.photon.history import WRITE_ATTEMPTS

SOMEBODY = "somebody@example.com"
CLAIMS = [CUSTOMER, "{to: account}", "{to: none}", '{to: online, customer: "line3+{tray}@example.com"}']


def owner_of(line, board):
    found = line.cloud.find_device(board.device_id).owner
    return found.username if found else None


def untouched(line, board):
    """Not one write, or try of one, and no claim: neither by a code nor by its ID."""
    assert not list(line.world.history.of(board.device_id, *WRITE_ATTEMPTS))
    for what in (What.CLAIMED, What.TAKEN_OVER, What.CODE_SPENT):
        assert not list(line.cloud.history.of(what, board.device_id))
    assert owner_of(line, board) == SOMEBODY


@pytest.mark.parametrize("claim", CLAIMS)
async def test_a_device_of_somebody_else_gets_no_write_and_no_claim_under_any_policy(factory, autojump_clock, claim):
    """F20."""
    line = factory(claim=claim)
    foreign, ours = line.boards(2)
    line.cloud.put_in_product(foreign.device_id)
    line.cloud.set_owner(foreign.device_id, SOMEBODY)

    end = await line.work()

    assert end.wrong == []
    assert end.exit == ExitCode.SOME_FAILED
    assert end.outcome(foreign) == ("failed", "takeover_refused")
    assert end.outcome(ours) == ("confirmed", None)
    untouched(line, foreign)
    assert SOMEBODY in end.events("device.failed", foreign.device_id)[0].detail


async def test_a_device_that_is_claimed_by_somebody_between_import_and_visit_is_left_to_them(factory, autojump_clock):
    """F20: the owner is read just before the visit, not only at the import."""
    line = factory(stations=1)
    boards = line.boards(3)

    async def somebody(line):
        while not line.history_so_far("device.imported"):
            await trio.sleep(0.01)
        line.cloud.set_owner(boards[1].device_id, SOMEBODY)

    end = await line.work(during=somebody)

    end.good(**{"pass": 2, "fail": 1})
    assert end.outcome(boards[1]) == ("failed", "takeover_refused")
    untouched(line, boards[1])


async def test_a_device_that_is_claimed_by_somebody_between_two_visits_must_not_come_online_with_our_code(
    factory, autojump_clock
):
    """F20: it is somebody's before the second visit, and holds a code of the first: the operator must know."""
    line = factory(stations=1)
    (board,) = line.boards(1)

    async def somebody(line):
        while not line.history_so_far("claim_code.accepted"):
            await trio.sleep(0.01)
        line.cloud.set_owner(board.device_id, SOMEBODY)
        board.power_cycle()
        await trio.sleep(1)
        board.hold_setup()

    end = await line.work(during=somebody)

    assert end.wrong == []
    assert end.outcome(board) == ("failed", "takeover_refused")
    assert owner_of(line, board) == SOMEBODY
    assert "leave it without power for an hour" in end.events("device.failed", board.device_id)[0].detail


async def test_a_device_that_somebody_takes_after_the_visit_is_no_pass(factory, autojump_clock):
    """F20: it came online with our code, and the cloud shows another owner when it is asked for the proof."""
    line = factory(stations=1)
    (board,) = line.boards(1)

    async def somebody(line):
        while not list(line.cloud.history.of(What.CODE_SPENT, board.device_id)):
            await trio.sleep(0.001)
        line.cloud.set_owner(board.device_id, SOMEBODY)

    end = await line.work(during=somebody)

    assert end.outcome(board) == ("failed", "wrong_owner")
    assert SOMEBODY in end.events("device.failed")[0].detail
    assert owner_of(line, board) == SOMEBODY


async def test_a_device_that_somebody_takes_after_its_proof_is_found_at_the_close(factory, autojump_clock):
    """F20: the night compares every proof with the cloud, and its exit code says so."""
    line = factory(stations=1)
    boards = line.boards(2)
    async with line.alive():
        end = await line.run()
        line.cloud.set_owner(boards[0].device_id, SOMEBODY)
        manifest, config = line.files()
        night = nightly.NightJob(config, line.runs_dir, [manifest])
        morning = await nightly.reconcile(night, line.virtual.outside())

    end.good(**{"pass": 2})
    assert morning.exit_code == ExitCode.SOME_FAILED
    assert {kind.value: count for kind, count in morning.tally.classes.items() if count} == {
        "confirmed": 1,
        "owner_changed": 1,
    }


async def test_a_take_over_that_the_manifest_allows_leaves_the_old_owner_in_the_record(factory, autojump_clock):
    """F20: before anything is written to the device."""
    line = factory()
    taken, _ours = line.boards(2)
    line.cloud.put_in_product(taken.device_id)
    line.cloud.set_owner(taken.device_id, SOMEBODY)
    line.allow_takeover = (taken.device_id,)

    end = await line.work()

    end.good(**{"pass": 2})
    (allowed,) = end.events("takeover.allowed")
    assert (allowed.device, allowed.evidence["owner_before"]) == (taken.device_id, SOMEBODY)
    assert allowed.seq < end.events("claim_code.intended", taken.device_id)[0].seq
    assert [(one.device, one.before) for one in line.cloud.history.of(What.TAKEN_OVER)] == [(taken.device_id, SOMEBODY)]


async def test_leave_for_one_device_is_leave_for_no_other(factory, autojump_clock):
    """F20."""
    line = factory()
    allowed, foreign = line.boards(2)
    for board in (allowed, foreign):
        line.cloud.put_in_product(board.device_id)
        line.cloud.set_owner(board.device_id, SOMEBODY)
    line.allow_takeover = (allowed.device_id,)

    end = await line.work()

    assert end.wrong == []
    assert (end.outcome(allowed)[0], end.outcome(foreign)) == ("confirmed", ("failed", "takeover_refused"))
    untouched(line, foreign)


# --- one tray, two manifests ---


async def test_a_tray_in_a_second_manifest_for_another_customer_takes_no_board_from_the_first(factory, autojump_clock):
    """F19 and F21: also when every board listens again. The night names each device as listed twice."""
    line = factory()
    boards = line.boards(3)
    async with line.alive():
        first = await line.run()
        manifest, _ = line.files()
        kept = shutil.copy(manifest, line.folder / "first.yaml")
        line.claim = CUSTOMER.replace("line3", "line4")
        for board in boards:
            board.hold_setup()
        writes = len(list(line.world.history.of(boards[0].device_id, *WRITE_ATTEMPTS)))
        second = await line.run()
        morning = await nightly.reconcile(
            nightly.NightJob(line.folder / "line.yaml", line.runs_dir, [manifest, kept]), line.virtual.outside()
        )

    first.good(**{"pass": 3})
    assert second.outcomes() == {"fail": 3}
    assert {second.outcome(board) for board in boards} == {("failed", "takeover_refused")}
    assert len(list(line.world.history.of(boards[0].device_id, *WRITE_ATTEMPTS))) == writes
    assert {owner_of(line, board) for board in boards} == {"line3+t-0001@example.com"}
    assert morning.exit_code == ExitCode.SOME_FAILED
    assert morning.tally.classes.total() == 3
    assert [kind.value for kind, count in morning.tally.classes.items() if count] == ["listed_twice"]


async def test_a_tray_in_a_second_manifest_for_the_same_customer_is_worked_again_and_doubles_nothing(
    factory, autojump_clock
):
    """F19: nothing of the other manifest's journal is carried over; the cloud says that the owner is the right one."""
    line = factory(stations=1)
    boards = line.boards(2)
    async with line.alive():
        first = await line.run()
        line.folder = line.folder / "second"
        line.folder.mkdir()
        line.listed = boards[:1]
        boards[0].hold_setup()
        second = await line.run()

    first.good(**{"pass": 2})
    assert second.exit == GOOD
    assert second.records[0].extra["resumes"] == []
    assert second.outcome(boards[0]) == ("confirmed", None)
    assert not list(line.cloud.history.of(What.TAKEN_OVER))
    assert len(list(line.cloud.history.of(What.IMPORTED, boards[0].device_id))) == 1


async def test_what_was_proven_in_one_cloud_is_proven_again_in_another(factory, autojump_clock):
    """F38: the staging cloud's journal is in the runs folder of production."""
    line = factory(stations=1)
    (board,) = line.boards(1)
    async with line.alive():
        staging = await line.run()
        rewrite_cloud_of(line.runs_dir, "https://staging.example.com")
        board.hold_setup()
        production = await line.run()

    staging.good(**{"pass": 1})
    assert production.records[0].extra["resumes"] == []
    assert production.outcome(board) == ("confirmed", None)
    assert production.exit == GOOD


def rewrite_cloud_of(runs_dir, url):
    """As if the run had worked another cloud: the chain is made anew."""
    from provisioner.journal.fields import GENESIS
    from provisioner.journal.reader import newest, replay
    from provisioner.journal.records import compose

    run, head, lines = newest(runs_dir), GENESIS, []
    for record in replay(run.journal):
        fields = {name: getattr(record, name) for name in FIELDS if getattr(record, name) is not None}
        fields |= record.extra
        if record.event == "run.started":
            fields["cloud"] = url
        made, text = compose(record.event, fields, seq=record.seq, at=record.at, mono_ms=record.mono_ms,
                             run=record.run, prev=head)  # fmt: skip
        head = made.hash
        lines.append(text)
    run.journal.write_bytes(b"".join(lines))


FIELDS = ("station", "operator", "tray", "slot", "device", "ssid", "bssid", "attempt", "step", "outcome", "code",
          "blame", "remedy", "evidence", "detail")  # fmt: skip


# --- the wrong tray ---


async def test_a_whole_tray_that_belongs_to_another_manifest_gets_no_write(factory, autojump_clock):
    """F38 and F16: the operator brought the wrong tray; each board is named, and the right ones were never seen."""
    line = factory(budgets={"idle_stop_s": 60})
    strangers = line.strange_boards(6)
    missing = [line.world.add_photon() for _ in range(2)]
    line.listed += missing
    async with line.alive(bring=False):
        line.world.start_operators(strangers)
        end = await line.run()

    assert end.wrong == []
    assert end.exit == ExitCode.SOME_FAILED
    assert {r.device for r in end.events("stranger.seen")} == {board.device_id for board in strangers}
    assert {r.blame for r in end.events("stranger.seen")} == {"operator"}
    for board in strangers:
        assert not list(line.world.history.of(board.device_id, *WRITE_ATTEMPTS))
    assert {end.outcome(board) for board in missing} == {("skipped", "not_seen")}
    assert not end.events("line.held")
    assert not end.events("station.drained")


async def test_nothing_is_written_to_any_board_before_it_has_said_who_it_is(factory, autojump_clock):
    """F38 and F16: in whole shifts with strangers among the boards, and before every single write."""
    line = factory(stations=3)
    line.boards(6)
    line.strange_boards(3)

    end = await line.work()

    end.good(**{"pass": 6})
    asked = set()
    for entry in line.world.history:
        if entry.event == "joined by an adapter":
            asked.discard(entry.device_id)
        elif entry.event == "asked" and entry.detail == "device-id":
            asked.add(entry.device_id)
        elif entry.event in WRITE_ATTEMPTS:
            assert entry.device_id in asked, entry
            asked.discard(entry.device_id)
