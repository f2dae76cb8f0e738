"""Devices that answer in drips, in the air of a virtual factory: whatever they are asked, they stay themselves."""

from dataclasses import replace

import trio

PAUSE_S = 0.2
HEAD = {80: b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{", 5609: b"\n\n{"}


class DrippingAir:
    """The air around some boards that answer one command in drips, or begin to and stall.

    `does_it`: the command is carried out all the same, as a lost answer says nothing about that. `times`: so often.
    """

    def __init__(self, air, command, boards, *, does_it=True, stalls=False, times=10**9):
        self._air, self._command, self._boards = air, command, boards
        self.does_it, self.stalls, self.left = does_it, stalls, times
        self.dripped = 0  # answers
        self.has_adapter, self.own_address = air.has_adapter, air.own_address

    def way(self, adapter, address):
        """The way there; with our hand on what comes back."""
        way = self._air.way(adapter, address)
        if way.serve.args[0] not in self._boards:
            return way

        async def serve(stream):
            await way.serve(Dripping(stream, self, address[1]))

        return replace(way, serve=serve)

    def strikes(self, request, port):
        """Whether this request is the one, and its answer shall drip."""
        name = request.split(b" ")[1].strip(b"/") if port == 80 else request.split(b"\n")[0]
        if name.decode() != self._command or not self.left:
            return False
        self.left -= 1
        self.dripped += 1
        return True


class Dripping(trio.abc.Stream):
    """The server's end of one connection."""

    def __init__(self, stream, air, port):
        self._stream, self._air, self._port = stream, air, port
        self._strikes = None
        self.close = stream.close

    async def receive_some(self, max_bytes=None):
        data = await self._stream.receive_some(max_bytes)
        if self._strikes is None:
            self._strikes = bool(data) and self._air.strikes(bytes(data), self._port)
            if self._strikes and not self._air.does_it:
                await self._drip()
        return data

    async def send_all(self, data):
        await (self._drip() if self._strikes else self._stream.send_all(data))

    async def _drip(self):
        """Until the client has enough, or the network is gone."""
        for byte in HEAD[self._port]:
            await trio.sleep(PAUSE_S / 10)
            await self._stream.send_all(bytes([byte]))
        while not self._air.stalls:
            await trio.sleep(PAUSE_S)
            await self._stream.send_all(b" ")
        await trio.sleep_forever()

    async def wait_send_all_might_not_block(self):
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self):
        await self._stream.aclose()
