"""Tokens: asked for once, renewed once, and a wrong secret costs two refusals."""

import base64

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from provisioner.errors import (
    CloudAnswerLost,
    CloudBusy,
    CloudRefused,
    CloudReplyUnreadable,
    CredentialsRefused,
    InputRefused,
    ProvisionerError,
    SecretMissing,
)

BASIC = "Basic " + base64.b64encode(b"tempmon06-3459:460edfd8d70742dd1f1e75c3d5cac5973351465d").decode()
TOKEN = ("POST", "/oauth/token")
CUSTOMERS = ("POST", "/v1/products/1319/customers")
ROUTE = ("GET", "/v1/products/1319")
PRODUCT = {"product": {"id": 1319, "platform_id": 6, "slug": "tempmon-v100", "name": "tempmon"}}
EXPIRED = (401, {"error": "invalid_token", "error_description": "The access token provided has expired."})
WRONG_SCOPE = (400, {"error": "invalid_scope", "error_description": "no such customer"})


def token(text, expires_in=7776000):
    return {"token_type": "bearer", "access_token": text, "expires_in": expires_in}


async def together(count, ask):
    """Call `ask` from that many tasks; return what each got or raised."""
    got = []

    async def one():
        try:
            got.append(await ask())
        except ProvisionerError as error:
            got.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
    return got


async def test_a_token_is_asked_for_once(cloud, autojump_clock):
    cloud.on(*ROUTE, PRODUCT)
    cloud.latency_s = 0.1
    async with cloud.open() as client:
        await together(12, lambda: client.product("1319"))
        await client.product("1319")

    assert cloud.asked(*TOKEN) == 1
    request = cloud.requests[0]
    assert request.content == b"grant_type=client_credentials"
    assert request.headers["Authorization"] == BASIC
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


async def test_a_token_is_renewed_a_bit_before_it_expires(cloud, autojump_clock):
    """F11."""
    cloud.on(*TOKEN, token("first", 3600), token("second", 3600))
    cloud.on(*ROUTE, PRODUCT)
    async with cloud.open() as client:
        await client.product("1319")
        await trio.sleep(3600 - 310)
        await client.product("1319")
        assert cloud.asked(*TOKEN) == 1
        await trio.sleep(20)
        await client.product("1319")

    assert cloud.asked(*TOKEN) == 2
    assert cloud.requests[-1].headers["Authorization"] == "Bearer second"


async def test_a_token_without_end_is_kept(cloud, autojump_clock):
    cloud.on(*TOKEN, token("for ever".replace(" ", "-"), 0))
    cloud.on(*ROUTE, PRODUCT)
    async with cloud.open() as client:
        await client.product("1319")
        await trio.sleep(400 * 86400)
        await client.product("1319")

    assert cloud.asked(*TOKEN) == 1


async def test_a_revoked_token_is_renewed_once_for_all(cloud, autojump_clock):
    """Twelve stations meet the same 401: one renewal, no failed call (facts: reliability F11)."""
    cloud.latency_s = 0.1
    cloud.on(*TOKEN, token("old"), token("new"))

    def product(request):
        return PRODUCT if request.headers["Authorization"] == "Bearer new" else EXPIRED

    cloud.on(*ROUTE, product)
    async with cloud.open() as client:
        got = await together(12, lambda: client.product("1319"))

    assert [info.id for info in got] == [1319] * 12
    assert cloud.asked(*TOKEN) == 2


async def test_a_late_401_does_not_throw_away_the_new_token(cloud, autojump_clock):
    """F11. A slow answer to the old token comes after somebody has renewed it."""
    cloud.on(*TOKEN, token("old"), token("new"), token("newest"))
    cloud.on(*ROUTE, PRODUCT)
    async with cloud.open() as client:
        tokens = client._tokens
        old = await tokens.product()
        tokens.invalidate(old)
        new = await tokens.product()
        tokens.invalidate(old)
        again = await tokens.product()

    assert again.token == new.token
    assert cloud.asked(*TOKEN) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        "bad_client",
        "bad_login",
        (401, {"error": "invalid_client"}),
        (403, {"error": "unauthorized"}),
        (401, {"not": "documented"}),
    ],
)
async def test_a_wrong_secret_costs_two_refusals_however_many_wait(cloud, refusal, autojump_clock):
    """F12."""
    cloud.latency_s = 0.1
    cloud.on(*TOKEN, refusal)
    async with cloud.open() as client:
        got = await together(12, lambda: client.product("1319"))
        got += await together(12, lambda: client.product("1319"))

    assert {type(error) for error in got} == {CredentialsRefused}
    assert cloud.asked(*TOKEN) == 2
    assert cloud.asked(*ROUTE) == 0


