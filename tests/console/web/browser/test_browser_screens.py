"""What people see: all that a station can show, at a bench and on a phone, in four languages, for every kind of eye."""

import re

import page_server
import pytest
from looks import KIOSK, LOOKS, PHONE, link

from provisioner.console.stage import Kind

expect = pytest.importorskip("playwright.sync_api").expect

STATIONS = ["ready", "running", "waiting", "pass", "fail", "unproven", "again", "stranger", "mismatch", "drained"]
WORDS = {
    "en-US": {"pass": "PASS", "fail": "FAIL", "waiting": "NOT PROVEN YET", "unproven": "NOT PROVEN YET"},
    "de-DE": {"pass": "GUT", "fail": "FEHLER", "waiting": "NOCH NICHT BEWIESEN"},
    "es-ES": {"pass": "APTO", "fail": "FALLO", "waiting": "AÚN SIN PROBAR"},
    "zh-CN": {"pass": "合格", "fail": "不合格", "waiting": "尚未证实"},
}


def assert_readable(page):
    found = page.evaluate(LOOKS["contrasts"])
    assert len(found) > 5
    bad = [row for row in found if row[0] < (3.0 if row[1] else 4.5)]
    assert bad == []


def assert_fits(page):
    assert page.evaluate(LOOKS["tooWide"]) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("locale", WORDS)
def test_a_station_reads_in_every_language_and_fits_the_kiosk(tab, gallery, shots, locale):
    page = tab(link(gallery), locale=locale)
    for station in STATIONS:
        page.goto(f"{gallery.url}/#/station/{station}")
        stage = page.locator(".stage")
        expect(stage).to_have_attribute("data-kind", station)
        word = stage.locator("h1").text_content()
        if station in WORDS[locale]:
            assert word == WORDS[locale][station]
        assert stage.locator("svg").count() >= 1, "a shape as well as a word"
        assert stage.locator(".do").text_content(), "what to do with the hands"
        assert_fits(page)
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), f"{station} scrolls"
        clipped = page.evaluate(
            "(() => { const s = document.querySelector('.stage'); return s.scrollHeight > s.clientHeight + 1; })()"
        )
        assert not clipped, f"{station} is cut off in {locale}"
        assert_readable(page)
        page.screenshot(path=shots / f"station-{station}-{locale[:2]}.png")


def test_the_verdict_is_large_enough_for_three_metres(tab, gallery):
    """Letters of 10 mm are read at three metres with ease; on a 24-inch screen that is 36 px."""
    page = tab(link(gallery))
    for station, word_px, todo_px in (("pass", 120, 30), ("fail", 120, 30), ("unproven", 70, 30), ("waiting", 70, 30)):
        page.goto(f"{gallery.url}/#/station/{station}")
        expect(page.locator(".stage")).to_have_attribute("data-kind", station)
        size = "(selector) => parseFloat(getComputedStyle(document.querySelector(selector)).fontSize)"
        assert page.evaluate(size, ".word") >= word_px, station
        assert page.evaluate(size, ".do") >= todo_px, station
        assert page.evaluate(size, ".place") >= 45, station


def test_every_kind_has_its_own_shape_ground_and_word(tab, gallery):
    page = tab(link(gallery))
    seen = {}
    for station in STATIONS:
        page.goto(f"{gallery.url}/#/station/{station}")
        expect(page.locator(".stage")).to_have_attribute("data-kind", station)
        seen[station] = page.evaluate(
            """() => { const s = document.querySelector('.stage'), c = getComputedStyle(s);
            return [s.querySelector('svg').innerHTML, c.backgroundColor, s.querySelector('h1').textContent]; }"""
        )
    shapes = [shape for shape, _, _ in seen.values()]

    assert len(set(shapes)) == len(shapes) - 1, "READY and RUNNING both show the board itself, every other its own"
    assert seen["fail"][1] != seen["running"][1]
    assert seen["unproven"][1] != seen["pass"][1] != seen["waiting"][1], "what is not proven is never green"


