"""Every wish as the bytes that leave, and what becomes of each kind of answer."""

import httpx
import pytest
import trio

from provisioner.cloud.payloads import ImportReply, ProductInfo
from provisioner.errors import (
    CloudAnswerLost,
    CloudBusy,
    CloudRefused,
    CloudReplyUnreadable,
    CloudUnreachable,
    CredentialsRefused,
    DeviceNotOnline,
    NotInCloud,
    OwnedBySomeoneElse,
    PermissionRefused,
    ProductUnknown,
    ProvisionerError,
)
from provisioner.model import DeviceID

ID = "3b0021001747353236343033"
TEMPMON = ProductInfo(1319, "tempmon-v100", 6, "tempmon")
PRODUCT_TOKEN = "d7ff4814e5b5d4fb5c872e93cae12613dbc782a2"
CUSTOMER_TOKEN = "59993d84d58dcc198069a171e9c2c69b0d52a58b"
USER_TOKEN = "a" * 40
DEVICES = ("POST", "/v1/products/1319/devices")
LIST = ("GET", "/v1/products/1319/devices")
DEVICE = ("GET", f"/v1/products/1319/devices/{ID}")
ROW = {"id": ID, "product_id": 1319, "online": True, "owner": "c"}
FORM = "application/x-www-form-urlencoded"
CUT = ConnectionResetError("cut")


def golden(request):
    """What matters of a request: method, path with query, token, content type, body."""
    return (
        request.method,
        request.url.raw_path.decode(),
        request.headers["Authorization"],
        request.headers.get("Content-Type"),
        request.content,
    )


