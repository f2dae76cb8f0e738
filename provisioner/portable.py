"""What systems call differently about an open file: flags, places, locks. POSIX, and Windows (not verified on one).

Rule 1: each function is one call of the system and decides nothing; all of them raise OSError.
Rule 2: nothing else in the program asks which of the two it runs on for the sake of a file.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

WINDOWS: Final = sys.platform == "win32"
# Not handed to other programs; no translation of line ends where a system would do that.
PRIVATE: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0) | getattr(os, "O_BINARY", 0)
NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_LOCKED_AT: Final = 1 << 30  # Windows locks bytes, and nobody reads them meanwhile: so one beyond what is written


def lock(descriptor: int) -> None:
    """Take the file for this process alone until it is closed; BlockingIOError if another process has it.

    The kernel lets go of it when the process dies, however it dies: on both systems.
    """
    if not WINDOWS:
        fcntl = _module("fcntl")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    msvcrt = _module("msvcrt")
    os.lseek(descriptor, _LOCKED_AT, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EDEADLK):
            raise BlockingIOError(errno.EWOULDBLOCK, "another process has locked it") from error
        raise


def _module(name: str) -> ModuleType:
    """One of the two modules that only one of the two systems has."""
    return __import__(name)


def read_at(descriptor: int, count: int, at: int) -> bytes:
    """Up to `count` bytes from there on."""
    if not WINDOWS:
        return os.pread(descriptor, count, at)
    os.lseek(descriptor, at, os.SEEK_SET)
    return os.read(descriptor, count)


def write_at(descriptor: int, data: bytes, at: int) -> int:
    """Write over what stands there; how many bytes were taken."""
    if not WINDOWS:
        return os.pwrite(descriptor, data, at)
    os.lseek(descriptor, at, os.SEEK_SET)
    return os.write(descriptor, data)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Windows opens no folder: there the file system's own journal must do."""
    if WINDOWS:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | PRIVATE)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
