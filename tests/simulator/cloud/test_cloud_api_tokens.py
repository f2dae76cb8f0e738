"""Tokens, OAuth clients and the user: shapes from the recordings, lives by the simulated clock."""

import re

import pytest
import trio

from provisioner.simulator.cloud.sim_cloud import CloudRules, What

HEX40 = re.compile(r"[0-9a-f]{40}")


async def test_client_credentials_give_a_product_token_as_recorded(site):
    reply = await site.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(site.cloud.client_id, site.cloud.client_secret),
    )

    assert list(reply.json()) == ["token_type", "access_token", "expires_in", "refresh_token"]
    assert reply.json()["token_type"] == "bearer"
    assert reply.json()["expires_in"] == 7776000
    assert HEX40.fullmatch(reply.json()["access_token"])
    assert HEX40.fullmatch(reply.json()["refresh_token"])
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["pragma"] == "no-cache"
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_credentials_may_stand_in_the_form(site):
    form = {
        "grant_type": "client_credentials",
        "client_id": site.cloud.client_id,
        "client_secret": site.cloud.client_secret,
    }

    reply = await site.http.post("/oauth/token", data=form)

    assert reply.status_code == 200


async def test_a_scoped_token_is_the_customers(site):
    await site.customer("Line3@Example.com")

    reply = await site.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "scope": "customer=LINE3@example.com"},
        auth=(site.cloud.client_id, site.cloud.client_secret),
    )

    assert reply.json()["scope"] == "customer=line3@example.com"
    assert (await site.ask("GET", "/v1/user", reply.json()["access_token"])).json()["username"] == "line3@example.com"


async def test_a_scope_of_nobody_is_refused(site):
    reply = await site.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "scope": "customer=nobody@example.com"},
        auth=(site.cloud.client_id, site.cloud.client_secret),
    )

    assert reply.status_code == 400
    assert reply.json()["error"] == "invalid_scope"


async def test_password_login_and_its_refusal(site):
    form = {"grant_type": "password", "username": site.cloud.account, "password": site.cloud.password}

    good = await site.http.post("/oauth/token", data=form, auth=("particle", "particle"))
    bad = await site.http.post("/oauth/token", data={**form, "password": "wrong"}, auth=("particle", "particle"))

    assert (await site.ask("GET", "/v1/user", good.json()["access_token"])).json()["username"] == site.cloud.account
    assert bad.status_code == 400
    assert bad.json() == {"error": "invalid_grant", "error_description": "User credentials are invalid"}


async def test_an_account_without_a_password_cannot_log_in(site):
    site.cloud.add_user("tokenonly@example.com")
    form = {"grant_type": "password", "username": "tokenonly@example.com", "password": ""}

    assert (await site.http.post("/oauth/token", data=form, auth=("particle", "particle"))).status_code == 400


@pytest.mark.parametrize("status", [400, 401])
async def test_a_wrong_client_secret_is_refused_with_the_status_of_the_rules(make_site, status):
    site = make_site(rules=CloudRules(client_refused_status=status))

    reply = await site.http.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=(site.cloud.client_id, "wrong")
    )

    assert reply.status_code == status
    assert reply.json()["error"] == "invalid_client"


async def test_the_token_endpoint_takes_forms_only(site):
    form = {
        "grant_type": "client_credentials",
        "client_id": site.cloud.client_id,
        "client_secret": site.cloud.client_secret,
    }

    reply = await site.http.post("/oauth/token", json=form)

    assert reply.status_code == 400
    assert reply.json()["error"] == "invalid_request"


async def test_a_token_ends_when_its_time_is_over(site, autojump_clock):
    token = await site.token(expires_in="3600")
    await trio.sleep(3599)
    before = await site.ask("GET", "/v1/products/1319", token)
    await trio.sleep(1)
    after = await site.ask("GET", "/v1/products/1319", token)

    assert before.status_code == 200
    assert after.status_code == 401
    assert after.json() == {"error": "invalid_token", "error_description": "The access token provided has expired."}


async def test_expires_in_is_echoed_and_zero_never_ends(site, autojump_clock):
    reply = await site.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "expires_in": "0"},
        auth=(site.cloud.client_id, site.cloud.client_secret),
    )
    token = reply.json()["access_token"]
    await trio.sleep(400 * 86400)

    current = await site.ask("GET", "/v1/access_tokens/current", token)
    assert reply.json()["expires_in"] == 0
    assert current.json() == {"expires_at": None, "client_id": "tempmon06-3459", "scopes": [], "orgs": []}


async def test_expires_at_is_turned_into_seconds(site):
    reply = await site.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "expires_at": "2026-11-20T07:00:00.000Z"},
        auth=(site.cloud.client_id, site.cloud.client_secret),
    )
    current = await site.ask("GET", "/v1/access_tokens/current", reply.json()["access_token"])

    assert reply.json()["expires_in"] in (3599, 3600)
    assert current.json()["expires_at"].startswith(("2026-11-20T07:00:00", "2026-11-20T06:59:59"))


@pytest.mark.parametrize("life", [{"expires_in": "-1"}, {"expires_in": "soon"}, {"expires_at": "1999-01-01"}])
async def test_a_life_that_makes_no_sense_is_refused(site, life):
    reply = await site.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", **life},
        auth=(site.cloud.client_id, site.cloud.client_secret),
    )

    assert reply.status_code == 400
    assert reply.json()["error"] == "invalid_request"


