"""A factory with nights: runs in virtual time, drift while nobody looks, `reconcile` after it."""

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from provisioner import nightly, undo
from provisioner.demo.files import LineFile, TrayFile
from provisioner.demo.virtual import VirtualFactory
from provisioner.job import Job
from provisioner.journal.fields import GENESIS
from provisioner.journal.records import compose
from provisioner.model import DeviceID
from provisioner.reconcile.classes import Class
from provisioner.simulator.cloud.drift import Drift
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.operators import Habits
from provisioner.simulator.virtual.run import run_virtually

EPOCH = datetime(2026, 11, 19, 6, tzinfo=UTC)


def write_run(runs_dir, run, *events, product="tempmon-v100", command="run", at=EPOCH, **started):
    """A journal that verifies; events are (name, fields)."""
    path = runs_dir / run / "journal.jsonl"
    path.parent.mkdir(parents=True)
    head = GENESIS
    lines = []
    opening = ("run.started", {"command": command, "product": product, **started})
    for seq, (event, fields) in enumerate([opening, *events]):
        at_ = at + timedelta(seconds=seq)
        record, line = compose(event, fields, seq=seq, at=at_, mono_ms=seq * 1000, run=run, prev=head)
        head = record.hash
        lines.append(line)
    path.write_bytes(b"".join(lines))
    return path


class Site:
    """One site. `play` runs an async function inside its living world, in virtual time."""

    def __init__(self, folder, *, seed=1, faults="none", boards=8, trays=2, stations=2, **changes):
        self.folder, self.seed, self.stations = folder, seed, stations
        self.virtual = VirtualFactory(seed=seed, faults=PROFILES[faults], **changes)
        self.cloud, self.world = self.virtual.cloud, self.virtual.world
        self.boards = [self.world.add_photon() for _ in range(boards)]
        share = -(-boards // trays)
        self.trays = [
            TrayFile(f"T-{number + 1}", self.boards[number * share : (number + 1) * share], "csv")
            for number in range(trays)
        ]
        self.drift = Drift(self.cloud)
        self.ids = [board.device_id for board in self.boards]
        self.runs_dir = folder / "runs"
        self.manifest, self.settings = self.write(folder)

    def write(self, folder, **manifest):
        folder.mkdir(exist_ok=True)
        adapters = [f"sim{number}" for number in range(self.stations)]
        return self.virtual.write(folder, self.trays, LineFile(adapters, budgets={"idle_stop_s": 120}), **manifest)

    def play(self, story):
        async def inside():
            async with self.virtual.alive():
                return await story(self)

        return run_virtually(inside, seed=self.seed)

    def bring(self, boards=None):
        self.world.start_operators(boards or self.boards, Habits(boards_max=4 * self.stations, handling_s=(0.1, 0.3)))

    async def run(self, command="run", manifest=None):
        job = Job(command, manifest or self.manifest, self.settings, self.runs_dir)
        return await self.virtual.run(job, console=Console(file=io.StringIO()))

    async def night(self, *manifests, repair=False, **wishes):
        job = nightly.NightJob(
            self.settings, self.runs_dir, list(manifests) or [self.manifest], repair=repair, **wishes
        )
        return await nightly.reconcile(job, self.virtual.outside())

    async def restore(self, *devices, remove=True):
        ids = [DeviceID(getattr(device, "device_id", device)) for device in devices]
        job = undo.UndoJob(self.settings, self.runs_dir, ids, remove, "tempmon-v100")
        return await undo.restore(job, self.virtual.outside())

    def owner(self, board):
        return self.cloud.fleet.find(board.device_id).owner


def classes_of(morning):
    """What the night counted, without the classes that nobody is in."""
    return {kind.value: count for kind, count in morning.tally.classes.items() if count}


def in_class(morning, kind):
    return {found.device for found in morning.tally.kept.get(Class(kind), [])}
