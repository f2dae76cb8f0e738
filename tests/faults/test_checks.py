"""The checkers can fail: each finds what it is there to find, in a seed whose words or histories were falsified."""

import base64
import hashlib
import json
from collections import Counter
from dataclasses import replace
from urllib.parse import quote

import check_books
import check_bytes
import check_ends
import check_world
import journal_words
import pytest
import seed_plan
import seed_world
from seed_plan import Nature, Policy, Tray
from written_forms import WrittenForms, forms_of

from provisioner.errors import ExitCode
from provisioner.journal.head import Head
from provisioner.model import Outcome
from provisioner.simulator.cloud.state import Happening, What
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.photon.history import Event

GOOD = [Nature.GOOD] * 5
TRAYS = [
    Tray("T-001", Policy.CUSTOMER, "rows", [*GOOD, Nature.OTHERS, Nature.UNHEARD]),
    Tray("T-002", Policy.IMPORT_ONLY, "txt", [Nature.GOOD] * 2),
]
FIRST = 0  # the first board of the first tray: good, and proven


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A quiet seed: nothing but a power cut, a stranger and one night."""
    plan = replace(
        seed_plan.drawn(1, 9),
        devices=9,
        trays=TRAYS,
        strangers=1,
        stations=2,
        faults=PROFILES["none"],
        ends=[seed_plan.End(seed_plan.Ends.POWER, 40.0, 0, True, 10.0)],
        events=[],
        clock_off_s=0.0,
        stolen_at_s=[],
        night_end=None,
        wrong_secret_first=False,
    )
    return seed_world.play(plan, tmp_path_factory.mktemp("seed"))


@pytest.fixture
def words(played):
    return journal_words.read(played.runs_dir)


@pytest.fixture
def history(played):
    return check_world.History(played)


def first(played):
    return played.listed[FIRST].device


def confirmed(played, words):
    return next(word for word in words.by_device[first(played)] if word.event == "device.confirmed")


def test_nothing_is_wrong_with_what_is_true(played, words, history):
    import checks

    assert played.lives[0].cut
    for checker in checks.CHECKERS:
        assert list(checker(played, words, history)) == [], checker.__name__


def test_every_checker_is_falsified_here():
    import checks

    text = __import__("pathlib").Path(__file__).read_text()
    assert [c.__name__ for c in checks.CHECKERS if f".{c.__name__}(" not in text] == []


# --- check_world ---


@pytest.mark.parametrize("lie", ["outside", "another owner", "no handshake", "a handshake that never was", "rewritten"])
def test_a_false_pass_is_found(played, words, history, lie):
    word = confirmed(played, words)
    evidence = word.extra["evidence"]
    if lie == "outside":
        evidence["in_product"] = False
    elif lie == "another owner":
        history.owners[first(played)] = [(0.0, "somebody else")]
    elif lie == "no handshake":
        evidence["last_handshake_at"] = None
    elif lie == "a handshake that never was":
        history.online[first(played)] = []
    else:
        last = history.writes[first(played)][-1]
        history.writes[first(played)].append(replace(last, at_s=last.at_s + 5000))

    assert list(check_world.no_false_pass(played, words, history))


def test_a_code_for_two_devices_a_stranger_code_and_an_old_one_are_found(played, words, history):
    writes = history.writes[first(played)]
    code = next(write for write in writes if write.event is Event.CLAIM_CODE_SET)
    other = played.listed[1].device

    history.writes[other].append(replace(code, device_id=other))
    assert any(line.startswith("I2") for line in check_world.codes_go_one_way(played, words, history))

    history.writes[other].pop()
    history.minted[code.detail] = code.at_s - 4000
    assert any("old" in line for line in check_world.codes_go_one_way(played, words, history))

    history.minted[code.detail] = code.at_s
    history.spent[code.detail] = other
    assert any("did not get" in line for line in check_world.codes_go_one_way(played, words, history))


def test_a_write_to_somebody_elses_device_and_a_takeover_are_found(played, words, history):
    theirs = next(row.device for row in played.listed if row.nature is Nature.OTHERS)
    write = history.writes[first(played)][0]
    history.writes[theirs].append(replace(write, device_id=theirs, at_s=500.0))
    history.taken.append((theirs, 600.0, "somebody-else@example.com"))

    assert len(list(check_world.nobody_elses_device_is_touched(played, words, history))) == 2


def test_a_write_to_a_stranger_is_found(played, words, history):
    stranger = played.strangers[0].device_id
    history.writes[stranger].append(history.writes[first(played)][0])

    assert list(check_world.strangers_are_left_alone(played, words, history))


def test_a_write_that_nobody_intended_is_found(played, words, history):
    told = words.by_device[first(played)]
    told.remove(next(word for word in told if word.event == "connect.intended"))

    assert list(check_world.every_write_was_intended(played, words, history))


def test_two_adapters_on_one_device_and_one_on_two_are_found(played, words, history):
    joined = next(e for e in history.joins[first(played)] if e.event is Event.JOINED)
    history.joins["twin"] = [
        replace(joined, via="another"),
        replace(joined, device_id="third", at_s=joined.at_s + 0.01),
    ]

    wrong = list(check_world.one_adapter_one_device(played, words, history))

    assert any("while" in line and "was on it" in line for line in wrong)
    assert any("while it was on" in line for line in wrong)


def test_a_pass_that_was_never_confirmed_is_found(played, words, history):
    word = confirmed(played, words)
    word.event = "device.carried"

    assert list(check_world.doubt_is_not_done(played, words, history))


# --- check_books ---


def test_a_device_without_an_outcome_and_a_sum_that_is_wrong_are_found(played, words, history):
    run = next(run for run in words.runs if run.whole and run.words[0].extra.get("command") == "run")
    run.words[-1].extra["counts"]["pass"] += 1
    assert list(check_books.one_outcome_each(played, words, history))

    run.words[-1].extra["counts"]["pass"] -= 1
    run.words = [word for word in run.words if word.device != first(played)]
    assert any("no outcome" in line for line in check_books.one_outcome_each(played, words, history))


@pytest.mark.parametrize("how", ["edited", "removed", "torn in an old run"])
def test_a_journal_that_was_changed_is_found(played, history, tmp_path, how):
    """F36: by a reader that is none of the program's."""
    run = sorted(played.runs_dir.glob("*/journal.jsonl"))[0]
    kept = run.read_bytes()
    lines = kept.splitlines(keepends=True)
    if how == "edited":
        lines[3] = lines[3].replace(b"existing", b"Existing").replace(b"added", b"Added")
    elif how == "removed":
        del lines[3]
    else:
        lines.append(b'{"v":1,"seq":')
    run.write_bytes(b"".join(lines))
    try:
        words = journal_words.read(played.runs_dir)
        assert list(check_books.journals_verify(played, words, history))
    finally:
        run.write_bytes(kept)


