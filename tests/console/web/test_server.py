"""Serving: where it binds and with what token, what it answers, how it closes, and readers that take nothing."""

import json
import os
import socket
import stat
import time

import httpx
import page_server
import pytest

from provisioner.console.web.server import TOKEN_FILE, TOKEN_VARIABLE, bind, rebind
from provisioner.errors import DeviceBusy, PageNotServed
from provisioner.line.orders import Act

JSON = {"content-type": "application/json"}


def asked(page, method, path, *, token=True, headers=None, **how):
    headers = dict(headers or {})
    if token:
        headers["authorization"] = f"Bearer {page.address.guard.token.reveal()}"
    return httpx.request(method, f"{page.url}{path}", headers=headers, **how)


def posted(page, path, token=True, **body):
    body = {"run": page_server.RUN, "operator": "Mira", **body}
    return asked(page, "POST", path, token=token, headers=JSON, content=json.dumps(body))


# --- binding ---


def test_the_token_of_a_runs_folder_is_private_and_kept(tmp_path):
    first = bind("127.0.0.1:0", tmp_path, {})
    second = bind("127.0.0.1:0", tmp_path, {})

    assert first.guard.token == second.guard.token
    assert first.link.endswith(f"#token={first.guard.token.reveal()}")
    assert stat.S_IMODE((tmp_path / TOKEN_FILE).stat().st_mode) == 0o600
    for address in (first, second):
        address.listener.close()


@pytest.mark.parametrize("spoilt", ["short", "", "0" * 31 + "\n\x00", None])
def test_a_kept_token_that_is_none_or_that_others_can_read_is_made_anew(tmp_path, spoilt):
    path = tmp_path / TOKEN_FILE
    path.write_text("a" * 32 if spoilt is None else spoilt)
    path.chmod(0o644 if spoilt is None else 0o600)

    address = bind("127.0.0.1:0", tmp_path, {})

    assert len(address.guard.token.reveal()) == 32
    assert address.guard.token.reveal() != "a" * 32
    address.listener.close()


def test_a_link_in_the_place_of_the_token_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_text("b" * 32)
    (tmp_path / TOKEN_FILE).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PageNotServed):
        bind("127.0.0.1:0", tmp_path, {})


def test_beyond_loopback_needs_a_token_that_somebody_has_chosen(tmp_path):
    with pytest.raises(PageNotServed) as refused:
        bind("0.0.0.0:0", tmp_path, {})
    assert TOKEN_VARIABLE in refused.value.remedy

    address = bind("0.0.0.0:0", tmp_path, {TOKEN_VARIABLE: "canary-of-the-line-3"})

    assert address.guard.open_to_all
    assert "canary" not in address.link
    assert not (tmp_path / TOKEN_FILE).exists()
    address.listener.close()


@pytest.mark.parametrize(
    "weak", ["secret", "with spaces in between it", "caf\xe9-caf\xe9-caf\xe9-caf\xe9", "tab\tin the middle"]
)
def test_a_weak_token_is_refused(tmp_path, weak):
    with pytest.raises(PageNotServed):
        bind("127.0.0.1:0", tmp_path, {TOKEN_VARIABLE: weak})


@pytest.mark.parametrize(
    "text", ["", "8640", "127.0.0.1", "127.0.0.1:", ":8640", "127.0.0.1:99999", "no such host:80", "host.invalid:80"]
)
def test_an_address_that_is_none_is_refused_with_what_to_write(tmp_path, text):
    with pytest.raises(PageNotServed) as refused:
        bind(text, tmp_path, {TOKEN_VARIABLE: "canary-of-the-line-3"})

    assert refused.value.remedy


def test_an_address_in_use_is_refused_and_free_again_afterwards(tmp_path):
    first = bind("127.0.0.1:0", tmp_path, {})
    with pytest.raises(PageNotServed) as refused:
        bind(f"127.0.0.1:{first.port}", tmp_path, {})
    assert "in use" in refused.value.detail

    first.listener.close()

    rebind(first).listener.close()


