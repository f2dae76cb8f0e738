"""Seeds of the deterministic simulation; `python tests/faults --seeds N` plays as many as there is time for."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import checks
import journal_words
import pytest
import seed_plan
import seed_world
import simulation
from report import Wishes
from seed_counts import NATURES, TROUBLES
from seed_plan import Ends, Nature, Trouble

HERE = Path(__file__).parent
ONE_SEED = """
import sys; sys.path.insert(0, sys.argv[1])
import seed_plan, seed_world, simulation
with simulation._folder(int(sys.argv[2]), 40, keep=False) as folder:
    seed_world.play(seed_plan.drawn(int(sys.argv[2]), 40), folder)
    print(simulation.digest(folder))
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_no_invariant_breaks_whatever_a_seed_injects(seed):
    """F1, F2: the power fails and the program is killed on the way, among all other faults, and starts again."""
    judged = simulation.judge(seed, 60)

    assert judged.wrong == []
    assert {f"I{number}" for number in range(1, 14)} <= judged.checked.keys()
    assert sum(row.times for row in judged.rows) > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 19])
def test_a_line_that_lost_power_ends_as_one_that_did_not(tmp_path, seed):
    """F1: device by device, the same outcome and the same class of the night as in a world where no power failed."""
    plan = seed_plan.drawn(seed, 60)
    assert Ends.POWER in {end.how for end in plan.ends}

    ends = []
    for name, one in (("cut", plan), ("whole", replace(plan, ends=()))):
        (tmp_path / name).mkdir()
        played = seed_world.play(one, tmp_path / name)
        said = journal_words.read(played.runs_dir).last_outcome
        stolen = set(played.stolen_s)  # how far each was by then is another matter in another history
        ends.append({row.device: (said[row.device], played.classes.get(row.device, "good")) for row in played.listed})
        ends[-1] = {device: end for device, end in ends[-1].items() if device not in stolen}

    both = ends[0].keys() & ends[1].keys()
    assert len(both) > 50
    assert {device: ends[0][device] for device in both} == {device: ends[1][device] for device in both}


@pytest.mark.slow
def test_one_seed_writes_the_same_journals_byte_for_byte():
    """In processes of their own, whose sets and dicts of texts are in different orders: a failing seed replays."""
    digests = set()
    for hash_seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(HERE.parents[1])}
        script = [sys.executable, "-c", ONE_SEED, str(HERE), "14"]
        done = subprocess.run(script, check=True, capture_output=True, text=True, env=env, timeout=300)
        digests.add(done.stdout)

    assert len(digests) == 1


def test_a_failing_seed_is_told_in_one_line_that_plays_it_again(monkeypatch):
    monkeypatch.setattr(checks, "CHECKERS", {lambda *_: ["I1: something", "I1: else", "a", "b"]: ("I1",)})

    part = simulation.run(Wishes(seeds=1, first_seed=7, devices=12, jobs=1))

    again = "python tests/faults --seeds 1 --first-seed 7 --devices 12"
    assert part.violations[0] == f"I1: something (and 1 more): {again}"
    assert len(part.violations) == simulation.TOLD_OF_A_SEED


def test_seeds_that_there_was_no_time_for_are_said(monkeypatch):
    monkeypatch.setattr(simulation, "judge", lambda seed, devices, *, keep: simulation.Judged(seed))

    part = simulation.run(Wishes(seeds=5, devices=10, jobs=1, within_s=1e-9))

    assert part.violations == ["only 0 of 5 seeds were played within 1e-09 s"]


def test_a_bug_is_a_finding_of_its_seed_and_no_end_of_the_others(monkeypatch):
    def broken(plan, folder):
        try:
            raise ValueError("something that no device can be blamed for")
        except ValueError as bug:
            raise ExceptionGroup("in a nursery", [bug]) from None

    monkeypatch.setattr(seed_world, "play", broken)

    part = simulation.run(Wishes(seeds=2, first_seed=1, devices=10, jobs=1))

    assert len(part.violations) == 2
    assert "ValueError at test_simulation.py" in part.violations[0]


def test_the_plans_of_a_night_hold_every_injury_there_is():
    """500 seeds, as CI plays them: every way to end a life, every trouble and every nature is among them, often."""
    plans = [seed_plan.drawn(seed, 100) for seed in range(1, 501)]
    ends = Counter(end.how for plan in plans for end in plan.ends)
    troubles = Counter(event.trouble for plan in plans for event in plan.events)
    natures = Counter(nature for plan in plans for tray in plan.trays for nature in tray.natures)

    assert ends.keys() == set(Ends)
    assert troubles.keys() == set(Trouble)
    assert natures.keys() == set(Nature)
    assert min(*ends.values(), *troubles.values(), *natures.values()) >= 20
    assert all(sum(len(tray.natures) for tray in plan.trays) == 100 for plan in plans)


def test_every_injury_has_a_row_in_the_report():
    assert {*Trouble, *Ends} <= TROUBLES.keys()
    assert NATURES.keys() == set(Nature) - {Nature.GOOD, Nature.STOLEN}
