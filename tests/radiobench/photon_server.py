"""Simulated Photons on the real ports of network namespaces: `photon_server.py`, and a line of JSON for each.

A line is [NUMBER, SSID, SPACE, FILE]: a process of its own in that namespace, forked from this one, which has all of
its imports. It writes a line of JSON into FILE, a pipe with a name, when it listens. It ends when the Photon has left
listening mode, as the real one ends its network, or on SIGTERM, with another line: what it experienced.
"""

import ctypes
import json
import os
import signal
import sys
import traceback
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


CLONE_NEWNET = 0x40000000


async def serve(number, ssid, told):
    world = World(seed=number, cloud=NoCloud(), faults=Faults(connect_reply_lost=0.0), boot_delay_s=0.0)
    photon = world.add_photon(ssid=ssid)
    async with world.running(), trio.open_nursery() as nursery:
        world.present(photon)
        while photon.session is None or not photon.session.serving:
            await trio.sleep(0.05)
        for port, protocol in ((80, serve_http), (5609, serve_tcp)):
            await nursery.start(partial(trio.serve_tcp, partial(protocol, photon), port))
        print(json.dumps({"device_id": photon.device_id, "process": os.getpid()}), file=told, flush=True)
        nursery.start_soon(ended_from_outside, nursery.cancel_scope)
        await photon.left_listening.wait()
        nursery.cancel_scope.cancel()
    print(json.dumps({"happened": [str(one.event) for one in world.history]}), file=told, flush=True)


async def ended_from_outside(scope):
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


def photon(number, ssid, space, file):
    """In a child: this Photon's whole life."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with open(file, "w") as told, open(f"/run/netns/{space}") as there:
        if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), space)
        trio.run(serve, number, ssid, told)


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                photon(*json.loads(line))
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            os._exit(0)


if __name__ == "__main__":
    main()
