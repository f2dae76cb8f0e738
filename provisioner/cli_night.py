"""The commands before and after the shift: doctor, reconcile, status, show, report, restore.

Rule 1: heavy parts are imported inside the commands, as in `cli`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from provisioner.cli_shared import FILE, common, no_such_run, print_json, require_settings, tell, vars_of
from provisioner.console.stopped import counted
from provisioner.errors import ExitCode, FileRefused, InputRefused
from provisioner.journal.reader import RunFolder
from provisioner.model import DeviceID, printable
from provisioner.network.host import Finding

FORMATS = ("html", "csv", "junit", "json", "parquet")
_ENDINGS = {"html": "html", "csv": "csv", "junit": "xml", "json": "json", "parquet": "parquet"}
_CONFIRM_SHOWN = 20


@click.command()
@click.argument("manifests", type=FILE, nargs=-1, metavar="[MANIFEST]...")
@click.option("--repair", is_flag=True, help="Do the safe repairs: import what is missing, write down late proofs.")
@click.option("--budget", type=click.IntRange(1), metavar="N", help="Send at most so many requests.")
@click.option("--deadline", type=click.FloatRange(1), metavar="MINUTES", help="Take at most so long.")
@click.option("--silent-days", type=click.FloatRange(0), default=30.0, show_default=True, metavar="DAYS",
              help="A proven device not heard of for so long is `silent`.")  # fmt: skip
@common
@click.pass_context
def reconcile(
    context: click.Context,
    /,
    manifests: tuple[Path, ...],
    config: Path,
    runs_dir: Path,
    *,
    as_json: bool,
    **wishes: Any,
) -> None:
    """Compare manifests, journals and the cloud; the last line says whether all adds up.

    Without manifests: all of config/manifests. Exit code 0: it does; 1: something is wrong; 3: something is open;
    4: it could not be finished. All findings are in runs/reconcile.csv, a sign of life in runs/reconcile.json.

    Example: provisioner reconcile --repair
    """
    from functools import partial

    import trio

    from provisioner import app, nightly
    from provisioner.console.morning import class_rows, print_morning, walking
    from provisioner.console.terminal import make_console

    require_settings(config)
    deadline_s = wishes["deadline"] * 60 if wishes["deadline"] else None
    job = nightly.NightJob(
        config, runs_dir, manifests, wishes["repair"], wishes["budget"], deadline_s, wishes["silent_days"]
    )
    outside, console = app.Outside(), make_console(stderr=as_json)
    with walking(make_console(stderr=True)) as tell:
        morning = trio.run(
            partial(nightly.reconcile, job, outside, progress=lambda tally: tell(tally.pages, tally.pages_total))
        )
    if as_json:
        print_json(nightly.summary_of(morning))
    else:
        notes = [f"Compared: {name}" for name in morning.manifests]
        notes.append(f"{morning.requests} requests in {morning.seconds:.1f} s; all findings: {runs_dir}/reconcile.csv")
        rows = class_rows(morning.tally, outside.wall())
        print_morning(rows, morning.verdict, console, troubles=morning.troubles, repairs=morning.repairs, notes=notes)
    context.exit(morning.exit_code)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@common
def status(*, run_id: str | None, runs_dir: Path, as_json: bool, **_: Any) -> None:
    """Count states per tray and station of a run (default: the newest), and name the oldest unproven device.

    Example: provisioner status
    """
    from provisioner.console.status import print_status, status_object, status_of
    from provisioner.console.terminal import make_console
    from provisioner.journal.reader import replay
    from provisioner.reconcile.discipline import last_beat

    folder = _run(run_id, runs_dir)
    found = status_of(replay(folder.journal))
    beat, now = last_beat(runs_dir), datetime.now(UTC)
    if as_json:
        print_json({**status_object(found, now), "journal": str(folder.journal), "reconciled": beat})
    else:
        print_status(found, beat, now, make_console())


@click.command()
@click.argument("device")
@common
def show(*, device: str, config: Path, runs_dir: Path, as_json: bool, **_: Any) -> None:
    """Show one device's whole life over all runs: by device ID, serial number or TRAY/SLOT.

    Example: provisioner show T-0001/17
    """
    from provisioner.console.life import life_object, print_life
    from provisioner.console.terminal import make_console
    from provisioner.reconcile.index import open_index
    from provisioner.reconcile.life import find, life_of

    with open_index(runs_dir) as index:
        index.refresh()
        _take_in_manifests(index, config)
        life = life_of(index, find(index, device))
    if as_json:
        print_json(life_object(life))
    else:
        print_life(life, make_console())


def _take_in_manifests(index: Any, config: Path) -> None:
    """The site's manifests, for serial numbers and slots; looking at a device must not fail on a bad one."""
    from provisioner.nightly import manifests_beside
    from provisioner.reconcile.lists import Lists
    from provisioner.settings import load_settings

    with suppress(FileRefused, InputRefused, OSError):
        settings, lists = load_settings(config).settings, Lists(index.database)
        for manifest in manifests_beside(config):
            with suppress(FileRefused):
                lists.take_in([manifest], settings)


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), default="html", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Where to; `-` is stdout. [default: beside the journal]"
)
@click.option("--sql", metavar="QUERY", help="Ask all runs instead: tables `devices` and `records`.")
@common
def report(
    *, run_id: str | None, form: str, output: Path | None, sql: str | None, runs_dir: Path, as_json: bool, **_: Any
) -> None:
    """Write a run's report (default: the newest run's); the HTML opens offline.

    Example: provisioner report --format html
    """
    if sql is not None:
        _answer(sql, runs_dir, as_json=as_json)
        return
    folder = _run(run_id, runs_dir)
    path = output or folder.path / f"report.{_ENDINGS[form]}"
    if form == "parquet":
        from provisioner.console.reports.queries import write_parquet

        write_parquet([folder], path)
    else:
        text = _writer(form)(folder.journal)
        if str(path) == "-":
            sys.stdout.write(text)
            return
        _write(path, text)
    if as_json:
        print_json({"run": folder.id, "format": form, "report": str(path)})
    else:
        tell(f"Report: {path}")


