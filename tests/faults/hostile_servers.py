"""Our clients against real servers that misbehave (F30): each answer is cut at its cap, and no memory stays behind."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import trio
from misbehaving import HTTP, TCP

from provisioner.cloud.transport import LONG_REPLY_BYTES_MAX, REPLY_BYTES_MAX, Request, Transport
from provisioner.errors import CloudAnswerLost, CloudReplyUnreadable, CloudUnreachable, SoftAPError
from provisioner.secrets import Secret
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient

MIB = 1024 * 1024
GROWTH_MAX = MIB  # an answer (F30)
BUDGET_S = 0.3  # some have no end but this
CASES = [
    *(("device over HTTP", name) for name in HTTP),
    *(("device over TCP", name) for name in TCP),
    *(("cloud", name) for name in HTTP),
    *(("cloud, long answers", name) for name in HTTP),
]


@contextmanager
def server():
    """The misbehaving process; yields where each behaviour is."""
    command = [sys.executable, str(Path(__file__).parent / "misbehaving.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


async def ask(client, port):
    """One exchange; what became of it. A busy computer may take too long to connect: that is none."""
    for _ in range(100):
        if (became := await _ask_once(client, port)) != CloudUnreachable.code:
            return became
    raise AssertionError("it never connected")


async def _ask_once(client, port):
    if client.startswith("device"):
        return await _ask_device(client, port)
    cap = LONG_REPLY_BYTES_MAX if "long" in client else REPLY_BYTES_MAX
    async with Transport(f"http://127.0.0.1:{port}") as transport:
        try:
            reply = await transport.send(
                Request("GET", "/v1/x", reply_bytes_max=cap),
                authorization=Secret("Bearer canary"),
                budget_s=BUDGET_S,
            )
        except (CloudReplyUnreadable, CloudAnswerLost, CloudUnreachable) as error:
            return error.code
    return f"{len(reply.body)} bytes"


async def _ask_device(client, port):
    settings = SoftAPSettings(host="127.0.0.1", http_port=port, tcp_port=port, fallback="none")
    budgets = Budgets(softap_command_s=BUDGET_S)
    transport = "tcp" if client.endswith("TCP") else "http"
    try:
        await SoftAPClient(trio.open_tcp_stream, settings=settings, budgets=budgets, transport=transport).identify()
    except SoftAPError as error:
        return error.code
    return "an ID"


async def grown(client, port, times, became):
    """How many bytes this process has grown by for each of so many such answers, after some to warm up."""
    for _ in range(2):
        became[await ask(client, port)] += 1
    before = resident()
    for _ in range(times):
        became[await ask(client, port)] += 1
    return (resident() - before) / times


def resident():
    """Bytes of this process in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measured(client, name, where, times):
    """(growth for each answer, what became of them)."""
    became = Counter()
    port = where["tcp" if client.endswith("TCP") else "http"][name]
    return trio.run(grown, client, port, times, became), became
