"""Endpoints of a product: itself, its devices, import, and changing them (facts, particle-cloud 3 to 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from provisioner.simulator.cloud.api import (
    NO_CONTENT,
    OK,
    Answer,
    Ask,
    caller,
    device_of_product,
    may_see,
    not_for_api_users,
    product_for_caller,
)
from provisioner.simulator.cloud.fleet import ImportLists
from provisioner.simulator.cloud.rows import (
    Row,
    newest_first,
    page_of,
    product_device,
    product_object,
    product_row,
    select,
    stamp,
)
from provisioner.simulator.cloud.rules import CloudRules, Json, permission_denied, said_no
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import SimAccount, SimDevice, SimProduct, TokenKind, What


def show_product(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/products/:p. An unknown one is a 404 here (recorded), whatever the other routes say."""
    token = caller(cloud, ask)
    product = cloud.find_product(ask.path_args["product"])
    if product is None:
        raise said_no(404, "Product not found.")
    if not may_see(cloud, token, product.id):
        raise permission_denied()
    if token.kind is TokenKind.API_USER and "products:get" not in token.scopes:
        raise not_for_api_users()
    shown = product_object(product, len(cloud.fleet.listed(product.id)), cloud.account)
    return Answer({"product": [shown] if cloud.rules.product_shape == "array" else shown})


# --- the list ---


