"""`demo` as people run it: a whole factory in its own process, true, small or stopped, and without a secret left."""

import json
import os
import signal
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import trio

from provisioner.demo.files import CUSTOMER
from provisioner.journal.reader import newest, replay, verify
from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import TokenKind
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import Dice, Faults
from provisioner.simulator.leaks import secrets_of

ROOT = Path(__file__).parents[1]
SEED = 7
SUMS = ("pass", "fail", "unknown", "skipped", "open")


def process_of(folder, *args):
    command = [sys.executable, "-m", "provisioner", "demo", "--seed", SEED, *args]
    where = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    return partial(trio.run_process, [str(part) for part in command], check=False, **where)


async def demo(folder, *args):
    """Run it in `folder`: exit code, stdout, stderr."""
    with trio.fail_after(60):
        done = await process_of(folder, *args)(capture_stdout=True, capture_stderr=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def started(folder, *args, task_status):
    """For `nursery.start`: one that goes on, saying what it says to the files `out` and `err`."""
    files = ExitStack()
    out, err = (files.enter_context((folder / name).open("wb")) for name in ("out", "err"))
    with files:
        await process_of(folder, *args)(stdout=out, stderr=err, task_status=task_status)


async def first_code(folder):
    """Wait until a board has a claim code."""
    with trio.fail_after(30):
        run = None
        while run is None or b"claim_code.accepted" not in run.journal.read_bytes():
            await trio.sleep(0.02)  # another process writes it
            run = newest(folder / "runs")
    return run


def canaries():
    """The secrets of the demo's factory, made again: the seed decides them."""
    cloud = SimCloud(clock=SimClock(), dice=Dice(SEED), faults=Faults())
    for tray in ("t-0001", "t-0002"):
        customer = cloud.add_customer(CUSTOMER.format(tray=tray))
        for _ in range(20):
            cloud.claims.make(customer, 0.0)
            for kind, account in ((TokenKind.CUSTOMER, customer), (TokenKind.PRODUCT, None)):
                cloud.accounts.issue(
                    kind, cloud.client_id, now_s=0.0, life_s=None, account=account, product_id=cloud.product.id
                )
    return secrets_of(cloud, TEST_ROUTER.password), {code.fingerprint for code in cloud.claims}


async def test_a_demo_is_true_adds_up_and_leaves_no_secret(tmp_path):
    """F35: no byte under the folder or on the screen holds a secret, in whatever form."""
    code, out, err = await demo(tmp_path, "--devices", 6, "--keep", "--json")
    told = json.loads(out)

    assert code == told["exit"] == 0, err
    assert len(out.splitlines()) == 1
    assert told["adds_up"] is True
    assert sum(told["outcomes"][word] for word in SUMS) == told["devices"] == 6
    assert "no false PASS" in err
    run = newest(tmp_path / "runs")
    assert verify(run.journal).torn_bytes == 0
    assert {path.name for path in (run.path / "factory").iterdir()} >= {"manifest.yaml", "line.yaml"}
    secrets, fingerprints = canaries()
    given = {r.extra["claim_code"] for r in replay(run.journal) if r.event == "claim_code.accepted"}
    assert given
    assert given <= fingerprints  # else these would be the canaries of another factory
    assert secrets.leaks_in(f"{out}{err}".encode(), "the screen") == secrets.leaks_under(tmp_path) == []


@pytest.mark.parametrize(("devices", "stations", "said"), [(1, 1, "1 Photon in 1 tray, 1 station,"), (2, 3, "2 trays")])
async def test_a_factory_with_fewer_devices_than_trays_and_lines_that_do_not_wrap_in_a_pipe(
    tmp_path, devices, stations, said
):
    code, out, err = await demo(tmp_path, "--devices", devices, "--stations", stations)
    lines = out.splitlines()

    assert (code, err) == (0, "")
    assert said in lines[0]
    assert lines[0].endswith(f"seed {SEED}.")
    assert "FINISHED, ALL PASS." in lines
    assert lines[-2].endswith("one outcome each, no secret in any file.")
    assert lines[-1].startswith("Journal: ")


@pytest.mark.parametrize("times", [1, 2])
async def test_ctrl_c_ends_it_with_an_outcome_for_every_device(tmp_path, nursery, times):
    """F3. Once: boards under way are finished. Twice: at once. In both cases the journal is whole."""
    process = await nursery.start(partial(started, tmp_path, "--devices", 20, "--json"))
    run = await first_code(tmp_path)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        await trio.sleep(0.05)
    with trio.fail_after(30):
        await process.wait()

    told = json.loads((tmp_path / "out").read_text())
    records = list(replay(run.journal))
    assert process.returncode == told["exit"] == 130
    assert records[-1].event == "run.finished"
    assert (told["adds_up"], told["outcomes"]["open"]) == (True, 0)
    assert sum(told["outcomes"].values()) == 20
    assert verify(run.journal).torn_bytes == 0
    assert "Traceback" not in (tmp_path / "err").read_text()
    visits = [record for record in records if record.event in ("visit.started", "visit.ended")]
    if times == 1:
        assert len([v for v in visits if v.event == "visit.started"]) == len(visits) / 2
