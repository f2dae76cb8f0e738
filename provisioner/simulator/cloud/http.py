"""The simulated cloud over HTTP: an ASGI app around `SimCloud` (facts, particle-cloud 1).

Rule 1: this file reads requests, rolls the cloud's faults, keeps the limits and writes answers; nothing else.
Rule 2: no threads, no background tasks, no temporary files: the app also runs in virtual time.
Rule 3: the `Date` header is the simulated clock's. A server that adds its own must be told not to (`serving` does).
"""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from provisioner.simulator.cloud import api_customers as customers
from provisioner.simulator.cloud import api_devices as devices
from provisioner.simulator.cloud import api_products as products
from provisioner.simulator.cloud import api_tokens as tokens
from provisioner.simulator.cloud.api import Answer, Ask, Endpoint
from provisioner.simulator.cloud.body import basic_credentials, bearer_token, parse_body
from provisioner.simulator.cloud.rules import Json, Refused, said_no
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import What

ROUTES: Mapping[str, Mapping[str, Endpoint]] = {
    "/oauth/token": {"POST": tokens.oauth_token},
    "/v1/access_tokens": {"DELETE": tokens.delete_all_tokens},
    "/v1/access_tokens/current": {"GET": tokens.show_current_token, "DELETE": tokens.delete_current_token},
    "/v1/access_tokens/{token}": {"DELETE": tokens.delete_token},
    "/v1/user": {"GET": tokens.show_user},
    "/v1/user/products": {"GET": tokens.list_user_products},
    "/v1/products": {"GET": tokens.list_user_products},
    "/v1/products/{product}": {"GET": products.show_product},
    "/v1/products/{product}/clients": {"GET": tokens.list_clients, "POST": tokens.create_client},
    "/v1/products/{product}/clients/{client}": {"PUT": tokens.rename_client, "DELETE": tokens.delete_client},
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
    "/v1/products/{product}/customers": {"GET": customers.list_customers, "POST": customers.create_customer},
    "/v1/products/{product}/customers/{customer:path}": {"DELETE": customers.delete_customer},
    "/v1/products/{product}/device_claims": {"POST": customers.create_product_claim_code},
    "/v1/device_claims": {"POST": customers.create_claim_code},
    "/v1/devices": {"GET": devices.list_own_devices, "POST": devices.claim_by_id},
    "/v1/devices/{device}": {
        "GET": devices.show_own_device,
        "PUT": devices.change_own_device,
        "DELETE": devices.unclaim_own_device,
    },
    "/v1/devices/{device}/ping": {"PUT": devices.ping_own_device},
    "/v1/devices/{device}/{variable}": {"GET": devices.read_variable},
    "/v1/serial_numbers/{serial}": {"GET": devices.look_up_serial},
    "/v1/provisioning/{device}": {"POST": devices.send_public_key},
}
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": "*, Authorization, Content-Type, X-Particle-Tool, X-Particle-Project",
    "access-control-max-age": "86400",
}
_DISCARDED_BYTES_MAX = 64 * 1024 * 1024  # of a body over the cap; beyond that the connection is cut


class AnswerCut(ConnectionResetError):
    """The request was carried out and its connection is cut without an answer.

    `serving` makes a dropped connection of it; through httpx.ASGITransport the client meets this OSError instead.
    """


def cloud_app(cloud: SimCloud) -> ASGIApp:
    """The cloud as an ASGI app. Raises AnswerCut out of a request whose answer is lost (see there)."""
    weather = _Weather(cloud)
    return Router(
        [Route(path, _Resource(cloud, weather, path, endpoints)) for path, endpoints in ROUTES.items()],
        default=_Resource(cloud, weather, "unknown route", {}),
        redirect_slashes=False,
    )


class _Weather:
    """Rolls what happens to each request, by method, path and how often that was asked: one seed, one history."""

    def __init__(self, cloud: SimCloud) -> None:
        self._cloud = cloud
        self._asked: Counter[tuple[str, str]] = Counter()

    def next(self, method: str, path: str) -> _Luck:
        self._asked[method, path] += 1
        return _Luck(self._cloud, self._cloud.dice.of("cloud", method, path, self._asked[method, path]))


class _Luck:
    """What befalls one request. All are rolled at once, so that one fault's rate never shifts another's rolls."""

    def __init__(self, cloud: SimCloud, dice: random.Random) -> None:
        faults = cloud.faults
        self.latency_s = dice.uniform(*faults.cloud_latency_s)
        self.busy = dice.random() < faults.cloud_busy
        self.fault = dice.random() < faults.cloud_fault
        self.answer_lost = dice.random() < faults.cloud_answer_lost
        self.request_id = str(uuid.UUID(int=dice.getrandbits(128), version=4))


