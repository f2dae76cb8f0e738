"""What all commands of the command line share: their options, how results and failures are told.

Rule 1: whatever goes out, goes out through `tell`, `say` or `print_json`: these three make it harmless to a terminal,
wherever the text came from.
"""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from provisioner.console.stopped import exit_code_of, failures_of, lines_of, object_of
from provisioner.errors import InputRefused, ProvisionerError
from provisioner.model import harmless, harmless_json, printable

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


def common(command: F) -> F:
    """The options that every command takes; with `--json`, what stopped a command is one object on stdout as well."""

    @functools.wraps(command)
    def told(*args: Any, as_json: bool, **options: Any) -> Any:
        try:
            return command(*args, as_json=as_json, **options)
        except (ProvisionerError, BaseExceptionGroup) as error:
            failures = failures_of(error)
            if as_json and failures:
                print_json(object_of(failures, exit_code_of(failures[0])))
            raise

    decorated: Any = told
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else."),
        click.option("--runs-dir", type=FOLDER, default=Path("runs"), show_default=True, help="Where runs are kept."),
        click.option(
            "--config", type=FILE, default=Path("config/line.yaml"), show_default=True, help="The line's settings."
        ),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def print_json(value: object) -> None:
    """One JSON object, in one line, on stdout."""
    click.echo(harmless_json(json.dumps(value, ensure_ascii=False, default=str)))


def tell(text: str, *, err: bool = False) -> None:
    """One or more lines on stdout, or on stderr."""
    click.echo(harmless(text), err=err)


def say(failure: ProvisionerError) -> None:
    """What happened, whose fault it is, what to do now; wrapped between words on a terminal, not in a pipe."""
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
    first, *rest = lines_of(failure, width=width)
    click.secho(harmless(first), fg="red", bold=True, err=True)
    for line in rest:
        tell(line, err=True)


def no_such_run(run_id: str | None, runs_dir: Path, there: list[str]) -> InputRefused:
    """The run that was named is not there, or there is none at all."""
    what = f"there is no run {printable(run_id)} in {runs_dir}" if run_id else f"there are no runs in {runs_dir}"
    if there:
        return InputRefused(what, remedy=f"Name one of those there are; the newest: {', '.join(there[-3:])}.")
    return InputRefused(what, remedy="Name the folder that holds your runs with --runs-dir, or run a manifest first.")


def vars_of(row: Any) -> dict[str, Any]:
    """A slotted dataclass as a plain mapping."""
    from dataclasses import asdict

    return asdict(row)


def require_settings(config: Path) -> None:
    """Without settings nothing can start: most often the command was given in another folder."""
    if not config.exists():
        raise InputRefused(
            f"there are no settings at {config}",
            remedy="Run this in the folder that holds config/line.yaml, or name your settings with --config FILE.",
        )


def show_end(end: Any, *, as_json: bool) -> None:
    """Where a run's journal is; for machines, all of what it came to."""
    from provisioner.console.verdict import summary

    if as_json:
        print_json({**summary(end.screen), "run": end.run_id, "journal": str(end.journal), "exit": int(end.exit_code)})
    else:
        tell(f"Journal: {end.journal}")
