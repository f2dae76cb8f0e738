"""Who may speak to the simulated cloud: users, customers, OAuth clients and their tokens (facts, particle-cloud 2, 6).

Rule 1: every identifier and secret is rolled from the seed by its name and number, so that one seed gives the same
tokens whatever else happens in between.
Rule 2: names of users and customers are kept in lower case, as the cloud does.
Rule 3: an expired token is remembered (it gets another answer than a revoked one, which is forgotten).
"""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from provisioner.secrets import CLAIM_CODE_CHARACTERS
from provisioner.simulator.cloud.rules import CloudRules, oauth_refused
from provisioner.simulator.cloud.state import SimAccount, SimClient, SimProduct, SimToken, TokenKind
from provisioner.simulator.faults import Dice
from provisioner.simulator.spool import Spool

_BASE64 = string.ascii_letters + string.digits + "+/"
PUBLIC_CLIENTS = {"particle": "particle", "particle-api": "particle-api", "particle-cli": "particle-cli"}


class Mint:
    """Makes what must look random: IDs, tokens, claim codes. The nth of one name is always the same.

    With a `spool`, `secrets` is read from the disk each time.
    """

    def __init__(self, dice: Dice, spool: Spool | None = None) -> None:
        self._secrets: dict[str, str] = {}
        self._spool = spool
        self._dice = dice
        self._made: Counter[tuple[str, str]] = Counter()

    @property
    def secrets(self) -> Mapping[str, str]:
        """All that were made, by text, with what they are: canaries, to be looked for in whatever a run wrote."""
        return self._secrets if self._spool is None else dict(self._spool.rows())

    def hex(self, digits: int, kind: str, name: str) -> str:
        """So many hex digits for this kind of thing, of this name."""
        return f"{self._roll(kind, name).getrandbits(4 * digits):0{digits}x}"

    def secret(self, digits: int, kind: str, name: str) -> str:
        """`hex`, of what nobody may see."""
        text = self.hex(digits, kind, name)
        self._keep(text, kind)
        return text

    def number(self, below: int, kind: str, name: str) -> int:
        """A number from 0 up to but not including `below`."""
        return self._roll(kind, name).randrange(below)

    def claim_code(self, owner: str) -> str:
        """63 characters of the base64 alphabet."""
        text = "".join(self._roll("claim code", owner).choices(_BASE64, k=CLAIM_CODE_CHARACTERS))
        self._keep(text, "claim code")
        return text

    def _keep(self, secret: str, kind: str) -> None:
        if self._spool is None:
            self._secrets[secret] = kind
        else:
            self._spool.write((secret, kind))

    def _roll(self, kind: str, name: str) -> random.Random:
        self._made[kind, name] += 1
        return self._dice.of("cloud", kind, name, self._made[kind, name])


