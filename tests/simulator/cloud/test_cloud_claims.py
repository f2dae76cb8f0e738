"""Claim codes, from the request that makes one to the handshake that spends it."""

import re

import pytest
import trio

from provisioner.secrets import ClaimCode
from provisioner.simulator.cloud.sim_cloud import CloudRules, What

DEVICE = "3b0021001747353236343033"
OTHER = "3b0021001747353236343034"


@pytest.fixture
def member(make_site):
    def make(**more):
        site = make_site(**more)
        site.cloud.put_in_product(DEVICE)
        return site

    return make


def ignored(site):
    return [entry.detail for entry in site.cloud.history.of(What.CODE_IGNORED)]


# --- making codes ---


async def test_a_code_has_63_base64_characters_and_lists_the_customers_devices(member):
    site = member()
    token = await site.customer()
    site.cloud.set_owner(DEVICE, "customer5@mycompany.com")

    reply = (await site.ask("POST", "/v1/products/1319/device_claims", token, json={})).json()

    assert re.fullmatch(r"[A-Za-z0-9+/]{63}", reply["claim_code"])
    assert reply["device_ids"] == [DEVICE]


async def test_every_request_makes_a_fresh_code(member):
    site = member()
    token = await site.customer()

    assert await site.claim_code(token) != await site.claim_code(token)


async def test_a_product_code_needs_a_token_of_a_customer_of_that_product(member):
    site = member()
    site.cloud.add_product(2000, "other")
    customer = await site.customer()
    tries = [(await site.token(), "1319"), (site.cloud.user_token, "1319"), (customer, "2000"), (customer, "1319")]

    statuses = [
        (await site.ask("POST", f"/v1/products/{product}/device_claims", token)).status_code for token, product in tries
    ]

    assert statuses == [403, 403, 403, 200]


async def test_the_other_route_is_for_users_and_customers_but_not_for_product_tokens(member):
    site = member()
    tokens = [site.cloud.user_token, await site.customer(), await site.token()]

    assert [(await site.ask("POST", "/v1/device_claims", token)).status_code for token in tokens] == [200, 200, 403]


async def test_a_code_stands_in_the_history_by_its_fingerprint_only(member):
    site = member()
    code = await site.claim_code(await site.customer())
    site.cloud.device_online(DEVICE, code)

    assert code not in repr(site.cloud.history)
    assert {entry.code for entry in site.cloud.history if entry.code} == {ClaimCode(code).fingerprint}


# --- spending codes ---


async def test_a_handshake_with_a_good_code_claims_for_the_customer(member):
    site = member()
    code = await site.claim_code(await site.customer())

    assert site.cloud.device_online(DEVICE, code) is True
    assert await site.owner() == "customer5@mycompany.com"
    assert [(e.device, e.account) for e in site.cloud.history.of(What.CLAIMED)] == [(DEVICE, "customer5@mycompany.com")]


async def test_a_handshake_without_a_code_only_brings_the_device_online(member):
    site = member()

    assert site.cloud.device_online(DEVICE, None) is False
    assert await site.owner() == "absent"
    assert site.cloud.find_device(DEVICE).online


async def test_a_code_works_for_just_under_an_hour(member, autojump_clock):
    site = member()
    site.cloud.put_in_product(OTHER)
    early, late = [await site.claim_code(await site.customer(name)) for name in "ab"]
    await trio.sleep(3599)
    assert site.cloud.device_online(DEVICE, early) is True
    await trio.sleep(1)

    assert site.cloud.device_online(OTHER, late) is False
    assert ignored(site) == ["expired"]
    assert site.cloud.find_device(OTHER).online


async def test_a_code_works_once(member):
    site = member()
    site.cloud.put_in_product(OTHER)
    code = await site.claim_code(await site.customer())

    assert [site.cloud.device_online(device_id, code) for device_id in (DEVICE, OTHER, DEVICE)] == [True, False, False]
    assert ignored(site) == ["used", "used"]


async def test_an_unknown_code_is_ignored(member):
    site = member()

    assert site.cloud.device_online(DEVICE, "A" * 63) is False
    assert ignored(site) == ["unknown"]


async def test_a_device_that_particle_does_not_know_cannot_connect(site):
    assert site.cloud.device_online("0" * 24, None) is False
    assert [entry.device for entry in site.cloud.history.of(What.HANDSHAKE_REFUSED)] == ["0" * 24]


