"""The exit codes of the contract (CLI.md), each reached by the real command in a process of its own.

0 all good, 1 some failed, 2 input refused, 3 some unknown, 4 held by the site, 70 our bug, 130 interrupted.
"""

import json
import socket
from dataclasses import replace

import pytest
from far_factory import hung_up, interrupted_twice, terminated

from provisioner.simulator.faults import PROFILES

NONE = PROFILES["none"]


def last_of(line):
    """What the last journal says of the end."""
    return line.journals()[-1][-1].code


# --- run ---


async def test_run_0_when_every_device_is_confirmed_and_reconcile_and_verify_say_0_too(factory):
    line = factory(devices=2)
    async with line.alive():
        run = await line.run()
        night = await line.run("reconcile", "manifest.yaml", "--config", "line.yaml")
        verify = await line.run("journal", "verify")
        check = await line.run("check", "manifest.yaml", "--config", "line.yaml")

    assert (run.code, last_of(line)) == (0, "all_good"), run.err
    assert night.code == 0, night.out
    assert "EVERYTHING ADDS UP" in night.out
    assert (verify.code, check.code) == (0, 0)


async def test_run_1_when_a_device_failed(factory):
    """F14: the claim code was taken with r:0 and not kept."""
    line = factory(devices=1, faults=replace(NONE, claim_code_forgotten=1.0), budgets={"confirm_s": 3})
    async with line.alive():
        done = await line.run()
        night = await line.run("reconcile", "manifest.yaml", "--config", "line.yaml")

    assert (done.code, last_of(line)) == (1, "some_failed"), done.out
    assert night.code == 1


async def test_run_2_when_the_manifest_is_refused_and_nothing_was_begun(factory):
    line = factory(devices=1)
    async with line.alive(bring=False):
        line.manifest.write_text(line.manifest.read_text().replace("version: 1", "version: 7"))
        done = await line.run()
        check = await line.run("check", "manifest.yaml")

    assert (done.code, check.code) == (2, 2)
    assert line.requests == []
    assert not line.runs_dir.exists()


async def test_run_3_when_nothing_failed_and_a_device_is_unproven_and_so_says_the_night(factory):
    line = factory(devices=1, faults=replace(NONE, never_online=1.0), budgets={"confirm_s": 2})
    async with line.alive():
        done = await line.run()
        night = await line.run("reconcile", "manifest.yaml", "--config", "line.yaml")

    assert (done.code, last_of(line)) == (3, "some_unknown"), done.out
    assert night.code == 3, night.out


async def test_run_4_when_the_factory_wifi_holds_the_line(factory):
    """F24: three boards in a row, and the others are not touched."""
    line = factory(devices=5)
    async with line.alive():
        line.world.factory_networks.clear()
        done = await line.run()

    assert (done.code, last_of(line)) == (4, "held_by_site"), done.out
    (held,) = [r for r in line.journals()[-1] if r.event == "line.held"]
    assert (held.code, held.blame) == ("factory_network_not_heard", "site")
    assert "2.4 GHz" in held.remedy
    assert held.remedy in done.out


@pytest.mark.parametrize("switcher", ["BreaksAtOnce", "BreaksInTheVisit"])
async def test_run_70_for_a_bug_with_its_traceback_and_the_journal_is_closed(factory, switcher):
    """A switcher of another distribution raises what no switcher may raise."""
    line = factory(devices=1, switcher=f"broken_switchers:{switcher}")
    async with line.alive():
        done = await line.run()
        mended = replace_switcher(line)
        again = await mended.run()

    assert done.code == 70
    assert "Traceback (most recent call last)" in done.err
    assert "bug in the switcher" in done.err
    records = line.journals()[0]
    assert (records[-1].event, records[-1].code, records[-1].outcome) == ("run.finished", "our_bug", "aborted")
    assert again.code == 0, again.out


def replace_switcher(line):
    line.switcher = "far_switcher:FarFactory"
    line.write()
    return line


@pytest.mark.parametrize(("stop", "at"), [(terminated, "visit.started"), (interrupted_twice, "claim_code.accepted"),
                                          (hung_up, "device.imported")])  # fmt: skip
