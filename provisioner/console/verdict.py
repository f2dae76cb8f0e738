"""What a screen comes to: the headline, the table at the end, and the summary for machines. Pure.

Rule 1: FAIL, HELD and what does not add up come before anything that sounds like progress.
Rule 2: what is open or UNPROVEN is named as such; only "every device is PASS" is green.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from provisioner.console.tally import OUTCOMES, State, Tally, Trouble, word_of
from provisioner.console.view import Screen
from provisioner.model import Outcome

TRAYS_IN_TABLE_MAX: Final = 40
TROUBLES_IN_TABLE_MAX: Final = 20
_COLUMNS: Final = (*(word_of(outcome) for outcome in OUTCOMES), "NOT DONE")
_IMPORT_COLUMNS: Final = ("IN PRODUCT", "REFUSED", *_COLUMNS[2:])


class Tone(enum.Enum):
    """How a headline is meant."""

    CALM = "calm"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Headline:
    """The one thing to read from three metres: what the line does, why, and what to do with your hands."""

    word: str
    tone: Tone
    why: str = ""
    todo: str = ""
    key: str = ""  # of the catalogue, with what fills its gaps
    count: int = 0
    names: str = ""
    trouble: Trouble | None = None


# Ends that are not the line's: the message with whose fault it is and what to do follows on standard error.
_STOPPED: Final = {
    "input_refused": Headline("REFUSED", Tone.BAD, "no device was touched", "Read below what to correct.", "refused"),
    "no_record": Headline(
        "STOPPED: NO RECORD",
        Tone.BAD,
        "the disk does not take the journal's records, so nothing more was done",
        "Read below what the disk needs, then run the same command again.",
        "no_record",
    ),
    "our_bug": Headline(
        "STOPPED BY A BUG", Tone.BAD, "in this program", "Keep the runs folder and report this.", "our_bug"
    ),
}


def headline(screen: Screen) -> Headline:
    """What to show largest, now."""
    if screen.finished is not None:
        return _finished(screen)
    if screen.stopping:
        why = "the boards under way are finished first"
        return Headline("STOPPING", Tone.WARN, why, "Wait for it; a second Ctrl-C stops at once.", "stopping")
    if screen.held is not None:
        held = screen.held
        tone = Tone.WARN if screen.held_by_person else Tone.BAD
        return Headline("LINE HELD", tone, _why(held), held.remedy, "held", trouble=held)
    drained = [station for station in screen.stations.values() if station.drained is not None]
    if drained and all(station.drained or station.stopped for station in screen.stations.values()):
        last = drained[-1].drained
        why = f"every station is drained; {drained[-1].name}: {_why(last) if last else ''}"
        return Headline("LINE STOPPED", Tone.BAD, why, last.remedy if last else "", "all_drained", trouble=last)
    if not screen.run or screen.opening:
        why = "the cloud is asked for the product, and the stations' adapters are opened"
        return Headline("STARTING", Tone.CALM, why, key="starting")
    if screen.importing:
        return Headline("IMPORTING", Tone.CALM, f"tray {screen.importing}", key="importing", names=screen.importing)
    if drained and (last := drained[-1].drained) is not None:
        names = ", ".join(station.name for station in drained)
        why = f"without {names}: {_why(last)}"
        return Headline("LINE RUNNING", Tone.WARN, why, last.remedy, "running_without", names=names, trouble=last)
    return Headline("LINE RUNNING", Tone.CALM, key="running")


def _finished(screen: Screen) -> Headline:
    failed, unknown = screen.all.outcome(Outcome.FAIL), screen.all.outcome(Outcome.UNKNOWN)
    skipped = screen.all.outcome(Outcome.SKIPPED)
    early = _ended_early(screen)
    if early is not None:
        return early
    if screen.import_only:
        return _imported(screen, refused=failed, skipped=skipped)
    if failed:
        todo = "Set the FAIL boards aside, each as it says."
        return Headline(f"FINISHED, {failed} FAIL", Tone.BAD, todo=todo, key="finished_fail", count=failed)
    if unknown:
        todo = "Leave these boards powered and run again: the cloud is asked before a board is touched."
        return Headline(f"FINISHED, {unknown} UNPROVEN", Tone.WARN, todo=todo, key="finished_unproven", count=unknown)
    if skipped:
        todo = "Run again when these boards can be worked."
        return Headline(f"FINISHED, {skipped} SKIPPED", Tone.WARN, todo=todo, key="finished_skipped", count=skipped)
    if screen.all.devices:
        return Headline("FINISHED, ALL PASS", Tone.GOOD, key="finished_pass")
    return Headline("FINISHED, NOTHING TO DO", Tone.GOOD, key="finished_nothing")


def _ended_early(screen: Screen) -> Headline | None:
    """Refused, broken, held or interrupted; None for a run that came to its own end and adds up."""
    if screen.finished_code in _STOPPED:
        return _STOPPED[screen.finished_code]
    if not screen.adds_up:
        return Headline(
            "DOES NOT ADD UP",
            Tone.BAD,
            f"{screen.all.devices} devices in the manifest, {screen.all.devices - screen.left} with an outcome",
            "Keep the runs folder and report this; `provisioner journal verify` says whether the journal is whole.",
            "does_not_add_up",
        )
    if screen.held is not None:
        held = screen.held
        return Headline("HELD, STOPPED", Tone.BAD, _why(held), held.remedy, "held_stopped", trouble=held)
    if screen.finished is Outcome.ABORTED:
        todo = "Run the same command again: it goes on where it stopped."
        return Headline("INTERRUPTED", Tone.BAD, _not_reached(screen), todo, "interrupted")
    return None


def _imported(screen: Screen, *, refused: int, skipped: int) -> Headline:
    """An import is no proof that a board works, so nothing here says PASS."""
    why = f"{screen.through(screen.all).outcome(Outcome.PASS)} in the product"
    if refused:
        todo = "Set the refused boards aside, each as it says."
        return Headline("IMPORT FINISHED", Tone.BAD, f"{why}, {refused} refused", todo, "imported_refused", refused)
    if skipped:
        todo = "Run the same command again."
        return Headline("IMPORT FINISHED", Tone.WARN, f"{why}, {skipped} skipped", todo, "imported_skipped", skipped)
    return Headline("IMPORT FINISHED", Tone.GOOD, why, key="imported")


def _not_reached(screen: Screen) -> str:
    """How far it came. Devices that had no turn are closed as SKIPPED; a second Ctrl-C may leave some open."""
    missed = screen.left + screen.all.outcome(Outcome.SKIPPED)
    ended = screen.all.devices - missed
    return f"{ended} of {screen.all.devices} devices have a result, {missed} had no turn"


def _why(trouble: Trouble) -> str:
    return trouble.detail or trouble.code.replace("_", " ")


# --- the table at the end ---


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the final table: the counts stand in the order of `FinalTable.columns` and sum to `devices`."""

    name: str
    devices: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FinalTable:
    """Trays that are not all PASS first to be named; `more_trays` and `more_troubles` say what was left out."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    more_trays: int
    total: Row
    troubles: tuple[Trouble, ...]
    more_troubles: int
    adds_up: bool


def final_table(screen: Screen) -> FinalTable:
    """What the run came to: by tray, in total, and the devices that somebody has to look at."""
    trays: Sequence[Tally] = list(screen.trays.values())
    if len(trays) > TRAYS_IN_TABLE_MAX:  # name those that somebody has to look at
        trays = [tray for tray in trays if screen.through(tray).outcome(Outcome.PASS) < tray.devices]
    shown = trays[:TRAYS_IN_TABLE_MAX]
    troubles = tuple(islice(screen.troubles(), TROUBLES_IN_TABLE_MAX))
    bad = sum(screen.all.outcome(outcome) for outcome in OUTCOMES if outcome is not Outcome.PASS)
    return FinalTable(
        columns=_IMPORT_COLUMNS if screen.import_only else _COLUMNS,
        rows=tuple(_row(screen.through(tray)) for tray in shown),
        more_trays=len(screen.trays) - len(shown),
        total=_row(screen.through(screen.all)),
        troubles=troubles,
        more_troubles=bad - len(troubles),
        adds_up=screen.adds_up,
    )


def _row(tally: Tally) -> Row:
    return Row(tally.name, tally.devices, (*(tally.outcome(outcome) for outcome in OUTCOMES), tally.open))


# --- for machines ---


def summary(screen: Screen) -> dict[str, Any]:
    """The run as one JSON object (`--json`): outcomes, trays, stations, codes; everything in the journal's words."""
    now_ms = screen.last.mono_ms if screen.last is not None else 0
    pace = screen.pace(now_ms)
    return {
        "run": screen.run,
        "command": screen.command,
        "product": screen.product,
        "resumes": list(screen.resumes),
        "outcome": screen.finished.value if screen.finished is not None else None,
        "code": screen.finished_code,
        "devices": screen.all.devices,
        "outcomes": _outcomes(screen.all),
        "carried": screen.carried,
        "in_product": screen.through(screen.all).outcome(Outcome.PASS) if screen.import_only else None,
        "states": {state.value: screen.all.states[state] for state in State},
        "trays": {tray.name: {"devices": tray.devices, **_outcomes(tray)} for tray in screen.trays.values()},
        "stations": {
            station.name: {
                "visits": station.visits,
                "passes": station.passes,
                "drained": station.drained.code if station.drained is not None else None,
            }
            for station in screen.stations.values()
        },
        "codes": dict(Counter(trouble.code for trouble in screen.troubles()).most_common()),
        "strangers": screen.strangers,
        "held": screen.held.code if screen.held is not None else None,
        "confirmed_per_h": None if pace.overall_per_h is None else round(pace.overall_per_h, 1),
        "seconds": now_ms / 1000,
        "adds_up": screen.adds_up,
        "head": screen.last.hash if screen.last is not None else None,
    }


def _outcomes(tally: Tally) -> dict[str, int]:
    return {**{outcome.value: tally.outcome(outcome) for outcome in OUTCOMES}, "open": tally.open}
