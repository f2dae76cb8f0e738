"""A whole demo under the page: a tray finishes, a board fails, one is scanned, the line is held, the run is killed."""

import re
import signal

import pytest
from looks import burst

expect = pytest.importorskip("playwright.sync_api").expect


def opened(tab, demo, hash_=""):
    page = tab(f"{demo.url}/#token={demo.token}")
    expect(page.locator(".live")).to_have_text("LIVE")
    if hash_:
        page.goto(f"{demo.url}/{hash_}")
    return page


def test_a_tray_finishes_before_the_eyes_of_the_line_lead(tab, demo, shots):
    running = demo("--devices", "12", "--stations", "2", "--seed", "3")
    page = opened(tab, running)
    expect(page.locator(".banner h1")).to_have_text(re.compile("LINE RUNNING|IMPORTING"))
    expect(page.locator(".tiles li")).to_have_count(2)
    page.screenshot(path=shots / "demo-running.png")

    expect(page.locator(".banner h1")).to_have_text("FINISHED, ALL PASS", timeout=60_000)

    expect(page.locator(".count.pass b")).to_have_text("12")
    expect(page.locator(".traylist li").first).to_contain_text("4 of 4")
    page.screenshot(path=shots / "demo-finished.png")
    page.goto(f"{running.url}/#/tray/T-0001")
    expect(page.locator('.map [data-cell="pass"]')).to_have_count(4)
    page.goto(f"{running.url}/#/charts")
    expect(page.locator(".charts svg")).to_have_count(2)
    page.screenshot(path=shots / "demo-charts.png")


def test_fail_one_scan_one_hold_and_resume(tab, demo, shots):
    running = demo("--devices", "30", "--stations", "1", "--seed", "4")
    page = opened(tab, running)
    hold = page.locator(".banner .buttons button").first
    expect(hold).to_have_text("Hold")

    hold.click()

    expect(page.locator(".banner h1")).to_have_text("LINE HELD")
    expect(page.locator(".note.good")).to_contain_text("The line is held")
    expect(page.locator(".tiles li").first).to_have_attribute("data-kind", "paused", timeout=20_000)
    waits = page.evaluate(
        "async () => (await (await fetch('/api/state')).json()).parts['tray/T-0003'].cells.indexOf('i') + 1"
    )
    burst(page, f"T-0003/{waits}")
    expect(page).to_have_url(re.compile("#/tray/T-0003"))
    expect(page.locator(".life h2")).to_have_text(f"T-0003 / {waits}")
    page.locator(".life [data-act=set_aside]").click()
    page.locator("dialog button[value=yes]").click()
    expect(page.locator(".map [data-cell=fail]")).to_have_count(1)
    expect(page.locator(".life .chip")).to_have_text("FAIL")
    expect(page.locator(".life [data-act=set_aside]")).to_be_focused()
    page.screenshot(path=shots / "demo-set-aside.png")

    page.goto(f"{running.url}/#/")
    expect(page.locator(".failures .chip.fail")).to_have_count(1)
    expect(page.locator(".failures li").first).to_contain_text("A person set the board aside")
    page.locator("[data-act=resume]").click()

    expect(page.locator(".banner h1")).to_have_text("LINE RUNNING")
    page.goto(f"{running.url}/#/charts")
    expect(page.locator(".pareto li")).to_contain_text("A person set the board aside")
    names = re.findall(r'"operator":"(\w+)"', next((running.folder / "runs").glob("*/journal.jsonl")).read_text())
    assert names.count("Mira") == 3, "held, set aside, resumed"


def test_the_run_is_killed_under_an_open_page_and_started_again(tab, demo, shots):
    first = demo("--devices", "30", "--stations", "2", "--seed", "5")
    page = opened(tab, first)
    expect(page.locator(".tiles li")).to_have_count(2)
    before = page.locator(".banner .which").text_content()

    first.end(signal.SIGKILL)

    expect(page.locator(".live")).to_have_text("NOT LIVE")
    expect(page.locator(".veil")).to_contain_text("What you see is old")
    page.screenshot(path=shots / "demo-killed.png")
    page.locator("[data-act=hold]").click()
    expect(page.locator(".note.bad")).to_contain_text("No connection to the line")

    demo("--devices", "12", "--stations", "3", "--seed", "6")

    expect(page.locator(".live")).to_have_text("LIVE", timeout=20_000)
    expect(page.locator(".veil")).to_be_hidden()
    expect(page.locator(".tiles li")).to_have_count(3)
    expect(page.locator(".count.left")).to_contain_text("left of 12")
    assert page.locator(".banner .which").text_content() != before
    page.locator("[data-act=hold]").click()
    expect(page.locator(".banner h1")).to_have_text("LINE HELD"), "the page may go on acting: the token is kept"


def test_a_page_of_a_finished_run_is_told_so_when_it_acts(tab, demo, shots):
    running = demo("--devices", "3", "--stations", "1", "--seed", "7")
    page = opened(tab, running)
    expect(page.locator(".banner h1")).to_have_text("FINISHED, ALL PASS", timeout=60_000)
    running.wait_only_looks()
    expect(page.locator("[data-act=hold]")).to_be_hidden(timeout=20_000)
    expect(page.locator(".live")).to_have_text("LIVE", timeout=20_000)

    said = page.evaluate(
        """async (token) => (await (await fetch('/api/order', {method: 'POST', body: '{"act":"hold","operator":"Mira"}',
        headers: {'content-type': 'application/json', authorization: `Bearer ${token}`}})).json())""",
        running.token,
    )

    assert (said["done"], said["code"]) == (False, "not_running")
    burst(page, "T-0001/1")
    expect(page.locator(".life h2")).to_have_text("T-0001 / 1")
    assert running.end() == 0
