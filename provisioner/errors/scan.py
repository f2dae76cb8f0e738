"""Why a scan was not taken, or came to nothing. Each is an answer to the person who scanned, never a crash."""

from __future__ import annotations

from typing import ClassVar

from provisioner.errors.base import Again, Blame
from provisioner.errors.device import DeviceError


class ScanRefused(DeviceError):
    """A scan that the line does not act on. Nothing was joined and nothing was written."""

    code = "scan_refused"
    word: ClassVar[str] = "NOT TAKEN"  # what stands largest on the screen
    blame = Blame.OPERATOR
    again = Again.THIS_RUN
    remedy = "Scan the label on the board."


class ScanEmpty(ScanRefused):
    """Enter came, and no label with it."""

    code = "scan_empty"
    word = "SCAN AGAIN"


class ScanTooLong(ScanRefused):
    """More characters came at once than any label has."""

    code = "scan_too_long"
    word = "SCAN AGAIN"
    remedy = "Scan one label; if this comes again, set the scanner back to its factory defaults."


class ScanUnreadable(ScanRefused):
    """The scan has control or invisible characters inside: no label of this line has any."""

    code = "scan_unreadable"
    word = "SCAN AGAIN"
    remedy = "Scan the label again; if this comes again, set the scanner to send plain text and Enter."


class ScanGlued(ScanRefused):
    """Two labels arrived as one."""

    code = "scan_glued"
    word = "SCAN AGAIN"
    remedy = "Scan one label and wait for the answer; set the scanner to send Enter after each label."


class ScanPartial(ScanRefused):
    """Only a part of a label arrived."""

    code = "scan_partial"
    word = "SCAN AGAIN"
    remedy = "Hold the scanner still and scan the whole label again."


class ScanWrongLayout(ScanRefused):
    """The characters are a label of this manifest, typed on another country's keyboard."""

    code = "scan_wrong_layout"
    word = "WRONG KEYBOARD"
    remedy = "Set the scanner's keyboard country to that of this computer, then scan again."


class NotInManifest(ScanRefused):
    """What was scanned names no device of this manifest."""

    code = "not_in_manifest"
    word = "UNKNOWN LABEL"
    remedy = "Scan the label on the board, or find the tray this board belongs to."


class LabelAmbiguous(ScanRefused):
    """What was scanned fits more than one listed device."""

    code = "label_ambiguous"
    word = "WHICH BOARD?"
    remedy = "Scan the serial number or the device ID of the board instead."


class StationBusy(ScanRefused):
    """Every station that may take this scan has a board under work."""

    code = "station_busy"
    word = "WAIT"
    remedy = "Wait for the verdict on the screen, then scan this label again."


class ScanRepeated(ScanRefused):
    """This very board is being worked now."""

    code = "scan_repeated"
    word = "WAIT"
    remedy = "Leave the board where it is and wait for the verdict."


class AlreadyConfirmed(ScanRefused):
    """The cloud has proven this board already. It was not touched."""

    code = "already_confirmed"
    word = "PASSED ALREADY"
    remedy = "Put the board with those that passed."


class WaitsForProof(ScanRefused):
    """This board was told to connect a moment ago, and the cloud is being asked about it."""

    code = "waits_for_proof"
    word = "WAIT"
    remedy = "Leave the board powered: the verdict comes by itself. Scan the next board."


class AlreadyEnded(ScanRefused):
    """This board has failed in this run and has had all its tries."""

    code = "already_ended"
    word = "FAILED ALREADY"
    remedy = "Scan REWORK to work it once more, or put it with those set aside."


class ImportOnly(ScanRefused):
    """The board is listed for import only: no station has anything to do with it."""

    code = "import_only"
    word = "NOTHING TO DO"
    remedy = "Put the board back into its tray: being in the product is all it needs."


class RefusedByImport(ScanRefused):
    """The import refused this board, so no station may touch it."""

    code = "refused_by_import"
    word = "REFUSED"
    remedy = "Set the board aside; the report says why the import refused it."


class NotYetImported(ScanRefused):
    """The import has not come to this board yet."""

    code = "not_yet_imported"
    word = "WAIT"
    remedy = "Wait until the screen says that the import is through, then scan again."


class NoStationForScan(ScanRefused):
    """No station can take the scan: none of that name, or all have stopped."""

    code = "no_station_for_scan"
    word = "NO STATION"
    remedy = "Read on the screen which stations work, and scan at one of those."


class RunStopping(ScanRefused):
    """The run is coming to its end and begins no more boards."""

    code = "run_stopping"
    word = "STOPPING"
    remedy = "Wait for the end; run the same manifest again to go on."


class CommandUnknown(ScanRefused):
    """A command barcode that this program does not know."""

    code = "command_unknown"
    word = "UNKNOWN COMMAND"
    remedy = "Print the command sheet again with `provisioner scanner sheet`."


class NoBoardForCommand(ScanRefused):
    """REWORK and SET ASIDE are about the board scanned last, and it is not one they can be about."""

    code = "no_board_for_command"
    word = "SCAN A BOARD"
    remedy = "Scan the label of the board first, then the command."


class ScannedNotHeard(ScanRefused):
    """The setup network of the scanned board was not heard in time."""

    code = "scanned_not_heard"
    word = "NOT HEARD"
    remedy = "Power the board, hold SETUP until it blinks blue, then scan it again."


class ScannerLost(ScanRefused):
    """A serial scanner is not there, or this account may not read it. The run goes on, and looks for it again."""

    code = "scanner_lost"
    word = "SCANNER LOST"
    remedy = "Plug the scanner in; if it is in, give this account the right to read its device (group `dialout`)."