# --- answering ---


def test_the_page_and_its_files_come_with_strict_headers(page):
    for path, kind in (("/", "text/html"), ("/app.js", "text/javascript"), ("/style.css", "text/css"),
                       ("/words.json", "application/json"), ("/api/state", "application/json")):  # fmt: skip
        answer = asked(page, "GET", path, token=False)

        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/x", "/../pyproject.toml", "/%2e%2e/server.py", "/static/app.js", "/server.py", "/__init__.py"]
)
def test_nothing_else_is_served(page, path):
    assert asked(page, "GET", path).status_code in (403, 404)


def test_the_whole_screen_once_for_scripts(page):
    state = asked(page, "GET", "/api/state", token=False).json()

    assert state["run"] == page_server.RUN
    assert state["parts"]["totals"]["devices"] == 40


def test_a_name_that_only_leads_here_is_refused(page):
    answer = asked(page, "GET", "/api/state", headers={"host": "evil.example"})

    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_address")


def test_an_order_is_given_with_the_operators_name(page):
    device = page_server._device("T-0001", 3)

    answer = posted(page, "/api/order", act="set_aside", device=device, station="S1")

    assert answer.json() == {"done": True}
    (order,) = page.orders
    assert (order.act, order.operator, order.device, order.station) == (Act.SET_ASIDE, "Mira", device, "S1")


def test_an_order_that_cannot_be_carried_out_says_why_and_what_to_do(page):
    page.refuse = DeviceBusy("it is with station S1")

    answer = posted(page, "/api/order", act="hold")

    assert answer.status_code == 409
    assert answer.json() == {
        "done": False,
        "code": "device_busy",
        "detail": "it is with station S1",
        "remedy": DeviceBusy.remedy,
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [({"act": "hold", "run": "20260101T000000Z-0000"}, "another_run"), ({"act": "explode"}, "order_refused"),
     ({"act": "rerun", "device": "<b>x</b>"}, "order_refused"), ({"act": ["hold"]}, "order_refused"),
     ({}, "order_refused")],
)  # fmt: skip
def test_orders_that_are_none_change_nothing(page, body, code):
    answer = posted(page, "/api/order", **body)

    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert page.orders == []


def test_without_the_token_nothing_is_done(page):
    for path in ("/api/order", "/api/scan"):
        answer = posted(page, path, token=False, act="stop", text="x")
        assert (answer.status_code, answer.json()["code"]) == (403, "no_token")
    assert page.orders == page.scans == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {**JSON, "origin": "http://evil.example"},
        {**JSON, "sec-fetch-site": "cross-site"},
    ],
)
def test_what_another_sites_page_can_send_does_nothing(page, headers):
    body = json.dumps({"run": page_server.RUN, "operator": "x", "act": "stop"})

    assert asked(page, "POST", "/api/order", headers=headers, content=body).status_code == 403
    assert page.orders == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'"x"', b"[" * 3000])
def test_a_body_that_is_no_object_is_refused(page, content):
    answer = asked(page, "POST", "/api/order", headers=JSON, content=content)

    assert (answer.status_code, answer.json()["code"]) == (400, "not_understood")


def test_a_body_without_end_is_cut_off(page):
    answer = asked(page, "POST", "/api/scan", headers=JSON, content=b" " * 5000)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_long")


def test_a_scan_is_put_with_its_station_and_the_answer_comes_back(page):
    answer = posted(page, "/api/scan", text="PHHMAB804PAKLJZ", station="S1")

    assert answer.json()["code"] == "scan_taken"
    assert page.scans == [("PHHMAB804PAKLJZ", "S1", "Mira")]


def test_the_command_barcodes_are_a_page_to_print_with_a_badge(page):
    answer = asked(page, "GET", "/sheet?name=Mira&name=Jo", token=False)

    assert "PVCTLSTOP" in answer.text
    assert "PVCTLID.Mira" in answer.text
    assert answer.headers.get_list("content-security-policy") == [answer.headers["content-security-policy"]], (
        "one policy, its own"
    )
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert asked(page, "GET", "/sheet?name=%E4%B8%AD").status_code == 400
    assert "<script>" not in asked(page, "GET", "/sheet?name=<script>x</script>").text


