"""Importing: every row ends in one class, whatever the cloud answers and however little of it arrives."""

import gc
import math
from array import array
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import in_cloud, listed, manifest_of

from provisioner.cloud.listing import Pages
from provisioner.cloud.payloads import DevicePage, ImportReply, ProductInfo
from provisioner.errors import (
    CloudAnswerLost,
    CloudRefused,
    CloudReplyUnreadable,
    CloudUnreachable,
    NotInCloud,
    PermissionRefused,
)
from provisioner.line.importer import IGNORED_MAX, LIST_BEHIND_S, LOST_MAX, Importer
from provisioner.line.membership import Membership
from provisioner.line.tray import Rows
from provisioner.model import CloudDevice, ListedDevice

PRODUCT = ProductInfo(1319, "tempmon-v100", 6, "Tempmon")


class ProductCloud:
    """A product's list. `bad` IDs make it reject the whole list, `longest` is the longest list it takes."""

    def __init__(self, *, longest=1000):
        self.rows, self.others = {}, 0
        self.bad, self.silent, self.lost, self.longest = set(), set(), [], longest
        self.posts, self.pages_read, self.singles = [], 0, []
        self.explain = lambda ids: ImportReply(added=tuple(ids), updated=len(ids))
        self.page_size = 100

    async def import_devices(self, product, ids):
        await trio.lowlevel.checkpoint()
        self.posts.append(list(ids))
        if len(ids) > self.longest:
            raise CloudRefused("too long", status=413, reason="entity too large")
        if self.bad & set(ids):
            raise CloudRefused("bad", status=400, reason="one is bad")
        lost = self.lost.pop(0) if self.lost else None
        if isinstance(lost, CloudUnreachable | PermissionRefused):
            raise lost
        for id_ in ids:
            if id_ not in self.silent:
                self.rows.setdefault(id_, in_cloud(id_))
        if lost is not None:
            raise lost
        return self.explain(ids)

    def devices(self, product, *, page_size=100):
        rows = [self.rows[id_] for id_ in sorted(self.rows)]
        total = max(1, math.ceil((len(rows) + self.others) / self.page_size))

        async def fetch(page):
            await trio.lowlevel.checkpoint()
            self.pages_read += 1
            return DevicePage(tuple(rows[(page - 1) * self.page_size : page * self.page_size]), total)

        return Pages(fetch)

    async def device(self, product, id_):
        await trio.lowlevel.checkpoint()
        self.singles.append(id_)
        if id_ not in self.rows:
            raise NotInCloud("not found", status=404, reason="not found")
        return self.rows[id_]


class Silent:
    """A journal that keeps (event, fields)."""

    def __init__(self):
        self.records = []

    def append(self, event, **fields):
        self.records.append((event, fields))

    def named(self, name):
        return [fields for event, fields in self.records if event == name]


class Import:
    def __init__(self, cloud, devices, *, chunk_max=100, journal=None):
        self.cloud, self.devices = cloud, devices
        self.journal = journal or Silent()
        membership = Membership(cloud, PRODUCT, manifest_of(*devices), chunk_max=chunk_max)
        self.importer = Importer(cloud, PRODUCT, membership, self.journal, chunk_max=chunk_max)

    async def run(self):
        await self.importer.look(self.devices)
        for round_ in range(1, 10):
            for chunk in self.importer.chunks(round_):
                await self.importer.send(chunk)
            await self.importer.membership.look_again()
        self.counts = self.importer.record()
        return self

    def of(self, device):
        return next(r if isinstance(r, str) else r.code for d, r in self.importer.classify() if d.id == device.id)


def rows(count, **how):
    return [listed(n, **how) for n in range(1, count + 1)]


async def test_what_is_missing_is_sent_in_chunks_and_the_rest_is_left_alone():
    devices, cloud = rows(7), ProductCloud()
    cloud.rows = {d.id: in_cloud(d) for d in devices[:2]}
    done = await Import(cloud, devices, chunk_max=3).run()

    assert [len(post) for post in cloud.posts] == [3, 2]
    assert done.counts == {"existing": 2, "added": 5}


async def test_twice_is_once():
    devices, cloud = rows(5), ProductCloud()
    await Import(cloud, devices).run()
    again = await Import(cloud, devices).run()

    assert len(cloud.posts) == 1
    assert again.counts == {"existing": 5}


