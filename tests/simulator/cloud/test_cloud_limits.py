"""Limits of the site's one public address, counted in simulated time."""

import trio

from provisioner.simulator.cloud.limits import SlidingCount
from provisioner.simulator.cloud.sim_cloud import CloudRules, What


def test_a_window_slides():
    count = SlidingCount(2, 300.0)

    assert [count.admits(at_s) for at_s in (0.0, 10.0, 299.9, 300.0, 301.0, 310.0)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip
    assert count.peak == 2


async def test_too_many_requests_are_answered_429_until_the_window_has_moved(make_site, autojump_clock):
    site = make_site(rules=CloudRules(requests_per_5min=3))

    statuses = [(await site.ask("GET", "/v1/user", site.cloud.user_token)).status_code for _ in range(4)]
    await trio.sleep(300)
    later = await site.ask("GET", "/v1/user", site.cloud.user_token)

    assert statuses == [200, 200, 200, 429]
    assert later.status_code == 200
    assert site.cloud.limits.requests_by_window == {0: 3, 1: 1}
    assert [entry.detail for entry in site.cloud.history.of(What.BUSY)] == ["GET /v1/user"]


async def test_429_says_nothing_about_when_unless_the_rules_do(make_site):
    quiet = make_site(rules=CloudRules(requests_per_5min=0))
    helpful = make_site(rules=CloudRules(requests_per_5min=0, busy_retry_after_s=7, busy_body="html"))

    silent, told = await quiet.ask("GET", "/v1/user"), await helpful.ask("GET", "/v1/user")

    assert "retry-after" not in silent.headers
    assert silent.json()["ok"] is False
    assert told.headers["retry-after"] == "7"
    assert told.headers["content-type"] == "text/html"


async def test_token_calls_have_a_limit_of_their_own(make_site):
    site = make_site(rules=CloudRules(token_calls_per_5min=1))
    token = await site.token()

    again = await site.http.post("/oauth/token", data={"grant_type": "client_credentials"})

    assert again.status_code == 429
    assert (await site.ask("GET", "/v1/products/1319", token)).status_code == 200


async def fail(site, times):
    form = {"grant_type": "client_credentials"}
    auth = (site.cloud.client_id, "wrong")
    return [(await site.http.post("/oauth/token", data=form, auth=auth)).status_code for _ in range(times)]


async def test_ten_failed_token_calls_lock_the_site_out_for_half_an_hour(site, autojump_clock):
    token = await site.token()

    assert await fail(site, 10) == [400] * 10
    assert (await site.ask("GET", "/v1/products/1319", token)).status_code == 429
    assert len(list(site.cloud.history.of(What.LOCKED_OUT))) == 1
    await trio.sleep(1799)
    assert (await site.ask("GET", "/v1/products/1319", token)).status_code == 429
    await trio.sleep(1)
    assert (await site.ask("GET", "/v1/products/1319", token)).status_code == 200


async def test_a_good_token_call_ends_the_row_of_failures(site):
    await fail(site, 9)
    await site.token()
    await fail(site, 9)

    assert (await site.ask("GET", "/v1/user", site.cloud.user_token)).status_code == 200


async def test_the_lockout_can_be_of_token_calls_only(make_site):
    site = make_site(rules=CloudRules(lockout_of="tokens"))
    await fail(site, 10)

    assert await fail(site, 1) == [429]
    assert (await site.ask("GET", "/v1/user", site.cloud.user_token)).status_code == 200


async def test_serial_numbers_can_be_looked_up_fifty_times_an_hour(site, autojump_clock):
    path = "/v1/serial_numbers/PHHMAB000PAKLJZ"
    first = await site.ask("GET", path, site.cloud.user_token)
    statuses = {(await site.ask("GET", path, site.cloud.user_token)).status_code for _ in range(49)}
    over = await site.ask("GET", path, site.cloud.user_token)
    await trio.sleep(3600)
    later = await site.ask("GET", path, site.cloud.user_token)

    assert first.json() == {"ok": True, "deviceID": "3b0021001747353236343033"}
    assert statuses == {200}
    assert over.status_code == 429
    assert later.status_code == 200
