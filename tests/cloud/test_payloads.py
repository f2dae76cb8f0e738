"""Answers of the facts as data, and what happens when a field is not there."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.cloud import payloads
from provisioner.cloud.payloads import ImportReply, ProductInfo
from provisioner.errors import CloudReplyUnreadable

PRODUCT = ProductInfo(295, "p295", 13, "")
ROW = {"id": "3b0021001747353236343033", "product_id": 295}
READERS = [
    payloads.read_token,
    payloads.read_product,
    payloads.read_import,
    payloads.read_claim_code,
    lambda body: payloads.read_page(body, PRODUCT),
    lambda body: payloads.read_device(body, PRODUCT),
    lambda body: payloads.read_device(body, None),
    lambda body: payloads.read_ok(body, "claim"),
]
FIELDS = [
    "access_token",
    "expires_in",
    "scope",
    "product",
    "id",
    "slug",
    "platform_id",
    "name",
    "updated",
    "updatedDeviceIds",
    "existingDeviceIds",
    "invalidDeviceIds",
    "nonmemberDeviceIds",
    "devices",
    "customers",
    "meta",
    "total_pages",
    "claim_code",
    "ok",
    "product_id",
    "online",
    "owner",
    "last_heard",
    "last_handshake_at",
    "quarantined",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("3b0021001747353236343033"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=8),
    max_leaves=20,
)


def encoded(document):
    return json.dumps(document).encode()


def device(**fields):
    return payloads.read_device(encoded(ROW | fields), PRODUCT)


def test_token_of_2017(fixture_reply):
    token = payloads.read_token(fixture_reply("token")[2])

    assert token.access_token.reveal() == "d7ff4814e5b5d4fb5c872e93cae12613dbc782a2"
    assert token.expires_in_s == 7776000
    assert token.scope is None
    assert "d7ff" not in repr(token)


def test_customers_token_has_its_scope(fixture_reply):
    assert payloads.read_token(fixture_reply("customer_created")[2]).scope == "customer=customer5@mycompany.com"


@pytest.mark.parametrize("expires_in", [0, None])
def test_a_token_that_never_expires(expires_in):
    assert payloads.read_token(encoded({"access_token": "x", "expires_in": expires_in})).expires_in_s is None


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "ä", None, 7])
def test_a_token_that_cannot_stand_in_a_header_is_refused(token):
    with pytest.raises(CloudReplyUnreadable, match="access_token"):
        payloads.read_token(encoded({"access_token": token}))


@pytest.mark.parametrize("expires_in", [-1, "soon", True, float("inf"), float("nan")])
def test_a_token_with_no_sensible_life_is_refused(expires_in):
    with pytest.raises(CloudReplyUnreadable, match="expires_in"):
        payloads.read_token(encoded({"access_token": "x", "expires_in": expires_in}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("product_2018", ProductInfo(1234, "product_slug", 10, "product_name")),
        ("product_2019", ProductInfo(1234, "myproduct", 10, "product")),
    ],
)
def test_product_of_both_generations(fixture_reply, name, expected):
    assert payloads.read_product(fixture_reply(name)[2]) == expected


def test_import_reply_of_2017_does_not_tell_added_from_existing(fixture_reply):
    assert payloads.read_import(fixture_reply("import_2017")[2]) == ImportReply(updated=1, legacy=True)


def test_current_import_reply(fixture_reply):
    assert payloads.read_import(fixture_reply("import_current")[2]) == ImportReply(added=("abc1234",), updated=1)


def test_import_echoes_are_trimmed_and_lower_case():
    lists = {
        "updatedDeviceIds": [" ABC\n"],
        "existingDeviceIds": ["D"],
        "nonmemberDeviceIds": ["E"],
        "invalidDeviceIds": ["WAT"],
        "protectedDeviceIds": ["F"],
    }
    reply = payloads.read_import(encoded({"updated": 1} | lists))

    assert reply == ImportReply(("abc",), ("d",), ("wat",), ("e",), ("f",), 1)


@pytest.mark.parametrize("missing", ["updated", "nonmemberDeviceIds", "invalidDeviceIds"])
def test_import_reply_without_a_needed_field_names_it(missing):
    reply = {"updated": 1, "nonmemberDeviceIds": [], "invalidDeviceIds": []}
    del reply[missing]
    with pytest.raises(CloudReplyUnreadable, match=missing):
        payloads.read_import(encoded(reply))


def test_page_of_the_reference(fixture_reply):
    page = payloads.read_page(fixture_reply("device_page")[2], PRODUCT)
    owned, quarantined, customers = page.devices

    assert page.total_pages == 1
    assert (owned.id, owned.owner, owned.in_product) == ("1d002a000547343232363230", "jeff@particle.io", True)
    assert owned.last_handshake_at == datetime(2016, 6, 10, 14, 56, 27, 100_000, tzinfo=UTC)
    assert (quarantined.product_id, quarantined.in_product, quarantined.quarantined) == (13, False, True)
    assert customers.owner == "customer@gmail.com"


def test_page_without_its_number_of_pages_is_refused():
    with pytest.raises(CloudReplyUnreadable, match=r"meta\.total_pages"):
        payloads.read_page(encoded({"devices": [], "meta": {}}), PRODUCT)


def test_a_bad_row_is_named_by_its_place():
    with pytest.raises(CloudReplyUnreadable, match=r"devices\[1\]\.id"):
        payloads.read_page(encoded({"devices": [ROW, {}], "meta": {"total_pages": 1}}), PRODUCT)


def test_photon_of_2016_has_the_old_name_of_online(fixture_reply):
    seen = payloads.read_device(fixture_reply("device_2016")[2], None)

    assert (seen.online, seen.owner, seen.in_product) == (True, None, False)


def test_a_device_that_has_never_been_online():
    seen = device()

    assert (seen.online, seen.owner, seen.in_product, seen.last_handshake_at) == (False, None, True, None)


@pytest.mark.parametrize(
    ("fields", "member"),
    [
        ({}, True),
        ({"product_id": 13, "firmware_product_id": 295}, False),
        ({"quarantined": True}, False),
        ({"denied": True}, False),
    ],
)
def test_membership(fields, member):
    assert device(**fields).in_product is member


def test_without_product_id_nothing_is_said_about_membership():
    with pytest.raises(CloudReplyUnreadable, match="product_id"):
        device(product_id=None)


@pytest.mark.parametrize(
    ("fields", "owner"),
    [
        ({"owner": "Line3@Example.com"}, "Line3@Example.com"),
        ({"owner": None}, None),
        ({"owner": ""}, None),
        ({"customer_id": "1230999caf8bad1916000123"}, "1230999caf8bad1916000123"),
        ({"user_id": "1230999caf8bad1916000456"}, "1230999caf8bad1916000456"),
    ],
)
def test_an_owner_without_a_name_is_still_an_owner(fields, owner):
    assert device(**fields).owner == owner


@pytest.mark.parametrize("field", ["online", "quarantined", "denied"])
def test_a_flag_that_is_no_flag_is_refused(field):
    with pytest.raises(CloudReplyUnreadable, match=field):
        device(**{field: "false"})


@pytest.mark.parametrize("text", ["yesterday", "0001-01-01T00:00:00+23:59", "2026-13-01T00:00:00Z"])
def test_a_time_that_is_no_time_is_refused(text):
    with pytest.raises(CloudReplyUnreadable, match="last_handshake_at"):
        device(last_handshake_at=text)


def test_times_are_utc():
    assert device(last_heard="2026-11-20T07:00:00+01:00").last_heard == datetime(2026, 11, 20, 6, tzinfo=UTC)


def test_claim_code(fixture_reply):
    code = payloads.read_claim_code(fixture_reply("claim_code")[2])

    assert code.reveal() == "3GjxEdDu3eIWEs5C9WMun5etWsIC7KreXXHQ2JXAfBorHv+t26F04cFObo/FsL5"


def test_a_short_claim_code_is_refused_and_not_shown():
    with pytest.raises(CloudReplyUnreadable, match="claim_code") as caught:
        payloads.read_claim_code(b'{"claim_code":"3GjxEdDu3eIWEs5C9WMun5"}')

    assert "3Gjx" not in repr(caught.value)
    assert caught.value.__context__ is None


def test_ok_must_be_true():
    payloads.read_ok(b'{"ok":true,"id":"x"}', "claim")
    with pytest.raises(CloudReplyUnreadable, match="ok"):
        payloads.read_ok(b'{"ok":false}', "claim")


def test_an_unreadable_body_is_not_kept_on_the_exception():
    with pytest.raises(CloudReplyUnreadable) as caught:
        payloads.read_token(b'{"access_token": "d7ff4814", ')

    assert caught.value.__context__ is None
    assert "d7ff" not in repr(caught.value)


@given(st.sampled_from(READERS), st.binary() | json_values.map(encoded))
def test_any_body_is_read_or_refused(read, body):
    with contextlib.suppress(CloudReplyUnreadable):
        read(body)