async def test_a_chunk_holds_one_tray_and_counts_sum_in_each():
    devices = [*rows(3), *(listed(n, tray="T-2") for n in range(4, 9))]
    cloud = ProductCloud()
    cloud.bad = {devices[4].id}
    done = await Import(cloud, devices, chunk_max=100).run()

    trays = {d.id: d.tray for d in devices}
    assert all(len({trays[id_] for id_ in post}) == 1 for post in cloud.posts)
    per_tray = Counter(fields["tray"] for event, fields in done.journal.records if event.startswith("device."))
    assert per_tray == {"T-1": 3, "T-2": 5}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 128).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=6))))
def test_bisecting_isolates_the_bad_rows_in_few_calls_and_the_others_are_in(case):
    count, bad = case
    devices, cloud = rows(count), ProductCloud()
    cloud.bad = {devices[n].id for n in bad}
    done = Import(cloud, devices, chunk_max=128)
    trio.run(done.run)

    # Each bad row: the halves on the way down, itself, and once more all that was not sent yet.
    assert len(cloud.posts) <= len(bad) * (math.ceil(math.log2(count)) + 2) + 1
    assert set(cloud.rows) == {d.id for n, d in enumerate(devices) if n not in bad}
    assert +done.counts == +Counter(added=count - len(bad), refused=len(bad))
    assert all(done.of(devices[n]) == "import_refused" for n in bad)


@pytest.mark.parametrize("longest", [1, 7, 50, 99])
async def test_a_list_that_is_only_too_long_goes_in_whole(longest):
    devices, cloud = rows(100), ProductCloud(longest=longest)
    done = await Import(cloud, devices).run()

    assert done.counts == {"added": 100}


@pytest.mark.parametrize("lost", [CloudAnswerLost("lost"), CloudReplyUnreadable("html")])
async def test_a_lost_answer_is_settled_by_listing_and_not_by_sending_again(lost):
    devices, cloud = rows(5), ProductCloud()
    cloud.lost = [lost]
    done = await Import(cloud, devices).run()

    assert len(cloud.posts) == 1
    assert done.counts == {"added": 5}
    assert len(done.journal.named("import.unanswered")) == 1


async def test_a_row_that_no_reply_names_is_sent_once_more_and_then_refused():
    devices, cloud = rows(5), ProductCloud()
    cloud.silent = {devices[2].id}
    done = await Import(cloud, devices).run()

    assert cloud.posts[1:] == [[devices[2].id]]
    assert done.of(devices[2]) == "import_refused"
    assert done.counts == {"added": 4, "refused": 1}


@pytest.mark.parametrize(
    ("field", "code"),
    [("invalid", "import_invalid"), ("nonmember", "import_nonmember"), ("protected", "import_protected")],
)
@pytest.mark.parametrize("echo", ["lower", "upper", "serial"])
@pytest.mark.parametrize("legacy", [False, True])
async def test_a_named_row_is_refused_for_its_reason_and_not_sent_again(field, code, echo, legacy):
    """The echo is what the cloud likes to write: upper case, or the serial number; 2017 names only who is out."""
    devices, cloud = rows(3, serial=None), ProductCloud()
    devices[1] = listed(2, serial="PHHMAB804PAKLJZ")
    out = devices[1]
    text = {"lower": out.id, "upper": out.id.upper(), "serial": out.serial}[echo]
    cloud.silent = {out.id}
    cloud.explain = lambda ids: ImportReply(updated=len(ids) - 1, legacy=legacy, **{field: (text,)})
    done = await Import(cloud, devices).run()

    assert len(cloud.posts) == 1
    assert done.of(out) == code
    assert done.counts == {"added": 2, code.removeprefix("import_"): 1}


async def test_a_reply_that_says_no_to_what_the_list_shows_is_overruled():
    devices, cloud = rows(2), ProductCloud()
    cloud.explain = lambda ids: ImportReply(invalid=tuple(ids))
    done = await Import(cloud, devices).run()

    assert done.counts == {"added": 2}


@pytest.mark.parametrize("state", [{"quarantined": True}, {"denied": True}])
async def test_a_quarantined_row_is_sent_which_asks_for_its_approval_and_named_if_it_stays(state):
    devices, cloud = rows(2), ProductCloud()
    stays = devices[0]
    cloud.rows[stays.id] = in_cloud(stays, in_product=False, **state)
    done = await Import(cloud, devices).run()

    assert stays.id in cloud.posts[0]
    assert done.of(stays) == "import_quarantined"
    assert len(cloud.posts) <= IGNORED_MAX


async def test_a_quarantined_row_that_the_import_approves_is_added():
    devices, cloud = rows(1), ProductCloud()
    cloud.rows[devices[0].id] = in_cloud(devices[0], in_product=False, quarantined=True)

    def approve(ids):
        cloud.rows |= {id_: in_cloud(id_) for id_ in ids}
        return ImportReply(added=tuple(ids), updated=len(ids))

    cloud.explain = approve
    done = await Import(cloud, devices).run()

    assert done.counts == {"added": 1}