@pytest.mark.parametrize(
    "hash_", ["#/", "#/station/fail", "#/station/running", "#/tray/T-0001/18", "#/trays", "#/charts"]
)
def test_a_phone_and_a_kiosk_show_every_page(tab, gallery, shots, hash_):
    for name, size in (("kiosk", KIOSK), ("phone", PHONE)):
        page = tab(link(gallery), size=size)
        page.goto(f"{gallery.url}/{hash_}")
        expect(page.locator(".live")).to_have_text("LIVE")
        page.wait_for_timeout(150)
        assert_fits(page)
        assert_readable(page)
        page.screenshot(path=shots / f"{name}-{re.sub(r'[^a-z]', '', hash_) or 'line'}.png", full_page=name == "phone")


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (("line.held", {**page_server.WHY["site"]}), Kind.HELD),
        (("line.held", {"operator": "Mira", "code": "held_by_operator", "blame": "operator"}), Kind.PAUSED),
        (("run.stopping", {"operator": "Mira"}), Kind.STOPPING),
        (("run.finished", {"outcome": "aborted", "code": "interrupted", "counts": {}}), Kind.FINISHED),
    ],
)
def test_the_line_itself_takes_the_screen(tab, gallery, shots, record, kind):
    event, fields = record
    page = tab(link(gallery))
    page.goto(f"{gallery.url}/#/station/pass")
    expect(page.locator(".stage")).to_have_attribute("data-kind", "pass")

    gallery.write(90, event, **fields)

    expect(page.locator(".stage")).to_have_attribute("data-kind", re.compile(kind.value))
    assert_readable(page)
    page.screenshot(path=shots / f"station-{kind.value}.png")


def test_the_verdict_stays_until_the_next_board(tab, line):
    page = tab(f"{link(line)}")
    page.goto(f"{line.url}/#/station/S1")
    page_server.visit(line.write, 10, "S1", 1)
    row = {"tray": "T-0001", "slot": 1, "device": page_server._device("T-0001", 1)}
    line.write(30, "device.failed", outcome="fail", station="S1", **row, **page_server.WHY["fail"])
    expect(page.locator(".stage")).to_have_attribute("data-kind", "fail")
    expect(page.locator(".aside")).to_contain_text("T-0001 / 1")

    page.clock.install()
    page.clock.fast_forward("09:00:00")
    line.write(
        33_000, "device.imported", tray="T-0001", slot=19, device=page_server._device("T-0001", 19), code="added"
    )
    page.wait_for_timeout(400)
    expect(page.locator(".stage")).to_have_attribute("data-kind", "fail")
    page_server.visit(line.write, 33_001, "S1", 2, until="network.joined")

    expect(page.locator(".stage")).to_have_attribute("data-kind", "running")
    expect(page.locator(".aside")).to_contain_text("T-0001 / 1"), "and it is still to be taken away"
    page.locator(".aside [data-act=rerun]").click()
    expect(page.locator(".note.good")).to_contain_text("may be worked again")
    assert (line.orders[0].act, line.orders[0].operator, line.orders[0].station) == ("rerun", "Mira", "S1")


def test_a_verdict_is_heard(tab, line):
    page = tab(link(line))
    page.goto(f"{line.url}/#/station/S1")
    page.get_by_role("button", name="Sound off").click()
    expect(page.get_by_role("button", name="Sound on")).to_have_attribute("aria-pressed", "true")

    page_server.visit(line.write, 10, "S1", 1)
    expect(page.locator(".stage")).to_have_attribute("data-kind", "waiting")
    row = {"tray": "T-0001", "slot": 1, "device": page_server._device("T-0001", 1)}
    line.write(30, "device.failed", outcome="fail", station="S1", **row, **page_server.WHY["fail"])

    expect(page.locator("html")).to_have_attribute("data-heard", "fail")


def test_holes_and_doubled_slots_are_seen_on_the_tray(tab, line, shots):
    device = page_server._device
    line.write(0, "run.started", command="run", product="p", devices=8, trays={"T-0001": 8}, stations=["S1"],
               slots={"T-0001": "1-4,6-9"}, layout="3x4", resumes=[])  # fmt: skip
    for slot in (1, 2, 3, 4, 6, 7, 8, 8):
        number = slot if slot != 8 else 8 + len(line.screen.roll.numbers)
        line.write(1, "device.imported", tray="T-0001", slot=slot, device=device("T-0001", number), code="added")

    page = tab(link(line))
    page.goto(f"{line.url}/#/tray/T-0001")

    expect(page.locator(".map button")).to_have_count(12)
    expect(page.locator(".traytrouble")).to_contain_text("MISSING: slot 5")
    expect(page.locator(".traytrouble")).to_contain_text("TWICE: slot 8")
    expect(page.locator(".map button").nth(4)).to_have_attribute("data-cell", "hole")
    expect(page.locator(".map button").nth(7)).to_have_attribute("data-doubled", "doubled")
    page.screenshot(path=shots / "tray-holes.png")


