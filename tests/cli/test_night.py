"""The commands after the shift: exit codes, files, what people and machines are told."""

import csv
import json
import os
import pty
import signal
import sqlite3
import subprocess
from contextlib import closing
from functools import partial

import pytest
import trio

DEVICES = [f"3b00210017473532363430{number:02x}" for number in range(5)]
KNOWN = len(DEVICES)


async def test_a_whole_night_from_nothing_to_adding_up(bench):
    bench.write(devices=DEVICES)
    first = await bench.run("reconcile", "m.yaml")
    assert first.code == 1
    assert "NOT IN PRODUCT: Listed, and not in the product" in first.out
    assert first.out.splitlines()[-1] == "IT DOES NOT ADD UP: 5 wrong, 0 open, 0 good, of 5 devices."
    with (bench.folder / "runs" / "reconcile.csv").open(newline="") as file:
        assert {row["class"] for row in csv.DictReader(file)} == {"not_in_product"}

    repaired = await bench.call("reconcile", "m.yaml", "--repair")
    assert (repaired.code, "REPAIRED  5 imported" in repaired.out) == (0, True)
    assert repaired.out.splitlines()[-1] == "EVERYTHING ADDS UP: 5 devices, 1 manifest."

    again = await bench.call("reconcile", "m.yaml", "--repair", "--json")
    assert again.code == again.json["exit"] == 0
    assert again.json["classes"]["member"] == 5
    assert again.json["repair_run"] is None
    assert json.loads((bench.folder / "runs" / "reconcile.json").read_text())["verdict"] == again.json["verdict"]


async def test_without_manifests_all_of_config_manifests_are_compared(bench):
    bench.write(devices=DEVICES)
    nothing = await bench.call("reconcile")
    assert (nothing.code, "config/manifests" in nothing.err) == (2, True)

    (bench.folder / "config" / "manifests").mkdir()
    (bench.folder / "m.yaml").rename(bench.folder / "config" / "manifests" / "m.yaml")
    assert (await bench.call("reconcile")).code == 1


async def test_a_cloud_that_is_away_is_exit_code_4_and_says_how_far_it_came(bench):
    bench.write(devices=DEVICES)
    text = (bench.folder / "config" / "line.yaml").read_text()
    (bench.folder / "config" / "line.yaml").write_text(text.replace(f":{bench.port}'", ":9'"))
    said = await bench.call("reconcile", "m.yaml", "--deadline", "1")

    assert said.code == 4
    assert said.out.splitlines()[-1].startswith("NOT FINISHED: 0 devices compared, no page of the cloud's list read")


async def test_wrong_credentials_are_exit_code_4(bench):
    bench.write(devices=DEVICES)
    said = await bench.call("reconcile", "m.yaml", PROVISIONER_CLIENT_SECRET="0" * 40)

    assert said.code == 4
    assert "0" * 40 not in said.out + said.err


async def test_a_budget_that_is_used_up_is_exit_code_4(bench):
    bench.write(devices=DEVICES)
    assert (await bench.call("reconcile", "m.yaml", "--budget", "1")).code == 4


@pytest.mark.parametrize(
    "args",
    [("reconcile", "nowhere.yaml"), ("status",), ("status", "no-such-run"), ("show", "T-0001/1"), ("report",),
     ("restore", "T-0001"), ("restore", "T-0001", "--remove"), ("report", "--format", "pdf"),
     ("reconcile", "--budget", "0"), ("show",)],
)  # fmt: skip
async def test_what_is_not_there_is_exit_code_2_and_a_sentence(bench, args):
    bench.write()
    said = await bench.call(*args)

    assert said.code == 2
    assert said.err.strip()
    assert "Traceback" not in said.err


async def test_one_at_a_time(bench):
    bench.write(devices=DEVICES)
    bench.cloud.faults = type(bench.cloud.faults)(cloud_latency_s=(25.0, 25.0))
    async with trio.open_nursery() as nursery:
        process = await nursery.start(partial(bench.start, "reconcile", "m.yaml"))
        await bench.until_written("runs/reconcile.json", b"began")
        second = await bench.call("reconcile", "m.yaml")
        assert (second.code, "another `provisioner reconcile`" in second.err) == (2, True)
        process.send_signal(signal.SIGKILL)
    assert json.loads((bench.folder / "runs" / "reconcile.json").read_text())["ended"] is None

    bench.cloud.faults = type(bench.cloud.faults)(cloud_latency_s=(0.0, 0.0))
    assert (await bench.call("reconcile", "m.yaml")).code == 1, "the lock went with the process"