@pytest.mark.parametrize("how", ["cut", "another chain", "head gone", "head torn"])
def test_a_journal_whose_end_was_cut_off_is_found_by_its_head(played, history, how):
    """F36: the chain of what is left is whole; the head beside it knows of more."""
    run = sorted(played.runs_dir.glob("*/journal.jsonl"))[-1]
    head = run.with_name("journal.head")
    kept, head_kept = run.read_bytes(), head.read_bytes()
    if how == "cut":
        run.write_bytes(b"".join(kept.splitlines(keepends=True)[:-2]))
    elif how == "another chain":
        records = kept.count(b"\n")
        head.write_bytes(Head(records, hashlib.sha256(b"another").hexdigest()).line() * 2)
    elif how == "head gone":
        head.unlink()
    else:
        head.write_bytes(head_kept.replace(b" ", b"_"))
    try:
        words = journal_words.read(played.runs_dir)
        assert not list(check_books.journals_verify(played, words, history))
        assert list(check_books.no_head_accuses(played, words, history))
    finally:
        run.write_bytes(kept)
        head.write_bytes(head_kept)


def test_a_proof_that_is_lost_later_is_found(played, words, history):
    word = [word for word in words.by_device[first(played)] if word.event == "device.carried"][-1]
    word.outcome = Outcome.SKIPPED

    assert list(check_books.proofs_last(played, words, history))


