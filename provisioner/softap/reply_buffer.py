"""From chunks of bytes, in any cut, to one whole SoftAP reply. Sans-I/O.

Rule 1: read tolerantly: the firmware sends byte-wise chunks, half a 503, nothing at all, or JSON on a connection
it then forgets to close (facts: photon-softap 1.1, 1.2, T4, T5). The same bytes give the same end in any cut.
Rule 2: every buffer has a cap, and whatever comes in, only SoftAPError classes come out.
Rule 3: no message repeats text of a reply: an answer to `set` or `configure-ap` could echo a secret.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Generator

from provisioner.errors import SoftAPBusy, SoftAPCutShort, SoftAPEmptyReply, SoftAPNotFound, SoftAPReplyUnreadable
from provisioner.softap.protocol import Command, Reply

REPLY_BYTES_MAX = 64 * 1024  # a scan of 100 networks in one-byte chunks is 55 KiB, public-key 3.6 KiB
HEAD_BYTES_MAX = 16 * 1024
_CHUNK_LINE_BYTES_MAX = 256
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_BUSY = {500, 503}  # no request slot, no free socket (facts: photon-softap 1.1)
_SPACE = b" \t\r\n"
_SINGLE_BYTES = re.compile(rb"(?:1\r\n.\r\n)+", re.DOTALL)


class _StreamEnded(Exception):
    """The parser wants more bytes and there are none. Never leaves this module."""


class ReplyBuffer(ABC):
    """Collects one reply: `feed` chunks until it returns a Reply, or tell `eof`. Of no use after that.

    Both raise SoftAPBusy, SoftAPNotFound, SoftAPEmptyReply, SoftAPCutShort or SoftAPReplyUnreadable.
    The parser is a generator that yields when it wants more, so it reads like the wire, top to bottom.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self._raw = bytearray()
        self._body = bytearray()
        self._received = 0
        self._ended = False
        self._open_ended = False  # nothing but the JSON itself, or the end of the stream, says where the body ends
        self._parser = self._parse()

    def feed(self, chunk: bytes) -> Reply | None:
        """Take the next bytes and return the reply as soon as it is whole."""
        room = REPLY_BYTES_MAX - self._received
        self._received += len(chunk)
        self._raw += chunk[:room]
        reply = self._go_on()
        if reply is None and len(chunk) > room:
            raise self._unreadable(f"its answer is longer than {REPLY_BYTES_MAX // 1024} KiB")
        return reply

    def eof(self) -> Reply:
        """Take the end of the stream; a body that is whole JSON by then counts, whatever the framing lacks."""
        self._ended = True
        reply = self._go_on()
        if reply is None:  # cannot be: a parser that has met the end does not ask for more
            raise AssertionError("the reply parser waits for bytes after the end of the stream")
        return reply

    @abstractmethod
    def _parse(self) -> Generator[None, None, None]:
        """Move bytes from `_raw` to `_body`, yielding for more; return when the body is whole."""

    def _go_on(self) -> Reply | None:
        try:
            next(self._parser)
        except StopIteration:
            return self._whole()
        except _StreamEnded:
            return self._what_is_left()
        return None

    def _whole(self) -> Reply:
        if not self._body.strip():
            detail = f"the Photon answered {self.command} with nothing: it did not understand it and stored nothing"
            raise SoftAPEmptyReply(detail, command=self.command)
        return Reply(self.command, bytes(self._body))

    def _what_is_left(self) -> Reply:
        """Judge a stream that ended before the framing did."""
        if self._open_ended and not self._body.strip():
            if self._raw.strip():
                raise self._unreadable("its answer has no JSON in it")
            return self._whole()
        if self._open_ended and self.command is Command.SCAN_AP:
            return self._whole()  # an unescaped quote in an SSID hides the end of the JSON (T4)
        if JSONEnd().feed(self._body) is not None:
            return self._whole()
        detail = f"the Photon closed the connection in the middle of its answer to {self.command}"
        raise SoftAPCutShort(detail, command=self.command)

    def _more(self) -> Generator[None, None, None]:
        if self._ended:
            raise _StreamEnded
        yield

    def _line(self, bytes_max: int) -> Generator[None, None, bytes]:
        """Return the next line without its end (LF or CRLF)."""
        searched = 0
        while (end := self._raw.find(b"\n", searched, bytes_max)) < 0:
            if len(self._raw) >= bytes_max:
                raise self._unreadable("its answer has a header without end")
            searched = len(self._raw)
            yield from self._more()
        line = bytes(self._raw[:end])
        del self._raw[: end + 1]
        return line.removesuffix(b"\r")

    def _exactly(self, count: int) -> Generator[None, None, None]:
        while len(self._raw) < count:
            yield from self._more()
        self._body += self._raw[:count]
        del self._raw[:count]

    def _until_json_ends(self) -> Generator[None, None, None]:
        """Take a body that nothing measures: the first TCP connection is never closed (device-os issue 1252)."""
        self._open_ended = True
        scan = JSONEnd()
        while True:
            if not self._body:
                self._raw = self._raw.lstrip(_SPACE)
                if self._raw and self._raw[:1] != b"{":
                    raise self._unreadable("its answer is not JSON")
            end = scan.feed(self._raw)
            self._body += self._raw[:end]
            self._raw.clear()
            if end is not None:
                return
            yield from self._more()

    def _unreadable(self, what: str) -> SoftAPReplyUnreadable:
        return SoftAPReplyUnreadable(f"what answers {self.command} is no Photon: {what}", command=self.command)


