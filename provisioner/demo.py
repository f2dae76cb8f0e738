"""A whole factory on this computer: the simulated cloud, air and Photons, and the real `run` over them.

Rule 1: the line is the one of `app`, told by files and environment like any other; only `Outside` differs. Nothing
in the production path knows of the simulator; this module is the only one that imports it.
Rule 2: real HTTP and TCP on loopback. The world runs `SPEED` times as fast as reality, so the budgets are cut to fit.
Rule 3: at the end the world's own history is asked whether what the journal says is true.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio
from rich.console import Console

from provisioner import app
from provisioner.console.stopped import counted
from provisioner.errors import ExitCode, InputRefused
from provisioner.job import Job, prepare
from provisioner.journal.reader import replay
from provisioner.model import printable
from provisioner.settings import Budgets
from provisioner.simulator import faults as faults_of
from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.serving import serve_cloud
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import Dice
from provisioner.simulator.operators import Habits
from provisioner.simulator.photon.sim_photon import SimPhoton
from provisioner.simulator.world import World

SPEED = 12.0
TRAYS = 3
IDLE_STOP_S = 15.0
_BUDGET_SLACK = 2.0  # loopback and Python are not twelve times as fast as reality
_NOT_SCALED = {"claim_code_age_s"}
CUSTOMER = "line3+{tray}@example.com"


@dataclass(frozen=True)
class Wishes:
    """What the person asked for."""

    devices: int
    stations: int
    seed: int | None
    faults: str
    keep: bool
    runs_dir: Path


@dataclass(frozen=True)
class Factory:
    """The files and boards of one demo."""

    folder: Path
    manifest: Path
    config: Path
    trays: Sequence[Sequence[SimPhoton]]
    owners: Mapping[str, str | None]


def run_demo(wishes: Wishes, *, console: Console) -> app.RunEnd:
    """Run the whole factory; returns how the run ended. Raises what `app.run` raises."""
    seed = wishes.seed if wishes.seed is not None else random.SystemRandom().randrange(1_000_000)
    _say(
        console,
        f"A simulated factory: {counted(wishes.devices, 'Photon')} in {counted(min(TRAYS, wishes.devices), 'tray')}, "
        f"{counted(wishes.stations, 'station')}, {SPEED:g} times as fast as reality; faults: {wishes.faults}; "
        f"seed {seed}.",
    )
    return trio.run(partial(_demo, wishes, seed, console))


async def _demo(wishes: Wishes, seed: int, console: Console) -> app.RunEnd:
    faults = faults_of.PROFILES[wishes.faults]
    clock, dice = SimClock(speed=SPEED), Dice(seed)
    cloud = SimCloud(clock=clock, dice=dice, faults=faults)
    world = World(seed=seed, cloud=cloud, faults=faults, clock=clock)
    with tempfile.TemporaryDirectory(prefix="provisioner-demo-") as folder:
        async with trio.open_nursery() as nursery, world.running(loopback=True):
            port = await nursery.start(partial(serve_cloud, cloud_app(cloud)))
            factory = _build(world, Path(folder), wishes, port)
            boards = [board for tray in factory.trays for board in tray]
            dice.of("bench").shuffle(boards)
            world.start_operators(boards, Habits(boards_max=3 * wishes.stations))
            end = await _run_line(world, cloud, factory, runs_dir=wishes.runs_dir, console=console)
            nursery.cancel_scope.cancel()
        if wishes.keep:
            shutil.copytree(factory.folder, end.journal.parent / "factory")
    wrong = _check(world, cloud, factory, end)
    _report(wrong, console)
    return end if not wrong else app.RunEnd(ExitCode.OUR_BUG, end.run_id, end.journal, end.screen)


async def _run_line(world: World, cloud: SimCloud, factory: Factory, *, runs_dir: Path, console: Console) -> app.RunEnd:
    outside = app.Outside(
        environment={
            "PROVISIONER_CLIENT_SECRET": cloud.client_secret,
            "PROVISIONER_USER_TOKEN": cloud.user_token,
            "PROVISIONER_WIFI_FACTORY_2G": TEST_ROUTER.password,
        },
        dice=world.dice.of("line"),
        load_switcher=lambda name: world.switchers,
    )
    job = Job("run", factory.manifest, factory.config, runs_dir)
    return await app.run(prepare(job, outside.environment), outside, console=console)


# --- the factory's files: what a person would have written ---


def _build(world: World, folder: Path, wishes: Wishes, port: int) -> Factory:
    """Make the boards, and the settings, manifest and vendor's lists that go with them."""
    trays = world.make_trays(TRAYS, wishes.devices)
    manifest, config = folder / "manifest.yaml", folder / "line.yaml"
    inline = "\n".join(
        f'      - {{id: "{board.device_id}", slot: {slot}, serial: {board.serial}}}'
        for slot, board in enumerate(trays[0], start=1)
    )
    (folder / "T-0002.txt").write_text(
        "\r\n".join(["# tray 2, as e-mailed", *(board.device_id.upper() for board in trays[1])]) + "\r\n"
    )
    (folder / "T-0003.csv").write_text(
        "Device ID;Serial\n" + "\n".join(f"{board.device_id};{board.serial}" for board in trays[2]) + "\n"
    )
    head = (
        'version: 1\nproduct: tempmon-v100\nlot: "demo"\nwifi: factory-2g\n'
        f'claim: {{to: customer, customer: "{CUSTOMER}"}}\n'
    )
    parts = [
        f"  - id: T-0001\n    expect: {len(trays[0])}\n    devices:\n{inline}\n" if trays[0] else "",
        f"  - id: T-0002\n    expect: {len(trays[1])}\n    file: T-0002.txt\n" if trays[1] else "",
        f"  - id: T-0003\n    expect: {len(trays[2])}\n    file: T-0003.csv\n    claim: {{to: none}}\n"
        if trays[2]
        else "",
    ]
    manifest.write_text(f"{head}trays:\n{''.join(parts)}")
    config.write_text(_settings(wishes, port))
    owners: dict[str, str | None] = {}
    for tray, boards in zip(("t-0001", "t-0002", None), trays, strict=True):
        owners |= {board.device_id: CUSTOMER.format(tray=tray) if tray else None for board in boards}
    return Factory(folder, manifest, config, trays, owners)


