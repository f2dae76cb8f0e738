"""A product, its device list, import and changes: against the recorded and documented shapes."""

import pytest

from provisioner.simulator.cloud.sim_cloud import CloudRules, What

DEVICE = "3b0021001747353236343033"
OTHER = "3b0021001747353236343034"
PATH = "/v1/products/1319/devices"


async def import_ids(site, ids, **more):
    return (await site.ask("POST", PATH, site.cloud.user_token, json={"ids": ids, **more})).json()


# --- the product ---


@pytest.mark.parametrize("name", ["1319", "tempmon-v100"])
async def test_the_product_is_found_by_id_and_slug(site, name):
    reply = await site.ask("GET", f"/v1/products/{name}", site.cloud.user_token)

    product = reply.json()["product"]
    assert (product["id"], product["slug"], product["platform_id"]) == (1319, "tempmon-v100", 6)


async def test_the_product_was_an_array_in_2018(make_site):
    site = make_site(rules=CloudRules(product_shape="array"))

    reply = await site.ask("GET", "/v1/products/1319", site.cloud.user_token)

    assert [product["id"] for product in reply.json()["product"]] == [1319]


async def test_an_unknown_product_is_404_by_itself_and_403_for_its_devices(site):
    product = await site.ask("GET", "/v1/products/LOLWUTNOPE", site.cloud.user_token)
    devices = await site.ask("GET", "/v1/products/LOLWUTNOPE/devices", site.cloud.user_token)

    assert (product.status_code, product.json()) == (404, {"ok": False, "error": "Product not found."})
    assert (devices.status_code, devices.json()) == (403, {"ok": False, "error": "Permission denied"})


async def test_the_rules_can_make_an_unknown_product_404_everywhere(make_site):
    site = make_site(rules=CloudRules(unknown_product="not_found"))

    reply = await site.ask("GET", "/v1/products/LOLWUTNOPE/devices", site.cloud.user_token)

    assert reply.status_code == 404


async def test_only_the_team_and_the_products_own_client_may_work_with_it(site):
    product = await site.token()
    customer = await site.customer()
    stranger = site.cloud.add_user("stranger@example.com")
    site.cloud.add_product(2000, "other")
    tries = [(site.cloud.user_token, "1319"), (product, "1319"), (customer, "1319"), (stranger, "1319")]
    tries += [(product, "2000")]

    statuses = [(await site.ask("GET", f"/v1/products/{name}/devices", token)).status_code for token, name in tries]

    assert statuses == [200, 200, 403, 403, 403]


# --- import ---


@pytest.mark.parametrize(
    "request_",
    [
        {"data": {"id": DEVICE}},
        {"json": {"id": DEVICE}},
        {"json": {"ids": [DEVICE]}},
        {"data": {"ids[]": DEVICE}},
        {"files": {"file": ("ids.txt", f"\r\n {DEVICE} \r\n")}},
    ],
    ids=["form", "json", "ids", "ids[]", "file"],
)
async def test_every_way_to_pass_an_id_gives_the_documented_reply(site, request_):
    reply = await site.ask("POST", PATH, site.cloud.user_token, **request_)

    assert reply.status_code == 200
    assert reply.json() == {
        "updated": 1,
        "updatedDeviceIds": [DEVICE],
        "existingDeviceIds": [],
        "nonmemberDeviceIds": [],
        "invalidDeviceIds": [],
    }


async def test_the_reply_of_2017_had_three_fields(make_site):
    site = make_site(rules=CloudRules(import_reply="legacy"))

    first, again = [await import_ids(site, [DEVICE]) for _ in range(2)]

    assert first == {"updated": 1, "nonmemberDeviceIds": [], "invalidDeviceIds": []}
    assert again == {"updated": 0, "nonmemberDeviceIds": [], "invalidDeviceIds": []}


async def test_good_rows_are_added_and_junk_is_listed_once_in_lower_case(site):
    file = f"WAT\nNOPE\n{DEVICE.upper()}\nNOPE\nLOL\n{OTHER}\n{DEVICE}\n"

    reply = (await site.ask("POST", PATH, site.cloud.user_token, files={"file": ("file", file)})).json()

    assert reply["updatedDeviceIds"] == [DEVICE, OTHER]
    assert reply["invalidDeviceIds"] == ["wat", "nope", "lol"]


async def test_ids_can_be_echoed_as_passed(make_site):
    site = make_site(rules=CloudRules(import_echo="verbatim"))

    assert (await import_ids(site, [DEVICE.upper()]))["updatedDeviceIds"] == [DEVICE.upper()]


async def test_serial_numbers_are_taken_and_echoed_as_passed(site):
    reply = await import_ids(site, ["PHHMAB000PAKLJZ", "phhmab001pakljz"])

    assert reply["updatedDeviceIds"] == ["PHHMAB000PAKLJZ", "phhmab001pakljz"]
    assert site.cloud.find_device(DEVICE).product_id == 1319


