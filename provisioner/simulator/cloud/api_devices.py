"""Endpoints of an account's own devices: lists, claim by ID, serial numbers, keys (facts, particle-cloud 3, 8, 9)."""

from __future__ import annotations

from provisioner.simulator.cloud.api import OK, Answer, Ask, account_of_caller, caller, may_see
from provisioner.simulator.cloud.api_products import change, ping
from provisioner.simulator.cloud.rows import Row, stamp, user_device, user_row
from provisioner.simulator.cloud.rules import Refused, claim_refused, device_not_recognised, permission_denied, said_no
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import VARIABLES, SimAccount, SimDevice

_FOREIGN = "That belongs to someone else. To request a transfer add ?request_transfer=true to the URL."


def list_own_devices(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/devices: a bare array, last handshake first."""
    account = account_of_caller(cloud, ask)
    mine = sorted(cloud.fleet.owned_by(account, cloud.clock.seconds()), key=_handshake, reverse=True)
    return Answer([user_row(device) for device in mine])


def _handshake(device: SimDevice) -> float:
    return device.last_handshake_at.timestamp() if device.last_handshake_at else 0.0


def reachable_device(cloud: SimCloud, ask: Ask) -> SimDevice:
    """The device in the path: the caller's own, or one of a product the caller may see. Raises Refused (family B)."""
    token = caller(cloud, ask)
    device = cloud.find_device(ask.path_args["device"])
    if device is None:
        raise device_not_recognised()
    own = token.account is not None and device.shown_owner(cloud.clock.seconds()) == token.account
    if not own and not may_see(cloud, token, device.product_id):
        raise device_not_recognised()
    return device


def show_own_device(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/devices/:id."""
    return Answer(user_device(reachable_device(cloud, ask), cloud.clock.seconds(), cloud.rules))


def change_own_device(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/devices/:id."""
    device = reachable_device(cloud, ask)
    return Answer({"id": device.id, **change(device, ask), "updated_at": stamp(cloud.clock.now())})


def ping_own_device(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/devices/:id/ping."""
    return ping(cloud, reachable_device(cloud, ask))


def unclaim_own_device(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/devices/:id: only the owner can."""
    account = caller(cloud, ask).account
    device = cloud.find_device(ask.path_args["device"])
    if device is None or account is None or device.owner != account:
        raise device_not_recognised()
    cloud.fleet.unclaim(device, how="unclaimed by its owner")
    return OK


def read_variable(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/devices/:id/:variable."""
    device = reachable_device(cloud, ask)
    name = ask.path_args["variable"]
    if not device.online or device.last_heard is None or device.last_handshake_at is None:
        raise said_no(408, "timed out")
    if name not in VARIABLES:
        raise said_no(404, "Variable not found")
    info: Row = {
        "last_app": "",
        "last_heard": stamp(device.last_heard),
        "connected": True,
        "last_handshake_at": stamp(device.last_handshake_at),
        "deviceID": device.id,
        "product_id": device.product_id if device.product_id is not None else device.platform_id,
    }
    return Answer({"cmd": "VarReturn", "name": name, "result": VARIABLES[name], "coreInfo": info})


# --- claim by ID ---


def claim_by_id(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /v1/devices: the token's account becomes the owner. All cases of facts, particle-cloud 8."""
    account = account_of_caller(cloud, ask)
    device_id = ask.text("id")
    if not device_id:
        raise claim_refused(400, "arg.deviceID is empty")
    device = cloud.find_device(device_id)
    if device is None or not _may_claim(cloud, account, device):
        raise claim_refused(404, "device does not exist")
    if device.owner is not None and device.owner != account:
        wants_transfer = ask.truth("request_transfer") or ask.query.get("request_transfer") == "true"
        if wants_transfer and not account.is_customer and not device.owner.is_customer:
            return Answer({"transfer_id": cloud.mint.hex(24, "transfer", device.id)})
        raise claim_refused(403, _FOREIGN)
    if not device.online and (refused := _offline_refusal(cloud, account, device)) is not None:
        raise refused
    cloud.fleet.claim(device, account, now_s=cloud.clock.seconds(), how="claim by ID")
    if not account.is_customer:
        return Answer({"user_id": account.id, "id": device.id, "connected": device.online, "ok": True})
    return Answer(
        {
            "ok": True,
            "id": device.id,
            "connected": device.online,
            "customer_id": account.id,
            "product_id": account.product_id,
            "updated_at": stamp(cloud.clock.now()),
        }
    )


def _may_claim(cloud: SimCloud, account: SimAccount, device: SimDevice) -> bool:
    """A customer claims within its product; a user outside all products, or in those of his teams."""
    if account.is_customer:
        return device.product_id == account.product_id
    return device.product_id is None or cloud.accounts.on_team(account, device.product_id)


def _offline_refusal(cloud: SimCloud, account: SimAccount, device: SimDevice) -> Refused | None:
    """Only a product's device can be claimed while it is offline (and by a customer only if the rules say so)."""
    if device.product_id is not None and not account.is_customer:
        return None
    if account.is_customer and cloud.rules.offline_customer_claim == "accepted":
        return None
    if account.is_customer and cloud.rules.offline_customer_claim == "empty":
        return Refused(404, {})
    return claim_refused(404, ["Core isn't online", 404])


# --- serial numbers and keys ---


def look_up_serial(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/serial_numbers/:sn, also of a device in no product; 50 an hour for each user."""
    account = account_of_caller(cloud, ask)
    if account.is_customer:
        raise permission_denied()
    if not cloud.limits.admits_serial_lookup(account.username, cloud.clock.seconds()):
        raise said_no(429, "Too many requests")
    device = cloud.fleet.find_serial(ask.path_args["serial"])
    if device is None:
        raise said_no(404, "Serial number not found")
    return Answer({"ok": True, "deviceID": device.id})


def send_public_key(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /v1/provisioning/:id: a bare JSON string. A device that is not the caller's is refused (seed 004)."""
    device = reachable_device(cloud, ask)
    key = ask.text("publicKey")
    if not key:
        raise said_no(400, "publicKey is required")
    device.public_key = key
    return Answer("Success!")
