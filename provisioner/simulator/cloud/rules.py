"""How strict the simulated cloud is: what nobody could find out about the real one, as switches.

Rule 1: every unknown of facts, particle-cloud 15 and 16, is a field here, and its default is the one chosen there.
Rule 2: every refusal is one of four families of error bodies (facts 1); they are spelt here and nowhere else.
Rule 3: nothing here knows of HTTP servers, sockets or time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

NO_STORE = (("cache-control", "no-store"), ("pragma", "no-cache"))  # recorded on the token endpoint and its errors


@dataclass(frozen=True, slots=True)
class CloudRules:
    """Switches of the simulated cloud. The number before each group is the item of facts, particle-cloud 15."""

    # 1: import
    import_reply: Literal["current", "legacy"] = "current"  # legacy: the three fields of 2017
    import_protected_list: bool = False  # an empty `protectedDeviceIds` is sent too
    import_echo: Literal["lower", "verbatim"] = "lower"
    import_ids_max: int | None = None
    import_too_many_status: Literal[400, 413] = 400
    # 2: customers
    customer_exists_status: Literal[400, 409] = 400
    customer_unknown_status: int = 400
    customers_without_device_listed: bool = False
    customer_calls_are_token_calls: bool = False
    # 3: claim by ID of an imported, offline device with a customer token
    offline_customer_claim: Literal["accepted", "empty", "errors"] = "accepted"
    # 4: an unknown product with a valid token
    unknown_product: Literal["permission", "not_found"] = "permission"
    # 5: paging
    page_devices_default: int = 25
    page_devices_max: int | None = 100
    # 6: `owner` of an unclaimed device
    unclaimed_owner: Literal["absent", "null"] = "absent"
    # 7, 8, 9: claim codes
    claim_code_life_s: float = 3600.0
    claim_code_takes_over: bool = True  # from another owner within the same product
    claim_code_adds_to_product: bool = False
    claim_code_wrong_token_status: int = 403
    # 10: limits, counted for the site's one public address
    requests_per_5min: int = 10_000
    token_calls_per_5min: int = 100
    token_failures_max: int = 10  # in a row; then the address is locked out
    lockout_s: float = 1800.0
    lockout_of: Literal["everything", "tokens"] = "everything"
    serial_lookups_per_h: int = 50
    streams_per_5min: int = 100
    streams_max: int = 100  # open at once; beyond either: 529
    event_keep_alive_s: float = 9.0  # a lone newline; the prose speaks of 60, clients give up after 13 to 15
    busy_retry_after_s: int | None = None
    busy_body: Literal["json", "html"] = "json"
    # 11, 13: shapes and tokens
    product_shape: Literal["object", "array"] = "object"
    query_token: bool = True  # accounts made after December 2024 cannot
    client_refused_status: int = 400  # a wrong client ID or secret; 401 is as likely
    access_token_life_s: int = 7_776_000
    refresh_token_life_s: int = 1_209_600
    body_bytes_max: int = 8 * 1024 * 1024


class Refused(Exception):
    """The cloud says no: HTTP status, JSON body and headers of the answer."""

    def __init__(self, status: int, body: Json, *, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers


def oauth_refused(status: int, code: str, text: str) -> Refused:
    """Family A: token endpoint, missing or bad access token, customers."""
    return Refused(status, {"error": code, "error_description": text}, headers=NO_STORE)


def device_not_recognised() -> Refused:
    """Family B: `/v1/devices/:id` of a device that is unknown or not the caller's (403; text as recorded)."""
    info = (
        "I didn't recognize that device name or ID, try opening "
        "https://api.particle.io/v1/devices?access_token=undefined"
    )
    return Refused(403, {"error": "Permission Denied", "info": info})


def said_no(status: int, text: str) -> Refused:
    """Family C: products, variables, everything newer."""
    return Refused(status, {"ok": False, "error": text})


def permission_denied() -> Refused:
    """Family C, 403: a valid token that has no business here."""
    return said_no(403, "Permission denied")


def claim_refused(status: int, *errors: Json) -> Refused:
    """Family D: claiming by ID."""
    return Refused(status, {"ok": False, "errors": list(errors)})
