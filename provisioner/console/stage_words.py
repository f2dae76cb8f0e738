"""A station's stage in words for the terminal: the very words of the page, from its catalogue, in English.

Rule 1: no word of a stage stands here; what the page says, the terminal says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from provisioner.console.stage import Kind, Stage, stage_of
from provisioner.console.station_view import StationView
from provisioner.console.tally import Trouble
from provisioner.console.verdict import Tone, headline
from provisioner.console.view import Screen
from provisioner.console.web import static_folder

_TONES: Final = {
    **dict.fromkeys((Kind.STARTING, Kind.READY, Kind.SEARCHING, Kind.RUNNING), Tone.CALM),
    Kind.PASS: Tone.GOOD,
    **dict.fromkeys((Kind.WAITING, Kind.UNPROVEN, Kind.AGAIN, Kind.PAUSED, Kind.STOPPING), Tone.WARN),
    **dict.fromkeys((Kind.FAIL, Kind.STRANGER, Kind.MISMATCH, Kind.HELD, Kind.DRAINED), Tone.BAD),
}
# After these the person has their hands free for the next board.
_NEXT_AFTER: Final = (Kind.PASS, Kind.WAITING, Kind.FAIL, Kind.UNPROVEN)


@dataclass(frozen=True, slots=True)
class Said:
    """What a station shows, by size: the word, then where, why, what to do, and what then."""

    word: str
    tone: Tone
    why: str = ""
    todo: str = ""
    then: str = ""


@cache
def _catalogue(name: str) -> Mapping[str, Mapping[str, str | list[str]]]:
    found: Mapping[str, Mapping[str, str | list[str]]] = json.loads((static_folder() / name).read_text("utf-8"))
    return found


def words(key: str, **gaps: object) -> str:
    """A text of the catalogue; its key if it is not there, so that a missing word is seen and harms nobody."""
    text = _catalogue("words.json").get(key, {}).get("en", key)
    return str(text).format(**gaps)


def cause(code: str) -> str:
    """What a code means, in a few words."""
    texts = _catalogue("codes.json").get(code, {}).get("en")
    return texts[0] if isinstance(texts, list) else code.replace("_", " ")


def said_of(screen: Screen, station: StationView) -> Said:
    """What this station shows now."""
    stage = stage_of(screen, station)
    if stage.kind is Kind.FINISHED:
        head = headline(screen)
        return Said(head.word, head.tone, head.why, head.todo)
    scans = screen.scanner and stage.kind is Kind.READY
    return Said(
        words(f"stage.{stage.kind}{'.scan' if scans else ''}"),
        _TONES[stage.kind],
        cause(stage.trouble.code) if stage.trouble is not None else "",
        words("todo.ready.scan") if scans else _todo(stage),
        words("next.scan") if screen.scanner and stage.kind in _NEXT_AFTER else "",
    )


def _todo(stage: Stage) -> str:
    """As the page's `todo`."""
    if stage.kind is Kind.FAIL and stage.bin is not None:
        return words("todo.fail.bin", bin=stage.bin.value, name=words(f"bin.{stage.bin.value}"))
    if stage.kind is Kind.FAIL:
        return words("todo.fail")
    if stage.trouble is not None and stage.kind is not Kind.PAUSED:
        return stage.trouble.remedy
    return words(f"todo.{stage.kind}")


def refusal(trouble: Trouble, scanned: str) -> str:
    """Why the last scan was not taken, and what to do."""
    what = f"{scanned}: " if scanned else ""
    return f"{what}{cause(trouble.code)}. {trouble.remedy}"
