"""The simulated Particle cloud: state and rules without HTTP (served by `cloud_http`, spoken to by simulated Photons).

Rule 1: every method is synchronous, so a request or a handshake is one step that nothing can come between.
Rule 2: what scenarios arrange (`know_device`, `put_in_product`, `set_owner`, `quarantine`, `add_...`) needs no running
clock and leaves no trace in the history; what devices and callers do is written there.
"""

from __future__ import annotations

import weakref

from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.accounts import Accounts, Mint
from provisioner.simulator.cloud.claims import Claims
from provisioner.simulator.cloud.events import EventHub
from provisioner.simulator.cloud.fleet import Fleet
from provisioner.simulator.cloud.limits import Limits
from provisioner.simulator.cloud.rules import CloudRules
from provisioner.simulator.cloud.shelf import temporary_database
from provisioner.simulator.cloud.state import (
    PHOTON,
    Happening,
    History,
    SimAccount,
    SimClient,
    SimDevice,
    SimProduct,
    TokenKind,
    What,
)
from provisioner.simulator.faults import Dice, Faults
from provisioner.simulator.spool import Spool

__all__ = ["CloudRules", "Happening", "SimCloud", "SimProduct", "What"]

CLIENT_ID = "tempmon06-3459"
ACCOUNT = "factory@example.com"


