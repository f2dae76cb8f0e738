"""Whatever the real cloud turns out to do where nobody could find out: the line gets on with either answer."""

import json
from dataclasses import fields
from io import StringIO

import pytest
from rich.console import Console

from provisioner.demo.files import LineFile, TrayFile
from provisioner.demo.virtual import VirtualFactory
from provisioner.job import Job
from provisioner.simulator.cloud.rules import CloudRules
from provisioner.simulator.faults import profile
from provisioner.simulator.operators import Habits
from provisioner.simulator.virtual.run import run_virtually

OTHERWISE = {
    "import_reply": "legacy",
    "import_protected_list": True,
    "import_echo": "verbatim",
    "import_ids_max": 2,
    "import_too_many_status": 413,
    "customer_exists_status": 409,
    "customer_unknown_status": 404,
    "customers_without_device_listed": True,
    "customer_calls_are_token_calls": True,
    "offline_customer_claim": "errors",
    "unknown_product": "not_found",
    "page_devices_default": 10,
    "page_devices_max": None,
    "unclaimed_owner": "null",
    "claim_code_life_s": 300.0,
    "claim_code_takes_over": False,
    "claim_code_adds_to_product": True,
    "claim_code_wrong_token_status": 401,
    "requests_per_5min": 400,
    "token_calls_per_5min": 10,
    "token_failures_max": 3,
    "lockout_s": 60.0,
    "lockout_of": "tokens",
    "serial_lookups_per_h": 1,
    "streams_per_5min": 1,
    "streams_max": 1,
    "event_keep_alive_s": 60.0,
    "busy_retry_after_s": 7,
    "busy_body": "html",
    "product_shape": "array",
    "query_token": False,
    "client_refused_status": 401,
    "access_token_life_s": 400,
    "refresh_token_life_s": 60,
    "body_bytes_max": 4096,
}
BOARDS = 6


async def shift(folder, rules):
    factory = VirtualFactory(seed=3, faults=profile("none", cloud_busy=0.05), rules=rules)
    factory.cloud.add_customer("line3+t-1@example.com")  # an earlier shift made it: it exists, and is told so
    boards = [factory.world.add_photon() for _ in range(BOARDS)]
    line = LineFile(["sim0", "sim1"], budgets={"idle_stop_s": 200})
    manifest, settings = factory.write(folder, [TrayFile("T-1", boards, "csv")], line)
    async with factory.alive():
        factory.world.start_operators(boards, Habits(boards_max=4))
        end = await factory.run(Job("run", manifest, settings, folder / "runs"), console=Console(file=StringIO()))
    return json.loads(end.journal.read_text().splitlines()[-1])["counts"]


def test_every_switch_has_its_other_side_here():
    assert OTHERWISE.keys() == {field.name for field in fields(CloudRules)}
    assert all(getattr(CloudRules(), name) != other for name, other in OTHERWISE.items())


@pytest.mark.parametrize("name", OTHERWISE)
def test_every_board_passes_whichever_way_it_is(tmp_path, name):
    rules = CloudRules(**{name: OTHERWISE[name]})

    counts = run_virtually(lambda: shift(tmp_path, rules), seed=3)
    assert counts["pass"] == BOARDS, counts
