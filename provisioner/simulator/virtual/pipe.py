"""One direction of a virtual TCP connection: bytes in order, a bounded window, an end, a reset.

Rule 1: the reader gets what was sent, in any cut it asks for; the writer waits while the window is full.
Rule 2: one task reads and one task writes at a time, as trio's own sockets want it. Both notice a cancellation; they
give others a turn only when they wait, because every turn costs and nobody here can starve.
Rule 3: it knows nothing of addresses; delays belong to whoever connects.
"""

from __future__ import annotations

import errno
import os

import trio

WINDOW_BYTES = 64 * 1024


class Pipe:
    """Bytes on their way. `finish`: the writer has no more. `reset`: the connection is gone for both."""

    __slots__ = ("_broken", "_buffer", "_ended", "_reader", "_stalled", "_writer")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ended = False
        self._broken = False
        self._stalled = False
        self._reader: trio.lowlevel.Task | None = None
        self._writer: trio.lowlevel.Task | None = None

    @property
    def readable(self) -> bool:
        """Whether a read would return at once: data, the end, or an error."""
        return bool(self._buffer) or self._ended or self._broken

    @property
    def holds_bytes(self) -> bool:
        """Whether something was sent that nobody has read."""
        return bool(self._buffer)

    async def send(self, data: bytes | bytearray | memoryview) -> int:
        """Put in as much as the window takes and return how much that was. Raises OSError (EPIPE, ECONNRESET)."""
        waited = False
        while not self._broken and not self._ended and not self._stalled and len(self._buffer) >= WINDOW_BYTES:
            self._writer = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._forget_writer)
            waited = True
        if not waited:
            await trio.lowlevel.checkpoint_if_cancelled()
        if self._broken or self._ended:
            raise os_error(errno.ECONNRESET if self._broken else errno.EPIPE)
        if self._stalled:
            return len(data)  # into the kernel's buffer, and no further
        taken = data[: WINDOW_BYTES - len(self._buffer)]
        self._buffer += taken
        self._wake_reader()
        return len(taken)

    async def receive(self, bytes_max: int) -> bytes:
        """Take what is there, at most `bytes_max`; empty at the end. Raises OSError (ECONNRESET)."""
        if self.readable:
            await trio.lowlevel.checkpoint_if_cancelled()
        while not self.readable:
            self._reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._forget_reader)
        if self._broken:
            raise os_error(errno.ECONNRESET)
        if len(self._buffer) <= bytes_max:
            taken = bytes(self._buffer)
            self._buffer.clear()
        else:
            taken = bytes(self._buffer[:bytes_max])
            del self._buffer[:bytes_max]
        self._wake_writer()
        return taken

    def finish(self) -> None:
        """The writer closed its side: what is in the pipe is still delivered, then the end."""
        if not self._stalled:
            self._ended = True
            self._wake_reader()
            self._wake_writer()

    def reset(self) -> None:
        """The connection is gone: both sides meet ECONNRESET, what is in the pipe is lost."""
        if not self._stalled:
            self._broken = True
            self._buffer.clear()
            self._wake_reader()
            self._wake_writer()

    def stall(self) -> None:
        """Nothing arrives any more, not even the end: the radio link under the connection is gone."""
        self._stalled = True
        self._wake_writer()

    def _wake_reader(self) -> None:
        if self._reader is not None:
            task, self._reader = self._reader, None
            trio.lowlevel.reschedule(task)

    def _wake_writer(self) -> None:
        if self._writer is not None:
            task, self._writer = self._writer, None
            trio.lowlevel.reschedule(task)

    def _forget_reader(self, _: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _forget_writer(self, _: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED


def os_error(number: int) -> OSError:
    """The system's own error of that number."""
    return OSError(number, os.strerror(number))
