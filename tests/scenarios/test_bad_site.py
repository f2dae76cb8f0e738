"""When the site is to blame: the line holds instead of burning boards, says why, and goes on by itself when it can."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
import trio
from factory import GOOD

from provisioner.cloud.transport import Transport
from provisioner.errors import ExitCode, NotRunning
from provisioner.line.orders import Act, Order
from provisioner.simulator.cloud.sim_cloud import CloudRules, What
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.photon.history import WRITES, Event

NONE = PROFILES["none"]
OUTAGE_S = 150.0


def answering(status, body, *headers, content=b"text/html"):
    """An app that gives this one answer to everything."""

    async def asgi(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        length = (b"content-length", str(len(body)).encode())
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", content), length, *headers]}
        )
        await send({"type": "http.response.body", "body": body})

    return asgi


async def resetting(scope, receive, send):
    raise ConnectionResetError("cut")


async def hanging(scope, receive, send):
    await trio.sleep_forever()


JSON = b"application/json"
PORTAL = b"<html><body><form action=/login>Accept our terms to use the guest network</form></body></html>"
FRONTS = {
    "a captive portal's page": (answering(200, PORTAL), "cloud_reply_unreadable"),
    "a captive portal's redirect": (
        answering(302, b"", (b"location", b"http://portal.invalid/login?access_token=x")),
        "cloud_reply_unreadable",
    ),
    "HTML with 404": (answering(404, PORTAL), "cloud_reply_unreadable"),
    "JSON of somebody else": (
        answering(200, b'{"status":"up"}', content=b"application/json"),
        "cloud_reply_unreadable",
    ),
    "500": (answering(500, b'{"ok":false}', content=b"application/json"), "cloud_answer_lost"),
    "502": (answering(502, PORTAL), "cloud_answer_lost"),
    "504": (answering(504, b""), "cloud_answer_lost"),
    "a cut connection": (resetting, "cloud_answer_lost"),
    "no answer at all": (hanging, None),
}


def outage(begin, end, *, at_s=20.0, lasts_s=OUTAGE_S):
    """Something that stands in the way for a while: a task beside the run. `line.outage` is when."""

    async def during(line):
        await trio.sleep(at_s)
        began_s = trio.current_time()
        begin(line)
        await trio.sleep(lasts_s)
        end(line)
        line.outage = (began_s, trio.current_time())

    return during


def in_front(app):
    return outage(lambda line: setattr(line, "front", app), lambda line: setattr(line, "front", None))


def held_and_released(end, code):
    """It said that it holds, why, whose fault and what to do; and that it goes on. Nothing was begun in between."""
    (held,) = end.events("line.held")
    (released,) = end.events("line.released")
    assert code in (None, held.code)
    assert (held.blame, bool(held.detail), bool(held.remedy)) == ("site", True, True)
    assert released.code == held.code
    begun = [r for r in end.events("visit.started") if held.seq < r.seq < released.seq]
    assert begun == []
    return held, released


@pytest.mark.parametrize("name", FRONTS)
async def test_whatever_answers_in_the_clouds_place_the_line_holds_and_goes_on_when_it_is_back(
    factory, autojump_clock, name
):
    """F6 and F10."""
    app, code = FRONTS[name]
    line = factory()
    line.boards(8)

    end = await line.work(during=in_front(app))

    end.good(**{"pass": 8})
    held_and_released(end, code)
    assert PORTAL.decode() not in end.screen


@pytest.mark.parametrize("name", FRONTS)
async def test_a_cloud_that_is_away_at_the_very_first_question_holds_the_line_like_any_other(
    factory, autojump_clock, name
):
    """F6 and F10: the router starts as late as the shift does."""
    app, code = FRONTS[name]
    line = factory()
    line.boards(3)
    line.front = app

    end = await line.work(during=in_front(app))

    end.good(**{"pass": 3})
    held, released = held_and_released(end, code)
    events = end.events()
    assert held.seq < released.seq < events.index("station.started") + 1, "before any adapter was begun with"


async def test_a_cloud_that_stays_away_from_the_first_question_on_ends_the_run_held_and_is_said_once(
    factory, autojump_clock
):
    """F6: after `site_hold_max_s` a person is needed."""
    line = factory(budgets={"site_hold_max_s": 600})
    line.boards(2)
    line.front = resetting

    end = await line.work()

    assert end.exit == ExitCode.HELD_BY_SITE
    assert end.wrong == []
    assert end.events()[-4:] == ["line.held", "device.skipped", "device.skipped", "run.finished"]
    assert len(end.events("line.held")) == 1
    assert {r.code for r in end.events("device.skipped")} == {end.events("line.held")[0].code}, (
        "its words say what to do"
    )
    assert 600 <= trio.current_time() - line.began_s <= 900


@pytest.mark.parametrize("path", ["/v1/products/tempmon-v100", "/v1/products/1319/devices"])
async def test_a_question_that_fails_while_the_cloud_answers_others_is_not_asked_without_a_pause(
    factory, autojump_clock, path
):
    """F6: the probe that ends a hold gets its answer, the first question or the import's does not."""
    line = factory()
    line.boards(3)

    async def partly_down(scope, receive, send):
        app = answering(500, b'{"ok":false}', content=JSON) if scope["path"] == path else line.whole
        await app(scope, receive, send)

    line.front = partly_down

    end = await line.work(during=in_front(partly_down))

    end.good(**{"pass": 3})
    asked = [at_s for _, asked_path, at_s in line.requests if asked_path == path and at_s < line.outage[1]]
    assert 2 <= len(asked) < 150, "some three a probe's pause, with the repeats of each"
    assert {held.code for held in end.events("line.held")} == {"cloud_answer_lost"}
    assert len(end.events("line.held")) == len(end.events("line.released"))


