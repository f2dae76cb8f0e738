"""Every place that takes a secret out of its `Secret`, by name: a new one must be thought about, and written here.

Rule 3 of the secrets (facts): `reveal` is called only where the bytes leave for their one destination, or where they
are compared or hidden. No alias, no `getattr`, no look below the name: so this list is all there is.
"""

import ast
from collections import Counter
from functools import cache
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


@cache
def nodes():
    """(module, qualified name of the function or class it stands in, node): every name and constant of the package."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        waiting = [(ast.parse(file.read_text()), ())]
        while waiting:
            tree, place = waiting.pop()
            for node in ast.iter_child_nodes(tree):
                inner = place
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    inner = (*place, node.name)
                if isinstance(node, ast.Attribute | ast.Constant):
                    found.append((module, ".".join(inner), node))
                waiting.append((node, inner))
    return found


def test_f35_secrets_are_revealed_in_these_places_and_no_other():
    """F35: also a mention without a call counts, for it could be called elsewhere."""
    found = Counter(
        (module, place) for module, place, node in nodes() if isinstance(node, ast.Attribute) and node.attr == "reveal"
    )

    assert dict(found) == REVEALS


def test_f35_nobody_goes_round_reveal():
    """F35: by the mangled name, or by a name in a text."""
    for module, place, node in nodes():
        name = node.attr if isinstance(node, ast.Attribute) else node.value
        if module != "secrets" and isinstance(name, str):
            assert "_Secret__" not in name, (module, place)
            assert name != "reveal" or isinstance(node, ast.Attribute), (module, place)
