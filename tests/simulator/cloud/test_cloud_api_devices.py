"""A user's or customer's own devices, claiming by ID, and the keys route."""

import pytest

from provisioner.simulator.cloud.sim_cloud import CloudRules

DEVICE = "3b0021001747353236343033"
OTHER = "3b0021001747353236343034"
NOT_MINE = {
    "error": "Permission Denied",
    "info": "I didn't recognize that device name or ID, try opening "
    "https://api.particle.io/v1/devices?access_token=undefined",
}


async def claim(site, token, device_id=DEVICE, path="/v1/devices", **more):
    return await site.ask("POST", path, token, data={"id": device_id, **more})


# --- claim by ID ---


async def test_a_user_claims_an_online_device(site):
    site.cloud.device_online(DEVICE, None)

    reply = (await claim(site, site.cloud.user_token, DEVICE.upper())).json()

    assert {key: reply[key] for key in ("id", "connected", "ok")} == {"id": DEVICE, "connected": True, "ok": True}
    assert len(reply["user_id"]) == 24
    assert (await claim(site, site.cloud.user_token)).status_code == 200, "claiming twice is claiming once"


async def test_a_customer_claims_a_device_of_its_product(site):
    site.cloud.put_in_product(DEVICE)
    site.cloud.device_online(DEVICE, None)

    reply = (await claim(site, await site.customer())).json()

    assert set(reply) == {"ok", "id", "connected", "customer_id", "product_id", "updated_at"}
    assert await site.owner() == "customer5@mycompany.com"


async def test_no_id_unknown_id_and_offline_have_their_recorded_answers(site):
    empty = await site.ask("POST", "/v1/devices", site.cloud.user_token, json={})
    unknown = await claim(site, site.cloud.user_token, "0" * 24)
    offline = await claim(site, site.cloud.user_token)

    assert (empty.status_code, empty.json()) == (400, {"ok": False, "errors": ["arg.deviceID is empty"]})
    assert (unknown.status_code, unknown.json()) == (404, {"ok": False, "errors": ["device does not exist"]})
    assert (offline.status_code, offline.json()) == (404, {"ok": False, "errors": [["Core isn't online", 404]]})


async def test_a_foreign_device_is_refused_and_stays_with_its_owner(site):
    site.cloud.set_owner(DEVICE, "outsider@example.com")
    site.cloud.device_online(DEVICE, None)

    reply = await claim(site, site.cloud.user_token)

    assert reply.status_code == 403
    assert "belongs to someone else" in reply.json()["errors"][0]
    assert site.cloud.find_device(DEVICE).owner.username == "outsider@example.com"


@pytest.mark.parametrize("way", ["body", "query"])
async def test_a_transfer_is_asked_for_between_users_and_changes_nothing_yet(site, way):
    site.cloud.set_owner(DEVICE, "outsider@example.com")
    body = {"request_transfer": "true"} if way == "body" else {}
    query = "?request_transfer=true" if way == "query" else ""

    reply = await claim(site, site.cloud.user_token, path=f"/v1/devices{query}", **body)

    assert list(reply.json()) == ["transfer_id"]
    assert site.cloud.find_device(DEVICE).owner.username == "outsider@example.com"


async def test_a_customer_cannot_ask_another_customer_for_a_transfer(site):
    site.cloud.put_in_product(DEVICE)
    site.cloud.set_owner(DEVICE, "first@example.com")

    assert (await claim(site, await site.customer(), request_transfer="true")).status_code == 403


async def test_a_team_member_claims_an_offline_device_of_the_product(site):
    site.cloud.put_in_product(DEVICE)

    assert (await claim(site, site.cloud.user_token)).json()["connected"] is False


@pytest.mark.parametrize(
    ("rule", "status", "body"),
    [("empty", 404, {}), ("errors", 404, {"ok": False, "errors": [["Core isn't online", 404]]})],
)
async def test_a_customers_claim_of_an_offline_device_is_as_the_rules_say(make_site, rule, status, body):
    strict, free = make_site(rules=CloudRules(offline_customer_claim=rule)), make_site()
    for site in (strict, free):
        site.cloud.put_in_product(DEVICE)

    refused = await claim(strict, await strict.customer())

    assert (refused.status_code, refused.json()) == (status, body)
    assert (await claim(free, await free.customer())).status_code == 200


