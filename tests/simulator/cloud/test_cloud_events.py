"""What the simulated event streams tell, and what gets lost on the way (facts, particle-cloud 10 and 11)."""

import json
import math
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from provisioner.simulator.cloud.events import BUFFER_EVENTS
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.serving import serve_cloud
from provisioner.simulator.cloud.sim_cloud import CloudRules

DEVICE = "3b0021001747353236343033"
OTHER = "3b0021001747353236343034"
PRODUCT = "/v1/products/1319/events"


class Reader:
    """One open stream: what came, as (at_s, bytes), read by an ASGI server that has no sockets."""

    def __init__(self, site):
        self.site, self.status, self.parts = site, None, []
        self.gone = trio.Event()
        self._whole = False

    async def read(self, path, token):
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"",
                 "headers": [(b"authorization", f"Bearer {token}".encode())]}  # fmt: skip
        await cloud_app(self.site.cloud)(scope, self._receive, self._send)

    async def _receive(self):
        if self._whole:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        self._whole = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message):
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        elif message["body"]:
            self.parts.append((trio.current_time(), message["body"].decode()))

    @property
    def events(self):
        """(name, data, device) of each event, in the order of arrival."""
        found = []
        for _, part in self.parts:
            if part.startswith("event:"):
                name, data = part.strip().split("\n")
                body = json.loads(data.removeprefix("data: "))
                found.append((name.removeprefix("event: "), body["data"], body["coreid"]))
        return found


@asynccontextmanager
async def reading(site, path=PRODUCT, token=None):
    reader = Reader(site)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.read, path, token or site.cloud.user_token)
        await trio.sleep(1)
        yield reader
        reader.gone.set()


def listed(site):
    for device in (DEVICE, OTHER):
        site.cloud.put_in_product(device)
    return site


async def test_a_stream_begins_with_ok_and_tells_who_comes_and_goes(autojump_clock, site):
    async with reading(listed(site)) as reader:
        site.cloud.device_online(DEVICE, None)
        await trio.sleep(1)
        site.cloud.device_offline(DEVICE)
        await trio.sleep(1)

    assert reader.status == 200
    assert reader.headers[b"content-type"] == b"text/event-stream"
    assert b"content-length" not in reader.headers
    assert reader.parts[0][1] == ":ok\n\n"
    assert reader.events == [("spark/status", "online", DEVICE), ("spark/status", "offline", DEVICE)]


async def test_what_happened_before_is_not_told(autojump_clock, site):
    listed(site).cloud.device_online(DEVICE, None)
    async with reading(site) as reader:
        await trio.sleep(5)

    assert reader.events == []


async def test_a_claim_is_on_no_stream(autojump_clock, site):
    code = await site.claim_code(await site.customer())
    async with reading(listed(site)) as reader:
        assert site.cloud.device_online(DEVICE, code)
        await trio.sleep(20)

    assert [name for name, _, _ in reader.events] == ["spark/status"]


async def test_a_silent_stream_is_kept_alive_with_lone_newlines(autojump_clock, make_site):
    async with reading(make_site(rules=CloudRules(event_keep_alive_s=9.0))) as reader:
        await trio.sleep(30)

    assert [part for _, part in reader.parts[1:]] == ["\n"] * 3
    assert [later - sooner for (sooner, _), (later, _) in zip(reader.parts[1:], reader.parts[2:], strict=False)] == [
        9,
        9,
    ]


@pytest.mark.parametrize(
    ("path", "devices"),
    [
        (PRODUCT, [DEVICE, OTHER]),
        (f"{PRODUCT}/spark/sta", [DEVICE, OTHER]),
        (f"{PRODUCT}/temperature", []),
        (f"/v1/products/1319/devices/{DEVICE}/events", [DEVICE]),
        (f"/v1/products/1319/devices/{DEVICE}/events/spark", [DEVICE]),
        ("/v1/devices/events", [OTHER]),
        (f"/v1/devices/{OTHER}/events/spark", [OTHER]),
        ("/v1/events/spark", [OTHER]),
    ],
)
async def test_each_route_tells_what_it_names(autojump_clock, site, path, devices):
    listed(site).cloud.set_owner(OTHER, site.cloud.account)
    async with reading(site, path) as reader:
        for device in (DEVICE, OTHER):
            site.cloud.device_online(device, None)
        await trio.sleep(1)

    assert [device for _, _, device in reader.events] == devices


