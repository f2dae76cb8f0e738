"""Secrets cannot be printed by any of the ways things get printed."""

import copy
import pickle
import traceback

import pytest

from provisioner.errors import SecretUnsafe
from provisioner.secrets import ClaimCode, Secret, looks_secret

TEXT = "correct horse battery staple"
CODE = "A" * 62 + "/"


WAYS = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": "{}".format,
    "format with a width": "{:>40}".format,
    "format of repr": "{!r:>40}".format,
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s}",
    "percent": "%s".__mod__,
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


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_pickled_or_copied(copying):
    with pytest.raises(SecretUnsafe):
        copying(Secret(TEXT))


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
