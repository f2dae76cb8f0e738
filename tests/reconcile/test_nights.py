"""Nights after real runs in virtual time: drift is named, repairs are safe, and the totals are always right."""

import csv
import json
import random
import shutil

import pytest
import trio
from night_site import classes_of, in_class

from provisioner.demo.files import LineFile
from provisioner.errors import ExitCode, FileRefused, ReconcileRunning
from provisioner.journal.reader import newest, replay, runs, verify
from provisioner.journal.writer import open_journal
from provisioner.model import Outcome
from provisioner.reconcile.discipline import FINDINGS_NAME, HEARTBEAT_NAME, one_at_a_time
from provisioner.reconcile.index import open_index
from provisioner.simulator.cloud.rules import CloudRules
from provisioner.simulator.cloud.state import What
from provisioner.simulator.faults import Faults


def heartbeat(site):
    return json.loads((site.runs_dir / HEARTBEAT_NAME).read_text())


def findings(site):
    with (site.runs_dir / FINDINGS_NAME).open(newline="") as file:
        return {row["device"]: row for row in csv.DictReader(file)}


def proven(site):
    with open_index(site.runs_dir) as index:
        index.refresh()
        return {board.device_id for board in site.boards if _passed(index, board)}


def _passed(index, board):
    found = index.facts_of([board.device_id]).get(board.device_id)
    return found is not None and found.proven


def test_after_a_good_shift_everything_adds_up(site):
    async def story(site):
        site.bring()
        await site.run()
        return await site.night()

    here = site()
    morning = here.play(story)
    assert classes_of(morning) == {"confirmed": 8}
    assert morning.exit_code is ExitCode.ALL_GOOD
    assert morning.verdict == "EVERYTHING ADDS UP: 8 devices, 1 manifest."
    assert findings(here) == {}
    assert heartbeat(here)["exit"] == 0
    assert heartbeat(here)["ended"]


def test_drift_is_named_device_by_device(site):
    async def story(site):
        site.bring()
        await site.run()
        site.drift.disown(site.ids[0])
        site.drift.give_away(site.ids[1], "other@example.com")
        site.drift.take_out(site.ids[2])
        site.drift.quarantine(site.ids[3])
        strays = {site.drift.stray() for _ in range(2)}
        return strays, await site.night()

    here = site()
    strays, morning = here.play(story)
    ids = here.ids
    assert in_class(morning, "owner_changed") == {ids[0], ids[1]}
    assert in_class(morning, "left_product") == {ids[2]}
    assert in_class(morning, "restricted") == {ids[3]}
    assert in_class(morning, "stray") == strays
    assert classes_of(morning)["confirmed"] == 4
    assert morning.exit_code is ExitCode.SOME_FAILED
    assert findings(here)[ids[1]]["owner"] == "other@example.com"
    assert set(findings(here)) == {*ids[:4], *strays}


def test_before_any_run_nothing_is_in_the_product_and_repair_imports_it_once(site):
    async def story(site):
        first = await site.night()
        second = await site.night(repair=True)
        third = await site.night(repair=True)
        return first, second, third

    here = site()
    first, second, third = here.play(story)
    assert classes_of(first) == {"not_in_product": 8}
    assert (classes_of(second), second.repairs["imported"]) == ({"not_visited": 8}, 8)
    assert (third.repair_run, dict(third.repairs)) == (None, {}), "a second repair has nothing to do"
    assert third.exit_code is ExitCode.SOME_UNKNOWN
    events = [record.event for record in replay(newest(here.runs_dir).journal)]
    assert events.index("run.started") < events.index("import.intended") < events.index("import.accepted")
    assert events.count("device.imported") == 8


def test_an_unknown_that_the_cloud_proves_now_is_written_down_and_no_run_works_it_again(site):
    async def story(site):
        site.world.online_delay_s = 400.0  # later than any run waits
        site.bring()
        await site.run()
        before = await site.night()
        await trio.sleep(600)
        late = await site.night()
        repaired = await site.night(repair=True)
        again = await site.run()
        return before, late, repaired, again

    here = site(boards=2, trays=1)
    before, late, repaired, again = here.play(story)
    assert classes_of(before) == {"unknown_open": 2}
    assert classes_of(late) == {"unknown_proven": 2}
    assert late.exit_code is ExitCode.SOME_UNKNOWN
    assert (classes_of(repaired), repaired.repairs["proven"]) == ({"confirmed": 2}, 2)
    events = [record.event for record in replay(again.journal)]
    assert events.count("device.carried") == 2
    assert "visit.started" not in events


def test_repair_never_touches_an_owner_nor_takes_anything_away(site):
    async def story(site):
        site.bring()
        await site.run()
        site.drift.disown(site.ids[0])
        site.drift.give_away(site.ids[1], "other@example.com")
        site.drift.take_out(site.ids[2])
        site.drift.quarantine(site.ids[3])
        site.drift.stray()
        told = len(list(site.cloud.history))
        before = [site.owner(board) for board in site.boards]
        await site.night(repair=True)
        after = [site.owner(board) for board in site.boards]
        new = list(site.cloud.history)[told:]
        return before, after, new

    before, after, new = site().play(story)
    assert before == after
    gone = {What.UNCLAIMED, What.TAKEN_OVER, What.CLAIMED}
    assert not [entry for entry in new if entry.what in gone or "remov" in entry.what.value]


