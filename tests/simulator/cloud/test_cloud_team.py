"""API users and their scopes, token lists and clients of an account (facts, particle-cloud 2 and 12)."""

import pytest

DEVICE = "3b0021001747353236343033"
TEAM = "/v1/products/1319/team"


async def api_user(site, *scopes, token=None):
    body = {"friendly_name": "Factory Line", "scopes": list(scopes)}
    reply = await site.ask("POST", TEAM, token or site.cloud.user_token, json=body)
    assert reply.status_code == 200, reply.text
    created = reply.json()["created"]
    return created["username"], created["tokens"][0]["token"]


async def test_an_api_user_has_a_name_of_its_own_and_one_token(site):
    name, token = await api_user(site, "devices:list")

    assert name.startswith("factory-line+")
    assert name.endswith("@api.particle.io")
    team = (await site.ask("GET", TEAM, site.cloud.user_token)).json()["team"]
    assert {"username": name, "is_programmatic": True} in team
    assert team[0]["role"]["name"] == "Administrator"
    assert (await site.ask("GET", "/v1/products/1319/devices", token)).status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("products:get", "GET", "/v1/products/1319"),
        ("devices:list", "GET", "/v1/products/1319/devices"),
        ("devices:get", "GET", f"/v1/products/1319/devices/{DEVICE}"),
        ("devices:import", "POST", "/v1/products/1319/devices"),
        ("devices:update", "PUT", f"/v1/products/1319/devices/{DEVICE}"),
        ("devices:ping", "PUT", f"/v1/products/1319/devices/{DEVICE}/ping"),
        ("devices:release", "DELETE", f"/v1/products/1319/devices/{DEVICE}/owner"),
        ("devices:remove", "DELETE", f"/v1/products/1319/devices/{DEVICE}"),
        ("customers:list", "GET", "/v1/products/1319/customers"),
        ("clients:list", "GET", "/v1/products/1319/clients"),
    ],
)
async def test_a_scope_opens_its_endpoint_and_no_other_scope_does(site, scope, method, path):
    site.cloud.put_in_product(DEVICE)
    _, without = await api_user(site, "events:send")
    _, with_it = await api_user(site, scope)
    body = {"data": {"id": DEVICE}} if method == "POST" else {}

    refused = await site.ask(method, path, without, **body)
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": "unauthorized", "error_description": "API users are not allowed to call this endpoint"},
    )
    assert (await site.ask(method, path, with_it, **body)).status_code in (200, 204)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/products/1319/device_claims"), ("POST", "/v1/devices"), ("GET", "/v1/devices"), ("POST", TEAM)],
)
async def test_no_scope_opens_claims_owners_or_the_team(site, method, path):
    _, token = await api_user(site, "devices:import", "devices:update", "customers:update")

    assert (await site.ask(method, path, token, data={"id": DEVICE})).status_code in (400, 403)


async def test_new_scopes_give_a_fresh_token_and_the_old_one_dies(site):
    name, old = await api_user(site, "devices:list")
    for path, body in ((f"{TEAM}/{name}", {"json": {"scopes": ["devices:list"]}}), (f"{TEAM}/{name}/token", {})):
        reply = await site.ask("PUT", path, site.cloud.user_token, **body)
        new = reply.json()["created"]["tokens"][0]["token"]

        assert new != old
        assert (await site.ask("GET", "/v1/products/1319/devices", old)).status_code == 401
        assert (await site.ask("GET", "/v1/products/1319/devices", new)).status_code == 200
        old = new


async def test_a_deleted_api_user_is_off_the_team_and_its_token_dead(site):
    name, token = await api_user(site, "devices:list")
    assert (await site.ask("DELETE", f"{TEAM}/{name}", site.cloud.user_token)).status_code == 204

    assert (await site.ask("GET", "/v1/products/1319/devices", token)).status_code == 401
    assert (await site.ask("DELETE", f"{TEAM}/{name}", site.cloud.user_token)).status_code == 404


@pytest.mark.parametrize("scopes", [[], ["devices:everything"]])
async def test_unknown_scopes_are_refused(site, scopes):
    body = {"friendly_name": "x", "scopes": scopes}

    assert (await site.ask("POST", TEAM, site.cloud.user_token, json=body)).status_code == 400


# --- tokens and clients of an account ---


async def test_a_users_tokens_are_listed_for_name_and_password(site):
    cloud = site.cloud
    reply = await site.http.get("/v1/access_tokens", auth=(cloud.account, cloud.password))

    assert reply.status_code == 200
    assert {"token": cloud.user_token, "expires_at": None, "client": "particle"} in reply.json()


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [("factory@example.com", 401, "Bad password"), ("nobody@example.com", 400, "Unknown user")],
)
async def test_a_token_list_says_which_half_of_the_credentials_is_wrong(site, name, status, text):
    reply = await site.http.get("/v1/access_tokens", auth=(name, "wrong"))

    assert (reply.status_code, reply.json()) == (status, {"ok": False, "errors": [text]})


async def test_an_accounts_own_clients_are_its_own(site):
    token = site.cloud.user_token
    made = (await site.ask("POST", "/v1/clients", token, data={"name": "bench"})).json()["client"]
    listed = (await site.ask("GET", "/v1/clients", token)).json()["clients"]

    assert [one["id"] for one in listed] == [made["id"]]
    assert "secret" not in listed[0]
    stranger = site.cloud.add_user("stranger@example.com")
    assert (await site.ask("GET", "/v1/clients", stranger)).json()["clients"] == []
    assert (await site.ask("DELETE", f"/v1/clients/{made['id']}", stranger)).status_code == 404
    renamed = await site.ask("PUT", f"/v1/clients/{made['id']}", token, data={"name": "rack"})
    assert renamed.json()["client"]["name"] == "rack"
    assert (await site.ask("DELETE", f"/v1/clients/{made['id']}", token)).status_code == 204
    assert (await site.ask("GET", "/v1/clients", token)).json()["clients"] == []


async def test_a_customer_without_a_password_cannot_be_given_one(site):
    await site.customer("c@example.com")
    path = "/v1/products/1319/customers/c@example.com"

    assert (await site.ask("PUT", path, site.cloud.user_token, data={"password": "x"})).status_code == 400
    assert (await site.ask("PUT", f"{path}m", site.cloud.user_token, data={"password": "x"})).status_code == 404
