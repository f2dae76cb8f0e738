"""Endpoints about credentials: /oauth/token, access tokens, OAuth clients, the user (facts, particle-cloud 2, 14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from provisioner.simulator.cloud.api import NO_CONTENT, OK, Answer, Ask, account_of_caller, caller, product_for_caller
from provisioner.simulator.cloud.rows import product_object, stamp
from provisioner.simulator.cloud.rules import NO_STORE, Json, Refused, claim_refused, oauth_refused, said_no
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import SimAccount, SimClient, SimProduct, SimToken, TokenKind, What

_NO_LIMIT_S = 100 * 365 * 86400


def oauth_token(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /oauth/token. Every refusal counts: after ten in a row the site is locked out."""
    try:
        answer = _grant(cloud, ask)
    except Refused as refused:
        code = refused.body.get("error", "") if isinstance(refused.body, dict) else ""
        cloud.history.note(What.TOKEN_REFUSED, detail=str(code))
        if cloud.limits.token_refused(cloud.clock.seconds()):
            cloud.history.note(What.LOCKED_OUT)
        raise
    cloud.limits.token_granted()
    return answer


def _grant(cloud: SimCloud, ask: Ask) -> Answer:
    if ask.body.encoding != "form":
        raise oauth_refused(
            400, "invalid_request", "Method must be POST with application/x-www-form-urlencoded encoding"
        )
    grant = ask.text("grant_type")
    if grant not in ("client_credentials", "password", "refresh_token"):
        raise oauth_refused(400, "invalid_request", "Invalid or missing grant_type parameter")
    client = client_of(cloud, ask)
    if grant == "password":
        return _password(cloud, ask, client)
    if client.product_id is None:
        raise oauth_refused(400, "unauthorized_client", "The grant type is unauthorised for this client_id")
    if grant == "refresh_token":
        renewed = cloud.accounts.spend_refresh(ask.text("refresh_token") or "", client, cloud.clock.seconds())
        if renewed is None:
            raise oauth_refused(400, "invalid_grant", "Invalid refresh token")
        return issue(cloud, ask, client, kind=TokenKind.PRODUCT, grant=grant)
    scope = ask.text("scope") or ""
    if not scope.startswith("customer="):
        return issue(cloud, ask, client, kind=TokenKind.PRODUCT, grant=grant)
    customer = cloud.accounts.customer(scope.removeprefix("customer="), client.product_id)
    if customer is None:
        raise oauth_refused(cloud.rules.customer_unknown_status, "invalid_scope", "The customer does not exist")
    return issue(cloud, ask, client, kind=TokenKind.CUSTOMER, account=customer, grant=grant)


def _password(cloud: SimCloud, ask: Ask, client: SimClient) -> Answer:
    user = cloud.accounts.user_by_password(ask.text("username") or "", ask.text("password") or "")
    if user is None:
        raise oauth_refused(400, "invalid_grant", "User credentials are invalid")
    return issue(cloud, ask, client, kind=TokenKind.USER, account=user, grant="password")


def client_of(cloud: SimCloud, ask: Ask) -> SimClient:
    """The OAuth client, by Basic credentials or by `client_id` and `client_secret` in the body. Raises Refused."""
    client_id, secret = ask.basic or (ask.text("client_id") or "", ask.text("client_secret") or "")
    return cloud.accounts.client(client_id, secret)


def issue(
    cloud: SimCloud, ask: Ask, client: SimClient, *, kind: TokenKind, account: SimAccount | None = None, grant: str
) -> Answer:
    """Make a token with the life asked for, and the answer that carries it."""
    now_s = cloud.clock.seconds()
    life_s = _life_s(cloud, ask)
    token = cloud.accounts.issue(
        kind,
        client.id,
        now_s=now_s,
        life_s=life_s or None,
        account=account,
        product_id=None if kind is TokenKind.USER else client.product_id,
    )
    name = account.username if account else client.id
    cloud.history.note(What.TOKEN_ISSUED, account=name, detail=f"{grant} {kind.value}")
    body: dict[str, Json] = {
        "token_type": "bearer",
        "access_token": token.access,
        "expires_in": life_s,
        "refresh_token": token.refresh,
    }
    if kind is TokenKind.CUSTOMER:
        body["scope"] = f"customer={name}"
    return Answer(body, headers=(*NO_STORE, ("x-content-type-options", "nosniff")))


def _life_s(cloud: SimCloud, ask: Ask) -> int:
    """Seconds the token shall live, 0 for ever: `expires_in`, or the time until `expires_at` (ISO 8601)."""
    asked, until = ask.text("expires_in"), ask.text("expires_at")
    try:
        if asked is not None:
            life_s = int(asked)
        elif until is not None:
            at = datetime.fromisoformat(until)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            life_s = round((at - cloud.clock.now()).total_seconds())
            life_s = life_s or -1
        else:
            return cloud.rules.access_token_life_s
    except (ValueError, OverflowError):
        life_s = -1
    if not 0 <= life_s <= _NO_LIMIT_S:
        raise oauth_refused(400, "invalid_request", "Invalid expires_in or expires_at parameter")
    return life_s


# --- access tokens ---


