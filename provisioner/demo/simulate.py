"""`provisioner simulate`: the simulated cloud and Photons in listening mode, on loopback, for other people's clients.

Rule 1: the first line on stdout is JSON and says where everything is; nothing else goes there.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import trio

from provisioner.console.stopped import leaves_of
from provisioner.errors import InputRefused
from provisioner.model import printable
from provisioner.simulator import faults as faults_of
from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.serving import serve_cloud
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import Dice
from provisioner.simulator.photon.sim_photon import SimPhoton
from provisioner.simulator.world import World


def run_simulate(*, cloud: str, photons: int, seed: int | None, faults: str, online_delay_s: float | None) -> None:
    """Serve the simulated cloud and Photons until interrupted; the first line on stdout says where."""
    host, _, port = cloud.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise InputRefused(
            f"'{printable(cloud)}' is not HOST:PORT", remedy="Write it as, for example, --cloud 127.0.0.1:8080."
        )
    drawn = seed if seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {drawn}", file=sys.stderr, flush=True)
    with _bind_refusal(cloud):
        trio.run(partial(_simulate, host, int(port), photons, seed=drawn, faults=faults, online_delay_s=online_delay_s))


@contextmanager
def _bind_refusal(address: str) -> Iterator[None]:
    try:
        yield
    except* OSError as errors:
        why = next(error for error in leaves_of(errors) if isinstance(error, OSError))
        raise InputRefused(
            f"the cloud cannot be served at {printable(address)}: {why.strerror or why}",
            remedy="Choose a free port (`--cloud 127.0.0.1:0` finds one), or an address of this computer.",
        ) from None


async def _simulate(host: str, port: int, count: int, *, seed: int, faults: str, online_delay_s: float | None) -> None:
    chosen = faults_of.PROFILES[faults]
    clock, dice = SimClock(), Dice(seed)
    cloud = SimCloud(clock=clock, dice=dice, faults=chosen)
    world = World(seed=seed, cloud=cloud, faults=chosen, clock=clock, online_delay_s=online_delay_s, boot_delay_s=0.0)
    async with trio.open_nursery() as nursery, world.running(loopback=True):
        bound = await nursery.start(partial(serve_cloud, cloud_app(cloud), host=host, port=port))
        boards = [world.add_photon() for _ in range(count)]
        for board in boards:
            world.present(board)
        for board in boards:
            while board.session is None:
                await trio.lowlevel.checkpoint()
            await board.session.ready.wait()
        print(json.dumps(_where(cloud, f"http://{host}:{bound}", boards)), flush=True)
        await trio.sleep_forever()


def _where(cloud: SimCloud, url: str, boards: Sequence[SimPhoton]) -> dict[str, object]:
    return {
        "cloud": url,
        "product": str(cloud.product.id),
        "slug": cloud.product.slug,
        "wifi": {
            "ssid": TEST_ROUTER.ssid,
            "password": TEST_ROUTER.password,
            "security": TEST_ROUTER.security.name.lower(),
            "channel": TEST_ROUTER.channel,
        },
        "client_id": cloud.client_id,
        "client_secret": cloud.client_secret,
        "user_token": cloud.user_token,
        "photons": [
            {
                "http": "{}:{}".format(*board.http_address),
                "tcp": "{}:{}".format(*board.tcp_address),
                "device_id": board.device_id,
                "ssid": board.ssid,
            }
            for board in boards
            if board.http_address is not None and board.tcp_address is not None
        ],
    }
