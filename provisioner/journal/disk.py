"""The few things the journal asks of a disk, as one small object, so that a simulated disk can stand in its place.

Rule 1: each method is one call of the system and decides nothing; all of them raise OSError.
Rule 2: what is written is only safe when it was synced: a file's bytes by `sync` or `sync_data`, its name by
`sync_folder` of the folder it stands in. A simulated disk may lose all the rest.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from provisioner import portable

_NEW: Final = os.O_APPEND | os.O_CREAT | os.O_EXCL
# macOS has no fdatasync. On Linux it also writes the file's new length, which is all that an append needs.
_fdatasync = getattr(os, "fdatasync", os.fsync)


class Disk:
    """The real one. Descriptors are the system's own."""

    # --- names ---

    def make_folder(self, path: Path) -> None:
        """Make one folder in a folder that exists; fine if it is there already."""
        path.mkdir(mode=0o750, exist_ok=True)

    def open_new(self, path: Path) -> int:
        """Create a file and open it for appending; FileExistsError if there is one."""
        return os.open(path, os.O_WRONLY | _NEW | portable.PRIVATE, 0o640)

    def open_lock(self, path: Path) -> int:
        """Open a lock file, made where it is missing, never through a link."""
        return os.open(path, os.O_RDWR | os.O_CREAT | portable.PRIVATE | portable.NO_LINK, 0o640)

    def open_existing(self, path: Path) -> int:
        """Open a file that is there, for repairing it."""
        return os.open(path, os.O_RDWR | portable.PRIVATE)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        portable.sync_folder(path)

    # --- an open file ---

    def lock(self, descriptor: int) -> None:
        """Take it for this process alone until it is closed; BlockingIOError if another process has it."""
        portable.lock(descriptor)

    def read_at(self, descriptor: int, count: int, at: int) -> bytes:
        """Up to `count` bytes from there on."""
        return portable.read_at(descriptor, count, at)

    def write(self, descriptor: int, data: bytes) -> int:
        """Append; how many bytes were taken."""
        return os.write(descriptor, data)

    def write_at(self, descriptor: int, data: bytes, at: int) -> int:
        """Write over what stands there; how many bytes were taken."""
        return portable.write_at(descriptor, data, at)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to so many bytes."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Make the file durable, whole."""
        os.fsync(descriptor)

    def sync_data(self, descriptor: int) -> None:
        """Make its bytes and its length durable: what an append needs."""
        _fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close it, which also lets go of a lock."""
        os.close(descriptor)


REAL_DISK: Final = Disk()


def require_all(written: int, data: bytes) -> None:
    """Raise OSError, as a full disk does at the next write, if a write has taken only a part."""
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes fitted")


def disk_of(path: Path) -> str:
    """How people find the disk that holds a path: by where it is mounted."""
    whole = path.absolute()
    mount = next((folder for folder in (whole, *whole.parents) if os.path.ismount(folder)), None)
    return f"the disk mounted at {mount}" if mount is not None else "its disk"