async def test_importing_twice_is_importing_once(site):
    await import_ids(site, [DEVICE])
    again = await import_ids(site, [DEVICE])

    assert (again["updated"], again["existingDeviceIds"]) == (0, [DEVICE])
    assert [entry.device for entry in site.cloud.history.of(What.IMPORTED)] == [DEVICE]


async def test_wrong_platform_other_product_and_unknown_are_invalid(site):
    other = site.cloud.add_product(2000, "other")
    argon, elsewhere, unknown = "a" * 24, "b" * 24, "0" * 23 + "1"
    site.cloud.know_device(argon, serial="ARG1", platform_id=12)
    site.cloud.know_device(elsewhere, serial="PH9")
    site.cloud.put_in_product(elsewhere, other)

    reply = await import_ids(site, [argon, elsewhere, unknown])

    assert reply["invalidDeviceIds"] == [argon, elsewhere, unknown]
    assert reply["updated"] == 0


async def test_a_device_of_an_outsider_is_nonmember_and_of_the_team_is_added(site):
    site.cloud.set_owner(DEVICE, "outsider@example.com")
    site.cloud.set_owner(OTHER, site.cloud.account)

    reply = await import_ids(site, [DEVICE, OTHER])

    assert (reply["nonmemberDeviceIds"], reply["updatedDeviceIds"]) == ([DEVICE], [OTHER])


async def test_protected_devices_have_a_list_of_their_own(site):
    site.cloud.know_device("c" * 24, serial="PH8", protected=True)

    assert (await import_ids(site, ["c" * 24]))["protectedDeviceIds"] == ["c" * 24]


async def test_an_empty_protected_list_can_be_sent(make_site):
    site = make_site(rules=CloudRules(import_protected_list=True))

    assert (await import_ids(site, [DEVICE]))["protectedDeviceIds"] == []


async def test_import_approves_a_quarantined_device(site):
    site.cloud.quarantine(DEVICE)

    reply = await import_ids(site, [DEVICE])

    assert reply["updatedDeviceIds"] == [DEVICE]
    row = (await site.ask("GET", f"{PATH}/{DEVICE}", site.cloud.user_token)).json()
    assert (row["quarantined"], row["product_id"]) == (False, 1319)


async def test_a_customer_of_the_product_is_no_outsider(site):
    site.cloud.put_in_product(DEVICE)
    site.cloud.set_owner(DEVICE, "customer5")
    site.cloud.quarantine(DEVICE)

    assert (await import_ids(site, [DEVICE]))["updatedDeviceIds"] == [DEVICE]


async def test_what_was_imported_is_on_the_list_at_once(site):
    lists = []
    for device_id in (OTHER, DEVICE):
        await import_ids(site, [device_id])
        lists.append(await listed_ids(site))

    assert lists == [[OTHER], [DEVICE, OTHER]]


async def listed_ids(site):
    reply = await site.ask("GET", f"{PATH}?sortAttr=deviceId&sortDir=asc", site.cloud.user_token)
    return [row["id"] for row in reply.json()["devices"]]


async def test_claim_user_must_be_on_the_team_and_then_owns_what_was_imported(site):
    refused = await site.ask("POST", PATH, site.cloud.user_token, json={"ids": [DEVICE], "claim_user": "x@y.z"})
    await import_ids(site, [DEVICE], claim_user=site.cloud.account)

    assert refused.status_code == 400
    assert await site.owner() == site.cloud.account


@pytest.mark.parametrize("status", [400, 413])
async def test_too_many_ids_in_one_call_add_nothing(make_site, status):
    site = make_site(rules=CloudRules(import_ids_max=1, import_too_many_status=status))

    reply = await site.ask("POST", PATH, site.cloud.user_token, json={"ids": [DEVICE, OTHER]})

    assert reply.status_code == status
    assert site.cloud.find_device(DEVICE).product_id is None


async def test_a_swallowed_row_is_in_no_list_and_not_added(make_site):
    site = make_site(import_row_missing=1.0)

    reply = await import_ids(site, [DEVICE, "junk"])

    assert reply == {
        "updated": 0,
        "updatedDeviceIds": [],
        "existingDeviceIds": [],
        "nonmemberDeviceIds": [],
        "invalidDeviceIds": ["junk"],
    }
    assert site.cloud.find_device(DEVICE).product_id is None


async def test_nothing_to_import_is_refused(site):
    assert (await site.ask("POST", PATH, site.cloud.user_token, json={})).status_code == 400


# --- lists ---