async def test_run_130_when_it_was_interrupted(factory, stop, at):
    """F3."""
    line = factory(devices=3)
    async with line.alive():
        done = await line.run(at=(at, 1), then=stop)

    assert (done.code, last_of(line)) == (130, "interrupted")
    assert "Traceback" not in done.err


# --- import ---

IMPORT = ("import", "manifest.yaml", "--config", "line.yaml")


async def test_import_0_1_and_2(factory):
    """F8 for the 1: a device that the cloud does not know."""
    line = factory(devices=2)
    async with line.alive(bring=False):
        unknown = line.cloud.fleet.remove(line.boards[0].device_id)
        missing = await line.run(*IMPORT, "--json")
        line.cloud.know_device(unknown.id, serial=unknown.serial)
        good = await line.run(*IMPORT)
        line.manifest.write_text("version: 1\n")
        refused = await line.run(*IMPORT)

    assert (good.code, missing.code, refused.code) == (0, 1, 2)
    told = json.loads(missing.out)
    assert (told["exit"], told["in_product"]) == (1, 1)


async def test_import_4_when_the_site_refuses_and_130_when_it_is_stopped_meanwhile(factory):
    """F12 and F3."""
    line = factory(devices=2, environment={"PROVISIONER_CLIENT_SECRET": "0" * 40})
    async with line.alive(bring=False):
        held = await line.run(*IMPORT)
        line.environment = {}
        line.cloud.faults = replace(NONE, cloud_latency_s=(900.0, 900.0))
        stopped = await line.run(*IMPORT, at=("run.started", 1), then=terminated)

    assert held.code == 4
    assert "PROVISIONER_CLIENT_SECRET" in held.out
    assert (stopped.code, last_of(line)) == (130, "interrupted")


@pytest.mark.parametrize("command", ["run", "import"])
async def test_4_at_once_for_a_script_when_the_cloud_is_away_at_the_very_first_question(factory, command):
    """F6: nothing has begun. Where people look on it waits instead (tests/scenarios/test_bad_site.py)."""
    line = factory(devices=2)
    async with line.alive(bring=False):
        with socket.socket() as shut:
            shut.bind(("127.0.0.1", 0))
            line.cloud_url = "http://127.0.0.1:{1}".format(*shut.getsockname())
            line.write()
            held = await line.run(command, *IMPORT[1:])

    assert (held.code, last_of(line)) == (4, "held_by_site")
    assert "connection refused" in held.out
    assert "Check the uplink" in held.out
    assert "Traceback" not in held.err


# --- the night, and journals ---


async def test_reconcile_2_4_and_130(factory):
    line = factory(devices=1)
    night = ("reconcile", "manifest.yaml", "--config", "line.yaml")
    async with line.alive(bring=False):
        nothing = await line.run("reconcile", "nowhere.yaml", "--config", "line.yaml")
        line.environment = {"PROVISIONER_CLIENT_SECRET": "0" * 40}
        held = await line.run(*night)
        line.environment = {}
        line.cloud.faults = replace(NONE, cloud_latency_s=(900.0, 900.0))
        stopped = await line.run(*night, when=lambda: len(line.requests) > 2, then=terminated)

    assert (nothing.code, held.code, stopped.code) == (2, 4, 130)
    assert "Traceback" not in stopped.err
    assert json.loads((line.runs_dir / "reconcile.json").read_text())["ended"] is not None


async def test_journal_verify_1_for_a_changed_record_and_2_without_a_run(factory):
    """F36."""
    line = factory(devices=1)
    async with line.alive(bring=False):
        none = await line.run("journal", "verify")
        await line.run(*IMPORT)
        (journal,) = line.runs_dir.glob("*/journal.jsonl")
        journal.write_bytes(journal.read_bytes().replace(b'"code":"added"', b'"code":"other"'))
        changed = await line.run("journal", "verify")

    assert (none.code, changed.code) == (2, 1)
    assert "journal_corrupt" in changed.err
