"""The command line: arguments in, exit codes out. What a command does stands in `app` and `demo`.

Rule 1: usage errors exit 2 and say what to write instead; every failure that is not our bug is one message with
what happened, whose fault it is and what to do now; our bug shows its traceback and exits 70.
Rule 2: results go to stdout (one JSON object with `--json`), progress and messages to stderr.
Rule 3: heavy parts are imported inside the commands, so `--help` and shell completion stay fast.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from provisioner.errors import (
    CloudError,
    ExitCode,
    FileRefused,
    JournalError,
    JournalWriteFailed,
    Mistake,
    ProvisionerError,
    SecretMissing,
    SoftAPError,
    SwitchError,
)
from provisioner.model import SecurityType, WifiProfile
from provisioner.secrets import Secret

COMMANDS = ("version", "device-id", "public-key", "scan-ap", "set", "configure-ap", "connect-ap")
F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


def common(command: F) -> F:
    """The options that every command takes."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else."),
        click.option("--runs-dir", type=_FOLDER, default=Path("runs"), show_default=True, help="Where runs are kept."),
        click.option(
            "--config", type=_FILE, default=Path("config/line.yaml"), show_default=True, help="The line's settings."
        ),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="provisioner")
def commands() -> None:
    """Take trays of Particle Photons from a YAML list to devices proven in the cloud."""


@commands.command()
@click.argument("manifests", type=_FILE, nargs=-1, required=True, metavar="MANIFEST...")
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
        click.echo(f"{config} is not there: Wi-Fi profiles and the product are not compared with it.", err=True)
    checked = []
    for path in manifests:
        try:
            manifest = load_manifest(path, settings)
        except FileRefused as refused:
            mistakes += refused.mistakes
        else:
            checked.append({"file": str(path), "trays": len(manifest.trays), "devices": len(manifest)})
    if as_json:
        rows = [
            {"file": m.file, "line": m.line, "column": m.column, "where": m.where, "what": m.what, "remedy": m.remedy}
            for m in mistakes
        ]
        _print_json({"ok": not mistakes, "manifests": checked, "mistakes": rows})
    else:
        for mistake in mistakes:
            click.echo(str(mistake))
        for row in checked:
            click.echo(f"{row['file']}: good: {row['trays']} trays, {row['devices']} devices")
    context.exit(ExitCode.INPUT_REFUSED if mistakes else ExitCode.ALL_GOOD)


@commands.command()
@common
def schema(**_: Any) -> None:
    """Print the manifest's JSON Schema, for editors.

    Example: provisioner schema > manifest.schema.json
    """
    from provisioner.line.manifest import manifest_schema

    click.echo(json.dumps(manifest_schema(), indent=2))


@commands.command("import")
@click.argument("manifest", type=_FILE)
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

    outside = app.Outside()
    prepared = app.prepare(app.Job("import", manifest, config, runs_dir), outside)
    if dry_run:
        _show_plan(trio.run(app.plan_import, prepared, outside), as_json=as_json)
        return
    context.exit(_run_and_show(prepared, outside, as_json=as_json))


@commands.command()
@click.argument("manifest", type=_FILE)
@click.option("--station", "stations", multiple=True, metavar="NAME", help="Work this station only; repeatable.")
@click.option("--scanner", is_flag=True, help="One board per scan: labels are read from standard input.")
@common
@click.pass_context
def run(
    context: click.Context, /, manifest: Path, config: Path, runs_dir: Path, *, as_json: bool, **options: Any
) -> None:
    """Import what is missing, work the stations until every device has an outcome, prove each in the cloud.

    Running it again on the same manifest goes on where it stopped.

    Example: provisioner run config/manifests/example.yaml --station A
    """
    from provisioner import app

    outside = app.Outside(scans=app.typed_lines() if options["scanner"] else None)
    job = app.Job("run", manifest, config, runs_dir, stations=options["stations"], scanner=options["scanner"])
    context.exit(_run_and_show(app.prepare(job, outside), outside, as_json=as_json))


@commands.group()
def journal() -> None:
    """The runs' own record."""


@journal.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@common
@click.pass_context
def verify(context: click.Context, /, run_id: str | None, runs_dir: Path, *, as_json: bool, **_: Any) -> None:
    """Check sequence, hash chain and schema of a run's journal (default: the newest); name the first bad record.

    Example: provisioner journal verify
    """
    from provisioner.journal.reader import newest, runs
    from provisioner.journal.reader import verify as verify_journal

    wanted = [folder for folder in runs(runs_dir) if folder.id == run_id] if run_id else [newest(runs_dir)]
    if not wanted or wanted[0] is None:
        raise click.UsageError(f"no run {run_id or ''} in {runs_dir}; `ls {runs_dir}` shows the runs there are")
    try:
        result = verify_journal(wanted[0].journal)
    except JournalError as bad:
        if as_json:
            _print_json({"ok": False, "run": wanted[0].id, "code": bad.code, "detail": bad.detail})
        _say(bad)
        context.exit(ExitCode.SOME_FAILED)
    if as_json:
        _print_json(
            {
                "ok": True,
                "run": wanted[0].id,
                "records": result.records,
                "torn_bytes": result.torn_bytes,
                "head": result.head_hash,
            }
        )
    else:
        torn = f", then {result.torn_bytes} bytes of a record that a crash tore" if result.torn_bytes else ""
        click.echo(f"{wanted[0].id}: {result.records} records in one unbroken chain{torn}; head {result.head_hash}")


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
        _print_json({"command": command, **answer})
    else:
        for key, value in answer.items():
            lines = [", ".join(f"{k} {v}" for k, v in row.items()) for row in value] if isinstance(value, list) else []
            click.echo("\n".join(lines) if isinstance(value, list) else f"{key}: {value}")


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
            "the Wi-Fi password is not set", remedy="Set PROVISIONER_WIFI_PASSWORD, or run this in a terminal."
        )
    return Secret(text)


