"""Access tokens: asked for once, kept 90 days, renewed once for all who wait (facts: particle-cloud 2, 6, 11).

Rule 1: one token call at a time for the whole site, and the breaker is asked before each: a wrong secret costs two
refusals, however many stations wait (the cloud locks the site out after ten).
Rule 2: who needs a token that somebody is getting waits for that one, and shares its failure too.
Rule 3: a customer is created first, which gives a token outside the limit of token calls; one that exists gets a
scoped token. Creating twice is harmless, because the second says `customer_exists`; so a lost answer is settled.
Rule 4: the client's secret leaves only as Basic credentials, never in a body.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import trio

from provisioner.cloud.breaker import Breaker
from provisioner.cloud.exchange import Call, Exchange, refusal_of
from provisioner.cloud.governor import Kind
from provisioner.cloud.payloads import ProductInfo, Token, read_token
from provisioner.cloud.refusals import Refusal, classify
from provisioner.cloud.transport import Request
from provisioner.errors import (
    CloudError,
    CloudRefused,
    CustomerExists,
    InputRefused,
    ProvisionerError,
    SecretMissing,
)
from provisioner.model import printable
from provisioner.secrets import Secret

FORM: Final = "application/x-www-form-urlencoded"
_RENEW_EARLY_S = 300.0
_KEPT_MAX = 10_000
# Where the request names a customer, only these say that the *client's* credentials are wrong.
_CLIENT_REFUSED = frozenset({"invalid_client", "unauthorized_client"})


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token to send, and whose it is: `product`, `user` or `customer <product> <name>`."""

    whose: str
    token: Secret

    @property
    def header(self) -> Secret:
        """The value of the Authorization header."""
        return Secret(f"Bearer {self.token.reveal()}")


@dataclass(frozen=True, slots=True)
class _Kept:
    token: Secret
    renew_at_s: float


class _Renewal:
    """One renewal under way."""

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.failure: ProvisionerError | None = None