@pytest.fixture
def fleet(make_site):
    ids = [f"{number:024x}" for number in range(130)]
    site = make_site(known=ids)
    for device_id in ids:
        site.cloud.put_in_product(device_id)
    return site


async def listed(site, query=""):
    reply = (await site.ask("GET", f"{PATH}?{query}", site.cloud.user_token)).json()
    return [int(row["id"], 16) for row in reply["devices"]], reply["meta"]


async def test_a_row_of_a_device_that_was_never_online(site):
    site.cloud.put_in_product(DEVICE)

    row = (await site.ask("GET", PATH, site.cloud.user_token)).json()["devices"][0]

    assert row == {
        "id": DEVICE,
        "product_id": 1319,
        "online": False,
        "platform_id": 6,
        "cellular": False,
        "status": "normal",
        "serial_number": "PHHMAB000PAKLJZ",
        "groups": [],
        "desired_firmware_version": None,
        "targeted_firmware_release_version": None,
        "development": False,
        "quarantined": False,
        "denied": False,
    }


async def test_a_row_of_a_customers_device_that_is_online(site):
    site.cloud.put_in_product(DEVICE)
    site.cloud.set_owner(DEVICE, "customer5@mycompany.com")
    site.cloud.device_online(DEVICE, None)

    reply = (await site.ask("GET", PATH, site.cloud.user_token)).json()

    row = reply["devices"][0]
    assert row["last_handshake_at"].startswith("2026-11-20T06:00:")
    assert row["last_handshake_at"].endswith("Z")
    assert (row["online"], row["owner"]) == (True, "customer5@mycompany.com")
    assert reply["customers"] == [{"id": row["customer_id"], "username": "customer5@mycompany.com"}]
    assert reply["meta"] == {"total_pages": 1}


async def test_a_quarantined_row_has_the_platforms_id_and_no_owner(site):
    site.cloud.quarantine(DEVICE)
    site.cloud.set_owner(DEVICE, site.cloud.account)
    site.cloud.device_online(DEVICE, None)

    row = (await site.ask("GET", PATH, site.cloud.user_token)).json()["devices"][0]

    assert (row["product_id"], row["firmware_product_id"], row["quarantined"], row["denied"]) == (6, 1319, True, False)
    assert not {"owner", "name"} & set(row)


async def test_an_unclaimed_owner_can_be_null(make_site):
    site = make_site(rules=CloudRules(unclaimed_owner="null"))
    site.cloud.put_in_product(DEVICE)

    assert await site.owner() is None


async def test_a_page_has_25_devices_and_both_names_of_its_size_work(fleet):
    assert (len((await listed(fleet))[0]), (await listed(fleet))[1]) == (25, {"total_pages": 6})
    assert len((await listed(fleet, "perPage=10"))[0]) == 10
    assert (await listed(fleet, "per_page=50&page=3&sortAttr=deviceId&sortDir=asc"))[0] == list(range(100, 130))


async def test_a_page_is_capped_at_100_unless_the_rules_say_otherwise(fleet, make_site):
    free = make_site(rules=CloudRules(page_devices_max=None), known=["a" * 24])
    free.cloud.put_in_product("a" * 24)

    assert (len((await listed(fleet, "perPage=500"))[0]), (await listed(fleet, "perPage=500"))[1]) == (
        100,
        {"total_pages": 2},
    )
    assert (await listed(free, "perPage=500"))[1] == {"total_pages": 1}


async def test_a_page_past_the_end_is_empty_and_keeps_the_count(fleet):
    assert await listed(fleet, "page=9") == ([], {"total_pages": 6})


async def test_the_default_order_is_the_last_connection_first(site, autojump_clock):
    for device_id in (OTHER, DEVICE):
        site.cloud.put_in_product(device_id)
        site.cloud.device_online(device_id, None)
        await site.cloud.clock.sleep(1)

    ids = [row["id"] for row in (await site.ask("GET", PATH, site.cloud.user_token)).json()["devices"]]
    assert ids == [DEVICE, OTHER]


async def test_filters_match_parts_of_texts_and_whole_groups(fleet):
    token = fleet.cloud.user_token
    await fleet.ask("PUT", f"{PATH}/{5:024x}", token, json={"groups": ["lot-1", "red"], "name": "kitchen"})
    fleet.cloud.quarantine(f"{7:024x}")

    assert (await listed(fleet, f"deviceId={5:024X}"))[0] == [5]
    assert (await listed(fleet, "serialNumber=mab077"))[0] == [77]
    assert (await listed(fleet, "groups=nope,red"))[0] == [5]
    assert (await listed(fleet, "groups=lot"))[0] == []
    assert (await listed(fleet, "deviceName=itch"))[0] == [5]
    assert (await listed(fleet, "quarantined=true"))[0] == [7]
    assert 7 not in (await listed(fleet, "quarantined=false&perPage=100&sortAttr=deviceId&sortDir=asc"))[0]


