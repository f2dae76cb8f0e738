"""All Photons share one channel: no more joins at once than the computer's air budget; and neighbours are counted."""

import io
import json

import pytest
from rich.console import Console

from provisioner.console.view import Screen
from provisioner.demo.files import LineFile, TrayFile
from provisioner.demo.virtual import VirtualFactory
from provisioner.job import Job
from provisioner.journal.reader import replay
from provisioner.simulator.operators import Habits
from provisioner.simulator.virtual.run import run_virtually


@pytest.mark.parametrize("joins", [1, 2, 6])
def test_no_more_joins_at_once_than_the_settings_say(tmp_path, joins):
    most = []

    async def shift():
        factory = VirtualFactory(seed=2)
        boards = [factory.world.add_photon() for _ in range(18)]
        line = LineFile([f"sim{n}" for n in range(6)], limits={"joins_at_once": joins}, budgets={"idle_stop_s": 120})
        manifest, settings = factory.write(tmp_path, [TrayFile("T-1", boards, "csv")], line)
        radio = factory.world.radio
        plain = radio.joining

        def counted(adapter):
            most.append(sum(radio._joining.values()) + 1)
            return plain(adapter)

        radio.joining = counted
        async with factory.alive():
            factory.world.start_operators(boards, Habits(boards_max=18, handling_s=(0.0, 0.1)))
            return await factory.run(
                Job("run", manifest, settings, tmp_path / "runs"), console=Console(file=io.StringIO())
            )

    end = run_virtually(shift, seed=2)
    assert max(most) <= joins
    assert joins > 2 or max(most) == joins
    started = [record for record in replay(end.journal) if record.event == "visit.started"]
    assert max(record.extra["neighbours"] for record in started) > 3
    assert json.loads(end.journal.read_text().splitlines()[-1])["counts"]["pass"] == 18
    screen = Screen()
    for record in replay(end.journal):
        screen.see(record)
    assert screen.adds_up