@pytest.mark.parametrize("seed", range(6))
def test_no_repair_reduces_the_number_of_proven_devices(site, seed):
    """Random drift, then a repair; also where the cloud loses answers."""

    async def story(site):
        site.bring()
        await site.run()
        site.drift.night(site.ids, acts=6)
        with_before = proven(site)
        morning = await site.night(repair=True)
        return with_before, morning

    here = site(seed=seed, faults="typical", boards=10)
    before, morning = here.play(story)
    assert before <= proven(here)
    assert morning.tally.classes.total() == 10 + morning.tally.outside


def test_the_list_is_walked_though_its_pages_move(site):
    """While it is read, devices are imported and removed, and pages are small."""

    async def story(site):
        site.bring()
        await site.run()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drift, site)
            morning = await site.night()
            nursery.cancel_scope.cancel()
        return morning

    async def drift(site):
        """Below and above what is being read, several times a second."""
        while True:
            stray = site.drift.stray()
            await trio.sleep(0.07)
            if stray < "8":
                site.drift.take_out(stray)

    here = site(boards=40, trays=2, stations=8, rules=CloudRules(page_devices_max=3))
    morning = here.play(story)
    assert morning.partial is None
    assert classes_of(morning)["confirmed"] == 40


def test_a_walk_that_cannot_be_finished_says_how_far_it_came(site):
    async def story(site):
        site.bring()
        await site.run()
        few = await site.night(budget=4)
        slow = await site.night(deadline_s=0.5)
        return few, slow

    here = site(boards=12, rules=CloudRules(page_devices_max=2))
    few, slow = here.play(story)
    assert few.exit_code is slow.exit_code is ExitCode.HELD_BY_SITE
    assert few.verdict.startswith("NOT FINISHED: ")
    assert "of 6 pages" in few.verdict
    assert "--budget" in few.verdict
    assert "deadline" in slow.verdict
    assert heartbeat(here)["exit"] == 4


def test_a_cloud_that_fails_half_the_pages_is_walked_all_the_same(site):
    async def story(site):
        site.bring()
        await site.run()
        site.cloud.faults = Faults(cloud_fault=0.4, cloud_latency_s=(0.01, 0.02))
        return await site.night()

    here = site(boards=12, rules=CloudRules(page_devices_max=3))
    morning = here.play(story)
    assert any(entry.what is What.FAULT for entry in here.cloud.history)
    assert morning.partial is None
    assert classes_of(morning) == {"confirmed": 12}


def test_one_at_a_time(site):
    async def story(site):
        with one_at_a_time(site.runs_dir), pytest.raises(ReconcileRunning):
            await site.night()

    site().play(story)


def test_while_a_shift_writes_nothing_is_repaired_and_that_is_said(site):
    async def story(site):
        with open_journal(site.runs_dir, "a-shift", wall=site.world.clock.now, mono=trio.current_time):
            return await site.night(repair=True)

    morning = site().play(story)
    assert classes_of(morning) == {"not_in_product": 8}
    assert [trouble for trouble in morning.troubles if trouble.startswith("Nothing was repaired: ")]


def test_a_night_that_is_cancelled_says_so_in_its_heartbeat(site):
    async def story(site):
        with trio.move_on_after(0.01):
            await site.night()

    here = site()
    here.play(story)
    assert heartbeat(here)["stopped_by"] == "Cancelled"


def test_a_device_in_two_manifests_is_named_once(site):
    async def story(site):
        second, _ = site.write(site.folder / "copy", lot="other")
        return await site.night(site.manifest, second)

    morning = site().play(story)
    assert classes_of(morning) == {"listed_twice": 8}
    assert morning.listed == 8


def test_a_manifest_that_vanished_leaves_its_devices_unlisted_and_is_named(site):
    async def story(site):
        site.bring()
        await site.run()
        other = site.folder / "other.yaml"
        other.write_text(
            "version: 1\nproduct: tempmon-v100\nclaim: {to: none}\ntrays:\n  - id: X\n    devices: [" + "a" * 24 + "]\n"
        )
        site.manifest.unlink()
        return await site.night(other)

    morning = site().play(story)
    assert classes_of(morning) == {"unlisted": 8, "not_in_product": 1}
    assert any("is gone" in trouble for trouble in morning.troubles)


def test_a_bad_manifest_stops_the_night_before_the_cloud_is_asked(site):
    async def story(site):
        site.manifest.write_text("version: 1\ntrays: 7\n")
        with pytest.raises(FileRefused):
            await site.night()

    here = site()
    here.play(story)
    assert heartbeat(here)["stopped_by"] == "FileRefused"
    assert here.cloud.limits.requests_by_window.total() == 0