class HTTPReplyBuffer(ReplyBuffer):
    """One HTTP reply: chunked (a Photon's own), with a length, or ended by its JSON or by the close."""

    def _parse(self) -> Generator[None, None, None]:
        yield from self._status()
        chunked, length = yield from self._headers()
        if chunked:
            yield from self._chunks()
        elif length is not None:
            yield from self._exactly(length)
        else:
            yield from self._until_json_ends()

    def _status(self) -> Generator[None, None, None]:
        """Judge the status as soon as its digits are there: a 503 comes without a blank line, then the close."""
        while len(self._raw) < len("HTTP/1.1 200"):
            if not b"HTTP/1.".startswith(self._raw[:7]):
                break
            yield from self._more()
        match = _STATUS.match(self._raw)
        status = int(match[1]) if match else None
        if status in _BUSY:
            detail = f"the Photon has no free socket for {self.command}: another program is talking to it"
            raise SoftAPBusy(detail, command=self.command)
        if status == 404:
            detail = f"what answers does not know {self.command} (404): it is no Photon in listening mode"
            raise SoftAPNotFound(detail, command=self.command)
        if status != 200:
            raise self._unreadable("it does not speak HTTP" if status is None else f"HTTP status {status}")

    def _headers(self) -> Generator[None, None, tuple[bool, int | None]]:
        """Return whether the body is chunked, and its length if one is given."""
        chunked, length, left = False, None, HEAD_BYTES_MAX
        while line := (yield from self._line(left)):
            left -= len(line) + 1
            name, _, value = line.partition(b":")
            value = value.strip().lower()
            if name.strip().lower() == b"transfer-encoding":
                chunked = chunked or b"chunked" in value
            elif name.strip().lower() == b"content-length":
                if not re.fullmatch(rb"[0-9]{1,9}", value) or int(value) > REPLY_BYTES_MAX:
                    raise self._unreadable("it gives no usable length")
                length = int(value)
        return chunked, length

    def _chunks(self) -> Generator[None, None, None]:
        while True:
            self._take_single_bytes()
            size = (yield from self._line(_CHUNK_LINE_BYTES_MAX)).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size) or int(size, 16) > REPLY_BYTES_MAX:
                raise self._unreadable("it sends chunks without a size")
            if int(size, 16) == 0:
                break
            yield from self._exactly(int(size, 16))
            if (yield from self._line(2)):
                raise self._unreadable("it sends chunks of another size than they say")
        try:
            while (yield from self._line(HEAD_BYTES_MAX)):
                pass  # trailers
        except _StreamEnded:
            pass  # the last chunk has been seen: the body is whole

    def _take_single_bytes(self) -> None:
        """Take a run of one-byte chunks at once: `public-key` has some 600 of them, and each line costs."""
        run = _SINGLE_BYTES.match(self._raw)
        if run is not None:
            self._body += run[0][3::6]
            del self._raw[: run.end()]


class TCPReplyBuffer(ReplyBuffer):
    """One reply from port 5609: an empty line or two, perhaps headers, then JSON; the close may never come."""

    def _parse(self) -> Generator[None, None, None]:
        self._open_ended = True
        left = HEAD_BYTES_MAX
        while True:
            while not self._raw:
                yield from self._more()
            if self._raw[:1] == b"{":
                break
            left -= len((yield from self._line(left))) + 1
        yield from self._until_json_ends()


class JSONEnd:
    """Finds where one JSON object ends, without parsing it; brackets inside strings do not count."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, data: bytes | bytearray) -> int | None:
        """Return how many of these bytes belong to the object once it has ended, None before."""
        for index, byte in enumerate(data):
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif byte == 0x5C:  # backslash
                    self._escaped = True
                elif byte == 0x22:  # quote
                    self._in_string = False
            elif byte == 0x22:
                self._in_string = True
            elif byte in b"{[":
                self._depth += 1
            elif byte in b"}]":
                self._depth -= 1
                if self._depth <= 0:
                    return index + 1
        return None
