"""`import` and `run` against a simulated cloud: what is refused leaves nothing, what is done is said."""

import json
import os
import signal
from functools import partial

import pytest
import trio

from provisioner.errors import WrongPlatform
from provisioner.journal.reader import newest, replay


async def nothing_was_begun(bench, said, *words):
    assert said.code == 2, said.err
    assert "Traceback" not in said.err
    for word in (*words, "Whose fault: ", "What to do: "):
        assert word in said.err
    assert said.out == ""
    assert bench.runs == []
    assert bench.calls == []


# --- refused before anything is begun ---


@pytest.mark.parametrize("command", ["run", "import"])
async def test_a_missing_secret_is_named_by_its_variable(bench, command):
    said = await bench.call(command, "m.yaml", PROVISIONER_CLIENT_SECRET=None)

    await nothing_was_begun(bench, said, "secret_missing: ", "PROVISIONER_CLIENT_SECRET")


async def test_a_missing_wifi_password_and_token_are_named_by_their_variables(bench):
    bench.write(wifi="wifi: factory-2g\n")
    wifi = await bench.call("run", "m.yaml", PROVISIONER_WIFI_FACTORY_2G=None)
    bench.write(claim="account")
    config = bench.folder / "config" / "line.yaml"
    config.write_text(config.read_text().replace("cloud: {", "cloud: {account: factory@example.com, "))
    token = await bench.call("run", "m.yaml")

    await nothing_was_begun(bench, wifi, "PROVISIONER_WIFI_FACTORY_2G")
    await nothing_was_begun(bench, token, "PROVISIONER_USER_TOKEN")


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ("client_secret: abcdef\n", "client_secret"),
        ("proudct: tempmon-v100\n", "proudct"),
        ("product: another-product\n", "tempmon-v100"),
    ],
)
async def test_settings_that_do_not_fit_are_refused(bench, settings, word):
    """F38."""
    bench.write(settings=settings)

    said = await bench.call("run", "m.yaml")

    await nothing_was_begun(bench, said, "file_refused: ", word)
    assert "abcdef" not in said.err


@pytest.mark.parametrize("ssid", ['"a\\u0007b"', "'a\"b'", "'a\\b'", "''"])
async def test_a_factory_network_that_no_photon_can_store_is_refused(bench, ssid):
    config = bench.folder / "config" / "line.yaml"
    config.write_text(config.read_text().replace("TestRouter", ssid))

    await nothing_was_begun(bench, await bench.call("run", "m.yaml"), "file_refused: ", "SSID")


async def test_a_station_that_is_not_there_is_refused(bench):
    await nothing_was_begun(bench, await bench.call("run", "m.yaml", "--station", "B"), "station_missing: ")


async def test_a_runs_folder_that_cannot_be_made_is_refused(bench):
    (bench.folder / "file").write_text("")

    said = await bench.call("run", "m.yaml", "--runs-dir", "file/runs")

    await nothing_was_begun(bench, said, "runs_folder_unusable: ", "--runs-dir")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_runs_folder_that_may_not_be_written_is_refused(bench):
    (bench.folder / "ro").mkdir(mode=0o500)

    await nothing_was_begun(bench, await bench.call("run", "m.yaml", "--runs-dir", "ro"), "runs_folder_unusable: ")
    assert list((bench.folder / "ro").iterdir()) == []


async def test_a_product_of_another_platform_is_refused_without_a_write(bench):
    """F38."""
    client = bench.cloud.add_client("argons", bench.cloud.add_product(77, "argon-things", platform_id=12))
    bench.client_id = client.id
    bench.write()
    manifest = bench.folder / "m.yaml"
    manifest.write_text(manifest.read_text().replace("tempmon-v100", "argon-things"))

    said = await bench.call("run", "m.yaml", PROVISIONER_CLIENT_SECRET=client.secret)

    assert said.code == 2
    assert "wrong_platform: " in said.err
    assert said.out.splitlines()[-1].startswith("REFUSED: no device was touched")
    assert bench.called("/devices") == []
    ended = [record for record in replay(newest(bench.folder / "runs").journal) if record.event == "device.skipped"]
    assert ended
    assert {(one.code, one.blame) for one in ended} == {("wrong_platform", WrongPlatform.blame)}, "not: run it again"


@pytest.mark.parametrize("known", ["elsewhere", "nowhere"])
async def test_a_product_that_these_credentials_do_not_show_is_refused_without_a_write(bench, known):
    """F38: the wrong product, or the right one of another cloud (staging)."""
    if known == "elsewhere":
        bench.cloud.add_product(78, "other-product")
    manifest = bench.folder / "m.yaml"
    manifest.write_text(manifest.read_text().replace("tempmon-v100", "other-product"))

    said = await bench.call("run", "m.yaml")

    assert said.code == 2
    assert "product_unknown: " in said.err
    assert [call for call in bench.calls if not call.startswith("GET ") and "/oauth/" not in call] == []


# --- credentials ---


