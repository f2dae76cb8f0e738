"""What the cloud means when it says no: four families of error bodies, one set of error classes.

Rule 1: any body whatever becomes a `Refusal`; reading a refusal never fails.
Rule 2: match on the code or a known piece of text first, on the status last: the same refusal comes with different
statuses over the years (facts: particle-cloud 1, 6, 8, 15).
Rule 3: a page of HTML is somebody between us and the cloud (proxy, captive portal), so it never counts as "that
device is not there" or "those credentials are wrong".
Rule 4: the cloud repeats request URLs in its texts; whatever looks like a token is cut out before anybody sees it.

    A  {"error": "<code>", "error_description": "<text>"}       tokens, customers
    B  {"error": "Permission Denied", "info": "<text>"}         /v1/devices/:id, unknown or not ours
    C  {"ok": false, "error": "<text>"}                         products
    D  {"ok": false, "errors": ["<text>" | {..} | [..]]}        claiming
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provisioner.errors import (
    CloudAnswerLost,
    CloudBusy,
    CloudError,
    CloudRefused,
    CloudReplyUnreadable,
    CredentialsRefused,
    CustomerExists,
    DeviceNotOnline,
    NotInCloud,
    OwnedBySomeoneElse,
    PermissionRefused,
)
from provisioner.model import printable
from provisioner.secrets import Secret

BUSY = frozenset({429, 529})  # too many requests; 529 is what too many event streams get
_REASON_CHARACTERS_MAX = 200
_DEPTH_MAX = 4  # `[["Core isn't online",404]]` is 2 deep; anything deeper is not the API's
_CODE = re.compile(r"[a-z][a-z0-9_.-]{1,40}")
_LOOKS_SECRET = re.compile(r"(?<=access_token=)[^&\s\"']+|(?<=earer )\S+|[0-9a-fA-F]{40,}|[A-Za-z0-9+/]{63,}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the cloud said no. `reason` is printable and may be empty; `code` is OAuth's word, if there is one.

    `readable` is False when the body is not the API's JSON.
    """

    reason: str
    code: str | None = None
    readable: bool = True


def parse_error(status: int, body: bytes, content_type: str | None, hide: Sequence[Secret] = ()) -> Refusal:
    """Read the body of an answer with a 4xx or 5xx status. Never fails; `hide` is cut out wherever it occurs."""
    if not body.strip():
        return Refusal("")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        kind = (content_type or "no content type").split(";")[0].strip()
        return Refusal(f"{len(body)} bytes of {_safe(kind, hide)} with status {status}", readable=False)
    if not isinstance(document, dict):
        return Refusal(_safe("; ".join(_texts(document)), hide))
    error = document.get("error")
    code = error if isinstance(error, str) and _CODE.fullmatch(error) else None
    parts = [*_texts(document.get("error_description"))]
    if not parts:
        parts = [*_texts(error), *_texts(document.get("errors")), *_texts(document.get("info"))]
    return Refusal(_safe(": ".join(parts), hide), _safe(code, hide) if code else None)


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    """Every text in there, in order; numbers (repeated statuses) are left out."""
    if isinstance(value, str):
        if value.strip():
            yield value.strip()
    elif depth < _DEPTH_MAX and isinstance(value, list):
        for item in value[:8]:
            yield from _texts(item, depth + 1)
    elif depth < _DEPTH_MAX and isinstance(value, dict):
        for name in ("error_description", "message", "error", "status", "info"):
            yield from _texts(value.get(name), depth + 1)


def _safe(text: str, hide: Sequence[Secret]) -> str:
    for secret in hide:
        if secret.reveal():
            text = text.replace(secret.reveal(), "<hidden>")
    whole = text.encode("utf-8", "backslashreplace").decode()  # JSON can escape half a surrogate pair
    return printable(_LOOKS_SECRET.sub("<hidden>", whole), _REASON_CHARACTERS_MAX)


def classify(
    status: int, refusal: Refusal, *, what: str, claim: bool = False, retry_after_s: float | None = None
) -> CloudError:
    """Return the error to raise. `what` completes "the cloud would not ..."; `claim` is POST /v1/devices.

    408 and an empty 404 say "not online" only to a claim (facts: particle-cloud 8).
    """
    if status in BUSY:
        return CloudBusy(
            f"Too many requests from this site: the cloud would not {what} now", retry_after_s=retry_after_s
        )
    if status >= 500 or (status == 408 and not claim):
        return CloudAnswerLost(f"The cloud answered {status} when asked to {what}: it may or may not be done")
    if status < 400 or (not refusal.readable and status != 413):
        return CloudReplyUnreadable(
            f"Something that is not the API answered when asked to {what} (status {status}; {refusal.reason})"
        )
    reason = refusal.reason or refusal.code or "no reason given"
    detail = f"The cloud would not {what}: {reason} (status {status})"
    if status == 401 or refusal.code == "invalid_token":
        return CredentialsRefused(detail)
    return _refused_class(status, refusal, claim=claim)(detail, status=status, reason=reason)


def _refused_class(status: int, refusal: Refusal, *, claim: bool) -> type[CloudRefused]:
    said = refusal.reason.lower().replace("’", "'")
    if refusal.code == "customer_exists":
        return CustomerExists
    if "belongs to someone else" in said:
        return OwnedBySomeoneElse
    if "isn't online" in said or "not online" in said:
        return DeviceNotOnline
    if claim and (status == 408 or (status == 404 and not said)):
        return DeviceNotOnline
    if status == 404 or "recognize that device" in said:  # family B is a 403 that means "not there, or not yours"
        return NotInCloud
    return PermissionRefused if status == 403 else CloudRefused
