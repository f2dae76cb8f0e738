"""What the screen says once a person has asked for the end, and when a person is asked for something."""

import io

from rich.console import Console

from provisioner.console.terminal import _LiveScreen, _PlainLines, shown
from provisioner.console.verdict import headline
from provisioner.console.view import Screen


def test_a_stop_is_said_at_once_with_what_a_second_one_does():
    screen = Screen()
    screen.run = "20261120T060000Z-0000"
    screen.stopping = True

    head = headline(screen)

    assert head.word == "STOPPING"
    assert "second Ctrl-C" in head.todo


def test_a_run_that_asks_a_person_never_paints_over_the_question():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)

    with shown(Screen(), console=terminal, now_ms=lambda: 0, dialogue=True) as display:
        assert isinstance(display, _PlainLines)
    with shown(Screen(), console=terminal, now_ms=lambda: 0) as display:
        assert isinstance(display, _LiveScreen)
