"""A cable that loses and delays frames: `relay.py ONE OTHER LOSS DELAY_MS SEED`. Makes two TAPs, carries between them.

Each frame of each way is lost with probability LOSS, or carried after DELAY_MS, give or take a quarter; frames are
delayed on their own, so they may overtake each other. On SIGTERM it prints what it did and ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
import random
import select
import signal
import struct
import sys
import time

TUNSETIFF, TAP_WITHOUT_HEADER = 0x400454CA, 0x1002
FRAME_BYTES_MAX = 1 << 16


def tap(name):
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP_WITHOUT_HEADER))
    return descriptor


def main(one, other, loss, delay_s, seed):
    ends = tap(one), tap(other)
    across = dict(zip(ends, reversed(ends), strict=True))
    dice = {end: random.Random(f"{seed} {way}") for way, end in enumerate(ends)}
    told, waiting = {"carried": 0, "lost": 0}, []

    def end(*_):
        print(json.dumps(told), flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    while True:
        patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for source in select.select(ends, [], [], patience)[0]:
            frame = read(source)
            if dice[source].random() < loss:
                told["lost"] += bool(frame)
            elif frame:
                due = time.monotonic() + delay_s * dice[source].uniform(0.75, 1.25)
                heapq.heappush(waiting, (due, told["carried"], across[source], frame))
                told["carried"] += 1
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, target, frame = heapq.heappop(waiting)
            write(target, frame)


def read(source):
    try:
        return os.read(source, FRAME_BYTES_MAX)
    except OSError:  # the device is down
        time.sleep(0.01)
        return b""


def write(target, frame):
    with contextlib.suppress(OSError):  # the device is down: a frame lost
        os.write(target, frame)


main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]) / 1000, int(sys.argv[5]))
