"""The HTTP skin: headers, bodies, faults, and nothing that a caller sends makes it fall over."""

import json
import threading
import uuid

import httpx
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import AnswerCut, cloud_app
from provisioner.simulator.cloud.routes import ROUTES
from provisioner.simulator.cloud.sim_cloud import CloudRules, SimCloud, What
from provisioner.simulator.faults import Dice, Faults

DEVICE = "3b0021001747353236343033"


async def test_every_answer_has_the_headers_of_the_recordings(site):
    reply = await site.ask("GET", "/v1/user", site.cloud.user_token)

    assert reply.headers["server"] == "nginx"
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.headers["access-control-allow-origin"] == "*"
    assert uuid.UUID(reply.headers["x-request-id"]).version == 4
    assert reply.headers["date"] == "Fri, 20 Nov 2026 06:00:00 GMT"
    assert reply.text == json.dumps(reply.json(), separators=(",", ":"))


async def test_the_date_header_can_be_skewed_without_moving_the_cloud(site):
    site.cloud.clock_skew_s = 3600.0
    site.cloud.put_in_product(DEVICE)
    site.cloud.device_online(DEVICE, None)

    reply = await site.ask("GET", f"/v1/products/1319/devices/{DEVICE}", site.cloud.user_token)

    assert reply.headers["date"] == "Fri, 20 Nov 2026 07:00:00 GMT"
    assert reply.json()["last_handshake_at"].startswith("2026-11-20T06:00:0")


async def test_unknown_routes_and_methods_answer_json(site):
    unknown = await site.ask("GET", "/v1/nope", site.cloud.user_token)
    slash = await site.ask("GET", "/v1/devices/", site.cloud.user_token)
    method = await site.ask("PATCH", "/v1/devices", site.cloud.user_token)

    assert (unknown.status_code, unknown.json()) == (404, {"ok": False, "error": "Not found"})
    assert slash.status_code == 404
    assert (method.status_code, method.json()) == (405, {"ok": False, "error": "Method not allowed"})


async def test_a_browsers_preflight_is_allowed_without_a_token(site):
    reply = await site.http.options("/v1/products/1319/devices")

    assert reply.status_code == 204
    assert reply.content == b""
    assert "Authorization" in reply.headers["access-control-allow-headers"]
    assert "DELETE" in reply.headers["access-control-allow-methods"]


