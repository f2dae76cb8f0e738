"""What hangs at a station is what the line understands."""

import pytest

from provisioner.line.scan_text import Command, Framing, Ordered
from provisioner.scanner.sheet import command_sheet, page


def test_every_command_there_is_stands_on_the_sheet_and_is_understood():
    codes = command_sheet(operators=["Ada"])

    assert {code.command for code in codes} == set(Command)
    for code in codes:
        name = "Ada" if code.command is Command.BADGE else ""
        assert Framing().command_of(Framing().text_of(code.text)) == Ordered(code.command, name)
        assert code.says.endswith(".")


def test_a_prefix_of_the_site_is_printed_and_understood():
    codes = command_sheet(prefix="LINE3.")

    assert all(Framing(command_prefix="LINE3.").command_of(code.text) for code in codes)
    assert not any(Framing().command_of(code.text) for code in codes)


@pytest.mark.parametrize("name", ["", " ", "x" * 33, "Zoë"])
def test_a_name_that_no_barcode_can_say_is_refused(name):
    with pytest.raises(ValueError, match=r"name on a badge|printable ASCII"):
        command_sheet(operators=[name])


def test_the_page_prints_by_itself_and_names_are_text():
    text = page(command_sheet(operators=["<b>Ada</b>"]), title="Line <3>")

    assert text.count("<svg") == len(Command)
    assert "<b>Ada" not in text
    assert "&lt;b&gt;Ada&lt;/b&gt;" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "src=" not in text
