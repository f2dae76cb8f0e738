"""What a command that could not go on says: what happened, whose fault it is, what to do now. Pure.

Rule 1: the code stands first, as in the README's tables; what to do stands last, where the eye ends.
Rule 2: a file's mistakes are one line each, never wrapped: editors and `grep` read `file:line:column: ...`.
Rule 3: the texts are ours or were made `printable` by whoever put them into the error.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from provisioner.errors import (
    CloudError,
    ExitCode,
    FileRefused,
    JournalWriteFailed,
    Mistake,
    ProvisionerError,
    SoftAPError,
    SwitchError,
)

_INDENT = "    "


def exit_code_of(failure: ProvisionerError) -> ExitCode:
    """What a failure that ended a command means to a script."""
    if isinstance(failure, CloudError | JournalWriteFailed):
        return ExitCode.HELD_BY_SITE
    if isinstance(failure, SoftAPError | SwitchError):
        return ExitCode.SOME_FAILED
    return ExitCode.INPUT_REFUSED


def failures_of(error: BaseException) -> list[ProvisionerError]:
    """The failures behind what ended a command, each text once; none if any of it is another kind of error."""
    failures: dict[str, ProvisionerError] = {}
    for leaf in leaves_of(error):
        if not isinstance(leaf, ProvisionerError):
            return []
        failures.setdefault(f"{leaf.code} {leaf.detail}", leaf)
    return list(failures.values())


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """The error itself, or the single errors of a group, however deep."""
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for inner in error.exceptions:
        yield from leaves_of(inner)


def lines_of(failure: ProvisionerError, *, width: int | None) -> list[str]:
    """What people read; the first line is the headline. `width` None (a pipe, a log) wraps nothing."""
    told = [f"{failure.code}: {failure.detail}"]
    remedy = failure.remedy
    verbatim: list[str] = []
    if isinstance(failure, FileRefused) and len(failure.mistakes) == 1:
        mistake = failure.mistakes[0]
        told, remedy = [f"{failure.code}: {str(mistake).removesuffix(f'; {mistake.remedy}')}"], _sentence(mistake)
    elif isinstance(failure, FileRefused):
        told = [f"{failure.code}: {counted(len(failure.mistakes), 'mistake')}, nothing was touched"]
        verbatim = [str(mistake) for mistake in failure.mistakes]
    first = _wrapped(told, width)
    return [*first, *verbatim, *_wrapped([f"Whose fault: {failure.blame}", f"What to do: {remedy}"], width)]


def object_of(failures: Sequence[ProvisionerError], code: ExitCode) -> dict[str, Any]:
    """What `--json` prints instead of a result: the same words, and the exit code."""
    rows = [
        {
            "code": failure.code,
            "blame": failure.blame.value,
            "detail": failure.detail,
            "remedy": failure.remedy,
            **({"mistakes": mistake_rows(failure.mistakes)} if isinstance(failure, FileRefused) else {}),
        }
        for failure in failures
    ]
    return {"ok": False, "failures": rows, "exit": int(code)}


def mistake_rows(mistakes: Iterable[Mistake]) -> list[dict[str, str | int]]:
    """Mistakes for machines."""
    return [
        {"file": m.file, "line": m.line, "column": m.column, "where": m.where, "what": m.what, "remedy": m.remedy}
        for m in mistakes
    ]


def counted(count: int, noun: str) -> str:
    """`1 tray`, `3 trays`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _sentence(mistake: Mistake) -> str:
    return f"{mistake.remedy[:1].upper()}{mistake.remedy[1:]}; then run the same command again."


def _wrapped(texts: Iterable[str], width: int | None) -> list[str]:
    lines: list[str] = []
    for text in texts:
        for part in text.splitlines():
            lines += [part] if width is None else _folded(part, width)
    return lines


def _folded(text: str, width: int) -> list[str]:
    # Paths, URLs and variable names stay whole, so that they can be copied with a double click.
    return textwrap.wrap(
        text, max(40, width), subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )
