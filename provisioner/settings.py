"""What is true of one site: cloud, Wi-Fi profiles, stations, budgets. `config/line.yaml`, read once at the edge.

Rule 1: unknown keys are errors; secrets in YAML are errors; every mistake is found in one pass.
Rule 2: settings say what is true of this line, never what steps a device goes through.
Rule 3: only this module reads the environment; parts of the tree are handed down by constructor.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from provisioner.errors import FileRefused, SecretMissing, SecretUnsafe
from provisioner.model import SecurityType, TrayLayout, WifiProfile, printable
from provisioner.portable import WINDOWS
from provisioner.secrets import Secret
from provisioner.strict_yaml import Seconds, Whole, mistakes_of, parse, read, secrets_in

_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_SECRET_FILE_BYTES_MAX = 4096
_LOOPBACK = re.compile(r"http://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?(/.*)?")


def _security_name(value: str) -> str:
    SecurityType.parse(value)
    return value


def _sendable_ssid(value: str) -> str:
    try:
        WifiProfile("", value, SecurityType.OPEN)
    except ValueError as error:
        raise ValueError(f"{error}; give the factory network a plain name of 1 to 32 bytes") from None
    return value


def _layout(value: str) -> str:
    TrayLayout.parse(value)
    return value


def _https_unless_loopback(value: str) -> str:
    if not value.startswith("https://") and not _LOOPBACK.fullmatch(value):
        raise ValueError(
            "tokens travel only over https://; write an https:// address (http:// is for this computer alone)"
        )
    return value.rstrip("/")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CloudSettings(_Part):
    """The Particle cloud and how hard this site may ask it. Limits: facts, particle-cloud 11."""

    base_url: Annotated[str, AfterValidator(_https_unless_loopback)] = "https://api.particle.io"
    client_id: str = ""
    client_secret_file: str | None = None
    user_token_file: str | None = None
    account: str | None = None  # user name that owns devices under policy `account`
    ca_file: str | None = None
    # The API allows 10,000 requests in 5 minutes from one public address; leave room for people and consoles.
    requests_per_5min: Annotated[Whole, Field(ge=1, le=10_000)] = 9_000
    token_calls_per_5min: Annotated[Whole, Field(ge=1, le=100)] = 60
    request_s: Seconds = 30.0
    busy_pause_s: Seconds = 5.0  # the first pause of all stations after a 429; doubled while it repeats, up to 24 fold
    import_chunk_devices_max: Annotated[Whole, Field(ge=1, le=1000)] = 100  # the API's own ceiling is not documented
    import_chunks_at_once: Annotated[Whole, Field(ge=1, le=16)] = 4


class WifiSettings(_Part):
    """One factory network by name. Its password comes from PROVISIONER_WIFI_<NAME> or `password_file`."""

    ssid: Annotated[str, AfterValidator(_sendable_ssid)]
    security: Annotated[str, AfterValidator(_security_name)] = "wpa2_aes"
    channel: Annotated[Whole, Field(ge=0, le=14)] = 0
    password_file: str | None = None


class StationSettings(_Part):
    """One jig with one Wi-Fi adapter."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}$")]
    switcher: str = "manual"
    adapter: str = ""
    uplink: Literal["separate", "shared"] = "separate"
    scanner: Annotated[str, Field(pattern=r"^(/.*)?$", max_length=255)] = ""  # the device of a serial one of its own
    scanner_baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600


class ScannerSettings(_Part):
    """What this site's scanners send around each label. CR, LF, TAB, STX, ETX and AIM identifiers go by themselves."""

    prefix: Annotated[str, Field(max_length=16)] = ""
    suffix: Annotated[str, Field(max_length=16)] = ""
    command_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9.]{3,16}$")] = "PVCTL"  # of command barcodes and badges
    # False where the firmware gives its boards a setup name of its own: then every board near by is asked who it is.
    labels_name_networks: bool = True


class SoftAPSettings(_Part):
    """How to speak to a Photon in listening mode (facts: photon-softap 1)."""

    host: str = "192.168.0.1"
    http_port: Annotated[Whole, Field(ge=1, le=65535)] = 80
    tcp_port: Annotated[Whole, Field(ge=1, le=65535)] = 5609
    fallback: Literal["none", "tcp"] = "tcp"
    prefix: str = "Photon-"