async def test_one_devices_life_by_id_serial_and_slot(bench):
    bench.write(devices=DEVICES)
    await bench.call("import", "m.yaml")
    by_id = await bench.call("show", DEVICES[1].upper())
    assert by_id.code == 0
    assert "device.imported" in by_id.out
    assert by_id.out.splitlines()[-1].startswith("IMPORTED: ")

    by_slot = await bench.call("show", "T-0001/2", "--json")
    assert by_slot.json["device"] == DEVICES[1]
    assert [record["event"] for record in by_slot.json["runs"][0]["records"]] == ["device.imported"]


async def test_status_names_the_run_its_sums_and_the_last_night(bench):
    bench.write(devices=DEVICES)
    await bench.call("import", "m.yaml")
    await bench.call("reconcile", "m.yaml")
    said = await bench.call("status")
    assert said.code == 0
    assert "T-0001" in said.out
    assert "Nothing waits for a proof." in said.out
    assert said.out.splitlines()[-1].startswith("Reconciled 0 min ago: EVERYTHING ADDS UP")

    assert (await bench.call("status", "--json")).json["devices"] == KNOWN


@pytest.mark.parametrize("form", ["html", "csv", "junit", "json", "parquet"])
async def test_a_report_in_every_format(bench, form):
    bench.write(devices=DEVICES)
    await bench.call("import", "m.yaml")
    said = await bench.call("report", "--format", form, "--output", "out.file")
    assert (said.code, said.out) == (0, "Report: out.file\n")
    assert (bench.folder / "out.file").stat().st_size > 100

    assert (await bench.call("report", "--format", form, "--output", "no/such/folder")).code == 2


async def test_sql_over_all_runs_sees_no_files(bench):
    bench.write(devices=DEVICES)
    await bench.call("import", "m.yaml")
    said = await bench.call("report", "--sql", "SELECT count(*) AS n FROM records WHERE event = 'device.imported'")
    assert (said.code, said.out.splitlines()) == (0, ["n", "5"])

    for query in ("SELECT * FROM read_text('/etc/passwd')", "COPY devices TO 'x.csv'", "SELEC", "ATTACH 'x.db'"):
        refused = await bench.call("report", "--sql", query)
        assert (refused.code, "Traceback" in refused.err) == (2, False), query


async def test_restore_asks_first_and_is_done_once(bench):
    bench.write(devices=DEVICES)
    await bench.call("import", "m.yaml")
    unasked = await bench.call("restore", "T-0001/1", "--remove", "--product", "tempmon-v100")
    assert (unasked.code, "--yes" in unasked.err) == (2, True)
    assert not bench.called("DELETE")

    done = await bench.call("restore", "T-0001/1", "--remove", "--product", "tempmon-v100", "--yes")
    assert (done.code, done.out) == (0, f"{DEVICES[0]}: removed\n")
    again = await bench.call("restore", DEVICES[0], "--remove", "--product", "tempmon-v100", "--yes", "--json")
    assert again.json["done"] == {DEVICES[0]: "nothing to do"}

    tray = await bench.call("restore", "T-0001", "--remove", "--product", "tempmon-v100", "--yes")
    assert tray.code == 0
    assert len(bench.called("DELETE")) == KNOWN
    night = await bench.call("reconcile", "m.yaml", "--json")
    assert (night.code, night.json["classes"]["restored"]) == (0, KNOWN)


async def test_no_at_the_prompt_is_no(bench):
    bench.write(devices=DEVICES)
    await bench.call("import", "m.yaml")
    code = await trio.to_thread.run_sync(answered, bench, b"n\n")

    assert code == 130
    assert not bench.called("DELETE")


def answered(bench, text):
    """A person at a terminal types this."""
    master, slave = pty.openpty()
    command = bench.command("restore", DEVICES[0], "--unclaim", "--product", "tempmon-v100")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=bench.folder, env=bench.env(), stdin=slave, stdout=pipe, stderr=pipe) as process:
        os.write(master, text)
        process.communicate(timeout=30)
    os.close(master)
    os.close(slave)
    return process.returncode


async def test_a_run_takes_its_journal_and_its_manifest_into_the_index_so_that_no_night_has_to(bench):
    bench.write(devices=DEVICES)
    await bench.call("import", "m.yaml")
    with closing(sqlite3.connect(bench.folder / "runs" / "index.sqlite")) as database:
        for table in ("facts", "listed"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (KNOWN,)

    (bench.folder / "runs" / "index.sqlite").write_bytes(b"no database")
    assert (await bench.call("import", "m.yaml")).code == 0, "the index is never a reason for a run to fail"