def _settings(wishes: Wishes, port: int) -> str:
    """The settings file: real in everything but the address, and with budgets cut to the world's speed."""
    budgets = "\n".join(f"  {name}: {_scaled(name, value):.3f}" for name, value in Budgets().model_dump().items())
    stations = "\n".join(
        f"  - {{name: S{number}, switcher: simulated, adapter: sim{number}}}"
        for number in range(1, wishes.stations + 1)
    )
    return (
        f"version: 1\n"
        f"cloud:\n  base_url: http://127.0.0.1:{port}\n  client_id: tempmon06-3459\n  account: factory@example.com\n"
        f"  busy_pause_s: {5 / SPEED:.3f}\n"
        f"wifi:\n  factory-2g: {{ssid: {TEST_ROUTER.ssid}, security: wpa2_aes, channel: {TEST_ROUTER.channel}}}\n"
        f"stations:\n{stations}\n"
        f"budgets:\n{budgets}\n"
    )


def _scaled(name: str, value: float) -> float:
    if name in _NOT_SCALED:
        return value
    if name == "idle_stop_s":
        return IDLE_STOP_S
    # A beacon is old, and a wait between acts short, in the world's time; deadlines get slack for this computer.
    exact = name in ("setup_network_back_s", "configure_to_connect_s", "scan_pause_s", "site_probe_s") or "poll" in name
    return max(0.02, value / SPEED) if exact else max(1.0, value / SPEED * _BUDGET_SLACK)


# --- the end: is it true? ---


