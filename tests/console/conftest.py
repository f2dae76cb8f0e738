"""Screens made of scripted records; the script itself is `play_journal.py`, which people can look at."""

import importlib.util
from pathlib import Path

import pytest

from provisioner.console.view import Screen

_SPEC = importlib.util.spec_from_file_location("play_journal", Path(__file__).parent / "play_journal.py")
play_journal = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(play_journal)

BEGUN = ("station.started", {"station": "ST1"})
STARTED = ("run.started", {"product": "tempmon-v100", "trays": {"T-0001": 3, "T-0002": 2}, "stations": ["ST1", "ST2"]})


def device(number):
    return f"3b00210017473532363430{number:02x}"


@pytest.fixture
def shift():
    """The records of a whole scripted shift, as a list."""
    return list(play_journal.records_of(play_journal.scripted_shift()))


@pytest.fixture
def fold():
    """`fold((at_s, event, fields)...)` or `fold((event, fields)...)`: the screen of a run with two trays, 3 + 2."""

    def screen_of(*steps, started=STARTED):
        script = [(0, *started)] if started else []
        for step in steps:
            at_s, event, fields = step if len(step) == 3 else (script[-1][0] if script else 0, *step)
            numbered = dict(fields)
            if isinstance(numbered.get("device"), int):
                numbered.setdefault("tray", "T-0001" if numbered["device"] <= 3 else "T-0002")
                numbered.setdefault("slot", numbered["device"])
                numbered["device"] = device(numbered["device"])
            script.append((at_s, event, numbered))
        screen = Screen()
        for record in play_journal.records_of(script):
            screen.see(record)
        return screen

    screen_of.begun = BEGUN
    return screen_of