async def test_no_right_to_import_is_raised_and_not_bisected():
    devices, cloud = rows(9), ProductCloud()
    cloud.lost = [PermissionRefused("no", status=403, reason="no")]
    run = Import(cloud, devices)
    with pytest.raises(PermissionRefused):
        await run.run()

    assert len(cloud.posts) == 1


async def test_an_unreachable_cloud_is_raised_and_the_chunk_can_be_sent_again():
    devices, cloud = rows(4), ProductCloud()
    cloud.lost = [CloudUnreachable("no route")]
    run = Import(cloud, devices)
    with pytest.raises(CloudUnreachable):
        await run.run()
    done = await run.run()

    assert done.counts == {"added": 4}


async def test_few_devices_of_a_large_product_are_read_one_by_one():
    devices, cloud = rows(3), ProductCloud()
    cloud.others = 100_000
    cloud.rows = {d.id: in_cloud(d) for d in (listed(n) for n in range(50, 150))}  # other people's, on page 1
    await Import(cloud, devices).importer.look(devices)

    assert cloud.pages_read == 1
    assert sorted(cloud.singles) == sorted(d.id for d in devices)


async def test_many_devices_are_read_from_the_list():
    devices, cloud = rows(250), ProductCloud()
    cloud.rows = {d.id: in_cloud(d) for d in devices[:220]}
    run = Import(cloud, devices)
    await run.importer.look(devices)

    assert (cloud.pages_read, cloud.singles) == (3, [])
    assert [run.importer.membership.was_in(number) for number in range(250)] == [True] * 220 + [False] * 30


async def test_the_plan_is_what_is_then_sent():
    devices = [*rows(7), *(listed(n, tray="T-2") for n in range(8, 13))]
    cloud = ProductCloud()
    cloud.rows = {d.id: in_cloud(d) for d in devices[5:8]}
    run = Import(cloud, devices, chunk_max=2)
    await run.importer.look(devices)
    plan = run.importer.membership.plan()
    await run.run()

    assert [(p.tray, p.devices, p.present, p.missing, p.calls) for p in plan] == [
        ("T-1", 7, 2, 5, 3),
        ("T-2", 5, 1, 4, 2),
    ]
    assert sum(p.calls for p in plan) == len(cloud.posts)
    assert sum(p.missing for p in plan) == sum(map(len, cloud.posts))


async def test_nothing_to_import_asks_nothing():
    cloud = ProductCloud()
    done = Import(cloud, rows(2))
    await done.importer.look([])

    assert (cloud.pages_read, done.importer.chunks(1), done.importer.record()) == (0, [], Counter())


async def test_the_journal_has_an_intention_and_a_result_for_every_call(journal):
    devices, cloud = rows(8), ProductCloud()
    cloud.bad = {devices[3].id}
    cloud.lost = [CloudAnswerLost("lost")]
    records = []
    journal.subscribe(records.append)
    await Import(cloud, devices, journal=journal).run()

    imports = [r.event for r in records if r.event.startswith("import.")]
    assert imports[::2] == ["import.intended"] * len(cloud.posts)
    assert set(imports[1::2]) == {"import.accepted", "import.refused", "import.unanswered"}


async def test_a_lost_answer_counts_against_nobody():
    """However often, as long as one comes in between: it is the cloud's fault, never the device's."""
    devices, cloud = rows(3), ProductCloud()
    good = cloud.import_devices
    answers = [None, None, "none of them", None, None, "all of them"]

    async def lossy(product, ids):
        match answers.pop(0):
            case None:
                raise CloudAnswerLost("lost")
            case "none of them":
                return ImportReply()
            case _:
                return await good(product, ids)

    cloud.import_devices = lossy
    done = await Import(cloud, devices).run()

    assert done.counts == {"added": 3}


async def test_answers_lost_one_after_the_other_are_the_sites_fault():
    devices, cloud = rows(3), ProductCloud()
    asked = []

    async def lost(product, ids):
        asked.append(ids)
        raise CloudAnswerLost("lost")

    cloud.import_devices = lost
    with pytest.raises(CloudAnswerLost):
        await Import(cloud, devices).run()

    assert len(asked) == LOST_MAX