@commands.command()
@click.option("--devices", type=click.IntRange(1, 2000), default=60, show_default=True)
@click.option("--stations", type=click.IntRange(1, 32), default=4, show_default=True)
@click.option("--seed", type=int, default=None, help="One seed, one history; printed when it is drawn.")
@click.option("--faults", type=click.Choice(["none", "typical", "nasty"]), default="none", show_default=True)
@click.option("--keep", is_flag=True, help="Keep the generated manifest and settings beside the journal.")
@common
@click.pass_context
def demo(context: click.Context, /, runs_dir: Path, *, as_json: bool, **wishes: Any) -> None:
    """A whole factory on this computer: simulated cloud, radio and Photons on loopback, the real `run`.

    Example: provisioner demo --devices 60 --stations 4
    """
    from provisioner import demo as factory
    from provisioner.console.terminal import make_console

    del wishes["config"]
    end = factory.run_demo(factory.Wishes(runs_dir=runs_dir, **wishes), console=make_console(stderr=as_json))
    _show_end(end, as_json=as_json)
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
    from provisioner import demo as factory

    factory.run_simulate(cloud=cloud, photons=photons, seed=seed, faults=faults, online_delay_s=online_delay)


# --- showing ---


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def _say(failure: ProvisionerError) -> None:
    """What happened, whose fault it is, what to do now."""
    click.secho(f"{failure.blame.upper()}: {failure.detail}", fg="red", err=True)
    click.echo(f"What to do: {failure.remedy}", err=True)


def _run_and_show(prepared: Any, outside: Any, *, as_json: bool) -> ExitCode:
    """Run, with the live screen on the terminal; then, for machines, the result as one JSON object."""
    from functools import partial

    import trio

    from provisioner import app
    from provisioner.console.terminal import make_console

    end: app.RunEnd = trio.run(partial(app.run, prepared, outside, console=make_console(stderr=as_json)))
    _show_end(end, as_json=as_json)
    return end.exit_code


def _show_end(end: Any, *, as_json: bool) -> None:
    from provisioner.console.verdict import summary

    if as_json:
        _print_json({**summary(end.screen), "run": end.run_id, "journal": str(end.journal), "exit": int(end.exit_code)})
    else:
        click.echo(f"Journal: {end.journal}")


def _show_plan(plan: Any, *, as_json: bool) -> None:
    calls = sum(tray.calls for tray in plan)
    if as_json:
        _print_json({"trays": [vars_of(tray) for tray in plan], "calls": calls})
        return
    for tray in plan:
        click.echo(f"{tray.tray}: {tray.devices} devices, {tray.present} in the product, {tray.missing} to import")
    click.echo(
        f"Import would make {calls} calls that write, and list the product before and after. Nothing was written."
    )


def vars_of(row: Any) -> dict[str, Any]:
    """A slotted dataclass as a plain mapping."""
    from dataclasses import asdict

    return asdict(row)


def _exit_code_of(failure: ProvisionerError) -> ExitCode:
    if isinstance(failure, CloudError | JournalWriteFailed):
        return ExitCode.HELD_BY_SITE
    if isinstance(failure, SoftAPError | SwitchError):
        return ExitCode.SOME_FAILED
    return ExitCode.INPUT_REFUSED


def main(argv: list[str] | None = None) -> None:
    """Run a command and exit with its code; the entry point of the console script."""
    try:
        code = commands.main(argv, standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except click.ClickException as usage:
        usage.show()
        code = ExitCode.INPUT_REFUSED
    except ProvisionerError as failure:
        _say(failure)
        code = _exit_code_of(failure)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BaseExceptionGroup as group:
        code = _group_code(group)
    except Exception:  # noqa: BLE001 - the last line of defence: our bug, said as such
        traceback.print_exc()
        code = ExitCode.OUR_BUG
    sys.exit(int(code or 0))


def _group_code(group: BaseExceptionGroup[BaseException]) -> ExitCode:
    from provisioner.app import leaves as leaves_of

    leaves = list(leaves_of(group))
    if all(isinstance(error, KeyboardInterrupt) for error in leaves):
        return ExitCode.INTERRUPTED
    if all(isinstance(error, ProvisionerError) for error in leaves):
        failures = [error for error in leaves if isinstance(error, ProvisionerError)]
        for text in dict.fromkeys(error.detail for error in failures):
            _say(next(error for error in failures if error.detail == text))
        return _exit_code_of(failures[0])
    traceback.print_exception(group)
    return ExitCode.OUR_BUG
