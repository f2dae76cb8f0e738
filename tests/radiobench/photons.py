"""Simulated Photons behind the access points, on the real ports of their namespaces: one process for all of them."""

from __future__ import annotations

import ctypes
import json
import os
import socket
from functools import partial

import trio
from air import OUT, AccessPoint
from photon_server import CLONE_NEWNET, NoCloud

from provisioner.simulator.faults import Faults
from provisioner.simulator.world import SERVE, World

BACKLOG = 16


def power(points: list[AccessPoint], names: list[str]) -> None:
    """A Photon on each access point, in a child of this process; waits until all of them serve."""
    places = [(name, listening_in(point.space)) for point, name in zip(points, names, strict=True)]
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.dup2(os.open(OUT / "photons.log", os.O_WRONLY | os.O_CREAT), 2)
        try:
            trio.run(main, places, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as told:
        for point, device_id in zip(points, json.loads(told.readline()), strict=True):
            point.device_id = device_id
    for _, sockets in places:
        for sock in sockets.values():
            sock.close()


def listening_in(space: str) -> dict[int, socket.socket]:
    """Listening sockets of that namespace; this process stays where it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    home, there = (os.open(path, os.O_RDONLY) for path in ("/proc/self/ns/net", f"/run/netns/{space}"))
    made = {}
    try:
        assert libc.setns(there, CLONE_NEWNET) == 0
        for port in SERVE:
            sock = made[port] = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("0.0.0.0", port))
            sock.listen(BACKLOG)
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0
        os.close(home)
        os.close(there)
    return made


async def main(places: list[tuple[str, dict[int, socket.socket]]], writing: int) -> None:
    world = World(seed=1, cloud=NoCloud(), faults=Faults(connect_reply_lost=0.0), boot_delay_s=0.0)
    async with world.running(), trio.open_nursery() as nursery:
        photons = []
        for ssid, sockets in places:
            photon = world.add_photon(ssid=ssid)
            world.present(photon)
            photons.append((photon, sockets))
        for photon, sockets in photons:
            while photon.session is None or not photon.session.serving:
                await trio.sleep(0.05)
            for port, serve in SERVE.items():
                listener = trio.SocketListener(trio.socket.from_stdlib_socket(sockets[port]))
                nursery.start_soon(trio.serve_listeners, partial(serve, photon), [listener])
        os.write(writing, f"{json.dumps([photon.device_id for photon, _ in photons])}\n".encode())
