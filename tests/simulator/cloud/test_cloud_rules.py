"""Both sides of the switches that no other test here turns."""

import pytest
import trio

from provisioner.simulator.cloud.rules import CloudRules


def body_error(reply):
    return reply.json()["error"]


@pytest.mark.parametrize("status", [400, 404])
async def test_the_token_of_an_unknown_customer(make_site, status):
    site = make_site(rules=CloudRules(customer_unknown_status=status))
    form = {"grant_type": "client_credentials", "scope": "customer=nobody@mycompany.com"}
    reply = await site.http.post("/oauth/token", data=form, auth=(site.cloud.client_id, site.cloud.client_secret))

    assert (reply.status_code, body_error(reply)) == (status, "invalid_scope")


@pytest.mark.parametrize("status", [403, 401])
async def test_a_products_token_makes_no_claim_code(make_site, status):
    site = make_site(rules=CloudRules(claim_code_wrong_token_status=status))
    reply = await site.ask("POST", "/v1/products/1319/device_claims", await site.token())

    assert (reply.status_code, body_error(reply)) == (status, "Permission denied")


@pytest.mark.parametrize("size", [25, 10])
async def test_a_list_without_a_size_has_the_default_one(make_site, size):
    known = [f"3b00210017473532363430{number:02x}" for number in range(40)]
    site = make_site(rules=CloudRules(page_devices_default=size), known=known)
    for device in known:
        site.cloud.put_in_product(device)
    reply = await site.ask("GET", "/v1/products/1319/devices", await site.token())

    assert len(reply.json()["devices"]) == size


@pytest.mark.parametrize(("life_s", "again"), [(90.0, 200), (30.0, 401)])
async def test_a_token_ends_with_its_life(make_site, autojump_clock, life_s, again):
    site = make_site(rules=CloudRules(access_token_life_s=life_s))
    token = await site.token()
    assert (await site.ask("GET", "/v1/products/1319", token)).status_code == 200
    await trio.sleep(60)

    assert (await site.ask("GET", "/v1/products/1319", token)).status_code == again


@pytest.mark.parametrize(("life_s", "claimed"), [(3600.0, True), (30.0, False)])
async def test_a_claim_code_ends_with_its_life(make_site, autojump_clock, life_s, claimed):
    site = make_site(rules=CloudRules(claim_code_life_s=life_s))
    site.cloud.put_in_product("3b0021001747353236343033")
    code = await site.claim_code(await site.customer())
    await trio.sleep(60)
    site.cloud.device_online("3b0021001747353236343033", code)

    assert (await site.owner() != "absent") is claimed


@pytest.mark.parametrize(("per_hour", "second"), [(50, 200), (1, 429)])
async def test_serial_numbers_are_looked_up_so_often_an_hour(make_site, per_hour, second):
    site = make_site(rules=CloudRules(serial_lookups_per_h=per_hour))
    statuses = [
        (await site.ask("GET", "/v1/serial_numbers/PHHMAB000PAKLJZ", site.cloud.user_token)).status_code
        for _ in range(2)
    ]

    assert statuses == [200, second]
