"""The map of the house: a module imports only strictly lower layers, or its own package."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "provisioner"

# `package.*` stands for every module of the package that is not named in another row.
LAYERS = {
    0: ["errors.*"],
    1: ["model", "secrets", "portable", "packed"],
    2: ["strict_yaml", "line.tray", "line.device_list", "line.manifest_rows", "line.manifest_shape",
        "line.scan_text"],
    3: ["settings", "pacing", "line.manifest", "line.steps", "line.proof", "softap.protocol", "softap.reply_buffer",
        "softap.wifi_password", "scanner.wedge", "cloud.payloads", "cloud.refusals", "journal.fields",
        "journal.records"],
    4: ["cloud.*", "softap.*", "network.*", "journal.*", "logs", "signals", "line.rows", "console.tally",
        "console.view", "console.verdict", "console.station_view", "console.tray_map", "console.proofs",
        "console.curve", "console.stage", "console.roll", "scanner.code128", "scanner.sheet"],
    5: ["line.ledger", "line.air", "line.hold", "line.uplink"],
    6: ["line.lookups", "line.site_watch", "line.claim_codes", "line.waiting_room", "line.newest", "line.membership"],
    7: ["line.importer", "line.visit", "line.confirmer"],
    8: ["line.handover", "line.labels", "line.orders"],
    9: ["line.station", "line.scan_desk"],
    10: ["line.search"],
    11: ["line.shift", "line.desk", "line.books"],
    12: ["line.scheduler", "reconcile.*"],
    13: ["simulator.*", "console.*", "scanner.*"],
    14: ["job"],
    15: ["earlier_runs", "today", "live_page", "opening", "scanning"],
    16: ["app"],
    17: ["nightly", "undo"],
    18: ["demo.*", "doctor"],
    19: ["cli_shared"],
    20: ["cli_night", "cli_console", "cli_scanner"],
    21: ["cli_line", "cli_bench"],
    22: ["cli"],
    23: ["__main__"],
}  # fmt: skip
PURE_UP_TO = 3
PURE_BESIDES = {
    "network.nm_profile",
    "line.rows",
    "console.tally",
    "console.view",
    "console.station_view",
    "console.tray_map",
    "console.proofs",
    "console.curve",
    "console.stage",
    "console.roll",
    "console.board",
    "reconcile.facts",
    "reconcile.classes",
}
NOT_PURE = {"trio", "httpx", "socket", "subprocess", "anyio", "starlette", "hypercorn"}
ONLY_IN = {
    "httpx": {"cloud.transport"},  # upstream has stood still since 2024-12: one seam, so that it can be replaced
    "hypercorn": {"simulator.cloud.serving", "console.web.server"},
    "starlette": {"console.web.pages"},
    "rich": {
        "console.terminal",
        "console.terminal_stations",
        "console.morning",
        "console.life",
        "console.status",
        "app",
        "demo.run",
        "demo.truth",
        "demo.virtual",
    },  # they only hand the console through
    "jeepney": {"network.nm_bus"},
    "click": {"cli", "cli_shared", "cli_line", "cli_bench", "cli_night", "cli_console", "cli_scanner"},
}
NURSERIES = {
    "line.scheduler",
    "app",
    "signals",  # for what comes too late
    "cli_console",
    "demo.run",
    "demo.virtual",
    "demo.simulate",
    "console.web.server",  # the page's own, in the run's
    "console.web.pages",  # one a reader: it ends when the reader leaves
    "console.web.follow",
    "network.nm_bus",  # jeepney reads the bus in a task of its own
}  # plus the simulator, which is a world of its own
LAYER = {module: layer for layer, modules in LAYERS.items() for module in modules}


def layer_of(name):
    return LAYER.get(name, LAYER.get(f"{name.split('.')[0]}.*"))


def names():
    modules = (".".join(file.relative_to(PACKAGE).with_suffix("").parts) for file in PACKAGE.rglob("*.py"))
    return sorted(name for name in modules if not name.endswith("__init__"))


def tree_of(name):
    return ast.parse((PACKAGE / f"{name.replace('.', '/')}.py").read_text())


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            if node.module.startswith("provisioner"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


def ours(name):
    """The module behind an imported name, or None: `provisioner.line.manifest.Tray` -> `line.manifest`."""
    parts = name.split(".")[1:]
    for length in range(len(parts), 0, -1):
        if (PACKAGE / "/".join(parts[:length])).with_suffix(".py").exists():
            return ".".join(parts[:length])
    return None


@pytest.mark.parametrize("name", names())
def test_module_imports_only_lower_layers_or_its_own_package(name):
    layer = layer_of(name)
    assert layer is not None, f"{name} is not on the map"
    pure = layer <= PURE_UP_TO or name in PURE_BESIDES
    for imported in imports(tree_of(name)):
        top = imported.split(".")[0]
        if top != "provisioner":
            assert not (pure and top in NOT_PURE), f"{name} is pure and imports {imported}"
            assert name in ONLY_IN.get(top, {name}), f"only {ONLY_IN.get(top)} may import {top}"
            continue
        target = ours(imported)
        if target is None:
            continue
        same_package = "." in name and name.split(".")[0] == target.split(".")[0] and not name.startswith("line.")
        assert layer_of(target) < layer or same_package, f"{name} (layer {layer}) imports {target}"
        if target.startswith("simulator."):
            assert name.startswith(("demo.", "simulator.")), "nothing on the line knows of the simulator"


def test_every_module_on_the_map_exists():
    named = [module for module in LAYER if not module.endswith(".*")]
    missing = [module for module in named if not (PACKAGE / (module.replace(".", "/") + ".py")).exists()]
    assert not missing


def test_nurseries_are_opened_only_where_the_map_says():
    openers = {
        name
        for name in names()
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Attribute) and node.attr == "open_nursery"
    }
    assert {name for name in openers if not name.startswith("simulator.")} <= NURSERIES
