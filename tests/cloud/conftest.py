"""A cloud below httpx: it answers from a script and keeps every request."""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import trio

from provisioner.cloud.client import open_cloud
from provisioner.cloud.payloads import ProductInfo
from provisioner.model import DeviceID
from provisioner.secrets import Secret
from provisioner.settings import CloudSettings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "cloud"
JSON = {"Content-Type": "application/json; charset=utf-8"}


def recorded(name):
    """A fixture as (status, headers, body bytes)."""
    kept = json.loads((FIXTURES / f"{name}.json").read_text())
    body = kept["body"]
    data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return kept["status"], kept["headers"], data


@dataclass
class ScriptedCloud:
    """`script[(method, path)]` is a list of answers; the last one repeats. An exception in it is raised.

    An answer is a fixture's name, a dict (200 JSON), a (status, JSON) pair, or an exception.
    """

    script: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    latency_s: float = 0.0

    def on(self, method, path, *answers):
        self.script[method, path] = list(answers)

    def asked(self, method, path):
        """How often that route was asked."""
        return sum((request.method, request.url.path) == (method, path) for request in self.requests)

    async def answer(self, request):
        self.requests.append(request)
        await trio.sleep(self.latency_s)
        answers = self.script.get((request.method, request.url.path), [(404, {"ok": False, "error": "No such route"})])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, str):
            status, headers, data = recorded(answer)
        elif isinstance(answer, dict):
            status, headers, data = 200, JSON, json.dumps(answer).encode()
        else:
            status, headers, data = answer[0], JSON, json.dumps(answer[1]).encode()
        return httpx.Response(status, headers=headers, content=data)

    def open(
        self,
        *,
        secret="460edfd8d70742dd1f1e75c3d5cac5973351465d",
        user_token="a" * 40,
        file=None,
        handler=None,
        **settings,
    ):
        """A client in front of this cloud, or of another `handler`."""
        return open_cloud(
            CloudSettings(**({"client_id": "tempmon06-3459"} | settings)),
            client_secret=None if secret is None else Secret(secret),
            user_token=None if user_token is None else Secret(user_token),
            dice=random.Random(1),
            wall=lambda: datetime.now(UTC),
            breaker_file=file,
            http_transport=httpx.MockTransport(handler or self.answer),
        )


@pytest.fixture
def cloud():
    scripted = ScriptedCloud()
    scripted.on("POST", "/oauth/token", "token")
    scripted.on("POST", "/v1/products/1319/customers", "customer_created")
    return scripted


@pytest.fixture
def product():
    return ProductInfo(1319, "tempmon-v100", 6, "tempmon")


@pytest.fixture
def device_id():
    return DeviceID("3b0021001747353236343033")


@pytest.fixture
def fixture_reply():
    return recorded
