"""Ten refused token calls in a row lock a factory out: the breaker stops long before."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from provisioner.cloud.breaker import SITE_REFUSALS_MAX, Breaker
from provisioner.errors import CredentialsRefused
from provisioner.secrets import Secret

AT = datetime(2026, 11, 20, 6, tzinfo=UTC)
SECRET = "460edfd8d70742dd1f1e75c3d5cac5973351465d"


class Wall:
    def __init__(self):
        self.now = AT

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "breaker.json"


def breaker(file, wall, secret=SECRET, client_id="tempmon06-3459"):
    return Breaker(client_id, Secret(secret), file=file, now=wall)


def refuse(breaker, times):
    for _ in range(times):
        breaker.check()
        breaker.refused("invalid_client")


def test_one_refusal_leaves_it_closed(file, wall):
    one = breaker(file, wall)
    refuse(one, 1)

    one.check()


def test_two_refusals_open_it(file, wall):
    """F12."""
    one = breaker(file, wall)
    refuse(one, 2)

    with pytest.raises(CredentialsRefused, match=r"tempmon06-3459.*2026-11-20T06:00:00Z.*invalid_client"):
        one.check()


def test_a_token_in_between_starts_the_count_anew(file, wall):
    one = breaker(file, wall)
    refuse(one, 1)
    one.accepted()
    refuse(one, 1)

    one.check()


def test_without_a_file_it_is_open_to_the_end_of_the_run(wall):
    one = breaker(None, wall)
    refuse(one, 2)
    wall.now += timedelta(days=1)

    with pytest.raises(CredentialsRefused, match="in this run"):
        one.check()
    breaker(None, wall).check()


def test_it_outlives_the_process_and_says_how_to_re_arm_it(file, wall):
    """F12."""
    refuse(breaker(file, wall), 2)
    wall.now += timedelta(minutes=29)

    with pytest.raises(CredentialsRefused, match=r"06:00:00Z.*corrected secret.*breaker\.json"):
        breaker(file, wall).check()


@pytest.mark.parametrize("passed", [timedelta(minutes=31), timedelta(days=-1)])
def test_half_an_hour_later_it_is_forgotten(file, wall, passed):
    refuse(breaker(file, wall), 2)
    wall.now += passed

    breaker(file, wall).check()


def test_a_clock_that_went_back_a_little_does_not_re_arm_it(file, wall):
    """F12 and F25."""
    refuse(breaker(file, wall), 2)
    wall.now -= timedelta(minutes=5)

    with pytest.raises(CredentialsRefused):
        breaker(file, wall).check()


@pytest.mark.parametrize("changed", [{"secret": "another"}, {"client_id": "another"}])
def test_another_secret_or_client_gets_its_own_two_tries(file, wall, changed):
    refuse(breaker(file, wall), 2)

    refuse(breaker(file, wall, **changed), 2)


def test_deleting_the_file_re_arms_it(file, wall):
    refuse(breaker(file, wall), 2)
    file.unlink()

    breaker(file, wall).check()


def test_one_refusal_in_each_of_two_processes_is_two(file, wall):
    refuse(breaker(file, wall), 1)
    refuse(breaker(file, wall), 1)

    with pytest.raises(CredentialsRefused):
        breaker(file, wall).check()


def test_guessing_secrets_stops_short_of_the_lock_out(file, wall):
    """F12."""
    for guess in range(SITE_REFUSALS_MAX // 2):
        refuse(breaker(file, wall, secret=f"guess {guess}"), 2)

    with pytest.raises(CredentialsRefused, match="two more would lock it out"):
        breaker(file, wall, secret="one more guess").check()
    wall.now += timedelta(minutes=31)
    breaker(file, wall, secret="one more guess").check()


def test_a_token_takes_the_file_away(file, wall):
    one = breaker(file, wall)
    refuse(one, 1)
    assert file.exists()
    one.accepted()

    assert not file.exists()


def test_the_file_is_private_and_holds_no_secret(file, wall):
    refuse(breaker(file, wall), 2)

    assert file.stat().st_mode & 0o777 == 0o600
    assert SECRET not in file.read_text()
    assert json.loads(file.read_text())["refusals"] == 2
    assert [entry.name for entry in file.parent.iterdir()] == ["breaker.json"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"refused_at": 7}', b"[" * 100_000])
def test_a_damaged_file_counts_as_none(file, wall, content):
    file.write_bytes(content)
    one = breaker(file, wall)
    one.check()
    refuse(one, 2)

    with pytest.raises(CredentialsRefused):
        breaker(file, wall).check()


def test_a_file_that_cannot_be_written_does_not_hide_the_refusal(tmp_path, wall):
    one = breaker(tmp_path / "no such folder" / "breaker.json", wall)
    refuse(one, 2)

    with pytest.raises(CredentialsRefused):
        one.check()
