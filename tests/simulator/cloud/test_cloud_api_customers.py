"""Customers: made with the client's credentials only, invisible until they own something."""

import pytest

from provisioner.simulator.cloud.sim_cloud import CloudRules, What

DEVICE = "3b0021001747353236343033"
PATH = "/v1/products/1319/customers"


async def create(site, **form):
    auth = (site.cloud.client_id, site.cloud.client_secret)
    return await site.http.post(
        PATH, data={"email": "Customer5@MyCompany.com", "no_password": "true", **form}, auth=auth
    )


async def test_creating_a_customer_answers_with_its_token_as_recorded(site):
    reply = await create(site)

    assert list(reply.json()) == ["token_type", "access_token", "expires_in", "refresh_token", "scope"]
    assert reply.json()["scope"] == "customer=customer5@mycompany.com"


async def test_client_credentials_may_stand_in_the_form(site):
    form = {"email": "a", "client_id": site.cloud.client_id, "client_secret": site.cloud.client_secret}

    assert (await site.http.post(PATH, data=form)).status_code == 200


@pytest.mark.parametrize("status", [400, 409])
async def test_a_customer_that_exists_is_told_by_the_code(make_site, status):
    site = make_site(rules=CloudRules(customer_exists_status=status))
    await create(site)

    again = await create(site, email="CUSTOMER5@mycompany.com")

    assert (again.status_code, again.json()["error"]) == (status, "customer_exists")


async def test_a_product_token_cannot_create_customers(site):
    reply = await site.ask("POST", PATH, await site.token(), data={"email": "a"})

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client")
    assert not list(site.cloud.history.of(What.CUSTOMER_CREATED))


async def test_a_team_members_token_creates_a_customer_without_giving_its_token(site):
    reply = await site.ask("POST", PATH, site.cloud.user_token, data={"email": "a"})

    assert reply.json() == {"ok": True}


async def test_another_products_client_cannot_create_customers_here(site):
    other = site.cloud.add_client("other", site.cloud.add_product(2000, "other"))

    reply = await site.http.post(PATH, data={"email": "a"}, auth=(other.id, other.secret))

    assert reply.json()["error"] == "invalid_client"


async def test_a_customer_needs_a_name(site):
    assert (await create(site, email=" ")).json()["error"] == "invalid_request"


async def test_a_customer_is_listed_from_its_first_device_on(site):
    await create(site)
    before = (await site.ask("GET", PATH, site.cloud.user_token)).json()
    site.cloud.put_in_product(DEVICE)
    site.cloud.set_owner(DEVICE, "customer5@mycompany.com")
    after = (await site.ask("GET", PATH, site.cloud.user_token)).json()

    assert before == {"customers": [], "devices": [], "meta": {"total_pages": 0}}
    assert [(c["username"], c["devices"]) for c in after["customers"]] == [("customer5@mycompany.com", [DEVICE])]
    assert [row["id"] for row in after["devices"]] == [DEVICE]


async def test_customers_without_devices_can_be_listed(make_site):
    site = make_site(rules=CloudRules(customers_without_device_listed=True))
    await create(site)

    assert len((await site.ask("GET", PATH, site.cloud.user_token)).json()["customers"]) == 1


async def test_deleting_a_customer_ends_its_tokens_codes_and_ownership(site):
    token = (await create(site, email="line3+t1@example.com")).json()["access_token"]
    used, code = await site.claim_code(token), await site.claim_code(token)
    site.cloud.put_in_product(DEVICE)
    site.cloud.device_online(DEVICE, used)

    reply = await site.ask("DELETE", f"{PATH}/line3%2Bt1%40example.com", site.cloud.user_token)
    again = await site.ask("DELETE", f"{PATH}/line3%2Bt1%40example.com", site.cloud.user_token)

    assert reply.json() == {"ok": True}
    assert again.status_code == 404
    assert (await site.ask("GET", "/v1/devices", token)).status_code == 401
    assert await site.owner() == "absent"
    assert site.cloud.device_online(DEVICE, code) is False
    assert len(list(site.cloud.history.of(What.CODE_REVOKED))) == 1


async def test_customer_calls_can_count_as_token_calls(make_site):
    site = make_site(rules=CloudRules(customer_calls_are_token_calls=True, token_calls_per_5min=1))

    assert [(await create(site, email=name)).status_code for name in "ab"] == [200, 429]