async def test_a_wrong_client_secret_costs_two_calls_once_and_none_after_that(bench):
    """F12."""
    wrong = {"PROVISIONER_CLIENT_SECRET": "f" * 40}

    first = await bench.call("import", "m.yaml", **wrong)
    tokens = len(bench.called("/oauth/token"))
    again = await bench.call("import", "m.yaml", **wrong)

    assert (first.code, again.code) == (4, 4)
    assert 1 <= tokens <= 2
    assert len(bench.calls) == tokens
    assert "HELD, STOPPED" in first.out
    assert "PROVISIONER_CLIENT_SECRET" in again.out
    assert (bench.folder / "runs" / "auth-breaker.json").exists()

    assert (await bench.call("import", "m.yaml")).code == 1  # re-armed; one device is unknown to the cloud
    assert not (bench.folder / "runs" / "auth-breaker.json").exists()


# --- import ---


async def test_a_dry_run_shows_the_plan_and_writes_nothing_anywhere(bench):
    text = await bench.call("import", "m.yaml", "--dry-run")
    told = await bench.call("import", "m.yaml", "--dry-run", "--json")

    assert (text.code, told.code) == (0, 0)
    assert "T-0001: 6 devices, 0 in the product, 6 to import" in text.out
    assert "with 1 call and" in text.out
    assert told.json == {
        "trays": [{"tray": "T-0001", "devices": 6, "present": 0, "missing": 6, "calls": 1}],
        "calls": 1,
    }
    assert not (bench.folder / "runs").exists()
    assert [call for call in bench.calls if call.startswith("POST") and "/oauth/" not in call] == []


async def test_an_import_says_what_is_in_and_what_was_refused_and_twice_writes_once(bench):
    first = await bench.run("import", "m.yaml")
    posts = len([call for call in bench.called("/devices") if call.startswith("POST")])
    bench.write(devices=bench_devices())
    second = await bench.call("import", "m.yaml", "--json")

    assert first.code == 1
    assert "IMPORT FINISHED: 5 in the product, 1 refused." in first.out
    assert "IN PRODUCT" in first.out
    assert "DOES NOT ADD UP" not in first.out
    assert "PASS" not in first.out
    assert posts > 0
    assert second.code == 0
    assert (second.json["in_product"], second.json["adds_up"], second.json["outcome"]) == (5, True, "pass")
    assert "IMPORT FINISHED: 5 in the product." in second.err
    assert len([call for call in bench.called("/devices") if call.startswith("POST")]) == posts


def bench_devices():
    return [f"3b00210017473532363430{number:02x}" for number in range(5)]


async def test_the_journal_of_an_import_verifies(bench):
    await bench.call("import", "m.yaml")

    said = await bench.call("journal", "verify", "--json")

    assert (said.code, said.json["ok"], said.json["run"]) == (0, True, bench.runs[-1])


# --- two runs, and stopping ---


def waiting_run(bench):
    """A run that waits for devices to come online, which they never do."""
    bench.write(claim='online, customer: "line@example.com"', devices=bench_devices())
    config = bench.folder / "config" / "line.yaml"
    config.write_text(config.read_text().replace("idle_stop_s: 1", "idle_stop_s: 600, confirm_s: 600"))
    return partial(bench.start, "run", "m.yaml")


async def until_it_works(bench):
    await bench.until_written("runs/*/journal.jsonl", b"device.imported")


async def test_a_second_run_in_the_same_folder_is_refused_and_leaves_nothing(bench, nursery):
    """F19."""
    process = await nursery.start(waiting_run(bench))
    await until_it_works(bench)
    before = list(bench.runs)

    said = await bench.call("run", "m.yaml")
    process.send_signal(signal.SIGINT)
    await process.wait()

    assert said.code == 2
    assert "journal_locked: runs is in use by process" in said.err
    assert bench.runs == before
    assert process.returncode == 130


@pytest.mark.parametrize(("times", "kind"), [(1, signal.SIGTERM), (2, signal.SIGINT)])
async def test_stopping_gives_every_device_an_outcome_and_keeps_the_journal_whole(bench, nursery, times, kind):
    """F3."""
    process = await nursery.start(waiting_run(bench))
    await until_it_works(bench)

    for _ in range(times):
        process.send_signal(kind)
        await trio.sleep(0.05)
    with trio.fail_after(20):
        await process.wait()

    records = list(replay(newest(bench.folder / "runs").journal))
    ended = [record.device for record in records if record.outcome and record.event.startswith("device.")]
    assert process.returncode == 130
    assert sorted(ended) == sorted(bench_devices())
    assert (records[-1].event, records[-1].code) == ("run.finished", "interrupted")
    assert "INTERRUPTED: " in (bench.folder / "out").read_text().splitlines()[-2]
    assert "Traceback" not in (bench.folder / "err").read_text()


async def test_a_result_is_one_json_object_and_progress_goes_to_stderr(bench):
    said = await bench.run("run", "m.yaml", "--json")

    assert said.code == said.json["exit"] == 1
    assert said.json["outcomes"]["pass"] == 5
    assert json.loads(json.dumps(said.json))["journal"].endswith("journal.jsonl")
    assert "FINISHED, 1 FAIL" in said.err
