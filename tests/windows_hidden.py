"""Makes this process look like one on Windows, as far as Python shows it, and runs `windows_hidden.py WORDS...`.

What only POSIX has is hidden (modules, flags, signals, socket families), after the libraries have been loaded: they
have branches of their own. A msvcrt stands in for the real one; its lock is the kernel's, over processes.
"""

import errno
import os
import signal
import socket
import sys
import types
from functools import partial
from importlib import import_module

MODULES = ("fcntl", "termios", "tty", "pty", "pwd", "grp", "resource", "syslog", "jeepney", "readline")
OF_OS = (
    "O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_NOCTTY", "O_SYNC", "O_DSYNC", "pread", "pwrite",
    "preadv", "fdatasync", "fchmod", "fchown", "chown", "geteuid", "getuid", "getgid", "getegid", "fork", "killpg",
    "getpgrp", "tcgetpgrp", "statvfs", "uname", "mkfifo", "nice", "sysconf", "setsid", "initgroups", "posix_spawn",
    "get_blocking", "set_blocking", "sched_getaffinity",
)  # fmt: skip
SIGNALS = ("SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE", "SIGTSTP", "SIGWINCH", "SIGQUIT", "SIGKILL")
LIBRARIES = (
    "click", "cryptography.x509", "cryptography.hazmat.primitives.asymmetric.rsa", "h11", "httpx", "hypercorn.trio",
    "platform", "pydantic", "rich.live", "rich.progress", "rich.table", "starlette.routing", "starlette.staticfiles",
    "structlog", "trio.testing", "yaml",
)  # fmt: skip
OF_SOCKET = ("SO_BINDTODEVICE", "AF_UNIX", "AF_NETLINK", "AF_PACKET")


class Console:
    """A msvcrt whose keys are typed by the test, and whose locks hold over processes."""

    LK_NBLCK = 2

    def __init__(self, keys, fcntl):
        self.keys, self.shown, self._fcntl = list(keys), [], fcntl
        self.locked = []

    def kbhit(self):
        if self.keys and self.keys[0] is None:  # nothing is typed for a moment
            return self.keys.pop(0)
        return bool(self.keys)

    def getwch(self):
        return self.keys.pop(0)

    def putwch(self, character):
        self.shown.append(character)

    def locking(self, descriptor, mode, count):
        """Mandatory on Windows: whoever reads or writes those bytes is refused. So they must lie beyond all text."""
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        assert at > 1 << 20, "a lock on bytes that somebody reads"
        self.locked.append((mode, count))
        try:
            self._fcntl.flock(descriptor, self._fcntl.LOCK_EX | self._fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(errno.EACCES, "Permission denied") from error


def hide(keys="", *, simulated_air=False):
    """From now on, until this process ends. The simulated air tells adapters apart by Linux's way of binding."""
    import fcntl
    import sysconfig

    for library in LIBRARIES:
        import_module(library)
    sysconfig.get_config_vars()
    assert not [name for name in sys.modules if name.startswith("provisioner")]
    console = Console(keys, fcntl)
    for name in MODULES:
        sys.modules[name] = None
    socket.socketpair = partial(socket.socketpair, socket.AF_UNIX)  # Python's own way to one needs no AF_UNIX there
    for holder, names in ((os, OF_OS), (signal, SIGNALS), (socket, OF_SOCKET), (sys.modules["trio.socket"], OF_SOCKET)):
        for name in names:
            if hasattr(holder, name) and not (simulated_air and name == "SO_BINDTODEVICE"):
                delattr(holder, name)
    module = types.ModuleType("msvcrt")
    for name in ("LK_NBLCK", "kbhit", "getwch", "putwch", "locking"):
        setattr(module, name, getattr(console, name))
    sys.modules["msvcrt"] = module
    sys.platform = "win32"
    return console


if __name__ == "__main__":
    hide(simulated_air="demo" in sys.argv)
    from provisioner.cli import main

    main(sys.argv[1:])