def test_a_slot_is_asked_for_by_tray_and_number(page):
    page.lives["T-0001/3"] = {"device": "abc", "runs": []}

    assert asked(page, "GET", "/api/device/T-0001/3").json() == {"device": "abc", "runs": []}


def test_a_bug_of_the_page_is_a_500_and_the_page_goes_on(page):
    async def broken(text):
        raise ZeroDivisionError

    object.__setattr__(page.desk, "life", broken)

    assert asked(page, "GET", "/api/device/T-0001/3").status_code == 500
    assert asked(page, "GET", "/api/state").status_code == 200


def test_only_http_is_spoken(page):
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
               "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip

    assert asked(page, "GET", "/api/stream", headers=upgrade).status_code == 403


# --- closing, and readers that take nothing ---


FOREIGN = ("http://", "https://", "//cdn", "@import", "url(", "innerHTML", "insertAdjacentHTML", "document.write",
           "eval(", "new Function")  # fmt: skip


class Reader:
    """A connection that asks for the stream and reads only when told."""

    def __init__(self, page):
        self.socket = socket.create_connection(("127.0.0.1", page.address.port), timeout=5)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    def rest(self):
        data = b""
        while chunk := self.socket.recv(65536):
            data += chunk
        self.socket.close()
        return data


def wait_for_readers(page, count):
    for _ in range(500):
        if page.feed.readers == count:
            return
        time.sleep(0.01)
    raise AssertionError(f"{page.feed.readers} readers, not {count}")


def test_it_closes_at_once_with_readers_attached_and_each_gets_goodbye(tmp_path, monkeypatch):
    monkeypatch.setattr("provisioner.console.web.server.GOODBYE_S", 5.0)  # this computer may be busy
    page = page_server.PageServer(tmp_path).start()
    page_server.begin(page.write, ["S1"])
    readers = [Reader(page) for _ in range(10)]
    wait_for_readers(page, 10)

    took_s = page.close()

    assert all(b"event: bye" in reader.rest() for reader in readers)
    assert took_s < 5, "it did not wait its time out; the figure is printed by tests/console/web/measure.py"


def test_a_reader_that_takes_nothing_slows_nobody_and_costs_no_memory(page):
    stalled = [Reader(page) for _ in range(3)]
    good = Reader(page)
    wait_for_readers(page, 4)

    for number in range(300):
        page_server.visit(page.write, 10 + number, "S1", 1 + number % 20)
        time.sleep(0.002)
    answer = asked(page, "GET", "/api/state")

    assert answer.json()["parts"]["station/S1"]["visits"] == 300
    page.close()
    assert b'"visits":300' in good.rest(), "the newest state has come"
    for reader in stalled:
        reader.socket.close()


def test_a_reader_that_leaves_is_forgotten(page):
    reader = Reader(page)
    wait_for_readers(page, 1)

    reader.socket.close()

    wait_for_readers(page, 0)


def test_there_is_room_for_so_many_readers_and_the_next_is_told(page, monkeypatch):
    monkeypatch.setattr("provisioner.console.web.pages.READERS_MAX", 2)
    readers = [Reader(page) for _ in range(2)]
    wait_for_readers(page, 2)

    answer = asked(page, "GET", "/api/stream")

    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_readers")
    for reader in readers:
        reader.socket.close()


def test_everything_of_the_page_is_in_the_package_and_comes_from_nowhere_else():
    from provisioner.console.web.pages import _files

    files = _files()

    assert {"index.html", "style.css", "app.js", "words.json", "codes.json"} <= set(files)
    for name, (body, _) in files.items():
        text = body.decode()
        foreign = [word for word in FOREIGN if word in text]
        assert set(foreign) <= ({"http://"} if name in ("icon.svg", "dom.js") else set()), name
    assert os.sep not in "".join(files)