def list_tokens(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/access_tokens with the user's name and password as Basic credentials: a bare array (recorded)."""
    name, password = ask.basic or ("", "")
    if cloud.accounts.user(name) is None:
        raise claim_refused(400, "Unknown user")
    user = cloud.accounts.user_by_password(name, password)
    if user is None:
        raise claim_refused(401, "Bad password")
    rows: list[Json] = [
        {"token": token.access, "expires_at": _ends(cloud, token), "client": token.client_id}
        for token in cloud.accounts.tokens_of(user)
    ]
    return Answer(rows)


def show_current_token(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/access_tokens/current."""
    token = caller(cloud, ask)
    return Answer({"expires_at": _ends(cloud, token), "client_id": token.client_id, "scopes": [], "orgs": []})


def _ends(cloud: SimCloud, token: SimToken) -> str | None:
    if token.expires_s is None:
        return None
    now_s = cloud.clock.seconds()
    return stamp(datetime.fromtimestamp(cloud.clock.now().timestamp() + token.expires_s - now_s, UTC))


def delete_current_token(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/access_tokens/current."""
    cloud.accounts.revoke(caller(cloud, ask).access)
    return OK


def delete_token(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/access_tokens/:token: possession is enough; an unknown token is ok, too."""
    cloud.accounts.revoke(ask.path_args["token"])
    return OK


def delete_all_tokens(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/access_tokens: all tokens of the user."""
    cloud.accounts.revoke_all(account_of_caller(cloud, ask))
    return OK


# --- OAuth clients of a product ---


def _client_object(client: SimClient) -> dict[str, Json]:
    return {"name": client.name, "type": client.type, "id": client.id}


def list_clients(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/products/:p/clients, without secrets."""
    product = product_for_caller(cloud, ask, "clients:list")
    found = [client for client in cloud.accounts.clients.values() if client.product_id == product.id]
    return Answer({"ok": True, "clients": [_client_object(client) for client in found]})


def create_client(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /v1/products/:p/clients; the only time the secret is shown."""
    product = product_for_caller(cloud, ask, "clients:create")
    client = cloud.accounts.add_client(*_name_and_kind(ask), product)
    return Answer({"ok": True, "client": {**_client_object(client), "secret": client.secret}})


def _name_and_kind(ask: Ask) -> tuple[str, str]:
    name, kind = ask.text("name"), ask.text("type") or "installed"
    if not name or kind not in ("installed", "web"):
        raise oauth_refused(400, "invalid_request", "name and type (installed or web) are required")
    return name, kind


def _client_in_path(cloud: SimCloud, ask: Ask, product: SimProduct) -> SimClient:
    found = cloud.accounts.clients.get(ask.path_args["client"])
    if found is None or found.product_id != product.id:
        raise said_no(404, "Client not found")
    return found


def rename_client(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/products/:p/clients/:id; only the name can change here."""
    return _renamed(cloud, ask, _client_in_path(cloud, ask, product_for_caller(cloud, ask, "clients:update")))


def _renamed(cloud: SimCloud, ask: Ask, old: SimClient) -> Answer:
    client = replace(old, name=ask.text("name") or old.name)
    cloud.accounts.clients[client.id] = client
    return Answer({"ok": True, "client": _client_object(client)})


def delete_client(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/products/:p/clients/:id."""
    client = _client_in_path(cloud, ask, product_for_caller(cloud, ask, "clients:remove"))
    del cloud.accounts.clients[client.id]
    return NO_CONTENT


# --- OAuth clients of an account ---


def _own_clients(cloud: SimCloud, ask: Ask) -> list[SimClient]:
    """Clients of the account itself: theirs are user-level tokens. The public ones belong to nobody."""
    account = account_of_caller(cloud, ask)
    return [client for client in cloud.accounts.clients.values() if client.owner_id == account.id]


def list_own_clients(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/clients."""
    return Answer({"ok": True, "clients": [_client_object(client) for client in _own_clients(cloud, ask)]})


def create_own_client(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /v1/clients; the only time the secret is shown."""
    account = account_of_caller(cloud, ask)
    name, kind = _name_and_kind(ask)
    client = cloud.accounts.add_client(name, kind, None, owner_id=account.id)
    return Answer({"ok": True, "client": {**_client_object(client), "secret": client.secret}})


def _own_client_in_path(cloud: SimCloud, ask: Ask) -> SimClient:
    found = next((one for one in _own_clients(cloud, ask) if one.id == ask.path_args["client"]), None)
    if found is None:
        raise said_no(404, "Client not found")
    return found


def rename_own_client(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/clients/:id."""
    return _renamed(cloud, ask, _own_client_in_path(cloud, ask))


def delete_own_client(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/clients/:id."""
    del cloud.accounts.clients[_own_client_in_path(cloud, ask).id]
    return NO_CONTENT


# --- the user ---


def show_user(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/user."""
    account = account_of_caller(cloud, ask)
    return Answer({"username": account.username, "subscription_ids": [], "account_info": {}, "mfa": {"enabled": False}})


def list_user_products(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/user/products and the older GET /v1/products."""
    account = account_of_caller(cloud, ask)
    mine = [product for product in cloud.products() if cloud.accounts.on_team(account, product.id)]
    return Answer({"products": [product_object(p, len(cloud.fleet.listed(p.id)), account.username) for p in mine]})