GOLDEN = {
    "product": (
        lambda client, product, id_: client.product("tempmon-v100"),
        "product_2019",
        ("GET", "/v1/products/tempmon-v100", PRODUCT_TOKEN, None, b""),
    ),
    "import": (
        lambda client, product, id_: client.import_devices(product, [ID, "PHHMAB804PAKLJZ"]),
        "import_current",
        (
            "POST",
            "/v1/products/1319/devices",
            PRODUCT_TOKEN,
            "application/json",
            b'{"ids":["3b0021001747353236343033","PHHMAB804PAKLJZ"]}',
        ),
    ),
    "import_list": (
        lambda client, product, id_: client.import_list(product, [ID, "3b0021001747353236343034"]),
        "import_current",
        (
            "POST",
            "/v1/products/1319/devices",
            PRODUCT_TOKEN,
            "multipart/form-data; boundary=provisioner-304888744ffa9cbebeda487e5542de42",
            b"--provisioner-304888744ffa9cbebeda487e5542de42\r\n"
            b'Content-Disposition: form-data; name="file"; filename="devices.txt"\r\n'
            b"Content-Type: text/plain\r\n\r\n"
            b"3b0021001747353236343033\n3b0021001747353236343034\n\r\n"
            b"--provisioner-304888744ffa9cbebeda487e5542de42--\r\n",
        ),
    ),
    "devices": (
        lambda client, product, id_: anext(client.devices(product)),
        "device_page",
        (
            "GET",
            "/v1/products/1319/devices?sortAttr=deviceId&sortDir=asc&page=1&perPage=100&per_page=100",
            PRODUCT_TOKEN,
            None,
            b"",
        ),
    ),
    "recent_devices": (
        lambda client, product, id_: client.recent_devices(product, 25),
        "device_page",
        (
            "GET",
            "/v1/products/1319/devices?sortAttr=lastConnection&sortDir=desc&page=1&perPage=25&per_page=25",
            PRODUCT_TOKEN,
            None,
            b"",
        ),
    ),
    "device": (
        lambda client, product, id_: client.device(product, id_),
        ROW,
        ("GET", f"/v1/products/1319/devices/{ID}", PRODUCT_TOKEN, None, b""),
    ),
    "account_device": (
        lambda client, product, id_: client.account_device(id_),
        "device_2016",
        ("GET", f"/v1/devices/{ID}", USER_TOKEN, None, b""),
    ),
    "customer_claim_code": (
        lambda client, product, id_: client.customer_claim_code(product, "c"),
        "claim_code",
        ("POST", "/v1/products/1319/device_claims", CUSTOMER_TOKEN, None, b""),
    ),
    "account_claim_code": (
        lambda client, product, id_: client.account_claim_code(),
        "claim_code",
        ("POST", "/v1/device_claims", USER_TOKEN, None, b""),
    ),
    "claim_online_account": (
        lambda client, product, id_: client.claim_online(id_, customer=None),
        "claim_ok",
        ("POST", "/v1/devices", USER_TOKEN, FORM, f"id={ID}".encode()),
    ),
    "claim_online_customer": (
        lambda client, product, id_: client.claim_online(id_, customer=(product, "c")),
        "claim_ok",
        ("POST", "/v1/devices", CUSTOMER_TOKEN, FORM, f"id={ID}".encode()),
    ),
    "release_owner": (
        lambda client, product, id_: client.release_owner(product, id_),
        "unclaimed",
        ("DELETE", f"/v1/products/1319/devices/{ID}/owner", PRODUCT_TOKEN, None, b""),
    ),
    "remove_device": (
        lambda client, product, id_: client.remove_device(product, id_),
        "removed",
        ("DELETE", f"/v1/products/1319/devices/{ID}", PRODUCT_TOKEN, None, b""),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
async def test_the_request_of_each_wish(cloud, product, device_id, name):
    wish, answer, (method, path, token, content_type, body) = GOLDEN[name]
    cloud.on(method, path.partition("?")[0], answer)
    async with cloud.open() as client:
        await wish(client, product, device_id)

    assert golden(cloud.requests[-1]) == (method, path, f"Bearer {token}", content_type, body)


def test_golden_requests_cover_every_route_of_the_client():
    """The routes that are not here are the token calls, pinned in test_tokens."""
    routes = {(method, path.partition("?")[0]) for _, _, (method, path, *_) in GOLDEN.values()}

    assert len(routes) == 10


async def test_a_slug_is_quoted_and_a_strange_one_is_never_sent(cloud):
    async with cloud.open() as client:
        for ref in ("", ".", "..", "a/b", "a?b", "ä", "x" * 129, "1319 "):
            with pytest.raises(ProductUnknown):
                await client.product(ref)

    assert cloud.requests == []


@pytest.mark.parametrize("answer", ["product_missing", "product_foreign"])
async def test_a_product_that_is_not_ours_is_unknown(cloud, answer):
    cloud.on("GET", "/v1/products/9999", answer)
    async with cloud.open() as client:
        with pytest.raises(ProductUnknown):
            await client.product("9999")


# --- answers ---


async def test_the_import_reply_comes_back(cloud, product):
    cloud.on(*DEVICES, "import_current")
    async with cloud.open() as client:
        assert await client.import_devices(product, ["ABC1234"]) == ImportReply(added=("abc1234",), updated=1)
        assert await client.import_devices(product, []) == ImportReply()

    assert cloud.asked(*DEVICES) == 1


async def test_an_import_echo_of_a_very_long_list_is_read(cloud, product):
    ids = [f"{number:024x}" for number in range(20_000)]
    reply = {"updated": 0, "updatedDeviceIds": [], "existingDeviceIds": ids, "nonmemberDeviceIds": []}
    cloud.on(*DEVICES, reply | {"invalidDeviceIds": []})
    async with cloud.open() as client:
        assert (await client.import_list(product, ids)).existing == tuple(ids)


async def test_a_claim_code_comes_through_however_many_devices_the_account_has(cloud):
    """The answer lists every device of the owner; it must not run into the cap for short answers."""
    code = "3GjxEdDu3eIWEs5C9WMun5etWsIC7KreXXHQ2JXAfBorHv+t26F04cFObo/FsL5"
    cloud.on("POST", "/v1/device_claims", {"claim_code": code, "device_ids": [ID] * 10_000})
    async with cloud.open() as client:
        assert (await client.account_claim_code()).reveal() == code


async def test_the_whole_list_is_walked(cloud, product):
    def page(request):
        number = int(request.url.params["page"])
        return {"devices": [ROW | {"id": f"{number:024x}"}], "customers": [], "meta": {"total_pages": 3}}

    cloud.on(*LIST, page)
    async with cloud.open() as client:
        found = [device.id async for page in client.devices(product) for device in page.devices]

    assert found == [f"{number:024x}" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("device_not_in_product", NotInCloud), ("device_not_mine", NotInCloud), ("product_foreign", PermissionRefused)],
)
async def test_a_device_that_is_not_there(cloud, product, device_id, answer, expected):
    cloud.on(*DEVICE, answer)
    cloud.on("GET", f"/v1/devices/{ID}", answer)
    async with cloud.open() as client:
        with pytest.raises(expected):
            await client.device(product, device_id)
        with pytest.raises(expected):
            await client.account_device(device_id)


async def test_another_device_in_the_answer_is_refused(cloud, product, device_id):
    cloud.on(*DEVICE, ROW | {"id": "f" * 24})
    async with cloud.open() as client:
        with pytest.raises(CloudReplyUnreadable, match="told of ffff"):
            await client.device(product, device_id)


async def test_membership_of_an_account_device_is_told_for_a_product_that_is_given(cloud, product, device_id):
    cloud.on("GET", f"/v1/devices/{ID}", ROW)
    async with cloud.open() as client:
        assert not (await client.account_device(device_id)).in_product
        assert (await client.account_device(device_id, product=product)).in_product


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("claim_unknown", NotInCloud),
        ("claim_offline_2015", DeviceNotOnline),
        ("claim_offline_2016", DeviceNotOnline),
        ("timed_out", DeviceNotOnline),
        ("claim_foreign", OwnedBySomeoneElse),
        ({"transfer_id": "58"}, CloudReplyUnreadable),
    ],
)
async def test_a_claim_by_id_that_is_refused(cloud, device_id, answer, expected):
    cloud.on("POST", "/v1/devices", answer)
    async with cloud.open() as client:
        with pytest.raises(expected):
            await client.claim_online(device_id, customer=None)

    assert cloud.asked("POST", "/v1/devices") == 1


