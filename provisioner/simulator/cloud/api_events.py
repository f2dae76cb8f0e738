"""Endpoints of the event streams (facts, particle-cloud 10). An answer that goes on is opened by `http.py`."""

from __future__ import annotations

from provisioner.simulator.cloud.api import Ask, OpenStream, account_of_caller, device_of_product, product_for_caller
from provisioner.simulator.cloud.api_devices import reachable_device
from provisioner.simulator.cloud.events import Wanted
from provisioner.simulator.cloud.rules import said_no
from provisioner.simulator.cloud.sim_cloud import SimCloud


def product_events(cloud: SimCloud, ask: Ask) -> OpenStream:
    """GET /v1/products/:p/events[/:prefix]: the whole fleet."""
    product = product_for_caller(cloud, ask, "events:get")
    return _open(cloud, Wanted(product_id=product.id, prefix=ask.path_args.get("prefix", "")))


def product_device_events(cloud: SimCloud, ask: Ask) -> OpenStream:
    """GET /v1/products/:p/devices/:id/events[/:prefix]: one device of the product."""
    product = product_for_caller(cloud, ask, "events:get")
    device = device_of_product(cloud, ask, product)
    return _open(cloud, Wanted(product.id, device_id=device.id, prefix=ask.path_args.get("prefix", "")))


def own_events(cloud: SimCloud, ask: Ask) -> OpenStream:
    """GET /v1/devices/events[/:prefix]: the caller's own devices."""
    account = account_of_caller(cloud, ask)
    return _open(cloud, Wanted(owner_id=account.id, prefix=ask.path_args.get("prefix", "")))


def own_device_events(cloud: SimCloud, ask: Ask) -> OpenStream:
    """GET /v1/devices/:id/events[/:prefix]: one of the caller's own devices."""
    device = reachable_device(cloud, ask)
    owner = account_of_caller(cloud, ask)
    return _open(cloud, Wanted(owner_id=owner.id, device_id=device.id, prefix=ask.path_args.get("prefix", "")))


def public_events(cloud: SimCloud, ask: Ask) -> OpenStream:
    """GET /v1/events/:prefix: the caller's own devices; the prefix has to be there since 2018-04."""
    account = account_of_caller(cloud, ask)
    if not ask.path_args["prefix"].strip("/"):
        raise said_no(400, "An event name prefix is required")
    return _open(cloud, Wanted(owner_id=account.id, prefix=ask.path_args["prefix"]))


def _open(cloud: SimCloud, wanted: Wanted) -> OpenStream:
    if not cloud.limits.admits_stream(cloud.clock.seconds()):
        raise said_no(529, "Too many event stream connections")
    return OpenStream(wanted)
