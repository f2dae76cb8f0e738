"""Charts as SVG text, to be read on paper and without colour: every bar has its number, every cell its sign. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from provisioner.model import printable

TEXT_CHARACTERS_MAX = 1_000
_BAR_H, _ROW_H, _LABEL_W, _WIDTH = 18, 26, 230, 760


def text(raw: str) -> str:
    """A text from outside as it may stand in a page, in an element or an attribute."""
    return escape(printable(raw, TEXT_CHARACTERS_MAX), quote=True)


def bars(rows: Sequence[tuple[str, float]], *, title: str) -> str:
    """Horizontal bars with their labels and numbers, in the order given."""
    if not rows:
        return "<p>None.</p>"
    longest = max(value for _, value in rows) or 1
    height = _ROW_H * len(rows)
    drawn = []
    for number, (label, value) in enumerate(rows):
        y = number * _ROW_H
        width = max(1.0, (_WIDTH - _LABEL_W - 70) * value / longest)
        drawn.append(
            f'<text x="{_LABEL_W - 8}" y="{y + 17}" text-anchor="end">{text(label)}</text>'
            f'<rect x="{_LABEL_W}" y="{y + 3}" width="{width:.1f}" height="{_BAR_H}"/>'
            f'<text x="{_LABEL_W + width + 6:.1f}" y="{y + 17}">{value:g}</text>'
        )
    return _svg(_WIDTH, height, title, "".join(drawn))


def histogram(bins: Sequence[tuple[float, int]], step: float, *, title: str, unit: str, bins_max: int = 24) -> str:
    """Columns over a scale; where there are `bins_max`, the last one takes everything that is longer."""
    if not bins:
        return "<p>Too few to show.</p>"
    most = max(count for _, count in bins) or 1
    wide = max(14.0, min(46.0, (_WIDTH - 40) / len(bins)))
    drawn = []
    for number, (low, count) in enumerate(bins):
        high = 120 * count / most
        x = 20 + number * wide
        drawn.append(f'<rect x="{x:.1f}" y="{140 - high:.1f}" width="{wide - 3:.1f}" height="{high:.1f}"/>')
        if count:
            middle = x + (wide - 3) / 2
            drawn.append(f'<text x="{middle:.1f}" y="{135 - high:.1f}" text-anchor="middle">{count}</text>')
        if number % max(1, len(bins) // 8) == 0:
            drawn.append(f'<text x="{x:.1f}" y="158">{low:g}</text>')
    longer = "; the last column is all that took longer" if len(bins) >= bins_max else ""
    drawn.append(f'<text x="20" y="176">{text(unit)}, {step:g} each{longer}</text>')
    return _svg(_WIDTH, 184, title, "".join(drawn))


def _svg(width: float, height: float, title: str, inner: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{text(title)}">'
        f"<title>{text(title)}</title>{inner}</svg>"
    )
