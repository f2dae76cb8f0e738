"""Hostile bytes into every parser (F10, F26, F28, F29): only the documented errors come out, and no identity comes from
garbage. Where something is read, what was read is as it must be.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import json
import re
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from hostile_texts import Target, blobs, deep, harmless, texts, values
from hypothesis import strategies as st

from provisioner.cloud.breaker import Breaker
from provisioner.cloud.clock import CloudClock
from provisioner.cloud.exchange import seconds_of
from provisioner.cloud.payloads import (
    ProductInfo,
    read_claim_code,
    read_device,
    read_import,
    read_ok,
    read_page,
    read_product,
    read_token,
)
from provisioner.cloud.refusals import classify, parse_error
from provisioner.console.reports.page import as_html
from provisioner.console.reports.run_report import RunReport
from provisioner.console.status import _night_words, status_of
from provisioner.console.view import Screen
from provisioner.errors import (
    CloudError,
    CloudReplyUnreadable,
    FileRefused,
    JournalCorrupt,
    JournalTooNew,
    ProvisionerError,
    ScanRefused,
    SecretMissing,
    SecretUnsafe,
    SoftAPError,
)
from provisioner.journal.fields import GENESIS
from provisioner.journal.reader import replay
from provisioner.journal.records import NotARecord, compose, decode, is_torn
from provisioner.line import device_list
from provisioner.line.air import Suffixes
from provisioner.line.labels import Labels
from provisioner.line.ledger import History
from provisioner.line.manifest import load_manifest
from provisioner.line.scan_text import Framing
from provisioner.line.station import is_setup_name
from provisioner.line.tray import Manifest
from provisioner.model import CloudDevice, DeviceID, SetupNetwork, parse_bssid, printable
from provisioner.network.manual import setup_ssid
from provisioner.network.nm_profile import address_of, open_network, what_was_dropped
from provisioner.network.wpa_control import networks_listed, networks_of, unescaped
from provisioner.network.wpa_control import status_of as wpa_status_of
from provisioner.reconcile.discipline import last_beat
from provisioner.reconcile.facts import Facts
from provisioner.reconcile.index import INDEX_NAME, open_index
from provisioner.secrets import ClaimCode, Secret
from provisioner.settings import SecretSource, load_settings
from provisioner.softap import protocol
from provisioner.softap.protocol import Command, Reply
from provisioner.softap.reply_buffer import REPLY_BYTES_MAX, HTTPReplyBuffer, TCPReplyBuffer
from provisioner.softap.wifi_password import encrypt_password, parse_public_key
from provisioner.strict_yaml import Block, parse

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
ID = re.compile(r"[0-9a-f]{24}")
PRODUCT = ProductInfo(295, "tempmon-v100", 6, "Temperature monitor")


def mutated(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """What was once right, with pieces cut, doubled, swapped and put in."""

    @st.composite
    def made(draw):
        data = draw(st.sampled_from(seeds))
        for _ in range(draw(st.integers(0, 4))):
            start, end = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
            piece = draw(st.sampled_from([b"", b"\0", b'"', b"{", b"}", b"\n", b"\r\n", b"\xff", data[start:end] * 2]))
            data = data[:start] + draw(st.sampled_from([piece, draw(blobs)])) + data[end:]
        return data

    return st.one_of(made(), blobs)


def few(pool: Mapping[str, st.SearchStrategy[object]], most: int = 3) -> st.SearchStrategy[dict[str, object]]:
    """At most so many of these keys: one with all of them would always be refused for the first."""
    return st.lists(st.sampled_from(sorted(pool)), max_size=most, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: pool[key] for key in keys})
    )


def files(folder: str, *endings: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((FIXTURES / folder).glob("*")) if path.suffix in endings]


# --- manifests, lists, settings ---

YAML_WORDS = (
    "version: 1", "product: p", "trays:", "  - id: T-1", "    devices:", "      - 3b0021001747353236343033",
    "      - {id: 3b0021001747353236343034, slot: 2, serial: X}", "    file: list.txt", "    expect: 2", "wifi: none",
    "claim: {to: customer, customer: 'a@b.c'}", "a: &a [*a]", "<<: *a", "!!python/object/apply:os.system ['x']",
    "? [x]", "--- x", "...", "%TAG ! !x", "- " * 40, "{a: " * 40, "'", '"', "|", ">-", "#", "\t", "\ufeff", "\x85",
    "client_secret: 5724113917ac1e1cbf80a1b2c3d4e5f60718293a", "cloud:", "  base_url: http://x", "stations:",
    "  - {name: A, adapter: wlan0}", "wifi: {f: {ssid: 'x'}}", "budgets: {join_s: 1e9}", "limits: {joins_at_once: 0}",
)  # fmt: skip
lines_of_yaml = st.lists(st.one_of(st.sampled_from(YAML_WORDS), texts), max_size=12).map(
    lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
)
bombs = st.one_of(
    deep(b"[", b"]"), deep(b"{a: ", b"}"), deep(b"- ", b""), deep(b"? ", b""),
    st.just(b"a: &a [x,x]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (c + 1, c + 1, c, c) for c in b"abcdefgh")),
)  # fmt: skip
SETTINGS = [path.read_bytes() for path in sorted((FIXTURES.parent / "config").glob("*.yaml"))]
yamls = st.one_of(mutated(*files("manifests/good", ".yaml"), *files("manifests/bad", ".yaml")), lines_of_yaml, bombs)


def yaml(data):
    try:
        assert isinstance(parse(data, "m.yaml"), Block)
    except FileRefused as refused:
        return _refused(refused)
    return "a mapping"


def manifest(case):
    """The whole way: a manifest with a list beside it."""
    data, listed = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.yaml"
        path.write_bytes(data)
        (Path(folder) / "list.txt").write_bytes(listed)
        try:
            found = load_manifest(path, None)
        except FileRefused as refused:
            return _refused(refused)
    ids = [device.id for device in found]
    assert all(ID.fullmatch(device) for device in ids)
    assert len(set(ids)) == len(ids)
    assert all(device.slot >= 1 for device in found)
    text = (data + listed).decode("utf-8", "replace").lower()
    assert all(device in text for device in ids), "an ID that nobody wrote"
    return "a manifest"


def settings(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.yaml"
        path.write_bytes(data)
        try:
            load_settings(path)
        except FileRefused as refused:
            return _refused(refused)
    return "settings"


def _refused(refused):
    assert refused.mistakes
    for mistake in refused.mistakes:
        harmless(str(mistake), "a mistake")
        assert "5724113917ac1e1cbf80" not in str(mistake), "a secret in a mistake"
    return "FileRefused"


rows = st.one_of(
    mutated(*files("manifests/good", ".txt", ".csv"), *files("manifests/bad/lists", ".txt", ".csv")),
    st.lists(
        st.one_of(
            texts,
            st.sampled_from(
                [
                    "3B0021001747353236343033",
                    "id;serial;slot",
                    '"a","b',
                    "=cmd|x",
                    "#",
                    ";;;",
                    "1,2,3",
                    "\x00",
                    "\ufeff",
                ]
            ),
        ),
        max_size=8,
    ).map(lambda lines: "\r\n".join(lines).encode("utf-8", "surrogatepass")),
)


def listed(data):
    told = []
    found = list(device_list.rows(data, lambda *words: told.append(words)))
    assert all(isinstance(row.id, str) for row in found)
    assert all(len(words) == 4 for words in told)
    return "rows" if found else "refused" if told else "nothing"


def secret_file(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "secret"
        path.write_bytes(data)
        path.chmod(0o600)
        try:
            secret = SecretSource({}, Path(folder))._read("PROVISIONER_X", "secret", "x", "a secret")
        except (SecretMissing, SecretUnsafe) as refused:
            harmless(refused.detail, "a refusal")
            return type(refused).__name__
    assert secret.reveal().encode() == data.rstrip(b"\r\n")
    return "a secret"


# --- SoftAP ---

BODIES = [
    b'{"id":"3B0021001747353236343033","c":"0"}', b'{"r":0}', b'{"r":-2}', b'{"v":2}', b'{"b":"30819f","r":0}',
    b'{"scans":[{"ssid":"a","rssi":-40,"sec":4194308,"ch":6,"mdr":54000}]}',
]  # fmt: skip
json_bytes = st.one_of(
    st.sampled_from(BODIES),
    mutated(*BODIES),
    values.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "c", "r", "v", "b", "scans"), values)).map(
        lambda value: json.dumps(value).encode()
    ),
    deep(b'{"id":', b"}"),
    deep(b"[", b"]"),
    st.sampled_from([b'{"r":NaN}', b'{"r":0,"r":1}', b'{"r":1e999}', b'{"id":"x","id":"y"}', b'{"r":' + b"9" * 5000]),
)


def framed(body: bytes) -> st.SearchStrategy[bytes]:
    chunks = b"".join(b"1\r\n%b\r\n" % body[i : i + 1] for i in range(len(body)))
    head = b"HTTP/1.1 200 OK\r\n"
    return st.sampled_from([
        head + b"Connection: close\r\n\r\n" + body,
        head + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        head + b"Content-Length: %d\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\n\r\n" % len(body) + body,
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",
        b"\n\n" + body,
        body,
        b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n" + body,
    ])  # fmt: skip


wire = st.one_of(json_bytes.flatmap(framed), mutated(*files("softap", ".http", ".tcp")))
READERS = {
    Command.VERSION: protocol.read_version,
    Command.DEVICE_ID: protocol.read_identity,
    Command.SCAN_AP: protocol.read_scan,
    Command.CONFIGURE_AP: protocol.require_accepted,
    Command.CONNECT_AP: protocol.require_accepted,
    Command.PUBLIC_KEY: protocol.read_public_key,
    Command.SET: protocol.require_accepted,
}


def softap(case):
    """HTTP and TCP, in any cut: the same end; and whatever the command reads from it."""
    command, data, cuts = case
    word = ""
    for kind in (HTTPReplyBuffer, TCPReplyBuffer):
        whole, pieces = _played(kind, command, [data]), _played(kind, command, _cut(data, cuts))
        assert whole == pieces, "another cut, another end"
        word = f"{word} {_understood(command, whole)}".strip()
    return word


def _played(kind, command, chunks):
    buffer = kind(command)
    try:
        for chunk in chunks:
            reply = buffer.feed(chunk)
            if reply is not None:
                return reply
        return buffer.eof()
    except SoftAPError as error:
        harmless(error.detail, "a SoftAP error")
        return error.code


def _cut(data, cuts):
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def _understood(command, reply):
    if not isinstance(reply, Reply):
        return reply
    assert len(reply.body) <= REPLY_BYTES_MAX
    try:
        read = READERS[command](reply)
    except SoftAPError as error:
        assert command is not Command.SCAN_AP, "a scan failed a device"
        harmless(error.detail, "a SoftAP error")
        return error.code
    if command is Command.DEVICE_ID:
        assert read.id.encode() in reply.body.lower(), "an ID that nobody sent"
        return "an ID"
    if command is Command.SCAN_AP:
        for network in read:
            harmless(printable(network.ssid), "an SSID")
        return "networks" if read else "no networks"
    return "an answer"


def scan(body):
    """`scan-ap`, from whatever bytes: what can be read, never an error (F26)."""
    for network in protocol.read_scan(Reply(Command.SCAN_AP, body)):
        harmless(printable(network.ssid), "an SSID")
    return "read"


@cache
def _a_key():
    return bytes.fromhex((FIXTURES / "keys" / "seed_public_key.hex").read_text().strip())


keys = st.one_of(
    mutated(_a_key()),
    st.builds(
        lambda at, byte: _a_key()[:at] + bytes([byte]) + _a_key()[at + 1 :], st.integers(0, 161), st.integers(0, 255)
    ),
)


def public_key(slot):
    """A key that is taken can also be used: else a device would bring the line down by its key."""
    try:
        key = parse_public_key(slot)
        sealed = encrypt_password(Secret("correct horse"), key)
    except SoftAPError as error:
        return error.code
    assert re.fullmatch("[0-9a-f]{256}", sealed)
    return "used"


def identity(text):
    """Words from the air, a label or a person: each is what it must be, or refused."""
    word = "refused"
    try:
        found = DeviceID.parse(text)
        assert ID.fullmatch(found)
        assert found == text.strip().lower()
        word = "an ID"
    except ValueError as error:
        harmless(str(error), "a refusal")
    try:
        assert re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", parse_bssid(text))
        word = "a BSSID"
    except ValueError as error:
        harmless(str(error), "a refusal")
    if is_setup_name(text, "Photon-"):
        assert re.fullmatch("Photon-[0-9A-Za-z]{4,6}", text), "joined what is no setup network"
        word = "a setup network"
    ssid = setup_ssid(text, "Photon-")
    assert ssid is None or re.fullmatch("Photon-[2-9A-HJ-NP-Z]{4,6}", ssid)
    return word


@cache
def _labels():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.yaml"
        path.write_text(
            "version: 1\nproduct: p\nwifi: none\nclaim: {to: none}\ntrays:\n  - id: T-0001\n    devices:\n"
            "      - {id: 3b0021001747353236343033, serial: PHHMAB804PAKLJZ}\n"
        )
        loaded: Manifest = load_manifest(path, None)
    return Labels(loaded, Suffixes(loaded), Framing(), setup_prefix="Photon-")


def scanned(text):
    """What a scanner sends: a label of this manifest, a command, or a refusal in words."""
    labels = _labels()
    try:
        label = labels.framing.text_of(text)
        harmless(label, "a label")
        if command := labels.framing.command_of(label):
            harmless(command.operator, "a badge")
            return "a command"
        labels.resolve(label)
    except ScanRefused as refused:
        harmless(f"{refused.detail}{refused.remedy}{refused.word}", "a refusal")
        return refused.code
    return "a label"


labels = st.one_of(
    texts,
    st.sampled_from(
        ["3b0021001747353236343033", "PHHMAB804PAKLJZ", "T-0001/1", "Photon-KLJZ", "PVCTLSTOP", "PVCTLID."]
    ),
    st.builds("{}{}".format, st.sampled_from(["\x02", "]C1", "PVCTLID.", "Photon-", "T-0001/"]), texts),
)

# --- the cloud ---


def _documents():
    found = [json.loads(path.read_text()) for path in sorted((FIXTURES / "cloud").glob("*.json"))]
    return [document["body"] for document in found if isinstance(document.get("body"), dict)]


DOCUMENTS = _documents()
names = st.sampled_from(sorted({name for document in DOCUMENTS for name in document} | {"id", "owner", "product_id"}))


@st.composite
def drifted(draw, documents=DOCUMENTS):
    """A documented answer whose schema has drifted: fields gone, of another type, or more than there ever were."""
    document = json.loads(json.dumps(draw(st.sampled_from(documents))))
    for _ in range(draw(st.integers(0, 2))):
        _drift(draw, document)
    text = json.dumps(document)
    if draw(st.integers(0, 3)) == 0:
        name = draw(names)
        text = text.replace("{", f'{{"{name}": {json.dumps(draw(values))}, ', 1)  # perhaps for the second time
    return text.encode()


def _drift(draw, node):
    place = node
    while isinstance(place, dict | list) and place:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or draw(st.booleans()):
            if isinstance(place, dict) and draw(st.booleans()):
                del place[key]
            else:
                place[key] = draw(values)
            return
        place = place[key]


HTML = [b"<!doctype html><title>Log in</title>", b"<html>\xff", b"", b"null", b"[]", b'"x"', b"0", b"\xef\xbb\xbf{}"]
cloud_bytes = st.one_of(
    drifted(),
    st.tuples(drifted(), st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]]),
    mutated(*(json.dumps(document).encode() for document in DOCUMENTS)),
    values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(HTML),
    deep(b'{"devices":', b"}"),
    deep(b"[", b"]"),
    st.sampled_from([b'{"id":' + b"9" * 5000 + b"}", b'{"total_pages":1e400}', b'{"ok":true,"ok":false}']),
)
CLOUD_READERS = {
    "token": read_token,
    "product": read_product,
    "import": read_import,
    "page": lambda body: read_page(body, PRODUCT),
    "device": lambda body: read_device(body, PRODUCT),
    "device of the account": lambda body: read_device(body, None),
    "claim code": read_claim_code,
    "ok": lambda body: read_ok(body, "do it"),
}
KINDS: dict[str, list[bytes]] = {kind: [] for kind in CLOUD_READERS}
for _kind, _read in CLOUD_READERS.items():
    for _document in DOCUMENTS:
        with contextlib.suppress(CloudReplyUnreadable):
            _read(json.dumps(_document).encode())
            KINDS[_kind].append(_document)
answers = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.one_of(drifted(KINDS[kind]), drifted(KINDS[kind]), cloud_bytes))
)
LONG = 1_000  # a text of the API; a longer one is somebody else's


def payload(case):
    """Every answer of the cloud, read as every kind of answer (F10)."""
    kind, body = case
    try:
        read = CLOUD_READERS[kind](body)
    except CloudReplyUnreadable as error:
        harmless(error.detail, "a cloud error")
        return "unreadable"
    found = read if isinstance(read, CloudDevice) else None
    for device in (found,) if found else getattr(read, "devices", ()):
        assert ID.fullmatch(device.id)
        assert not (device.in_product and (device.quarantined or device.denied))
        for text in (device.owner, device.name, device.serial_number):
            assert text is None or len(text) <= LONG, "a text without end"
        compose("device.identified", {"evidence": device.evidence()}, seq=0, at=NOW, mono_ms=0, run="r", prev=GENESIS)
    for number in (getattr(read, name, 0) for name in ("total_pages", "id", "updated", "platform_id")):
        assert not isinstance(number, int) or abs(number) <= 2**53, "a number that no field of the API has"
    if isinstance(read, ClaimCode):
        assert re.fullmatch("[A-Za-z0-9+/]{63}", read.reveal())
    return f"a {kind}"


def refusal(case):
    """Any body with any status of a refusal becomes an error with printable words, without what we sent."""
    status, body, content_type, claim = case
    token = "5724113917ac1e1cbf80a1b2c3d4e5f60718293a"
    body = body.replace(b"T", token.encode()) if status % 2 else body
    said = parse_error(status, body, content_type, hide=[Secret(f"Bearer {token}"), Secret(token)])
    error = classify(status, said, what="do it", claim=claim)
    assert isinstance(error, CloudError)
    harmless(error.detail, "a refusal")
    assert token not in error.detail
    assert len(error.detail) < 1_000
    return error.code


def headers(text):
    """Date and Retry-After."""
    clock = CloudClock()
    clock.observe(text, 0.0)
    told = clock.at(1e9)
    assert told is None or told.tzinfo is UTC
    seconds = seconds_of(text)
    assert seconds is None or 0 <= seconds < 1e10
    return "a time" if told else "none"


# --- files of our own that somebody else wrote into ---

plain = {
    "v": 1, "seq": 0, "at": "2026-11-20T06:00:00.000Z", "mono_ms": 0, "run": "r", "event": "device.confirmed",
    "device": "3b0021001747353236343033",
}  # fmt: skip
EVERY_FIELD = (
    "v", "seq", "at", "mono_ms", "run", "station", "tray", "slot", "device", "attempt", "outcome", "code", "blame",
    "remedy", "detail", "trays", "counts", "devices", "stations", "resumes", "seconds", "serial", "product", "manifest",
    "command", "owner", "layout", "layouts", "today", "slots",
)  # fmt: skip
evidence = few(dict.fromkeys(("owner", "handshake_before", "cloud_from", "last_handshake_at", "online"), values))
events = st.sampled_from([
    "run.started", "run.finished", "connect.intended", "visit.ended", "device.failed", "station.drained", "line.held",
])  # fmt: skip
extra = few({**dict.fromkeys(EVERY_FIELD, values), "event": events, "evidence": evidence})


def sealed(fields: Mapping[str, object]) -> bytes:
    """A line whose hash is right, whatever else it says: anybody can reckon one."""
    body = json.dumps({**plain, **fields, "prev": GENESIS}, separators=(",", ":"))[:-1].encode()
    return body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def record(line):
    """A line of a journal: refused, or fit for everything that is folded from records."""
    is_torn(line)
    try:
        found = decode(line)
    except (NotARecord, JournalTooNew) as error:
        harmless(str(error), "a refusal")
        return type(error).__name__
    screen, facts, history = Screen(), Facts(), History()
    for one in (found, found):
        screen.see(one)
        facts.see(one)
        history.see(one)
    status_of([found])
    assert len(as_html(RunReport.of([found]))) < 3_000_000
    return "a record"


lines_of_journals = st.one_of(extra.map(sealed), mutated(sealed({}), sealed({"event": "run.started"})))


def journal_file(data):
    """A whole file: read to its end, or refused by the line's number; and the index of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "20261120T060000Z-abcd" / "journal.jsonl"
        path.parent.mkdir()
        path.write_bytes(data)
        word = "read"
        try:
            list(replay(path))
        except (JournalCorrupt, JournalTooNew) as error:
            harmless(error.detail.replace(folder, ""), "a refusal")
            word = type(error).__name__
        try:
            with open_index(Path(folder)) as index:
                index.refresh()
        except JournalTooNew:
            pass
    return word


