"""A few real kills; `python tests/faults --kills N` does many. The judge is tried on what it must find."""

import os
import pty
import signal
import subprocess

import pytest
import trio
from kills import EARLY, HOWS, LATE, MIDDLE, Kill, Trial, judged, plan, trial

from provisioner.journal.reader import newest, replay
from provisioner.simulator.photon.history import Event


@pytest.mark.parametrize("seed", [1, 6])
async def test_f2_a_process_that_was_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path, seed):
    """F2 and F3: kill -9, then again, then a signal that may be obeyed."""
    played = await trial(seed, tmp_path / "far")

    assert played.wrong == []
    assert len(played.killed) >= 2
    assert played.codes_extra <= len(played.killed) * played.stations


def test_the_plan_kills_with_minus_nine_at_every_write_and_every_way_at_every_event_in_time():
    first = [kill for seed in range(1, 10) for kill in plan(seed)]
    many = {(kill.how, kill.event) for seed in range(1, 200) for kill in plan(seed)}

    assert {kill.event for kill in first if kill.how == "kill -9"} >= set(MIDDLE)
    assert {kill.how for kill in first} == set(HOWS)
    assert {how for how, event in many if event in EARLY} == set(HOWS)
    assert {event for _, event in many} == {*EARLY, *MIDDLE, *LATE}


async def test_the_judge_sees_what_a_crash_must_not_do(factory):
    """A board that was proven and is written to again; two codes too many; a board imported twice."""
    line = factory(devices=1)
    async with line.alive():
        assert (await line.run()).code == 0
        assert list(judged(line, Trial(1, 1))) == []
        (board,) = line.boards
        board.note(Event.CONFIGURED)
        line.cloud.history.extend(
            one for one in list(line.cloud.history) if one.what in ("imported", "claim code minted")
        )
        wrong = "\n".join(judged(line, Trial(1, 1)))

    assert f"{board.device_id} was imported 2 times" in wrong
    assert f"{board.device_id}: configured 2 times, intended 1 times" in wrong
    assert "1 claim codes more than devices, after 0 kills" in wrong


async def test_f3_a_terminal_that_is_closed_under_the_live_screen_stops_the_run_and_its_code_is_130(factory):
    """F3: SIGHUP comes, and every later write to the terminal fails; the journal is whole all the same."""
    line = factory(devices=3)
    async with line.alive():
        process = await trio.to_thread.run_sync(_on_a_terminal, line)
        await _until_written(line, b"claim_code.accepted")
        os.close(process.master)
        with trio.fail_after(30):
            code = await trio.to_thread.run_sync(process.wait)
        records = list(replay(newest(line.runs_dir).journal))

    assert code == 130
    assert (records[-1].event, records[-1].code) == ("run.finished", "interrupted")
    assert "run.stopping" in [record.event for record in records]


async def test_f3_nohup_is_obeyed(factory):
    """F3: whoever started it so wants it to go on without its terminal."""
    line = factory(devices=1)
    async with line.alive():
        done = await line.run(
            "run", "manifest.yaml", "--config", "line.yaml",
            at=("visit.started", 1), then=_hang_up, prefix=("nohup",),
        )  # fmt: skip

    assert done.code == 0, done.err


async def _hang_up(process):
    process.send_signal(signal.SIGHUP)


def _on_a_terminal(line):
    """Start the run as the leader of a session whose terminal is ours."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *line.command("run", "manifest.yaml", "--config", "line.yaml")],
        cwd=line.folder,
        env={**line.env(), "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    process.master = master
    return process


async def _until_written(line, word):
    with trio.fail_after(30):
        while (run := newest(line.runs_dir)) is None or word not in run.journal.read_bytes():
            await trio.sleep(0.01)


def test_a_kill_says_what_it_is():
    assert str(Kill("kill -9", "visit.ended", 2)) == "kill -9 at visit.ended 2"
