"""The command line: arguments in, exit codes out. What a command does stands in `app` and `demo`.

Rule 1: usage errors exit 2 and say what to write instead; every failure that is not our bug is one message with
what happened, whose fault it is and what to do now; our bug shows its traceback and exits 70.
Rule 2: results go to stdout (one JSON object with `--json`), progress and messages to stderr.
Rule 3: heavy parts are imported inside the commands, so `--help` and shell completion stay fast.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from provisioner.cli_console import console, page_address, rebound, watch_until_signal, with_page
from provisioner.cli_night import doctor, reconcile, report, restore, show, status
from provisioner.cli_scanner import scanner
from provisioner.cli_shared import FILE, common, no_such_run, print_json, require_settings, say, tell, vars_of
from provisioner.console.stopped import counted, exit_code_of, failures_of, leaves_of, mistake_rows
from provisioner.errors import (
    ExitCode,
    FileRefused,
    JournalError,
    Mistake,
    SecretMissing,
)
from provisioner.model import SecurityType, WifiProfile
from provisioner.secrets import Secret
from provisioner.signals import LIKE_CTRL_C

COMMANDS = ("version", "device-id", "public-key", "scan-ap", "set", "configure-ap", "connect-ap")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="provisioner")
def commands() -> None:
    """Take trays of Particle Photons from a YAML list to devices proven in the cloud."""


@commands.command()
@click.argument("manifests", type=FILE, nargs=-1, required=True, metavar="MANIFEST...")
@common
@click.pass_context
def check(context: click.Context, /, manifests: tuple[Path, ...], config: Path, *, as_json: bool, **_: Any) -> None:
    """Validate manifests and settings; no network. Names every mistake in one pass.

    Example: provisioner check config/manifests/example.yaml
    """
    from provisioner.line.manifest import load_manifest
    from provisioner.settings import Settings, load_settings

    settings: Settings | None = None
    mistakes: list[Mistake] = []
    named = context.get_parameter_source("config") is not click.core.ParameterSource.DEFAULT
    if config.exists() or named:
        try:
            settings = load_settings(config).settings
        except FileRefused as refused:
            mistakes += refused.mistakes
    else:
        tell(f"There is no {config}: Wi-Fi profiles and the product were not compared with it.", err=True)
    checked: list[dict[str, Any]] = []
    for path in manifests:
        try:
            manifest = load_manifest(path, settings)
        except FileRefused as refused:
            mistakes += refused.mistakes
        else:
            checked.append({"file": str(path), "trays": len(manifest.trays), "devices": len(manifest)})
    if as_json:
        print_json({"ok": not mistakes, "manifests": checked, "mistakes": mistake_rows(mistakes)})
    else:
        for mistake in mistakes:
            tell(str(mistake))
        for row in checked:
            tell(f"{row['file']}: good: {counted(row['trays'], 'tray')}, {counted(row['devices'], 'device')}")
        if mistakes:
            tell(f"{counted(len(mistakes), 'mistake')}. Correct every line named, then check again.", err=True)
    context.exit(ExitCode.INPUT_REFUSED if mistakes else ExitCode.ALL_GOOD)


@commands.command()
@common
def schema(**_: Any) -> None:
    """Print the manifest's JSON Schema, for editors.

    Example: provisioner schema > manifest.schema.json
    """
    from provisioner.line.manifest import manifest_schema

    tell(json.dumps(manifest_schema(), indent=2))


@commands.command("import")
@click.argument("manifest", type=FILE)
@click.option("--dry-run", is_flag=True, help="Show the plan and the number of API calls; write nothing.")
@common
@click.pass_context
def import_(
    context: click.Context, manifest: Path, config: Path, runs_dir: Path, *, dry_run: bool, as_json: bool
) -> None:
    """Bulk-import the trays into the product; every row ends classified. Twice is once.

    Example: provisioner import config/manifests/example.yaml --dry-run
    """
    import trio

    from provisioner import app
    from provisioner.job import Job, prepare

    require_settings(config)
    outside = app.Outside()
    prepared = prepare(Job("import", manifest, config, runs_dir, watched=_is_seen(as_json)), outside.environment)
    if dry_run:
        _show_plan(trio.run(app.plan_import, prepared, outside), as_json=as_json)
        return
    context.exit(_run_and_show(prepared, outside, as_json=as_json))


@commands.command()
@click.argument("manifest", type=FILE)
@click.option("--station", "stations", multiple=True, metavar="NAME", help="Work this station only; repeatable.")
@click.option("--scanner", is_flag=True, help="One board a scan: scan its label into this terminal or page.")
@click.option(
    "--scanner-device",
    "scanner_devices",
    multiple=True,
    metavar="[STATION=]PATH",
    help="A serial scanner, such as /dev/ttyACM0; repeatable. Without it, those of the settings.",
)
@with_page
@common
@click.pass_context
def run(
    context: click.Context, /, manifest: Path, config: Path, runs_dir: Path, *, as_json: bool, **options: Any
) -> None:
    """Import what is missing, work the stations until every device has an outcome, prove each in the cloud.

    Running it again on the same manifest goes on where it stopped.

    \b
    Example: provisioner run config/manifests/example.yaml --station A
             provisioner run config/manifests/example.yaml --scanner
             provisioner run config/manifests/example.yaml --scanner-device A=/dev/ttyACM0
    """
    from provisioner import app
    from provisioner.job import Job, prepare

    require_settings(config)
    outside = app.Outside()
    devices = options["scanner_devices"]
    scanner = options["scanner"] or bool(devices)
    job = Job(
        "run",
        manifest,
        config,
        runs_dir,
        stations=options["stations"],
        scanner=scanner,
        scanner_devices=devices,
        watched=scanner or options["with_console"] or _is_seen(as_json),
    )
    prepared = prepare(job, outside.environment)
    outside = replace(outside, scanners=app.scanners_of(prepared, page=options["with_console"]))
    page = page_address(options["bind"], runs_dir) if options["with_console"] else None
    context.exit(_run_and_show(prepared, outside, as_json=as_json, page=page))


@commands.group()
def journal() -> None:
    """The runs' own record."""