async def test_a_captive_portal_is_not_an_absent_device(cloud, product, device_id):
    cloud.on(*DEVICE, "captive_portal")
    async with cloud.open() as client:
        with pytest.raises(CloudReplyUnreadable):
            await client.device(product, device_id)


async def test_a_list_that_is_too_long_is_a_refusal_that_can_be_halved(cloud, product):
    cloud.on(*DEVICES, "too_long")
    async with cloud.open() as client:
        with pytest.raises(CloudRefused) as caught:
            await client.import_devices(product, [ID])

    assert caught.value.status == 413


# --- repeating ---

READS = {
    "product": (("GET", "/v1/products/1319"), lambda c, p, i: c.product("1319"), "product_2019"),
    "device": (DEVICE, lambda c, p, i: c.device(p, i), ROW),
    "account_device": (("GET", f"/v1/devices/{ID}"), lambda c, p, i: c.account_device(i), ROW),
    "devices": (LIST, lambda c, p, i: anext(c.devices(p)), "device_page"),
}
WRITES = {
    "import": (DEVICES, lambda c, p, i: c.import_devices(p, [i]), "import_current"),
    "import_list": (DEVICES, lambda c, p, i: c.import_list(p, [i]), "import_current"),
    "claim_code": (("POST", "/v1/device_claims"), lambda c, p, i: c.account_claim_code(), "claim_code"),
    "customer_code": (
        ("POST", "/v1/products/1319/device_claims"),
        lambda c, p, i: c.customer_claim_code(p, "c"),
        "claim_code",
    ),
    "claim_online": (("POST", "/v1/devices"), lambda c, p, i: c.claim_online(i, customer=None), "claim_ok"),
    "release": (
        ("DELETE", f"/v1/products/1319/devices/{ID}/owner"),
        lambda c, p, i: c.release_owner(p, i),
        "unclaimed",
    ),
    "remove": (("DELETE", f"/v1/products/1319/devices/{ID}"), lambda c, p, i: c.remove_device(p, i), "removed"),
}
LOST = [CUT, httpx.ReadError("cut"), "fault_html", (500, {"ok": False}), (408, {})]


@pytest.mark.parametrize("lost", LOST, ids=str)
@pytest.mark.parametrize("name", READS)
async def test_a_read_is_repeated_after_a_lost_answer(cloud, name, lost, autojump_clock):
    route, wish, answer = READS[name]
    cloud.on(*route, lost, lost, answer)
    async with cloud.open() as client:
        await wish(client, TEMPMON, DeviceID(ID))

    assert cloud.asked(*route) == 3


