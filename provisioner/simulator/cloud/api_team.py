"""Endpoints of a product's team: people, and API users with scopes (facts, particle-cloud 12).

Rule 1: an API user has one token without end; new scopes or a renewal give a fresh one, and the old one dies.
"""

from __future__ import annotations

from provisioner.simulator.cloud.api import NO_CONTENT, Answer, Ask, caller, may_see, product_in_path
from provisioner.simulator.cloud.rules import Json, oauth_refused, permission_denied, said_no
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import SimAccount, SimProduct, TokenKind

SCOPES = frozenset(
    f"{what}:{act}"
    for what, acts in {
        "clients": "create list remove update",
        "customers": "list remove update",
        "devices": "get import list ping release remove update",
        "events": "get send",
        "products": "get list",
        "teams.users": "invite list remove update",
    }.items()
    for act in acts.split()
)


def _product_of_administrator(cloud: SimCloud, ask: Ask) -> SimProduct:
    """The product, if a person on its team asks: API users and product tokens may not manage the team."""
    token = caller(cloud, ask)
    product = product_in_path(cloud, ask)
    if token.kind is not TokenKind.USER or not may_see(cloud, token, product.id):
        raise permission_denied()
    return product


def list_team(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/products/:p/team."""
    product = _product_of_administrator(cloud, ask)
    role: Json = {"id": "000000000000000000000002", "name": "Administrator"}
    people: list[Json] = [{"username": name, "role": role} for name in cloud.accounts.team_of(product.id)]
    robots: list[Json] = [{"username": one.username, "is_programmatic": True} for one in _robots(cloud, product)]
    return Answer({"ok": True, "team": [*people, *robots]})


def create_api_user(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /v1/products/:p/team with `friendly_name` and `scopes`."""
    product = _product_of_administrator(cloud, ask)
    name = (ask.text("friendly_name") or "").strip()
    if not name:
        raise oauth_refused(400, "invalid_request", "friendly_name is required")
    return _created(cloud, product, cloud.accounts.add_api_user(name, product), _scopes(ask))


def change_api_user(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/products/:p/team/:username with new `scopes`: gives a fresh token."""
    product = _product_of_administrator(cloud, ask)
    return _created(cloud, product, _named(cloud, ask, product), _scopes(ask))


def renew_api_user_token(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/products/:p/team/:username/token."""
    product = _product_of_administrator(cloud, ask)
    user = _named(cloud, ask, product)
    return _created(cloud, product, user, cloud.accounts.scopes_of(user))


def delete_api_user(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/products/:p/team/:username: the user and its token."""
    product = _product_of_administrator(cloud, ask)
    cloud.accounts.forget_api_user(_named(cloud, ask, product))
    return NO_CONTENT


def _scopes(ask: Ask) -> frozenset[str]:
    wished = frozenset(ask.texts("scopes"))
    if not wished or wished - SCOPES:
        raise oauth_refused(
            400, "invalid_scope", f"Unknown scopes: {', '.join(sorted(wished - SCOPES)) or 'none given'}"
        )
    return wished


def _robots(cloud: SimCloud, product: SimProduct) -> list[SimAccount]:
    return cloud.accounts.api_users_of(product.id)


def _named(cloud: SimCloud, ask: Ask, product: SimProduct) -> SimAccount:
    found = next((one for one in _robots(cloud, product) if one.username == ask.path_args["username"]), None)
    if found is None:
        raise said_no(404, "User not found")
    return found


def _created(cloud: SimCloud, product: SimProduct, user: SimAccount, scopes: frozenset[str]) -> Answer:
    cloud.accounts.revoke_all(user)
    token = cloud.accounts.issue(
        TokenKind.API_USER, "api-user", now_s=0.0, life_s=None, account=user, product_id=product.id, scopes=scopes
    )
    created: Json = {"username": user.username, "is_programmatic": True, "tokens": [{"token": token.access}]}
    return Answer({"ok": True, "created": created})
