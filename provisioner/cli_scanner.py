"""`provisioner scanner`: what a site needs before the first shift with scanners."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from provisioner.cli_shared import FILE, common, print_json, tell
from provisioner.errors import InputRefused
from provisioner.settings import Settings, load_settings


@click.group()
def scanner() -> None:
    """Scanners: print the command barcodes, and see what a scanner sends."""


def _settings(config: Path) -> Settings:
    return load_settings(config).settings if config.exists() else Settings()


@scanner.command()
@click.option("--badge", "badges", multiple=True, metavar="NAME", help="A badge for this person as well; repeatable.")
@click.option("--output", type=FILE, help="Where to write the page; default: standard output.")
@common
def sheet(badges: tuple[str, ...], output: Path | None, *, config: Path, as_json: bool, **_: Any) -> None:
    """The command barcodes (HOLD, RESUME, REWORK, SET ASIDE, JOINED, STOP) and badges, as a page to print.

    Example: provisioner scanner sheet --badge "Ada Lovelace" --output sheet.html
    """
    from provisioner.scanner.sheet import command_sheet, page

    try:
        codes = command_sheet(prefix=_settings(config).scanner.command_prefix, operators=badges)
    except ValueError as error:
        raise InputRefused(f"a badge cannot be printed: {error}", remedy="Write the name in plain letters.") from None
    if as_json:
        print_json({"codes": [{"title": code.title, "says": code.says, "text": code.text} for code in codes]})
        return
    if output is None:
        tell(page(codes).rstrip("\n"))
        return
    try:
        output.write_text(page(codes), encoding="utf-8")
    except OSError as error:
        raise InputRefused(
            f"{output} cannot be written: {error.strerror}", remedy="Name another file with --output."
        ) from None
    tell(f"Open {output} in a browser and print it.", err=True)


@scanner.command("try")
@click.argument("manifest", type=FILE, required=False)
@click.option("--device", metavar="PATH", help="A serial scanner, such as /dev/ttyACM0; default: this terminal.")
@click.option("--baud", type=int, default=9600, show_default=True)
@common
def try_(manifest: Path | None, *, config: Path, as_json: bool, device: str | None, baud: int, **_: Any) -> None:
    """See what a scanner sends, and what a line would make of it. Nothing is worked.

    Example: provisioner scanner try config/manifests/example.yaml
    """
    import trio

    from provisioner.line.air import Suffixes
    from provisioner.line.labels import Labels
    from provisioner.line.manifest import load_manifest
    from provisioner.line.scan_text import Framing
    from provisioner.scanner.tryout import Tryout, try_out

    settings = _settings(config)
    framing = Framing(settings.scanner.prefix, settings.scanner.suffix, settings.scanner.command_prefix)
    labels = None
    if manifest is not None:
        loaded = load_manifest(manifest, settings if config.exists() else None)
        labels = Labels(loaded, Suffixes(loaded), framing, setup_prefix=settings.softap.prefix)
    tryout = Tryout(framing, labels, say=lambda text: tell(text, err=as_json))
    with suppress(KeyboardInterrupt):  # how this ends
        trio.run(lambda: try_out(tryout, device=device, baud=baud))
    if as_json:
        print_json({"scans": tryout.rows})