class Budgets(_Part):
    """How long each wait may last, in seconds. The evidence for each stands in facts, photon-softap 6."""

    scan_s: Seconds = 15.0
    scan_reuse_s: Seconds = 30.0  # the next board is taken from what was heard so long ago, without listening again
    join_s: Seconds = 25.0  # association and DHCP: median 2.5, p95 8; Android's SDK allows 20
    leave_s: Seconds = 5.0
    restore_s: Seconds = 30.0
    softap_command_s: Seconds = 8.0  # the SDKs' limit; ordinary commands take 0.02-0.7
    softap_slow_command_s: Seconds = 20.0  # configure-ap scans twice on >= 0.7.0: 3-8; scan-ap up to 8
    configure_to_connect_s: Seconds = 0.5  # iOS waits 0.5 between the two, Android 1
    owner_read_s: Seconds = 5.0  # the adapter is held while the owner is read: never longer than this
    claim_code_age_s: Seconds = 2700.0  # codes live an hour; ours are dropped at 45 minutes
    claim_code_wait_s: Seconds = 5.0
    confirm_s: Seconds = 90.0  # connect-ap to breathing cyan: median 8, p95 20, budget 60-90
    settle_s: Seconds = 10.0  # for a device that an earlier run left open: it has had its time
    confirm_poll_first_s: Seconds = 1.0
    confirm_poll_longest_s: Seconds = 5.0
    cloud_clock_tolerance_s: Seconds = 2.0
    setup_network_back_s: Seconds = 15.0  # a beacon younger than this after connect-ap may be a stale scan
    wifi_refused_after_s: Seconds = 30.0  # a wrong Wi-Fi password brings the setup network back after 35-60
    site_probe_s: Seconds = 10.0
    site_hold_max_s: Seconds = 600.0
    idle_stop_s: Seconds = 900.0
    stop_s: Seconds = 10.0  # after a signal: how long boards that were written to may take to be finished
    scanner_idle_stop_s: Seconds = 14_400.0  # in scanner mode: so long after the last scan nobody is there any more
    scan_pause_s: Seconds = 1.0
    scanned_board_s: Seconds = 60.0  # how long a station listens for the board that was scanned
    other_names_after_s: Seconds = 8.0  # a label names no network of six symbols: first give the named one time to boot


class Limits(_Part):
    """Counts that bound the line."""

    confirmations_at_once: Annotated[Whole, Field(ge=1, le=64)] = 8
    # Left out, these two grow with the line: a station goes on while eight of its boards boot and join.
    confirm_backlog_max: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    device_attempts_max: Annotated[Whole, Field(ge=1, le=10)] = 3
    same_site_fault_holds_at: Annotated[Whole, Field(ge=1, le=10)] = 3
    station_faults_drain_at: Annotated[Whole, Field(ge=1, le=10)] = 5
    claim_codes_ready_max: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    window_devices_max: Annotated[Whole, Field(ge=1, le=50)] = 8
    signal_floor_dbm: Annotated[Whole, Field(ge=-100, le=0)] = -80
    joins_at_once: Annotated[Whole, Field(ge=1, le=256)] = 32  # all Photons share one channel: more joins, longer ones

    def backlog_max(self, stations: int) -> int:
        """How many devices may wait for proof at once, on a line of so many stations."""
        return self.confirm_backlog_max or max(32, 8 * stations)

    def codes_max(self, stations: int) -> int:
        """How many claim codes may lie ready at once, on a line of so many stations."""
        return self.claim_codes_ready_max or max(32, 2 * stations)


def _password_variable(profile: str) -> str:
    return "PROVISIONER_WIFI_" + re.sub(r"[^A-Z0-9]", "_", profile.upper())


def _profiles_told_apart(wifi: Mapping[str, WifiSettings]) -> Mapping[str, WifiSettings]:
    variables: dict[str, str] = {}
    for profile in wifi:
        if not _PROFILE_NAME.fullmatch(profile) or profile == "none":
            raise ValueError(
                f"'{printable(profile)}' cannot name a profile; use 1 to 32 of A-Z a-z 0-9 . _ - (not none)"
            )
        other = variables.setdefault(_password_variable(profile), profile)
        if other != profile:
            raise ValueError(f"{other} and {profile} would both read {_password_variable(profile)}; rename one of them")
    return wifi


def _stations_told_apart(stations: tuple[StationSettings, ...]) -> tuple[StationSettings, ...]:
    names = [station.name for station in stations]
    if len(set(names)) != len(names):
        raise ValueError("two stations have the same name; give each jig its own")
    adapters = [(station.switcher, station.adapter) for station in stations if station.adapter]
    if len(set(adapters)) != len(adapters):
        raise ValueError("two stations use the same adapter; one adapter serves one station")
    scanners = [station.scanner for station in stations if station.scanner]
    if len(set(scanners)) != len(scanners):
        raise ValueError("two stations have the same scanner; give each its own, or none of them one")
    return stations