@journal.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--head", metavar="HASH", help="A head that a report shows: it must be in the chain.")
@common
@click.pass_context
def verify(
    context: click.Context, /, run_id: str | None, head: str | None, runs_dir: Path, *, as_json: bool, **_: Any
) -> None:
    """Check sequence, hash chain, schema and end of a run's journal (default: the newest); name the first bad record.

    Example: provisioner journal verify
    """
    from provisioner.journal.reader import newest, require_in_chain, runs
    from provisioner.journal.reader import verify as verify_journal

    there = runs(runs_dir)
    wanted = next((folder for folder in there if folder.id == run_id), None) if run_id else newest(runs_dir)
    if wanted is None:
        raise no_such_run(run_id, runs_dir, [folder.id for folder in there])
    try:
        result = verify_journal(wanted.journal)
        result.require_whole()
        if head is not None:
            require_in_chain(wanted.journal, head)
    except JournalError as bad:
        if as_json:
            print_json({"ok": False, "run": wanted.id, "code": bad.code, "detail": bad.detail})
        say(bad)
        context.exit(ExitCode.SOME_FAILED)
    if as_json:
        print_json(
            {
                "ok": True,
                "run": wanted.id,
                "records": result.records,
                "torn_bytes": result.torn_bytes,
                "head": result.head_hash,
                "end": result.end,
            }
        )
    else:
        torn = f", then {result.torn_bytes} bytes of a record that a crash tore" if result.torn_bytes else ""
        tell(f"{wanted.id}: {result.records} records in one unbroken chain{torn}; head {result.head_hash}")
        if note := result.note:
            tell(note)


@commands.command()
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


@commands.command()
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
    _show_end(end, as_json=as_json)
    if page is not None:
        tell("The page stays, until Ctrl-C.", err=True)
        trio.run(watch_until_signal, rebound(page), runs_dir, end.run_id)
    context.exit(end.exit_code)


@commands.command()
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


# --- showing ---


def _is_seen(as_json: bool) -> bool:  # noqa: FBT001 - as the option
    """Whether the run's screen is a terminal."""
    return (sys.stderr if as_json else sys.stdout).isatty()


