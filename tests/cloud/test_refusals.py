"""All refusals of the facts, and any bytes at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.cloud.refusals import Refusal, classify, parse_error
from provisioner.errors import (
    CloudAnswerLost,
    CloudBusy,
    CloudError,
    CloudRefused,
    CloudReplyUnreadable,
    CredentialsRefused,
    CustomerExists,
    DeviceNotOnline,
    NotInCloud,
    OwnedBySomeoneElse,
    PermissionRefused,
)
from provisioner.secrets import Secret

JSON = "application/json"
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "errors", "info", "ok", "x"]), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("name", "claim", "expected"),
    [
        ("token_expired", False, CredentialsRefused),
        ("token_invalid", False, CredentialsRefused),
        ("token_absent", False, CloudRefused),
        ("bad_login", False, CloudRefused),
        ("mfa_required", False, PermissionRefused),
        ("api_user_refused", False, CloudRefused),
        ("product_missing", False, NotInCloud),
        ("product_foreign", False, PermissionRefused),
        ("device_not_mine", False, NotInCloud),
        ("device_not_in_product", False, NotInCloud),
        ("customer_exists", False, CustomerExists),
        ("claim_unknown", True, NotInCloud),
        ("claim_offline_2015", True, DeviceNotOnline),
        ("claim_offline_2016", True, DeviceNotOnline),
        ("claim_offline_2016", False, NotInCloud),
        ("claim_foreign", True, OwnedBySomeoneElse),
        ("timed_out", True, DeviceNotOnline),
        ("timed_out", False, CloudAnswerLost),
        ("too_long", False, CloudRefused),
        ("busy_html", False, CloudBusy),
        ("fault_html", False, CloudAnswerLost),
        ("captive_portal", False, CloudReplyUnreadable),
    ],
)
def test_each_recorded_refusal_has_its_class(fixture_reply, name, claim, expected):
    status, headers, body = fixture_reply(name)

    error = classify(status, parse_error(status, body, headers["Content-Type"]), what="do it", claim=claim)

    assert expected is type(error)


def test_customer_exists_is_known_by_its_code_whatever_the_status():
    refusal = parse_error(409, b'{"error":"customer_exists"}', JSON)

    assert isinstance(classify(409, refusal, what="create"), CustomerExists)


def test_the_reason_is_the_clouds_own_words(fixture_reply):
    status, _, body = fixture_reply("claim_offline_2015")
    error = classify(status, parse_error(status, body, JSON), what="claim device 3b")

    assert error.reason == "Core isn't online"
    assert str(error) == "The cloud would not claim device 3b: Core isn't online (status 404)"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"errors": [{"error": {"status": "no such thing"}}, {"message": "second"}]}, "no such thing: second"),
        ({"error": {"message": "nested"}}, "nested"),
        ({"error": "x_y", "error_description": "said"}, "said"),
        (["one", ["two", 404]], "one; two"),
        ({"errors": [[[[[["too deep"]]]]]]}, ""),
        ("just text", "just text"),
    ],
)
def test_reasons_are_found_where_the_families_put_them(document, reason):
    assert parse_error(400, json.dumps(document).encode(), JSON).reason == reason


@pytest.mark.parametrize(
    "text",
    [
        "try https://api.particle.io/v1/devices?access_token=tokn-of-another-kind",
        "Authorization was Bearer tokn-of-another-kind",
        "sent tokn-of-another-kind",
        "sent " + "0123456789abcdef" * 2 + "01234567",
        "sent 3GjxEdDu3eIWEs5C9WMun5etWsIC7KreXXHQ2JXAfBorHv+t26F04cFObo/FsL5",
    ],
)
def test_what_looks_like_a_token_is_cut_out_of_the_reason(text):
    body = json.dumps({"error": "Permission Denied", "info": text}).encode()
    reason = parse_error(403, body, JSON, hide=[Secret("tokn-of-another-kind")]).reason

    assert "<hidden>" in reason
    assert "another-kind" not in reason
    assert "0123456789abcdef" not in reason
    assert "3GjxEdDu3" not in reason


def test_text_from_the_cloud_cannot_steer_a_terminal():
    reason = parse_error(400, b'{"error":"\\u001b[2Jgone \\u202e"}', JSON).reason

    assert "\x1b" not in reason
    assert "\u202e" not in reason


@given(st.integers(100, 999), st.binary() | json_values.map(lambda value: json.dumps(value).encode()), st.booleans())
def test_any_body_whatever_becomes_a_cloud_error(status, body, claim):
    refusal = parse_error(status, body, None)

    assert isinstance(refusal, Refusal)
    assert isinstance(classify(status, refusal, what="ask", claim=claim), CloudError)
    assert len(refusal.reason) <= 200


def test_a_body_of_brackets_does_not_overrun_the_stack():
    assert not parse_error(400, b"[" * 100_000, JSON).readable


def test_half_a_surrogate_pair_is_told_and_not_stumbled_over():
    assert "ud800" in parse_error(400, b'{"error":"\\ud800 no"}', JSON).reason
