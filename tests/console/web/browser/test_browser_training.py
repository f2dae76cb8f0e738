"""People in training: `demo --scanner --console`, scanned at the page from the first label to STOP."""

import re

import pytest
from looks import burst

expect = pytest.importorskip("playwright.sync_api").expect


def test_two_people_scan_at_two_stations_and_every_scan_is_answered(tab, demo, shots):
    running = demo("--scanner", "--devices", "6", "--stations", "2", "--seed", "11")
    pages = {}
    for station, name in (("S1", "Mira"), ("S2", "Noor")):
        pages[station] = page = tab(f"{running.url}/#token={running.token}", name=name)
        expect(page.locator(".live")).to_have_text("LIVE")
        page.goto(f"{running.url}/#/station/{station}")
        expect(page.locator(".stage h1")).to_have_text("SCAN A BOARD", timeout=20_000)
    mine, other = pages["S1"], pages["S2"]

    burst(mine, "NONSENSE99")
    expect(mine.locator(".note.bad")).to_contain_text("This label is in no tray of this run")
    burst(mine, "T-0001/1")
    expect(mine.locator(".note.good")).to_contain_text("The scan is taken")
    expect(mine.locator(".stage")).to_have_attribute("data-kind", re.compile("searching|running"))
    burst(mine, "T-0001/2")
    expect(mine.locator(".note.bad").last).to_contain_text("The station has a board under work")
    burst(other, "T-0002/1")
    burst(other, "T-0001/1")
    expect(other.locator(".note.bad").last).to_contain_text(re.compile("being worked now|waits for its proof"))
    mine.screenshot(path=shots / "training-answers.png")

    for page, place in ((mine, "T-0001 / 1"), (other, "T-0002 / 1")):
        expect(page.locator(".stage")).to_have_attribute("data-kind", "pass", timeout=60_000)
        expect(page.locator(".place")).to_contain_text(place)
    mine.screenshot(path=shots / "training-pass.png")
    burst(other, "PVCTLID.Jo")
    expect(other.locator(".top button").first).to_have_text("Jo")
    burst(other, "PVCTLSTOP")
    expect(other.locator(".stage")).to_have_attribute("data-kind", re.compile("finished|stopping"))
    expect(mine.locator(".stage")).to_have_attribute("data-kind", re.compile("finished"), timeout=20_000)

    journal = next((running.folder / "runs").glob("*/journal.jsonl")).read_text()
    taken = re.findall(r'"event":"scan.taken","station":"(S\d)","operator":"(\w+)"', journal)
    assert taken == [("S1", "Mira"), ("S2", "Noor")]
    assert re.findall(r'"event":"run.stopping"[^}]*"operator":"(\w+)"', journal) == ["Jo"]


def test_the_command_sheet_opens_beside_the_page(tab, line, shots):
    from looks import link

    page = tab(link(line))
    with page.context.expect_page() as opened:
        page.locator(".codes a").click()
    sheet = opened.value
    sheet.wait_for_load_state()
    sheet.on("console", lambda message: pytest.fail(message.text) if message.type == "error" else None)
    sheet.reload()

    expect(sheet.locator("li")).to_have_count(7)
    expect(sheet.locator("li").last).to_contain_text("Mira")
    assert sheet.evaluate("getComputedStyle(document.querySelector('ul')).display") == "grid", "its own style holds"
    assert sheet.locator("svg").count() == 7
    sheet.screenshot(path=shots / "command-sheet.png")
