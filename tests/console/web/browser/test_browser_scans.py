"""The scanner at the page: a keyboard that types fast. Every scan is answered on the screen, none presses anything."""

import re

import page_server
import pytest
from looks import burst, link

from provisioner.errors import AnotherRun, NotRunning

expect = pytest.importorskip("playwright.sync_api").expect
LABEL = "PHHMAB804PAKLJZ"


@pytest.fixture
def station(tab, line):
    page = tab(link(line))
    page.goto(f"{line.url}/#/station/S1")
    expect(page.locator(".stage")).to_have_attribute("data-kind", "ready")
    return page


def test_a_scan_goes_to_the_station_that_the_page_shows(station, line):
    burst(station, LABEL)

    expect(station.locator(".note.good")).to_contain_text("The scan is taken")
    assert line.scans == [(LABEL, "S1", "Mira")]


def test_a_scanned_board_is_looked_for_and_then_worked(station, line, shots):
    row = {"tray": "T-0001", "slot": 4, "device": page_server._device("T-0001", 4)}
    line.write(10, "scan.taken", station="S1", scanned=LABEL, source="page", operator="Mira", **row)
    expect(station.locator(".stage")).to_have_attribute("data-kind", "searching")
    expect(station.locator(".place")).to_contain_text("T-0001 / 4")
    station.screenshot(path=shots / "station-searching.png")

    page_server.visit(line.write, 12, "S1", 4)

    expect(station.locator(".stage")).to_have_attribute("data-kind", "searching")
    line.write(30, "scan.ended", station="S1", outcome="pass", **row)
    expect(station.locator(".stage")).to_have_attribute("data-kind", "waiting")


@pytest.mark.parametrize(
    ("code", "word"),
    [("not_in_manifest", "This label is in no tray"), ("station_busy", "The station has a board under work"),
     ("scan_glued", "Two labels arrived as one"), ("already_confirmed", "This board has passed already")],
)  # fmt: skip
def test_a_scan_that_is_not_taken_is_answered_with_what_to_do(station, line, code, word):
    line.answer = {"done": False, "code": code, "word": "X", "detail": "", "remedy": "Do this."}

    burst(station, LABEL)

    expect(station.locator(".note.bad")).to_contain_text(word)
    assert station.locator(".note.bad p").text_content()


def test_two_scanners_at_two_stations_each_get_their_own_answer(tab, line):
    pages = {}
    for name in ("S1", "S2"):
        pages[name] = tab(link(line), name=f"op-{name}")
        pages[name].goto(f"{line.url}/#/station/{name}")
        expect(pages[name].locator(".stage")).to_have_attribute("data-kind", "ready")

    burst(pages["S1"], "AAAA1111")
    burst(pages["S2"], "BBBB2222")
    expect(pages["S2"].locator(".note")).to_have_count(1)

    assert line.scans == [("AAAA1111", "S1", "op-S1"), ("BBBB2222", "S2", "op-S2")]


def test_a_scan_presses_no_button_and_fills_no_field(tab, line):
    page = tab(link(line))
    expect(page.locator(".live")).to_have_text("LIVE")
    page.locator("[data-act=hold]").focus()

    burst(page, "T-0001/3 WITH SPACES ")
    burst(page, LABEL)
    expect(page.locator(".note")).to_have_count(2)

    assert line.orders == [], "Enter and the blanks of a scan are not keys"
    assert [text for text, _, _ in line.scans] == ["T-0001/3 WITH SPACES ", LABEL]
    page.locator(".top button").first.click()
    field = page.locator("dialog input")
    field.fill("Jo")
    burst(page, LABEL)
    expect(field).to_have_value("Jo")
    expect(page.locator(".note")).to_have_count(3)
    assert len(line.scans) == 3


def test_a_person_types_and_it_is_no_scan(tab, line):
    page = tab(link(line))
    page.locator(".top button").first.click()
    field = page.locator("dialog input")
    field.fill("")
    page.keyboard.type("Jo Ann", delay=90)
    page.keyboard.press("Enter")

    expect(page.locator(".top button").first).to_have_text("Jo Ann")
    assert line.scans == []
    page.locator("[data-act=hold]").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".note.good")).to_be_visible()
    assert line.orders[0].operator == "Jo Ann"


def test_a_badge_says_who_works_here(station, line):
    line.answer = {"done": True, "code": "badge_taken", "word": "HELLO", "detail": "", "remedy": "", "operator": "Noor"}

    burst(station, "PVCTLID.Noor")

    expect(station.locator(".top button").first).to_have_text("Noor")


def test_where_the_line_works_by_itself_a_scan_looks_a_board_up(station, line):
    line.answer = {"done": True, "look": True}
    line.lives[LABEL] = {"device": page_server._device("T-0001", 3), "serial": LABEL, "places": [], "runs": []}

    burst(station, LABEL)

    expect(station).to_have_url(re.compile("#/device/"))
    expect(station.locator(".card")).to_contain_text(LABEL)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (NotRunning("it has ended"), "No run takes orders here"),
        (AnotherRun("the page is old"), "This page shows another run"),
    ],
)
def test_a_stale_page_that_acts_is_told_so(tab, line, error, word):
    page = tab(link(line))
    line.refuse = error

    page.locator("[data-act=hold]").click()

    expect(page.locator(".note.bad")).to_contain_text(word)
    assert line.orders == []


def test_without_the_token_the_page_looks_and_asks_for_it_when_it_acts(tab, line):
    page = tab(f"{line.url}/")
    expect(page.locator(".live")).to_have_text("LIVE")
    page.locator("[data-act=hold]").click()
    page.locator("dialog input").fill("wrong-wrong-wrong")
    page.locator("dialog button[value=yes]").click()
    page.wait_for_timeout(300)
    assert line.orders == []

    page.locator("[data-act=hold]").click()
    page.locator("dialog input").fill(line.address.guard.token.reveal())
    page.locator("dialog button[value=yes]").click()

    expect(page.locator(".note.good")).to_be_visible()
    assert [order.act for order in line.orders] == ["hold"]


def test_the_token_leaves_the_address_bar_and_nothing_but_this_server_is_asked(tab, line):
    page = tab("about:blank")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(link(line))
    expect(page.locator(".live")).to_have_text("LIVE")

    assert "token" not in page.url
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {f"127.0.0.1:{line.address.port}"}
    assert not any(line.address.guard.token.reveal() in url for url in asked[1:])
