"""At the end of a demo: is what the journal says true? Asked of the factory's own history, and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from provisioner.journal.reader import replay
from provisioner.simulator import injected
from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.leaks import secrets_of
from provisioner.simulator.world import World


def contradictions(world: World, cloud: SimCloud, journal: Path, owners: Mapping[str, str | None]) -> list[str]:
    """What the factory's history says against the journal; `owners` is what the manifest wants for each device."""
    truth = Truth(records=list(replay(journal)), photons=world.history, cloud=cloud, listed=owners, visited=set(owners))
    leaks = secrets_of(cloud, TEST_ROUTER.password).leaks_under(journal.parent)
    return [*check_all(truth), *(f"a secret was written: {leak}" for leak in leaks)]


def show_injected(world: World, cloud: SimCloud, journal: Path, console: Console) -> None:
    """What was injected, and what became of it; nothing where nothing could be."""
    rows = injected.table(world.faults, world.strikes, cloud.history, replay(journal))
    if rows:
        say(console, "")
        for line in injected.lines(rows):
            say(console, line)
        say(console, "")


def report(wrong: Sequence[str], console: Console) -> None:
    """Say that all is well, or what is not."""
    if wrong:
        say(console, "The factory's own history contradicts the journal:")
        for sentence in wrong:
            say(console, f"  {sentence}")
        say(console, "This is a bug in the program. Run it again with --seed and --keep, and report it.")
    else:
        say(
            console,
            "Checked against the factory's own history: no false PASS, no write to a stranger, no claim code used "
            "twice, no take-over, one outcome each, no secret in any file.",
        )


def say(console: Console, sentence: str) -> None:
    """One sentence, wrapped between words on a terminal and left whole in a pipe."""
    with suppress(OSError):
        console.print(sentence, soft_wrap=not console.is_terminal)