async def test_a_product_code_does_nothing_for_a_device_that_was_not_imported(site):
    code = await site.claim_code(await site.customer())

    assert site.cloud.device_online(DEVICE, code) is False
    assert ignored(site) == ["not in the customer's product"]
    assert site.cloud.find_device(DEVICE).owner is None


async def test_an_ignored_code_may_be_shown_again_after_the_import(site):
    code = await site.claim_code(await site.customer())
    site.cloud.device_online(DEVICE, code)
    site.cloud.put_in_product(DEVICE)

    assert site.cloud.device_online(DEVICE, code) is True


async def test_the_rules_can_let_a_code_add_to_the_product(make_site):
    site = make_site(rules=CloudRules(claim_code_adds_to_product=True))
    code = await site.claim_code(await site.customer())

    assert site.cloud.device_online(DEVICE, code) is True
    assert site.cloud.find_device(DEVICE).product_id == 1319


async def test_a_code_takes_over_from_another_customer_of_the_product(member):
    site = member()
    site.cloud.set_owner(DEVICE, "first@example.com")
    code = await site.claim_code(await site.customer("second@example.com"))

    assert site.cloud.device_online(DEVICE, code) is True
    assert await site.owner() == "second@example.com"
    taken = next(site.cloud.history.of(What.TAKEN_OVER))
    assert (taken.before, taken.account) == ("first@example.com", "second@example.com")


async def test_take_over_can_be_ruled_out(member):
    site = member(rules=CloudRules(claim_code_takes_over=False))
    site.cloud.set_owner(DEVICE, "first@example.com")

    assert site.cloud.device_online(DEVICE, await site.claim_code(await site.customer())) is False
    assert await site.owner() == "first@example.com"


async def test_a_code_does_not_take_from_an_account_outside_the_product(member):
    site = member()
    site.cloud.add_user("outsider@example.com")
    site.cloud.set_owner(DEVICE, "outsider@example.com")

    assert site.cloud.device_online(DEVICE, await site.claim_code(await site.customer())) is False
    assert ignored(site) == ["owned by an account outside the product"]


async def test_a_second_code_of_the_same_customer_is_spent_and_changes_nothing(member):
    site = member()
    token = await site.customer()
    site.cloud.device_online(DEVICE, await site.claim_code(token))

    assert site.cloud.device_online(DEVICE, await site.claim_code(token)) is True
    assert len(list(site.cloud.history.of(What.CLAIMED))) == 1


async def test_a_users_code_claims_a_device_outside_products(site):
    code = await site.claim_code(site.cloud.user_token, product=None)

    assert site.cloud.device_online(DEVICE, code) is True
    assert [d["id"] for d in (await site.ask("GET", "/v1/devices", site.cloud.user_token)).json()] == [DEVICE]


async def test_a_users_code_does_nothing_in_a_product_of_another_team(member):
    site = member()
    code = await site.claim_code(site.cloud.add_user("stranger@example.com"), product=None)

    assert site.cloud.device_online(DEVICE, code) is False


async def test_the_owner_field_lags_behind_the_handshake(member, autojump_clock):
    site = member(owner_lag_s=(5.0, 5.0))
    site.cloud.set_owner(DEVICE, "first@example.com")
    token = await site.customer("second@example.com")

    assert site.cloud.device_online(DEVICE, await site.claim_code(token)) is True
    await trio.sleep(4.9)
    assert await site.owner() == "first@example.com"
    assert (await site.ask("GET", "/v1/devices", token)).json() == []
    await trio.sleep(0.2)
    assert await site.owner() == "second@example.com"
    assert len((await site.ask("GET", "/v1/devices", token)).json()) == 1


async def test_going_offline_is_seen_and_keeps_the_times(member, autojump_clock):
    site = member()
    site.cloud.device_online(DEVICE, None)
    at = site.cloud.find_device(DEVICE).last_handshake_at
    await trio.sleep(10)
    site.cloud.device_offline(DEVICE)
    site.cloud.device_offline(DEVICE)

    assert site.cloud.find_device(DEVICE).online is False
    assert site.cloud.find_device(DEVICE).last_handshake_at == at
    assert [entry.at_s for entry in site.cloud.history.of(What.OFFLINE)] == [10.0]


async def test_one_seed_gives_the_same_tokens_and_codes(make_site):
    async def secrets(seed):
        site = make_site(seed=seed)
        token = await site.customer()
        return [site.cloud.client_secret, site.cloud.user_token, token, await site.claim_code(token)]

    assert await secrets(1) == await secrets(1)
    assert not set(await secrets(1)) & set(await secrets(2))
