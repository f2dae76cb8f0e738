"""A real browser: Playwright driving Debian's Chromium. Its own stage of CI (`PROVISIONER_BROWSER=1`), because it takes
a minute; without the browser, or in a plain `pytest`, these tests say why they are left out.

Screenshots are kept in PROVISIONER_SCREENSHOTS, by default in pytest's own temporary folder.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import looks  # noqa: E402 - the two lie beside these tests
import page_server  # noqa: E402

CHROMIUM = os.environ.get("PROVISIONER_CHROMIUM") or shutil.which("chromium") or ""
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--autoplay-policy=no-user-gesture-required", "--js-flags=--expose-gc"]  # fmt: skip


def _why_not():
    if not os.environ.get("PROVISIONER_BROWSER"):
        return "the browser tests are their own stage: PROVISIONER_BROWSER=1 pytest tests/console/web/browser"
    if not CHROMIUM:
        return "no Chromium: sh tests/debian-packages.sh installs Debian's"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "no Playwright: pip install -e '.[dev]'"
    return ""


@pytest.fixture(scope="session")
def browser():
    """One browser for all tests."""
    if why := _why_not():
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def shots(tmp_path_factory):
    """Where screenshots are kept."""
    folder = Path(os.environ.get("PROVISIONER_SCREENSHOTS") or tmp_path_factory.getbasetemp() / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def tab(browser):
    """`tab(url, ...)`: a page in a context of its own. What its console or its scripts complain of fails the test."""
    complaints, contexts = [], []

    def opened(url, *, size=None, locale="en-US", name="Mira"):
        context = browser.new_context(viewport=size or looks.KIOSK, locale=locale)
        contexts.append(context)
        if name:
            context.add_init_script(f"if (location.host) localStorage.setItem('operator', {name!r})")
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.on("console", lambda message: complaints.append(message.text) if _bad(message) else None)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _bad(message):
    """The server being away, and answers that are refusals, are part of these tests; nothing else is."""
    expected = ("net::ERR_", "the server responded with a status of 4", "status of 503")
    return message.type in ("error", "warning") and not any(part in message.text for part in expected)


@pytest.fixture
def line(browser, tmp_path):
    """A scripted line: two stations, two trays, imported."""
    with page_server.serving(tmp_path) as server:
        page_server.begin(server.write, ["S1", "S2"])
        yield server


@pytest.fixture
def gallery(browser, tmp_path):
    """A line with a station for each thing a station can show."""
    with page_server.serving(tmp_path) as server:
        page_server.gallery(server.write)
        server.now_ms = 88_000
        yield server


class Demo:
    """`provisioner demo --console` as a person starts it, in a runs folder that a second one can share."""

    def __init__(self, folder, port, *options):
        self.folder, self.port = folder, port
        self.log = (folder / "demo.log").open("ab")
        command = [Path(sys.executable).with_name("provisioner"), "demo", "--console", "--bind", f"127.0.0.1:{port}",
                   "--runs-dir", folder / "runs", *options]  # fmt: skip
        self.process = subprocess.Popen([str(part) for part in command], stdout=self.log, stderr=self.log, cwd=folder)
        self._wait()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self):
        return (self.folder / "runs" / "console-token").read_text().strip()

    def wait_only_looks(self):
        """Until the run's own page has made way for the one over the finished run: in between nobody answers."""
        self._wait(lambda me: not me["orders"])

    def _wait(self, done=lambda me: True):
        for _ in range(300):
            try:
                if done(httpx.get(f"{self.url}/api/me").raise_for_status().json()):
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError((self.folder / "demo.log").read_text())

    def end(self, kind=signal.SIGINT):
        """Ends it; returns the exit code."""
        self.process.send_signal(kind)
        code = self.process.wait(60)
        self.log.close()
        return code


@pytest.fixture
def demo(browser, tmp_path):
    """`demo(*options)`: a running demo, on one port for the length of a test."""
    started, port = [], _free_port()

    def start(*options):
        made = Demo(tmp_path, port, *options)
        started.append(made)
        return made

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()
        each.log.close()


def _free_port():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