@pytest.mark.parametrize("lost", LOST[:4], ids=str)
@pytest.mark.parametrize("name", WRITES)
async def test_a_write_is_never_repeated_after_a_lost_answer(cloud, name, lost, autojump_clock):
    route, wish, answer = WRITES[name]
    cloud.on(*route, lost, answer)
    async with cloud.open() as client:
        with pytest.raises(CloudAnswerLost):
            await wish(client, TEMPMON, DeviceID(ID))

    assert cloud.asked(*route) == 1


@pytest.mark.parametrize("answer", ["busy_html", (529, {}), httpx.ConnectError("refused")], ids=str)
@pytest.mark.parametrize("name", READS | WRITES)
async def test_what_was_certainly_not_carried_out_is_asked_again(cloud, name, answer, autojump_clock):
    route, wish, good = (READS | WRITES)[name]
    cloud.on(*route, answer, answer, good)
    async with cloud.open() as client:
        await wish(client, TEMPMON, DeviceID(ID))

    assert cloud.asked(*route) == 3


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("fault_html", CloudAnswerLost), ("busy_html", CloudBusy), (httpx.ConnectError("refused"), CloudUnreachable)],
)
async def test_repeating_ends_after_four_tries(cloud, answer, expected, autojump_clock):
    cloud.on(*DEVICE, answer)
    async with cloud.open() as client:
        with pytest.raises(expected):
            await client.device(TEMPMON, DeviceID(ID))

    assert cloud.asked(*DEVICE) == 4


async def test_repeating_ends_after_two_minutes_of_hanging(cloud, product, device_id, autojump_clock):
    cloud.on(*DEVICE, ROW)
    async with cloud.open(request_s=50.0) as client:
        await client.device(product, device_id)
        cloud.latency_s = 3600.0
        began_s = trio.current_time()
        with pytest.raises(CloudAnswerLost, match="within 50 s"):
            await client.device(product, device_id)

    assert 120.0 < trio.current_time() - began_s <= 170.0


async def test_a_429_pauses_every_station_for_as_long_as_the_cloud_says(cloud, product, device_id, autojump_clock):
    cloud.on(*DEVICE, "busy_html", ROW)
    cloud.on("POST", "/v1/device_claims", "claim_code")
    async with cloud.open() as client:
        began_s = trio.current_time()
        await client.device(product, device_id)
        waited_s = trio.current_time() - began_s

        assert 7.0 <= waited_s < 8.0
        assert client.governor.traffic.cool_downs == 1


async def test_the_callers_deadline_is_kept_while_waiting_for_a_turn(cloud, product, device_id, autojump_clock):
    cloud.on(*DEVICE, "busy_html")
    async with cloud.open() as client:
        with trio.move_on_after(3.0) as scope:
            await client.device(product, device_id)

    assert scope.cancelled_caught


# --- tokens that are refused ---


async def test_a_fresh_token_that_is_refused_too_ends_it(cloud, product, device_id):
    cloud.on(*DEVICE, "token_invalid")
    async with cloud.open() as client:
        with pytest.raises(CredentialsRefused):
            await client.device(product, device_id)

    assert cloud.asked(*DEVICE) == 2
    assert cloud.asked("POST", "/oauth/token") == 2


async def test_a_customers_refused_token_is_renewed(cloud, product):
    route = ("POST", "/v1/products/1319/device_claims")
    cloud.on(*route, "token_expired", "claim_code")
    async with cloud.open() as client:
        await client.customer_claim_code(product, "c")

    assert cloud.requests[-1].headers["Authorization"] == f"Bearer {PRODUCT_TOKEN}"  # the fixture of /oauth/token


async def test_the_accounts_refused_token_cannot_be_renewed(cloud):
    cloud.on("POST", "/v1/device_claims", "token_expired")
    async with cloud.open() as client:
        with pytest.raises(CredentialsRefused) as caught:
            await client.account_claim_code()

    assert "PROVISIONER_USER_TOKEN" in caught.value.remedy
    assert cloud.asked("POST", "/v1/device_claims") == 1


# --- the site ---


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("product_2019", True),
        ("product_foreign", True),
        ("product_missing", True),
        ("fault_html", False),
        ("busy_html", False),
        ("captive_portal", False),
        (CUT, False),
        (httpx.ConnectError("refused"), False),
    ],
    ids=str,
)
async def test_the_site_is_reachable_when_the_api_answers(cloud, answer, expected, autojump_clock):
    cloud.on("GET", "/v1/user", answer)
    async with cloud.open() as client:
        assert await client.reachable() is expected

    assert cloud.asked("GET", "/v1/user") == 1