def _run_and_show(prepared: Any, outside: Any, *, as_json: bool, page: Any = None) -> ExitCode:
    """Run, with the live screen on the terminal; then, for machines, the result as one JSON object."""
    from functools import partial

    import trio

    from provisioner import app
    from provisioner.console.terminal import make_console
    from provisioner.reconcile.lists import keep_up

    end: app.RunEnd = trio.run(partial(app.run, prepared, outside, console=make_console(stderr=as_json), page=page))
    # A second Ctrl-C must not cut off what the first one led to. Whether anybody can read it (the terminal may be gone)
    # changes nothing: how the run ended stands in its exit code too.
    with _deaf(), suppress(OSError):
        _show_end(end, as_json=as_json)
    with suppress(KeyboardInterrupt):  # the run has ended and said how; a stop now means: do not wait for this
        # Seconds after a shift of ten thousand, when nobody waits any more.
        keep_up(prepared.job.runs_dir, prepared.job.manifest, prepared.settings)
    return end.exit_code


def _show_end(end: Any, *, as_json: bool) -> None:
    from provisioner.console.verdict import summary

    if as_json:
        print_json({**summary(end.screen), "run": end.run_id, "journal": str(end.journal), "exit": int(end.exit_code)})
    else:
        tell(f"Journal: {end.journal}")


def _show_plan(plan: Any, *, as_json: bool) -> None:
    calls = sum(tray.calls for tray in plan)
    if as_json:
        print_json({"trays": [vars_of(tray) for tray in plan], "calls": calls})
        return
    for tray in plan:
        rows = counted(tray.devices, "device")
        tell(f"{tray.tray}: {rows}, {tray.present} in the product, {tray.missing} to import")
    if not plan:
        tell("This manifest names no product: there is nothing to import.")
    elif calls:
        tell(f"An import would write with {counted(calls, 'call')} and read the product's list before and after.")
    else:
        tell("Every device is in the product: an import would write nothing.")
    tell("Nothing was written.")


for _command in (console, doctor, reconcile, status, show, report, restore, scanner):
    commands.add_command(_command)


def main(argv: list[str] | None = None) -> None:
    """Run a command and exit with its code; the entry point of the console script."""
    _stop_like_ctrl_c()
    _without_core_dumps()
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")  # a terminal without some character shows its number instead
    try:
        code = commands.main(argv, prog_name="provisioner", standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except click.ClickException as usage:
        said = io.StringIO()
        usage.show(said)
        tell(said.getvalue().rstrip("\n"), err=True)
        code = ExitCode.INPUT_REFUSED
    except BrokenPipeError:  # `| head` has read enough: nothing is said, there is nobody to read it
        code = ExitCode.SOME_FAILED
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:  # noqa: BLE001 - the last line of defence
        code = _code_of(error)
    _last_flush()
    if code == ExitCode.INTERRUPTED:
        # A second Ctrl-C may come while Python shuts down; it would end us by the signal instead of with 130.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(int(code or 0))


def _stop_like_ctrl_c() -> None:
    """End on them as on Ctrl-C: clean up, and exit with the same code. `nohup` is obeyed."""
    if threading.current_thread() is not threading.main_thread():
        return
    for one in LIKE_CTRL_C:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, lambda *_: signal.raise_signal(signal.SIGINT))
            atexit.register(signal.signal, one, signal.SIG_IGN)  # too late to stop anything: end with the code we have


@contextmanager
def _deaf() -> Iterator[None]:
    """For the length of the block, Ctrl-C and what is like it say nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _without_core_dumps() -> None:
    """A dump of our memory would hold tokens and passwords."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _last_flush() -> None:
    """What cannot be written any more (the reader or the terminal is gone) is dropped: Python's own last flush would
    try again, and end with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _code_of(error: BaseException) -> ExitCode:
    """Say what ended the command; a failure has its words, our own bug its traceback."""
    if all(isinstance(leaf, KeyboardInterrupt) for leaf in leaves_of(error)):
        return ExitCode.INTERRUPTED
    failures = failures_of(error)
    with suppress(OSError):  # nobody may be left to read it
        for failure in failures:
            say(failure)
        if not failures:
            _tell_traceback(error)
    return exit_code_of(failures[0]) if failures else ExitCode.OUR_BUG


def _tell_traceback(error: BaseException) -> None:
    """Without local variables, which hold secrets; what looks like a secret is hidden in the messages, too."""
    from provisioner.logs import without_secrets

    tell(without_secrets("".join(traceback.format_exception(error))).rstrip("\n"), err=True)
