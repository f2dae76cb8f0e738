"""A simulated cloud with an HTTP client in front of it, without sockets and without latency."""

from dataclasses import dataclass, replace

import httpx
import pytest

from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud import shelf
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.sim_cloud import CloudRules, SimCloud
from provisioner.simulator.faults import Dice, Faults

CALM = Faults(cloud_latency_s=(0.0, 0.0), owner_lag_s=(0.0, 0.0))
DEFAULTS = CloudRules()
DEVICE = "3b0021001747353236343033"
OTHER = "3b0021001747353236343034"


@dataclass
class Site:
    """The cloud and a caller who talks HTTP to it."""

    cloud: SimCloud
    http: httpx.AsyncClient

    async def ask(self, method, path, token=None, **request):
        headers = request.pop("headers", {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await self.http.request(method, path, headers=headers, **request)

    async def token(self, **form):
        form = {"grant_type": "client_credentials", **form}
        reply = await self.http.post("/oauth/token", data=form, auth=(self.cloud.client_id, self.cloud.client_secret))
        assert reply.status_code == 200, reply.text
        return reply.json()["access_token"]

    async def customer(self, email="customer5@mycompany.com", product="1319"):
        reply = await self.http.post(
            f"/v1/products/{product}/customers",
            data={"email": email, "no_password": "true"},
            auth=(self.cloud.client_id, self.cloud.client_secret),
        )
        assert reply.status_code == 200, reply.text
        return reply.json()["access_token"]

    async def claim_code(self, token, product="1319"):
        path = f"/v1/products/{product}/device_claims" if product else "/v1/device_claims"
        reply = await self.ask("POST", path, token)
        assert reply.status_code == 200, reply.text
        return reply.json()["claim_code"]

    async def owner(self, device_id=DEVICE):
        """What the product's own route says; `absent` if the field is not there."""
        reply = await self.ask("GET", f"/v1/products/1319/devices/{device_id}", self.cloud.user_token)
        assert reply.status_code == 200, reply.text
        return reply.json().get("owner", "absent")


@pytest.fixture(params=[shelf.AT_HAND, 1], ids=["", "all but one at rest"])
def at_hand(request, monkeypatch):
    """Every answer is the same when each device and claim code had to be read from the database."""
    monkeypatch.setattr(shelf, "AT_HAND", request.param)


@pytest.fixture
def make_site(at_hand):
    def make(*, seed=7, faults=CALM, rules=DEFAULTS, known=(DEVICE, OTHER), **changes):
        cloud = SimCloud(clock=SimClock(), dice=Dice(seed), faults=replace(faults, **changes), rules=rules)
        for number, device_id in enumerate(known):
            cloud.know_device(device_id, serial=f"PHHMAB{number:03}PAKLJZ")
        transport = httpx.ASGITransport(app=cloud_app(cloud))
        return Site(cloud, httpx.AsyncClient(transport=transport, base_url="http://cloud.test"))

    return make


@pytest.fixture
def site(make_site):
    return make_site()
