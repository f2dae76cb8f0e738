"""What this program asks of the Particle cloud, one method for each wish (facts: particle-cloud 3-8).

Rule 1: which token goes where: the product's for product routes, a customer's for that customer's claim codes and
claims, the account's for /v1/device_claims and /v1/devices. A token refused with 401 is renewed once, and once only.
Rule 2: only reads are repeated after a lost answer. After a lost answer to a write the caller reads before it does
anything else: CloudAnswerLost, and CloudReplyUnreadable from a write, mean "perhaps done". A claim code whose answer
is lost is simply never used.
Rule 3: every method may wait for the governor and raises CloudError classes, SecretMissing or InputRefused; the
caller sets a deadline of its own where the device in its hand cannot wait.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from provisioner.cloud.breaker import Breaker
from provisioner.cloud.clock import CloudClock
from provisioner.cloud.exchange import ONCE, RETRY, Call, Exchange, refusal_of
from provisioner.cloud.governor import Governor, Kind
from provisioner.cloud.listing import Pages
from provisioner.cloud.payloads import (
    DevicePage,
    ImportReply,
    ProductInfo,
    read_anything,
    read_claim_code,
    read_device,
    read_import,
    read_ok,
    read_page,
    read_product,
)
from provisioner.cloud.refusals import classify
from provisioner.cloud.tokens import FORM, Bearer, Tokens
from provisioner.cloud.transport import LONG_REPLY_BYTES_MAX, Request, Transport
from provisioner.errors import (
    CloudError,
    CloudRefused,
    CloudReplyUnreadable,
    CredentialsRefused,
    NotInCloud,
    PermissionRefused,
    ProductUnknown,
    SecretUnsafe,
)
from provisioner.model import CloudDevice, DeviceID, printable
from provisioner.pacing import Retry
from provisioner.secrets import ClaimCode, Secret
from provisioner.settings import CloudSettings

JSON: Final = "application/json"
_PRODUCT_REF = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]{1,128}")
_USER_TOKEN_REMEDY = "Set PROVISIONER_USER_TOKEN to a valid access token of the account, then start again."  # noqa: S105
_SourceOfBearer = Callable[[], Awaitable[Bearer]]


class CloudClient:
    """One for the whole site: all stations share its tokens, its connections and its governor."""

    def __init__(self, exchange: Exchange, tokens: Tokens) -> None:
        self._exchange = exchange
        self._tokens = tokens
        self._seen_product: ProductInfo | None = None

    @property
    def clock(self) -> CloudClock:
        """The cloud's time of day."""
        return self._exchange.clock

    @property
    def governor(self) -> Governor:
        """Who may ask next; its `traffic` is for the view."""
        return self._exchange.governor

    # --- product ---

    async def product(self, ref: str) -> ProductInfo:
        """Read a product by number or slug. Raises ProductUnknown, also when these credentials may not see it."""
        if not _PRODUCT_REF.fullmatch(ref):
            raise ProductUnknown(f"{printable(ref)!r} is neither a product number nor a slug")
        call = Call(Request("GET", f"/v1/products/{quote(ref, safe='')}"), f"read product {ref}", repeatable=True)
        try:
            body = await self._ask(call, self._tokens.product)
        except (NotInCloud, PermissionRefused) as error:
            raise ProductUnknown(error.detail) from error
        product = read_product(body)
        self._seen_product = product
        return product

    async def reachable(self) -> bool:
        """Whether the API answers (`ask_anything`). Ends a site hold; False while it would go on."""
        try:
            await self.ask_anything()
        except CloudError:
            return False
        return True

    async def ask_anything(self) -> None:
        """One cheap read, without repeats. Raises CloudError with what is in the way if it is not the API that answers.

        The answer is read: a captive portal says 200 to everything. A refusal is one: it understood the question.
        """
        known = self._seen_product
        call = Call(Request("GET", "/v1/user" if known is None else _product_path(known)), "answer")
        try:
            body = await self._ask(call, self._tokens.product, retry=ONCE)
        except CloudRefused:
            return
        if known is None:
            read_anything(body, call.what)
        elif read_product(body).id != known.id:
            raise CloudReplyUnreadable(f"asked for product {known.id}, the cloud shows another one")

    # --- import and list ---

    async def import_devices(self, product: ProductInfo, ids: Sequence[str]) -> ImportReply:
        """Put devices into the product. Not atomic: good IDs go in, bad ones are listed. Twice is once.

        Not repeated after a lost answer: list the product to see what became of it.
        """
        body = json.dumps({"ids": list(ids)}, separators=(",", ":")).encode()
        return await self._import(product, ids, body, JSON)

    async def import_list(self, product: ProductInfo, ids: Sequence[str]) -> ImportReply:
        """`import_devices` as an uploaded list, the way of the console: for very long lists."""
        text = "".join(f"{id_.strip()}\n" for id_ in ids).encode()
        boundary = "provisioner-" + hashlib.sha256(text).hexdigest()[:32]
        head = (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="file"; filename="devices.txt"\r\n'
            "Content-Type: text/plain\r\n\r\n"
        )
        body = head.encode() + text + f"\r\n--{boundary}--\r\n".encode()
        return await self._import(product, ids, body, f"multipart/form-data; boundary={boundary}")

    async def _import(self, product: ProductInfo, ids: Sequence[str], body: bytes, content_type: str) -> ImportReply:
        if not ids:
            return ImportReply()
        request = Request("POST", f"{_product_path(product)}/devices", body, content_type, LONG_REPLY_BYTES_MAX)
        call = Call(request, f"import {len(ids)} devices into {printable(product.slug)}", Kind.BULK)
        return read_import(await self._ask(call, self._tokens.product))

    def devices(self, product: ProductInfo, *, page_size: int = 100) -> Pages:
        """Walk the product's devices, quarantined ones included, in ascending order of ID, each once."""

        async def fetch(page: int) -> DevicePage:
            # The reference says perPage, Particle's own client sends per_page, and both are seen to work: so each is
            # skipped where it is not known. 100 is the largest size in any official example.
            query = urlencode(
                {
                    "sortAttr": "deviceId",
                    "sortDir": "asc",
                    "page": page,
                    "perPage": page_size,
                    "per_page": page_size,
                }
            )
            path = f"{_product_path(product)}/devices?{query}"
            call = Call(
                Request("GET", path, reply_bytes_max=LONG_REPLY_BYTES_MAX),
                f"list the devices of {printable(product.slug)}",
                Kind.BULK,
                repeatable=True,
            )
            return read_page(await self._ask(call, self._tokens.product), product)

        return Pages(fetch)

    async def recent_devices(self, product: ProductInfo, count: int) -> DevicePage:
        """The devices of the product that connected last, newest first; `count` is at most 100.

        This is the list's own default order (facts: particle-cloud 3), asked for by name.
        """
        query = urlencode(
            {"sortAttr": "lastConnection", "sortDir": "desc", "page": 1, "perPage": count, "per_page": count}
        )
        call = Call(
            Request("GET", f"{_product_path(product)}/devices?{query}", reply_bytes_max=LONG_REPLY_BYTES_MAX),
            f"list the newest connections of {printable(product.slug)}",
            repeatable=True,
        )
        return read_page(await self._ask(call, self._tokens.product), product)

    # --- one device ---

    async def device(self, product: ProductInfo, id_: DeviceID) -> CloudDevice:
        """Read a device of the product. Raises NotInCloud when it is not in there."""
        call = Call(Request("GET", _device_path(product, id_)), f"read device {id_}", repeatable=True)
        return _same(read_device(await self._ask(call, self._tokens.product), product), id_)

    async def account_device(self, id_: DeviceID, *, product: ProductInfo | None = None) -> CloudDevice:
        """Read a device of the account. Raises NotInCloud when it is not the account's, or unknown.

        `in_product` is told only for a `product` that is given.
        """
        call = Call(Request("GET", f"/v1/devices/{quote(id_, safe='')}"), f"read device {id_}", repeatable=True)
        return _same(read_device(await self._ask(call, self._user), product), id_)

    async def release_owner(self, product: ProductInfo, id_: DeviceID) -> None:
        """Unclaim a device of the product, whoever owns it, online or not."""
        call = Call(Request("DELETE", f"{_device_path(product, id_)}/owner"), f"unclaim device {id_}")
        read_ok(await self._ask(call, self._tokens.product), call.what)

    async def remove_device(self, product: ProductInfo, id_: DeviceID) -> None:
        """Take a device out of the product, which also unclaims it when a customer owns it."""
        call = Call(Request("DELETE", _device_path(product, id_)), f"remove device {id_}")
        await self._ask(call, self._tokens.product)  # 204 without a body

    # --- owners ---

    async def ensure_customer(self, product: ProductInfo, name: str) -> None:
        """See that the customer exists and that we have a token to act for it."""
        await self._tokens.customer(product, name)

    async def customer_claim_code(self, product: ProductInfo, name: str) -> ClaimCode:
        """Make a claim code: whatever device brings it within an hour belongs to that customer."""
        call = Call(
            Request("POST", f"{_product_path(product)}/device_claims", reply_bytes_max=LONG_REPLY_BYTES_MAX),
            f"make a claim code for customer {printable(name)}",
        )
        return read_claim_code(await self._ask(call, self._customer(product, name)))

    async def account_claim_code(self) -> ClaimCode:
        """Make a claim code: whatever device brings it within an hour belongs to the account."""
        request = Request("POST", "/v1/device_claims", reply_bytes_max=LONG_REPLY_BYTES_MAX)
        return read_claim_code(await self._ask(Call(request, "make a claim code for the account"), self._user))

    async def claim_online(self, id_: DeviceID, *, customer: tuple[ProductInfo, str] | None) -> None:
        """Claim an online device by its ID, for a customer or (None) for the account.

        Raises DeviceNotOnline, OwnedBySomeoneElse, NotInCloud. Never asks for a transfer.
        """
        body = urlencode({"id": str(id_)}).encode()
        call = Call(Request("POST", "/v1/devices", body, FORM), f"claim device {id_}", claim=True)
        bearer = self._user if customer is None else self._customer(*customer)
        read_ok(await self._ask(call, bearer), call.what)

    # --- the way all of them go ---

    async def _user(self) -> Bearer:
        return self._tokens.user()

    def _customer(self, product: ProductInfo, name: str) -> _SourceOfBearer:
        async def bearer() -> Bearer:
            return await self._tokens.customer(product, name)

        return bearer

    async def _ask(self, call: Call, source: _SourceOfBearer, *, retry: Retry = RETRY) -> bytes:
        """The body of a 2xx answer. A 401 takes the token back and asks once more with a new one."""
        renewed = False
        while True:
            bearer = await source()
            reply = await self._exchange.carry_out(call, bearer.header, retry=retry)
            if reply.status < 300:
                return reply.body
            refusal = refusal_of(reply, bearer.header)
            if reply.status == 401 and refusal.readable and not renewed and bearer.whose != "user":
                self._tokens.invalidate(bearer)
                renewed = True
                continue
            error = classify(reply.status, refusal, what=call.what, claim=call.claim)
            if isinstance(error, CredentialsRefused) and bearer.whose == "user":
                error.remedy = _USER_TOKEN_REMEDY
            raise error


