"""How long a manifest takes to load and what it keeps in memory: run it, read what it prints; nothing is asserted.

    python tests/bench/manifest_load.py [DEVICES]

Each case is written and loaded in processes of its own, so that the peak it prints is its own. Promises: a million
IDs from lists in 10 s and 300 MB, 10,000 inline devices in well under 4 s (DESIGN, Manifest).
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRAYS = 10


def photon_id(dice: random.Random) -> str:
    """An ID shaped like a real Photon's: `47` and six ASCII digits at its end."""
    return f"{dice.getrandbits(40):010x}47" + "".join(f"3{dice.randrange(10)}" for _ in range(6))


def unique_ids(devices: int) -> list[str]:
    dice = random.Random(1)
    ids: dict[str, None] = {}
    while len(ids) < devices:
        ids[photon_id(dice)] = None
    return list(ids)


def write_lists(folder: Path, devices: int, *, trays: int, csv: bool = False) -> None:
    ids = unique_ids(devices)
    lines = ["version: 1", "product: tempmon-v100", "trays:"]
    for tray in range(trays):
        rows = ids[tray::trays]
        if csv:
            text = "Device ID;Serial\r\n" + "".join(f"{row.upper()};S{tray}-{n}\r\n" for n, row in enumerate(rows))
        else:
            text = "".join(f"{row}\n" for row in rows)
        (folder / f"{tray}.txt").write_text(text, newline="")
        lines += [f"  - id: T-{tray}", f"    file: {tray}.txt", f"    expect: {len(rows)}"]
    write(folder, lines)


def write_inline(folder: Path, devices: int) -> None:
    ids = unique_ids(devices)
    lines = ["version: 1", "product: tempmon-v100", "trays:"]
    for tray in range(0, devices, 100):
        lines += [f"  - id: T-{tray}", "    devices:"]
        for slot, row in enumerate(ids[tray : tray + 100], start=1):
            lines.append(f'      - {{id: "{row}", slot: {slot}, serial: S{tray}-{slot}}}')
    write(folder, lines)


def write(folder: Path, lines: list[str]) -> None:
    (folder / "manifest.yaml").write_text("\n".join(lines) + "\n")


CASES = {
    "TXT lists": lambda folder, devices: write_lists(folder, devices, trays=TRAYS),
    "one TXT list": lambda folder, devices: write_lists(folder, devices, trays=1),
    "CSV lists with serials": lambda folder, devices: write_lists(folder, devices, trays=TRAYS, csv=True),
    "inline with slots and serials": lambda folder, devices: write_inline(folder, min(devices, 10_000)),
}


def load(path: Path) -> None:
    from provisioner.line.manifest import load_manifest

    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    manifest = load_manifest(path, None)
    loaded = time.perf_counter()
    needing_visit = sum(row.needs_visit for row in manifest)
    walked = time.perf_counter()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(manifest):>9,} devices: loaded in {loaded - started:5.2f} s, walked in {walked - loaded:5.2f} s,"
        f" peak {peak_mb:4.0f} MB ({before_mb:.0f} MB before), {needing_visit} visits"
    )


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] in CASES:
        CASES[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
    elif len(sys.argv) == 3:
        load(Path(sys.argv[2]) / "manifest.yaml")
    else:
        devices = sys.argv[1] if len(sys.argv) == 2 else "1000000"
        for name in CASES:
            with tempfile.TemporaryDirectory() as folder:
                print(f"{name:30}", end=" ", flush=True)
                subprocess.run([sys.executable, __file__, name, folder, devices], check=True)
                subprocess.run([sys.executable, __file__, "load", folder], check=True)


if __name__ == "__main__":
    main()
