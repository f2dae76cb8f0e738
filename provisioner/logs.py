"""The debug log: for people who look for a fault. It may be lost; the journal is the truth and needs none of it.

Rule 1: JSON lines into one file, never to stdout; without a file nothing is kept. A log that cannot be written never
stops the line.
Rule 2: events are past-tense dotted names with key-values; station and device are bound once per task with
`structlog.contextvars.bound_contextvars` (contextvars stay inside the trio task that bound them).
Rule 3: everything passes `redacted` last: values under secret-looking keys, `Secret`s, bearer tokens, 40-digit access
tokens, 63-character claim codes and query strings. Redaction is the second net, `Secret` is the first.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog

from provisioner import portable
from provisioner.errors import RunsFolderUnusable
from provisioner.secrets import Secret

HIDDEN: Final = "<hidden>"
TEXT_CHARACTERS_MAX: Final = 2_048
TRACEBACK_CHARACTERS_MAX: Final = 16_384
_DEPTH_MAX = 6

_SECRET_KEY = re.compile(
    r"passw|passphrase|secret|token|authori[sz]ation|credential|cookie|api_?key|claim_?code|\bpsk\b|^(cc|pwd|bearer)$",
    re.IGNORECASE,
)
# What secrets look like in text that somebody else wrote: an exception, a URL, a library's warning.
_SECRET_TEXTS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/._~=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b([a-z_]*(?:token|secret|password|api_?key))([\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;)}]+"),
     rf"\1\2{HIDDEN}"),
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{40}(?![0-9A-Za-z])"), HIDDEN),
    (re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{63}(?![A-Za-z0-9+/=])"), HIDDEN),
)  # fmt: skip

# httpx writes every URL at INFO, query string and all; hypercorn writes every request of the console.
_CHATTERS = ("httpx", "httpcore", "hypercorn", "hypercorn.error", "hypercorn.access")


def redacted(_logger: object, _method: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """Hide secrets in one event. A structlog processor; the last before the renderer."""
    return {
        key: HIDDEN if _SECRET_KEY.search(key) else _clean(value, TRACEBACK_CHARACTERS_MAX if key == "exception" else 0)
        for key, value in event.items()
    }


def _clean(value: object, characters_max: int = 0, depth: int = 0) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Secret):
        return HIDDEN
    if depth >= _DEPTH_MAX:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(key): HIDDEN if _SECRET_KEY.search(str(key)) else _clean(item, characters_max, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, characters_max, depth + 1) for item in value]
    text = without_secrets(value if isinstance(value, str) else repr(value))
    limit = characters_max or TEXT_CHARACTERS_MAX
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more)"


def without_secrets(text: str) -> str:
    """A text that somebody else wrote (an exception, a library's warning) without what looks like a secret in it."""
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text


@contextmanager
def configure_logs(file: Path | None) -> Iterator[None]:
    """Send structlog's and the standard library's events to `file` (None: nowhere) until the block ends.

    Raises RunsFolderUnusable when the file cannot be made. Global by nature: the process has one debug log.
    """
    sink = _Sink(file)
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # text only: structlog's other renderer shows every local variable
        redacted,
    ]
    renderer = structlog.processors.JSONRenderer()  # ASCII: nothing in it can harm a terminal
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    handler = _Handler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *processors,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in _CHATTERS}
    for name in _CHATTERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        structlog.reset_defaults()
        sink.close()


class _Sink:
    """The file as structlog's logger and as a line sink; `lost` counts what did not get in."""

    def __init__(self, file: Path | None) -> None:
        self.lost = 0
        self._descriptor: int | None = None
        if file is not None:
            try:
                self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | portable.PRIVATE, 0o640)
            except OSError as error:
                raise RunsFolderUnusable(
                    f"the debug log {file} cannot be made: {error.strerror or error}",
                    remedy="Give this account the right to write there, or name another folder with --runs-dir.",
                ) from error

    def write(self, line: str) -> None:
        """Append one line, or count it as lost."""
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, f"{line}\n".encode())
        except OSError:
            self.lost += 1  # the journal stops the line when the disk is bad; a debug log does not

    msg = debug = info = warning = error = critical = exception = log = write

    def close(self) -> None:
        """Close the file; what is logged later is lost."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _Handler(logging.Handler):
    """Brings the standard library's records (httpx, trio, asyncio) into the same file, at INFO and above."""

    def __init__(self, sink: _Sink) -> None:
        super().__init__(logging.INFO)
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            line = self.format(record)
        except (TypeError, ValueError, KeyError):  # a library whose message does not fit its arguments
            self._sink.lost += 1
        else:
            self._sink.write(line)
