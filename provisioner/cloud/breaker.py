"""Stops asking for tokens before the cloud locks the factory out: ten refusals in a row cost everybody 30 minutes.

Rule 1: two refused token calls in a row open the breaker; while it is open nothing is asked.
Rule 2: it outlives the process (a supervisor that restarts us would otherwise try again and again): a small file says
which secret was refused and when. It holds a keyed hash of the secret, never the secret.
Rule 3: another secret gets its own two tries, but the site as a whole stops two short of the cloud's ten.
Rule 4: the file's times are this computer's and are compared with this computer's alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from provisioner.errors import CredentialsRefused
from provisioner.model import printable
from provisioner.secrets import Secret

REFUSALS_OPEN_AT = 2
SITE_REFUSALS_MAX = 8
LOCK_OUT = timedelta(minutes=30)


class Breaker:
    """Counts refused token calls in a row for one OAuth client. `file` may be absent: then it forgets at the end."""

    def __init__(self, client_id: str, secret: Secret, *, file: Path | None, now: Callable[[], datetime]) -> None:
        self._client_id = client_id
        self._fingerprint = hmac.new(client_id.encode(), secret.reveal().encode(), hashlib.sha256).hexdigest()
        self._file = file
        self._now = now
        self._mine = 0  # refusals in a row of this secret
        self._site = 0  # refusals in a row from this site, whatever the secret
        self._refused_at: datetime | None = None
        self._reason = ""
        self._recall()

    def check(self) -> None:
        """Raise CredentialsRefused when nothing may be asked."""
        if self._refused_at is None:
            return
        at = self._refused_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        if self._mine >= REFUSALS_OPEN_AT:
            raise CredentialsRefused(
                f"The cloud refused {self._mine} token requests of OAuth client {printable(self._client_id)} in a row, "
                f"last at {at}: {self._reason or 'no reason given'}. Nothing more is asked{self._until_when()}"
            )
        if self._site >= SITE_REFUSALS_MAX and abs(self._now() - self._refused_at) <= LOCK_OUT:
            raise CredentialsRefused(
                f"The cloud refused {self._site} token requests in a row from this site, last at {at}; two more would "
                "lock it out for 30 minutes. Nothing is asked for 30 minutes from then.",
                remedy="Compare the client's ID and secret with the console (Authentication), wait, then start again.",
            )

    def refused(self, reason: str) -> None:
        """Count one refused token call. `reason` is the cloud's, printable."""
        now = self._now()
        if self._refused_at is not None and abs(now - self._refused_at) > LOCK_OUT:
            self._mine = self._site = 0
        self._mine += 1
        self._site += 1
        self._refused_at = now
        self._reason = reason
        self._keep()

    def accepted(self) -> None:
        """A token came: forget all refusals."""
        if self._site:
            self._mine = self._site = 0
            self._refused_at = None
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.unlink(missing_ok=True)

    def _until_when(self) -> str:
        if self._file is None:
            return " in this run."
        return f" for 30 minutes; a corrected secret re-arms it, or deleting {printable(str(self._file), 200)}."

    def _recall(self) -> None:
        """Take over what an earlier process learnt. A file that cannot be read counts as none: two tries are safe."""
        if self._file is None:
            return
        try:
            kept = json.loads(self._file.read_bytes())
            refused_at = datetime.fromisoformat(kept["refused_at"]).astimezone(UTC)
            mine, site = int(kept["refusals"]), int(kept["site_refusals"])
            same = hmac.compare_digest(str(kept["fingerprint"]), self._fingerprint)
            reason = printable(str(kept["reason"]), 200)
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return
        if abs(self._now() - refused_at) > LOCK_OUT:  # also when this computer's clock was wrong then
            return
        self._refused_at, self._site = refused_at, site
        if same and kept.get("client_id") == self._client_id:
            self._mine, self._reason = mine, reason

    def _keep(self) -> None:
        """Write the file whole or not at all. A disk that refuses must not hide that the cloud refused."""
        if self._file is None or self._refused_at is None:
            return
        record = {
            "refused_at": self._refused_at.isoformat(),
            "client_id": self._client_id,
            "fingerprint": self._fingerprint,
            "refusals": self._mine,
            "site_refusals": self._site,
            "reason": self._reason,
        }
        new = self._file.with_name(f"{self._file.name}.new")
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
                json.dump(record, out)
            new.replace(self._file)
