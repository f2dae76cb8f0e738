"""A stand-in for the simulated cloud, worlds around it, and hands to hold a Photon with."""

from functools import partial

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_der_public_key

from provisioner.simulator.faults import Faults
from provisioner.simulator.photon.http import serve_http
from provisioner.simulator.photon.tcp import serve_tcp
from provisioner.simulator.world import World

CODE = "4i8pwFwPkImsnLmIj54BYJA4Z94j0OLyl7vwKecELzYGKjS9mBbM5Vra6H9T0DI"
CALM = Faults(connect_reply_lost=0.0)


class StandInCloud:
    """Acknowledges a code if `acknowledges`; remembers everything in order."""

    def __init__(self):
        self.acknowledges = True
        self.known = {}
        self.happened = []

    def device_online(self, device_id, claim_code):
        self.happened.append(("online", device_id, claim_code))
        return claim_code is not None and self.acknowledges

    def device_offline(self, device_id):
        self.happened.append(("offline", device_id))

    def know_device(self, device_id, *, serial, platform_id=6):
        self.known[device_id] = serial


class Hands:
    """Speaks to one Photon over streams in memory, as bytes."""

    def __init__(self, photon, nursery):
        self.photon = photon
        self._nursery = nursery

    def dial(self, port=80):
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon({80: serve_http, 5609: serve_tcp}[port], self.photon, theirs)
        return ours

    async def http(self, request, *segments):
        """Send segments over one new connection and return what comes until it is silent or closed."""
        stream = self.dial()
        for segment in (request, *segments):
            await stream.send_all(segment)
            await trio.sleep(1)  # else two segments come as one
        return await self._read(stream)

    async def tcp(self, request):
        stream = self.dial(5609)
        await stream.send_all(request)
        return await self._read(stream)

    async def _read(self, stream):
        answer = await read_quietly(stream)
        await stream.aclose()
        return answer

    async def command(self, name, body=b""):
        """The JSON that a command answers over HTTP; empty if there is none."""
        head = f"POST /{name} HTTP/1.1\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        return dechunked(await self.http(head + body))

    async def configure(self, ssid="TestRouter", password="mywifipassword", sec=4194308):
        sealed = seal(self.photon, password.encode())
        body = f'{{"idx":0,"ssid":"{ssid}","sec":{sec},"ch":6,"pwd":"{sealed}"}}'
        return await self.command("configure-ap", body.encode())

    async def claim(self, code=CODE):
        return await self.command("set", f'{{"k":"cc","v":"{code}"}}'.encode())

    async def connect(self):
        return await self.command("connect-ap", b'{"idx":0}')


def seal(photon, password):
    key = load_der_public_key(photon.commands.key.public_slot[:162])
    return key.encrypt(password, PKCS1v15()).hex()


async def read_quietly(stream, quiet_s=30):
    """All bytes until the other side closes or says nothing for `quiet_s`."""
    data = b""
    while True:
        with trio.move_on_after(quiet_s) as waiting:
            more = await stream.receive_some(65536)
            if not more:
                return data
            data += more
        if waiting.cancelled_caught:
            return data


def dechunked(answer):
    """The body of a chunked answer; checks its framing on the way."""
    body, rest = b"", answer.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        assert rest[count : count + 2] == b"\r\n"
        body, rest = body + rest[:count], rest[count + 2 :]
        if count == 0:
            assert rest == b""
    return body


async def until_serving(photon):
    while photon.session is None or not photon.session.serving:
        await trio.sleep(0.01)


@pytest.fixture
def cloud():
    return StandInCloud()


@pytest.fixture
def make_world(cloud):
    def make(**parts):
        return World(**{"seed": 7, "cloud": cloud, "faults": CALM, **parts})

    return make


@pytest.fixture
def world(make_world):
    return make_world()


@pytest.fixture
async def bench(world, nursery, autojump_clock):
    """A function that puts a Photon into listening mode in virtual time and returns hands for it."""
    async with world.running():

        async def listening(**parts):
            photon = world.add_photon(**parts)
            world.present(photon)
            await until_serving(photon)
            return Hands(photon, nursery)

        yield listening


@pytest.fixture
def hands(nursery):
    return partial(Hands, nursery=nursery)


@pytest.fixture
def tools():
    """Functions that tests of several files use; conftest modules cannot be imported."""

    class Tools:
        code = CODE
        calm = CALM

    Tools.seal = staticmethod(seal)
    Tools.read_quietly = staticmethod(read_quietly)
    Tools.dechunked = staticmethod(dechunked)
    Tools.until_serving = staticmethod(until_serving)
    return Tools