async def test_a_question_that_fails_for_ever_while_the_cloud_answers_others_ends_the_run_held(factory, autojump_clock):
    """F6: as if the cloud were away."""
    line = factory(budgets={"site_hold_max_s": 600})
    line.boards(2)

    async def partly_down(scope, receive, send):
        broken = scope["path"] == "/v1/products/1319/devices"
        await (answering(500, b'{"ok":false}', content=JSON) if broken else line.whole)(scope, receive, send)

    line.front = partly_down

    end = await line.work()

    assert end.exit == ExitCode.HELD_BY_SITE
    assert end.wrong == []
    assert 600 <= trio.current_time() - line.began_s <= 900


async def test_orders_while_a_run_that_could_not_begin_is_closed_again_are_refused(
    factory, autojump_clock, monkeypatch
):
    """F12: it takes some time to close connections and adapters, and nothing can be held or stopped any more."""
    line = factory()
    line.boards(2)
    line.client_secret = "0" * 40
    refused = []
    close = Transport.__aexit__

    async def slowly(transport, *how):
        with trio.CancelScope(shield=True):
            await trio.sleep(3)
        await close(transport, *how)

    monkeypatch.setattr(Transport, "__aexit__", slowly)

    async def too_late(line):
        while not line.history_so_far("line.held"):
            await trio.sleep(0.1)
        for act in (Act.HOLD, Act.STOP):
            with pytest.raises(NotRunning):
                line.orders.give(Order(act, "Mira"))
            refused.append(act)

    end = await line.work(during=too_late)

    assert refused == [Act.HOLD, Act.STOP]
    assert end.exit == ExitCode.HELD_BY_SITE
    assert len(end.events("line.held")) == 1
    assert not end.events("run.stopping")


async def test_where_nobody_looks_on_a_cloud_that_is_away_at_the_first_question_ends_the_run_held_at_once(
    factory, autojump_clock
):
    """F6: nothing has begun, so a script may as well hear of it, and start it again."""
    line = factory()
    line.boards(2)
    line.front = resetting

    end = await line.work(watched=False)

    assert end.exit == ExitCode.HELD_BY_SITE
    assert end.wrong == []
    assert end.events()[1:] == ["line.held", "device.skipped", "device.skipped", "run.finished"]
    assert trio.current_time() - line.began_s < 60


async def test_credentials_that_the_first_question_shows_to_be_wrong_end_the_run_held_and_are_said_once(
    factory, autojump_clock
):
    """F12."""
    line = factory()
    line.boards(2)
    line.client_secret = "0" * 40

    end = await line.work()

    assert end.exit == ExitCode.HELD_BY_SITE
    assert [(held.code, held.blame) for held in end.events("line.held")] == [("credentials_refused", "site")]
    assert end.wrong == []


async def test_a_cable_that_is_pulled_holds_the_line_until_it_is_in_again(factory, autojump_clock):
    """F6: names do not resolve, nothing connects; the line goes on within a minute after."""
    line = factory()
    line.boards(8)

    def cable(*, there):
        def act(line):
            line.virtual.network.uplink_is_up = lambda: there
            line.front = None if there else resetting  # what was connected is not any more

        return act

    end = await line.work(during=outage(cable(there=False), cable(there=True)))

    end.good(**{"pass": 8})
    _, released = held_and_released(end, None)
    assert "cloud_unreachable" in {r.code for r in end.events("visit.ended")} | {released.code}
    assert line.outage[1] <= released.mono_ms / 1000 + line.began_s <= line.outage[1] + 60