async def test_a_customer_cannot_claim_what_is_not_in_its_product(site):
    site.cloud.device_online(DEVICE, None)

    assert (await claim(site, await site.customer())).json() == {"ok": False, "errors": ["device does not exist"]}


async def test_a_product_token_cannot_own_anything(site):
    site.cloud.put_in_product(DEVICE)

    assert (await claim(site, await site.token())).status_code == 403


# --- own devices ---


async def test_a_device_that_is_not_the_callers_has_the_legacy_refusal(site):
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("PUT", "/ping"), ("GET", "/temp")):
        for device_id in (DEVICE, "nonsense"):
            reply = await site.ask(method, f"/v1/devices/{device_id}{path}", site.cloud.user_token)
            assert (reply.status_code, reply.json()) == (403, NOT_MINE)


async def test_the_team_sees_the_products_devices_by_the_users_route_but_cannot_unclaim_a_customers_there(site):
    site.cloud.put_in_product(DEVICE)
    site.cloud.set_owner(DEVICE, "customer5")

    shown = await site.ask("GET", f"/v1/devices/{DEVICE}", site.cloud.user_token)
    removed = await site.ask("DELETE", f"/v1/devices/{DEVICE}", site.cloud.user_token)

    assert (shown.json()["owner"], shown.json()["product_id"]) == ("customer5", 1319)
    assert removed.status_code == 403


async def test_the_owner_unclaims_his_device(site):
    site.cloud.set_owner(DEVICE, site.cloud.account)

    reply = await site.ask("DELETE", f"/v1/devices/{DEVICE}", site.cloud.user_token)

    assert reply.json() == {"ok": True}
    assert (await site.ask("GET", "/v1/devices", site.cloud.user_token)).json() == []


async def test_own_devices_are_a_bare_array_with_both_names_of_online(site):
    site.cloud.set_owner(DEVICE, site.cloud.account)
    site.cloud.device_online(DEVICE, None)

    (row,) = (await site.ask("GET", "/v1/devices", site.cloud.user_token)).json()

    assert (row["id"], row["online"], row["connected"], row["product_id"]) == (DEVICE, True, True, 6)


async def test_the_owner_names_his_device(site):
    site.cloud.set_owner(DEVICE, site.cloud.account)

    reply = (await site.ask("PUT", f"/v1/devices/{DEVICE}", site.cloud.user_token, data={"name": "fried"})).json()

    assert (reply["name"], reply["id"]) == ("fried", DEVICE)


async def test_a_variable_is_read_from_an_online_device(site):
    site.cloud.set_owner(DEVICE, site.cloud.account)
    path = f"/v1/devices/{DEVICE}"
    offline = await site.ask("GET", f"{path}/temp", site.cloud.user_token)
    site.cloud.device_online(DEVICE, None)
    online = await site.ask("GET", f"{path}/temp", site.cloud.user_token)
    missing = await site.ask("GET", f"{path}/nope", site.cloud.user_token)

    assert (offline.status_code, offline.json()) == (408, {"ok": False, "error": "timed out"})
    assert {key: online.json()[key] for key in ("cmd", "name", "result")} == {
        "cmd": "VarReturn",
        "name": "temp",
        "result": 1083,
    }
    assert online.json()["coreInfo"]["deviceID"] == DEVICE
    assert missing.status_code == 404


# --- keys and serial numbers ---


async def test_a_key_is_taken_from_the_owner_and_refused_from_a_stranger(site):
    form = {"deviceID": DEVICE, "publicKey": "-----BEGIN PUBLIC KEY-----", "filename": "script", "order": "script_1"}
    refused = await site.ask("POST", f"/v1/provisioning/{DEVICE}", site.cloud.user_token, data=form)
    site.cloud.set_owner(DEVICE, site.cloud.account)
    taken = await site.ask("POST", f"/v1/provisioning/{DEVICE}", site.cloud.user_token, data=form)

    assert refused.json()["error"] == "Permission Denied"
    assert (taken.status_code, taken.text) == (200, '"Success!"')


async def test_an_unknown_serial_number_is_not_found_and_a_customer_may_not_ask(site):
    unknown = await site.ask("GET", "/v1/serial_numbers/NOPE", site.cloud.user_token)
    customer = await site.ask("GET", "/v1/serial_numbers/PHHMAB000PAKLJZ", await site.customer())

    assert (unknown.status_code, customer.status_code) == (404, 403)