journal_files = st.lists(lines_of_journals, max_size=3).map(b"".join)
beats = st.one_of(
    mutated(b'{"began": "2026-11-20T06:00:00+00:00", "ended": null, "verdict": "all adds up"}'),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("began", "ended", "verdict", "stopped_by"), values)).map(
        lambda value: json.dumps(value).encode()
    ),
    deep(b"[", b"]"),
)


def heartbeat(data):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "reconcile.json").write_bytes(data)
        said = last_beat(Path(folder))
    harmless(_night_words(said, NOW), "the night in words")
    return "none" if said is None else "read"


BROKEN = {
    "refused_at": "2026-11-20T06:00:00+00:00", "client_id": "client", "refusals": 2, "site_refusals": 8, "reason": "no",
    "fingerprint": hmac.new(b"client", b"secret", hashlib.sha256).hexdigest(),
}  # fmt: skip
breakers = st.one_of(
    few(dict.fromkeys(BROKEN, values)).map(lambda changed: json.dumps(BROKEN | changed).encode()),
    blobs,
    deep(b"[", b"]"),
)


def breaker(data):
    """`auth-breaker.json`: whatever is in there, at worst nothing is asked, in harmless words."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "auth-breaker.json"
        file.write_bytes(data)
        made = Breaker("client", Secret("secret"), file=file, now=lambda: NOW)
        try:
            made.check()
        except CloudError as error:
            harmless(error.detail.replace(folder, ""), "a refusal")
            return "open"
    return "closed"


@cache
def _an_index():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "20261120T060000Z-abcd" / "journal.jsonl"
        path.parent.mkdir()
        path.write_bytes(sealed({"run": "20261120T060000Z-abcd", "outcome": "pass"}))
        with open_index(folder) as index:
            index.refresh()
        with closing(sqlite3.connect(folder / INDEX_NAME)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
        return (folder / INDEX_NAME).read_bytes()


@st.composite
def indexes(draw):
    data = bytearray(_an_index())
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        piece = draw(st.binary(min_size=1, max_size=60))
        data[at : at + len(piece)] = piece
    cut = draw(st.sampled_from([len(data), len(data) // 2, 4096, 100, 0]))
    return bytes(data[:cut])


def index_file(data):
    """`index.sqlite`, damaged anywhere: used, built anew, or refused in words."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / INDEX_NAME).write_bytes(data)
        path = Path(folder) / "20261120T060000Z-abcd" / "journal.jsonl"
        path.parent.mkdir()
        path.write_bytes(sealed({"run": "20261120T060000Z-abcd", "outcome": "pass"}))
        try:
            with open_index(Path(folder)) as index:
                index.refresh()
                index.facts_of(["3b0021001747353236343033"])
                list(index.all_facts([""]))
                list(index.places_of("3b0021001747353236343033"))
                index.journals()
        except ProvisionerError as error:
            harmless(error.detail.replace(folder, ""), "a refusal")
            return error.code
    return "used"


