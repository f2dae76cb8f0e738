"""What this program takes for granted about the Particle cloud: one test each, in plain HTTP without our own client.

Every test runs against the simulated cloud on loopback, against a `provisioner simulate` process, and, once somebody
sets the variables below, against the real API, with one device that has never been claimed and a product made for
such tests. It leaves that device in the product, the customer it names, and a few claim codes that end in an hour;
one token request with a wrong secret is refused (ten in a row lock an address out).

    PROVISIONER_CONTRACT_BASE_URL       https://api.particle.io; without it nothing leaves this computer
    PROVISIONER_CONTRACT_PRODUCT        the product's number or slug
    PROVISIONER_CONTRACT_CLIENT_ID      an OAuth client of the product, two-legged
    PROVISIONER_CONTRACT_CLIENT_SECRET  its secret
    PROVISIONER_CONTRACT_USER_TOKEN     an access token of an account on the product's team
    PROVISIONER_CONTRACT_DEVICE         the device's ID
    PROVISIONER_CONTRACT_CUSTOMER       an e-mail address for the test's customer, in lower case

The docstrings are the numbered list in the README.
"""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest
import trio

from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.rules import CloudRules
from provisioner.simulator.cloud.serving import serve_cloud
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.faults import Dice, Faults

PREFIX = "PROVISIONER_CONTRACT_"
DEVICE = "3b0021001747353236343033"
NOBODYS = "00000000000000000000dead"
WRONG_SECRET = "0123456789abcdef0123456789abcdef01234567"
KEEP_ALIVE_S = 15.0  # clients give a silent stream up after 13 to 15


@dataclass
class Site:
    """Where the cloud is and what a tester has there."""

    base_url: str
    product: str
    client_id: str
    client_secret: str
    user_token: str
    device: str
    customer: str
    http: httpx.AsyncClient = field(init=False)
    _token: str = ""

    async def ask(self, method, path, token=None, **request):
        headers = {"Authorization": f"Bearer {token or await self.token()}"}
        return await self.http.request(method, path, headers=headers, **request)

    async def token(self):
        if not self._token:
            self._token = (await self.token_call()).json()["access_token"]
        return self._token

    async def token_call(self, *, secret=None, **form):
        form = {"grant_type": "client_credentials", **form}
        return await self.http.post("/oauth/token", data=form, auth=(self.client_id, secret or self.client_secret))

    async def create_customer(self, email=None):
        form = {"email": email or self.customer, "no_password": "true"}
        path = f"/v1/products/{self.product}/customers"
        return await self.http.post(path, data=form, auth=(self.client_id, self.client_secret))

    async def customer_token(self):
        await self.create_customer()
        return (await self.token_call(scope=f"customer={self.customer}")).json()["access_token"]

    async def import_ids(self, *ids):
        return await self.ask("POST", f"/v1/products/{self.product}/devices", json={"ids": ids})

    async def page(self, **query):
        return await self.ask("GET", f"/v1/products/{self.product}/devices", params=query)


