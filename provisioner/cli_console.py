"""`provisioner console`, and what `run --console` and `demo --console` share: the page's address and how it is told."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from provisioner.cli_shared import common, no_such_run, tell

if TYPE_CHECKING:
    from provisioner.console.web.server import Address

F = TypeVar("F", bound=Callable[..., Any])
BIND = click.option(
    "--bind", default="127.0.0.1:8640", show_default=True, metavar="HOST:PORT", help="Where the page is served."
)


def with_page(command: F) -> F:
    """The options of a command that can serve the page while it works."""
    return click.option("--console", "with_console", is_flag=True, help="Serve the page meanwhile.")(BIND(command))


def page_address(text: str, runs_dir: Path) -> Address:
    """Bind, and say where the page is and who can reach it. Raises PageNotServed."""
    import os

    from provisioner.console.web.server import bind

    address = bind(text, runs_dir, os.environ)
    announce(address)
    return address


def rebound(address: Address) -> Address:
    """The same address again, for another who serves there: an open page goes on by itself."""
    from provisioner.console.web.server import rebind

    return rebind(address)


def announce(address: Address) -> None:
    """On standard error: standard output belongs to results."""
    tell(f"Page: {address.link}", err=True)
    if address.guard.open_to_all:
        tell(
            "Other computers can reach this page. Whoever has the token can look and act; nothing is encrypted: "
            "serve it only in a network that you trust.",
            err=True,
        )


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@BIND
@common
def console(*, run_id: str | None, bind: str, runs_dir: Path, **_: Any) -> None:
    """Serve the page over a running or finished run, from its journal; without RUN over the newest, until Ctrl-C.

    Example: provisioner console --bind 127.0.0.1:8640
    """
    import trio

    from provisioner.journal.reader import runs

    there = runs(runs_dir)
    if run_id is not None and all(folder.id != run_id for folder in there):
        raise no_such_run(run_id, runs_dir, [folder.id for folder in there])
    address = page_address(bind, runs_dir)
    if not there:
        tell(f"There is no run in {runs_dir} yet; the page waits for one.", err=True)
    trio.run(watch_until_signal, address, runs_dir, run_id)


async def watch_until_signal(address: Address, runs_dir: Path, run_id: str | None) -> None:
    """Serve the page over the runs in a folder until Ctrl-C or SIGTERM, which is how it is meant to end."""
    import trio

    from provisioner.console.web.follow import watch

    stop = trio.Event()

    async def end_on_signal() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as arrivals:
            async for _ in arrivals:
                stop.set()
                return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_on_signal)
        await watch(address, runs_dir, run_id, wall=lambda: datetime.now(UTC), stop=stop)
        nursery.cancel_scope.cancel()
