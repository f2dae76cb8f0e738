"""F32 in whole runs: something answers in the cloud's name. It hears no token, and the line says what it met."""

from functools import partial

import pytest
import trio

from provisioner.demo.virtual import _CLOUD_ADDRESS, CLOUD
from provisioner.simulator.virtual.authority import authority_for
from provisioner.simulator.virtual.https import serve_https

FALSE = {  # the certificate's name; None: no TLS
    "somebody else's certificate": "portal.example",
    "our name, signed by themselves": CLOUD,
    "no TLS at all": None,
}


@pytest.mark.parametrize("kind", FALSE)
async def test_f32_whoever_stands_in_the_clouds_place_hears_nothing_and_the_line_goes_on_after(
    factory, autojump_clock, kind
):
    """F32: connections that are open break, and new ones end at it for a while. No board fails for it."""
    heard = []

    async def listening(scope, receive, send):
        heard.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def cut(scope, receive, send):
        raise ConnectionResetError

    async def stand_between(line):
        await trio.sleep(20)
        network, name = line.virtual.network, FALSE[kind]
        context = authority_for(name).context if name else None
        true = network._hosts[CLOUD], dict(network._ways)
        network.add_host(CLOUD, _CLOUD_ADDRESS, {443: partial(serve_https, listening, context)})
        line.front = cut
        await trio.sleep(150)
        network._hosts[CLOUD], network._ways = true
        line.front = None

    line = factory()
    line.boards(8)

    end = await line.work(during=stand_between)

    end.good(**{"pass": 8})
    assert heard == []
    (held,) = end.events("line.held")
    assert held.blame == "site"
    assert end.events("line.released")
    said = [record for record in end.records if record.code == "cloud_unreachable"]
    assert any("proxy, firewall or captive portal" in (record.remedy or "") for record in said)
