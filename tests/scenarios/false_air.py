"""What answers in the air of a virtual factory is not what it should be: it drips, or it lies."""

from dataclasses import replace

import trio

PAUSE_S = 0.2
HEAD = {80: b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", 5609: b"\n\n"}


class FalseAir:
    """The air with our hand on what some boards answer. `make(stream, port)` is the server's end of a connection."""

    def __init__(self, air, boards, make):
        self._air, self._boards, self._make = air, boards, make
        self.has_adapter, self.own_address = air.has_adapter, air.own_address

    def way(self, adapter, address):
        way = self._air.way(adapter, address)
        if way.serve.args[0] not in self._boards:
            return way

        async def serve(stream):
            await way.serve(self._make(stream, address[1]))

        return replace(way, serve=serve)


class FalseStream(trio.abc.Stream):
    """The server's end of one connection; as the one below, if nothing else is said."""

    def __init__(self, stream):
        self.stream = stream
        self.asked = b""
        self.close = stream.close

    async def receive_some(self, max_bytes=None):
        data = await self.stream.receive_some(max_bytes)
        self.asked += data
        return data

    async def send_all(self, data):
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self):
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self):
        await self.stream.aclose()


def lying(line, board, lie):
    """From now on this board answers what `lie(request, answer)` makes of its answers."""

    class Lying(FalseStream):
        async def send_all(self, data):
            await self.stream.send_all(lie(self.asked, bytes(data)))

    line.virtual.network.air = FalseAir(line.virtual.network.air, [board], lambda stream, port: Lying(stream))


class Drips:
    """Boards that answer one command in drips, or begin to and stall.

    `does_it`: the command is carried out all the same, as a lost answer says nothing about that. `times`: so often.
    """

    def __init__(self, line, command, boards, *, does_it=True, stalls=False, times=10**9):
        self._command = command
        self.does_it, self.stalls, self.left = does_it, stalls, times
        self.dripped = 0  # answers
        line.virtual.network.air = FalseAir(
            line.virtual.network.air, boards, lambda stream, port: _Dripping(stream, self, port)
        )

    def strike(self, request, port):
        """Whether this request is the one, and its answer shall drip."""
        name = request.split(b" ")[1].strip(b"/") if port == 80 else request.split(b"\n")[0]
        if name.decode() != self._command or not self.left:
            return False
        self.left -= 1
        self.dripped += 1
        return True


class _Dripping(FalseStream):
    def __init__(self, stream, drips, port):
        super().__init__(stream)
        self._drips, self._port = drips, port
        self._strikes = None

    async def receive_some(self, max_bytes=None):
        data = await super().receive_some(max_bytes)
        if self._strikes is None:
            self._strikes = bool(data) and self._drips.strike(bytes(data), self._port)
            if self._strikes and not self._drips.does_it:
                await self._drip()
        return data

    async def send_all(self, data):
        await (self._drip() if self._strikes else self.stream.send_all(data))

    async def _drip(self):
        """Until the client has enough, or the network is gone."""
        for byte in HEAD[self._port] + b"{":
            await trio.sleep(PAUSE_S / 10)
            await self.stream.send_all(bytes([byte]))
        while not self._drips.stalls:
            await trio.sleep(PAUSE_S)
            await self.stream.send_all(b" ")
        await trio.sleep_forever()