def _product_path(product: ProductInfo) -> str:
    return f"/v1/products/{quote(str(product.id), safe='')}"


def _device_path(product: ProductInfo, id_: DeviceID) -> str:
    return f"{_product_path(product)}/devices/{quote(id_, safe='')}"


def _same(found: CloudDevice, asked: DeviceID) -> CloudDevice:
    if found.id != asked:
        raise CloudReplyUnreadable(f"The cloud was asked for device {asked} and told of {found.id}")
    return found


@asynccontextmanager
async def open_cloud(
    settings: CloudSettings,
    *,
    client_secret: Secret | None,
    user_token: Secret | None,
    dice: random.Random,
    wall: Callable[[], datetime],
    breaker_file: Path | None = None,
    http_transport: object | None = None,
) -> AsyncIterator[CloudClient]:
    """Open the way to one cloud; all connections are closed at the end. Sends nothing by itself.

    `breaker_file` keeps a refused secret in mind from one process to the next, with the time by `wall`, this
    computer's clock. Raises InputRefused.
    """
    if user_token is not None and not re.fullmatch(r"[\x21-\x7e]+", user_token.reveal()):
        raise SecretUnsafe(
            "the access token of the account has characters that no token has (a space, a line end?)",
            remedy="Set PROVISIONER_USER_TOKEN to the token and nothing else.",
        )
    breaker = None
    if client_secret is not None:
        breaker = Breaker(settings.client_id, client_secret, file=breaker_file, now=wall)
    governor = Governor(
        first_pause_s=settings.busy_pause_s,
        requests_per_5min=settings.requests_per_5min,
        token_calls_per_5min=settings.token_calls_per_5min,
    )
    async with Transport(settings.base_url, ca_file=settings.ca_file, http_transport=http_transport) as transport:
        exchange = Exchange(transport, governor, CloudClock(), dice=dice, request_s=settings.request_s)
        tokens = Tokens(
            exchange,
            client_id=settings.client_id,
            client_secret=client_secret,
            user_token=user_token,
            breaker=breaker,
        )
        yield CloudClient(exchange, tokens)
