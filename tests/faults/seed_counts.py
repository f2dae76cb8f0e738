"""What one seed injected, as rows of the fault table: counted from the world's own notes, and what became of it."""

from __future__ import annotations

from collections import Counter, defaultdict

from report import Row
from seed_plan import Ends, Nature, Trouble
from seed_world import Life, Played

from provisioner.errors import ExitCode
from provisioner.simulator.cloud.state import What
from provisioner.simulator.injected import words_for
from provisioner.simulator.photon.history import Event

BEYOND = "-"  # injected, and in no row of the fault table
STRIKES = {
    "ap_vanishes": "F15",
    "reply_lost": "F7",
    "connect_reply_lost": "F7",
    "scan_empty": "F26",
    "claim_code_forgotten": "F14",
    "claim_code_garbled": "F14",
    "never_online": "F14",
    "slow_online": "F23",
    "adapter_vanishes": "F38",
}
OF_THE_CLOUD = {
    What.BUSY: ("F5", "429 for one request"),
    What.FAULT: ("F6", "503 for one request"),
    What.ANSWER_LOST: ("F7", "a request carried out, its answer lost"),
    What.ROW_SWALLOWED: ("F8", "a good row that the import swallows"),
}
TROUBLES = {
    Trouble.ERRORS: "F6",
    Trouble.BUSY: "F5",
    Trouble.HANGS: "F7",
    Trouble.RESETS: "F6",
    Trouble.CABLE: "F38",
    Trouble.PORTAL: "F10",
    Trouble.SCHEMA: "F10",
    Trouble.DRIPS: "F31",
    Trouble.REDIRECTS: "F32",
    Trouble.TOKENS: "F11",
    Trouble.SECRET: "F11",
    Trouble.WIFI_PASSWORD: "F24",
    Trouble.WIFI_OFF: "F24",
    Trouble.CLOCK: "F25",
    Trouble.ASLEEP: "F13",
    Trouble.SECOND: "F19",
    Ends.POWER: "F1",
    Ends.HALL: "F1",
    Ends.KILLED: "F2",
    Ends.DISK_WRITE: "F4",
    Ends.DISK_SYNC: "F4",
    Ends.STOPPED: "F3",
    Ends.STOPPED_TWICE: "F3",
    "a wrong client secret": "F12",
    Nature.STOLEN: "F20",
}
NATURES = {
    Nature.OTHERS: "F20",
    Nature.ALLOWED: "F20",
    Nature.OUTSIDE: "F8",
    Nature.UNHEARD: "F8",
    Nature.PROTECTED: "F8",
    Nature.QUARANTINED: "F8",
    Nature.DENIED: "F8",
    Nature.BAD_KEY: BEYOND,
}
_LOST = {
    "a tail": "of a record not synced: all lost",
    "a part of a line": "of a record not synced: its end lost",
    "sectors of a line": "of a record not synced: sectors lost",
    "nothing of what could be": "of what was not synced: nothing lost",
    "a name": "a file or folder whose name was not synced",
    "a cut that came back": "a torn tail that was cut, and came back",
    "what was written over": "a head that is as it was before",
    "a part of what was written over": "a head of old and new bytes",
}
_EXITS = {
    ExitCode.ALL_GOOD: "all good",
    ExitCode.SOME_FAILED: "ran on",
    ExitCode.SOME_UNKNOWN: "ran on",
    ExitCode.HELD_BY_SITE: "held",
    ExitCode.INTERRUPTED: "stopped",
}


def rows_of(played: Played) -> list[Row]:
    """Every injury of a seed: times, and how the devices or the lives that it befell ended."""
    ends = _ends(played)
    rows = [*_strikes(played, ends), *_of_the_cloud(played), *_troubles(played, ends), *_natures(played, ends)]
    rows += [Row("F1", words, life.lost[way], 1) for life in played.lives for way, words in _LOST.items()]
    rows += _of_the_air(played)
    return [row for row in rows if row.times]


def _ends(played: Played) -> dict[str, str]:
    """How each device ended, in the word on the screen."""
    words = {"pass": "PASS", "fail": "FAIL", "unknown": "UNPROVEN", "skipped": "SKIPPED"}
    return {device: words[end] for device, end in played.last.items()}


def _strikes(played: Played, ends: dict[str, str]) -> list[Row]:
    times: Counter[str] = Counter()
    devices: defaultdict[str, set[str]] = defaultdict(set)
    for strike in played.world.strikes:
        times[strike.fault] += 1
        devices[strike.fault].add(strike.device)
    return [
        Row(STRIKES.get(fault, BEYOND), _named(fault), count, 1, Counter(ends[d] for d in devices[fault] & ends.keys()))
        for fault, count in times.items()
    ]


def _named(fault: str) -> str:
    try:
        return words_for(fault)
    except StopIteration:
        return fault.replace("_", " ")


def _of_the_cloud(played: Played) -> list[Row]:
    times = Counter(happening.what for happening in played.cloud.history if happening.what in OF_THE_CLOUD)
    return [Row(*OF_THE_CLOUD[what], count, 1) for what, count in times.items()]


def _troubles(played: Played, ends: dict[str, str]) -> list[Row]:
    rows: dict[str, Row] = {}
    for note in played.notes:
        row = rows.setdefault(note.what, Row(TROUBLES[note.what], str(note.what), 0, 1))
        row.times += 1
        if note.device:
            row.became[ends.get(note.device, "?")] += 1
    for what, row in rows.items():
        if not row.became:
            lives = {
                id(life): life for note in played.notes if note.what == what and (life := _life(played, note.at_s))
            }
            row.became.update(_how(life) for life in lives.values())
    return list(rows.values())


def _life(played: Played, at_s: float) -> Life | None:
    return next((life for life in played.lives if life.began_world_s <= at_s <= life.ended_world_s), None)


def _how(life: Life) -> str:
    if life.cut:
        return "started again"
    return _EXITS.get(life.exit, "started again") if life.exit is not None else "started again"


def _natures(played: Played, ends: dict[str, str]) -> list[Row]:
    rows: dict[Nature, Row] = {}
    for listed in played.listed:
        if listed.nature in NATURES:
            row = rows.setdefault(listed.nature, Row(NATURES[listed.nature], f"a device {listed.nature}", 0, 1))
            row.times += 1
            row.became[ends.get(listed.device, "?")] += 1
    return list(rows.values())


def _of_the_air(played: Played) -> list[Row]:
    bssids, suffixes = Counter(), Counter()
    for photon in played.world.photons.values():
        bssids[photon.bssid] += 1
        suffixes[photon.ssid] += 1
    strangers = {photon.device_id for photon in played.strangers}
    joined = sum(e.event is Event.JOINED for device in strangers for e in played.world.history.of(device))
    hostile = (
        len(played.world.neighbours) - 3 if played.world.faults.hostile_air or played.plan.faults.hostile_air else 0
    )
    return [
        Row("F16", "a board of no tray on the bench, joined", joined, 1, Counter({"left alone": joined})),
        Row("F17", "a unit with the BSSID of another", sum(n - 1 for n in bssids.values()), 1),
        Row("F17", "a unit with the network name of another", sum(n - 1 for n in suffixes.values()), 1),
        Row("F27", "a hostile network name in the air", max(0, hostile), 1),
        Row("F35", "a secret looked for in every byte written", len(played.cloud.mint.secrets), 1,
            Counter({"not found": len(played.cloud.mint.secrets)})),
    ]  # fmt: skip