def test_a_changed_journal_is_named_and_its_devices_are_open_until_a_run_proves_them_again(site):
    async def story(site):
        site.bring()
        end = await site.run()
        lines = end.journal.read_bytes().splitlines(keepends=True)
        lines[-3] = lines[-3].replace(b'"mono_ms":', b'"mono_ms":9')
        end.journal.write_bytes(b"".join(lines))
        return await site.night()

    here = site()
    morning = here.play(story)
    assert classes_of(morning).get("in_doubt", 0) >= 6
    assert morning.tally.classes.total() == 8
    assert any("journal.jsonl" in trouble for trouble in morning.troubles)
    assert morning.exit_code is ExitCode.SOME_UNKNOWN


def test_devices_outside_any_product_are_asked_for_one_by_one(tmp_path, site):
    async def story(site):
        line = LineFile(["sim0"], cloud={"account": site.cloud.account}, budgets={"idle_stop_s": 120})
        (tmp_path / "dev").mkdir()
        manifest, settings = site.virtual.write(tmp_path / "dev", site.trays, line, product=None, claim="{to: account}")
        site.settings = settings
        site.bring()
        end = await site.run(manifest=manifest)
        return end, await site.night(manifest)

    end, morning = site(boards=3, trays=1).play(story)
    assert end.exit_code is ExitCode.ALL_GOOD
    assert classes_of(morning) == {"confirmed": 3}


# --- restore ---


def test_restore_unclaims_then_removes_and_doing_it_twice_does_nothing(site):
    async def story(site):
        site.bring()
        await site.run()
        told = len(list(site.cloud.history))
        first = await site.restore(*site.boards[:2])
        new = [entry.what for entry in list(site.cloud.history)[told:]]
        second = await site.restore(*site.boards[:2])
        morning = await site.night()
        repaired = await site.night(repair=True)
        return first, new, second, morning, repaired

    here = site()
    first, new, second, morning, repaired = here.play(story)
    ids = {board.device_id for board in here.boards[:2]}
    assert first.done == dict.fromkeys(ids, "removed")
    acts = [what for what in new if what in (What.UNCLAIMED, What.REMOVED)]
    assert acts == [What.UNCLAIMED, What.REMOVED] * 2
    assert second.done == dict.fromkeys(ids, "nothing to do")
    assert second.exit_code is ExitCode.ALL_GOOD
    assert classes_of(morning) == {"confirmed": 6, "restored": 2}
    assert repaired.repair_run is None, "what a person took back is not imported again"
    assert all(verify(folder.journal).records for folder in runs(here.runs_dir))


def test_a_restored_device_is_worked_again_from_the_beginning(site):
    async def story(site):
        site.bring()
        await site.run()
        await site.restore(site.boards[0], remove=True)
        site.boards[0].power_off()
        await trio.sleep(5)
        site.bring([site.boards[0]])
        end = await site.run()
        return end, await site.night()

    here = site(boards=2, trays=1)
    end, morning = here.play(story)
    finals = {
        r.device: r.event for r in replay(end.journal) if r.outcome is Outcome.PASS and r.event.startswith("device.")
    }
    assert finals == {here.boards[0].device_id: "device.confirmed", here.boards[1].device_id: "device.carried"}
    assert classes_of(morning) == {"confirmed": 2}


def test_restore_of_what_is_not_there_is_nothing_to_do_and_a_foreign_product_is_a_refusal(site):
    async def story(site):
        return await site.restore("f" * 24)

    undone = site().play(story)
    assert list(undone.done.values()) == ["nothing to do"]


# --- a month ---


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_thirty_nights_of_drift_crashes_and_repairs_keep_every_total_right(site, seed):
    dice = random.Random(seed)
    waiting = []

    async def story(site):
        sums = []
        waiting[:] = list(site.boards)
        for _ in range(30):
            with trio.move_on_after(dice.choice([15, 60, 10_000])):  # some runs are cut short
                batch = [waiting.pop() for _ in range(min(3, len(waiting)))]
                if batch:
                    site.bring(batch)
                    await site.run()
            site.drift.night(site.ids, acts=dice.randrange(3))
            crash = dice.random() < 0.2
            with trio.move_on_after(dice.uniform(0.05, 2.0) if crash else 3600):
                morning = await site.night(repair=dice.random() < 0.5)
                if morning.partial is None:
                    sums.append((morning.tally.classes.total(), morning.listed + morning.tally.outside))
            if dice.random() < 0.1:
                shutil.rmtree(site.runs_dir / "index.sqlite", ignore_errors=True)
                (site.runs_dir / "index.sqlite").unlink(missing_ok=True)
            await trio.sleep(3600)
        return sums

    here = site(seed=seed, faults="typical", boards=24, trays=3)
    sums = here.play(story)
    assert len(sums) > 15
    assert all(total == expected >= 24 for total, expected in sums)
    rebuilt = proven(here)
    (here.runs_dir / "index.sqlite").unlink()
    assert proven(here) == rebuilt, "the index says what the journals say"
