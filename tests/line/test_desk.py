"""What one page of the newest connections tells about a device that is not on it."""

from dataclasses import replace

import pytest
from stages import cloud_time, id_of, in_cloud

from provisioner.line.desk import RecentPage

ROW = in_cloud(id_of(1), online=True, last_handshake_at=cloud_time(100))


def page(oldest):
    return RecentPage({ROW.id: ROW}, oldest)


def test_the_only_page_there_is_covers_everything():
    assert page(None).covers(cloud_time(-1e6))


@pytest.mark.parametrize(("since_s", "covered"), [(99, False), (100, False), (101, True)])
def test_a_page_covers_what_is_later_than_its_oldest_row(since_s, covered):
    assert page(ROW).covers(cloud_time(since_s)) is covered


def test_the_later_of_both_times_counts_because_nobody_says_which_one_the_order_is_by():
    assert not page(replace(ROW, last_heard=cloud_time(500))).covers(cloud_time(300))


def test_a_row_that_was_never_online_is_older_than_any_visit():
    assert page(in_cloud(id_of(2))).covers(cloud_time(-1e6))


def test_a_device_is_found_by_its_id_only_if_it_is_there():
    assert page(None).find(id_of(1)) is ROW
    assert page(None).find(id_of(2)) is None
