"""Every benchmark of the line, one table: `python tests/bench [NAME ...] [--full]`. Nothing is asserted, read it.

Ratios are taken within one run of this command, so they do not depend on the computer; CPU and memory are its own.
`--full` adds the large factories (100,000 boards on 256 stations), which take many minutes.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import line_benches

BENCHES = line_benches.BENCHES


def main():
    parser = argparse.ArgumentParser(prog="python tests/bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--full", action="store_true", help="also the factories that take many minutes")
    wishes = parser.parse_args()
    if unknown := [name for name in wishes.names if name not in BENCHES]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    for name in wishes.names or BENCHES:
        print(f"\n== {name}: {BENCHES[name].__doc__.splitlines()[0]}", flush=True)
        for row in BENCHES[name](full=wishes.full):
            print(f"   {row}", flush=True)


if __name__ == "__main__":
    main()
