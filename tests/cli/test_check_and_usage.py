"""`check`, `schema`, `journal verify` and wrong usage: nothing is touched, every message says what to do."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import click
import jsonschema
import pytest
import yaml

from provisioner.cli import commands
from provisioner.journal.reader import newest
from provisioner.journal.writer import open_journal

ROOT = Path(__file__).parents[2]
BAD = ROOT / "fixtures" / "manifests" / "bad"
EXAMPLE = ROOT / "config" / "manifests" / "example.yaml"


def every_command(group=commands, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name)


# --- check ---


def test_a_good_manifest_without_settings_is_good_and_says_what_was_not_compared(provisioner):
    code, out, err = provisioner("check", EXAMPLE)

    assert code == 0
    assert out == f"{EXAMPLE}: good: 2 trays, 7 devices\n"
    assert err.startswith("There is no config/line.yaml")


def test_the_shipped_settings_and_manifest_are_good(provisioner):
    code, out, err = provisioner("check", EXAMPLE, "--config", ROOT / "config" / "line.yaml", "--json")

    assert (code, err) == (0, "")
    assert json.loads(out)["ok"] is True


@pytest.mark.parametrize("name", sorted(path.name for path in BAD.glob("*.yaml")))
def test_every_bad_manifest_is_refused_line_by_line(provisioner, name, tmp_path):
    (tmp_path / "line.yaml").write_text("version: 1\nproduct: tempmon-v100\nwifi: {factory-2g: {ssid: Factory-2G}}\n")
    code, out, err = provisioner("check", BAD / name, "--config", "line.yaml")

    assert code == 2
    assert all(line.startswith(str(BAD)) and "; " in line for line in out.splitlines())
    assert f"{len(out.splitlines())} mistake" in err


def test_mistakes_of_settings_and_all_manifests_come_in_one_pass(provisioner, tmp_path):
    (tmp_path / "line.yaml").write_text("version: 1\nproudct: x\nwifi: {a: {ssid: 'with\"quote'}}\n")
    code, out, _ = provisioner("check", BAD / "id_short.yaml", BAD / "tag.yaml", "--config", "line.yaml", "--json")
    told = json.loads(out)

    assert (code, told["ok"], told["manifests"]) == (2, False, [])
    assert {Path(row["file"]).name for row in told["mistakes"]} == {"line.yaml", "id_short.yaml", "tag.yaml"}
    assert all(set(row) == {"file", "line", "column", "where", "what", "remedy"} for row in told["mistakes"])


def test_settings_that_were_named_must_be_there(provisioner):
    assert provisioner("check", EXAMPLE, "--config", "nowhere.yaml")[0] == 2


@pytest.mark.parametrize(
    "hostile",
    [
        b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
        b"version: !!python/object/apply:os.system [id]\n",
        b"[" * 100_000,
        b"\x00\xff\xfe" * 1000,
        b"version: 1\n#" + b"x" * (17 * 1024 * 1024),
    ],
    ids=["alias-bomb", "tag", "nesting", "binary", "big"],
)
def test_a_hostile_file_is_refused_as_a_manifest_and_as_settings(provisioner, tmp_path, hostile):
    (tmp_path / "x.yaml").write_bytes(hostile)

    assert provisioner("check", "x.yaml")[0] == 2
    assert provisioner("check", EXAMPLE, "--config", "x.yaml")[0] == 2
    assert provisioner("run", EXAMPLE, "--config", "x.yaml")[0] == 2
    assert not (tmp_path / "runs").exists()


def test_a_fifo_is_refused_and_never_opened(provisioner, tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")

    assert provisioner("check", "pipe.yaml")[0] == 2


# --- schema, help, usage ---


def test_schema_is_a_json_schema_that_fits_the_example(provisioner):
    code, out, _ = provisioner("schema")
    schema = json.loads(out)

    assert code == 0
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(EXAMPLE.read_text()), schema)


@pytest.mark.parametrize("path", list(every_command()), ids=" ".join)
def test_every_command_helps_with_an_example(provisioner, path):
    code, out, _ = provisioner(*path, "--help")

    assert code == 0
    assert f"Example: provisioner {' '.join(path)}" in out


@pytest.mark.parametrize(
    "args",
    [
        ["nope"],
        ["check"],
        ["check", "--nope", "x"],
        ["demo", "--devices", "0"],
        ["softap", "reboot"],
        ["simulate", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_with_the_command_as_people_type_it(provisioner, args):
    code, out, err = provisioner(*args)

    assert (code, out) == (2, "")
    assert "Usage: provisioner" in err


def test_without_settings_a_run_says_where_to_stand(provisioner, tmp_path):
    code, _, err = provisioner("run", EXAMPLE)

    assert code == 2
    assert "there are no settings at config/line.yaml" in err
    assert "--config FILE" in err
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_one_json_object_too(provisioner):
    code, out, err = provisioner("run", EXAMPLE, "--json")
    told = json.loads(out)

    assert (code, told["ok"], told["exit"]) == (2, False, 2)
    assert set(told["failures"][0]) == {"code", "blame", "detail", "remedy"}
    assert "What to do: " in err


@pytest.mark.parametrize("at", ["", ":80", "host:", "host:0", "host:99999", "host:x"])
def test_a_wrong_address_of_a_photon_is_refused(provisioner, at):
    code, _, err = provisioner("softap", "device-id", "--at", at)

    assert code == 2
    assert "HOST:PORT" in err


@pytest.mark.parametrize("cloud", ["127.0.0.1:99999", "8080", "127.0.0.1:", "127.0.0.1:²"])
def test_a_wrong_address_for_the_simulated_cloud_is_refused(provisioner, cloud):
    code, out, err = provisioner("simulate", "--cloud", cloud)

    assert (code, out) == (2, "")
    assert "HOST:PORT" in err


@pytest.mark.parametrize(
    "args",
    [["set"], ["set", "short"], ["version", "extra"], ["configure-ap"], ["configure-ap", "--ssid", "x" * 33]],
    ids=" ".join,
)
def test_a_wrong_softap_command_is_refused_before_anything_is_sent(provisioner, args):
    assert provisioner("softap", *args, "--at", "127.0.0.1:1")[0] == 2


# --- journal verify ---


@pytest.fixture
def a_run(tmp_path):
    """A short journal in `runs`."""
    runs = tmp_path / "runs"
    with open_journal(runs, "20260101T000000Z-0001", wall=lambda: datetime.now(UTC), mono=lambda: 0.0) as journal:
        journal.append("run.started", command="run", trays={}, devices=0)
        journal.append("station.started", station="A")
        journal.append("run.finished", outcome="pass")
    return newest(runs).journal


def test_a_good_journal_verifies(provisioner, a_run):
    code, out, _ = provisioner("journal", "verify")

    assert code == 0
    assert "3 records in one unbroken chain" in out


def test_a_changed_record_is_named(provisioner, a_run):
    a_run.write_bytes(a_run.read_bytes().replace(b'"station":"A"', b'"station":"B"'))

    code, out, err = provisioner("journal", "verify", "--json")

    assert (code, json.loads(out)["ok"]) == (1, False)
    assert "journal.jsonl:2" in json.loads(out)["detail"]
    assert err.startswith("journal_corrupt: ")


def test_a_torn_tail_is_said_and_is_no_failure(provisioner, a_run):
    a_run.write_bytes(a_run.read_bytes() + b'{"v":1,"seq":3,"at"')

    code, out, _ = provisioner("journal", "verify")

    assert code == 0
    assert "19 bytes of a record that a crash tore" in out


def test_f36_a_cut_off_end_is_named(provisioner, a_run):
    """F36: the chain of what is left is whole; the head beside the journal knows of one record more."""
    a_run.write_bytes(b"".join(a_run.read_bytes().splitlines(keepends=True)[:2]))

    code, out, err = provisioner("journal", "verify", "--json")

    assert (code, json.loads(out)["code"]) == (1, "journal_cut")
    assert "it has 2 records, and its head says that 3 records were written: the end was cut off" in err
    assert "Running the manifest again is safe" in err


def test_f36_a_head_from_a_report_is_compared(provisioner, a_run):
    """F36: what a person does to both files shows against the head that a report has shown."""
    head = json.loads(provisioner("journal", "verify", "--json")[1])["head"]
    assert provisioner("journal", "verify", "--head", head)[0] == 0
    assert head in provisioner("report", "--format", "html", "--output", "-")[1]

    code, _, err = provisioner("journal", "verify", "--head", f"{head[:-1]}{'0' if head[-1] != '0' else '1'}")

    assert code == 1
    assert "no record has the hash" in err


def test_a_journal_without_a_head_is_an_older_programs(provisioner, a_run):
    shutil.copy(ROOT / "fixtures" / "journals" / "1-first" / "journal.jsonl", a_run)
    a_run.with_name("journal.head").unlink()

    code, out, _ = provisioner("journal", "verify")

    assert code == 0
    assert "An older program wrote it and kept no head" in out


def test_an_unknown_run_is_refused_naming_those_there_are(provisioner, a_run):
    code, out, err = provisioner("journal", "verify", "other\x1b[2J")

    assert (code, out) == (2, "")
    assert "there is no run other\\x1b[2J in runs" in err
    assert "20260101T000000Z-0001" in err


def test_no_runs_at_all_is_a_sentence(provisioner, tmp_path):
    (tmp_path / "runs").mkdir()

    for args in ([], ["--runs-dir", "nowhere"]):
        code, _, err = provisioner("journal", "verify", *args)

        assert code == 2
        assert "input_refused: there are no runs in" in err
        assert "--runs-dir" in err


def test_the_journal_of_a_foreign_folder_is_not_a_run(provisioner, a_run, tmp_path):
    shutil.move(a_run.parent, tmp_path / "elsewhere")

    assert provisioner("journal", "verify")[0] == 2