async def test_after_a_product_was_read_the_probe_is_that_product(cloud, autojump_clock):
    cloud.on("GET", "/v1/products/myproduct", "product_2019")
    cloud.on("GET", "/v1/products/1234", "product_2019")
    async with cloud.open() as client:
        await client.product("myproduct")
        assert await client.reachable()

    assert cloud.requests[-1].url.path == "/v1/products/1234"


async def test_refused_credentials_keep_the_site_held(cloud):
    cloud.on("POST", "/oauth/token", "bad_client")
    async with cloud.open() as client:
        assert not await client.reachable()
        assert not await client.reachable()

    assert cloud.asked("POST", "/oauth/token") == 2


async def test_the_clouds_clock_is_learnt_from_its_answers(cloud, product, device_id, autojump_clock):
    def dated(request):
        return httpx.Response(200, json=ROW, headers={"Date": "Fri, 20 Nov 2026 06:00:00 GMT"})

    async def handler(request):
        return dated(request) if request.url.path == DEVICE[1] else await cloud.answer(request)

    async with cloud.open(handler=handler) as client:
        assert client.clock.at(trio.current_time()) is None
        await client.device(product, device_id)
        await trio.sleep(90)
        assert client.clock.at(trio.current_time()).isoformat() == "2026-11-20T06:01:30+00:00"


async def test_a_captive_portals_clock_is_not_the_clouds(cloud, product, device_id):
    async def handler(request):
        headers = {"Date": "Fri, 20 Nov 2020 06:00:00 GMT", "Content-Type": "text/html"}
        return httpx.Response(403, headers=headers, content=b"<html>")

    async with cloud.open(handler=handler) as client:
        with pytest.raises(CloudReplyUnreadable):
            await client.device(product, device_id)
        assert client.clock.at(0.0) is None


# --- secrets ---


async def test_no_exception_tells_a_token(cloud, product, device_id, autojump_clock):
    """A cloud that repeats everything it was sent, with every status, for every wish."""
    canaries = {PRODUCT_TOKEN, CUSTOMER_TOKEN, "canary-of-the-account", "canary-secret"}

    def echo(request, status):
        token = request.headers["Authorization"].partition(" ")[2]
        return (status, {"error": f"no {token}", "info": f"{request.url} {dict(request.headers)} {request.content}"})

    wishes = [*GOLDEN.values()]
    for status in (200, 302, 400, 401, 403, 404, 408, 413, 429, 500, 503):
        async with cloud.open(secret="canary-secret", user_token="canary-of-the-account") as client:
            for wish, _, (method, path, *_) in wishes:
                cloud.on(method, path.partition("?")[0], lambda request, status=status: echo(request, status))
                told = ""
                try:
                    await wish(client, product, device_id)
                except ProvisionerError as error:
                    told = f"{error!r} {error} {error.remedy} {vars(error)} {error.__context__!r} {error.__cause__!r}"
                assert not [canary for canary in canaries if canary in told]
            assert "canary" not in repr(vars(client)) + repr(vars(client._tokens)) + repr(client._tokens._kept)


async def test_the_clients_secret_is_in_no_exception_either(cloud, product):
    def echo(request):
        return (400, {"error": "invalid_client", "error_description": f"{dict(request.headers)} canary-secret"})

    cloud.on("POST", "/oauth/token", echo)
    async with cloud.open(secret="canary-secret") as client:
        with pytest.raises(CredentialsRefused) as caught:
            await client.product("1319")

    told = f"{caught.value!r} {vars(caught.value)}"
    assert "canary-secret" not in told
    assert "Basic " not in told or "<hidden>" in told
    assert cloud.requests[0].headers["Authorization"].partition(" ")[2] not in told


async def test_the_token_goes_to_the_cloud_of_the_settings_and_nowhere_else(cloud, product, device_id):
    cloud.on(*DEVICE, ROW)
    async with cloud.open(base_url="http://127.0.0.1:8641/") as client:
        await client.device(product, DeviceID(ID))

    assert {request.url.netloc for request in cloud.requests} == {b"127.0.0.1:8641"}
    assert all("token" not in str(request.url.query) for request in cloud.requests)
