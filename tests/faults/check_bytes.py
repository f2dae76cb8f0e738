"""What may stand in no file and on no screen: secrets (I9), and bytes that move a cursor or turn text round (I10)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from check_world import History
from journal_words import Words
from seed_world import Played
from written_forms import WrittenForms

from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.leaks import secrets_of

_RAW = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]")
_HARMLESS = bytes([0x09, 0x0A, *range(0x20, 0x7F)])  # what is left of most files without these is nothing
_TEXTS = ("journal.jsonl", "debug.jsonl", "reconcile.csv", "reconcile.json", "auth-breaker.json")


def no_secret_is_written(played: Played, words: Words, history: History) -> Iterator[str]:
    """I9: of all secrets that this factory had, none is in any file or on the screen: in each form that one encoder
    gives it; in every sixteenth seed also in parts and in forms inside forms, which takes twenty times as long."""
    screen = played.screen.encode()
    if played.plan.seed % 16 == 0:
        canaries = secrets_of(played.cloud, TEST_ROUTER.password)
        for leak in [*canaries.leaks_under(played.runs_dir), *canaries.leaks_in(screen, "the screen")]:
            yield f"I9: {leak}"
    forms = WrittenForms([*played.cloud.mint.secrets, TEST_ROUTER.password])
    files = [path for path in sorted(played.runs_dir.rglob("*")) if path.is_file()]
    for name, data in [("the screen", screen), *((path.name, path.read_bytes()) for path in files)]:
        if forms.stand_in(data):
            yield f"I9: a secret in {name}"


def no_raw_control_bytes(played: Played, words: Words, history: History) -> Iterator[str]:
    """I10: hostile names were in the air; no file and no screen has a byte of theirs that does more than be seen."""
    for path in sorted(played.runs_dir.rglob("*")):
        if path.name in _TEXTS and (found := _raw_in(path.read_bytes().replace(b"\r\n", b"\n"))):
            torn = path.name == "journal.jsonl" and any(run.torn and run.name == path.parent.name for run in words.runs)
            if not torn:
                yield f"I10: {path.name} has the bytes {found.group()!r}"
    if found := _raw_in(played.screen.encode()):
        yield f"I10: the screen has the bytes {found.group()!r}"


def _raw_in(data: bytes) -> re.Match[bytes] | None:
    return None if not data.translate(None, _HARMLESS) else _RAW.search(data)
