"""Who may look, who may act: the token, the address that was asked for, and where a request comes from."""

import pytest

from provisioner.console.web.guard import Guard, is_loopback
from provisioner.secrets import Secret

TOKEN = "canary-console-token-01"
GOOD = {
    "host": "127.0.0.1:8640",
    "authorization": f"Bearer {TOKEN}",
    "content-type": "application/json",
    "origin": "http://127.0.0.1:8640",
    "sec-fetch-site": "same-origin",
}


@pytest.fixture
def guard():
    return Guard(Secret(TOKEN))


def test_the_page_itself_with_the_token_may_act(guard):
    assert guard.may_act(GOOD)
    assert guard.may_act(GOOD | {"content-type": "application/json; charset=utf-8"})
    assert guard.may_act({key: GOOD[key] for key in ("host", "authorization", "content-type")}), "a script on the line"


@pytest.mark.parametrize(
    "changed",
    [
        {"authorization": ""},
        {"authorization": "Bearer canary-console-token-02"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}\xe9"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8641"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_what_another_site_or_a_stranger_sends_may_not(guard, changed):
    assert not guard.may_act(GOOD | changed)


@pytest.mark.parametrize("host", ["127.0.0.1:8640", "localhost:8640", "LOCALHOST", "[::1]:8640", "127.0.0.1"])
def test_names_of_this_computer_are_known(guard, host):
    assert guard.knows_host({"host": host})


@pytest.mark.parametrize("host", ["evil.example:8640", "127.0.0.1.evil.example", "", "192.168.1.7:8640", "0.0.0.0"])
def test_a_hostile_name_that_leads_to_loopback_is_refused(guard, host):
    assert not guard.knows_host({"host": host})


def test_looking_is_free_on_loopback_and_needs_the_token_beyond(guard):
    beyond = Guard(Secret(TOKEN), open_to_all=True)

    assert guard.may_look({})
    assert not beyond.may_look({})
    assert beyond.may_look({"authorization": f"bearer {TOKEN}"})
    assert beyond.knows_host({"host": "line-3.factory.lan:8640"})


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.7", False), ("line-3", False)],
)  # fmt: skip
def test_what_only_this_computer_reaches(host, loopback):
    assert is_loopback(host) is loopback


def test_the_token_is_not_shown(guard):
    assert TOKEN not in repr(guard)
