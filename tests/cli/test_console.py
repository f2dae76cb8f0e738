"""`provisioner console` and `run --console` as commands: where the page is, who can reach it, how it ends."""

import json
import signal
import urllib.request

import pytest
import trio


def asked(port, path="/api/state"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


async def port_of(bench, file="err"):
    path = await bench.until_written(file, b"#token=")
    line = next(line for line in path.read_text().splitlines() if line.startswith("Page: "))
    return int(line.partition("127.0.0.1:")[2].partition("/")[0])


async def test_the_page_of_a_finished_run_is_shown_from_its_journal(bench, nursery):
    await bench.call("import", "m.yaml")
    process = await nursery.start(bench.start, "console", "--bind", "127.0.0.1:0")
    port = await port_of(bench)

    with trio.fail_after(20):
        while not (state := await trio.to_thread.run_sync(asked, port))["run"]:
            await trio.sleep(0.1)
        while state["parts"]["run"]["finished"] is None:
            state = await trio.to_thread.run_sync(asked, port)

    assert state["run"] == bench.runs[-1]
    assert state["parts"]["totals"]["pass"] == 5
    process.send_signal(signal.SIGINT)
    with trio.fail_after(20):
        assert await process.wait() == 0, "Ctrl-C is how it is meant to end"


async def test_without_any_run_it_waits_for_one(bench, nursery):
    process = await nursery.start(bench.start, "console", "--bind", "127.0.0.1:0")
    port = await port_of(bench)
    assert b"waits for one" in (await bench.until_written("err", b"no run")).read_bytes()
    assert (await trio.to_thread.run_sync(asked, port))["run"] == ""

    await bench.call("import", "m.yaml")

    with trio.fail_after(20):
        while (await trio.to_thread.run_sync(asked, port))["run"] != bench.runs[-1]:
            await trio.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    await process.wait()


async def test_a_run_serves_its_own_page_and_says_where(bench, nursery):
    process = await nursery.start(bench.start, "run", "m.yaml", "--console", "--bind", "127.0.0.1:0")
    port = await port_of(bench)

    state = await trio.to_thread.run_sync(asked, port)
    me = await trio.to_thread.run_sync(asked, port, "/api/me")

    assert state["run"]
    assert (me["looks"], me["orders"], me["acts"]) == (True, True, False)
    with trio.fail_after(30):
        await process.wait()


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["console", "--bind", "nonsense"], "is no address"),
        (["console", "--bind", "0.0.0.0:0"], "needs a token of yours"),
        (["console", "20200101T000000Z-0000"], "there is no run"),
        (["run", "m.yaml", "--console", "--bind", "203.0.113.1:8640"], "needs a token of yours"),
    ],
)
async def test_what_cannot_be_served_is_refused_before_anything_is_touched(bench, args, word):
    said = await bench.call(*args)

    assert said.code == 2
    assert word in said.err
    assert bench.runs == []
    assert bench.calls == []


async def test_an_address_of_another_computer_is_refused(bench):
    token = {"PROVISIONER_CONSOLE_TOKEN": "canary-of-the-third-line"}

    said = await bench.call("run", "m.yaml", "--console", "--bind", "203.0.113.1:8640", **token)

    assert (said.code, bench.runs, bench.calls) == (2, [], [])
    assert "page_not_served" in said.err


async def test_beyond_loopback_says_who_can_reach_it_and_tells_no_token(bench, nursery):
    bench.environment["PROVISIONER_CONSOLE_TOKEN"] = "canary-of-the-third-line"
    process = await nursery.start(bench.start, "console", "--bind", "0.0.0.0:0")

    err = (await bench.until_written("err", b"nothing is encrypted")).read_text()

    assert "Other computers can reach this page" in err
    assert "canary" not in err
    process.send_signal(signal.SIGTERM)
    await process.wait()


async def test_a_demo_in_virtual_time_has_no_page(bench):
    said = await bench.call("demo", "--virtual", "--console")

    assert said.code == 2
    assert "leave out one of the two" in said.err
