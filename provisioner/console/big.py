"""Words of letters five rows high, to be read from three metres. Pure."""

from __future__ import annotations

from typing import Final

ROWS: Final = 5
# Each letter's five rows; a row's number in binary is its five cells, ink for 1.
_LETTERS: Final = {
    "A": (14, 17, 31, 17, 17), "B": (30, 17, 30, 17, 30), "C": (15, 16, 16, 16, 15), "D": (30, 17, 17, 17, 30),
    "E": (31, 16, 30, 16, 31), "F": (31, 16, 30, 16, 16), "G": (15, 16, 19, 17, 15), "H": (17, 17, 31, 17, 17),
    "I": (14, 4, 4, 4, 14), "J": (7, 2, 2, 18, 12), "K": (17, 18, 28, 18, 17), "L": (16, 16, 16, 16, 31),
    "M": (17, 27, 21, 17, 17), "N": (17, 25, 21, 19, 17), "O": (14, 17, 17, 17, 14), "P": (30, 17, 30, 16, 16),
    "Q": (14, 17, 21, 18, 13), "R": (30, 17, 30, 18, 17), "S": (15, 16, 14, 1, 30), "T": (31, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 14), "V": (17, 17, 17, 10, 4), "W": (17, 17, 21, 27, 17), "X": (17, 10, 4, 10, 17),
    "Y": (17, 10, 4, 4, 4), "Z": (31, 2, 4, 8, 31), "0": (14, 19, 21, 25, 14), "1": (4, 12, 4, 4, 14),
    "2": (30, 1, 14, 16, 31), "3": (30, 1, 14, 1, 30), "4": (18, 18, 31, 2, 2), "5": (31, 16, 30, 1, 30),
    "6": (14, 16, 30, 17, 14), "7": (31, 1, 2, 4, 4), "8": (14, 17, 14, 17, 14), "9": (14, 17, 15, 1, 14),
    "?": (14, 1, 6, 0, 4), "!": (4, 4, 4, 0, 4), "-": (0, 0, 14, 0, 0), ".": (0, 0, 0, 0, 4), ",": (0, 0, 0, 4, 8),
    " ": (0, 0, 0, 0, 0),
}  # fmt: skip


def big(word: str, width: int, *, ink: str = "█") -> list[str]:
    """The word in five rows, as wide as fits; in one row of spaced letters where not even that does."""
    letters = [_LETTERS.get(char) for char in word.upper()]
    for size in (2, 1):
        if (6 * len(letters) - 1) * size <= width and None not in letters:
            return [_row([letter[row] for letter in letters if letter is not None], size, ink) for row in range(ROWS)]
    spaced = " ".join(word)
    return [spaced if len(spaced) <= width else word]


def _row(bits: list[int], size: int, ink: str) -> str:
    cells = " ".join("".join(ink if number >> place & 1 else " " for place in range(4, -1, -1)) for number in bits)
    return "".join(cell * size for cell in cells).rstrip()