HOSTILE = "<img src=x onerror=alert(1)>"


def test_hostile_names_stay_text(tab, tmp_path, browser):
    with page_server.serving(tmp_path) as line:
        trays = {HOSTILE: 3, "T-0002": 2}
        line.write(0, "run.started", command="run", product=HOSTILE, lot="\u202egnp.exe</script>", devices=5,
                   trays=trays, stations=[HOSTILE, "S1"], resumes=[])  # fmt: skip
        air = {"station": HOSTILE, "ssid": "</span><script>document.title='taken'</script>"}
        line.write(1, "visit.started", **air)
        line.write(2, "visit.ended", **air, outcome="fail", step="joining", code="association_failed", blame="device",
                   remedy=HOSTILE, detail="'\"><svg onload=alert(2)>\x1b[2J\u2066")  # fmt: skip
        line.write(3, "scan.refused", station="S1", scanned=HOSTILE, code="x", blame="operator", remedy=HOSTILE)
        line.write(4, "device.failed", tray=HOSTILE, slot=1, device=f"{1:024x}", station="S1", outcome="fail",
                   code="<b>code</b>", blame="device", remedy=HOSTILE, detail=HOSTILE)  # fmt: skip
        page = tab(link(line), name=HOSTILE)
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        for hash_ in (
            "#/",
            f"#/station/{HOSTILE}",
            "#/station/S1",
            f"#/tray/{HOSTILE}",
            "#/trays",
            "#/charts",
            f"#/device/{HOSTILE}",
        ):
            page.goto(f"{line.url}/{hash_}")
            page.wait_for_timeout(200)
            assert page.title() == "provisioner"
            assert (
                page.evaluate("document.querySelectorAll('img, script:not([src]), svg[onload], main b b').length") == 0
            )
        page.goto(f"{line.url}/#/")
        expect(page.locator(".tiles .name").first).to_have_text(HOSTILE)
        assert "\u202e" not in page.content()
        assert "\u2066" not in page.content()


# --- without a mouse, without eyes ---


def test_everything_is_done_with_the_keyboard_alone(tab, line):
    page = tab(link(line))
    expect(page.locator(".live")).to_have_text("LIVE")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.act") == "hold"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    page.keyboard.press("Enter")
    expect(page.locator(".note.good")).to_be_visible()
    assert outline == "3px"
    assert line.orders[0].act == "hold"

    page.goto(f"{line.url}/#/tray/T-0001")
    page.locator(".map button").first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.querySelector('.number').textContent") == "11"
    page.keyboard.press("Enter")
    expect(page.locator(".life h2")).to_be_visible()


@pytest.mark.parametrize("hash_", ["#/", "#/station/fail", "#/tray/T-0001", "#/charts"])
def test_a_screen_reader_finds_its_way(tab, gallery, hash_):
    page = tab(link(gallery))
    page.goto(f"{gallery.url}/{hash_}")
    expect(page.locator(".live")).to_have_text("LIVE")
    page.wait_for_timeout(200)

    nameless = page.evaluate(LOOKS["nameless"])
    assert nameless == []
    assert page.locator("main h1").count() == 1
    assert page.locator("main").count() == page.locator("nav").count() == 1
    assert page.evaluate("document.documentElement.lang") == "en"
    if "station" in hash_:
        assert page.locator(".stage").get_attribute("aria-live") == "assertive"
    if "tray" in hash_:
        assert page.locator(".map button").nth(17).get_attribute("aria-label") == "slot 18: FAIL"
    if "charts" in hash_:
        assert "yield so far" in page.locator(".charts svg").first.get_attribute("aria-label")
        assert page.locator(".charts table").count() == 3