@pytest.mark.parametrize("at", ["import.intended", "device.imported", "connect.accepted"])
async def test_an_outage_in_the_import_or_while_boards_come_online_costs_no_board(factory, autojump_clock, at):
    """F6: what was told to connect before it gets its whole time after it."""
    line = factory(budgets={"confirm_s": 60})
    line.boards(5)

    async def during(line):
        while not line.history_so_far(at):
            await trio.sleep(0.02)
        line.front = answering(503, PORTAL)
        await trio.sleep(300)
        line.front = None

    end = await line.work(during=during)

    end.good(**{"pass": 5})
    held_and_released(end, "cloud_answer_lost")


@pytest.mark.parametrize("retry_after_s", [None, 40])
async def test_too_many_requests_pause_all_stations_together_and_nobody_asks_before_the_time(
    factory, autojump_clock, retry_after_s
):
    """F5: 429 with and without Retry-After. No storm of requests or of token calls follows, and no board fails."""
    line = factory(stations=4, rules=CloudRules(busy_retry_after_s=retry_after_s))
    line.boards(12)

    def busy(share):
        return lambda line: setattr(line.cloud, "faults", replace(NONE, cloud_busy=share))

    end = await line.work(during=outage(busy(1.0), busy(0.0)))

    end.good(**{"pass": 12})
    refused_s = [one.at_s for one in line.cloud.history.of(What.BUSY)]
    assert len(refused_s) < 40
    if retry_after_s is not None:
        rounds = [at_s for before_s, at_s in zip([-1e9, *refused_s], refused_s, strict=False) if at_s - before_s > 1]
        gaps = [later - earlier for earlier, later in itertools.pairwise(rounds)]
        assert len(gaps) >= 3
        assert min(gaps) >= retry_after_s - 1
    assert len([1 for _, path, _ in line.requests if path == "/oauth/token"]) <= 20
    assert not list(line.cloud.history.of(What.LOCKED_OUT))


# --- credentials ---


async def test_tokens_that_are_revoked_in_mid_run_are_renewed_once_and_no_board_notices(factory, autojump_clock):
    """F11: 401 is about the token, never about the device."""
    line = factory(stations=4)
    line.boards(12)

    async def revoke(line):
        for _ in range(3):
            await trio.sleep(15)
            line.cloud.accounts._tokens.clear()

    end = await line.work(during=revoke)

    end.good(**{"pass": 12})
    assert not end.events("line.held")
    tokens = [1 for _, path, _ in line.requests if path == "/oauth/token"]
    assert len(tokens) <= 2 * (1 + 3)  # the product's and the customer's, once for each time


async def test_a_secret_that_is_rotated_in_mid_run_changes_nothing_while_the_tokens_live(factory, autojump_clock):
    """F11: the rotation drill."""
    line = factory()
    line.boards(6)

    async def rotate(line):
        await trio.sleep(25)
        line.cloud.accounts.rotate_secret(line.cloud.client_id)

    (await line.work(during=rotate)).good(**{"pass": 6})


async def test_a_secret_that_is_wrong_from_now_on_holds_the_line_and_the_next_run_with_the_new_one_goes_on(
    factory, autojump_clock
):
    """F11 and F12: two refusals, not ten; no board failed; who was told to connect is settled by the next run."""
    line = factory()
    boards = line.boards(8)

    async def rotate(line):
        while len(line.history_so_far("connect.accepted")) < 3:
            await trio.sleep(0.1)
        line.client_secret = line.cloud.accounts.rotate_secret(line.cloud.client_id)
        line.cloud.accounts._tokens.clear()

    async with line.alive():
        line.client_secret = line.cloud.client_secret
        first = await line.run(during=rotate)
        second = await line.run()

    assert first.wrong == []
    assert first.exit == ExitCode.HELD_BY_SITE
    (held,) = first.events("line.held")
    assert (held.code, held.blame) == ("credentials_refused", "site")
    assert "PROVISIONER_CLIENT_SECRET" in held.remedy
    assert f"last at {held.at:%Y-%m-%dT%H:%M}" in held.detail, "by the clock that the run was given"
    assert not first.events("device.failed")
    assert len(list(line.cloud.history.of(What.TOKEN_REFUSED))) == 2
    assert not list(line.cloud.history.of(What.LOCKED_OUT))
    assert second.exit == GOOD, second.screen
    assert {second.outcome(board)[0] for board in boards} <= {"confirmed", "carried"}


# --- time ---


class Sleeper:
    """A laptop: when its lid is shut, its monotonic clock stands still, and the one that ages codes goes on."""

    def __init__(self, line):
        self.line = line
        self.slept_s = 0.0

    def age_s(self):
        return trio.current_time() + self.slept_s

    def sleep(self, seconds, *, also=()):
        """The codes that no board holds grow old, and `also` these. (Boards that were told to connect come online.)"""
        self.slept_s += seconds
        for code in self.line.cloud.claims:
            code.made_s -= seconds * (code.fingerprint in self.ready() | set(also))

    def ready(self):
        """The codes that no board holds."""
        held = {e.detail for e in self.line.world.history if e.event is Event.CLAIM_CODE_SET}
        return {code.fingerprint for code in self.line.cloud.claims} - held

    def made_before(self):
        """The codes that were made before it slept."""
        return {code.fingerprint for code in self.line.cloud.claims if code.made_s < 0}