async def test_a_wrong_secret_costs_two_refusals_also_for_many_customers(cloud, product, autojump_clock):
    """F12."""
    cloud.latency_s = 0.1
    cloud.on(*CUSTOMERS, "bad_client")
    cloud.on(*TOKEN, "bad_client")
    names = iter(range(12))
    async with cloud.open() as client:
        got = await together(12, lambda: client.ensure_customer(product, f"c{next(names)}"))

    assert {type(error) for error in got} == {CredentialsRefused}
    assert cloud.asked(*CUSTOMERS) + cloud.asked(*TOKEN) == 2


async def test_one_refusal_may_be_a_mishap(cloud):
    cloud.on(*TOKEN, "bad_client", "token")
    cloud.on(*ROUTE, PRODUCT)
    async with cloud.open() as client:
        assert (await client.product("1319")).id == 1319


async def test_the_open_breaker_outlives_the_process(cloud, tmp_path):
    """F12."""
    file = tmp_path / "breaker.json"
    cloud.on(*TOKEN, "bad_client")
    for _ in range(3):
        async with cloud.open(file=file) as client:
            with pytest.raises(CredentialsRefused, match=r"breaker\.json"):
                await client.product("1319")
    assert cloud.asked(*TOKEN) == 2

    cloud.on(*TOKEN, "token")
    cloud.on(*ROUTE, PRODUCT)
    async with cloud.open(file=file, secret="corrected") as client:
        await client.product("1319")
    assert not file.exists()


@pytest.mark.parametrize(
    ("answer", "expected", "calls"),
    [
        ("fault_html", CloudAnswerLost, 4),
        ("busy_html", CloudBusy, 4),
        (ConnectionResetError("cut"), CloudAnswerLost, 4),
        ("captive_portal", CloudReplyUnreadable, 1),
        ((404, {"error": "not_found"}), CloudRefused, 1),
    ],
)
async def test_what_says_nothing_about_the_secret_leaves_the_breaker_closed(
    cloud, answer, expected, calls, autojump_clock
):
    cloud.on(*TOKEN, answer)
    cloud.on(*ROUTE, PRODUCT)
    async with cloud.open() as client:
        with pytest.raises(expected):
            await client.product("1319")
        assert cloud.asked(*TOKEN) == calls
        cloud.on(*TOKEN, "token")
        await client.product("1319")


async def test_those_who_wait_share_a_failure(cloud, autojump_clock):
    cloud.latency_s = 1.0
    cloud.on(*TOKEN, "captive_portal")
    async with cloud.open() as client:
        got = await together(12, lambda: client.product("1319"))

    assert {type(error) for error in got} == {CloudReplyUnreadable}
    assert cloud.asked(*TOKEN) == 1


async def test_if_the_one_who_asks_is_cancelled_another_takes_over(cloud, autojump_clock):
    cloud.latency_s = 1.0
    cloud.on(*ROUTE, PRODUCT)
    got = []

    async def impatient():
        with trio.move_on_after(0.5):
            await client.product("1319")

    async def patient():
        got.append(await client.product("1319"))

    async with cloud.open() as client, trio.open_nursery() as nursery:
        nursery.start_soon(impatient)
        await wait_all_tasks_blocked()
        nursery.start_soon(patient)
        nursery.start_soon(patient)

    assert len(got) == 2
    assert cloud.asked(*TOKEN) == 2


# --- customers ---


async def test_a_new_customer_comes_with_a_token(cloud, product):
    async with cloud.open() as client:
        await client.ensure_customer(product, " Customer5@MyCompany.com ")
        await client.ensure_customer(product, "customer5@mycompany.com")

    (request,) = cloud.requests
    assert request.url.path == CUSTOMERS[1]
    assert request.content == b"email=customer5%40mycompany.com&no_password=true"
    assert request.headers["Authorization"] == BASIC


