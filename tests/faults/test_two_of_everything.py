"""Two of everything, as processes: two runs of one manifest, two computers at one tray, a journal that was copied."""

import os
import shutil
import socket
from collections import Counter

import pytest
import trio
from far_factory import killed

from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.cloud.state import What


async def two_computers(line, first_dir, second_dir):
    """The same manifest on two computers, each with an adapter and runs of its own, at the same time."""
    line.write_settings(["sim1"], name="one.yaml", operator="Ada")
    line.write_settings(["sim2"], name="two.yaml", operator="Bob")
    ends = {}

    async def one(name, runs_dir):
        config = f"{name}.yaml"
        ends[name] = await line.run("run", "manifest.yaml", "--config", config, "--runs-dir", runs_dir)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, "one", first_dir)
        nursery.start_soon(one, "two", second_dir)
    return ends


def what_both_say(line, *runs_dirs):
    """Everything that is wrong with either computer's last journal, or with both together."""
    records = [record for folder in runs_dirs for journal in line.journals(folder) for record in journal]
    wrong = check_all(Truth(records, line.world.history, line.cloud, line.owners(), visited=set(line.owners())))
    # Each computer has its own sums; together only what happened to the devices is to be judged.
    wrong = [one for one in wrong if not one.startswith("run.finished says")]
    claimed = Counter(one.device for one in line.cloud.history.of(What.CLAIMED))
    wrong += [f"{device} was claimed {times} times" for device, times in claimed.items() if times > 1]
    return [*wrong, *(f"{one.device} was taken over" for one in line.cloud.history.of(What.TAKEN_OVER))]


async def test_a_second_run_of_one_manifest_is_refused_at_once_with_the_name_of_who_holds_it(factory):
    """F19: host, process and operator of the first; nothing is written or asked by the second."""
    line = factory(devices=2, operator="Ada")
    second = {}

    async def start_another(process):
        asked = len(line.requests)
        with trio.fail_after(20):
            second["done"] = await line.run()
        second["asked"] = len(line.requests) - asked
        second["pid"] = process.pid

    async with line.alive(bring=False):
        line.budgets = {"idle_stop_s": 60}
        line.write()
        task = start_another
        first = await line.run(at=("station.started", 1), then=_and_then_stop(task))

    done = second["done"]
    assert done.code == 2
    holder = f"process {second['pid']} on {socket.gethostname()}, operator Ada, run {line.journals()[0][0].run}"
    assert holder in done.err
    assert "Whose fault: " in done.err
    assert len(list(line.runs_dir.glob("*/journal.jsonl"))) == 1
    assert first.code == 130


def _and_then_stop(task):
    async def act(process):
        await task(process)
        process.terminate()

    return act


async def test_two_computers_at_one_bench_work_one_tray_without_a_false_pass_or_a_board_claimed_twice(factory):
    """F18 and F19: both hear every board. Together their journals prove every board; brought together, they add up."""
    line = factory(devices=6, stations=2, budgets={"idle_stop_s": 6, "confirm_s": 8})
    one, two = line.folder / "one", line.folder / "two"
    async with line.alive():
        await two_computers(line, one, two)
        wrong = what_both_say(line, one, two)
        for run in two.glob("*T*"):
            shutil.copytree(run, one / run.name)
        night = await line.run("reconcile", "manifest.yaml", "--config", "one.yaml", "--runs-dir", one)

    assert wrong == []
    confirmed = Counter(r.device for folder in (one, two) for j in line.journals(folder) for r in j
                        if r.event == "device.confirmed")  # fmt: skip
    assert set(confirmed) == set(line.owners())
    assert night.code == 0, night.out


async def test_a_journal_that_was_copied_to_another_computer_in_mid_run_doubles_nothing(factory):
    """F19: killed with a board in doubt, the runs folder copied, and both copies resumed at once."""
    line = factory(devices=4, stations=2, budgets={"idle_stop_s": 6, "confirm_s": 8})
    one, two = line.folder / "one", line.folder / "two"
    async with line.alive():
        line.write_settings(["sim1"], name="one.yaml")
        await line.run("run", "manifest.yaml", "--config", "one.yaml", "--runs-dir", one,
                       runs_dir=one, at=("connect.intended", 2), then=killed)  # fmt: skip
        shutil.copytree(one, two)
        ends = await two_computers(line, one, two)
        wrong = what_both_say(line, one, two)

    assert wrong == []
    assert {end.code for end in ends.values()} <= {0, 1, 3}, ends
    resumed = [{r.device for r in line.journals(folder)[-1] if r.event in ("device.resumed", "device.carried")}
               for folder in (one, two)]  # fmt: skip
    assert resumed[0] == resumed[1] != set()


@pytest.mark.parametrize("copy", ["after", "before"])
async def test_a_copy_of_a_run_beside_it_is_left_out_and_said(factory, copy):
    """F19: whether its name sorts behind the run or before it."""
    line = factory(devices=1)
    async with line.alive():
        first = await line.run()
        (run,) = (path.parent for path in line.runs_dir.glob("*/journal.jsonl"))
        shutil.copytree(run, run.with_name(f"{run.name}-copy" if copy == "after" else "0-backup"))
        second = await line.run()
        night = await line.run("reconcile", "manifest.yaml", "--config", "line.yaml")

    assert (first.code, second.code, night.code) == (0, 0, 0), night.out
    assert "holds a copy of another run's journal" in second.out
    journal = next(j for j in line.journals() if j[0].run != run.name)
    assert journal[0].extra["resumes"] == [run.name]


async def test_a_run_that_was_renamed_still_counts(factory):
    """F19: there is no other copy of what it proved."""
    line = factory(devices=1)
    async with line.alive():
        await line.run()
        (run,) = (path.parent for path in line.runs_dir.glob("*/journal.jsonl"))
        os.rename(run, run.with_name("kept-for-the-auditor"))
        again = await line.run()

    assert again.code == 0
    assert [r.event for r in line.journals()[0] if r.event == "device.carried"] == ["device.carried"]
