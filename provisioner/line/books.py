"""Opening and closing a run's books: what earlier runs left, and one outcome for every device at the end.

Rule 1: a device proven earlier is carried over with its evidence while the manifest still wants what it proved.
Rule 2: a device that an earlier run told to connect belongs to the cloud's answer first, to the stations after.
Rule 3: at the end every listed device has exactly one outcome; what was in doubt is unknown, never skipped.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from provisioner.errors import ExitCode, NotProven, NotSeen, ProvisionerError, RunEnded
from provisioner.journal.writer import Journal
from provisioner.line.ledger import Earlier, History, Ledger
from provisioner.line.manifest import Manifest
from provisioner.line.proof import wanted_owner
from provisioner.line.rows import row_of, why_of
from provisioner.line.steps import State
from provisioner.line.tray import Rows
from provisioner.model import ListedDevice, Outcome

_UNDER_WAY = (State.CONNECTING, State.IDENTIFIED, State.CLAIM_CODE_SET, State.CONFIGURED)


@dataclass(frozen=True)
class Books:
    """The books of one run."""

    manifest: Manifest
    ledger: Ledger
    history: History
    journal: Journal
    account: str | None

    def carry_over(self) -> Sequence[ListedDevice]:
        """Write down what earlier runs have proven; return the devices that are still to do."""
        todo = array("I")
        for row, device in enumerate(self.manifest):
            earlier = self.history.of(device.id)
            if earlier is not None and self._is_proven(device, earlier):
                self.journal.append(
                    "device.carried", **row_of(device), outcome=Outcome.PASS, evidence=earlier.evidence or {}
                )
            else:
                todo.append(row)
        return Rows(self.manifest.row, todo)

    def _is_proven(self, device: ListedDevice, earlier: Earlier) -> bool:
        if earlier.outcome is not Outcome.PASS or earlier.evidence is None:
            return False
        if device.needs_visit and "handshake_before" not in earlier.evidence:
            return False  # it was proven as a member only; now the manifest wants it on the factory Wi-Fi
        wanted, owner = wanted_owner(device, self.account), earlier.evidence.get("owner")
        return wanted is None or (isinstance(owner, str) and owner.lower() == wanted)

    def resume_earlier(self) -> list[tuple[ListedDevice, Earlier]]:
        """An intention to connect without a proof: no station may touch the board before the cloud has been asked."""
        found = self._open_from_earlier(State.IMPORTED)
        for device, _ in found:
            self.journal.append("device.resumed", **row_of(device))
        return found

    def _open_from_earlier(self, *states: State) -> list[tuple[ListedDevice, Earlier]]:
        """Devices that an earlier run told to connect, and that this run has neither proven nor visited."""
        return [
            (device, earlier)
            for device in self.ledger.devices_in(states)
            if (earlier := self.history.of(device.id)) is not None
            and earlier.connecting
            and not self.ledger[device.id].visits
        ]

    def close(self, why: str, *, import_only: bool, cause: ProvisionerError | None = None) -> None:
        """Give every device without an outcome one; a pure import leaves imported devices as they are.

        `cause`: what ended a run that had not begun to work; its words say what to do. A run may end before the import
        came to a device that an earlier run left in doubt: it stays in doubt.
        """
        untouched = (State.LISTED,) if import_only else (State.LISTED, State.IMPORTED)
        for device, _ in self._open_from_earlier(*untouched):
            self._close(device, NotProven(f"{device.id} was told to connect in an earlier run"), unknown=True)
        for state in _UNDER_WAY:
            for device in self.ledger.devices_in([state]):
                self._close(device, RunEnded(f"{device.id}: {why}"), unknown=state is State.CONNECTING)
        for device in self.ledger.devices_in([State.LISTED]):
            self._close_unfinished(device, why, cause or RunEnded(f"{device.id}: {why}"))
        for device in self.ledger.devices_in([] if import_only else [State.IMPORTED]):
            self._close_unfinished(device, why, NotSeen(f"{device.id} was not worked: {why}"))

    def _close_unfinished(self, device: ListedDevice, why: str, no_turn: ProvisionerError) -> None:
        """Was it told to connect, and came back to its station in vain? Then nobody knows what it is doing now.

        Nor if it was given the factory Wi-Fi: with that it goes online by itself as soon as it is powered anew.
        """
        standing, earlier = self.ledger[device.id], self.history.of(device.id)
        left_with_wifi = earlier is not None and earlier.has_wifi and earlier.outcome in (None, Outcome.UNKNOWN)
        if standing.told_to_connect:
            self._close(device, NotProven(f"{device.id} was told to connect, and not finished: {why}"), unknown=True)
        elif standing.has_wifi or (left_with_wifi and not standing.visits):
            detail = f"{device.id} was given the factory Wi-Fi, and not finished: {why}"
            self._close(device, NotProven(detail, remedy=NotSeen.remedy), unknown=True)
        elif standing.visits:
            self._close(device, RunEnded(f"{device.id} was visited, but not finished: {why}"), unknown=False)
        else:
            self._close(device, no_turn, unknown=False)

    def _close(self, device: ListedDevice, reason: ProvisionerError, *, unknown: bool) -> None:
        self.journal.append(
            "device.unknown" if unknown else "device.skipped",
            **row_of(device),
            outcome=Outcome.UNKNOWN if unknown else Outcome.SKIPPED,
            **why_of(reason),
        )

    def exit_code(self, *, held: bool) -> ExitCode:
        """What the end means: held by the site before failures, failures before unknowns."""
        outcomes = self.ledger.outcomes()
        if held:
            return ExitCode.HELD_BY_SITE
        if outcomes[Outcome.FAIL] or outcomes[Outcome.SKIPPED]:
            return ExitCode.SOME_FAILED
        return ExitCode.SOME_UNKNOWN if outcomes[Outcome.UNKNOWN] else ExitCode.ALL_GOOD
