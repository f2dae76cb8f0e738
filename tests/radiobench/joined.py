"""Joins a Photon and stays: to be killed. `joined.py ADAPTER SSID`."""

import sys

import trio

from provisioner.network.networkmanager import NetworkManagerFactory
from provisioner.network.switcher import JoinPolicy, Uplink


async def main(adapter, ssid):
    async with NetworkManagerFactory().session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher:
        for _ in range(6):
            for network in await switcher.scan(prefix="Photon-", timeout=20):
                if network.ssid == ssid:
                    async with switcher.joined(network, JoinPolicy(40, 10)):
                        print("joined", flush=True)
                        await trio.sleep_forever()
    print("never heard", flush=True)


trio.run(main, *sys.argv[1:])