async def test_senseless_numbers_in_the_query_are_ignored(fleet):
    assert len((await listed(fleet, "page=x&perPage=-3"))[0]) == 25
    assert len((await listed(fleet, "page=1&perPage=" + "9" * 5000))[0]) == 25


async def test_one_device_has_a_few_fields_more(site):
    site.cloud.put_in_product(DEVICE)

    row = (await site.ask("GET", f"{PATH}/{DEVICE.upper()}", site.cloud.user_token)).json()

    assert (row["id"], row["connected"], row["firmware_updates_enabled"]) == (DEVICE, False, True)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_device_that_is_not_in_the_product_is_not_found(site, method):
    reply = await site.ask(method, f"{PATH}/{DEVICE}", site.cloud.user_token)

    assert (reply.status_code, reply.json()) == (404, {"ok": False, "error": "Device not found for this product"})


# --- changes ---


async def test_only_what_changed_is_echoed(site):
    site.cloud.put_in_product(DEVICE)

    change = {"notes": "tray 7", "development": True, "groups": ["lot-1"], "desired_firmware_version": 3}
    reply = (await site.ask("PUT", f"{PATH}/{DEVICE}", site.cloud.user_token, json=change)).json()

    assert reply.pop("updated_at").startswith("2026-11-20T06:00")
    assert reply == {"id": DEVICE, **change}
    row = (await site.ask("GET", f"{PATH}/{DEVICE}", site.cloud.user_token)).json()
    assert {key: row[key] for key in change} == change


async def test_a_whole_tray_gets_a_group_in_one_call(site):
    for device_id in (DEVICE, OTHER):
        site.cloud.put_in_product(device_id)
    body = {"action": "groups", "devices": [DEVICE, OTHER.upper()], "metadata": {"add": ["tray-1"]}}

    reply = await site.ask("PUT", PATH, site.cloud.user_token, json=body)

    assert reply.json() == {"ok": True}
    assert [site.cloud.find_device(device_id).groups for device_id in (DEVICE, OTHER)] == [("tray-1",)] * 2


async def test_removing_a_device_unclaims_it_from_a_customer_but_not_from_a_user(site):
    for device_id, owner in ((DEVICE, "customer5"), (OTHER, site.cloud.account)):
        site.cloud.put_in_product(device_id)
        site.cloud.set_owner(device_id, owner)

    replies = [await site.ask("DELETE", f"{PATH}/{device_id}", site.cloud.user_token) for device_id in (DEVICE, OTHER)]

    assert [(reply.status_code, reply.content) for reply in replies] == [(204, b"")] * 2
    assert site.cloud.find_device(DEVICE).owner is None
    assert site.cloud.find_device(OTHER).owner.username == site.cloud.account
    assert (await site.ask("GET", PATH, site.cloud.user_token)).json()["devices"] == []


async def test_a_quarantined_device_can_be_denied_and_stays_listed(site):
    site.cloud.quarantine(DEVICE)

    reply = await site.ask("DELETE", f"{PATH}/{DEVICE}", site.cloud.user_token, json={"deny": True})

    assert reply.status_code == 204
    row = (await site.ask("GET", PATH, site.cloud.user_token)).json()["devices"][0]
    assert (row["quarantined"], row["denied"]) == (True, True)


async def test_removed_product_firmware_comes_back_in_quarantine(site):
    site.cloud.quarantine(DEVICE)
    await import_ids(site, [DEVICE])
    await site.ask("DELETE", f"{PATH}/{DEVICE}", site.cloud.user_token)
    site.cloud.device_online(DEVICE, None)

    row = (await site.ask("GET", PATH, site.cloud.user_token)).json()["devices"][0]
    assert row["quarantined"] is True


async def test_the_product_can_release_any_owner(site):
    site.cloud.put_in_product(DEVICE)
    site.cloud.set_owner(DEVICE, "customer5")

    reply = await site.ask("DELETE", f"{PATH}/{DEVICE}/owner", site.cloud.user_token)

    assert reply.json() == {"ok": True}
    assert await site.owner() == "absent"
    assert [entry.before for entry in site.cloud.history.of(What.UNCLAIMED, DEVICE)] == ["customer5"]


async def test_ping_tells_whether_the_device_answers(site):
    site.cloud.put_in_product(DEVICE)
    offline = await site.ask("PUT", f"{PATH}/{DEVICE}/ping", site.cloud.user_token)
    site.cloud.device_online(DEVICE, None)
    online = await site.ask("PUT", f"{PATH}/{DEVICE}/ping", site.cloud.user_token)

    assert [offline.json(), online.json()] == [{"online": False, "ok": True}, {"online": True, "ok": True}]
