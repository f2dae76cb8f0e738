"""What every endpoint of the simulated cloud has in common: a request as a value, an answer as a value, who may ask.

Rule 1: an endpoint is a synchronous function (SimCloud, Ask) -> Answer, or it raises Refused. It never waits.
Rule 2: whether a caller may use an endpoint is decided by the functions below, not in the endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from provisioner.simulator.cloud.events import Wanted
from provisioner.simulator.cloud.rules import Json, Refused, oauth_refused, permission_denied, said_no
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import SimAccount, SimDevice, SimProduct, SimToken, TokenKind


@dataclass(frozen=True, slots=True)
class Body:
    """A request body, whatever its encoding: fields by name (a form's `ids[]` stands under `ids`, as a list)."""

    encoding: str = ""  # "", "form", "json", "multipart"
    fields: Mapping[str, Json] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `path_args` are the variable parts of its path."""

    path_args: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Body = Body()
    bearer: str | None = field(default=None, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)

    def text(self, name: str) -> str | None:
        """A field as text; None if it is absent, null, or not a plain value."""
        value = self.body.fields.get(name)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, str | int | float) else None

    def truth(self, name: str) -> bool:
        """A field as yes or no: JSON true, or `true` or `1` in a form."""
        return self.text(name) in ("true", "1")

    def texts(self, name: str) -> tuple[str, ...]:
        """A field as a list of texts; a single value is a list of one."""
        value = self.body.fields.get(name)
        items: Sequence[Json] = value if isinstance(value, list | tuple) else [] if value is None else [value]
        return tuple(str(item) for item in items if isinstance(item, str | int))


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer. 204 has no body."""

    body: Json = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Instead of an answer: a stream of events that goes on until the reader leaves."""

    wanted: Wanted


Endpoint = Callable[[SimCloud, Ask], Answer | OpenStream]
OK = Answer({"ok": True})
NO_CONTENT = Answer(status=204)


def caller(cloud: SimCloud, ask: Ask) -> SimToken:
    """Whose token this is: from the header, else the query (if the rules allow), else a form. Raises Refused."""
    token = ask.bearer
    if token is None and cloud.rules.query_token:
        token = ask.query.get("access_token")
    if token is None and ask.body.encoding in ("form", "multipart"):
        token = ask.text("access_token")
    return cloud.accounts.token(token, cloud.clock.seconds())


def product_in_path(cloud: SimCloud, ask: Ask) -> SimProduct:
    """The product that the path names. Raises Refused, as the rules say for an unknown one."""
    product = cloud.find_product(ask.path_args["product"])
    if product is None and cloud.rules.unknown_product == "not_found":
        raise said_no(404, "Product not found.")
    if product is None:
        raise permission_denied()
    return product


def may_see(cloud: SimCloud, token: SimToken, product_id: int | None) -> bool:
    """Whether this token reaches the product's routes: its own client's token, or a user's on the team."""
    if product_id is None:
        return False
    if token.kind in (TokenKind.PRODUCT, TokenKind.API_USER):
        return token.product_id == product_id
    return cloud.accounts.on_team(token.account, product_id)


def product_for_caller(cloud: SimCloud, ask: Ask, scope: str | None = None) -> SimProduct:
    """The product in the path, if the caller may work with it. A customer's token may not. Raises Refused.

    `scope` is what an API user needs for this; None: no API user may do it (facts: particle-cloud 12).
    """
    token = caller(cloud, ask)
    product = product_in_path(cloud, ask)
    if not may_see(cloud, token, product.id):
        raise permission_denied()
    if token.kind is TokenKind.API_USER and scope not in token.scopes:
        raise not_for_api_users()
    return product


def not_for_api_users() -> Refused:
    """What an API user hears where it has no scope, or where there is none to have."""
    return oauth_refused(400, "unauthorized", "API users are not allowed to call this endpoint")


def account_of_caller(cloud: SimCloud, ask: Ask) -> SimAccount:
    """The user or customer behind the token. A product token has none, an API user is none. Raises Refused."""
    token = caller(cloud, ask)
    if token.kind is TokenKind.API_USER:
        raise not_for_api_users()
    if token.account is None:
        raise permission_denied()
    return token.account


def device_of_product(cloud: SimCloud, ask: Ask, product: SimProduct) -> SimDevice:
    """The device in the path, if it is on the product's list. Raises Refused (404)."""
    device = cloud.find_device(ask.path_args["device"])
    if device is None or not device.listed_in(product.id):
        raise said_no(404, "Device not found for this product")
    return device
