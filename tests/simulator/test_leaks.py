"""The canary scan finds a secret in every form (F35): a scan that finds nothing would be worth nothing."""

import base64
import gzip
import html
import json
import re
import sqlite3
from contextlib import closing
from urllib.parse import quote, quote_plus, urlencode

import pytest

from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.faults import Dice, Faults
from provisioner.simulator.leaks import Canaries, secrets_of

CODE = "rW5+/aB3xYz9" * 5 + "Q7k"
TOKEN = "5724113917ac1e1cbf80a1b2c3d4e5f60718293a"
PASSWORDS = ["mywifipassword", 'pass "word" & <ü>', "correct horse battery staple"]
SECRETS = {"code": CODE, "token": TOKEN, **{f"password {n}": text for n, text in enumerate(PASSWORDS)}}
CANARIES = Canaries(SECRETS)
NOISE = b'{"v":1,"seq":7,"hash":"' + b"0123456789abcdef" * 4 + b'","owner":"line3+t-0001@example.com"}\n'


def utf8(text):
    return text.encode()


def every_character_escaped(text):
    return "".join(f"\\u{ord(char):04x}" for char in text).encode()


FORMS = {
    "raw": utf8,
    "upper case": lambda text: text.upper().encode(),
    "lower case": lambda text: text.lower().encode(),
    "swapped case": lambda text: text.swapcase().encode(),
    "hex": lambda text: utf8(text).hex().encode(),
    "HEX": lambda text: utf8(text).hex().upper().encode(),
    "hex behind an odd digit": lambda text: b"f" + utf8(text).hex().encode(),
    "he:x:": lambda text: utf8(text).hex(":").encode(),
    "he x": lambda text: utf8(text).hex(" ").encode(),
    **{
        f"base64 behind {n} bytes": lambda text, n=n: base64.b64encode(b"i:d"[:n] + utf8(text) + b"tail")
        for n in range(4)
    },
    **{
        f"base64 for URLs behind {n} bytes": lambda text, n=n: base64.urlsafe_b64encode(b"xyz"[:n] + utf8(text))
        for n in range(3)
    },
    "base64 without padding": lambda text: base64.b64encode(utf8(text)).rstrip(b"="),
    "URL": lambda text: quote(text).encode(),
    "URL, all": lambda text: quote(text, safe="").encode(),
    "URL, lower-case digits": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")).encode(),
    "URL, every byte": lambda text: b"".join(b"%%%02X" % byte for byte in utf8(text)),
    "form": lambda text: urlencode({"password": text}).encode(),
    "plus": lambda text: quote_plus(text).encode(),
    "JSON": lambda text: json.dumps(text).encode(),
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False).encode(),
    "JSON with slashes": lambda text: json.dumps(text).replace("/", "\\/").encode(),
    "JSON, every character": every_character_escaped,
    "HTML": lambda text: html.escape(text).encode(),
    "HTML, every character": lambda text: "".join(f"&#{ord(char)};" for char in text).encode(),
    "repr": lambda text: repr(text).encode(),
    "repr of bytes": lambda text: repr(utf8(text)).encode(),
    "repr of repr": lambda text: repr(repr(utf8(text))).encode(),
    "UTF-16-LE": lambda text: text.encode("utf-16-le"),
    "UTF-16-BE": lambda text: text.encode("utf-16-be"),
    "hex of UTF-16": lambda text: text.encode("utf-16-le").hex().encode(),
    "base64 of JSON": lambda text: base64.b64encode(json.dumps({"token": text}).encode()),
    "JSON of base64": lambda text: json.dumps({"x": base64.b64encode(utf8(text)).decode()}).encode(),
    "hex of base64": lambda text: base64.b64encode(utf8(text)).hex().encode(),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", FORMS)
def test_f35_a_secret_is_found_in_every_form(form, secret):
    written = FORMS[form](SECRETS[secret])
    for noise in (b"", NOISE * 3 + b"x" * 5 + b" ", NOISE * 3 + b"x" * 11 + b'"'):
        leaks = CANARIES.leaks_in(noise + written + b'" ' + noise, "journal.jsonl")
        if secret == "password 1" and form in ("upper case", "swapped case"):  # only ASCII has no case here
            continue

        assert any(leak.startswith(f"journal.jsonl: {secret}, ") for leak in leaks), leaks


@pytest.mark.parametrize("start", range(0, 40, 3))
def test_f35_a_part_of_a_code_is_a_leak_too(start):
    """`printable` cuts texts: 24 characters of a code say more than enough."""
    for before in range(18):
        assert CANARIES.leaks_in(b" " * before + CODE[start : start + 24].encode() + b"...", "screen")


def test_f35_what_is_no_secret_is_not_found():
    fingerprints = b"claim_code e3b0c44298fc, 5724113917ac1e1cbf80 " + CODE[:12].encode() + TOKEN[8:28].encode()

    assert CANARIES.leaks_in(NOISE * 100 + fingerprints, "journal.jsonl") == []


def test_f35_a_finding_names_secret_place_and_form_and_never_the_text():
    (leak,) = CANARIES.leaks_in(b"x" + TOKEN.encode().hex().encode(), "debug.jsonl")

    assert leak == "debug.jsonl: token, hex"


def test_f35_files_databases_and_names_are_looked_through(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / f"{TOKEN}.txt").write_text("nothing")
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as database:
        database.execute("CREATE TABLE t (x TEXT)")
        database.execute("INSERT INTO t VALUES (?)", (f"a {CODE} b",))
        database.commit()
    leaks = CANARIES.leaks_under(tmp_path)

    assert {leak.split(",")[0] for leak in leaks} == {"a file's name: token", "index.sqlite: code"}


def test_f35_a_secret_that_cannot_be_looked_for_is_refused():
    with pytest.raises(ValueError, match="too short"):
        Canaries({"pin": "1234567"})


def test_f35_what_is_packed_is_not_looked_into():
    """The one form that is left out: nothing here packs what it writes."""
    assert CANARIES.leaks_in(gzip.compress(CODE.encode() * 3), "x") == []


async def test_f35_every_secret_of_a_simulated_cloud_is_a_canary(autojump_clock):
    cloud = SimCloud(clock=SimClock(), dice=Dice(1), faults=Faults())
    canaries = secrets_of(cloud, "mywifipassword")
    code = cloud.claims.make(cloud.add_customer("line3@example.com"), 0.0)

    for text in (cloud.client_secret, cloud.user_token, cloud.password, "mywifipassword"):
        assert canaries.leaks_in(text.encode(), "x")
    assert not canaries.leaks_in(code.text.encode(), "x")
    assert secrets_of(cloud).leaks_in(code.text.encode(), "x")
