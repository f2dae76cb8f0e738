"""The debug log: in one file, redacted, per task, and never in the way."""

import json
import logging
from pathlib import Path

import pytest
import structlog
import trio

from provisioner.errors import RunsFolderUnusable
from provisioner.logs import HIDDEN, configure_logs, redacted
from provisioner.secrets import ClaimCode, Secret

TOKEN = "1234567890abcdef1234567890abcdef12345678"
CODE = "rW5+" * 15 + "abc"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "debug.jsonl"


def events(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_events_are_json_lines_with_time_and_level(file):
    with configure_logs(file):
        structlog.get_logger().info("device.identified", tray="T-0001", slot=3)

    (event,) = events(file)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "device.identified", "tray": "T-0001", "slot": 3, "level": "info"}


def test_nothing_reaches_stdout_or_stderr(file, capfd):
    for target in (file, None):
        with configure_logs(target):
            structlog.get_logger().error("device.failed")
            logging.getLogger("elsewhere").error("boom")

    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"}, {"wifi_password": "hunter2"}, {"PASSPHRASE": "hunter2"}, {"client_secret": "hunter2"},
        {"access_token": "hunter2"}, {"Authorization": "hunter2"}, {"headers": {"authorization": "hunter2"}},
        {"claim_code": "hunter2"}, {"cc": "hunter2"}, {"psk": "hunter2"}, {"set-cookie": "hunter2"},
        {"what": Secret("hunter2")}, {"what": [Secret("hunter2")]}, {"what": {"deep": (Secret("hunter2"),)}},
        {"url": "https://x/?access_token=hunter2&a=1"}, {"body": "grant_type=x&client_secret=hunter2"},
        {"body": '{"password": "hunter2"}'}, {"header": "Authorization: Bearer hunter2hunter2"},
        {"text": "api_key='hunter2'"},
    ],
)  # fmt: skip
def test_secrets_are_hidden_with_the_processors_on(file, fields):
    with configure_logs(file):
        structlog.get_logger().warning("cloud.asked", **fields)

    assert "hunter2" not in file.read_text()
    assert HIDDEN in file.read_text()


@pytest.mark.parametrize("secret", [TOKEN, TOKEN.upper(), CODE])
def test_bare_tokens_and_claim_codes_in_any_text_are_hidden(file, secret):
    with configure_logs(file):
        log = structlog.get_logger()
        log.info(f"asked with {secret} today", where=[f"in {secret}."], code=ClaimCode(CODE))
        try:
            raise ValueError(f"refused {secret}")
        except ValueError:
            log.exception("cloud.refused")

    assert secret not in file.read_text()
    assert len(events(file)) == 2


def test_what_is_no_secret_is_kept(file):
    kept = {"device": "3b0021001747353236343033", "code": "no_address", "hash": "a" * 64, "ssid": "Photon-7K3M"}
    with configure_logs(file):
        structlog.get_logger().info("device.failed", **kept, ok=True, none=None, seconds=1.5)

    (event,) = events(file)
    assert event | kept | {"ok": True, "none": None, "seconds": 1.5} == event


def test_tracebacks_show_no_local_variables(file):
    def failing():
        pin = "hunter2 in a local"
        raise RuntimeError("boom" + pin[:0])

    with configure_logs(file):
        try:
            failing()
        except RuntimeError:
            structlog.get_logger().exception("run.failed")

    (event,) = events(file)
    assert "RuntimeError: boom" in event["exception"]
    assert "hunter2" not in file.read_text()


def test_libraries_warnings_come_in_redacted_and_their_chatter_does_not(file):
    with configure_logs(file):
        logging.getLogger("httpx").info("HTTP Request: GET https://x/?access_token=%s", TOKEN)
        logging.getLogger("httpx").warning("odd answer to ?access_token=%s", TOKEN)
        logging.getLogger("hypercorn.access").info("GET /")

    (event,) = events(file)
    assert event["event"] == f"odd answer to ?access_token={HIDDEN}"
    assert (event["logger"], event["level"]) == ("httpx", "warning")


def test_hostile_text_is_escaped(file):
    with configure_logs(file):
        structlog.get_logger().info("stranger.seen", ssid="\x1b]0;owned\x07\u202e\n", body=b"\x1b[2J")

    assert file.read_text().isascii()
    assert "\x1b" not in file.read_text()
    assert len(events(file)) == 1


def test_long_text_is_cut(file):
    with configure_logs(file):
        structlog.get_logger().info("cloud.answered", body="x" * 100_000, deep=[[[[[[[["x"]]]]]]]])

    assert file.stat().st_size < 4_000


async def test_what_a_task_bound_stays_in_that_task(file):
    async def station(name):
        with structlog.contextvars.bound_contextvars(station=name):
            await trio.lowlevel.checkpoint()
            structlog.get_logger().info("visit.started", expected=name)

    with configure_logs(file):
        async with trio.open_nursery() as nursery:
            for name in ("ST1", "ST2", "ST3"):
                nursery.start_soon(station, name)

    assert {event["station"] for event in events(file)} == {"ST1", "ST2", "ST3"}
    assert all(event["station"] == event["expected"] for event in events(file))


def test_a_log_that_cannot_be_written_does_not_stop_the_line():
    with configure_logs(Path("/dev/full")):
        structlog.get_logger().info("visit.started")
        logging.getLogger("elsewhere").error("boom")
        # To our handler only: pytest's own raises here.
        wrong = logging.getLogger("x").makeRecord("x", logging.ERROR, "x.py", 1, "%d boards", ("three",), None)
        logging.getLogger().handlers[-1].handle(wrong)


def test_a_log_that_cannot_be_made_is_refused_at_the_start(tmp_path):
    with pytest.raises(RunsFolderUnusable, match="debug log"), configure_logs(tmp_path / "none" / "debug.jsonl"):
        pytest.fail("configured")


def test_everything_is_as_before_when_the_block_ends(file):
    before = (logging.getLogger().handlers[:], logging.getLogger("httpx").level)
    with configure_logs(file):
        assert logging.getLogger("httpx").level == logging.WARNING
        log = structlog.get_logger()
        log.info("run.started")
    size = file.stat().st_size

    assert before == (logging.getLogger().handlers[:], logging.getLogger("httpx").level)
    assert not structlog.is_configured()
    assert size == file.stat().st_size


def test_the_processor_alone_hides_too():
    assert redacted(None, "info", {"event": "x", "token": TOKEN}) == {"event": "x", "token": HIDDEN}