@pytest.mark.parametrize("uplink", ["separate", "shared"])
async def test_claim_codes_that_aged_while_the_laptop_slept_are_never_sent(factory, autojump_clock, uplink):
    """F13: an hour passes between two boards. The codes that lay ready are replaced, and every board is claimed."""
    line = factory(stations=1, uplink=uplink)
    line.boards(6)
    laptop = Sleeper(line)
    written_before = set()

    async def shut_the_lid(line):
        while not (len(line.history_so_far("visit.ended")) == len(line.history_so_far("visit.started")) >= 2):
            await trio.sleep(0.1)
        while not laptop.ready():
            await trio.sleep(0.1)
        written_before.update(entry for entry in line.world.history if entry.event is Event.CLAIM_CODE_SET)
        laptop.sleep(3660)

    async with line.alive():
        end = await line.run(during=shut_the_lid, age_clock=laptop.age_s)

    end.good(**{"pass": 6})
    sent = [entry for entry in line.world.history if entry.event is Event.CLAIM_CODE_SET]
    assert laptop.made_before()
    assert not [e for e in sent if e not in written_before and e.detail in laptop.made_before()]


async def test_a_board_whose_code_aged_in_its_hands_fails_by_name_and_is_done_by_the_next_run(factory, autojump_clock):
    """F13: it took the code with r:0, and the cloud does not honour it any more."""
    line = factory(stations=1)
    (board,) = line.boards(1)
    laptop = Sleeper(line)

    async def shut_the_lid(line):
        while not line.history_so_far("wifi.intended"):
            await trio.sleep(0.01)
        laptop.sleep(3660, also=[code.fingerprint for code in line.cloud.claims])

    async with line.alive():
        first = await line.run(during=shut_the_lid, age_clock=laptop.age_s)
        board.hold_setup()
        second = await line.run(age_clock=laptop.age_s)

    first.good(fail=1)
    assert first.outcome(board) == ("failed", "not_claimed")
    second.good(**{"pass": 1})


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_clock_that_steps_by_a_day_in_mid_run_hurts_nothing(factory, autojump_clock, days):
    """F25: deadlines are monotonic, proofs use the cloud's time, and the next run knows which run was the last."""
    line = factory()
    boards = line.boards(5)
    step = timedelta()

    async def set_the_clock(line):
        nonlocal step
        while len(line.history_so_far("connect.accepted")) < 2:
            await trio.sleep(0.1)
        step = timedelta(days=days)

    async with line.alive():
        first = await line.run(during=set_the_clock, wall=lambda: line.clock.now() + step)
        again = await line.run(wall=lambda: line.clock.now() + step)

    first.good(**{"pass": 5})
    assert {again.outcome(board)[0] for board in boards} == {"carried"}
    assert again.records[0].extra["resumes"] == [first.records[0].run]
    assert again.records[0].run > first.records[0].run, "the newer run is the newer one, whatever the clock says"


async def test_what_was_taken_back_after_the_clock_was_set_right_stays_taken_back(factory, autojump_clock):
    """F25: a run a day ahead proved it; the newer run, whose clock is right, must not be read before that one."""
    line = factory(stations=1)
    (board,) = line.boards(1)
    async with line.alive():
        ahead = await line.run(wall=lambda: line.clock.now() + timedelta(days=1))
        line.claim = line.claim.replace("line3", "line4")
        board.hold_setup()
        refused = await line.run()
        line.claim = line.claim.replace("line4", "line3")
        last = await line.run()

    assert ahead.outcome(board) == ("confirmed", None)
    assert refused.outcome(board) == ("failed", "takeover_refused")
    assert last.records[0].extra["resumes"] == [ahead.records[0].run, refused.records[0].run]


# --- devices that take their time ---


async def test_a_device_that_updates_itself_on_its_first_connection_is_waited_for(factory, autojump_clock):
    """F23: it comes and goes for minutes; nobody gives it a second claim code."""
    line = factory(faults=replace(NONE, slow_online=1.0), budgets={"confirm_s": 600})
    boards = line.boards(4)

    end = await line.work()

    end.good(**{"pass": 4})
    for board in boards:
        assert [e.event for e in line.world.history.of(board.device_id, *WRITES)] == [
            Event.CLAIM_CODE_SET,
            Event.CONFIGURED,
            Event.CONNECT,
        ]
