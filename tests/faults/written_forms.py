"""Looks for whole secrets in each form that one encoder gives them: quick enough for every seed.

`provisioner.simulator.leaks` undoes all that could have been done to the data, forms inside forms too, and finds parts
of secrets; it takes twenty times as long. Here the secrets are encoded, and each is looked for as it would stand there.

Rule: a secret's form shows itself by one of its first `_STRIDE` windows, wherever it begins, if the data is looked at
in steps of `_STRIDE`; so a file costs one look for that many bytes, however many secrets there are.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

_WINDOW = 8
_STRIDE = 24
# Upper and lower case count as one, and so do the two alphabets of base64.
_ALIKE = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_", b"abcdefghijklmnopqrstuvwxyz+/")


class WrittenForms:
    """All forms of these secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        texts = {form.translate(_ALIKE) for secret in secrets for form in forms_of(secret)}
        self._short = [text for text in texts if len(text) < _STRIDE + _WINDOW - 1]
        self._long = [text for text in texts if len(text) >= _STRIDE + _WINDOW - 1]
        self._windows = {text[at : at + _WINDOW] for text in self._long for at in range(_STRIDE)}

    def stand_in(self, data: bytes) -> bool:
        """Whether any secret stands in there, whole, in one of its forms."""
        plain = data.translate(_ALIKE)
        if any(text in plain for text in self._short):
            return True
        steps = range(0, len(plain) - _WINDOW + 1, _STRIDE)
        if self._windows.isdisjoint([plain[at : at + _WINDOW] for at in steps]):
            return False
        return any(text in plain for text in self._long)


def forms_of(secret: str) -> Iterator[bytes]:
    """The secret as it is, URL- and JSON-escaped, in hex, and in base64 wherever it begins in what was encoded."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    yield json.dumps(secret)[1:-1].encode()
    yield raw.hex().encode()
    for before, skipped in ((0, 0), (1, 2), (2, 3)):  # characters that also hold bits of what stands before
        encoded = base64.b64encode(bytes(before) + raw)
        yield encoded[skipped : (before + len(raw)) * 8 // 6]
