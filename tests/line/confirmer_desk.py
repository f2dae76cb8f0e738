"""A confirmer at work over a bench's parts, for the tests of what proves and of what does not."""

import trio
from stages import ACCOUNT, OWNER, cloud_time

from provisioner.line.proof import Expectation

WORKERS = 4


class Desk:
    """A confirmer at work over a bench's parts."""

    def __init__(self, line, *, waiting_max=32, workers=WORKERS):
        self.line = line
        self.again = True
        for device in line.devices:
            line.write("device.imported", device, code="added")
        self.confirmer = line.confirmer(
            waiting_max=waiting_max, workers=workers, may_visit_again=lambda device: self.again
        )

    def wanted(self, device, *, visited=True, since=None, membership=True):
        at = cloud_time(trio.current_time() if since is None else since) if visited else None
        return Expectation(device, ACCOUNT, membership, visited, handshake_before=None, cloud_from=at)

    async def add(self, device, **how):
        """As after a visit."""
        self.line.write("device.identified", device)
        self.line.write("wifi.accepted", device)
        self.line.write("connect.intended", device)
        await self.confirmer.add(self.wanted(device, **how), station="S1")

    def online(self, device, *, owner=OWNER, **changes):
        now = cloud_time(trio.current_time())
        self.line.cloud.change(device, **({"online": True, "owner": owner, "last_handshake_at": now} | changes))

    def end(self, device):
        """(event, code) of the device's last record."""
        record = [record for record in self.line.records if record.device == device.id][-1]
        return record.event.removeprefix("device."), record.code

    def asked(self, device):
        return [at_s for id_, at_s in self.line.cloud.reads if id_ == device.id]