@pytest.mark.parametrize("what", ["imported", "customers", "codes given", "codes made"])
def test_what_was_done_twice_is_found(played, words, history, what):
    if what == "imported":
        history.imported[first(played)] += 1
    elif what == "customers":
        history.customers["line3+t-001@example.com"] += 1
    elif what == "codes given":
        code = next(w for w in history.writes[first(played)] if w.event is Event.CLAIM_CODE_SET)
        history.writes[first(played)] += [replace(code, detail=f"another {n}") for n in range(5)]
    made = [What.CODE_MINTED] * 100 if what == "codes made" else []
    for kind in made:
        played.cloud.history.append(Happening(0.0, kind))
    try:
        assert list(check_books.effects_are_not_doubled(played, words, history))
    finally:
        del played.cloud.history[len(played.cloud.history) - len(made) :]


def test_a_limit_that_was_reached_and_a_lock_out_are_found(played, words, history):
    peak, played.cloud.limits.requests.peak = played.cloud.limits.requests.peak, 10_000
    played.cloud.history.append(Happening(0.0, What.LOCKED_OUT))
    try:
        assert len(list(check_books.limits_are_kept(played, words, history))) == 2
    finally:
        played.cloud.limits.requests.peak = peak
        played.cloud.history.pop()


def test_a_write_after_the_disk_failed_is_found(played, words, history):
    """F4."""
    life = seed_world.Life(0.0, 0.0, exit=ExitCode.HELD_BY_SITE, ended_world_s=10_000.0, failed_s=0.0)
    played.lives.append(life)
    try:
        assert list(check_books.nothing_follows_a_dead_disk(played, words, history))
    finally:
        played.lives.pop()


# --- check_bytes ---


@pytest.mark.parametrize("form", range(7))
@pytest.mark.parametrize("before", [0, 1, 40, 100_003])
def test_a_secret_in_a_file_is_found(played, words, history, form, before):
    """F35: as it is, escaped, in hex, and in base64 wherever it begins in what was encoded."""
    secret = list(played.cloud.mint.secrets)[-1]
    leak = played.runs_dir / "debug.txt"
    leak.write_bytes(b"x" * before + list(forms_of(secret))[form] + b"\n")
    try:
        assert list(check_bytes.no_secret_is_written(played, words, history))
    finally:
        leak.unlink()


@pytest.mark.parametrize("secret", ["S3cret/+wörd", "Abc" * 10, "Zz9_-" * 8, "kL7" * 21 + "="])
@pytest.mark.parametrize("start", range(25))
def test_forms_are_what_encoders_make(secret, start):
    """F35: every encoder's own output is found, whatever stands before and behind it, and nothing else is."""
    looked_for = WrittenForms([secret, "another secret of this factory"])
    whole = b"b" * start + secret.encode() + b"behind"
    written = [
        whole,
        whole.hex().encode(),
        whole.hex().upper().encode(),
        base64.b64encode(whole),
        base64.urlsafe_b64encode(whole),
        quote(whole, safe="").encode(),
        json.dumps(whole.decode()).encode(),
    ]

    assert all(looked_for.stand_in(b"." * start + one + b"...") for one in written)
    assert not any(looked_for.stand_in(one.swapcase()[::-1]) for one in written)


def test_a_control_byte_on_the_screen_or_in_a_file_is_found(played, words, history):
    """F27."""
    assert list(check_bytes.no_raw_control_bytes(replace(played, screen="\x1b[2J"), words, history))
    log = next(played.runs_dir.glob("*/debug.jsonl"))
    kept = log.read_bytes()
    log.write_bytes(kept + "\N{RIGHT-TO-LEFT OVERRIDE}".encode())
    try:
        assert list(check_bytes.no_raw_control_bytes(played, words, history))
    finally:
        log.write_bytes(kept)


# --- check_ends ---


@pytest.mark.parametrize("lie", ["outcome", "class"])
def test_a_device_that_ends_as_it_must_not_is_found(played, words, history, lie):
    if lie == "outcome":
        words.last_outcome[first(played)] = "skipped"
        there = played
    else:
        there = replace(played, classes={**played.classes, first(played): "not_visited"})

    assert list(check_ends.every_device_ends_as_it_must(there, words, history))


def test_a_night_that_does_not_add_up_is_found(played, words, history):
    tally = replace(played.morning.tally, classes=Counter(played.morning.tally.classes) + Counter(["confirmed"]))

    assert list(check_ends.the_night_counts_them(replace(played, morning=None), words, history))
    assert list(
        check_ends.the_night_counts_them(replace(played, morning=replace(played.morning, tally=tally)), words, history)
    )
