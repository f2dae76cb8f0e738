"""Endpoints of a product's customers and their claim codes (facts, particle-cloud 6 and 7)."""

from __future__ import annotations

from provisioner.simulator.cloud.api import (
    OK,
    Answer,
    Ask,
    account_of_caller,
    caller,
    may_see,
    product_for_caller,
    product_in_path,
)
from provisioner.simulator.cloud.api_tokens import client_of, issue
from provisioner.simulator.cloud.rows import page_of, product_row
from provisioner.simulator.cloud.rules import Json, oauth_refused, said_no
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import SimAccount, SimProduct, TokenKind, What


def create_customer(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /v1/products/:p/customers with the OAuth client's credentials: the answer is the customer's token.

    With a team member's token instead, the customer is made, but no token is given. A product token is refused.
    """
    client = None
    if ask.basic is None and ask.text("client_id") is None:
        token = caller(cloud, ask)
        product = product_in_path(cloud, ask)
        if token.kind is not TokenKind.USER or not may_see(cloud, token, product.id):
            raise oauth_refused(cloud.rules.client_refused_status, "invalid_client", "Client credentials are required")
    else:
        client = client_of(cloud, ask)
        product = product_in_path(cloud, ask)
        if client.product_id != product.id:
            raise oauth_refused(cloud.rules.client_refused_status, "invalid_client", "Client credentials are invalid")
    customer = _new_customer(cloud, ask, product)
    if client is None:
        return OK
    return issue(cloud, ask, client, kind=TokenKind.CUSTOMER, account=customer, grant="create customer")


def _new_customer(cloud: SimCloud, ask: Ask, product: SimProduct) -> SimAccount:
    name = (ask.text("email") or "").strip()
    if not name:
        raise oauth_refused(400, "invalid_request", "email is required")
    customer = cloud.accounts.add_customer(name, product)
    if customer is None:
        raise oauth_refused(
            cloud.rules.customer_exists_status, "customer_exists", "A customer with that email already exists"
        )
    cloud.history.note(What.CUSTOMER_CREATED, account=customer.username, detail=product.slug)
    return customer


def list_customers(cloud: SimCloud, ask: Ask) -> Answer:
    """GET /v1/products/:p/customers. A customer without a claimed device is not listed (recorded)."""
    product = product_for_caller(cloud, ask, "customers:list")
    now_s = cloud.clock.seconds()
    owned = {c.id: list(cloud.fleet.owned_by(c, now_s)) for c in cloud.accounts.customers_of(product.id)}
    shown = [
        customer
        for customer in cloud.accounts.customers_of(product.id)
        if owned[customer.id] or cloud.rules.customers_without_device_listed
    ]
    page, meta = page_of(shown, ask.query, cloud.rules)
    customers: list[Json] = [
        {"id": c.id, "username": c.username, "devices": [device.id for device in owned[c.id]]} for c in page
    ]
    rows = [product_row(device, product, now_s, cloud.rules) for c in page for device in owned[c.id]]
    return Answer({"customers": customers, "devices": rows, "meta": meta})


def delete_customer(cloud: SimCloud, ask: Ask) -> Answer:
    """DELETE /v1/products/:p/customers/:email: revokes its tokens and its unused claim codes."""
    product = product_for_caller(cloud, ask, "customers:remove")
    customer = cloud.accounts.customer(ask.path_args["customer"], product.id)
    if customer is None:
        raise oauth_refused(404, "not_found", "Customer not found")
    cloud.fleet.free_all_of(customer)
    cloud.claims.revoke_all_of(customer)
    cloud.accounts.forget_customer(customer)
    cloud.history.note(What.CUSTOMER_DELETED, account=customer.username)
    return OK


def change_customer(cloud: SimCloud, ask: Ask) -> Answer:
    """PUT /v1/products/:p/customers/:email: a new password, which only customers with passwords have."""
    product = product_for_caller(cloud, ask, "customers:update")
    if cloud.accounts.customer(ask.path_args["customer"], product.id) is None:
        raise oauth_refused(404, "not_found", "Customer not found")
    raise oauth_refused(400, "invalid_request", "The customer has no password")


# --- claim codes ---


def create_product_claim_code(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /v1/products/:p/device_claims: the token must be a customer's of this product."""
    token = caller(cloud, ask)
    product = product_in_path(cloud, ask)
    if token.account is None or token.account.product_id != product.id:
        raise said_no(cloud.rules.claim_code_wrong_token_status, "Permission denied")
    return _claim_code(cloud, token.account)


def create_claim_code(cloud: SimCloud, ask: Ask) -> Answer:
    """POST /v1/device_claims: a user's token, or a customer's."""
    return _claim_code(cloud, account_of_caller(cloud, ask))


def _claim_code(cloud: SimCloud, account: SimAccount) -> Answer:
    now_s = cloud.clock.seconds()
    code = cloud.claims.make(account, now_s)
    return Answer(
        {"claim_code": code.text, "device_ids": [device.id for device in cloud.fleet.owned_by(account, now_s)]}
    )