# --- the adapter's daemons ---

tables = st.one_of(
    st.lists(
        st.one_of(
            texts,
            st.builds(
                "{}\t{}\t{}\t{}\t{}".format,
                st.one_of(texts, st.just("02:00:00:00:00:01")),
                texts,
                st.one_of(texts, st.integers().map(str)),
                st.one_of(texts, st.just("[ESS]")),
                st.builds("Photon-{}".format, texts),
            ),
        ),
        max_size=5,
    ).map(lambda lines: "\n".join(["head", *lines])),
    texts,
).map(lambda table: table.encode("utf-8", "replace").decode())


def wpa(table):
    """SCAN_RESULTS, STATUS, LIST_NETWORKS."""
    found = networks_of(table, prefix="Photon-", heard_s=0.0)
    for network in found:
        _a_network(network)
        assert network.ssid.startswith("Photon-")
    assert isinstance(unescaped(table), bytes)
    wpa_status_of(table)
    assert all(re.fullmatch("[0-9]+", number) for number, _ in networks_listed(table))
    return "networks" if found else "none"


def _a_network(network: SetupNetwork):
    assert parse_bssid(network.bssid) == network.bssid
    assert -200 <= network.signal_dbm <= 0


POINT = {
    "Flags": 0, "WpaFlags": 0, "RsnFlags": 0, "Ssid": b"Photon-KLJZ", "HwAddress": "02:00:00:00:00:01", "Strength": 70,
    "LastSeen": 90,
}  # fmt: skip
points = st.tuples(
    few({
        "Flags": st.integers(0, 2**32 - 1), "WpaFlags": st.integers(0, 2**32 - 1), "Ssid": st.binary(max_size=40),
        "HwAddress": texts, "Strength": st.integers(0, 255), "LastSeen": st.integers(-(2**31), 2**31 - 1),
    }),
    st.none() | st.sampled_from(sorted(POINT)),
).map(lambda pair: {key: value for key, value in (POINT | pair[0]).items() if key != pair[1]})  # fmt: skip
variants = st.one_of(
    st.tuples(st.just("s"), texts),
    st.tuples(st.just("b"), st.booleans()),
    st.tuples(st.just("u"), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("ay"), st.one_of(st.binary(max_size=8), st.lists(st.integers(0, 255), max_size=6))),
    st.tuples(st.just("as"), st.lists(texts, max_size=2)),
)
profiles = st.dictionaries(
    st.sampled_from(["connection", "802-11-wireless", "ipv4", "ipv6"]),
    st.dictionaries(st.sampled_from(["id", "ssid", "bssid", "autoconnect", "method", "never-default"]), variants),
)
SENT = {
    "connection": {"id": ("s", "provisioner wlan0"), "autoconnect": ("b", False), "interface-name": ("s", "wlan0")},
    "802-11-wireless": {"ssid": ("ay", b"Photon-KLJZ"), "bssid": ("ay", b"\2\0\0\0\0\1")},
    "ipv4": {"method": ("s", "auto"), "never-default": ("b", True)},
    "ipv6": {"method": ("s", "disabled")},
}