class Tokens:
    """All tokens of one site. `client_secret` or `user_token` may be absent: then what needs it is SecretMissing."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        client_id: str,
        client_secret: Secret | None,
        user_token: Secret | None,
        breaker: Breaker | None,
    ) -> None:
        self._exchange = exchange
        self._client_id = client_id
        self._client_secret = client_secret
        self._user_token = user_token
        self._breaker = breaker
        self._kept: dict[str, _Kept] = {}
        self._renewals: dict[str, _Renewal] = {}
        self._existing: set[str] = set()
        self._one_call = trio.StrictFIFOLock()

    def user(self) -> Bearer:
        """The account's token, as it was given to us."""
        if self._user_token is None:
            raise SecretMissing(
                "the access token of the account is not set", remedy="Set PROVISIONER_USER_TOKEN in the environment."
            )
        return Bearer("user", self._user_token)

    async def product(self) -> Bearer:
        """The product's token; without an OAuth client the account's own (or an API user's), which may do the same."""
        if self._client_secret is None and self._user_token is not None:
            return self.user()
        return await self._bearer("product", self._get_product)

    async def customer(self, product: ProductInfo, name: str) -> Bearer:
        """The token of a customer of that product, who is created when not there. `name` in any case."""
        name = name.strip().lower()  # the cloud maps it to lower case
        whose = f"customer {product.id} {name}"

        async def get() -> Token:
            return await self._get_customer(product, name, whose)

        return await self._bearer(whose, get)

    def invalidate(self, bearer: Bearer) -> None:
        """Forget a token that the cloud refused, unless somebody has renewed it meanwhile."""
        kept = self._kept.get(bearer.whose)
        if kept is not None and kept.token == bearer.token:
            del self._kept[bearer.whose]

    async def _bearer(self, whose: str, get: Callable[[], Awaitable[Token]]) -> Bearer:
        while True:
            kept = self._kept.get(whose)
            if kept is not None and trio.current_time() < kept.renew_at_s:
                return Bearer(whose, kept.token)
            renewal = self._renewals.get(whose)
            if renewal is None:
                return Bearer(whose, await self._renew(whose, get))
            await renewal.ended.wait()
            if renewal.failure is not None:
                raise renewal.failure

    async def _renew(self, whose: str, get: Callable[[], Awaitable[Token]]) -> Secret:
        renewal = self._renewals[whose] = _Renewal()
        try:
            token = await get()
            self._keep(whose, token)
        except ProvisionerError as error:
            renewal.failure = error
            raise
        else:
            return token.access_token
        finally:  # cancelled: no failure is noted, and one of those who wait takes over
            del self._renewals[whose]
            renewal.ended.set()

    def _keep(self, whose: str, token: Token) -> None:
        life_s = float("inf") if token.expires_in_s is None else token.expires_in_s
        early_s = min(_RENEW_EARLY_S, life_s / 10)
        self._kept.pop(whose, None)
        self._kept[whose] = _Kept(token.access_token, trio.current_time() + life_s - early_s)
        if len(self._kept) > _KEPT_MAX:
            self._kept.pop(next(iter(self._kept)))

    # --- the three token calls ---

    async def _get_product(self) -> Token:
        body = urlencode({"grant_type": "client_credentials"}).encode()
        return await self._ask(_token_call(body, "get a product token"), _refuses_client)

    async def _get_customer(self, product: ProductInfo, name: str, whose: str) -> Token:
        if whose not in self._existing:
            try:
                token = await self._create_customer(product, name)
            except CustomerExists:
                pass
            else:
                self._existing.add(whose)
                return token
        body = urlencode({"grant_type": "client_credentials", "scope": f"customer={name}"}).encode()
        call = _token_call(body, f"get a token for customer {printable(name)}")
        try:
            token = await self._ask(call, _refuses_client_or_customer)
        except CloudRefused:
            self._existing.discard(whose)  # deleted meanwhile? then the next one creates it again
            raise
        self._existing.add(whose)
        return token

    async def _create_customer(self, product: ProductInfo, name: str) -> Token:
        request = Request(
            "POST",
            f"/v1/products/{quote(str(product.id), safe='')}/customers",
            urlencode({"email": name, "no_password": "true"}).encode(),
            FORM,
        )
        what = f"create customer {printable(name)}"
        return await self._ask(Call(request, what, Kind.LINE, repeatable=True), _refuses_client_or_customer)

    async def _ask(self, call: Call, refuses_client: Callable[[int, Refusal], bool]) -> Token:
        """One token call with the client's credentials; a refusal of them is tried once more, then believed."""
        if self._client_secret is None or self._breaker is None:
            raise SecretMissing(
                "the secret of the OAuth client is not set",
                remedy="Set PROVISIONER_CLIENT_SECRET in the environment, or name a file in cloud.client_secret_file.",
            )
        if not self._client_id:
            raise InputRefused("cloud.client_id is not set", remedy="Set `cloud.client_id` in config/line.yaml.")
        pair = f"{self._client_id}:{self._client_secret.reveal()}"
        basic = Secret("Basic " + base64.b64encode(pair.encode()).decode("ascii"))
        async with self._one_call:
            while True:
                self._breaker.check()
                reply = await self._exchange.carry_out(call, basic)
                if reply.status < 300:
                    token = read_token(reply.body)
                    self._breaker.accepted()
                    return token
                refusal = refusal_of(reply, basic, self._client_secret)
                wrong_client = refusal.readable and refuses_client(reply.status, refusal)
                # Any refusal at /oauth/token counts towards the cloud's ten, whatever it was for.
                if wrong_client or (refusal.readable and call.kind is Kind.TOKEN):
                    self._breaker.refused(refusal.reason or refusal.code or "")
                if not wrong_client:
                    raise _about_the_token(classify(reply.status, refusal, what=call.what))


def _about_the_token(error: CloudError) -> CloudError:
    """A 404 or 403 here is about the token; as NotInCloud it would pass for "that device is not there"."""
    if isinstance(error, CloudRefused) and not isinstance(error, CustomerExists):
        return CloudRefused(error.detail, status=error.status, reason=error.reason)
    return error


def _token_call(body: bytes, what: str) -> Call:
    """Asking twice makes two tokens and does no harm, so a lost answer is asked for again."""
    return Call(Request("POST", "/oauth/token", body, FORM), what, Kind.TOKEN, repeatable=True)


def _refuses_client(status: int, refusal: Refusal) -> bool:
    """Nothing but the client's credentials was in the request (the body for a wrong secret is not documented)."""
    return status in (400, 401, 403)


def _refuses_client_or_customer(status: int, refusal: Refusal) -> bool:
    """A customer was named too, and may be what the cloud did not like."""
    return status == 401 or refusal.code in _CLIENT_REFUSED
