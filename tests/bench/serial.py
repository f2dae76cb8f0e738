"""The serial sequence of the seeds, on the simulated latencies: one board after the other, one radio, nothing ahead.

What it does for each board is what the project's starting documents do by hand (curl on the bench): get the customer's
token, make a claim code, join the board's network, device-id, set, public-key, configure-ap, connect-ap, go back to
the own network, and ask the cloud until it shows the owner; only then the next board. The import is given to it: the
whole tray at once, before the clock starts. It uses the same adapter, the same cloud and the same virtual clock as
the line it is compared with.
"""

from __future__ import annotations

import json
import ssl

import httpx
import trio

from provisioner.demo.virtual import CLOUD, VirtualFactory
from provisioner.model import DeviceID, SecurityType, WifiProfile
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.secrets import ClaimCode, Secret
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.virtual.run import run_virtually
from provisioner.softap.client import SoftAPClient

CUSTOMER = "line3+t-00000@example.com"
WIFI = WifiProfile("factory", TEST_ROUTER.ssid, SecurityType.WPA2_AES, TEST_ROUTER.channel)


def devices_per_hour(boards, *, seed=1):
    """How many boards an hour the serial sequence brings to the end."""
    return run_virtually(lambda: _work(boards, seed), seed=seed)


async def _work(count, seed):
    factory = VirtualFactory(seed=seed)
    boards = [factory.world.add_photon() for _ in range(count)]
    context = ssl.create_default_context(cadata=factory.authority.certificate.decode())
    async with factory.alive(), httpx.AsyncClient(verify=context, base_url=f"https://{CLOUD}", timeout=30) as http:
        for board in boards:
            factory.world.present(board)
        await trio.sleep(30)  # all of them blink blue
        ids = {"ids": [board.device_id for board in boards]}
        await http.post(f"/v1/products/{factory.cloud.product.id}/devices", headers=_product(factory), json=ids)
        async with factory.world.switchers.session(adapter="laptop", uplink=Uplink.SHARED) as switcher:
            began_s = trio.current_time()
            for _ in boards:
                await _one(switcher, http, factory)
            return count / ((trio.current_time() - began_s) / 3600)


async def _one(switcher, http, factory):
    cloud = factory.cloud
    basic = (cloud.client_id, cloud.client_secret)
    reply = await http.post(
        f"/v1/products/{cloud.product.id}/customers", auth=basic, data={"email": CUSTOMER, "no_password": "true"}
    )
    if reply.status_code != 200:
        form = {"grant_type": "client_credentials", "scope": f"customer={CUSTOMER}"}
        reply = await http.post("/oauth/token", auth=basic, data=form)
    customer = {"Authorization": f"Bearer {reply.json()['access_token']}"}
    code = (await http.post(f"/v1/products/{cloud.product.id}/device_claims", headers=customer)).json()["claim_code"]

    (network, *_) = [one for one in await switcher.scan(prefix="Photon-", timeout=15) if _waits(factory, one)]
    async with switcher.joined(network, JoinPolicy()) as link:
        board = SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets())
        device = await board.identify()
        await board.set_claim_code(ClaimCode(code))
        await board.prepare()
        await board.set_wifi(WIFI, Secret(TEST_ROUTER.password))
        await board.connect()
    await switcher.restore(timeout=30)

    await _until_owned(http, cloud.product.id, device, _product(factory))


def _product(factory):
    return {"Authorization": f"Bearer {factory.cloud.user_token}"}


def _waits(factory, network):
    """The person at the bench takes a board that still blinks blue."""
    photon = factory.world.radio.find(network.bssid, "laptop")
    return photon is not None and not photon.left_listening.is_set()


async def _until_owned(http, product, device: DeviceID, headers):
    while True:
        row = json.loads((await http.get(f"/v1/products/{product}/devices/{device}", headers=headers)).text)
        if row.get("owner") == CUSTOMER and row.get("online"):
            return
        await trio.sleep(1)
