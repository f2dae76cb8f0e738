"""Which endpoint answers which path of the simulated cloud (facts, particle-cloud 2 to 10).

Rule 1: a table of paths; `{name}` stands for one part, `{name:path}` for the rest. Looking one up costs a step a part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from provisioner.simulator.cloud import api_customers as customers
from provisioner.simulator.cloud import api_devices as devices
from provisioner.simulator.cloud import api_events as events
from provisioner.simulator.cloud import api_products as products
from provisioner.simulator.cloud import api_team as team
from provisioner.simulator.cloud import api_tokens as tokens
from provisioner.simulator.cloud.api import Endpoint

ROUTES: Mapping[str, Mapping[str, Endpoint]] = {
    "/oauth/token": {"POST": tokens.oauth_token},
    "/v1/access_tokens": {"GET": tokens.list_tokens, "DELETE": tokens.delete_all_tokens},
    "/v1/access_tokens/current": {"GET": tokens.show_current_token, "DELETE": tokens.delete_current_token},
    "/v1/access_tokens/{token}": {"DELETE": tokens.delete_token},
    "/v1/user": {"GET": tokens.show_user},
    "/v1/user/products": {"GET": tokens.list_user_products},
    "/v1/clients": {"GET": tokens.list_own_clients, "POST": tokens.create_own_client},
    "/v1/clients/{client}": {"PUT": tokens.rename_own_client, "DELETE": tokens.delete_own_client},
    "/v1/products": {"GET": tokens.list_user_products},
    "/v1/products/{product}": {"GET": products.show_product},
    "/v1/products/{product}/clients": {"GET": tokens.list_clients, "POST": tokens.create_client},
    "/v1/products/{product}/clients/{client}": {"PUT": tokens.rename_client, "DELETE": tokens.delete_client},
    "/v1/products/{product}/team": {"GET": team.list_team, "POST": team.create_api_user},
    "/v1/products/{product}/team/{username}": {"PUT": team.change_api_user, "DELETE": team.delete_api_user},
    "/v1/products/{product}/team/{username}/token": {"PUT": team.renew_api_user_token},
    "/v1/products/{product}/devices": {
        "GET": products.list_devices,
        "POST": products.import_devices,
        "PUT": products.change_devices,
    },
    "/v1/products/{product}/devices/{device}": {
        "GET": products.show_device,
        "PUT": products.change_device,
        "DELETE": products.remove_device,
    },
    "/v1/products/{product}/devices/{device}/owner": {"DELETE": products.release_device},
    "/v1/products/{product}/devices/{device}/ping": {"PUT": products.ping_device},
    "/v1/products/{product}/devices/{device}/events": {"GET": events.product_device_events},
    "/v1/products/{product}/devices/{device}/events/{prefix:path}": {"GET": events.product_device_events},
    "/v1/products/{product}/events": {"GET": events.product_events},
    "/v1/products/{product}/events/{prefix:path}": {"GET": events.product_events},
    "/v1/products/{product}/customers": {"GET": customers.list_customers, "POST": customers.create_customer},
    "/v1/products/{product}/customers/{customer:path}": {
        "PUT": customers.change_customer,
        "DELETE": customers.delete_customer,
    },
    "/v1/products/{product}/device_claims": {"POST": customers.create_product_claim_code},
    "/v1/device_claims": {"POST": customers.create_claim_code},
    "/v1/devices": {"GET": devices.list_own_devices, "POST": devices.claim_by_id},
    "/v1/devices/events": {"GET": events.own_events},
    "/v1/devices/events/{prefix:path}": {"GET": events.own_events},
    "/v1/devices/{device}": {
        "GET": devices.show_own_device,
        "PUT": devices.change_own_device,
        "DELETE": devices.unclaim_own_device,
    },
    "/v1/devices/{device}/ping": {"PUT": devices.ping_own_device},
    "/v1/devices/{device}/events": {"GET": events.own_device_events},
    "/v1/devices/{device}/events/{prefix:path}": {"GET": events.own_device_events},
    "/v1/devices/{device}/{variable}": {"GET": devices.read_variable},
    "/v1/events/{prefix:path}": {"GET": events.public_events},
    "/v1/serial_numbers/{serial}": {"GET": devices.look_up_serial},
    "/v1/provisioning/{device}": {"POST": devices.send_public_key},
}


@dataclass
class _Node:
    """One part of a path: what may follow it, and what answers if nothing does."""

    literal: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    rest: _Node | None = None
    name: str = ""
    route: str = ""


@dataclass(frozen=True)
class Found:
    """The route of a path, its endpoints by method, and the variable parts."""

    route: str
    endpoints: Mapping[str, Endpoint]
    path_args: Mapping[str, str]


_NOWHERE = Found("unknown route", {}, {})


def _tree() -> _Node:
    root = _Node()
    for route in ROUTES:
        node = root
        for part in route.split("/")[1:]:
            if not part.startswith("{"):
                node = node.literal.setdefault(part, _Node())
            elif part.endswith(":path}"):
                node.rest = node.rest or _Node(name=part[1:-6])
                node = node.rest
            else:
                node.variable = node.variable or _Node(name=part[1:-1])
                node = node.variable
        node.route = route
    return root


_ROOT = _tree()


def find(path: str) -> Found:
    """What answers this (decoded) path; literal parts win over variable ones."""
    return _find(_ROOT, path.split("/")[1:], {}) or _NOWHERE


def _find(node: _Node, parts: list[str], args: dict[str, str]) -> Found | None:
    if not parts:
        return Found(node.route, ROUTES[node.route], args) if node.route else None
    head, *rest = parts
    if head in node.literal and (found := _find(node.literal[head], rest, args)):
        return found
    if node.variable is not None and head:
        found = _find(node.variable, rest, {**args, node.variable.name: head})
        if found:
            return found
    if node.rest is not None and any(parts):
        return Found(node.rest.route, ROUTES[node.rest.route], {**args, node.rest.name: "/".join(parts)})
    return None
