"""YAML read as text, with the place of everything, and nothing that could surprise."""

import os

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from provisioner import strict_yaml
from provisioner.errors import FileRefused
from provisioner.strict_yaml import Block, Items, Seconds, Text, Whole, load, mistakes_of, parse, place_of, secrets_in

TOKEN = "deadbeef" * 5


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def loader(request, monkeypatch):
    """Every test holds with the scanner in C and with the one in Python."""
    if request.param == "python":
        monkeypatch.setattr(strict_yaml, "_Loader", yaml.SafeLoader)


def refused(data):
    with pytest.raises(FileRefused) as caught:
        parse(data if isinstance(data, bytes) else data.encode(), "f.yaml")
    (mistake,) = caught.value.mistakes
    return mistake


OTHERWISE_READ = (  # as octal, int, float, hex, bool, sexagesimal, date or null
    "001234567012345670123456 300021001747353236343033 1e5 0x1f 1_000 no 1:20 2026-11-20 ~ null 2.10 +1 .inf true"
)


@pytest.mark.parametrize("text", OTHERWISE_READ.split())
def test_a_scalar_is_the_text_that_was_written(text):
    root = parse(f"a: {text}\nb: [{text}]\nc: '{text}'\n".encode(), "f")

    assert root == {"a": text, "b": [text], "c": text}


def test_a_text_knows_its_place_and_whether_it_was_quoted():
    root = parse(b"a: x\nb:\n  - 'y'\n  - \"z\"\n  - |\n    w\n", "f")

    assert [(t.line, t.column, t.plain) for t in (root["a"], *root["b"])] == [
        (1, 4, True),
        (3, 5, False),
        (4, 5, False),
        (5, 5, False),
    ]
    assert root.key_marks == {"a": (1, 1), "b": (2, 1)}


def test_a_bom_and_crlf_are_no_part_of_the_text():
    assert parse(b"\xef\xbb\xbfa: b\r\nc: d\r\n", "f") == {"a": "b", "c": "d"}


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("a: b\nc: *x\n", "aliases", 2),
        ("a: &x b\n", "aliases", 1),
        ("&x a: b\n", "aliases", 1),
        ("a: &x {b: c}\n", "aliases", 1),
        ("a: !!str b\n", "tags", 1),
        ("a: ! b\n", "tags", 1),
        ("a: !!python/name:os.system x\n", "tags", 1),
        ("a: b\nc: {d: e, d: f}\n", "duplicate key 'd' (first at line 2)", 2),
        ("a: b\n'a': c\n", "duplicate key 'a' (first at line 1)", 2),
        ("a: b\n---\nc: d\n", "second document", 2),
        ("? [a]\n: b\n", "not plain text", 1),
        ("- a\n", "not a mapping", 1),
        ("a\n", "not a mapping", 1),
        ("", "not a mapping", 1),
        ("a: [" + "[" * 20 + "]" * 20 + "]", "nested too deeply", 1),
        ("a: b\n\nc: \x07\n", "does not belong in a text file (U+0007)", 3),
        ("a: b\nc: 'd\n", "not valid YAML", 3),
        ("a: b\n\x00", "binary", 2),
        ("a: {}\nb: [\n", "not valid YAML", 3),
    ],
)
def test_what_this_reader_leaves_out_is_refused_with_its_line(text, what, line):
    mistake = refused(text)

    assert what in mistake.what
    assert mistake.line == line
    assert mistake.remedy


def test_text_that_is_not_utf_8_is_refused_with_its_line():
    assert refused(b"a: b\nc: \xff\n").line == 2


def test_ten_thousand_levels_are_refused_before_anything_is_built():
    assert "nested too deeply" in refused("a: " + "[" * 10_000).what
    assert "nested too deeply" in refused("{a: " * 10_000).what


def test_more_entries_than_the_cap_are_refused(monkeypatch):
    monkeypatch.setattr(strict_yaml, "NODES_MAX", 10)

    assert "more than 10 entries" in refused("a: [" + "b, " * 20 + "]").what


# --- files ---


def refused_file(path, **more):
    with pytest.raises(FileRefused) as caught:
        load(path, **more)
    return str(caught.value)


def test_a_file_above_the_cap_is_refused_without_being_read(tmp_path, monkeypatch):
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: b\n")
    os.truncate(path, strict_yaml.BYTES_MAX + 1)
    monkeypatch.setattr(type(path), "open", lambda *_: pytest.fail("it was opened"))

    assert "more than 16,777,216" in refused_file(path)


