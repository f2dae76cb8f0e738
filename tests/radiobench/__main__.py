"""The radio bench: `python tests/radiobench [--radios N] [--folder DIR]`. A real Wi-Fi stack without a radio.

Debian's kernel with mac80211_hwsim under QEMU, this computer's files as its read-only root, hostapd and a simulated
Photon for each access point, a WPA2 uplink, real NetworkManager, and the program's own back end (facts: network 6).
Needs root, the packages of `tests/debian-packages.sh`, and half a gigabyte; nothing leaves the virtual machine, which
has no network card. Ends with 0 if every scenario is as it must be, with 77 if something it needs is missing.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOOLS = (
    "qemu-system-x86_64",
    "busybox",
    "cpio",
    "modprobe",
    "NetworkManager",
    "hostapd",
    "dnsmasq",
    "iw",
    "dbus-daemon",
)
SKIPPED = 77
# On an emulated processor everything costs ten times as much: none of what guards a kernel against its guests' code,
# checks it or hides its addresses, and no other clock than the processor's own.
KERNEL = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr init_on_alloc=0 audit=0 apparmor=0 cryptomgr.notests"
    " tsc=reliable"
)

# In there an instruction takes 4 ns, so a busy computer looks like an idle one. Where nothing is to be done, real time
# passes: if it jumped to what comes next (`sleep=off`), deadlines would end while a file of the host is awaited.
OWN_TIME = ("-icount", "shift=2,sleep=on", "-rtc", "clock=vm")


def missing():
    if os.geteuid() != 0:
        return "root (the virtual machine's first program is this computer's root)"
    paths = [*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"]
    if not Path("/usr/lib/polkit-1/polkitd").exists():
        return "polkitd"
    return ", ".join(tool for tool in TOOLS if shutil.which(tool, path=":".join(paths)) is None)


def boot(folder, wishes):
    out = folder / "out"
    out.mkdir()
    (out / "guest.env").write_text(
        f"export RADIOS={wishes.radios} ONLY='{' '.join(wishes.only)}' KERNEL={folder}/kernel PYTHONPATH={ROOT}\n"
        f'python3() {{ {sys.executable} "$@"; }}\n'
    )
    command = [
        "qemu-system-x86_64", "-accel", "tcg,thread=single", *OWN_TIME, "-cpu", "max", "-smp", "1", "-m", "3072",
        "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{out}/console.log",
        "-kernel", f"{folder}/vmlinuz", "-initrd", f"{folder}/initrd", "-append", f"{KERNEL} bench={HERE} out={out}",
        "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
        "-fsdev", f"local,id=out,path={out},security_model=none,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=out,mount_tag=out",
    ]  # fmt: skip
    try:
        subprocess.run(command, check=False, timeout=wishes.seconds)
    except subprocess.TimeoutExpired:
        print(f"the virtual machine did not end within {wishes.seconds} s")
    return out


def main():
    parser = argparse.ArgumentParser(prog="python tests/radiobench", description=__doc__.splitlines()[0])
    parser.add_argument("--radios", type=int, default=4, help="stations, and as many Photons")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these scenarios; `contract` is one more")
    parser.add_argument("--seconds", type=int, default=600, help="the virtual machine's longest life")
    parser.add_argument("--folder", type=Path, help="where the kernel is kept from one time to the next")
    wishes = parser.parse_args()
    if lack := missing():
        print(f"SKIPPED: the radio bench needs {lack}")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="radiobench-", dir="/var/tmp") as name:
        folder = wishes.folder or Path(name)
        began = time.monotonic()
        if subprocess.run(["sh", str(HERE / "build.sh"), str(folder)], check=False).returncode:
            print("SKIPPED: the kernel package could not be downloaded and unpacked")
            return SKIPPED
        print(f"built in {time.monotonic() - began:.1f} s", flush=True)
        shutil.rmtree(folder / "out", ignore_errors=True)
        began = time.monotonic()
        out = boot(folder, wishes)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, busy = time.monotonic() - began, used.ru_utime + used.ru_stime
        print(f"virtual machine ended after {seconds:.1f} s; all this took {busy:.0f} s of a processor", flush=True)
        return told(out)


def told(out):
    """Everything that the virtual machine told, in words; 0 if all of it is as it must be."""
    results = {}
    for path in sorted(out.glob("results-*.json"), key=lambda path: path.stat().st_mtime):
        results |= json.loads(path.read_text())
    if not results or not (out / "done").exists():
        print((out / "guest.log").read_text()[-3000:] if (out / "guest.log").exists() else "nothing was said")
        print((out / "console.log").read_text()[-2000:])
        return 1
    good = True
    for name, result in results.items():
        if "contract" not in result:
            good &= result["ok"]
            seconds = f" ({result['seconds']} s)" if result["ok"] else ""
            said = json.dumps(result["result"]) if result["ok"] else result["error"]
            print(f"{'ok ' if result['ok'] else 'BAD'} {name}{seconds}: {said}")
    return 0 if contract_told([one for one in results.values() if "contract" in one]) and good else 1


def contract_told(lanes):
    """Which cases of the contract were shown on this level, by which back end. None is missing."""
    if not lanes:
        return True
    for one in lanes:
        print(f"lane of {one['backend']}: {len(one['contract'])} cases in {one['seconds']} s")
    backends = sorted({one["backend"] for one in lanes})
    shown = {backend: {} for backend in backends}
    for one in lanes:
        shown[one["backend"]] |= one["contract"]
    good, reasons = True, []
    print(f"\nThe contract of switchers on a real Wi-Fi stack (L4): {', '.join(backends)}")
    for case in sorted({case for one in shown.values() for case in one}):
        cells = []
        for backend in backends:
            said = shown[backend].get(case, "not run")
            fine = said == "shown" or isinstance(said, dict)
            left = isinstance(said, str) and said.startswith("left out: ")
            good &= fine or left or (case.startswith("hostile") and said == "not run")
            cells.append("shown" if fine else "-" if left else "BAD")
            if not fine:
                reasons.append(f"{backend}: {case}: {said}")
            elif isinstance(said, dict):
                reasons.append(f"{backend}: {case}: {json.dumps(said)}")
        print(f"  {'  '.join(f'{cell:<5}' for cell in cells)}  {case}")
    print("\n".join(["", *reasons]))
    return good


sys.exit(main())