async def test_a_body_over_the_cap_is_refused_in_json_and_a_body_at_the_cap_is_read(make_site):
    site = make_site(rules=CloudRules(body_bytes_max=100))
    path = f"/v1/devices?access_token={site.cloud.user_token}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    at = await site.http.post(path, content=b"x" * 100, headers=form)
    over = await site.http.post(path, content=b"x" * 101, headers=form)

    assert at.json() == {"ok": False, "errors": ["arg.deviceID is empty"]}
    assert (over.status_code, over.json()["ok"]) == (413, False)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b'"x"', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"junk", "multipart/form-data; boundary=x"),
        (b"junk", "multipart/form-data"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_in_json(site, content, content_type):
    headers = {"Content-Type": content_type}

    reply = await site.http.post(f"/v1/devices?access_token={site.cloud.user_token}", content=content, headers=headers)

    assert (reply.status_code, reply.json()["ok"]) == (400, False)


async def test_a_large_upload_starts_no_thread(site):
    before = threading.active_count()
    rows = "\n".join(f"{number:024x}" for number in range(100_000))

    reply = await site.ask("POST", "/v1/products/1319/devices", site.cloud.user_token, files={"file": ("file", rows)})

    assert len(reply.json()["invalidDeviceIds"]) == 100_000
    assert threading.active_count() == before


# --- faults ---


async def test_latency_is_simulated_time(make_site, autojump_clock):
    site = make_site(cloud_latency_s=(2.0, 2.0))

    await site.ask("GET", "/v1/user", site.cloud.user_token)

    assert trio.current_time() == pytest.approx(autojump_clock.current_time())
    assert site.cloud.clock.seconds() == pytest.approx(2.0)


async def test_a_busy_cloud_does_nothing_and_does_not_say_when(make_site):
    site = make_site(cloud_busy=1.0)

    reply = await site.ask("POST", "/v1/device_claims", site.cloud.user_token)

    assert reply.status_code == 429
    assert "retry-after" not in reply.headers
    assert not list(site.cloud.history.of(What.CODE_MINTED))


async def test_a_faulty_cloud_answers_html_and_does_nothing(make_site):
    site = make_site(cloud_fault=1.0)

    reply = await site.ask("POST", "/v1/device_claims", site.cloud.user_token)

    assert (reply.status_code, reply.headers["content-type"]) == (503, "text/html")
    assert not list(site.cloud.history.of(What.CODE_MINTED))


async def test_a_lost_answer_means_done_and_no_answer(make_site):
    site = make_site(cloud_answer_lost=1.0)

    with pytest.raises(AnswerCut):
        await site.ask("POST", "/v1/device_claims", site.cloud.user_token)

    assert [entry.what for entry in site.cloud.history] == [What.CODE_MINTED, What.ANSWER_LOST]
    assert issubclass(AnswerCut, OSError)


async def test_one_seed_gives_the_same_faults_in_any_order_of_paths(make_site):
    async def fates(order):
        site = make_site(cloud_busy=0.5, seed=3)
        seen = {}
        for path in order:
            seen.setdefault(path, []).append((await site.ask("GET", path, site.cloud.user_token)).status_code)
        return seen

    one = await fates(["/v1/user"] * 20 + ["/v1/devices"] * 20)
    other = await fates(["/v1/devices", "/v1/user"] * 20)

    assert one == other
    assert set(one["/v1/user"]) == {200, 429}


# --- anything at all ---

VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
FIELD_NAMES = (
    "id ids email name notes groups action devices metadata grant_type expires_in expires_at scope claim_user "
    "development desired_firmware_version publicKey deny request_transfer username password refresh_token"
)
FIELDS = st.sampled_from(FIELD_NAMES.split())
PATHS = st.sampled_from(sorted(path for path in ROUTES if "events" not in path))  # streams have no end
ARGS = st.sampled_from(["1319", DEVICE, "nonsense", "%00", "temp", "current", "a" * 300])


@st.composite
def requests(draw):
    path = draw(PATHS)
    while "{" in path:
        start, end = path.index("{"), path.index("}")
        path = path[:start] + draw(ARGS) + path[end + 1 :]
    fields = draw(st.dictionaries(FIELDS, VALUES, max_size=4))
    query = draw(st.dictionaries(st.sampled_from(["page", "perPage", "sortAttr", "groups"]), st.text(), max_size=2))
    encoding = draw(st.sampled_from(["json", "form", "raw"]))
    return draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"])), path, query, fields, encoding


@given(asked=requests())
@settings(max_examples=100, deadline=None)
def test_whatever_is_asked_the_answer_is_one_of_the_apis(asked):
    """A caller's nonsense is refused in JSON; an exception would stop the whole simulated factory."""
    method, path, query, fields, encoding = asked

    async def ask():
        faults = Faults(cloud_latency_s=(0.0, 0.0))
        cloud = SimCloud(clock=SimClock(), dice=Dice(1), faults=faults, rules=CloudRules())
        cloud.know_device(DEVICE, serial="PH1")
        cloud.put_in_product(DEVICE)
        cloud.set_owner(DEVICE, cloud.account)
        headers = {"Authorization": f"Bearer {cloud.user_token}"}
        body = {}
        if encoding == "form":
            body = {"data": {key: str(value).encode("utf-8", "replace").decode() for key, value in fields.items()}}
        elif encoding == "json":
            headers["Content-Type"] = "application/json"
            body = {"content": json.dumps(fields).encode()}
        elif encoding == "raw":
            body = {"content": repr(fields).encode("utf-8", "replace")}
        transport = httpx.ASGITransport(app=cloud_app(cloud))
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test") as http:
            return await http.request(method, path, params=query, headers=headers, **body)

    reply = trio.run(ask)
    assert reply.status_code in {200, 204, 400, 401, 403, 404, 405, 408}
    if reply.status_code != 204 and method != "HEAD":
        assert reply.json() is not None
