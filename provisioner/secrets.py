"""Secrets that cannot be printed.

Rule 1: a client secret, token, Wi-Fi password or claim code is a `Secret` from the moment it is read until the
byte it is sent as; `reveal()` is the only way in, so every use can be found by searching for that word.
Rule 2: nothing here is logged, pickled, formatted or compared in a way that tells its content.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NoReturn

from provisioner.errors import SecretUnsafe

CLAIM_CODE_CHARACTERS = 63
_CLAIM_CODE = re.compile(r"[A-Za-z0-9+/]{63}")
_TOKEN = re.compile(r"[0-9a-fA-F]{40}")


def looks_secret(value: object) -> bool:
    """Whether a text has the shape of an access token or client secret: exactly 40 hex digits."""
    return isinstance(value, str) and len(value) == 40 and _TOKEN.fullmatch(value) is not None


class Secret:
    """A text that must never be shown. `repr`, `str` and `format` say `<hidden>`; it cannot be pickled."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the text. Call it only where the bytes leave for their one destination."""
        return self.__text

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<hidden>)"

    def __str__(self) -> str:
        return "<hidden>"

    def __format__(self, spec: str) -> str:
        return "<hidden>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # surrogatepass: an environment may hold bytes that are not UTF-8, and an error would carry the text
        mine, theirs = (secret.__text.encode("utf-8", "surrogatepass") for secret in (self, other))
        return hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash(self.__text)

    def __dir__(self) -> list[str]:
        return ["reveal"]  # what lists the members of an object, to show them, finds none that holds the text

    def __reduce__(self) -> NoReturn:
        raise SecretUnsafe("a secret cannot be pickled")

    def __getstate__(self) -> NoReturn:
        raise SecretUnsafe("a secret has no state to show")


class ClaimCode(Secret):
    """Exactly 63 base64 characters, single use, one hour (facts: photon-softap T13, particle-cloud 7).

    A Photon cuts a longer code to 63 and still answers `r:0`, so another length is refused here.
    """

    __slots__ = ()

    def __init__(self, text: str) -> None:
        if len(text) != CLAIM_CODE_CHARACTERS:
            raise ValueError(f"a claim code has {CLAIM_CODE_CHARACTERS} characters, this has {len(text)}")
        if not _CLAIM_CODE.fullmatch(text):
            raise ValueError("a claim code has only base64 characters, this has others")
        super().__init__(text)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that name the code in the journal; 378 random bits make it safe to tell."""
        return hashlib.sha256(self.reveal().encode()).hexdigest()[:12]