async def test_a_stopped_import_leaves_those_it_has_not_sent_without_a_class():
    devices, cloud = rows(4), ProductCloud()
    import_ = Import(cloud, devices, chunk_max=2)
    await import_.importer.look(devices)
    first, _ = import_.importer.chunks(1)
    await import_.importer.send(first)
    await import_.importer.membership.look_again()

    assert import_.importer.record(complete=False) == {"added": 2}
    with pytest.raises(RuntimeError, match="do not sum"):
        import_.importer.record()


async def test_f9_a_list_that_is_behind_the_replies_is_read_again(autojump_clock):
    """F9: it shows what was added only after a while; nobody is sent twice or refused for it."""
    devices, cloud = rows(5), ProductCloud()
    done = Import(cloud, devices)
    await done.importer.look(devices)
    for chunk in done.importer.chunks(1):
        await done.importer.send(chunk)
    added, cloud.rows = cloud.rows, {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(done.importer.look_again, trio.Event())
        await trio.sleep(10)
        cloud.rows = added

    assert done.importer.chunks(2) == []
    assert done.importer.record() == {"added": 5}


@pytest.mark.parametrize("stops", [True, False])
async def test_f9_a_list_that_never_shows_them_is_not_waited_for_for_ever_nor_by_a_run_that_stops(
    autojump_clock, stops
):
    """F9: then they are sent once more, as rows that no list shows."""
    devices, cloud = rows(5), ProductCloud()
    cloud.silent, stopped = {device.id for device in devices}, trio.Event()
    done = Import(cloud, devices)
    await done.importer.look(devices)
    for chunk in done.importer.chunks(1):
        await done.importer.send(chunk)
    if stops:
        stopped.set()
    await done.importer.look_again(stopped)

    assert trio.current_time() == (0 if stops else sum(LIST_BEHIND_S))
    assert len(done.importer.chunks(2)) == 1


async def test_what_the_cloud_says_is_kept_only_of_those_whom_this_reading_may_prove():
    none, visited = [listed(n, wifi=None, to="none") for n in (1, 2)], listed(3)
    cloud = ProductCloud()
    run = await Import(cloud, [*none, visited]).run()

    assert run.importer.membership.proofs == {device.id: cloud.rows[device.id] for device in none}
    run.importer.membership.forget()
    assert run.importer.membership.proofs == {}


async def test_serial_numbers_are_told_of_listed_devices_whenever_they_are_read():
    devices, cloud, told = rows(2), ProductCloud(), []
    cloud.rows = {d.id: replace(in_cloud(d), serial_number=f"S{n}") for n, d in enumerate([*devices, listed(9)])}
    cloud.rows[devices[1].id] = in_cloud(devices[1])
    membership = Membership(cloud, PRODUCT, manifest_of(*devices), chunk_max=9, learn=lambda *one: told.append(one))
    await membership.look(devices)

    assert told == [(devices[0].id, "S0")]


async def test_a_look_that_broke_off_is_begun_again():
    devices, cloud = rows(250), ProductCloud()
    cloud.rows = {d.id: in_cloud(d) for d in devices[:220]}
    run, page_of = Import(cloud, devices), cloud.devices

    def breaks_off(product):
        cloud.devices = page_of
        pages = page_of(product)

        async def some():
            yield await anext(pages)
            raise CloudUnreachable("away")

        return some()

    cloud.devices = breaks_off
    with pytest.raises(CloudUnreachable):
        await run.importer.look(devices)
    cloud.rows.pop(devices[0].id)  # it was on the page that was read before
    await run.importer.look(devices)

    assert run.importer.membership.missing() == {"T-1": array("I", [0, *range(220, 250)])}


async def test_an_import_holds_a_chunk_and_a_page_and_not_every_device():
    def alive():
        gc.collect()
        kinds = Counter(type(one) for one in gc.get_objects())
        return kinds[ListedDevice] + kinds[CloudDevice]

    cloud, numbers = ProductCloud(), range(1, 601)
    cloud.devices = lambda product: Pages(partial(page_of, cloud))
    devices = Rows(listed, numbers)
    run = Import(cloud, devices, chunk_max=50)  # whose manifest holds them: that is this test's own
    before = alive()
    await run.importer.look(devices)
    for chunk in run.importer.chunks(1):
        await run.importer.send(chunk)
    cloud.rows = dict.fromkeys(cloud.rows)  # the IDs are enough for `page_of`
    await run.importer.look_again(trio.Event())

    assert alive() - before < 20
    assert run.importer.record() == {"added": 600}


async def page_of(cloud, page):
    await trio.lowlevel.checkpoint()
    ids = sorted(cloud.rows)
    return DevicePage(tuple(map(in_cloud, ids[(page - 1) * 100 : page * 100])), max(1, -(-len(ids) // 100)))
