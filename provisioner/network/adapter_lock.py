"""One adapter, one station: also across runs folders, back ends and processes of this computer.

Rule 1: on Linux the lock is a socket's name in the kernel: gone with the process, however it dies, with no file and no
right needed; and it is one for each network namespace, as adapters are.
Rule 2: elsewhere there is no such name: settings refuse two stations on one adapter, and that has to do.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from provisioner.errors import AdapterUnavailable
from provisioner.model import printable

Hold = Callable[[str], AbstractContextManager[None]]


@contextmanager
def held(adapter: str) -> Iterator[None]:
    """Hold this adapter ("" for whichever the routes say: nothing to hold). Raises AdapterUnavailable."""
    if not adapter or sys.platform != "linux":
        yield
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(f"\0provisioner adapter {adapter}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise AdapterUnavailable(f"{printable(adapter)} cannot be held: {error.strerror}") from error
            raise AdapterUnavailable(
                f"adapter {printable(adapter)} is already another station's",
                backend_code="in-use",
                remedy="Another run on this computer uses that adapter: wait until it has ended, or stop it.",
            ) from error
        yield