def _check(world: World, cloud: SimCloud, factory: Factory, end: app.RunEnd) -> list[str]:
    truth = Truth(
        records=list(replay(end.journal)),
        photons=world.history,
        cloud=cloud,
        listed=factory.owners,
        visited=set(factory.owners),
    )
    return check_all(truth)


def _report(wrong: Sequence[str], console: Console) -> None:
    if wrong:
        _say(console, "The factory's own history contradicts the journal:")
        for sentence in wrong:
            _say(console, f"  {sentence}")
        _say(console, "This is a bug in the program. Run it again with --seed and --keep, and report it.")
    else:
        _say(
            console,
            "Checked against the factory's own history: no false PASS, no write to a stranger, no claim code used "
            "twice, no take-over, one outcome each.",
        )


def _say(console: Console, sentence: str) -> None:
    """One sentence, wrapped between words on a terminal and left whole in a pipe."""
    with suppress(OSError):
        console.print(sentence, soft_wrap=not console.is_terminal)


# --- simulate ---


def run_simulate(*, cloud: str, photons: int, seed: int | None, faults: str, online_delay_s: float | None) -> None:
    """Serve the simulated cloud and Photons until interrupted; the first line on stdout says where."""
    host, _, port = cloud.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise InputRefused(
            f"'{printable(cloud)}' is not HOST:PORT", remedy="Write it as, for example, --cloud 127.0.0.1:8080."
        )
    drawn = seed if seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {drawn}", file=sys.stderr, flush=True)
    with _bind_refusal(cloud):
        trio.run(partial(_simulate, host, int(port), photons, seed=drawn, faults=faults, online_delay_s=online_delay_s))


@contextmanager
def _bind_refusal(address: str) -> Iterator[None]:
    try:
        yield
    except* OSError as errors:
        why = next(error for error in app.leaves(errors) if isinstance(error, OSError))
        raise InputRefused(
            f"the cloud cannot be served at {printable(address)}: {why.strerror or why}",
            remedy="Choose a free port (`--cloud 127.0.0.1:0` finds one), or an address of this computer.",
        ) from None


async def _simulate(host: str, port: int, count: int, *, seed: int, faults: str, online_delay_s: float | None) -> None:
    chosen = faults_of.PROFILES[faults]
    clock, dice = SimClock(), Dice(seed)
    cloud = SimCloud(clock=clock, dice=dice, faults=chosen)
    world = World(seed=seed, cloud=cloud, faults=chosen, clock=clock, online_delay_s=online_delay_s, boot_delay_s=0.0)
    async with trio.open_nursery() as nursery, world.running(loopback=True):
        bound = await nursery.start(partial(serve_cloud, cloud_app(cloud), host=host, port=port))
        boards = [world.add_photon() for _ in range(count)]
        for board in boards:
            world.present(board)
        for board in boards:
            while board.session is None:
                await trio.lowlevel.checkpoint()
            await board.session.ready.wait()
        print(json.dumps(_where(cloud, f"http://{host}:{bound}", boards)), flush=True)
        await trio.sleep_forever()


def _where(cloud: SimCloud, url: str, boards: Sequence[SimPhoton]) -> dict[str, object]:
    return {
        "cloud": url,
        "product": str(cloud.product.id),
        "slug": cloud.product.slug,
        "wifi": {
            "ssid": TEST_ROUTER.ssid,
            "password": TEST_ROUTER.password,
            "security": TEST_ROUTER.security.name.lower(),
            "channel": TEST_ROUTER.channel,
        },
        "client_id": cloud.client_id,
        "client_secret": cloud.client_secret,
        "user_token": cloud.user_token,
        "photons": [
            {
                "http": "{}:{}".format(*board.http_address),
                "tcp": "{}:{}".format(*board.tcp_address),
                "device_id": board.device_id,
                "ssid": board.ssid,
            }
            for board in boards
            if board.http_address is not None and board.tcp_address is not None
        ],
    }