def _writer(form: str) -> Callable[[Path], str]:
    from provisioner.console.reports.page import as_html
    from provisioner.console.reports.run_report import RunReport
    from provisioner.console.reports.tables import as_csv, as_json, as_junit
    from provisioner.journal.reader import replay, verify

    write = {"html": as_html, "csv": as_csv, "junit": as_junit, "json": as_json}[form]
    return lambda journal: write(RunReport.of(replay(journal), doubt=verify(journal).doubt))


def _write(path: Path, text: str) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise InputRefused(
            f"{path} cannot be written: {error.strerror or error}",
            remedy="Name a file in a folder that you may write, with --output.",
        ) from error


def _answer(query: str, runs_dir: Path, *, as_json: bool) -> None:
    from provisioner.console.reports.queries import ask
    from provisioner.journal.reader import runs

    columns, rows = ask(runs(runs_dir), query)
    if as_json:
        print_json({"columns": columns, "rows": rows})
        return
    for row in (columns, *rows):
        click.echo("\t".join("" if value is None else printable(str(value), 200) for value in row))


@click.command()
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE...")
@click.option("--unclaim", "way", flag_value="unclaim", help="Take its owner away; it stays in the product.")
@click.option("--remove", "way", flag_value="remove", help="Unclaim it, then take it out of the product.")
@click.option("--product", metavar="REF", help="Number or short name; default: the settings' `product:`.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
@click.pass_context
def restore(
    context: click.Context, /, devices: tuple[str, ...], config: Path, runs_dir: Path, *, as_json: bool, **wishes: Any
) -> None:
    """Take devices back to how they came: unclaim, then remove, in that order. Twice is once.

    DEVICE is a device ID, a serial number, TRAY/SLOT, or a whole tray by its name.

    Example: provisioner restore T-0001/17 --remove
    """
    import trio

    from provisioner import app, undo

    if wishes["way"] is None:
        raise click.UsageError("say what to do: --unclaim or --remove")
    require_settings(config)
    wanted = _devices(devices, config, runs_dir)
    _ask_leave(wanted, remove=wishes["way"] == "remove", yes=wishes["yes"])
    job = undo.UndoJob(config, runs_dir, wanted, wishes["way"] == "remove", wishes["product"])
    undone = trio.run(undo.restore, job, app.Outside())
    if as_json:
        failed = {
            device: {"code": f.code, "detail": f.detail, "remedy": f.remedy} for device, f in undone.failed.items()
        }
        print_json({"run": undone.run_id, "done": undone.done, "failed": failed, "exit": int(undone.exit_code)})
    else:
        for device, what in undone.done.items():
            tell(f"{device}: {what}")
        for device, failure in undone.failed.items():
            tell(f"{device}: NOT DONE: {failure.detail} -> {failure.remedy}")
        if undone.held:
            tell(f"STOPPED: {undone.held.detail} -> {undone.held.remedy}", err=True)
    context.exit(undone.exit_code)


@click.command()
@common
@click.pass_context
def doctor(context: click.Context, /, config: Path, runs_dir: Path, *, as_json: bool, **_: Any) -> None:
    """Check settings, disk, adapters, rights, cloud and clock; every failed line has its remedy.

    Example: provisioner doctor
    """
    import trio

    from provisioner import app
    from provisioner.doctor import Visit, examine

    require_settings(config)

    async def ask() -> list[Finding]:
        told = []
        async with aclosing(examine(Visit(config, runs_dir, app.Outside()))) as findings:
            async for finding in findings:
                told.append(finding)
                if not as_json:
                    _tell(finding)
        return told

    found = trio.run(ask)
    bad = [finding for finding in found if not finding.good and not finding.advice]
    if as_json:
        print_json({"ok": not bad, "findings": [vars_of(finding) for finding in found]})
    else:
        tell(f"{counted(len(bad), 'thing')} to mend." if bad else "Everything a run needs is there.")
    context.exit(ExitCode.SOME_FAILED if bad else ExitCode.ALL_GOOD)


def _tell(finding: Finding) -> None:
    """One line for what is good; what is not has its remedy on the next."""
    mark, colour = ("ok", "green") if finding.good else ("note", "yellow") if finding.advice else ("BAD", "red")
    click.echo(f"{click.style(f'{mark:<5}', fg=colour)}{printable(finding.what, 80)}: {printable(finding.detail, 300)}")
    if finding.remedy:
        tell(f"     DO: {printable(finding.remedy, 400)}")


def _devices(texts: tuple[str, ...], config: Path, runs_dir: Path) -> list[DeviceID]:
    """The devices a person means, each once. A well-formed device ID needs no journal."""
    from provisioner.reconcile.index import open_index
    from provisioner.reconcile.life import devices_of_tray, find

    found: dict[DeviceID, None] = {}
    with open_index(runs_dir) as index:
        index.refresh()
        _take_in_manifests(index, config)
        for text in texts:
            with suppress(ValueError):
                found[DeviceID.parse(text)] = None
                continue
            tray = devices_of_tray(index, text)
            found.update(dict.fromkeys(tray or [find(index, text)]))
    return list(found)


def _ask_leave(devices: list[DeviceID], *, remove: bool, yes: bool) -> None:
    if yes:
        return
    act = "Unclaim and remove" if remove else "Unclaim"
    for device in devices[:_CONFIRM_SHOWN]:
        tell(f"  {device}", err=True)
    if len(devices) > _CONFIRM_SHOWN:
        tell(f"  and {len(devices) - _CONFIRM_SHOWN} more", err=True)
    if not sys.stdin.isatty():
        raise InputRefused("nobody is there to confirm", remedy="Run it in a terminal, or with --yes.")
    click.confirm(f"{act} {len(devices)} device{'s' * (len(devices) != 1)}?", abort=True, err=True)


def _run(run_id: str | None, runs_dir: Path) -> RunFolder:
    """The run that is named, or the newest that worked a manifest: a night's repairs are no shift."""
    from provisioner.journal.reader import newest_shift, runs

    there = runs(runs_dir)
    if run_id is not None:
        wanted = next((folder for folder in there if folder.id == run_id), None)
    else:
        wanted = newest_shift(runs_dir)
    if wanted is None:
        raise no_such_run(run_id, runs_dir, [folder.id for folder in there])
    return wanted
