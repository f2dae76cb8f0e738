"""Every word in every language: no string is missing, no gap is lost, every failure says what to do in all four."""

import json
import re
from pathlib import Path

import pytest

from provisioner.console.stage import Bin, Kind, Led
from provisioner.console.station_view import Verdict
from provisioner.console.tally import OUTCOMES, word_of
from provisioner.console.verdict import headline
from provisioner.console.web import static_folder
from provisioner.errors import ProvisionerError
from provisioner.line.orders import Act
from provisioner.line.steps import Step

STATIC = Path(str(static_folder()))
WORDS = json.loads((STATIC / "words.json").read_text())
CODES = json.loads((STATIC / "codes.json").read_text())
SCRIPTS = {path.name: path.read_text() for path in STATIC.glob("*.js")}
LANGUAGES = {"en", "de", "es", "zh"}
MAY_BE_EMPTY = re.compile(r"head\..*\.(do|why)|act\..*\.sure")


def tree(cls):
    yield cls
    for child in cls.__subclasses__():
        yield from tree(child)


def test_every_string_is_there_in_every_language():
    for key, texts in WORDS.items():
        assert set(texts) == LANGUAGES, key
        if not MAY_BE_EMPTY.fullmatch(key):
            assert all(texts.values()), key
        assert len({bool(text) for text in texts.values()}) == 1, f"{key} is empty in some languages only"


def test_every_translation_has_the_gaps_of_the_original():
    for key, texts in WORDS.items():
        gaps = {language: sorted(re.findall(r"\{(\w+)\}", text)) for language, text in texts.items()}
        assert len({tuple(found) for found in gaps.values()}) == 1, (key, gaps)


def test_every_string_that_the_page_asks_for_is_in_the_catalogue():
    asked = {key for text in SCRIPTS.values() for key in re.findall(r"\bt\('([^']+)'", text)}
    asked |= {key for text in SCRIPTS.values() for key in re.findall(r"figure\('([^']+)'\)", text)}

    assert asked
    assert asked <= set(WORDS), asked - set(WORDS)


def test_no_string_of_the_catalogue_is_asked_for_by_nobody():
    made = {prefix for text in SCRIPTS.values() for prefix in re.findall(r"`([a-z]+\.)\$\{", text)}
    named = {key for text in SCRIPTS.values() for key in re.findall(r"'([a-z_]+(?:\.[a-zA-Z_0-9]+)*)'", text)}

    unused = {key for key in WORDS if key not in named and not key.startswith(tuple(made))}

    assert unused == set()


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("stage.", set(Kind) - {Kind.FINISHED}),
        ("short.", set(Kind) | set(Verdict) | set(Step)),
        ("todo.", set(Kind) - {Kind.FINISHED, Kind.FAIL}),
        ("led.", set(Led)),
        ("bin.", {str(int(number)) for number in Bin}),
        ("step.", set(Step) - {Step.CONFIRMING}),
        ("word.", {"pass", "fail", "unknown", "skipped"}),
        ("trouble.", {"FAIL", "UNPROVEN", "SKIPPED", "AGAIN", "STRANGER", "DRAINED", "HELD"}),
        ("act.", {f"{act}{more}" for act in Act for more in ("", ".done", ".sure")}),
        ("gauge.", {"pace", "queue", "oldest", "site"}),
    ],
)
def test_whatever_the_screen_can_say_has_its_word(prefix, names):
    missing = {f"{prefix}{name}" for name in names} - set(WORDS)

    assert missing == set()


def test_every_headline_has_its_words(fold):
    from provisioner.console import verdict

    keys = set(re.findall(r'"([a-z]+(?:_[a-z]+)*)"', Path(verdict.__file__).read_text()))
    heads = {key[5:] for key in WORDS if key.startswith("head.") and not key.endswith((".do", ".why"))}

    assert heads <= keys, "a headline that the program never has"
    for key in heads:
        assert {f"head.{key}.do", f"head.{key}.why"} <= set(WORDS)
    assert {"running", "held", "stopping", "finished_pass", "finished_fail", "interrupted"} <= heads


def test_the_terminals_headline_and_the_pages_are_one(fold):
    """Every headline that some run has: its word is the catalogue's, gaps filled."""
    held = ("line.held", {"code": "cloud_unreachable", "blame": "site"})
    drained = ("station.drained", {"station": "ST1", "code": "adapter_unavailable"})
    both = [drained, ("station.drained", {"station": "ST2", "code": "adapter_unavailable"})]
    ends = [("device.confirmed", {"device": number, "outcome": "pass"}) for number in range(1, 6)]
    finished = ("run.finished", {"outcome": "pass"})

    def ended(event, outcome):
        return [*ends[:4], (event, {"device": 5, "outcome": outcome, "code": "x"}), finished]

    imported = ("run.started", {"command": "import", "trays": {"T-0001": 1}, "devices": 1, "stations": []})
    refused = [("device.refused", {"device": 1, "outcome": "fail", "code": "x"}), finished]
    screens = [
        fold(started=None), fold(), fold(held), fold(drained), fold(*both), fold(("run.stopping", {})),
        fold(("import.intended", {"tray": "T-0001"})), fold(*ends, finished), fold(*ended("device.failed", "fail")),
        fold(*ended("device.unknown", "unknown")), fold(*ended("device.skipped", "skipped")), fold(finished),
        fold(*ends, held, ("run.finished", {"outcome": "aborted"})), fold(("run.finished", {"outcome": "aborted"})),
        fold(("run.finished", {"outcome": "aborted", "code": "input_refused"})),
        fold(("run.finished", {"outcome": "aborted", "code": "our_bug"})),
        fold(*refused, started=imported), fold(("device.imported", {"device": 1}), finished, started=imported),
        fold(finished, started=("run.started", {"trays": {}, "devices": 0, "stations": []})),
    ]  # fmt: skip
    seen = set()
    for screen in screens:
        head = headline(screen)
        seen.add(head.key)
        word = WORDS[f"head.{head.key}"]["en"].format(count=head.count, names=head.names)
        assert word == head.word

    assert len(seen) >= 17


def test_the_terminals_words_for_outcomes_are_the_pages():
    for outcome in OUTCOMES:
        assert WORDS[f"word.{outcome.value}"]["en"] == word_of(outcome)
        assert WORDS[f"trouble.{word_of(outcome)}"]["en"] == word_of(outcome) if word_of(outcome) != "PASS" else True


def test_every_failure_has_its_cause_and_its_remedy_in_every_language():
    for cls in tree(ProvisionerError):
        assert set(CODES.get(cls.code, ())) == LANGUAGES, cls.code
        for language, (cause, remedy) in CODES[cls.code].items():
            assert cause, (cls.code, language)
            assert remedy, (cls.code, language)
        assert CODES[cls.code]["en"][1] == cls.remedy, f"{cls.code}: the page's remedy is not the program's"


def test_no_language_is_another_one():
    same = [code for code, texts in CODES.items() for other in ("de", "es", "zh") if texts[other] == texts["en"]]

    assert same == []


def test_every_answer_of_the_page_has_its_words():
    python = "".join(path.read_text() for path in STATIC.parent.glob("*.py"))
    answers = set(re.findall(r'_refusal\(\d+, "(\w+)"', python))

    assert answers
    assert answers <= set(CODES)
    assert {"no_connection", "badge_taken", "scan_taken", "stop_taken", "hold_taken", "resume_taken"} <= set(CODES)
