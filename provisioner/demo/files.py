"""What a person would have written for a simulated factory: the manifest, the vendor's lists, the settings.

Rule 1: the line is told by files like any other line, and reads them by its own code.
Rule 2: a tray is written as it comes: rows in the manifest, a TXT list or a CSV list beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from provisioner.settings import Budgets
from provisioner.simulator.cloud.sim_cloud import ACCOUNT, CLIENT_ID
from provisioner.simulator.factory_wifi import TEST_ROUTER

CUSTOMER = "line3+{tray}@example.com"
CUSTOMER_CLAIM = f'{{to: customer, customer: "{CUSTOMER}"}}'


class Labelled(Protocol):
    """What is printed on a board."""

    @property
    def device_id(self) -> str:
        """24 hex digits."""
        ...

    @property
    def serial(self) -> str:
        """The serial number."""
        ...


@dataclass(frozen=True)
class TrayFile:
    """One tray: its boards, how it is written, and a claim policy (YAML) and Wi-Fi of its own, if it has them."""

    id: str
    boards: Iterable[Labelled]
    form: Literal["rows", "txt", "csv"] = "rows"
    claim: str | None = None
    wifi: str | None = None
    expect: int | None = None
    serials: bool = True


def write_manifest(
    folder: Path,
    trays: Iterable[TrayFile],
    *,
    claim: str = CUSTOMER_CLAIM,
    wifi: str | None = "factory-2g",
    product: str | None = "tempmon-v100",
    lot: str = "demo",
    allow_takeover: Sequence[str] = (),
) -> Path:
    """Write `manifest.yaml` and its lists into the folder; return the manifest's path."""
    head = ["version: 1"]
    head += [f"product: {product}"] if product else []
    head += [f'lot: "{lot}"'] if lot else []
    head += [f"wifi: {wifi}"] if wifi else []
    head += [f"claim: {claim}"]
    head += [f"allow_takeover: [{', '.join(allow_takeover)}]"] if allow_takeover else []
    path = folder / "manifest.yaml"
    with path.open("w", encoding="utf-8") as file:
        file.write("\n".join([*head, "trays:", ""]))
        for tray in trays:
            file.write(f"  - id: {tray.id}\n")
            file.write(f"    claim: {tray.claim}\n" if tray.claim else "")
            file.write(f"    wifi: {tray.wifi}\n" if tray.wifi else "")
            file.write(f"    expect: {tray.expect}\n" if tray.expect is not None else "")
            if tray.form == "rows":
                file.write("    devices:\n")
                file.writelines(f"      - {_row(board, tray)}\n" for board in tray.boards)
            else:
                file.write(f"    file: {_write_list(folder, tray).name}\n")
    return path


def _row(board: Labelled, tray: TrayFile) -> str:
    return f'{{id: "{board.device_id}"{f", serial: {board.serial}" if tray.serials else ""}}}'


def _write_list(folder: Path, tray: TrayFile) -> Path:
    """As vendors send them: upper case and CRLF in text, semicolons in what a spreadsheet made."""
    path = folder / f"{tray.id}.{tray.form}"
    with path.open("w", encoding="utf-8", newline="") as file:
        if tray.form == "txt":
            file.write(f"# tray {tray.id}, as e-mailed\r\n")
            file.writelines(f"{board.device_id.upper()}\r\n" for board in tray.boards)
        else:
            file.write("Device ID;Serial\n")
            file.writelines(f"{board.device_id};{board.serial}\n" for board in tray.boards)
    return path


@dataclass(frozen=True)
class LineFile:
    """What the settings say, besides what is the same for every simulated factory.

    `adapters` are the simulated adapters, one station each; `cloud`, `budgets` and `limits` are added to their parts.
    """

    adapters: Sequence[str]
    uplink: str = "separate"
    cloud: Mapping[str, object] = field(default_factory=dict)
    budgets: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    scanner: Mapping[str, object] = field(default_factory=dict)


def write_settings(folder: Path, line: LineFile) -> Path:
    """Write `line.yaml` into the folder and return its path."""
    path = folder / "line.yaml"
    cloud = {"client_id": CLIENT_ID, "account": ACCOUNT, **line.cloud}
    wifi = f"{{ssid: {TEST_ROUTER.ssid}, security: wpa2_aes, channel: {TEST_ROUTER.channel}}}"
    stations = [
        f"{{name: S{number}, switcher: simulated, adapter: {adapter}, uplink: {line.uplink}}}"
        for number, adapter in enumerate(line.adapters, start=1)
    ]
    parts = [
        "version: 1",
        *_block("cloud", cloud),
        *_block("wifi", {"factory-2g": wifi}),
        "stations:",
        *(f"  - {station}" for station in stations),
        *_block("budgets", line.budgets),
        *_block("limits", line.limits),
        *_block("scanner", line.scanner),
    ]
    path.write_text("\n".join([*parts, ""]), encoding="utf-8")
    return path


def _block(name: str, values: Mapping[str, object]) -> list[str]:
    return [f"{name}:", *(f"  {key}: {value}" for key, value in values.items())] if values else []


# --- real time: budgets cut to a world that runs faster than reality ---

_BUDGET_SLACK = 2.0  # loopback and Python are not twelve times as fast as reality
_NOT_SCALED = {"claim_code_age_s"}
# A beacon is old, and a wait between acts short, in the world's time; deadlines get slack for this computer.
_EXACT = {"setup_network_back_s", "wifi_refused_after_s", "configure_to_connect_s", "scan_pause_s", "site_probe_s"}
IDLE_STOP_S = 15.0


def scaled_budgets(speed: float) -> dict[str, float]:
    """The shipped budgets for a world of that speed, in seconds of this computer."""
    return {name: round(_scaled(name, value, speed), 3) for name, value in Budgets().model_dump().items()}


def _scaled(name: str, value: float, speed: float) -> float:
    if name in _NOT_SCALED:
        return value
    if name == "idle_stop_s":
        return IDLE_STOP_S
    exact = name in _EXACT or "poll" in name
    return max(0.02, value / speed) if exact else max(1.0, value / speed * _BUDGET_SLACK)
