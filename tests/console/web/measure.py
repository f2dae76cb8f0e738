"""Figures of the page, printed: its bytes, how soon it closes with readers attached, how soon news is on the wire.

.venv/bin/python tests/console/web/measure.py [--readers 10]

The share of its time that the browser's main thread is busy is printed by test_browser_load.py (`pytest -s`).
"""

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import page_server

from provisioner.console.web import static_folder
from provisioner.journal.writer import open_journal


def attach(port):
    """A reader of the stream, as a browser is one."""
    reader = socket.create_connection(("127.0.0.1", port), timeout=20)
    reader.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    reader.recv(65536)
    return reader


def bytes_of_the_page():
    """Plain and compressed, of all files a browser loads."""
    files = [Path(str(file)).read_bytes() for file in static_folder().iterdir()]
    return len(files), sum(map(len, files)), sum(len(zlib.compress(data, 9)) for data in files)


def closing_s(readers):
    """How long the server needs to say goodbye to so many readers and end."""
    with tempfile.TemporaryDirectory() as folder:
        page = page_server.PageServer(Path(folder)).start()
        page_server.begin(page.write, ["S1"])
        attached = [attach(page.address.port) for _ in range(readers)]
        while page.feed.readers < readers:
            time.sleep(0.01)
        took_s = page.close()
        for reader in attached:
            reader.close()
        return took_s


def process_closing_s(readers):
    """From Ctrl-C to the end of the process, interpreter shutdown included, of `provisioner console`."""
    with tempfile.TemporaryDirectory() as folder:
        with open_journal(Path(folder), page_server.RUN, wall=lambda: page_server.START, mono=lambda: 0.0) as journal:
            page_server.begin(lambda _, event, **fields: journal.append(event, **fields), ["S1"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = Path(sys.executable).with_name("provisioner")
        process = subprocess.Popen(
            [command, "console", "--bind", f"127.0.0.1:{port}", "--runs-dir", folder],
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                attached = [attach(port) for _ in range(readers)]
                break
            except OSError:
                time.sleep(0.1)
        time.sleep(0.5)
        began_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
        took_s = time.monotonic() - began_s
        for reader in attached:
            reader.close()
        return took_s, code


def news_ms(count=50):
    """From a record to its bytes at a reader: half a tick on average, by design."""
    with tempfile.TemporaryDirectory() as folder, page_server.serving(Path(folder)) as page:
        page_server.begin(page.write, ["S1"])
        reader = attach(page.address.port)
        times, seen = [], threading.Event()

        def read():
            while data := reader.recv(65536):
                if b'"visits"' in data:
                    seen.set()

        threading.Thread(target=read, daemon=True).start()
        for number in range(count):
            time.sleep(0.31)
            seen.clear()
            began_s = time.monotonic()
            page_server.visit(page.write, 10 + number, "S1", 1 + number % 20, until="visit.started")
            seen.wait(5)
            times.append((time.monotonic() - began_s) * 1000)
        return sorted(times)[count // 2], max(times)


def main():
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=10)
    readers = parser.parse_args().readers
    files, plain, packed = bytes_of_the_page()
    print(f"the page: {files} files, {plain:,} bytes ({packed:,} compressed)")
    times = sorted(closing_s(readers) for _ in range(5))
    print(f"closing with {readers} readers attached: {times[2] * 1000:.0f} ms, at worst {times[-1] * 1000:.0f} ms")
    times = sorted(process_closing_s(readers)[0] for _ in range(3))
    print(f"Ctrl-C to the end of the process, {readers} readers: {times[1] * 1000:.0f} ms")
    middle, worst = news_ms()
    print(f"a record at a reader after {middle:.0f} ms, at worst {worst:.0f} ms")


if __name__ == "__main__":
    main()
