"""What was injected how often, and that nothing broke: `python tests/faults [--seeds N] [--kills N] [--sweep] ...`.

Each part is a module beside this one with `run(wishes) -> Part` (see `report.py`). Without an option: a few seeds.
Exit code 0: nothing broke; 1: something did, and its line says how to see it again.
"""

import argparse
import importlib
import importlib.util
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fault_table
import report

PARTS = {"seeds": "simulation", "kills": "kills", "sweep": "sweep", "hostile": "hostile"}  # option -> module
A_FEW_SEEDS = 20


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script in the background hands a deaf ear on
    wishes = parsed()
    parts = []
    for option, module in PARTS.items():
        if not getattr(wishes, option):
            continue
        if importlib.util.find_spec(module) is None:
            sys.exit(f"--{option}: there is no {module}.py in this folder")
        parts.append(importlib.import_module(module).run(wishes))
    for line in report.lines(parts):
        print(line)
    sys.exit(1 if any(part.violations for part in parts) else 0)


def parsed():
    parser = argparse.ArgumentParser(prog="python tests/faults", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--seeds", type=int, metavar="N", help="simulate N seeds, all faults mixed, power cuts among them")
    add("--devices", type=int, default=100, metavar="N", help="devices in each seed (default: %(default)s)")
    add("--first-seed", type=int, default=1, metavar="N", help="the first of the seeds (default: %(default)s)")
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes at once (default: %(default)s)")
    add("--kills", type=int, default=0, metavar="N", help="kill the real process N times, on loopback sockets")
    add("--sweep", action="store_true", help="fail every call of one visit, and every call on the disk, one by one")
    add("--hostile", type=int, default=0, metavar="N", help="N hostile inputs to every parser and every output")
    add("--within", type=float, default=0, metavar="SECONDS", dest="within_s", help="fail if the seeds take longer")
    add("--at-most", type=float, default=0, metavar="SECONDS", dest="at_most_s", help="begin no seed after that")
    add("--keep", action="store_true", help="leave each seed's journals and files in its folder in the memory disk")
    add("--table", action="store_true", help="print the fault table with the tests that show each fault, and end")
    chosen = vars(parser.parse_args())
    if chosen.pop("table"):
        print("\n".join(fault_table.lines()))
        sys.exit(0)
    if chosen["seeds"] is None:
        chosen["seeds"] = 0 if chosen["kills"] or chosen["sweep"] or chosen["hostile"] else A_FEW_SEEDS
    return report.Wishes(**chosen)


if __name__ == "__main__":
    main()