def test_what_is_not_a_plain_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    assert "not a plain file" in refused_file(tmp_path / "pipe")
    assert "not a plain file" in refused_file(tmp_path)
    assert "No such file" in refused_file(tmp_path / "absent", shown_as="line.yaml")
    assert "not a file name" in refused_file(tmp_path / "a\0b", shown_as="line.yaml")


def test_a_file_is_shown_by_the_name_it_was_given(tmp_path):
    assert refused_file(tmp_path / "absent", shown_as="line.yaml").startswith("line.yaml: cannot be read")


# --- places ---


def test_place_of_leads_to_values_keys_and_the_nearest_thing_above():
    root = parse(b"a:\n  - b: c\n    d: e\n", "f")

    assert place_of(root, ("a", 0, "d")) == (3, 8)
    assert place_of(root, ("a", 0, "d"), key=True) == (3, 5)
    assert place_of(root, ("a", 0, "x", "y")) == (2, 5)
    assert place_of(root, ("a", 7)) == (2, 3)
    assert place_of(root, ()) == (1, 1)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: Whole = 0
    wait_s: Seconds = 1.0


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()


def findings(text, **more):
    root = parse(text.encode(), "f")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(root)
    return [str(mistake) for mistake in mistakes_of(caught.value, root, "f", **more)]


def test_findings_get_places_in_words_of_the_file():
    assert findings("inner: {count: x, wait_s: -1}\nmany:\n  - {count: [1]}\n  - a\nextra: 1\n") == [
        "f:1:1: 'name' is missing; add it",
        "f:1:16: 'count': not a whole number: 'x'; correct it",
        "f:1:27: 'wait_s': not a number of seconds: '-1'; correct it",
        "f:3:13: 'count' must be a whole number; correct it",
        "f:4:5: '1' must be a block of keys and values; correct it",
        "f:5:1: unknown key 'extra'; remove it or correct its spelling",
    ]


def test_an_unknown_key_gets_the_spelling_that_was_meant():
    known = {"count", "wait_s", "name"}

    assert findings("name: a\ncuont: 1\ncount: 2\n", known_keys=known) == [
        "f:2:1: unknown key 'cuont'; did you mean 'count'?",
        "f:3:1: unknown key 'count'; it does not belong here: move it or remove it",
    ]


def test_what_is_found_at_or_below_a_secret_is_left_out():
    text = f"name: [{TOKEN}]\ninner: {{count: {TOKEN}}}\n"

    assert len(findings(text)) == 2
    assert findings(text, secret=[("name", 0), ("name",), ("inner",)]) == []


@pytest.mark.parametrize("text", ["1.5", "1e3", "٣", "0x10", "", " 1", "1 ", "9999999999"])
def test_a_whole_number_is_digits_and_nothing_else(text):
    with pytest.raises(ValidationError):
        Inner(count=text)


@pytest.mark.parametrize("text", ["inf", "nan", "1e3", "-1", "0", "", "1.2345"])
def test_seconds_are_more_than_nothing_and_end(text):
    with pytest.raises(ValidationError):
        Inner(wait_s=text)


# --- secrets ---


@pytest.mark.parametrize(
    "key", ["password", "client_secret", "ACCESS_TOKEN", "wifi_psk", "api_key", "apikey", "passphrase"]
)
def test_a_key_that_names_a_secret_is_found_at_any_depth(key):
    root = parse(f"a:\n  - b: {{{key}: hunter2}}\n".encode(), "f")

    ((path, mistake),) = secrets_in(root, "f")

    assert path == ("a", 0, "b", key)
    assert (mistake.line, mistake.column) == (2, 9)
    assert "hunter2" not in str(mistake)


def test_a_value_that_looks_like_a_token_is_found_and_not_repeated():
    root = parse(f"a: {TOKEN}\nb: [x, {TOKEN.upper()}]\n".encode(), "f")

    found = dict(secrets_in(root, "f"))

    assert list(found) == [("a",), ("b", 1)]
    assert not any(TOKEN in str(mistake).lower() for mistake in found.values())


@pytest.mark.parametrize(
    "text", ["client_secret_file: x", "token_calls_per_5min: 60", "password_file: x", f"a: {TOKEN}0"]
)
def test_what_only_resembles_a_secret_is_let_be(text):
    assert list(secrets_in(parse(text.encode(), "f"), "f")) == []


def test_nodes_are_what_plain_python_expects():
    root = parse(b"a: [b]\n", "f")

    assert isinstance(root, Block)
    assert isinstance(root["a"], Items)
    assert isinstance(root["a"][0], Text)
    assert root == {"a": ["b"]}
