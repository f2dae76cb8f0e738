"""When reality behaves: every claim policy, both uplinks, resuming."""

import gc
from collections import Counter

import pytest
import trio
from factory import CUSTOMER, GOOD

from provisioner.console.stopped import leaves_of
from provisioner.errors import ExitCode
from provisioner.model import CloudDevice, ListedDevice
from provisioner.secrets import ClaimCode


async def test_after_the_import_the_line_holds_what_is_open_and_not_every_device(factory, autojump_clock):
    line = factory(stations=1)
    line.boards(80)

    def alive():
        gc.collect()
        kinds = Counter(type(one) for one in gc.get_objects())
        return kinds[CloudDevice], kinds[ListedDevice]

    held, before = [], alive()  # other tests of this process may hold some

    async def count(line):
        while not line.history_so_far("visit.ended"):
            await trio.sleep(1)
        held.extend(now - then for now, then in zip(alive(), before, strict=True))

    (await line.work(during=count)).good(**{"pass": 80})

    assert len(held) == 2
    assert max(held) < 20


async def test_a_tray_ends_proven_and_owned_by_its_customer(factory, autojump_clock):
    line = factory()
    boards = line.boards(6)

    end = await line.work()

    end.good(**{"pass": 6})
    assert end.exit == GOOD
    for board in boards:
        assert line.cloud.find_device(board.device_id).owner.username == "line3+t-0001@example.com"


@pytest.mark.parametrize(
    ("claim", "owner"),
    [
        ("{to: none}", None),
        ("{to: account}", "factory@example.com"),
        (CUSTOMER, "line3+t-0001@example.com"),
        ('{to: online, customer: "line3+{tray}@example.com"}', "line3+t-0001@example.com"),
        ("{to: online}", "factory@example.com"),
    ],
)
async def test_each_claim_policy_is_proven_by_its_own_owner(factory, autojump_clock, claim, owner):
    line = factory(claim=claim)
    boards = line.boards(3)

    end = await line.work()

    end.good(**{"pass": 3})
    for board in boards:
        found = line.cloud.find_device(board.device_id).owner
        assert (found.username if found else None) == owner


async def test_import_only_trays_need_no_station(factory, autojump_clock):
    line = factory(wifi=None, claim="{to: none}", stations=1)
    line.boards(5)

    async with line.alive(bring=False):
        end = await line.run()

    end.good(**{"pass": 5})
    assert "visit.started" not in end.events()


async def test_a_developer_account_needs_no_product(factory, autojump_clock):
    line = factory(product=None, claim="{to: account}")
    boards = line.boards(2)

    end = await line.work()

    assert end.exit == GOOD, end.screen
    assert [end.outcome(board) for board in boards] == [("confirmed", None)] * 2
    assert not any("/products/" in path for _, path, _ in line.requests)


async def test_a_claim_code_alone_connects_a_board_that_keeps_its_wifi(factory, autojump_clock):
    """`wifi: none` with a claim: no configure-ap, the board joins what it has stored."""
    from provisioner.simulator.photon.history import Event

    line = factory()
    (board,) = line.boards(1)
    async with line.alive():
        (await line.run()).good(**{"pass": 1})
        line.wifi = "none"
        line.claim = CUSTOMER.replace("line3", "line4")
        line.allow_takeover = (board.device_id,)
        configured = len(list(line.world.history.of(board.device_id, Event.CONFIGURED)))
        board.hold_setup()
        end = await line.run()

    assert end.outcome(board) == ("confirmed", None)
    assert len(list(line.world.history.of(board.device_id, Event.CONFIGURED))) == configured
    assert line.cloud.find_device(board.device_id).owner.username == "line4+t-0001@example.com"


async def test_the_only_radio_works_in_windows_and_never_asks_the_cloud_while_away(factory, autojump_clock):
    """The transport fails the test if a request leaves while the adapter is joined to a board."""
    line = factory(stations=1, uplink="shared", limits={"window_devices_max": 3})
    line.boards(7)

    end = await line.work()

    end.good(**{"pass": 7})


async def test_the_next_board_is_begun_before_the_last_one_is_proven(factory, autojump_clock):
    """The adapter never waits for the cloud: visits overlap confirmations."""
    line = factory(stations=1)
    line.world.online_delay_s = 40.0
    line.boards(4)

    end = await line.work()

    end.good(**{"pass": 4})
    names = [event for event in end.events() if event in ("visit.started", "device.confirmed")]
    assert names[:2] == ["visit.started", "visit.started"]


async def test_running_again_touches_nothing_that_is_proven(factory, autojump_clock):
    line = factory()
    boards = line.boards(4)
    async with line.alive():
        first = await line.run()
        before = len(line.requests)
        second = await line.run()

    first.good(**{"pass": 4})
    second.good(**{"pass": 4})
    assert second.exit == GOOD
    assert [end[0] for end in map(second.outcome, boards)] == ["carried"] * 4
    assert "visit.started" not in second.events()
    assert not any(method == "POST" and path.endswith("/devices") for method, path, _ in line.requests[before:])
    assert second.records[0].extra["resumes"] == [first.records[0].run]


async def test_importing_twice_is_once(factory, autojump_clock):
    line = factory()
    line.boards(5)
    async with line.alive(bring=False):
        first = await line.run("import")
        posts = [path for method, path, _ in line.requests if method == "POST" and path.endswith("/devices")]
        again = await line.run("import")

    assert (first.exit, again.exit) == (GOOD, GOOD)
    assert len(posts) == 1
    assert posts == [path for method, path, _ in line.requests if method == "POST" and path.endswith("/devices")]
    assert [r.code for r in first.events("device.imported")] == ["added"] * 5
    assert [r.code for r in again.events("device.imported")] == ["existing"] * 5


async def test_boards_that_never_come_are_skipped_and_the_exit_code_says_so(factory, autojump_clock):
    line = factory()
    here, away = line.boards(2)
    async with line.alive(bring=False):
        line.world.start_operators([here])
        end = await line.run()

    end.good(**{"pass": 1, "skipped": 1})
    assert end.exit == ExitCode.SOME_FAILED
    assert end.outcome(away) == ("skipped", "not_seen")


async def test_a_proof_of_membership_does_not_count_when_the_manifest_now_wants_a_visit(factory, autojump_clock):
    line = factory(wifi=None, claim="{to: none}")
    boards = line.boards(2)
    async with line.alive():
        imported = await line.run()
        line.wifi = "factory-2g"
        visited = await line.run()

    assert [imported.outcome(board) for board in boards] == [("confirmed", None)] * 2
    assert "visit.started" not in imported.events()
    assert [visited.outcome(board) for board in boards] == [("confirmed", None)] * 2
    assert len(visited.events("connect.accepted")) == 2
    assert visited.wrong == []


async def test_f35_a_run_that_wrote_a_claim_code_would_be_caught(factory, autojump_clock, monkeypatch):
    """The canary scan looks at what the line really writes: here the journal gets the code itself for its name."""
    monkeypatch.setattr(ClaimCode, "fingerprint", property(lambda code: code.reveal()))
    bench = factory()
    bench.boards(1)
    with pytest.raises(BaseExceptionGroup) as caught:
        await bench.work()

    (assertion,) = leaves_of(caught.value)
    assert "journal.jsonl: claim code 1, as it is" in str(assertion)
    for journal in bench.runs_dir.rglob("journal.jsonl"):
        journal.unlink()  # what it leaves is looked through once more after the test
