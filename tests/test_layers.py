"""The map of the house: a module imports only strictly lower layers, or its own package."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "provisioner"

LAYERS = {
    0: ["errors"],
    1: ["model", "secrets"],
    2: ["strict_yaml"],
    3: ["settings", "pacing", "line.manifest", "line.steps", "softap.protocol", "softap.wifi_password",
        "cloud.payloads", "journal.records"],
    4: ["cloud.transport", "cloud.governor", "cloud.tokens", "cloud.client", "softap.channel", "softap.client",
        "network.switcher", "network.backends", "network.manual", "journal.writer", "journal.reader", "logs",
        "console.view"],
    5: ["line.ledger", "line.importer", "line.station", "line.claim_codes", "line.confirmer"],
    6: ["line.scheduler"],
    7: ["simulator.clock", "simulator.world", "simulator.cloud", "simulator.photon", "simulator.radio",
        "simulator.faults", "simulator.checkers", "console.terminal",
        "simulator.photon_ap", "simulator.photon_commands", "simulator.photon_firmware", "simulator.photon_history",
        "simulator.photon_http", "simulator.photon_json", "simulator.photon_keys", "simulator.photon_naming",
        "simulator.photon_tcp", "simulator.factory_wifi", "simulator.loopback", "simulator.operators",
        "simulator.radio_switcher", "simulator.surroundings"],
    8: ["app"],
    9: ["cli"],
    10: ["__main__"],
}  # fmt: skip
PURE_UP_TO = 3
NOT_PURE = {"trio", "httpx", "socket", "subprocess", "anyio", "starlette", "hypercorn"}
ONLY_IN = {
    "httpx": {"cloud.transport"},  # upstream has stood still since 2024-12: one seam, so that it can be replaced
    "starlette": {"simulator.cloud"},
    "hypercorn": {"simulator.world"},
    "rich": {"console.terminal"},
    "click": {"cli"},
}
NURSERIES = {"line.scheduler", "app"}  # plus the simulator, which is a world of its own
LAYER = {module: layer for layer, modules in LAYERS.items() for module in modules}


def modules():
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        if not name.endswith("__init__"):
            yield name, ast.parse(file.read_text())


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
        if ".".join(parts[:length]) in LAYER:
            return ".".join(parts[:length])
    return None


@pytest.mark.parametrize(("name", "tree"), list(modules()), ids=[name for name, _ in modules()])
def test_module_imports_only_lower_layers_or_its_own_package(name, tree):
    assert name in LAYER, f"{name} is not on the map"
    for imported in imports(tree):
        top = imported.split(".")[0]
        if top != "provisioner":
            assert LAYER[name] > PURE_UP_TO or top not in NOT_PURE, f"{name} is pure and imports {imported}"
            assert name in ONLY_IN.get(top, {name}), f"only {ONLY_IN.get(top)} may import {top}"
            continue
        target = ours(imported)
        if target is None:
            continue
        same_package = "." in name and name.split(".")[0] == target.split(".")[0] and not name.startswith("line.")
        assert LAYER[target] < LAYER[name] or same_package, f"{name} (layer {LAYER[name]}) imports {target}"
        if target.startswith("simulator."):
            assert name == "app" or name.startswith("simulator."), "nothing on the line knows of the simulator"


def test_every_module_on_the_map_exists():
    missing = [module for module in LAYER if not (PACKAGE / (module.replace(".", "/") + ".py")).exists()]
    assert not missing


def test_nurseries_are_opened_only_where_the_map_says():
    openers = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "open_nursery"
    }
    assert {name for name in openers if not name.startswith("simulator.")} <= NURSERIES