async def test_a_device_of_another_product_is_not_told(autojump_clock, site):
    other = site.cloud.add_product(2000, "other")
    site.cloud.put_in_product(DEVICE, other)
    async with reading(site) as reader:
        site.cloud.device_online(DEVICE, None)
        await trio.sleep(1)

    assert reader.events == []


@pytest.mark.parametrize("path", [PRODUCT, "/v1/devices/events", "/v1/events/spark"])
async def test_a_stream_wants_a_token(site, path):
    assert (await site.ask("GET", path)).status_code == 400


async def test_a_stream_of_everything_needs_a_prefix(site):
    assert (await site.ask("GET", "/v1/events/", site.cloud.user_token)).status_code == 404
    assert (await site.ask("GET", "/v1/events//", site.cloud.user_token)).status_code in (400, 404)


# --- loss ---


@pytest.mark.parametrize(("changes", "times"), [({"event_lost": 1.0}, 0), ({"event_doubled": 1.0}, 2), ({}, 1)])
async def test_events_may_be_lost_or_doubled(autojump_clock, make_site, changes, times):
    site = listed(make_site(**changes))
    async with reading(site) as reader:
        site.cloud.device_online(DEVICE, None)
        await trio.sleep(5)

    assert len(reader.events) == times


async def test_late_events_change_places(autojump_clock, make_site):
    site = listed(make_site(event_late_s=10.0))
    async with reading(site) as reader:
        for _ in range(20):
            site.cloud.device_online(DEVICE, None)
            site.cloud.device_offline(DEVICE)
        await trio.sleep(30)

    told = [data for _, data, _ in reader.events]
    assert sorted(told) == ["offline"] * 20 + ["online"] * 20
    assert told != ["online", "offline"] * 20


async def test_a_reader_that_does_not_read_loses_the_oldest_and_costs_no_more(autojump_clock, make_site):
    site = listed(make_site(event_late_s=math.ulp(0.0)))
    async with reading(site):
        (stream,) = site.cloud.events._streams
        for _ in range(BUFFER_EVENTS):
            site.cloud.device_online(DEVICE, None)
            site.cloud.device_offline(DEVICE)

        assert stream.dropped == BUFFER_EVENTS
        assert len(stream._due) == BUFFER_EVENTS


# --- limits ---


async def test_a_reader_that_leaves_makes_room(autojump_clock, make_site):
    site = make_site(rules=CloudRules(streams_max=1))
    async with reading(site):
        assert (await site.ask("GET", PRODUCT, site.cloud.user_token)).status_code == 529

    assert len(site.cloud.events) == 0
    async with reading(site) as again:
        assert again.status == 200


async def test_opening_too_often_is_refused_with_529(autojump_clock, make_site):
    site = make_site(rules=CloudRules(streams_per_5min=2))
    statuses = []
    for _ in range(3):
        async with reading(site) as reader:
            statuses.append(reader.status)
    await trio.sleep(301)
    async with reading(site) as reader:
        statuses.append(reader.status)

    assert statuses == [200, 200, 529, 200]


async def test_a_stream_goes_over_a_socket_and_ends_with_its_reader(site, nursery):
    """The same app on Hypercorn, as `simulate` serves it."""
    port = await nursery.start(partial(serve_cloud, cloud_app(listed(site).cloud)))
    request = f"GET {PRODUCT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.cloud.user_token}\r\n\r\n"
    with trio.fail_after(5):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(request.encode())
            said = await until(stream, b":ok\n\n")
            assert said.startswith(b"HTTP/1.1 200")
            site.cloud.device_online(DEVICE, None)
            assert b"event: spark/status\ndata: " in await until(stream, b"}\n\n")
        while len(site.cloud.events):
            await trio.sleep(0.01)


async def until(stream, end):
    said = b""
    while end not in said:
        said += await stream.receive_some()
    return said
