"""What proves a device, case by case."""

from datetime import UTC, datetime, timedelta

import pytest

from provisioner.line.proof import Expectation, Verdict, judge, takeover, wanted_owner
from provisioner.model import ClaimPolicy, ClaimTo, CloudDevice, DeviceID, ListedDevice

ID = DeviceID.parse("3b0021001747353236343033")
BEFORE = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
VISIT = BEFORE + timedelta(minutes=10)
AFTER = VISIT + timedelta(seconds=12)


def listed(to="customer", *, takeover_allowed=False):
    owner = "line3+t-0001@example.com" if to == "customer" else None
    policy = ClaimPolicy(ClaimTo(to), "line3+{tray}@example.com" if to == "customer" else None)
    return ListedDevice(ID, "T-0001", 1, None, policy, owner, "factory-2g", takeover_allowed)


def seen(**changes):
    row = {"id": ID, "online": True, "owner": "line3+t-0001@example.com", "in_product": True, "quarantined": False,
           "denied": False, "last_handshake_at": AFTER}  # fmt: skip
    return CloudDevice(**(row | changes))


def wanted(to="customer", **changes):
    return Expectation(
        listed(to),
        **(
            {
                "account": "factory@example.com",
                "membership": True,
                "visited": True,
                "handshake_before": BEFORE,
                "cloud_from": VISIT,
            }
            | changes
        ),
    )


def test_all_four_facts_after_the_visit_prove_it():
    assert judge(seen(), wanted()) is Verdict.PROVEN


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"last_handshake_at": BEFORE}, Verdict.NOT_YET),  # a stale `online` from an earlier session
        ({"last_handshake_at": None}, Verdict.NOT_YET),
        ({"owner": None}, Verdict.NOT_CLAIMED),
        ({"owner": "somebody@example.com"}, Verdict.WRONG_OWNER),
        ({"in_product": False}, Verdict.NOT_IN_PRODUCT),
        ({"quarantined": True}, Verdict.QUARANTINED),
        ({"denied": True}, Verdict.QUARANTINED),
    ],
)
def test_one_missing_fact_is_enough_not_to_prove_it(change, verdict):
    assert judge(seen(**change), wanted()) is verdict


def test_a_handshake_between_the_read_and_the_visit_proves_nothing():
    """
    The board was online after we read it and before we told it to connect: the handshake changed, but it is older
    than the cloud's own time of our connect-ap.
    """
    between = VISIT - timedelta(minutes=3)

    assert judge(seen(last_handshake_at=between), wanted()) is Verdict.NOT_YET


def test_the_owner_is_compared_as_the_cloud_writes_it_in_lower_case():
    assert judge(seen(owner="Line3+T-0001@Example.com"), wanted()) is Verdict.PROVEN


def test_import_only_is_proven_by_membership_alone():
    imported = wanted("none", visited=False, handshake_before=None, cloud_from=None)

    assert judge(seen(owner=None, online=False, last_handshake_at=None), imported) is Verdict.PROVEN
    assert judge(seen(in_product=False), imported) is Verdict.NOT_IN_PRODUCT


def test_a_policy_that_wants_an_owner_is_never_proven_without_knowing_whom():
    assert judge(seen(), wanted("account", account=None)) is Verdict.NOT_YET


def test_an_online_policy_asks_for_the_claim_once_the_device_is_there():
    online = wanted("online", visited=False)

    assert judge(seen(owner=None), online) is Verdict.CLAIM_NOW
    assert judge(seen(owner=None, online=False), online) is Verdict.NOT_YET
    assert judge(seen(owner="factory@example.com"), online) is Verdict.PROVEN
    assert judge(seen(owner="somebody@example.com"), online) is Verdict.WRONG_OWNER


def test_wanted_owner_follows_the_policy():
    assert wanted_owner(listed("customer"), "factory@example.com") == "line3+t-0001@example.com"
    assert wanted_owner(listed("account"), "Factory@example.com") == "factory@example.com"
    assert wanted_owner(listed("none"), "factory@example.com") is None


@pytest.mark.parametrize("to", ["customer", "account", "none"])
def test_a_device_of_somebody_else_is_a_takeover_unless_the_manifest_allows_it(to):
    foreign = seen(owner="somebody@example.com")

    assert takeover(listed(to), foreign, "factory@example.com") == "somebody@example.com"
    assert takeover(listed(to, takeover_allowed=True), foreign, "factory@example.com") is None
    assert takeover(listed(to), seen(owner=None), "factory@example.com") is None
    assert takeover(listed(to), seen(owner="Factory@Example.com"), "factory@example.com") is None
