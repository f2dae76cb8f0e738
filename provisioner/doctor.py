"""`provisioner doctor`: everything a run needs, looked at before the first board; each thing with its remedy.

Rule 1: it changes nothing: no adapter is moved, nothing is written but one file that is removed again, and the cloud
is asked what a run asks first. What cannot be looked at is a finding, not a crash.
Rule 2: all of it is looked at; one bad thing hides no other.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from provisioner.app import BREAKER_FILE, Outside
from provisioner.cloud.client import open_cloud
from provisioner.errors import FileRefused, InputRefused, ProvisionerError
from provisioner.line.manifest import load_manifest
from provisioner.network.bound import bound_socket
from provisioner.network.host import Finding, look, routes, uplinks
from provisioner.nightly import manifests_beside
from provisioner.opening import PHOTONS
from provisioner.secrets import Secret
from provisioner.settings import SecretSource, Settings, StationSettings, load_settings

DISK_FREE_MIN = 1 << 30  # bytes; a shift of 10,000 boards writes some 50 MB
SKEW_MAX = timedelta(seconds=60)
ROOT = Path("/")


@dataclass(frozen=True)
class Visit:
    """What is to be examined. `root` is where /proc and /sys are."""

    config: Path
    runs_dir: Path
    outside: Outside
    root: Path = ROOT


async def examine(visit: Visit) -> AsyncGenerator[Finding, None]:
    """Look at everything, the files first."""
    try:
        settings = load_settings(visit.config).settings
    except FileRefused as refused:
        for mistake in refused.mistakes:
            yield Finding("settings", str(mistake).removesuffix(f"; {mistake.remedy}"), mistake.remedy)
        return
    except InputRefused as refused:
        yield _bad("settings", refused)
        return
    yield Finding("settings", f"{visit.config} is good")
    for finding in (*_manifests(visit, settings), *_disk(visit.runs_dir), *_stations(settings)):
        yield finding
    adapters = [station.adapter for station in settings.stations if station.adapter]
    for finding in (*look(adapters, visit.root), *_ways_out(settings, visit.root)):
        yield finding
    for station in settings.stations:
        async for finding in _adapter(station, visit):
            yield finding
    async for finding in _cloud(settings, visit):
        yield finding


def _bad(what: str, failure: ProvisionerError) -> Finding:
    return Finding(what, failure.detail, failure.remedy)


def _manifests(visit: Visit, settings: Settings) -> Iterator[Finding]:
    try:
        paths = manifests_beside(visit.config)
    except InputRefused as none:
        yield Finding("manifests", none.detail, none.remedy, advice=True)
        return
    for path in paths:
        try:
            manifest = load_manifest(path, settings)
        except FileRefused as refused:
            yield Finding("manifests", f"{path}: {len(refused.mistakes)} mistakes", f"Run: provisioner check {path}")
        else:
            yield Finding("manifests", f"{path}: {len(manifest.trays)} trays, {len(manifest)} devices")


def _disk(runs_dir: Path) -> Iterator[Finding]:
    """A journal must be writable and durable, and must not fill the disk in mid-shift."""
    there = runs_dir if runs_dir.exists() else runs_dir.absolute().parent
    probe = there / f".doctor-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(b"x")
            os.fsync(file.fileno())
        free = shutil.disk_usage(there).free
    except OSError as error:
        why = error.strerror or str(error)
        yield Finding(
            "disk",
            f"{there} cannot be written: {why}",
            "Give this account the right to write there, or use --runs-dir.",
        )
        return
    finally:
        probe.unlink(missing_ok=True)
    if free < DISK_FREE_MIN:
        yield Finding(
            "disk", f"only {free >> 20} MB are free for {there}", "Free some space; old runs can be moved away."
        )
    else:
        yield Finding("disk", f"{there} can be written, {free >> 30} GB are free")


def _stations(settings: Settings) -> Iterator[Finding]:
    if not settings.stations:
        yield Finding("stations", "there is none", "Name them under `stations:` in the settings.", advice=True)


def _ways_out(settings: Settings, root: Path) -> Iterator[Finding]:
    """An adapter that carries the default route and is said to be separate would cut this computer off."""
    if not (root / "proc/net/route").exists():
        return  # another system: nothing can be said of it
    out = uplinks(routes(root))
    for station in settings.stations:
        if station.adapter in out and station.uplink == "separate" and len(out) == 1:
            yield Finding(
                "uplink",
                f"{station.adapter} of {station.name} is this computer's only way out, and is said to be separate",
                f"Write `uplink: shared` for {station.name}, or connect a cable.",
            )
        if station.adapter and station.adapter not in out and station.uplink == "shared":
            yield Finding(
                "uplink",
                f"{station.adapter} of {station.name} is said to carry the uplink, and no way out goes over it",
                f"Join the uplink network on {station.adapter}, or write `uplink: separate` for {station.name}.",
            )
    if out:
        yield Finding("uplink", f"the way out is {', '.join(out)}")


async def _adapter(station: StationSettings, visit: Visit) -> AsyncIterator[Finding]:
    what = f"station {station.name}"
    try:
        bound_socket(station.adapter).close()
    except OSError as error:
        missing = error.errno in (errno.ENODEV, errno.ENXIO)
        detail = f"there is no adapter {station.adapter}" if missing else f"{station.adapter}: {error.strerror}"
        yield Finding(what, detail, "Plug the adapter in, or correct `adapter:`; `ip link` lists those there are.")
        return
    try:
        factory = visit.outside.load_switcher(station.switcher)
        for finding in await examined(factory, station.adapter):
            yield Finding(f"{what}: {finding.what}", finding.detail, finding.remedy, finding.advice)
    except ProvisionerError as failure:
        yield _bad(what, failure)
    else:
        yield Finding(what, f"{station.switcher} can use {station.adapter or 'the only adapter'}")


async def examined(factory: object, adapter: str) -> list[Finding]:
    """What a back end says of an adapter; nothing, where it has nothing to say."""
    ask = getattr(factory, "examine", None)
    if ask is None:
        return []
    found: list[Finding] = await ask(adapter)
    return found


async def _cloud(settings: Settings, visit: Visit) -> AsyncIterator[Finding]:
    source = SecretSource(visit.outside.environment, visit.config.parent)
    try:
        secret = source.client_secret(settings.cloud)
    except InputRefused as refused:
        yield _bad("credentials", refused)
        return
    async for finding in _answers(settings, visit, secret):
        yield finding


async def _answers(settings: Settings, visit: Visit, secret: Secret) -> AsyncIterator[Finding]:
    findings: list[Finding] = []
    breaker = visit.runs_dir / BREAKER_FILE if visit.runs_dir.is_dir() else None
    async with open_cloud(
        settings.cloud,
        client_secret=secret,
        user_token=None,
        dice=visit.outside.dice,
        wall=visit.outside.wall,
        breaker_file=breaker,
        http_transport=visit.outside.http_transport,
    ) as cloud:
        try:
            if settings.product is None:
                await cloud.ask_anything()
                findings.append(Finding("cloud", "it answers"))
            else:
                product = await cloud.product(settings.product)
                findings.append(Finding("cloud", f"it answers, and shows product {product.slug} to this client"))
                if product.platform_id not in PHOTONS:
                    findings.append(
                        Finding(
                            "product",
                            f"is of platform {product.platform_id}",
                            "Only Photons (6) and P1 (8) can be worked.",
                        )
                    )
        except ProvisionerError as failure:
            findings.append(_bad("cloud", failure))
        now = cloud.clock.at(trio.current_time())
    for finding in findings:
        yield finding
    if now is not None:
        yield _clock(now, visit.outside.wall())


def _clock(cloud: datetime, here: datetime) -> Finding:
    """Proofs use the cloud's clock alone; but certificates and journals need a clock that is about right."""
    off = abs(here.astimezone(UTC) - cloud)
    if off > SKEW_MAX:
        return Finding(
            "clock",
            f"this computer's clock is {off} off the cloud's",
            "Switch time synchronisation on: timedatectl set-ntp true",
        )
    return Finding("clock", "this computer and the cloud agree")
