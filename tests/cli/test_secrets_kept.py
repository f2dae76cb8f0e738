"""F35 through the real command: what a curious user switches on shows no secret, and a crash leaves no memory behind.

`bench.run` looks through all that was said and left.
"""

import resource

import pytest

LOUD = """
import logging, sys

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
for name in {names!r}:
    logging.getLogger(name).setLevel(logging.DEBUG)
logging.getLogger("somebody").debug("who wants to see it all")
"""
# Who sets the level of a library's own logger, not only the root's, really wants it.
EVERY_LOGGER = ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "h11", "trio", "asyncio", "structlog")
VARIABLES = {
    "HTTPX_LOG_LEVEL": "trace",
    "PYTHONDEVMODE": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONVERBOSE": "",
    "DEBUG": "1",
}


@pytest.mark.parametrize("names", [(), EVERY_LOGGER], ids=["root", "every logger"])
@pytest.mark.parametrize("command", [("import", "m.yaml"), ("reconcile", "m.yaml"), ("doctor",)])
async def test_f35_logging_that_is_switched_on_shows_no_secret(bench, command, names):
    """F35: httpx tells every URL at INFO, httpcore every header that comes back at DEBUG."""
    site = bench.folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(LOUD.format(names=names))
    bench.environment |= VARIABLES

    said = await bench.run(*command, PYTHONPATH=f"{site}:{bench.env()['PYTHONPATH']}")

    assert "DEBUG somebody who wants to see it all" in said.err
    assert bench.called("/oauth/token")
    assert ("httpcore.http11" in said.err) == bool(names)


LIMIT = "import resource; print('core', resource.getrlimit(resource.RLIMIT_CORE)[0])"
AT_EXIT = f"import atexit; atexit.register(lambda: exec({LIMIT!r}))"


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, reason="this computer lets nobody write core dumps"
)
async def test_f35_the_real_command_leaves_no_core_dump(bench):
    """F35: a dump of its memory would hold tokens. The limit is what it is when the command ends."""
    site = bench.folder / "site"
    site.mkdir()
    allow = (
        "import resource; resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)"
    )
    (site / "sitecustomize.py").write_text(f"{allow}\n{LIMIT}\n{AT_EXIT}\n")

    said = await bench.run("check", "m.yaml", PYTHONPATH=f"{site}:{bench.env()['PYTHONPATH']}")

    before, after = [line.split()[1] for line in said.out.splitlines() if line.startswith("core ")]
    assert before != "0"
    assert after == "0"
