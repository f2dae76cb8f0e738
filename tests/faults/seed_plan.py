"""What one seed will do to the line: drawn once, before anything runs, and nothing but data.

Rule 1: everything is drawn from `random.Random(seed)` by name, so one seed is one plan whatever else changes.
Rule 2: faults are mixed anew for every seed ("swarm"): each of the world's chances is off, or somewhere up to a
little more than on a nasty day. With all of them always on, the rare ones would never meet an otherwise quiet line.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from provisioner.simulator.cloud.rules import CloudRules
from provisioner.simulator.faults import PROFILES, Faults
from provisioner.simulator.injected import can_strike

NASTY = PROFILES["nasty"]


class Nature(enum.StrEnum):
    """What a listed device is. It decides how the device must end, whatever befalls the line on the way."""

    GOOD = "good"
    BAD_KEY = "without a usable key"
    OTHERS = "another customer's"
    ALLOWED = "another customer's, and listed in allow_takeover"
    OUTSIDE = "of somebody outside the product's team"
    UNHEARD = "an ID that Particle does not know"
    PROTECTED = "protected"
    QUARANTINED = "in quarantine"
    DENIED = "denied"
    STOLEN = "claimed by somebody else during the shift"


_RARE = {
    Nature.OTHERS: 0.03, Nature.ALLOWED: 0.01, Nature.OUTSIDE: 0.01, Nature.UNHEARD: 0.015, Nature.PROTECTED: 0.005,
    Nature.QUARANTINED: 0.01, Nature.DENIED: 0.005, Nature.STOLEN: 0.015, Nature.BAD_KEY: 0.01,
}  # fmt: skip


class Policy(enum.StrEnum):
    """What a tray wants: a claim (YAML), or nothing but membership, with or without the factory Wi-Fi."""

    CUSTOMER = '{to: customer, customer: "line3+{tray}@example.com"}'
    ACCOUNT = "{to: account}"
    WIFI_ONLY = "{to: none}"
    IMPORT_ONLY = "{to: none} "  # an enum has no two equal values; YAML does not mind the blank
    ONLINE = '{to: online, customer: "field+{tray}@example.com"}'

    @property
    def visited(self) -> bool:
        """Whether a station works its devices."""
        return self is not Policy.IMPORT_ONLY


_POLICIES = (*[Policy.CUSTOMER] * 4, Policy.ACCOUNT, Policy.WIFI_ONLY, *[Policy.IMPORT_ONLY] * 4, Policy.ONLINE)


@dataclass(frozen=True)
class Tray:
    """One tray of the manifest."""

    name: str
    policy: Policy
    form: str
    natures: Sequence[Nature]

    @property
    def owner(self) -> str | None:
        """Who shall own its devices; None: nobody in particular."""
        return {
            Policy.CUSTOMER: f"line3+{self.name.lower()}@example.com",
            Policy.ONLINE: f"field+{self.name.lower()}@example.com",
            Policy.ACCOUNT: "factory@example.com",
        }.get(self.policy)


class Ends(enum.StrEnum):
    """How a life of the program ends before its work is done."""

    POWER = "the power fails"
    HALL = "the power of the whole hall fails"
    KILLED = "killed"
    DISK_WRITE = "the disk takes no write"
    DISK_SYNC = "the disk fails at a sync"
    STOPPED = "stopped between two boards"
    STOPPED_TWICE = "stopped at once"


_ENDS = (*[Ends.POWER] * 8, *[Ends.HALL] * 2, *[Ends.KILLED] * 4, Ends.DISK_WRITE, Ends.DISK_SYNC,
         Ends.STOPPED, Ends.STOPPED_TWICE)  # fmt: skip


@dataclass(frozen=True)
class End:
    """At `at_s` of that life, or at the `call`th call to the disk (0: not by calls), before or `after` it."""

    how: Ends
    at_s: float
    call: int
    after: bool
    down_s: float


class Trouble(enum.StrEnum):
    """What befalls the site while it works."""

    ERRORS = "503 for all"
    BUSY = "429 with Retry-After"
    HANGS = "requests hang"
    RESETS = "connections are reset"
    CABLE = "the uplink's cable is pulled"
    PORTAL = "a captive portal answers"
    SCHEMA = "200 with another JSON"
    DRIPS = "answers drip"
    REDIRECTS = "redirected to another host"
    TOKENS = "all tokens revoked"
    SECRET = "the client secret is rotated"
    WIFI_PASSWORD = "the factory Wi-Fi's password is another"
    WIFI_OFF = "the factory Wi-Fi is off"
    CLOCK = "the computer's clock steps"
    ASLEEP = "the computer sleeps"
    SECOND = "the program is started a second time"


@dataclass(frozen=True)
class Event:
    """A trouble `at_s` after the start, for `for_s`; `amount` is its size where it has one."""

    trouble: Trouble
    at_s: float
    for_s: float
    amount: float


@dataclass(frozen=True)
class Plan:
    """One seed."""

    seed: int
    devices: int
    trays: Sequence[Tray]
    strangers: int
    stations: int
    faults: Faults
    rules: CloudRules
    ends: Sequence[End]
    events: Sequence[Event]
    clock_off_s: float
    wrong_secret_first: bool
    stolen_at_s: Sequence[float]
    night_end: End | None
    tls: bool

    def of(self, *name: object) -> random.Random:
        """Dice of this seed for what is decided later."""
        return random.Random(f"{self.seed} {name}")


def drawn(seed: int, devices: int) -> Plan:
    """The plan of a seed."""
    dice = random.Random(f"plan {seed}")
    trays = _trays(devices, random.Random(f"trays {seed}"))
    stolen = sum(nature is Nature.STOLEN for tray in trays for nature in tray.natures)
    return Plan(
        seed=seed,
        devices=devices,
        trays=trays,
        strangers=dice.randrange(3),
        stations=dice.choice((2, 3, 4, 4, 6)),
        faults=_faults(random.Random(f"faults {seed}")),
        rules=CloudRules(busy_retry_after_s=dice.choice((None, None, 3, 20))),
        ends=_ends(random.Random(f"ends {seed}"), devices),
        events=_events(random.Random(f"events {seed}")),
        clock_off_s=dice.choice((0.0,) * 6 + (86_400.0, -86_400.0, 3_600.0, -40.0)),
        wrong_secret_first=dice.random() < 0.03,
        stolen_at_s=[dice.uniform(1, 400) for _ in range(stolen)],
        night_end=_end(dice, calls=60, seconds=3.0, hows=(Ends.POWER, Ends.KILLED)) if dice.random() < 0.15 else None,
        tls=seed % 4 == 1,  # it takes a fourteenth of the time, and is faults' business only where a network tears it
    )


def _trays(devices: int, dice: random.Random) -> list[Tray]:
    trays: list[Tray] = []
    left = devices
    while left:
        size = min(left, dice.randint(8, 25))
        left -= size
        policy = dice.choice(_POLICIES) if trays else Policy.CUSTOMER
        natures = dice.choices([Nature.GOOD, *_RARE], weights=[1 - sum(_RARE.values()), *_RARE.values()], k=size)
        natures = [Nature.GOOD if not _makes_sense(nature, policy) else nature for nature in natures]
        trays.append(Tray(f"T-{len(trays) + 1:03}", policy, dice.choice(("rows", "txt", "csv")), natures))
    return trays


def _makes_sense(nature: Nature, policy: Policy) -> bool:
    """Somebody's device is in nobody's way where no station and no claim touches it."""
    of_a_visit = (Nature.OTHERS, Nature.ALLOWED, Nature.STOLEN, Nature.BAD_KEY)
    if nature in of_a_visit and not policy.visited:
        return False
    return nature is not Nature.ALLOWED or policy is Policy.CUSTOMER


def _faults(dice: random.Random) -> Faults:
    changes: dict[str, float | str | bool] = {"stock": dice.choice(("new", "mixed", "old"))}
    changes["hostile_air"] = dice.random() < 0.5
    unit = ("key_missing", "key_damaged")  # these are a nature of the device here
    for name in sorted((can_strike() | {"same_suffix", "same_bssid", "channel_crowding"}) - set(unit)):
        changes[name] = 0.0 if dice.random() < 0.5 else getattr(NASTY, name) * dice.uniform(0.1, 1.2)
    changes["stale_scan_s"] = dice.choice((10.0, 30.0))
    assert changes.keys() <= {field.name for field in fields(Faults)}
    return replace(PROFILES["none"], **changes)  # type: ignore[arg-type]


def _ends(dice: random.Random, devices: int) -> list[End]:
    """Most seeds die once or twice; some not at all."""
    count = dice.choice((0, 1, 1, 2, 2, 3))
    return [_end(dice, calls=26 * devices, seconds=3.0 * devices, hows=_ENDS) for _ in range(count)]


def _end(dice: random.Random, *, calls: int, seconds: float, hows: Sequence[Ends]) -> End:
    """By time, or by a call to the disk: a third of those among the first, where the run is opened."""
    call = 0
    if dice.random() < 0.6:
        call = dice.randint(1, 25) if dice.random() < 0.33 else dice.randint(1, calls)
    down_s = dice.choice((dice.uniform(1, 20), dice.uniform(20, 300), dice.uniform(300, 4000)))
    return End(dice.choice(hows), dice.uniform(0.5, seconds), call, dice.random() < 0.5, down_s)


def _events(dice: random.Random) -> list[Event]:
    chosen = [trouble for trouble in Trouble if dice.random() < 0.13]
    return [
        Event(trouble, dice.uniform(0.5, 300), dice.choice((dice.uniform(1, 30), dice.uniform(30, 240))), dice.random())
        for trouble in chosen
    ]
