"""F35 when it is our bug (exit 70): secrets are in the hands of the code that breaks, and in no traceback or file.

The real command, in a process of its own. What breaks says all it has in its message; Python shows no locals by
itself, but what prints tracebacks for people might (structlog, rich): so everything that was written is looked
through, in every form.
"""

import pytest

from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.leaks import secrets_of

# Runs before the program, as whatever a site puts there: `sitecustomize`.
CLOUD_BREAKS = """
import httpx

send = httpx.AsyncHTTPTransport.handle_async_request


async def handle_async_request(self, request):
    if request.method == "{method}" and "{path}" in request.url.path:
        header, body, everything = request.headers["Authorization"], request.content, request.headers.raw
        raise RuntimeError(f"bug in a library, with {{everything}} in its hands, and {{header}}")
    return await send(self, request)


httpx.AsyncHTTPTransport.handle_async_request = handle_async_request
"""
BREAKS = {
    "the client's secret": ("POST", "/oauth/token"),
    "a token": ("GET", "/v1/products"),
    "a customer's token": ("POST", "/device_claims"),
}


def nothing_leaked(line, done):
    """Not in what it said, nor in any file of its folder (journal, debug log, output)."""
    canaries = secrets_of(line.cloud, TEST_ROUTER.password)
    assert canaries.leaks_in(done.err.encode(), "stderr") == []
    assert canaries.leaks_in(done.out.encode(), "stdout") == []
    assert canaries.leaks_under(line.folder) == []


def died_of_it(line, done, words):
    assert done.code == 70, done.err
    assert "Traceback (most recent call last)" in done.err
    assert words in done.err
    last = line.journals()[-1][-1]
    assert (last.event, last.code) == ("run.finished", "our_bug")


async def test_f35_a_bug_with_a_claim_code_in_its_hands_tells_nobody(factory):
    """F35: the code is in the locals of five frames and in the message itself."""
    line = factory(devices=1, switcher="broken_switchers:BreaksWithSecrets")
    async with line.alive():
        done = await line.run()

    died_of_it(line, done, "bug in the link")
    assert "<hidden>" in done.err
    assert list(line.cloud.mint.secrets)
    nothing_leaked(line, done)


@pytest.mark.parametrize("held", BREAKS)
async def test_f35_a_bug_with_a_credential_in_its_hands_tells_nobody(factory, held):
    """F35: in a library's frame, with our request."""
    method, path = BREAKS[held]
    line = factory(devices=1)
    site = line.folder / "site"
    site.mkdir(parents=True)
    (site / "sitecustomize.py").write_text(CLOUD_BREAKS.format(method=method, path=path))
    async with line.alive():
        done = await line.run()

    died_of_it(line, done, "bug in a library")
    assert "<hidden>" in done.err
    nothing_leaked(line, done)
