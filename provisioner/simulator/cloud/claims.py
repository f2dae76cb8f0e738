"""Claim codes: made for an account, spent by a device at its handshake (facts, particle-cloud 7 and 15.7 to 15.9).

Rule 1: a code that does not work is ignored without a word to the device: it stays stored there, and the only
trace is in the history.
Rule 2: a code takes a device over from another owner within the same product; nothing but our own care prevents it.
Rule 3: an ignored code is not spent: the same device may come back with it after it has been imported.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from provisioner.secrets import ClaimCode
from provisioner.simulator.cloud.accounts import Accounts, Mint
from provisioner.simulator.cloud.fleet import Fleet
from provisioner.simulator.cloud.packing import pack_code, unpack_code
from provisioner.simulator.cloud.rules import CloudRules
from provisioner.simulator.cloud.shelf import Shelf
from provisioner.simulator.cloud.state import History, SimAccount, SimCode, SimDevice, What


class Claims:
    """All codes ever made, and what becomes of them."""

    def __init__(
        self,
        mint: Mint,
        accounts: Accounts,
        fleet: Fleet,
        history: History,
        rules: CloudRules,
        *,
        db: sqlite3.Connection,
    ) -> None:
        self._mint = mint
        self._accounts = accounts
        self._fleet = fleet
        self._history = history
        self._rules = rules
        self._db = db
        db.execute("CREATE TABLE code (key TEXT PRIMARY KEY, state BLOB)")  # in the order they were made
        self._codes = Shelf(db, "code", pack=pack_code, unpack=unpack_code)

    def __iter__(self) -> Iterator[SimCode]:
        """All codes that are not revoked, oldest first."""
        for (text,) in self._db.execute("SELECT key FROM code ORDER BY rowid"):
            code = self._codes.get(text)
            if code is not None:
                yield code

    def make(self, account: SimAccount, now_s: float) -> SimCode:
        """A new code; a customer's code claims within the customer's product."""
        text = self._mint.claim_code(f"{account.product_id} {account.username}")
        code = SimCode(text, ClaimCode(text).fingerprint, account, account.product_id, now_s)
        self._db.execute("INSERT INTO code (key) VALUES (?)", (text,))
        self._codes.put(text, code)
        self._history.note(What.CODE_MINTED, account=account.username, code=code.fingerprint)
        return code

    def revoke_all_of(self, account: SimAccount) -> None:
        """Forget the account's codes that have not been used."""
        for code in [code for code in self if code.account == account and code.used_by is None]:
            self._codes.drop(code.text)
            self._history.note(What.CODE_REVOKED, account=account.username, code=code.fingerprint)

    def present(self, device: SimDevice, text: str, *, now_s: float, lag_s: float) -> bool:
        """A device shows its stored code after a handshake; True when the cloud acknowledges it."""
        code = self._codes.get(text)
        reason = "unknown" if code is None else self._reason_to_ignore(code, device, now_s)
        if code is None or reason:
            fingerprint = code.fingerprint if code else ""
            account = code.account.username if code else ""
            self._history.note(
                What.CODE_IGNORED, device=device.id, account=account, code=fingerprint, detail=reason or ""
            )
            return False
        code.used_by = device.id
        if code.product_id is not None and device.product_id is None:
            self._fleet.join(device, code.product_id)
        self._history.note(What.CODE_SPENT, device=device.id, account=code.account.username, code=code.fingerprint)
        self._fleet.claim(device, code.account, now_s=now_s, lag_s=lag_s, how="claim code")
        return True

    def _reason_to_ignore(self, code: SimCode, device: SimDevice, now_s: float) -> str | None:
        """Why the cloud ignores this code from this device; None if it claims."""
        if code.used_by is not None:
            return "used"
        if now_s - code.made_s >= self._rules.claim_code_life_s:
            return "expired"
        if code.product_id is None:
            return self._reason_against_user(code, device)
        if device.product_id is None and device.quarantined_in is None and self._rules.claim_code_adds_to_product:
            return self._reason_against_owner(code, device)
        if device.product_id != code.product_id:
            return "not in the customer's product"
        return self._reason_against_owner(code, device)

    def _reason_against_user(self, code: SimCode, device: SimDevice) -> str | None:
        """A user's code works on any device outside products, and in the products the user is on the team of."""
        if device.product_id is None:
            return None if self._rules.claim_code_takes_over or device.owner in (None, code.account) else "owned"
        if not self._accounts.on_team(code.account, device.product_id):
            return "in a product of another team"
        return self._reason_against_owner(code, device)

    def _reason_against_owner(self, code: SimCode, device: SimDevice) -> str | None:
        owner = device.owner
        if owner is None or owner == code.account:
            return None
        product_id = device.product_id if device.product_id is not None else code.product_id
        inside = product_id is not None and (
            owner.product_id == product_id or self._accounts.on_team(owner, product_id)
        )
        if not inside:
            return "owned by an account outside the product"
        return None if self._rules.claim_code_takes_over else "owned"