class _Resource:
    """Everything under one route. (An object, not a function, so that Starlette hands it every method.)"""

    def __init__(self, cloud: SimCloud, weather: _Weather, route: str, endpoints: Mapping[str, Endpoint]) -> None:
        self._cloud = cloud
        self._weather = weather
        self._route = route
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        luck = self._weather.next(request.method, scope["path"])
        if request.method == "OPTIONS":
            response = Response(status_code=204, headers=_PREFLIGHT)
        else:
            raw = await _body(receive, self._cloud.rules.body_bytes_max)
            busy = luck.busy or not self._admits(request)
            await self._cloud.clock.sleep(luck.latency_s)
            response = self._respond(request, raw, luck, busy=busy)
        response.headers.update(self._common_headers(luck))
        await response(scope, receive, send)

    def _admits(self, request: Request) -> bool:
        return self._cloud.limits.admits(request.method, request.scope["path"], self._cloud.clock.seconds())

    def _common_headers(self, luck: _Luck) -> dict[str, str]:
        date = self._cloud.clock.now() + timedelta(seconds=self._cloud.clock_skew_s)
        return {
            "server": "nginx",
            "date": format_datetime(date, usegmt=True),
            "access-control-allow-origin": "*",
            "x-request-id": luck.request_id,
        }

    def _respond(self, request: Request, raw: bytes | None, luck: _Luck, *, busy: bool) -> Response:
        """Carry the request out, in one step. Raises AnswerCut when it is done and the answer is lost."""
        what = f"{request.method} {self._route}"  # not the path: a token may stand in it
        if busy:
            self._cloud.history.note(What.BUSY, detail=what)
            return self._too_many()
        if luck.fault:
            self._cloud.history.note(What.FAULT, detail=what)
            return _html(503, "Service Temporarily Unavailable")
        try:
            answer = self._carry_out(request, raw)
        except Refused as refused:
            response = _json(refused.status, refused.body, refused.headers)
        else:
            response = Response(status_code=204)
            if answer.status != 204:
                response = _json(answer.status, answer.body, answer.headers)
        if luck.answer_lost:
            self._cloud.history.note(What.ANSWER_LOST, detail=what)
            raise AnswerCut("the connection was cut before the answer")
        return response

    def _carry_out(self, request: Request, raw: bytes | None) -> Answer:
        if raw is None:
            raise said_no(413, "Request entity too large")
        if not self._endpoints:
            raise said_no(404, "Not found")
        endpoint = self._endpoints.get(request.method)
        if endpoint is None:
            raise said_no(405, "Method not allowed")
        authorization = request.headers.get("authorization", "")
        ask = Ask(
            path_args=request.path_params,
            query=request.query_params,
            body=parse_body(request.headers.get("content-type", ""), raw),
            bearer=bearer_token(authorization),
            basic=basic_credentials(authorization),
        )
        return endpoint(self._cloud, ask)

    def _too_many(self) -> Response:
        rules = self._cloud.rules
        after = () if rules.busy_retry_after_s is None else (("retry-after", str(rules.busy_retry_after_s)),)
        if rules.busy_body == "json":
            return _json(429, {"ok": False, "error": "Too many requests"}, after)
        response = _html(429, "Too Many Requests")
        response.headers.update(dict(after))
        return response


async def _body(receive: Receive, bytes_max: int) -> bytes | None:
    """The whole body, or None if it is over the cap (the rest is read and dropped, so that the answer arrives)."""
    held = bytearray()
    dropped = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise AnswerCut("the client left before its request was whole")
        chunk = message.get("body", b"")
        if dropped or len(held) + len(chunk) > bytes_max:
            dropped += len(chunk)
        else:
            held += chunk
        if dropped > _DISCARDED_BYTES_MAX:
            raise AnswerCut("the request body has no end")
        if not message.get("more_body", False):
            return None if dropped else bytes(held)


def _json(status: int, body: Json, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Compact JSON. Escaped to ASCII, so that whatever a caller sent can be echoed."""
    return Response(
        json.dumps(body, separators=(",", ":")).encode(),
        status,
        headers={"content-type": "application/json; charset=utf-8", **dict(headers)},
    )


def _html(status: int, title: str) -> Response:
    """What the load balancer in front of the API says."""
    page = f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1>"
    page += "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    return Response(page, status, headers={"content-type": "text/html"})
