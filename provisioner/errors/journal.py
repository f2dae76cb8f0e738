"""The run's record cannot be kept or read."""

from __future__ import annotations

from provisioner.errors.base import Blame, ProvisionerError


class JournalError(ProvisionerError):
    """The run's record cannot be kept or read; the run stops before any further device or cloud write."""

    code = "journal_error"
    blame = Blame.STATION
    remedy = "Check the disk that holds the runs folder, then run the same command again: nothing is lost."


class JournalLocked(JournalError):
    """Another process works in this runs folder."""

    code = "journal_locked"
    remedy = "Wait until the other run has ended, or stop it; two runs must not share a runs folder."


class JournalWriteFailed(JournalError):
    """A record could not be written to disk."""

    code = "journal_write_failed"


class JournalCorrupt(JournalError):
    """A record in the middle of a journal does not verify."""

    code = "journal_corrupt"
    remedy = "Keep the file as it is; somebody changed it. Compare with a backup before you rely on it."


class JournalCut(JournalCorrupt):
    """A journal's end is not the one that its head was kept of."""

    code = "journal_cut"
    remedy = (
        "Keep both files as they are and compare them with a backup, or with the head that a report shows. Running "
        "the manifest again is safe: what the journal has lost is asked of the cloud."
    )


class JournalTooNew(JournalError):
    """A journal was written by a newer program, in a schema this one does not know. It is not touched."""

    code = "journal_too_new"
    remedy = "Use the newer provisioner that wrote it; an older one would read it wrongly."


class ReconcileRunning(JournalError):
    """Another reconciliation works in this runs folder."""

    code = "reconcile_running"
    remedy = "Wait until it has ended; if it hangs, stop it: nothing is lost."
