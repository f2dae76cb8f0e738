"""What can be read off the style sheet: contrast of every pair of colours, and nothing told by colour alone."""

import re
from pathlib import Path

from provisioner.console.stage import Kind
from provisioner.console.web import static_folder

CSS = Path(str(static_folder() / "style.css")).read_text()
SHAPES = Path(str(static_folder() / "shapes.js")).read_text()
PLAIN = re.sub(r"/\*.*?\*/", "", CSS, flags=re.DOTALL)
VARIABLES = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", PLAIN))
AA, AA_LARGE = 4.5, 3.0


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colour_of(value):
    found = re.fullmatch(r"var\(--([a-z-]+)\)|(#[0-9a-f]{6})", value.strip())
    return None if found is None else VARIABLES.get(found.group(1)) or found.group(2)


def rules():
    """(selector, declarations) of every rule, those inside media queries too."""
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", PLAIN):
        yield selector.strip(), dict(re.findall(r"(?:^|;)\s*([a-z-]+):\s*([^;]+)", body))


def test_contrast_of_white_and_black_is_what_the_standard_says():
    assert round(contrast("#ffffff", "#000000"), 1) == 21.0
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


def test_every_text_can_be_read_on_its_ground():
    pairs = 0
    for selector, declared in rules():
        text, ground = colour_of(declared.get("color", "")), colour_of(declared.get("background", ""))
        if text and ground:
            pairs += 1
            assert contrast(text, ground) >= AA, f"{selector}: {contrast(text, ground):.2f}"
    assert pairs > 40


def test_soft_and_coloured_text_can_be_read_on_every_paper_it_stands_on():
    for text in ("ink", "soft", "blue", "pass", "fail", "open-ink", "ask"):
        for paper in ("paper", "card"):
            assert contrast(VARIABLES[text], VARIABLES[paper]) >= AA, (text, paper)


def test_grounds_of_verdicts_are_told_apart_in_black_and_white_where_colour_fails():
    """PASS and FAIL may look alike to some eyes: their shapes differ, FAIL has stripes that nothing at work has."""
    kinds = set(re.findall(r"^  (\w+): \(\) =>", SHAPES, re.MULTILINE))
    striped = {kind for selector, declared in rules() if "border-image" in declared
               for kind in re.findall(r'data-kind="([a-z-]+)"', selector)}  # fmt: skip

    assert {str(kind) for kind in Kind} <= kinds, "every kind has a shape of its own"
    assert striped == {"fail", "finished-bad", "held", "drained"}
    assert contrast(VARIABLES["fail"], VARIABLES["white"]) > 7
    assert contrast(VARIABLES["fail"], VARIABLES["card"]) > 7, "RUNNING is on white: FAIL is not"


def test_nothing_moves_for_those_who_do_not_want_it():
    moving = re.search(r"@media \(prefers-reduced-motion: no-preference\) \{.*?\n\}", PLAIN, re.DOTALL).group(0)

    assert PLAIN.count("animation:") == moving.count("animation:") > 0
