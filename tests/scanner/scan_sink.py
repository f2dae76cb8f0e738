"""Where scans end in the tests of their readers: a desk that notes what was put."""

import trio

from provisioner.line.scan_desk import Scan


class Sink:
    def __init__(self, known=()):
        self.scans, self.known, self.ended, self.lost, self.found = [], set(known), False, [], []
        self.free = trio.Event()
        self.free.set()

    def when_scanned_again(self, act):
        self.again = act

    def put(self, scan):
        assert isinstance(scan, Scan)
        self.scans.append(scan)

    @property
    def texts(self):
        return [scan.text for scan in self.scans]

    def knows(self, text):
        return text in self.known

    async def wait_free(self):
        await self.free.wait()

    def no_more(self):
        self.ended = True

    def scanner_lost(self, source, station, why):
        self.lost.append((source, station, why))

    def scanner_found(self, source, station):
        self.found.append((source, station))


async def until(true):
    with trio.fail_after(10):
        while not true():
            await trio.sleep(0.005)