def list_devices(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/products/:p/devices."""
    product = product_for_caller(cloud, ask, "devices:list")
    now_s = cloud.clock.seconds()
    if newest_first(ask.query):
        found: Sequence[SimDevice] = cloud.fleet.newest(product.id)
    else:
        found = select(cloud.fleet.listed(product.id), ask.query)
    page, meta = page_of(found, ask.query, cloud.rules)
    customers: dict[str, Json] = {}
    for device in page:
        owner = device.shown_owner(now_s)
        if owner is not None and owner.is_customer:
            customers[owner.id] = {"id": owner.id, "username": owner.username}
    rows = [product_row(device, product, now_s, cloud.rules) for device in page]
    return Answer({"devices": rows, "customers": list(customers.values()), "meta": meta})


def show_device(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/products/:p/devices/:id."""
    product = product_for_caller(cloud, ask, "devices:get")
    device = device_of_product(cloud, ask, product)
    return Answer(product_device(device, product, cloud.clock.seconds(), cloud.rules))


# --- import ---


def import_devices(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /v1/products/:p/devices: `id`, `ids`, `ids[]`, or a list in the part `file`."""
    product = product_for_caller(cloud, ask, "devices:import")
    passed = list(_identifiers(ask))
    if not passed:
        raise said_no(400, "No device identifiers given: use id, ids or file")
    if cloud.rules.import_ids_max is not None and len(passed) > cloud.rules.import_ids_max:
        raise said_no(cloud.rules.import_too_many_status, "Too many devices in one request")
    lists = cloud.fleet.add_to_product(
        product,
        passed,
        claim_user=_claim_user(cloud, ask, product),
        now_s=cloud.clock.seconds(),
        row_missing=cloud.faults.import_row_missing,
    )
    return Answer(_import_reply(lists, cloud.rules))


def _identifiers(ask: Ask) -> Iterable[str]:
    listed = ask.body.files.get("file")
    lines = listed.decode("utf-8", "replace").splitlines() if listed is not None else []
    for text in (*ask.texts("id"), *ask.texts("ids"), *lines):
        if text.strip():
            yield text.strip()


def _claim_user(cloud: SimCloud, ask: Ask, product: SimProduct) -> SimAccount | None:
    name = ask.text("claim_user") or ask.query.get("claim_user")
    if not name:
        return None
    user = cloud.accounts.user(name)
    if user is None or not cloud.accounts.on_team(user, product.id):
        raise said_no(400, "claim_user must be a member of the product team")
    return user


def _import_reply(lists: ImportLists, rules: CloudRules) -> Row:
    if rules.import_reply == "legacy":
        return {
            "updated": len(lists.updated),
            "nonmemberDeviceIds": lists.nonmember,
            "invalidDeviceIds": lists.invalid,
        }
    reply: Row = {
        "updated": len(lists.updated),
        "updatedDeviceIds": lists.updated,
        "existingDeviceIds": lists.existing,
        "nonmemberDeviceIds": lists.nonmember,
        "invalidDeviceIds": lists.invalid,
    }
    if lists.protected or rules.import_protected_list:
        reply["protectedDeviceIds"] = lists.protected
    return reply


# --- changing ---


def change_devices(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/products/:p/devices: add or remove groups of many devices at once."""
    product = product_for_caller(cloud, ask, "devices:update")
    metadata = ask.body.fields.get("metadata")
    if ask.text("action") != "groups" or not isinstance(metadata, dict):
        raise said_no(400, "action must be groups, with metadata")
    add, remove = _names(metadata.get("add")), _names(metadata.get("remove"))
    for device_id in ask.texts("devices"):
        device = cloud.find_device(device_id)
        if device is not None and device.product_id == product.id:
            kept = [group for group in device.groups if group not in remove]
            device.groups = tuple(dict.fromkeys((*kept, *add)))
    return OK


def _names(value: Json) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def change_device(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/products/:p/devices/:id: only what changed is echoed."""
    product = product_for_caller(cloud, ask, "devices:update")
    device = device_of_product(cloud, ask, product)
    changed = change(device, ask)
    fields = ask.body.fields
    if "development" in fields:
        changed["development"] = device.development = ask.truth("development")
    if "desired_firmware_version" in fields:
        wanted = ask.text("desired_firmware_version") or ""
        device.desired_firmware_version = int(wanted) if wanted.isdecimal() and len(wanted) < 6 else None
        changed["desired_firmware_version"] = device.desired_firmware_version
    if "groups" in fields:
        device.groups = ask.texts("groups")
        changed["groups"] = list(device.groups)
    return Answer({"id": device.id, **changed, "updated_at": stamp(cloud.clock.now())})


def change(device: SimDevice, ask: Ask) -> Row:
    """Apply `name`, `notes` and `signal`, which users and products may change; return the echo."""
    changed: Row = {}
    if "name" in ask.body.fields:
        changed["name"] = device.name = ask.text("name")
    if "notes" in ask.body.fields:
        changed["notes"] = device.notes = ask.text("notes")
    if "signal" in ask.body.fields:
        changed["signaling"] = ask.truth("signal")
    return changed


def remove_device(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/products/:p/devices/:id; a customer's device is unclaimed; `deny` refuses a quarantined one."""
    product = product_for_caller(cloud, ask, "devices:remove")
    device = device_of_product(cloud, ask, product)
    if ask.truth("deny") and device.quarantined_in == product.id:
        device.denied = True
        cloud.history.note(What.DENIED, device=device.id)
        return NO_CONTENT
    if device.owner is not None and device.owner.is_customer:
        cloud.fleet.unclaim(device, how="removed from product")
    cloud.fleet.leave(device)
    cloud.history.note(What.REMOVED, device=device.id, detail=product.slug)
    return NO_CONTENT


def release_device(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/products/:p/devices/:id/owner: unclaim, whoever owns it, online or not."""
    device = device_of_product(cloud, ask, product_for_caller(cloud, ask, "devices:release"))
    cloud.fleet.unclaim(device, how="released by the product")
    return OK


def ping_device(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/products/:p/devices/:id/ping."""
    device = device_of_product(cloud, ask, product_for_caller(cloud, ask, "devices:ping"))
    return ping(cloud, device)


def ping(cloud: SimCloud, device: SimDevice) -> Answer:
    """Ask the device; an answer counts as heard."""
    if device.online:
        device.last_heard = cloud.clock.now()
    return Answer({"online": device.online, "ok": True})
