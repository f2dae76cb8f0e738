"""The commands of the line: check, schema, import, run, and the proof of a run's journal.

Rule 1: heavy parts are imported inside the commands, so `--help` and shell completion stay fast.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from provisioner.cli_console import page_address, with_page
from provisioner.cli_shared import FILE, common, no_such_run, print_json, require_settings, say, show_end, tell, vars_of
from provisioner.console.stopped import counted, mistake_rows
from provisioner.errors import ExitCode, FileRefused, JournalError, Mistake


@click.command()
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


@click.command()
@common
def schema(**_: Any) -> None:
    """Print the manifest's JSON Schema, for editors.

    Example: provisioner schema > manifest.schema.json
    """
    from provisioner.line.manifest import manifest_schema

    tell(json.dumps(manifest_schema(), indent=2))


@click.command("import")
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


@click.command()
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
    from provisioner.scanning import scanners_of

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
    outside = replace(outside, scanners=scanners_of(prepared, page=options["with_console"]))
    page = page_address(options["bind"], runs_dir) if options["with_console"] else None
    context.exit(_run_and_show(prepared, outside, as_json=as_json, page=page))


@click.group()
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


# --- running and showing ---


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
        show_end(end, as_json=as_json)
    with suppress(KeyboardInterrupt):  # the run has ended and said how; a stop now means: do not wait for this
        # Seconds after a shift of ten thousand, when nobody waits any more.
        keep_up(prepared.job.runs_dir, prepared.job.manifest, prepared.settings)
    return end.exit_code


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