def networkmanager(case):
    """What its D-Bus values say, of whatever value their types allow."""
    point, taken, row = case
    network = open_network(point, boot_s=100.0, now_s=5.0)
    if network is not None:
        _a_network(network)
        assert network.heard_s <= 5.0
    assert isinstance(what_was_dropped(SENT, taken), list)
    address_of(row)
    return "a network" if network else "none"


TARGETS = [
    Target("F28", "YAML", yamls, yaml, "I8"),
    Target("F28", "settings", st.one_of(mutated(*SETTINGS), lines_of_yaml), settings, "I4"),
    Target("F29", "manifests with lists", st.tuples(yamls, rows), manifest, "I4"),
    Target("F29", "ID lists, TXT and CSV", rows, listed, "I4"),
    Target("F26", "SoftAP answers over HTTP and TCP",
           st.tuples(st.sampled_from(Command), wire, st.lists(st.integers(0, 1000), max_size=4)), softap, "I13"),
    Target("F26", "scan-ap", json_bytes, scan, "I13"),
    Target("F26", "public keys", keys, public_key, "I13"),
    Target("F27", "names, labels and IDs", st.one_of(texts, labels), identity, "I13"),
    Target("F27", "scans", labels, scanned, "I13"),
    Target("F10", "answers of the cloud", answers, payload, "I13"),
    Target("F10", "refusals of the cloud",
           st.tuples(st.integers(100, 599), cloud_bytes, st.none() | texts, st.booleans()), refusal, "I9"),
    Target("F10", "Date and Retry-After", st.one_of(texts, st.sampled_from(["Fri, 20 Nov 2026 06:00:00 GMT", "120"])),
           headers, "I8"),
    Target("F36", "journal lines with a right hash", lines_of_journals, record, "I12"),
    Target("F36", "journal files and their index", journal_files, journal_file, "I12"),
    Target("F36", "the heartbeat", beats, heartbeat, "I13"),
    Target("F36", "the index", indexes(), index_file, "I13"),
    Target("F12", "auth-breaker.json", breakers, breaker, "I13"),
    Target("F35", "files with a secret", st.one_of(blobs, texts.map(lambda t: t.encode("utf-8", "surrogatepass"))),
           secret_file, "I9"),
    Target("F27", "wpa_supplicant's tables", tables, wpa, "I13"),
    Target("F27", "NetworkManager's values",
           st.tuples(points, profiles, st.dictionaries(st.just("address"), variants)), networkmanager, "I13"),
]  # fmt: skip
