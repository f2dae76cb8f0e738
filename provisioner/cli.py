"""The command line: arguments in, exit codes out. What a command does stands in `app` and `demo`.

Rule 1: usage errors exit 2 and say what to write instead; every failure that is not our bug is one message with
what happened, whose fault it is and what to do now; our bug shows its traceback and exits 70.
Rule 2: results go to stdout (one JSON object with `--json`), progress and messages to stderr.
"""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress

import click

from provisioner.cli_bench import demo, simulate, softap
from provisioner.cli_console import console
from provisioner.cli_line import check, import_, journal, run, schema
from provisioner.cli_night import doctor, reconcile, report, restore, show, status
from provisioner.cli_scanner import scanner
from provisioner.cli_shared import say, tell
from provisioner.console.stopped import exit_code_of, failures_of, leaves_of
from provisioner.errors import ExitCode
from provisioner.signals import LIKE_CTRL_C


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="provisioner")
def commands() -> None:
    """Take trays of Particle Photons from a YAML list to devices proven in the cloud."""


for _command in (
    check, schema, import_, run, journal,
    doctor, reconcile, status, show, report, restore,
    softap, demo, simulate, console, scanner,
):  # fmt: skip
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