class Settings(_Part):
    """The whole tree."""

    version: Annotated[Whole, Field(ge=1, le=1)] = 1
    product: str | None = None  # if given, a manifest for another product is refused on this line
    operator: str | None = None
    tray_layout: Annotated[str, AfterValidator(_layout)] = "5x10"  # where a manifest does not say: Particle's trays
    cloud: CloudSettings = CloudSettings()
    wifi: Annotated[Mapping[str, WifiSettings], AfterValidator(_profiles_told_apart)] = {}
    stations: Annotated[tuple[StationSettings, ...], AfterValidator(_stations_told_apart)] = ()
    scanner: ScannerSettings = ScannerSettings()
    softap: SoftAPSettings = SoftAPSettings()
    budgets: Budgets = Budgets()
    limits: Limits = Limits()

    def wifi_profile(self, name: str) -> WifiProfile:
        """The profile of that name; KeyError if there is none. Its SSID has been checked at loading."""
        found = self.wifi[name]
        return WifiProfile(name, found.ssid, SecurityType.parse(found.security), found.channel)


_SECTIONS = (Settings, CloudSettings, WifiSettings, StationSettings, ScannerSettings, SoftAPSettings, Budgets, Limits)
_KNOWN_KEYS = frozenset(key for section in _SECTIONS for key in section.model_fields)  # to suggest for a misspelling


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings with where they came from; `sha256` of the file goes into the journal's first record."""

    settings: Settings
    file: Path
    sha256: str


def load_settings(path: Path) -> LoadedSettings:
    """Read and check a settings file. Raises FileRefused with every mistake."""
    data = read(path, str(path))
    root = parse(data, str(path))
    secrets = dict(secrets_in(root, str(path)))
    mistakes = list(secrets.values())
    try:
        settings = Settings.model_validate(root)
    except ValidationError as error:
        mistakes += mistakes_of(error, root, str(path), known_keys=_KNOWN_KEYS, secret=secrets)
        raise FileRefused(sorted(mistakes)) from None
    if mistakes:
        raise FileRefused(sorted(mistakes))
    return LoadedSettings(settings, path, hashlib.sha256(data).hexdigest())


# --- secrets: from the environment or a private file ---


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where secrets come from: an environment, and the folder that relative file names start from."""

    environment: Mapping[str, str]
    folder: Path

    def client_secret(self, cloud: CloudSettings) -> Secret:
        """The OAuth client's secret. Raises SecretMissing or SecretUnsafe."""
        return self._read(
            "PROVISIONER_CLIENT_SECRET",
            cloud.client_secret_file,
            "cloud.client_secret_file",
            "the secret of the OAuth client",
        )

    def user_token(self, cloud: CloudSettings) -> Secret:
        """The account's access token, for claim policy `account`. Raises SecretMissing or SecretUnsafe."""
        return self._read(
            "PROVISIONER_USER_TOKEN",
            cloud.user_token_file,
            "cloud.user_token_file",
            "the access token of the account that shall own the devices",
        )

    def wifi_password(self, name: str, wifi: WifiSettings) -> Secret | None:
        """The password of a Wi-Fi profile; None for an open network. Raises SecretMissing or SecretUnsafe."""
        if SecurityType.parse(wifi.security) is SecurityType.OPEN:
            return None
        return self._read(
            _password_variable(name),
            wifi.password_file,
            f"wifi.{name}.password_file",
            f"the password of Wi-Fi profile {name}",
        )

    def _read(self, variable: str, file: str | None, setting: str, what: str) -> Secret:
        value = self.environment.get(variable)
        if value:
            return Secret(value)
        if file is None:
            raise SecretMissing(
                f"{what} is not set",
                remedy=f"Set {variable} in the environment, or name a file of mode 0600 in {setting}.",
            )
        path = self.folder / file
        try:
            state = path.stat()
            if not stat.S_ISREG(state.st_mode):
                raise SecretUnsafe(
                    f"{path} ({what}) is not a plain file", remedy=f"Name a file of mode 0600 in {setting}."
                )
            if state.st_mode & 0o077 and not WINDOWS:  # there a mode says nothing; who may read is not checked
                mode = f"{state.st_mode & 0o777:04o}"
                raise SecretUnsafe(f"{path} can be read by others (mode {mode})", remedy=f"Run: chmod 600 {path}")
            with path.open("rb") as opened:
                data = opened.read(_SECRET_FILE_BYTES_MAX + 1)
        except OSError as error:
            raise SecretMissing(
                f"{path} ({what}) cannot be read: {error.strerror}",
                remedy=f"Create it with mode 0600, or set {variable}.",
            ) from None
        text = data.rstrip(b"\r\n").decode("utf-8", "replace")
        if (
            "\N{REPLACEMENT CHARACTER}" in text
            or any(ord(char) < 0x20 for char in text)
            or len(data) > _SECRET_FILE_BYTES_MAX
        ):
            raise SecretMissing(
                f"{path} ({what}) is not one line of text", remedy="Write only the secret into it, as UTF-8 text."
            )
        if not text:
            raise SecretMissing(f"{path} ({what}) is empty", remedy=f"Write the secret into it, or set {variable}.")
        return Secret(text)
