"""What the account `provisioner` may do: it opens a session and visits a Photon. `as_user.py ADAPTER SSID UID`."""

import os
import sys

import trio

from provisioner import errors
from provisioner.network.networkmanager import NetworkManagerFactory
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient


async def main(adapter, ssid):
    try:
        async with NetworkManagerFactory().session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher:
            for _ in range(6):
                for network in await switcher.scan(prefix="Photon-", timeout=20):
                    if network.ssid == ssid:
                        async with switcher.joined(network, JoinPolicy(40, 10)) as link:
                            client = SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets())
                            return str(await client.identify())
    except errors.SwitchError as failure:
        return failure.code
    return "never heard"


os.environ["USER"] = os.environ["LOGNAME"] = "provisioner"
os.setgroups([])
os.setresgid(*[int(sys.argv[3])] * 3)
os.setresuid(*[int(sys.argv[3])] * 3)
print(trio.run(main, *sys.argv[1:3]), flush=True)
