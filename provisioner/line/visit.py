"""What a visit is made of: its values, and what all stations of a run share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

import trio

from provisioner.errors import (
    ProvisionerError,
)
from provisioner.journal.writer import Journal
from provisioner.line.air import Air, CameBack, Suffixes
from provisioner.line.claim_codes import ClaimCodes
from provisioner.line.hold import LineHold
from provisioner.line.ledger import Ledger
from provisioner.line.lookups import Lookups
from provisioner.line.steps import Step
from provisioner.model import (
    DeviceID,
    ListedDevice,
    SetupNetwork,
    WifiProfile,
)
from provisioner.secrets import Secret
from provisioner.settings import Budgets, Limits


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A device that was told to connect: what the confirmer needs to prove it."""

    device: ListedDevice
    station: str
    network: SetupNetwork
    handshake_before: datetime | None
    cloud_from: datetime | None


@dataclass(slots=True)
class Visit:
    """One join and what came of it. `handed_over` and `failure` may both be set: a failed leave harms no device.

    `second_look`: the network is known from a device that has its outcome; somebody else may be there.
    `touched`: something was written to the device, or was about to be.
    """

    network: SetupNetwork
    began_s: float
    step: Step = Step.JOINING
    joined: bool = False
    second_look: bool = False
    touched: bool = False
    device: ListedDevice | None = None
    stranger: DeviceID | None = None
    handed_over: HandedOver | None = None
    failure: ProvisionerError | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the scanner asked for. Nothing set means: any listed device.

    `code` is the device code its label names (`KLJZ`): a setup network of four symbols must carry it, one of six
    cannot be told by the label. `named_by_network`: the label was a setup network's whole name, so no other will do.
    `any_name`: networks of other names may be looked at as well. `not_there`: another board has answered there.
    """

    device: DeviceID | None = None
    code: str | None = None
    named_by_network: bool = False
    any_name: bool = False
    not_there: frozenset[str] = frozenset()

    def is_same(self, other: Wanted) -> bool:
        """Whether both ask for one board."""
        if self.device is not None and other.device is not None:
            return self.device == other.device
        return self.code is not None and self.code == other.code


class CodeName(TypedDict, total=False):
    """How a record names the claim code it is about."""

    claim_code: str


@dataclass(frozen=True)
class Shared:
    """What all stations of a run share."""

    journal: Journal
    ledger: Ledger
    air: Air
    hold: LineHold
    lookups: Lookups
    codes: ClaimCodes
    suffixes: Suffixes
    budgets: Budgets
    limits: Limits
    prefix: str
    wifi: Mapping[str, tuple[WifiProfile, Secret | None]]
    account: str | None
    membership: bool  # False: developer devices of the account, outside any product
    cloud_time: Callable[[float], datetime | None]
    hand_over: Callable[[HandedOver], Awaitable[None]]
    came_back: Callable[[CameBack], None]
    joins: trio.Semaphore  # the air budget of this computer: held from the start of a join to its end
