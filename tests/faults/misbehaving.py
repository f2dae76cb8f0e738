"""A server that misbehaves, in a process of its own: its memory is not ours. Prints where each behaviour is, as JSON.

python tests/faults/misbehaving.py: one loopback port a behaviour, until standard input is closed.
"""

import gzip
import json
import sys

import trio

BLOCK = b"x" * 65536
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(b"\0" * 50_000_000)
# What is sent first, and then for ever (None: nothing, and the connection closes).
HTTP = {
    "a body of 1 GB": (OK + b"Content-Length: 1073741824\r\n\r\n", BLOCK),
    "a body that says it has 2 GB, and none": (OK + b"Content-Length: 99999999999\r\n\r\n", None),
    "a body without end": (OK + b"\r\n{", BLOCK),
    "JSON without end": (OK + b'\r\n{"id":"', BLOCK),
    "nesting without end": (OK + b"\r\n", b'{"a":' * 8_000),
    "headers without end": (OK, b"X-Header: " + b"y" * 100 + b"\r\n"),
    "one header without end": (OK + b"X-Header: ", BLOCK),
    "a status without end": (b"HTTP/1.1 200 ", BLOCK),
    "chunks without end": (CHUNKED, b"1\r\nx\r\n" * 1_000),
    "one chunk without end": (CHUNKED + b"fffffff\r\n", BLOCK),
    "a chunk's size without end": (CHUNKED + b"1;", BLOCK),
    "chunks of nothing": (CHUNKED, b"0;x\r\n" * 1_000),
    "trailers without end": (CHUNKED + b"1\r\n{\r\n0\r\n", b"X-Trailer: y\r\n" * 1_000),
    "100 Continue without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "a gzip bomb": (OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB, None),
    "a bomb in gzip chunks": (
        OK + b"Content-Encoding: gzip, chunked\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        BLOCK,
    ),
    "noise": (b"", bytes(range(256)) * 256),
    "silence and a close": (b"", None),
}
TCP = {
    "a body without end": (b"\n\n{", BLOCK),
    "JSON without end": (b'\n\n{"id":"', BLOCK),
    "nesting without end": (b"\n\n", b'{"a":' * 8_000),
    "empty lines without end": (b"", b"\n" * 4_096),
    "headers without end": (b"", b"a: b\n" * 1_000),
    "one header without end": (b"a: ", BLOCK),
    "noise": (b"", bytes(range(256)) * 256),
    "silence and a close": (b"", None),
}


def behaving(first, then):
    async def serve(stream):
        with trio.move_on_after(60):
            try:
                await stream.receive_some()
                await stream.send_all(first)
                while then is not None:
                    await stream.send_all(then)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # the other side has had enough, as it should

    return serve


async def main():
    where = {"http": {}, "tcp": {}}
    async with trio.open_nursery() as nursery:
        for kind, behaviours in (("http", HTTP), ("tcp", TCP)):
            for name, (first, then) in behaviours.items():
                (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
                where[kind][name] = listener.socket.getsockname()[1]
                nursery.start_soon(trio.serve_listeners, behaving(first, then), [listener])
        print(json.dumps(where), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
