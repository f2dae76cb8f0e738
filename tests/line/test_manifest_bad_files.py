"""Every file in fixtures/manifests/bad has one mistake (its name says which), and its whole message is pinned.

`expected.json` maps each file to its messages, in order; one that ends in `*` is a beginning, where the rest is the
YAML scanner's own words and differs between its two implementations.
"""

import json
from pathlib import Path

import pytest

from provisioner.errors import FileRefused
from provisioner.line.manifest import load_manifest
from provisioner.settings import Settings

FOLDER = Path(__file__).parents[2] / "fixtures" / "manifests" / "bad"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
FILES = sorted(path.name for path in FOLDER.iterdir() if path.is_file() and path.name != "expected.json")
LINE = Settings.model_validate({"product": "tempmon-v100", "wifi": {"factory-2g": {"ssid": "Factory-2G"}}})


def refusal(name, settings=LINE):
    with pytest.raises(FileRefused) as caught:
        load_manifest(FOLDER / name, settings)
    return [str(mistake).replace(f"{FOLDER}/", "") for mistake in caught.value.mistakes]


def test_every_file_has_an_entry_and_every_entry_a_file():
    assert sorted(EXPECTED) == FILES


def test_the_folder_covers_the_mistakes_people_make():
    assert len(FILES) >= 100


@pytest.mark.parametrize("name", FILES)
def test_a_bad_manifest_is_refused_in_these_words(name):
    found = refusal(name)

    assert len(EXPECTED[name]) == len(found)
    for expected, message in zip(EXPECTED[name], found, strict=True):
        assert message.startswith(expected[:-1]) if expected.endswith("*") else message == expected


@pytest.mark.parametrize("name", FILES)
def test_every_message_names_its_file_and_a_remedy(name):
    for message in refusal(name):
        assert message.startswith((name, "lists/")), message
        what, _, remedy = message.partition("; ")
        assert what, message
        assert remedy, message


@pytest.mark.parametrize("name", FILES)
def test_no_message_repeats_a_secret_or_a_control_character(name):
    for message in refusal(name):
        assert "deadbeef" not in message
        assert "correct horse" not in message
        assert message.isprintable()


def test_ten_mistakes_and_those_of_a_list_are_named_in_one_pass():
    found = refusal("many_mistakes.yaml")

    assert len([message for message in found if message.startswith("many_mistakes.yaml")]) == 10
    assert len([message for message in found if message.startswith("lists/")]) == 4


def test_a_binary_file_is_refused_whatever_it_is_called():
    assert refusal("lists/workbook.xlsx")