@asynccontextmanager
async def simulated():
    """The simulated cloud, served on loopback by this process, with strict rules and many keep-alives."""
    rules = CloudRules(event_keep_alive_s=0.2)
    cloud = SimCloud(clock=SimClock(), dice=Dice(7), faults=Faults(cloud_latency_s=(0.0, 0.0)), rules=rules)
    cloud.know_device(DEVICE, serial="PHHMAB000PAKLJZ")
    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve_cloud, cloud_app(cloud))
        yield Site(
            f"http://127.0.0.1:{port}",
            cloud.product.slug,
            cloud.client_id,
            cloud.client_secret,
            cloud.user_token,
            DEVICE,
            "contract@example.com",
        )
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def simulate_process():
    """What `provisioner simulate` tells another client's author in its first line."""
    command = [sys.executable, "-m", "provisioner", "simulate", "--photons", "1", "--seed", "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGINT)


@asynccontextmanager
async def in_a_process(told):
    """The cloud of that process, as somebody finds it who reads that line."""
    yield Site(
        told["cloud"],
        told["product"],
        told["client_id"],
        told["client_secret"],
        told["user_token"],
        told["photons"][0]["device_id"],
        "contract@example.com",
    )


@asynccontextmanager
async def real():
    """The cloud that the environment names."""
    if not os.environ.get(f"{PREFIX}BASE_URL"):
        pytest.skip(f"{PREFIX}BASE_URL is not set: the real API is asked only by somebody who has a device for it")
    names = ("BASE_URL", "PRODUCT", "CLIENT_ID", "CLIENT_SECRET", "USER_TOKEN", "DEVICE", "CUSTOMER")
    missing = [PREFIX + name for name in names if not os.environ.get(PREFIX + name)]
    assert not missing, f"{PREFIX}BASE_URL is set, but not {', '.join(missing)}"
    yield Site(*(os.environ[PREFIX + name] for name in names))


@pytest.fixture(params=["simulated", "process", "real"])
async def site(request):
    if request.param == "process":
        cloud = in_a_process(request.getfixturevalue("simulate_process"))
    else:
        cloud = real() if request.param == "real" else simulated()
    async with cloud as at, httpx.AsyncClient(base_url=at.base_url, timeout=30) as http:
        at.http = http
        yield at


def refusal(reply):
    """The text by which a client can tell one refusal from another."""
    assert 400 <= reply.status_code < 500, reply.text
    body = reply.json()
    return str(body.get("error") or body["errors"])


async def test_01(site):
    """`POST /oauth/token` takes the OAuth client as Basic credentials and answers `access_token`, `expires_in` (s)."""
    reply = await site.token_call()

    assert reply.status_code == 200
    body = reply.json()
    assert body["token_type"] == "bearer"
    assert re.fullmatch(r"[\x21-\x7e]{20,}", body["access_token"])
    assert 600 <= body["expires_in"] <= 366 * 86_400


async def test_02(site):
    """A wrong client secret is refused with 4xx and a JSON body that has `error`; it never looks like an outage."""
    assert refusal(await site.token_call(secret=WRONG_SECRET))


async def test_03(site):
    """A token that does not hold is refused with 401 and JSON, in the `Authorization` header and on every route."""
    for path in (f"/v1/products/{site.product}", f"/v1/products/{site.product}/devices", "/v1/devices"):
        reply = await site.ask("GET", path, token=WRONG_SECRET)
        assert reply.status_code == 401, path
        assert refusal(reply)


async def test_04(site):
    """Every answer has a `Date` header in whole seconds, and it does not run backwards."""
    replies = [await site.ask("GET", f"/v1/products/{site.product}") for _ in range(3)]

    dates = [parsedate_to_datetime(reply.headers["date"]) for reply in replies]
    assert dates == sorted(dates)


async def test_05(site):
    """`GET /v1/products/:p` tells `id`, `slug` and `platform_id`, whether it is asked by number or by slug."""
    first = product_of(await site.ask("GET", f"/v1/products/{site.product}"))
    assert isinstance(first["id"], int)
    assert isinstance(first["platform_id"], int)

    for ref in (first["id"], first["slug"]):
        again = product_of(await site.ask("GET", f"/v1/products/{ref}"))
        assert [again[key] for key in ("id", "slug")] == [first[key] for key in ("id", "slug")]


def product_of(reply):
    assert reply.status_code == 200
    found = reply.json()["product"]
    return found[0] if isinstance(found, list) else found


async def test_06(site):
    """A product that does not exist, or is somebody else's, is refused with 403 or 404."""
    reply = await site.ask("GET", "/v1/products/99999999")

    assert reply.status_code in (403, 404)
    assert refusal(reply)


async def test_07(site):
    """An import names what it did not take; what it took can be read at once."""
    reply = await site.import_ids(site.device)

    assert reply.status_code == 200
    body = reply.json()
    assert body["updated"] in (0, 1)
    assert not any(body.get(key) for key in ("nonmemberDeviceIds", "invalidDeviceIds"))
    assert (await site.ask("GET", f"/v1/products/{site.product}/devices/{site.device}")).status_code == 200


async def test_08(site):
    """Importing a device twice is harmless: it is accepted again, and it is in the product once."""
    for _ in range(2):
        assert (await site.import_ids(site.device)).status_code == 200

    ids, page, pages = [], 1, 1
    while page <= pages:
        body = (await site.page(sortAttr="deviceId", sortDir="asc", page=page, perPage=100, per_page=100)).json()
        ids += [row["id"] for row in body["devices"]]
        page, pages = page + 1, body["meta"]["total_pages"]
    assert ids.count(site.device) == 1
    assert ids == sorted(ids)


async def test_09(site):
    """An import is not atomic: an ID that cannot be one is named in `invalidDeviceIds`, and the good ones go in."""
    reply = await site.import_ids("no-device-id", site.device)

    assert reply.status_code == 200
    assert reply.json()["invalidDeviceIds"] == ["no-device-id"]
    assert (await site.ask("GET", f"/v1/products/{site.product}/devices/{site.device}")).status_code == 200


async def test_10(site):
    """The same import as an uploaded text file, one ID on a line, is taken like the JSON one."""
    path, upload = f"/v1/products/{site.product}/devices", ("devices.txt", f"{site.device}\n", "text/plain")
    reply = await site.ask("POST", path, files={"file": upload})

    assert reply.status_code == 200
    assert not any(reply.json().get(key) for key in ("nonmemberDeviceIds", "invalidDeviceIds"))


async def test_11(site):
    """A device of the product is told with `id` in lower case, `product_id`, `online`, and an `owner` that is a name,
    null or absent; `last_handshake_at`, where it is there, is a time with an offset."""
    await site.import_ids(site.device)
    reply = await site.ask("GET", f"/v1/products/{site.product}/devices/{site.device.upper()}")

    row = reply.json()
    assert row["id"] == site.device.lower()
    assert isinstance(row["product_id"], int)
    assert isinstance(row["online"], bool)
    assert row.get("owner") is None or "@" in row["owner"]
    if row.get("last_handshake_at") is not None:
        assert datetime.fromisoformat(row["last_handshake_at"]).utcoffset() == timedelta(0)


async def test_12(site):
    """A device that is not in the product is a 404 on the product's route, and 403 or 404 on the account's own."""
    of_product = await site.ask("GET", f"/v1/products/{site.product}/devices/{NOBODYS}")
    assert of_product.status_code == 404
    assert refusal(of_product)

    own = await site.ask("GET", f"/v1/devices/{NOBODYS}", token=site.user_token)
    assert own.status_code in (403, 404)
    assert refusal(own)


async def test_13(site):
    """A page beyond the last one is an empty list and no error, with `meta.total_pages` as ever."""
    await site.import_ids(site.device)
    reply = await site.page(sortAttr="deviceId", sortDir="asc", page=9_999, perPage=100, per_page=100)

    assert reply.status_code == 200
    assert reply.json()["devices"] == []
    assert reply.json()["meta"]["total_pages"] >= 1


async def test_14(site):
    """The list by `lastConnection`, descending, begins with the devices that connected last."""
    await site.import_ids(site.device)
    reply = await site.page(sortAttr="lastConnection", sortDir="desc", page=1, perPage=25, per_page=25)

    assert reply.status_code == 200
    heard = [row.get("last_heard") or "" for row in reply.json()["devices"]]
    assert heard == sorted(heard, reverse=True)


async def test_15(site):
    """A customer is made without a password; made again it is refused with `error: customer_exists`, in any case of
    its letters."""
    first = await site.create_customer()
    assert first.status_code == 200 or refusal(first) == "customer_exists"

    assert refusal(await site.create_customer()) == "customer_exists"
    assert refusal(await site.create_customer(site.customer.upper())) == "customer_exists"


async def test_16(site):
    """`scope=customer=NAME` gives a token for a customer that exists."""
    await site.create_customer()
    reply = await site.token_call(scope=f"customer={site.customer}")

    assert reply.status_code == 200
    assert reply.json()["access_token"]


async def test_17(site):
    """A customer that does not exist gets no token: 4xx with JSON, not the product's own token."""
    assert refusal(await site.token_call(scope="customer=nobody-of-that-name@example.com"))


async def test_18(site):
    """A claim code is 63 characters of the base64 alphabet, made for a customer of the product; each is another."""
    token = await site.customer_token()
    path = f"/v1/products/{site.product}/device_claims"
    codes = [(await site.ask("POST", path, token=token)).json()["claim_code"] for _ in range(2)]

    assert all(re.fullmatch(r"[A-Za-z0-9+/]{63}", code) for code in codes)
    assert codes[0] != codes[1]


async def test_19(site):
    """So is one for the account, with the account's token."""
    reply = await site.ask("POST", "/v1/device_claims", token=site.user_token)

    assert reply.status_code == 200
    assert re.fullmatch(r"[A-Za-z0-9+/]{63}", reply.json()["claim_code"])


async def test_20(site):
    """A claim code that nobody has used yet changes no owner: only a handshake that brings it does."""
    await site.import_ids(site.device)
    before = (await site.ask("GET", f"/v1/products/{site.product}/devices/{site.device}")).json().get("owner")
    token = await site.customer_token()
    await site.ask("POST", f"/v1/products/{site.product}/device_claims", token=token)

    after = (await site.ask("GET", f"/v1/products/{site.product}/devices/{site.device}")).json().get("owner")
    assert after == before


@pytest.mark.filterwarnings(
    "ignore:Async generator:ResourceWarning"
)  # httpx leaves its own open when a stream ends early
async def test_21(site):
    """The product's event stream is `text/event-stream`, and is never silent for as long as a client waits."""
    headers = {"Authorization": f"Bearer {await site.token()}"}
    with trio.fail_after(KEEP_ALIVE_S):
        async with site.http.stream("GET", f"/v1/products/{site.product}/events", headers=headers) as reply:
            assert reply.status_code == 200
            assert reply.headers["content-type"].partition(";")[0] == "text/event-stream"
            assert await anext(reply.aiter_raw())
