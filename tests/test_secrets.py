"""Secrets cannot be printed by any of the ways things get printed."""

import copy
import dataclasses
import inspect
import json
import logging
import pickle
import pprint
import reprlib
import traceback
from string import Template

import pytest
import rich.pretty
import rich.traceback
import structlog

from provisioner.errors import SecretUnsafe
from provisioner.secrets import ClaimCode, Secret, looks_secret

TEXT = "correct horse battery staple"
CODE = "A" * 62 + "/"


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    """As tokens, Wi-Fi profiles and settings hold theirs."""

    name: str
    secret: Secret


def logged(secret):
    record = logging.LogRecord("a", logging.ERROR, __file__, 1, "%s %r %(a)s", ({"a": secret},), None)
    record.msg = "%(a)s %(a)r"
    return record.getMessage()


WAYS = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": "{}".format,
    "format with a width": "{:>40}".format,
    "format of repr": "{!r:>40}".format,
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s}",
    "percent": "%s".__mod__,
    "percent of repr": "%r %%".__mod__,
    "percent of ascii": "%a".__mod__,
    "percent with a width": "%40.30s".__mod__,
    "format with every spec": lambda secret: "".join(f"{secret:{spec}}" for spec in (">99", "s", ".62", "^200.63s")),
    "format_map": lambda secret: "{a} {a!r}".format_map({"a": secret}),
    "a template": lambda secret: Template("$a").substitute(a=secret),
    "bytes of its text": lambda secret: str(str(secret).encode()),
    "JSON of its text": lambda secret: json.dumps({"a": secret}, default=str),
    "JSON of its repr": lambda secret: json.dumps([secret], default=repr),
    "pprint": pprint.pformat,
    "reprlib": reprlib.repr,
    "rich": rich.pretty.pretty_repr,
    "a log record": logged,
    "its members": lambda secret: str(inspect.getmembers(secret)),
    "its slots": lambda secret: str([getattr(type(secret), "__slots__", None), getattr(secret, "__dict__", None)]),
    "a dataclass": lambda secret: repr(Holder("n", secret)),
    "a dataclass, replaced": lambda secret: repr(dataclasses.replace(Holder("n", secret), name="m")),
    "a dataclass's fields": lambda secret: str(
        [getattr(Holder("n", secret), f.name) for f in dataclasses.fields(Holder)]
    ),
    "a dataclass in rich": lambda secret: rich.pretty.pretty_repr(Holder("n", secret)),
    "a hash": lambda secret: str(hash(secret)),
    "in a list": lambda secret: str([secret]),
    "in a dict": lambda secret: repr({"a": (secret,)}),
    "in an exception": lambda secret: str(ValueError(secret)),
    "dir": lambda secret: str(dir(secret)),
}


@pytest.mark.parametrize("show", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("secret", "text"), [(Secret(TEXT), TEXT), (ClaimCode(CODE), CODE)], ids=["secret", "code"])
def test_a_secret_is_hidden_however_it_is_shown(show, secret, text):
    assert text not in show(secret)


def test_a_secret_does_not_show_in_a_traceback():
    try:
        raise ValueError(Secret(TEXT))
    except ValueError as error:
        shown = "".join(traceback.format_exception(error))

    assert "<hidden>" in shown
    assert TEXT not in shown


def test_a_secret_does_not_show_in_tracebacks_that_show_locals():
    """F35: structlog's and rich's do, and so does `capture_locals`; whoever switches that on sees that it is hidden."""
    secret, holder = Secret(TEXT), Holder("n", Secret(TEXT))
    try:
        raise ValueError(f"{secret} {holder}")
    except ValueError as error:
        plain = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        trace = rich.traceback.Traceback.extract(type(error), error, error.__traceback__, show_locals=True)
        info = (type(error), error, error.__traceback__)
        dicts = structlog.tracebacks.ExceptionDictTransformer(show_locals=True)(info)

    shown = [plain, str([frame.locals for stack in trace.stacks for frame in stack.frames]), str(dicts)]
    assert "secret" in plain  # the locals are shown
    for text in shown:
        assert "<hidden>" in text
        assert TEXT not in text


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "asdict": lambda secret: dataclasses.asdict(Holder("n", secret)),
    "astuple": lambda secret: dataclasses.astuple(Holder("n", secret)),
    "deepcopy of what holds it": lambda secret: copy.deepcopy([{"a": Holder("n", secret)}]),
    "pickle of what holds it": lambda secret: pickle.dumps({"a": (Holder("n", secret),)}),
    "reduce": lambda secret: secret.__reduce__(),
    "getstate": lambda secret: secret.__getstate__(),
    **{f"pickle {n}": lambda secret, n=n: pickle.dumps(secret, n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
    **{f"reduce {n}": lambda secret, n=n: secret.__reduce_ex__(n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("copying", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize(("secret", "text"), [(Secret(TEXT), TEXT), (ClaimCode(CODE), CODE)], ids=["secret", "code"])
def test_f35_a_secret_is_not_pickled_or_copied(copying, secret, text):
    """F35: not to a file, and not to another process."""
    with pytest.raises(SecretUnsafe) as caught:
        copying(secret)

    assert text not in str(caught.value)


def test_f35_a_secret_is_no_json_by_itself():
    """F35: who writes one into JSON is told so, without the text."""
    with pytest.raises(TypeError) as caught:
        json.dumps({"a": Secret(TEXT)})

    assert TEXT not in str(caught.value)


def test_a_secret_has_no_attributes_to_look_through():
    with pytest.raises(TypeError):
        vars(Secret(TEXT))


def test_reveal_is_the_way_in():
    assert Secret(TEXT).reveal() == TEXT


def test_secrets_compare_by_content_and_only_with_each_other():
    assert Secret(TEXT) == Secret(TEXT)
    assert hash(Secret(TEXT)) == hash(Secret(TEXT))
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert Secret("\udcff") == Secret("\udcff")


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "this has 0"), ("A" * 62, "this has 62"), ("A" * 64, "this has 64"), ("A" * 62 + "=", "only base64")],
)
def test_a_claim_code_of_another_shape_is_refused_and_not_shown(text, what):
    """A Photon cuts a longer code to 63 and still answers r:0."""
    with pytest.raises(ValueError, match=what) as caught:
        ClaimCode(text)

    assert "AAAA" not in str(caught.value)


def test_a_claim_code_is_named_by_its_fingerprint():
    fingerprint = ClaimCode(CODE).fingerprint

    assert len(fingerprint) == 12
    assert fingerprint == ClaimCode(CODE).fingerprint
    assert fingerprint != ClaimCode("B" + CODE[1:]).fingerprint
    assert fingerprint not in CODE


@pytest.mark.parametrize(
    ("value", "yes"),
    [("deadbeef" * 5, True), ("DEADBEEF" * 5, True), ("deadbeef" * 3, False), ("x" * 40, False), (None, False)],
)
def test_a_token_is_known_by_its_shape(value, yes):
    assert looks_secret(value) is yes