async def test_refresh_renews_product_tokens_only_and_once(site):
    auth = (site.cloud.client_id, site.cloud.client_secret)
    await site.customer("a")
    product = (await site.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=auth)).json()
    scoped = {"grant_type": "client_credentials", "scope": "customer=a"}
    customer = (await site.http.post("/oauth/token", data=scoped, auth=auth)).json()

    replies = [
        await site.http.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": text}, auth=auth)
        for text in (product["refresh_token"], product["refresh_token"], customer["refresh_token"])
    ]

    assert [reply.status_code for reply in replies] == [200, 400, 400]
    assert (await site.ask("GET", "/v1/products/1319", replies[0].json()["access_token"])).status_code == 200


async def test_refresh_tokens_die_before_access_tokens(site, autojump_clock):
    auth = (site.cloud.client_id, site.cloud.client_secret)
    token = (await site.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=auth)).json()
    await trio.sleep(14 * 86400)
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}

    assert (await site.http.post("/oauth/token", data=form, auth=auth)).status_code == 400
    assert (await site.ask("GET", "/v1/products/1319", token["access_token"])).status_code == 200


# --- where a token may stand ---


async def test_no_token_and_an_unknown_token_have_their_recorded_answers(site):
    none = await site.ask("GET", "/v1/devices")
    unknown = await site.ask("GET", "/v1/devices", "0" * 40)

    assert none.status_code == 400
    assert none.json() == {"error": "invalid_request", "error_description": "The access token was not found"}
    assert unknown.status_code == 401
    assert unknown.json() == {"error": "invalid_token", "error_description": "The access token provided is invalid."}


async def test_a_token_may_stand_in_the_query_or_in_a_form(site):
    token = site.cloud.user_token

    query = await site.ask("POST", f"/v1/device_claims?access_token={token}")
    form = await site.ask("POST", "/v1/device_claims", data={"access_token": token})
    deleting = await site.ask("DELETE", "/v1/access_tokens/current", data={"access_token": token})

    assert [query.status_code, form.status_code, deleting.status_code] == [200, 200, 200]


async def test_an_account_of_after_2024_cannot_use_the_query(make_site):
    site = make_site(rules=CloudRules(query_token=False))

    reply = await site.ask("GET", f"/v1/devices?access_token={site.cloud.user_token}")

    assert reply.status_code == 400
    assert reply.json()["error_description"] == "The access token was not found"


# --- ending tokens ---


async def test_deleting_a_token_needs_only_the_token_and_never_fails(site):
    token = await site.token()

    replies = [await site.ask("DELETE", f"/v1/access_tokens/{text}") for text in (token, token, "nonsense")]

    assert [reply.json() for reply in replies] == [{"ok": True}] * 3
    assert (await site.ask("GET", "/v1/products/1319", token)).status_code == 401


async def test_a_user_can_end_all_his_tokens(site):
    form = {"grant_type": "password", "username": site.cloud.account, "password": site.cloud.password}
    second = (await site.http.post("/oauth/token", data=form, auth=("particle", "particle"))).json()["access_token"]

    reply = await site.ask("DELETE", "/v1/access_tokens", second)

    assert reply.json() == {"ok": True}
    assert (await site.ask("GET", "/v1/user", site.cloud.user_token)).status_code == 401


# --- clients and the user ---


async def test_a_client_shows_its_secret_once(site):
    token = site.cloud.user_token
    made = await site.ask("POST", "/v1/products/1319/clients", token, json={"name": "line3", "type": "installed"})
    client = made.json()["client"]

    listed = await site.ask("GET", "/v1/products/tempmon-v100/clients", token)
    renamed = await site.ask("PUT", f"/v1/products/1319/clients/{client['id']}", token, json={"name": "line4"})
    works = await site.http.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=(client["id"], client["secret"])
    )
    gone = await site.ask("DELETE", f"/v1/products/1319/clients/{client['id']}", token)

    assert re.fullmatch(r"line3-\d{4}", client["id"])
    assert HEX40.fullmatch(client["secret"])
    assert {"name": "line3", "type": "installed", "id": client["id"]} in listed.json()["clients"]
    assert renamed.json()["client"]["name"] == "line4"
    assert works.status_code == 200
    assert gone.status_code == 204
    assert gone.content == b""
    assert "content-type" not in gone.headers


async def test_the_user_sees_the_products_of_his_teams(site):
    site.cloud.add_product(2000, "other")

    reply = await site.ask("GET", "/v1/user/products", site.cloud.user_token)

    assert [product["slug"] for product in reply.json()["products"]] == ["tempmon-v100"]


async def test_token_calls_are_in_the_history_without_the_tokens(site):
    token = await site.token()
    await site.http.post("/oauth/token", data={"grant_type": "nonsense"})

    entries = [(entry.what, entry.detail) for entry in site.cloud.history]
    assert entries == [
        (What.TOKEN_ISSUED, "client_credentials product"),
        (What.TOKEN_REFUSED, "invalid_request"),
    ]
    assert token not in repr(site.cloud.history)


async def test_a_deleted_token_cannot_be_renewed(site):
    auth = (site.cloud.client_id, site.cloud.client_secret)
    token = (await site.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=auth)).json()
    await site.ask("DELETE", "/v1/access_tokens/current", token["access_token"])
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}

    assert (await site.http.post("/oauth/token", data=form, auth=auth)).status_code == 400
