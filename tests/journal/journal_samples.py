"""A small journal with a little of everything, written by the writer itself."""

from datetime import UTC, datetime

from provisioner.journal.fields import GENESIS
from provisioner.journal.records import compose
from provisioner.journal.writer import open_journal
from provisioner.simulator.disk import UnsyncedDisk

AT = datetime(2026, 11, 20, 6, tzinfo=UTC)
A, B = "3b0021001747353236343033", "3b0021001747353236343034"
ROW = {"tray": "T-1", "slot": 1, "device": A}


class Sample(list):
    """Events with their fields; `wall` is the clock they are written by."""

    def wall(self):
        return AT

    def without_head(self, lines):
        """The same records as an older program wrote them: no head in the first one, so another chain."""
        prev = GENESIS
        for seq, (event, fields) in enumerate(self[: len(lines)]):
            record, line = compose(event, fields, seq=seq, at=AT, mono_ms=0, run="r-1", prev=prev)
            prev = record.hash
            yield line


SAMPLE = Sample(
    [
        ("run.started", {"command": "run", "product": "tempmon-v100", "manifest_sha256": "aa", "trays": {"T-1": 2}}),
        ("device.imported", {**ROW, "code": "added"}),
        ("claim_code.intended", {**ROW, "claim_code": "0123456789ab"}),
        ("connect.intended", {**ROW, "evidence": {"handshake_before": None, "cloud_from": "2026-11-20T06:00:00Z"}}),
        ("device.confirmed", {**ROW, "outcome": "pass", "evidence": {"owner": "a@b.de", "handshake_before": None}}),
        ("run.finished", {"counts": {"pass": 1}}),
    ]
)  # fmt: skip


def written(runs_dir, *, records=None, changed=None, check=lambda journal: None):
    """Write the sample and return the journal's path; `changed`: another event instead of the last but one."""
    with open_journal(runs_dir, "r-1", wall=SAMPLE.wall, mono=lambda: 0.0, disk=UnsyncedDisk()) as journal:
        for number, (event, fields) in enumerate(SAMPLE[:records]):
            journal.append(changed if changed and number == len(SAMPLE) - 2 else event, **fields)
            check(journal)
    return journal.path
