"""Bars that every scanner reads: the standard's arithmetic, known encodings, and an independent reader."""

import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.scanner.code128 import _WIDTHS, QUIET_MODULES, svg, symbols, widths

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)


def test_the_table_holds_what_the_standard_says_of_every_symbol():
    """Eleven modules, an even number of them black, no two alike; the stop has thirteen."""
    *all_but_stop, stop = _WIDTHS

    assert len(all_but_stop) == 106
    assert len(set(all_but_stop)) == 106
    for pattern in all_but_stop:
        assert sum(map(int, pattern)) == 11, pattern
        assert sum(map(int, pattern[::2])) % 2 == 0, pattern
        assert set(pattern) <= set("1234"), pattern
    assert (stop, sum(map(int, stop))) == ("2331112", 13)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("Wikipedia", 88),  # the example of Wikipedia's article
        ("PJJ123C", 55),  # textbooks: 54 with start A, which counts one less
    ],
)
def test_check_symbols_of_known_barcodes(text, check):
    values = symbols(text)

    assert (values[0], values[-2], values[-1]) == (104, check, 106)


@given(PRINTABLE)
def test_what_is_drawn_reads_back(text):
    """Our own reader: from widths to values to text, checking the check symbol."""
    flat = "".join(map(str, widths(text)))
    assert flat.endswith("2331112")
    values = [_WIDTHS.index(flat[at : at + 6]) for at in range(0, len(flat) - 7, 6)]

    start, *body, check = values
    assert start == 104
    assert check == (104 + sum(place * value for place, value in enumerate(body, 1))) % 103
    assert "".join(chr(value + 32) for value in body) == text


@pytest.mark.parametrize("text", ["", "Zoë", "a\tb", "\x7f"])
def test_what_the_set_cannot_say_is_refused(text):
    with pytest.raises(ValueError, match="printable ASCII"):
        symbols(text)


def test_the_image_is_well_formed_black_on_white_with_quiet_zones():
    root = ET.fromstring(svg("PVCTLSTOP"))
    _, _, width, _ = (int(part) for part in root.attrib["viewBox"].split())
    path = root.find("{http://www.w3.org/2000/svg}path")

    assert width == sum(widths("PVCTLSTOP")) + 2 * QUIET_MODULES
    assert path.attrib["d"].startswith(f"M{QUIET_MODULES} 0h")
    assert "script" not in svg("<script>")


@pytest.mark.skipif(shutil.which("zbarimg") is None, reason="zbarimg is not installed (tests/debian-packages.sh)")
@pytest.mark.parametrize(
    "text", ["PVCTLSTOP", "PVCTLID.Grace Hopper", "PHHMAB804PAKLJZ", "T-0001/17", "~!@ #^&*()_+{}"]
)
def test_an_independent_reader_reads_what_is_drawn(tmp_path, text):
    modules = [0] * QUIET_MODULES
    for place, width in enumerate(widths(text)):
        modules += [1 - place % 2] * width
    modules += [0] * QUIET_MODULES
    row = b"".join((b"\x00" if black else b"\xff") * 3 for black in modules)
    image = tmp_path / "code.pgm"
    image.write_bytes(b"P5 %d 60 255\n" % len(row) + row * 60)

    done = subprocess.run(["zbarimg", "-q", "--raw", str(image)], capture_output=True, text=True, check=False)

    assert done.stdout.strip() == text
