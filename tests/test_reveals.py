"""Every place that takes a secret out of its `Secret`, by name: a new one must be thought about, and written here.

Rule 3 of the secrets (facts): `reveal` is called only where the bytes leave for their one destination, or where they
are compared or hidden. No alias, no `getattr`, no look below the name: so this list is all there is.
"""

import ast
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "provisioner"

REVEALS = {
    # where the bytes leave
    ("softap.protocol", "claim_code_body"): 1,  # to the board
    ("softap.wifi_password", "_plain"): 2,  # to the board, under its key
    ("cloud.tokens", "Bearer.header"): 1,  # into a Secret again
    ("cloud.tokens", "Tokens._ask"): 1,  # to the cloud, as Basic, into a Secret again
    ("cloud.transport", "Transport._message"): 1,  # to the cloud
    ("console.web.server", "Address.link"): 1,  # to the terminal of whoever started the console
    # where they are looked at and stay
    ("secrets", "ClaimCode.fingerprint"): 1,
    ("softap.wifi_password", "require_usable"): 1,
    ("cloud.client", "open_cloud"): 1,
    ("cloud.breaker", "Breaker.__init__"): 1,
    ("console.web.guard", "Guard.has_token"): 1,
    # where they are cut out of other people's texts
    ("cloud.exchange", "refusal_of"): 1,
    ("cloud.refusals", "_safe"): 2,
}


def trees():
    for file in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(file.relative_to(PACKAGE).with_suffix("").parts), ast.parse(file.read_text())


def named(tree, place=()):
    """(qualified name of the function or class it stands in, node) for every node."""
    for node in ast.iter_child_nodes(tree):
        inner = place
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = (*place, node.name)
        yield ".".join(inner), node
        yield from named(node, inner)


def test_f35_secrets_are_revealed_in_these_places_and_no_other():
    """F35: also a mention without a call counts, for it could be called elsewhere."""
    found = Counter(
        (module, place)
        for module, tree in trees()
        for place, node in named(tree)
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    )

    assert dict(found) == REVEALS


def test_f35_nobody_goes_round_reveal():
    """F35: by the mangled name, or by a name in a text."""
    for module, tree in trees():
        for place, node in named(tree) if module != "secrets" else ():
            name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "value", None)
            if isinstance(node, ast.Attribute | ast.Constant) and isinstance(name, str):
                assert "_Secret__" not in name, (module, place)
                assert name != "reveal" or isinstance(node, ast.Attribute), (module, place)
