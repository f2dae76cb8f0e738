"""A disk that loses power: what was written and not synced may be gone, torn, or full of zeros when it comes back.

Rule 1: real files below, so that whatever reads them needs no simulation; only what has not been made durable is
remembered, and `restart` takes it away again.
Rule 2: a file's bytes are safe from its last sync on, a name from the last sync of its folder on, and not before: what
one file system gives beyond that, another one does not (facts: reliability 2.1, ALICE).
Rule 3: without power every call raises `PowerCut`, and nothing of the program can be written any more. Only `close`
works: the kernel frees what a dead process held.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from provisioner.journal.disk import Disk

SECTOR = 512
T = TypeVar("T")


class PowerCut(BaseException):
    """The computer has no power. No error of the program's: nothing of it may handle this and go on."""


@dataclass
class _File:
    """One file that this disk has opened: so many bytes of it are safe, and `taken` was cut off and may come back.

    `before`: what stood where it was written over since the last sync; it may stand there again, or a part of it.
    """

    path: Path
    safe: int
    taken: bytes = b""
    before: dict[int, bytes] = field(default_factory=dict)


class PowerDisk(Disk):
    """Real files that need no waiting, until the power fails. `calls` counts what the program has asked so far.

    `at_cut` is called at the moment the power fails: for what else must not change any more. `failed_at_s` is when it
    first refused something, by `clock`; None if it never did.
    """

    def __init__(self, *, at_cut: Callable[[], None] = lambda: None, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.calls = 0
        self.on = True
        self.failed_at_s: float | None = None
        self._clock = clock
        self._at_cut = at_cut
        self._cut_at = 0
        self._after = False
        self._fails: tuple[int, str, int] | None = None
        self._open: dict[int, _File] = {}
        self._files: dict[Path, _File] = {}
        self._names: list[Path] = []  # made, and not safe yet; oldest first

    # --- arranging ---

    def cut(self) -> None:
        """The power fails now."""
        if self.on:
            self.on = False
            self._at_cut()

    def cut_at(self, call: int, *, after: bool) -> None:
        """The power fails at that call, counted like `calls`: before it, or after it and before anybody hears."""
        self._cut_at, self._after = call, after

    def fail_from(self, call: int, kind: str, number: int) -> None:
        """From that call on, every `write` or every `sync` (`kind`) fails with this error number."""
        self._fails = (call, kind, number)

    def restart(self, dice: random.Random, *, kept: bool = False) -> Counter[str]:
        """The power comes back: take away what was not safe, by these dice, and count what was lost.

        `kept`: only the program died, so the kernel has written everything down.
        """
        lost: Counter[str] = Counter()
        if not kept:
            for file in self._files.values():
                lost.update(_lose(file, dice))
            for name in reversed(self._names):
                if name.exists() and dice.random() < 0.5:
                    shutil.rmtree(name) if name.is_dir() else name.unlink()
                    lost["a name"] += 1
        self.on, self._cut_at, self._fails, self.failed_at_s = True, 0, None, None
        self._open, self._files, self._names = {}, {}, []
        return lost

    # --- what a journal asks ---

    def make_folder(self, path: Path) -> None:
        """As the real disk; its name is not safe yet."""
        there = path.exists()
        self._call("name", lambda: super(PowerDisk, self).make_folder(path))
        if not there:
            self._names.append(path)

    def open_new(self, path: Path) -> int:
        """As the real disk; its name is not safe yet."""

        def act() -> int:
            descriptor = super(PowerDisk, self).open_new(path)
            self._names.append(path)
            self._open[descriptor] = self._files[path] = _File(path, safe=0)
            return descriptor

        return self._call("name", act)

    def open_lock(self, path: Path) -> int:
        """As the real disk. What stands in a lock file is for people; nobody misses it."""
        return self._call("name", lambda: super(PowerDisk, self).open_lock(path))

    def open_existing(self, path: Path) -> int:
        """As the real disk."""

        def act() -> int:
            descriptor = super(PowerDisk, self).open_existing(path)
            file = self._files.setdefault(path, _File(path, safe=os.fstat(descriptor).st_size))
            self._open[descriptor] = file
            return descriptor

        return self._call("name", act)

    def sync_folder(self, path: Path) -> None:
        """The names in it are safe."""

        def act() -> None:
            self._names = [name for name in self._names if name.parent != path]

        self._call("sync", act)

    def write(self, descriptor: int, data: bytes) -> int:
        """As the real disk; the bytes are not safe yet."""
        return self._call("write", lambda: super(PowerDisk, self).write(descriptor, data))

    def write_at(self, descriptor: int, data: bytes, at: int) -> int:
        """As the real disk; what stood there may come back. (What stands in a lock is missed by nobody.)"""

        def act() -> int:
            file = self._open.get(descriptor)
            if file is not None and at not in file.before:
                file.before[at] = os.pread(descriptor, len(data), at)
            return super(PowerDisk, self).write_at(descriptor, data, at)

        return self._call("write", act)

    def truncate(self, descriptor: int, size: int) -> None:
        """As the real disk; what was cut off may come back."""

        def act() -> None:
            file = self._open.get(descriptor)
            if file is not None:
                file.taken = os.pread(descriptor, max(0, file.safe - size), size)
                file.safe = min(file.safe, size)
            super(PowerDisk, self).truncate(descriptor, size)

        self._call("write", act)

    def sync(self, descriptor: int) -> None:
        """What stands in the file is safe."""
        self._call("sync", lambda: self._synced(descriptor))

    def sync_data(self, descriptor: int) -> None:
        """As `sync`."""
        self._call("sync", lambda: self._synced(descriptor))

    def close(self, descriptor: int) -> None:
        """As the real disk, with and without power."""
        self._open.pop(descriptor, None)
        super().close(descriptor)

    def _synced(self, descriptor: int) -> None:
        file = self._open.get(descriptor)
        if file is not None:
            file.safe, file.taken = os.fstat(descriptor).st_size, b""
            file.before.clear()

    def _call(self, kind: str, act: Callable[[], T]) -> T:
        """One call: the power may fail before it or after it, or the disk may refuse it."""
        if not self.on:
            raise PowerCut
        self.calls += 1
        if self.calls == self._cut_at and not self._after:
            self.cut()
            raise PowerCut
        if self._fails is not None and kind == self._fails[1] and self.calls >= self._fails[0]:
            self.failed_at_s = self._clock() if self.failed_at_s is None else self.failed_at_s
            raise OSError(self._fails[2], os.strerror(self._fails[2]))
        result = act()
        if self.calls == self._cut_at:
            self.cut()
            raise PowerCut
        return result


def _lose(file: _File, dice: random.Random) -> Counter[str]:
    """What becomes of the bytes of one file that are not safe."""
    if not file.path.exists():
        return Counter()
    lost = _put_back(file, dice)
    data = file.path.read_bytes()
    safe, tail = data[: file.safe], data[file.safe :]
    if file.taken and dice.random() < 0.5:
        file.path.write_bytes(safe + file.taken)
        return lost + Counter({"a cut that came back": 1})
    if not tail:
        return lost
    way = dice.choice(("a tail", "a part of a line", "sectors of a line", "nothing of what could be"))
    if way == "a tail":
        tail = b""
    elif way == "a part of a line":
        tail = tail[: dice.randrange(len(tail))]
    elif way == "sectors of a line":  # the length came first, and some sectors never came
        tail = _with_holes(tail, len(safe), dice)
    file.path.write_bytes(safe + tail)
    return lost + Counter({way: 1})


def _put_back(file: _File, dice: random.Random) -> Counter[str]:
    """Where a file was written over: the new bytes, those of before, or the first ones new and the rest of before."""
    lost: Counter[str] = Counter()
    for at, before in file.before.items():
        way = dice.choice(("", "what was written over", "a part of what was written over"))
        if way:
            data = bytearray(file.path.read_bytes())
            kept = dice.randrange(len(before) + 1) if way.startswith("a part") else 0
            data[at + kept : at + len(before)] = before[kept:]
            file.path.write_bytes(data)
            lost[way] += 1
    return lost


def _with_holes(tail: bytes, start: int, dice: random.Random) -> bytes:
    """The tail with at least one sector of zeros in it; a sector ends where the file's own sectors end."""
    borders = [0, *range(SECTOR - start % SECTOR, len(tail), SECTOR), len(tail)]
    sectors = [tail[low:high] for low, high in itertools.pairwise(borders)]
    hole = dice.randrange(len(sectors))
    kept = [index != hole and dice.random() < 0.5 for index in range(len(sectors))]
    return b"".join(sector if keep else bytes(len(sector)) for sector, keep in zip(sectors, kept, strict=True))
