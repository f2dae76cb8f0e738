"""One simulated Photon on the real ports of this network namespace: `photon_server.py NUMBER SSID`.

Prints a line of JSON when it listens. Ends when the Photon has left listening mode, as the real one ends its network,
or on SIGTERM, with another line: what it experienced.
"""

import json
import signal
import sys
from functools import partial

import trio

from provisioner.simulator.faults import Faults
from provisioner.simulator.photon.http import serve_http
from provisioner.simulator.photon.tcp import serve_tcp
from provisioner.simulator.world import World


class NoCloud:
    """Knows every device and acknowledges nothing: here it is about the radio."""

    def know_device(self, device_id, *, serial, platform_id=6):
        pass

    def device_online(self, device_id, claim_code):
        return False

    def device_offline(self, device_id):
        pass


async def main(number, ssid):
    world = World(seed=number, cloud=NoCloud(), faults=Faults(connect_reply_lost=0.0), boot_delay_s=0.0)
    photon = world.add_photon(ssid=ssid)
    async with world.running(), trio.open_nursery() as nursery:
        world.present(photon)
        while photon.session is None or not photon.session.serving:
            await trio.sleep(0.05)
        for port, serve in ((80, serve_http), (5609, serve_tcp)):
            await nursery.start(partial(trio.serve_tcp, partial(serve, photon), port))
        print(json.dumps({"device_id": photon.device_id, "ssid": ssid}), flush=True)
        nursery.start_soon(ended_from_outside, nursery.cancel_scope)
        await photon.left_listening.wait()
        nursery.cancel_scope.cancel()
    print(json.dumps({"happened": [str(one.event) for one in world.history]}), flush=True)


async def ended_from_outside(scope):
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), sys.argv[2])