class SimCloud:
    """One cloud with one product, one OAuth client and one user account to start with.

    `history` tells everything that happened; `limits` counts requests; `clock_skew_s` shifts the `Date` header only.
    `spooled`: the history and the secrets are kept on disk. (Devices and claim codes at rest always are.)
    """

    def __init__(
        self,
        *,
        clock: SimClock,
        dice: Dice,
        faults: Faults,
        rules: CloudRules = CloudRules(),  # noqa: B008 - frozen
        spooled: bool = False,
    ) -> None:
        self.clock = clock
        self.dice = dice
        self.faults = faults
        self.rules = rules
        self.clock_skew_s = 0.0
        self.history = History(clock, Spool() if spooled else None)
        self.limits = Limits(rules)
        self.events = EventHub(clock=clock, dice=dice, faults=faults, rules=rules)
        self.mint = Mint(dice, Spool() if spooled else None)
        self.accounts = Accounts(self.mint, rules)
        db = temporary_database()
        weakref.finalize(self, db.close)
        self.fleet = Fleet(self.accounts, self.history, rules, dice, db)
        self.claims = Claims(self.mint, self.accounts, self.fleet, self.history, rules, db=db)
        self._products: dict[int, SimProduct] = {}
        self.product = self.add_product(1319, "tempmon-v100", name="Temperature monitor")
        client = self.accounts.add_client("tempmon06", "installed", self.product, CLIENT_ID)
        self.client_id = client.id
        self.client_secret = client.secret
        self.account = ACCOUNT
        self.password = self.mint.secret(16, "password", ACCOUNT)
        self.user_token = self.add_user(ACCOUNT, password=self.password, products=(self.product,))

    # --- arranging a scenario ---

    def add_product(self, product_id: int, slug: str, *, name: str = "", platform_id: int = PHOTON) -> SimProduct:
        """One more product. Devices of its platform can be imported into it."""
        product = SimProduct(product_id, slug, name or slug, platform_id)
        self._products[product.id] = product
        return product

    def add_user(self, username: str, *, password: str = "", products: tuple[SimProduct, ...] = ()) -> str:
        """One more user account, on the team of these products; returns a token of his that never ends."""
        user = self.accounts.add_user(username, password, products)
        token = self.accounts.issue(TokenKind.USER, "particle", now_s=0.0, life_s=None, account=user)
        return token.access

    def add_client(self, name: str, product: SimProduct) -> SimClient:
        """One more OAuth client (two-legged) of a product."""
        return self.accounts.add_client(name, "installed", product)

    def add_customer(self, username: str, product: SimProduct | None = None) -> SimAccount:
        """A customer of the product (default: the first one); the one that is there, if it is."""
        of = product or self.product
        found = self.accounts.add_customer(username, of) or self.accounts.customer(username, of.id)
        if found is None:
            raise AssertionError("a customer is either new or known")
        return found

    def know_device(self, device_id: str, *, serial: str, platform_id: int = PHOTON, protected: bool = False) -> None:
        """A device exists at Particle: in no product, owned by nobody, never online."""
        self.fleet.add(SimDevice(device_id.lower(), serial, platform_id, protected))

    def put_in_product(self, device_id: str, product: SimProduct | None = None) -> None:
        """The device is a member of the product already."""
        self.fleet.join(self._known(device_id), (product or self.product).id)

    def set_owner(self, device_id: str, owner: str | None) -> None:
        """The device is owned by this user, or else by this customer of its product (made if need be), or by nobody.

        An owner that is no user, of a device in no product, is an account outside everything.
        """
        device = self._known(device_id)
        account = None
        if owner is not None:
            account = self.accounts.user(owner)
            if account is None and device.product_id is not None:
                account = self.add_customer(owner, self._products[device.product_id])
            if account is None:
                account = self.accounts.add_user(owner, "", ())
        self.fleet.own(device, account)

    def quarantine(self, device_id: str, product: SimProduct | None = None, *, denied: bool = False) -> None:
        """The device runs the product's firmware without being a member: it stands in quarantine, or is denied."""
        device = self._known(device_id)
        self.fleet.quarantine(device, (product or self.product).id)
        device.denied = denied

    # --- what Photons do ---

    def device_online(self, device_id: str, claim_code: str | None) -> bool:
        """A full handshake, with the claim code the device has stored, if any.

        True: the cloud acknowledges the code, and the device erases it; the owner field follows after `owner_lag_s`.
        False: nothing is answered (no code, or one that is unknown, expired, used, or of no use for this device).
        A device that Particle does not know is refused and does not come online.
        """
        device = self.fleet.find(device_id)
        if device is None:
            self.history.note(What.HANDSHAKE_REFUSED, device=device_id.lower())
            return False
        now_s = self.clock.seconds()
        device.online = True
        device.last_handshake_at = device.last_heard = self.clock.now()
        device.handshakes += 1
        self.history.note(What.ONLINE, device=device.id)
        self.fleet.heard(device)
        self.events.publish("spark/status", "online", device)
        if device.firmware_product_id is not None and device.product_id is None and device.quarantined_in is None:
            self.fleet.quarantine(device, device.firmware_product_id)
            self.history.note(What.QUARANTINED, device=device.id)
        if claim_code is None:
            return False
        luck = self.dice.of("cloud", "owner lag", device.id, device.handshakes)
        return self.claims.present(device, claim_code, now_s=now_s, lag_s=luck.uniform(*self.faults.owner_lag_s))

    def device_offline(self, device_id: str) -> None:
        """The device is gone (the real cloud notices after about two keep-alives; call this when it would)."""
        device = self.fleet.find(device_id)
        if device is not None and device.online:
            device.online = False
            self.history.note(What.OFFLINE, device=device.id)
            self.events.publish("spark/status", "offline", device)

    # --- looking ---

    def products(self) -> tuple[SimProduct, ...]:
        """All products, oldest first."""
        return tuple(self._products.values())

    def find_product(self, name: str) -> SimProduct | None:
        """The product of that ID or slug, or None."""
        for product in self._products.values():
            if name in (str(product.id), product.slug):
                return product
        return None

    def find_device(self, device_id: str) -> SimDevice | None:
        """The device of that ID, or None."""
        return self.fleet.find(device_id)

    def _known(self, device_id: str) -> SimDevice:
        device = self.fleet.find(device_id)
        if device is None:
            raise KeyError(f"call know_device({device_id!r}, ...) first")
        return device
