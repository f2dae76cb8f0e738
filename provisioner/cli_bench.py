"""The commands without a line: one SoftAP command to one board, and the simulated factory."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from provisioner.cli_console import page_address, rebound, watch_until_signal, with_page
from provisioner.cli_shared import common, print_json, show_end, tell
from provisioner.errors import SecretMissing
from provisioner.model import SecurityType, WifiProfile
from provisioner.secrets import Secret

COMMANDS = ("version", "device-id", "public-key", "scan-ap", "set", "configure-ap", "connect-ap")


@click.command()
@click.argument("command", type=click.Choice(COMMANDS))
@click.argument("code", required=False)
@click.option("--at", default="192.168.0.1", show_default=True, metavar="HOST[:PORT]", help="Where the Photon answers.")
@click.option("--tcp", is_flag=True, help="Speak the TCP protocol (port 5609) instead of HTTP (port 80).")
@click.option("--ssid", help="configure-ap: the network to store.")
@click.option("--security", default="wpa2_aes", show_default=True, help="configure-ap: open, wpa2_aes, ...")
@click.option("--channel", type=click.IntRange(0, 14), default=0, help="configure-ap: stored, but not needed.")
@common
def softap(command: str, code: str | None, *, as_json: bool, **options: Any) -> None:
    """One SoftAP command to the Photon this computer is joined to. For bring-up and support.

    The Wi-Fi password for configure-ap comes from PROVISIONER_WIFI_PASSWORD or a prompt; `set` takes the claim code.

    Example: provisioner softap device-id
    """
    import trio

    from provisioner.softap import bringup

    wifi = _profile(options["ssid"], options["security"], options["channel"]) if options["ssid"] else None
    request = bringup.request_of(command, at=options["at"], tcp=options["tcp"], code=code, wifi=wifi)
    if wifi is not None and command == "configure-ap" and wifi.security is not SecurityType.OPEN:
        request = replace(request, password=_wifi_password())
    answer = trio.run(bringup.ask, request)
    if as_json:
        print_json({"command": command, **answer})
    else:
        for key, value in answer.items():
            lines = [", ".join(f"{k} {v}" for k, v in row.items()) for row in value] if isinstance(value, list) else []
            tell("\n".join(lines) if isinstance(value, list) else f"{key}: {value}")


def _profile(ssid: str, security: str, channel: int) -> WifiProfile:
    try:
        return WifiProfile("command line", ssid, SecurityType.parse(security), channel)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _wifi_password() -> Secret:
    """From the environment, a prompt, or one line of standard input; never from the command line."""
    text = os.environ.get("PROVISIONER_WIFI_PASSWORD")
    if text is None:
        tty = sys.stdin.isatty()
        text = click.prompt("Wi-Fi password", hide_input=True, err=True) if tty else sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise SecretMissing(
            "the Wi-Fi password is not set",
            remedy="Set PROVISIONER_WIFI_PASSWORD, write it to standard input, or run this in a terminal.",
        )
    return Secret(text)


@click.command()
@click.option("--devices", type=click.IntRange(1, 100_000), default=60, show_default=True)
@click.option("--stations", type=click.IntRange(1, 256), default=4, show_default=True)
@click.option("--seed", type=int, default=None, help="One seed, one history; printed when it is drawn.")
@click.option("--faults", type=click.Choice(["none", "typical", "nasty"]), default="none", show_default=True)
@click.option("--virtual", is_flag=True, help="In virtual time: a shift of thousands in seconds, the same every time.")
@click.option("--scanner", is_flag=True, help="Training: you scan; the labels are written to a page to scan from.")
@click.option("--keep", is_flag=True, help="Keep the generated manifest and settings beside the journal.")
@with_page
@common
@click.pass_context
def demo(context: click.Context, /, runs_dir: Path, *, as_json: bool, **wishes: Any) -> None:
    """A whole factory on this computer: simulated cloud, radio and Photons on loopback, the real `run`.

    \b
    Example: provisioner demo --devices 60 --stations 4
             provisioner demo --scanner --devices 10 --stations 1
    """
    import trio

    from provisioner.console.terminal import make_console
    from provisioner.demo.run import Wishes, run_demo

    with_console, bind = wishes.pop("with_console"), wishes.pop("bind")
    if with_console and wishes["virtual"]:
        raise click.UsageError("in virtual time a shift is over before a page could show it: leave out one of the two")
    if wishes["scanner"] and wishes["virtual"]:
        raise click.UsageError("in virtual time nobody is fast enough to scan: leave out one of the two")
    del wishes["config"]
    page = page_address(bind, runs_dir) if with_console else None
    end = run_demo(Wishes(runs_dir=runs_dir, page=page, **wishes), console=make_console(stderr=as_json))
    show_end(end, as_json=as_json)
    if page is not None:
        tell("The page stays, until Ctrl-C.", err=True)
        trio.run(watch_until_signal, rebound(page), runs_dir, end.run_id)
    context.exit(end.exit_code)


@click.command()
@click.option("--cloud", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT")
@click.option("--photons", type=click.IntRange(1, 500), default=3, show_default=True)
@click.option("--seed", type=int, default=None)
@click.option("--faults", type=click.Choice(["none", "typical", "nasty"]), default="none", show_default=True)
@click.option("--online-delay", type=click.FloatRange(0, 600), default=None, metavar="S", help="connect-ap to online.")
@common
def simulate(*, cloud: str, photons: int, seed: int | None, faults: str, online_delay: float | None, **_: Any) -> None:
    """Serve the simulated cloud and Photons in listening mode on loopback, until interrupted.

    The first line on stdout is JSON: where everything is.

    Example: provisioner simulate --photons 2
    """
    from provisioner.demo.simulate import run_simulate

    run_simulate(cloud=cloud, photons=photons, seed=seed, faults=faults, online_delay_s=online_delay)
