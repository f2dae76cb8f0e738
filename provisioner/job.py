"""What the person asked for, read and checked before anything is touched: files first, then secrets.

Rule 1: everything that can be said to be wrong without the cloud is said here, with the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provisioner.errors import (
    InputRefused,
    StationMissing,
)
from provisioner.line.manifest import Manifest, load_manifest
from provisioner.model import ClaimTo, WifiProfile, printable
from provisioner.secrets import Secret
from provisioner.settings import LoadedSettings, SecretSource, Settings, StationSettings, load_settings


@dataclass(frozen=True)
class Job:
    """What the person asked for. `watched`: people look on, so a cloud that is away at the start is waited for."""

    command: str
    manifest: Path
    config: Path
    runs_dir: Path
    stations: Sequence[str] = ()
    scanner: bool = False
    scanner_devices: Sequence[str] = ()  # PATH, or STATION=PATH
    watched: bool = False


@dataclass(frozen=True)
class Prepared:
    """A job whose files have been read and checked."""

    job: Job
    loaded: LoadedSettings
    manifest: Manifest
    secrets: SecretSource

    @property
    def settings(self) -> Settings:
        """The settings tree."""
        return self.loaded.settings


def prepare(job: Job, environment: Mapping[str, str]) -> Prepared:
    """Read and check settings and manifest. Raises FileRefused with every mistake."""
    loaded = load_settings(job.config)
    manifest = load_manifest(job.manifest, loaded.settings)
    prepared = Prepared(job, loaded, manifest, SecretSource(environment, job.config.parent))
    _check_fits(prepared)
    return prepared


def _check_fits(prepared: Prepared) -> None:
    """What neither file can know alone: an account for account claims, stations for devices to visit."""
    settings, manifest = prepared.settings, prepared.manifest
    policies = {(tray.claim.to, tray.claim.customer is None) for tray in manifest.trays}
    needs_account = (ClaimTo.ACCOUNT, True) in policies or (ClaimTo.ONLINE, True) in policies
    if needs_account and not settings.cloud.account:
        raise InputRefused(
            "a tray is claimed to the account, but the settings do not name it",
            remedy=f"Under `cloud:` in {prepared.job.config}, add `account:`, the user name that shall own them.",
        )
    unknown = sorted(set(prepared.job.stations) - {station.name for station in settings.stations})
    if unknown:
        raise StationMissing(f"no station named {', '.join(unknown)} in {prepared.job.config}")
    if prepared.job.command == "run" and not stations_of(prepared) and any(device.needs_visit for device in manifest):
        raise StationMissing(f"{prepared.job.config} names no station, and this manifest has devices to visit")


def stations_of(prepared: Prepared) -> list[StationSettings]:
    """The stations this job works: all of the settings, or the ones it names."""
    wanted = prepared.job.stations
    return [station for station in prepared.settings.stations if not wanted or station.name in wanted]


@dataclass(frozen=True, slots=True)
class SerialScanner:
    """A scanner on a serial device. Without a station its scans go to whichever is free."""

    path: str
    station: str | None
    baud: int = 9600


def serial_scanners_of(prepared: Prepared) -> list[SerialScanner]:
    """The serial scanners of this job: those the command line names, else those of the settings."""
    stations = stations_of(prepared)
    if not prepared.job.scanner_devices:
        return [SerialScanner(one.scanner, one.name, one.scanner_baud) for one in stations if one.scanner]
    only = stations[0].name if len(stations) == 1 else None
    found: list[SerialScanner] = []
    for text in prepared.job.scanner_devices:
        name, _, path = text.rpartition("=")
        if name and name not in {station.name for station in stations}:
            raise StationMissing(f"no station named {printable(name)} for the scanner {printable(path)}")
        if path in {one.path for one in found}:
            raise InputRefused(f"{printable(path)} is named twice", remedy="Name each scanner once.")
        found.append(SerialScanner(path, name or only))
    return found


@dataclass(frozen=True)
class RunSecrets:
    """Every secret a job needs, read before anything is touched."""

    client_secret: Secret | None
    user_token: Secret | None
    wifi: Mapping[str, tuple[WifiProfile, Secret | None]]

    @classmethod
    def of(cls, prepared: Prepared) -> RunSecrets:
        """Read the secrets this manifest needs, no others. Raises SecretMissing or SecretUnsafe."""
        settings, manifest, source = prepared.settings, prepared.manifest, prepared.secrets
        account = any(
            tray.claim.to is ClaimTo.ACCOUNT or (tray.claim.to is ClaimTo.ONLINE and tray.claim.customer is None)
            for tray in manifest.trays
        )
        profiles = sorted({tray.wifi for tray in manifest.trays if tray.wifi is not None})
        if prepared.job.command == "import":
            profiles = []
        return cls(
            source.client_secret(settings.cloud) if manifest.product is not None else None,
            source.user_token(settings.cloud) if account else None,
            {name: (settings.wifi_profile(name), source.wifi_password(name, settings.wifi[name])) for name in profiles},
        )