class Accounts:
    """All users, customers, clients and tokens, with the lookups the API needs."""

    def __init__(self, mint: Mint, rules: CloudRules) -> None:
        self._mint = mint
        self._rules = rules
        self._users: dict[str, SimAccount] = {}
        self._passwords: dict[str, str] = {}
        self._teams: dict[int, set[str]] = {}
        self._api_users: dict[int, list[SimAccount]] = {}
        self._customers: dict[tuple[int, str], SimAccount] = {}
        self._tokens: dict[str, SimToken] = {}
        self._refresh: dict[str, SimToken] = {}
        self.clients = {
            name: SimClient(name, secret, name, "installed", None) for name, secret in PUBLIC_CLIENTS.items()
        }

    # --- users ---

    def add_user(self, username: str, password: str, products: Iterable[SimProduct]) -> SimAccount:
        """Make a user who is on the team of these products."""
        name = username.lower()
        user = SimAccount(self._mint.hex(24, "user", name), name)
        self._users[name] = user
        self._passwords[name] = password
        for product in products:
            self._teams.setdefault(product.id, set()).add(name)
        return user

    def user(self, username: str) -> SimAccount | None:
        """The user of that name, if any."""
        return self._users.get(username.lower())

    def user_by_password(self, username: str, password: str) -> SimAccount | None:
        """The user, if the password is his. An account without a password cannot log in."""
        return self.user(username) if password and self._passwords.get(username.lower()) == password else None

    def on_team(self, account: SimAccount | None, product_id: int) -> bool:
        """Whether the account is a user on the product's team."""
        return (
            account is not None and not account.is_customer and account.username in self._teams.get(product_id, set())
        )

    def team_of(self, product_id: int) -> list[str]:
        """The names of the people on a product's team."""
        return sorted(self._teams.get(product_id, ()))

    # --- API users ---

    def add_api_user(self, friendly_name: str, product: SimProduct) -> SimAccount:
        """Make a program that may work with a product."""
        ending = self._mint.hex(10, "api user name", friendly_name)
        name = f"{friendly_name.lower().replace(' ', '-')}+{ending}@api.particle.io"
        made = SimAccount(self._mint.hex(24, "api user", name), name)
        self._api_users.setdefault(product.id, []).append(made)
        return made

    def api_users_of(self, product_id: int) -> list[SimAccount]:
        """A product's API users, oldest first."""
        return list(self._api_users.get(product_id, ()))

    def scopes_of(self, user: SimAccount) -> frozenset[str]:
        """What an API user may do now."""
        return next((token.scopes for token in self._tokens.values() if token.account == user), frozenset())

    def forget_api_user(self, user: SimAccount) -> None:
        """Delete an API user and its token."""
        for users in self._api_users.values():
            if user in users:
                users.remove(user)
        self.revoke_all(user)

    # --- customers ---

    def add_customer(self, username: str, product: SimProduct) -> SimAccount | None:
        """Make a customer; None if the product has one of that name already."""
        name = username.lower()
        if (product.id, name) in self._customers:
            return None
        made = SimAccount(self._mint.hex(24, "customer", f"{product.id} {name}"), name, product.id)
        self._customers[product.id, name] = made
        return made

    def customer(self, username: str, product_id: int) -> SimAccount | None:
        """The product's customer of that name, if any."""
        return self._customers.get((product_id, username.lower()))

    def customers_of(self, product_id: int) -> Iterator[SimAccount]:
        """All customers of a product, oldest first."""
        return (customer for (of, _), customer in self._customers.items() if of == product_id)

    def forget_customer(self, customer: SimAccount) -> None:
        """Delete a customer and revoke its tokens."""
        if customer.product_id is not None:
            self._customers.pop((customer.product_id, customer.username), None)
        self.revoke_all(customer)

    # --- clients ---

    def add_client(
        self,
        name: str,
        kind: str,
        product: SimProduct | None,
        client_id: str | None = None,
        *,
        owner_id: str | None = None,
    ) -> SimClient:
        """Make an OAuth client of a product, or of an account; its ID is `<name>-<4 digits>` unless given."""
        identity = client_id or f"{name}-{1000 + self._mint.number(9000, 'client id', name)}"
        secret = self._mint.secret(40, "client secret", identity)
        client = SimClient(identity, secret, name, kind, product.id if product else None, owner_id)
        self.clients[identity] = client
        return client

    def rotate_secret(self, client_id: str) -> str:
        """Give an OAuth client another secret; the old one is wrong from now on, its tokens live on."""
        secret = self._mint.secret(40, "client secret", client_id)
        self.clients[client_id] = replace(self.clients[client_id], secret=secret)
        return secret

    def client(self, client_id: str, secret: str) -> SimClient:
        """The client with these credentials. Raises Refused (invalid_client)."""
        found = self.clients.get(client_id)
        if found is None or found.secret != secret:
            raise oauth_refused(self._rules.client_refused_status, "invalid_client", "Client credentials are invalid")
        return found

    # --- tokens ---

    def issue(
        self,
        kind: TokenKind,
        client_id: str,
        *,
        now_s: float,
        life_s: float | None,
        account: SimAccount | None = None,
        product_id: int | None = None,
        scopes: frozenset[str] = frozenset(),
    ) -> SimToken:
        """Make a token that lives `life_s` seconds (None: for ever)."""
        subject = f"{kind.value} {product_id} {account.username if account else client_id}"
        token = SimToken(
            kind,
            self._mint.secret(40, "token", subject),
            self._mint.secret(40, "refresh token", subject),
            client_id,
            account,
            product_id,
            None if life_s is None else now_s + life_s,
            None if life_s is None else now_s + self._rules.refresh_token_life_s,
            scopes,
        )
        self._tokens[token.access] = token
        self._refresh[token.refresh] = token
        return token

    def token(self, access: str | None, now_s: float) -> SimToken:
        """The valid token of that text. Raises Refused: none given (400), unknown or revoked, expired (401)."""
        if not access:
            raise oauth_refused(400, "invalid_request", "The access token was not found")
        found = self._tokens.get(access)
        if found is None:
            raise oauth_refused(401, "invalid_token", "The access token provided is invalid.")
        if found.expires_s is not None and now_s >= found.expires_s:
            raise oauth_refused(401, "invalid_token", "The access token provided has expired.")
        return found

    def tokens_of(self, account: SimAccount) -> list[SimToken]:
        """All tokens of an account, oldest first."""
        return [token for token in self._tokens.values() if token.account == account]

    def spend_refresh(self, refresh: str, client: SimClient, now_s: float) -> SimToken | None:
        """The product token that this refresh token renews, once; None if it cannot (facts 2: product tokens only)."""
        found = self._refresh.get(refresh)
        if found is None or found.kind is not TokenKind.PRODUCT or found.client_id != client.id:
            return None
        del self._refresh[refresh]
        return found if found.refresh_until_s is None or now_s < found.refresh_until_s else None

    def revoke(self, access: str) -> None:
        """Forget a token; an unknown one is no mistake."""
        token = self._tokens.pop(access, None)
        if token is not None:
            self._refresh.pop(token.refresh, None)

    def revoke_kind(self, kind: TokenKind) -> int:
        """Forget every token of a kind; returns how many there were."""
        found = [access for access, token in self._tokens.items() if token.kind is kind]
        for access in found:
            self.revoke(access)
        return len(found)

    def revoke_all(self, account: SimAccount) -> None:
        """Forget every token of an account."""
        for access in [access for access, token in self._tokens.items() if token.account == account]:
            self.revoke(access)
