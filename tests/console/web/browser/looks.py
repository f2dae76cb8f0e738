"""What all browser tests look with: sizes of screens, the printed link, a scanner's burst, and `looks.js`."""

import re
from pathlib import Path

KIOSK, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}
# The functions of looks.js by name, each to be evaluated in a page.
LOOKS = {
    name: f"() => {{ {(Path(__file__).with_name('looks.js')).read_text().replace('export ', '')} return {name}(); }}"
    for name in re.findall(r"export function (\w+)", Path(__file__).with_name("looks.js").read_text())
}


def link(server):
    """The link that the program prints."""
    return f"{server.url}/#token={server.address.guard.token.reveal()}"


def burst(page, text, gap_ms=3):
    """A label as a keyboard-type scanner types it."""
    page.keyboard.type(text, delay=gap_ms)
    page.keyboard.press("Enter")