async def test_an_existing_customer_gets_a_scoped_token(cloud, product):
    cloud.on(*CUSTOMERS, "customer_exists")
    async with cloud.open() as client:
        await client.ensure_customer(product, "customer5@mycompany.com")

    request = cloud.requests[-1]
    assert request.url.path == "/oauth/token"
    assert request.content == b"grant_type=client_credentials&scope=customer%3Dcustomer5%40mycompany.com"
    assert request.headers["Authorization"] == BASIC


async def test_a_lost_answer_of_create_is_settled_by_the_customer_that_exists(cloud, product, autojump_clock):
    cloud.on(*CUSTOMERS, ConnectionResetError("cut"), "customer_exists")
    async with cloud.open() as client:
        await client.ensure_customer(product, "c")

    assert [request.url.path for request in cloud.requests] == [CUSTOMERS[1], CUSTOMERS[1], "/oauth/token"]


async def test_a_known_customers_token_is_renewed_without_creating_again(cloud, product, autojump_clock):
    cloud.on(*CUSTOMERS, token("first", 100))
    async with cloud.open() as client:
        await client.ensure_customer(product, "c")
        await trio.sleep(95)
        await client.ensure_customer(product, "c")

    assert [request.url.path for request in cloud.requests] == [CUSTOMERS[1], "/oauth/token"]


async def test_a_customer_once_found_is_not_created_again_either(cloud, product, autojump_clock):
    cloud.on(*CUSTOMERS, "customer_exists")
    cloud.on(*TOKEN, token("first", 100), token("second"))
    async with cloud.open() as client:
        await client.ensure_customer(product, "c")
        await trio.sleep(95)
        await client.ensure_customer(product, "c")

    assert [request.url.path for request in cloud.requests] == [CUSTOMERS[1], "/oauth/token", "/oauth/token"]


async def test_a_customer_that_was_deleted_is_created_again(cloud, product, autojump_clock):
    cloud.on(*CUSTOMERS, token("first", 100))
    cloud.on(*TOKEN, WRONG_SCOPE)
    async with cloud.open() as client:
        await client.ensure_customer(product, "c")
        await trio.sleep(95)
        with pytest.raises(CloudRefused, match="no such customer"):
            await client.ensure_customer(product, "c")
        await client.ensure_customer(product, "c")

    assert cloud.asked(*CUSTOMERS) == 2


async def test_refused_scopes_count_towards_the_clouds_ten_too(cloud, product):
    cloud.on(*CUSTOMERS, "customer_exists")
    cloud.on(*TOKEN, WRONG_SCOPE)
    async with cloud.open() as client:
        for name in ("a", "b"):
            with pytest.raises(CloudRefused):
                await client.ensure_customer(product, name)
        with pytest.raises(CredentialsRefused, match="no such customer"):
            await client.ensure_customer(product, "c")

    assert cloud.asked(*TOKEN) == 2


async def test_a_client_without_the_right_to_create_customers_is_told_so(cloud, product):
    cloud.on(*CUSTOMERS, "api_user_refused")
    cloud.on(*ROUTE, PRODUCT)
    async with cloud.open() as client:
        for _ in range(3):
            with pytest.raises(CloudRefused, match="API users are not allowed"):
                await client.ensure_customer(product, "c")
        await client.product("1319")


# --- what is not there ---


async def test_without_a_client_secret_the_accounts_token_reads_the_product(cloud):
    cloud.on(*ROUTE, PRODUCT)
    async with cloud.open(secret=None, user_token="u" * 40) as client:
        await client.product("1319")

    (request,) = cloud.requests
    assert request.headers["Authorization"] == "Bearer " + "u" * 40


async def test_what_is_missing_is_named(cloud, product, device_id):
    async with cloud.open(secret=None, user_token=None) as client:
        with pytest.raises(SecretMissing, match="OAuth client"):
            await client.product("1319")
        with pytest.raises(SecretMissing, match="OAuth client"):
            await client.ensure_customer(product, "c")
        with pytest.raises(SecretMissing, match="account"):
            await client.account_claim_code()

    assert cloud.requests == []


async def test_a_secret_without_its_client_id_is_an_input_mistake(cloud):
    async with cloud.open(client_id="") as client:
        with pytest.raises(InputRefused, match="client_id"):
            await client.product("1319")

    assert cloud.requests == []


async def test_a_user_token_with_a_line_end_is_refused_before_anything_is_sent(cloud):
    with pytest.raises(InputRefused, match="line end"):
        async with cloud.open(user_token="abc\n"):
            pass
