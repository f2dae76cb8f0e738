"""Who may look at the page, and who may act on the line. Pure.

Rule 1: acting always needs the token, in a header that no other site's page can set, from this very page.
Rule 2: looking needs it too as soon as the page can be reached from other computers.
Rule 3: on loopback the name that was asked for must be loopback's: a hostile name that leads here is refused.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from provisioner.secrets import Secret

TOKEN_CHARACTERS_MIN: Final = 16
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches that address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class Guard:
    """`open_to_all`: the page is bound beyond loopback. Headers come with lower-case names."""

    token: Secret
    open_to_all: bool = False

    def knows_host(self, headers: Mapping[str, str]) -> bool:
        """Rule 3."""
        name, _, port = headers.get("host", "").rpartition(":")
        host = name if port.isdigit() and name else headers.get("host", "")
        return self.open_to_all or host.lower() in _LOOPBACK_NAMES

    def may_look(self, headers: Mapping[str, str]) -> bool:
        """Rule 2."""
        return not self.open_to_all or self.has_token(headers)

    def may_act(self, headers: Mapping[str, str]) -> bool:
        """Rule 1."""
        return self.has_token(headers) and _from_this_page(headers)

    def has_token(self, headers: Mapping[str, str]) -> bool:
        """Whether the right token came along."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self.token.reveal().encode())


def _from_this_page(headers: Mapping[str, str]) -> bool:
    """A request that a form or another site's script sends has another type, another origin, or another site."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return False
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host", ""):
        return False
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
