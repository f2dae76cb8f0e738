"""F9 in whole runs: the cloud's answers and the adapters' scans are out of date; nothing is proven or failed by it."""

from dataclasses import replace

import pytest
import trio

from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.radio import SimRadio


def remembering(line, *, share, oldest_s):
    """A cache that nobody asked for stands before the cloud: a share of the reads is answered from it."""
    inner, kept = cloud_app(line.cloud), {}
    dice = line.dice.of("old news")
    counts = {"old": 0}

    async def asgi(scope, receive, send):
        key = scope["raw_path"] + b"?" + scope["query_string"]
        old = [(at_s, said) for at_s, said in kept.get(key, []) if trio.current_time() - at_s <= oldest_s]
        if scope["method"] == "GET" and old and dice.random() < share:
            counts["old"] += 1
            while (await receive()).get("more_body"):
                pass
            for message in dice.choice(old)[1]:
                await send(message)
            return
        said = []

        async def noting(message):
            said.append(message)
            await send(message)

        await inner(scope, receive, noting)
        if scope["method"] == "GET":
            kept.setdefault(key, []).append((trio.current_time(), said))

    line.front = asgi
    return counts


@pytest.mark.parametrize("seed", range(3))
async def test_f9_reads_from_a_copy_that_is_behind_fail_no_board_and_prove_none(factory, autojump_clock, seed):
    """F9: every second answer may be half a minute old, and older ones come after newer ones."""
    line = factory(seed=seed, stations=2)
    line.boards(6)
    (dead,) = line.boards(1, faults=replace(PROFILES["none"], never_online=1.0))
    counts = remembering(line, share=0.5, oldest_s=30.0)

    end = await line.work()

    end.good(**{"pass": 6, "unknown": 1})
    assert end.outcome(dead) == ("unknown", "not_proven")
    assert counts["old"] > 10


async def test_f9_a_copy_that_does_not_know_a_device_yet_costs_it_a_visit_and_not_the_run(factory, autojump_clock):
    """F9: what the import has just listed is said to be nowhere, once for each board, before anything is written."""
    line = factory(stations=1)
    boards = line.boards(3)
    inner, behind = cloud_app(line.cloud), {board.device_id for board in boards}

    async def asgi(scope, receive, send):
        device = scope["path"].rpartition("/")[2]
        if scope["method"] == "GET" and device in behind and line.history_so_far("visit.started"):
            behind.discard(device)
            scope = scope | {"path": "/v1/products/tempmon-v100/devices/" + "0" * 24, "raw_path": b"/"}
        await inner(scope, receive, send)

    line.front = asgi
    end = await line.work()

    end.good(**{"pass": 3})
    assert not behind
    assert "not_in_product" in {record.code for record in end.events("visit.ended")}


async def test_f9_a_scan_that_lists_what_is_long_gone_as_heard_now_fails_no_board(factory, autojump_clock, monkeypatch):
    """F9: a driver that keeps networks for a minute and does not say how old they are."""
    network = SimRadio._network
    monkeypatch.setattr(
        SimRadio, "_network", lambda self, photon, adapter, _, roll: network(
            self, photon, adapter, trio.current_time(), roll
        )
    )  # fmt: skip
    line = factory(stations=2, faults=replace(PROFILES["none"], stale_scan_s=60.0))
    line.boards(6)

    end = await line.work()

    end.good(**{"pass": 6})
    assert not end.events("station.drained")
