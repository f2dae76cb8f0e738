"""Everything that can go wrong, as one tree: each class has a code, a blame and a remedy.

Rule 1: the *blame* decides what the line does: `operator` (ask), `device` (set aside), `station` (drain this
station), `site` (cloud, credentials, factory Wi-Fi: hold the line, burn no boards). Our own bug is not in this
tree: it stops the program.
Rule 2: a message says what happened; the remedy says what to do with your hands now. Both are in the words of
the person who reads them. Neither ever holds a secret.
Rule 3: text that came from a device, the air or a vendor's file is escaped by whoever puts it into a message
(`model.printable`).

    ProvisionerError
    ├── InputRefused        manifest, settings, secrets, folders        (exit 2)
    ├── CloudError          api.particle.io
    ├── SwitchError         moving an adapter onto a setup network
    ├── SoftAPError         one exchange with one Photon
    ├── DeviceError         what the line itself finds out about a device
    └── JournalError        the run's record
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """What a command's end means to a script (CLI contract)."""

    ALL_GOOD = 0
    SOME_FAILED = 1
    INPUT_REFUSED = 2
    SOME_UNKNOWN = 3
    HELD_BY_SITE = 4
    OUR_BUG = 70
    INTERRUPTED = 130


class Blame(enum.StrEnum):
    """Whose fault it is; decides what the line does next."""

    OPERATOR = "operator"
    DEVICE = "device"
    STATION = "station"
    SITE = "site"


class Again(enum.StrEnum):
    """Whether another try can help, and when."""

    THIS_RUN = "this run"  # the same device may come round again on the same or another station
    NEXT_RUN = "next run"  # somebody has to mend something first
    NEVER = "never"  # the board is set aside; only a person can bring it back


class ProvisionerError(Exception):
    """Base of every failure that is not our bug. `detail` is one sentence for a person."""

    code: ClassVar[str] = "failed"
    blame: ClassVar[Blame] = Blame.STATION
    again: ClassVar[Again] = Again.NEXT_RUN
    remedy: str = "Read the message, mend the cause, run the same command again."

    def __init__(self, detail: str, *, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if remedy is not None:
            self.remedy = remedy


# --- input: manifest, settings, secrets, folders ---


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a file a person wrote: where it is, what it is, what to do about it.

    `line` and `column` count from 1; 0 means the file as a whole. `where` is `tray T-0001, slot 3` or empty.
    """

    file: str
    line: int
    column: int
    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        subject = f"{self.where}: " if self.where else ""
        return f"{place}: {subject}{self.what}; {self.remedy}"


class InputRefused(ProvisionerError):
    """What the person gave us cannot be worked with; nothing was touched. Exit code 2."""

    code = "input_refused"
    blame = Blame.OPERATOR
    remedy = "Correct what the message names, then run the same command again."


class FileRefused(InputRefused):
    """A manifest or settings file has mistakes; all of them are listed."""

    code = "file_refused"
    remedy = "Correct every line named, then run the same command again."

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class SecretMissing(InputRefused):
    """A secret that this work needs is neither in the environment nor in a file."""

    code = "secret_missing"
    remedy = "Set the PROVISIONER_... variable the message names, or name a file of mode 0600 in the settings."


class SecretUnsafe(InputRefused):
    """A secret stands where others can read it."""

    code = "secret_unsafe"
    remedy = "Run `chmod 600` on that file; if others may have read the secret, make a new one in the console."


class RunsFolderUnusable(InputRefused):
    """The runs folder cannot be written: nothing may start, because nothing could be recorded."""

    code = "runs_folder_unusable"
    remedy = "Get the right to write there, free some space, or name a folder on a local disk with --runs-dir."


class WrongPlatform(InputRefused):
    """The product is not made of Photons."""

    code = "wrong_platform"
    remedy = "Correct `product:` in the manifest; only a Photon (6) or P1 (8) product can be worked here."


class ProductUnknown(InputRefused):
    """The cloud does not know this product, or these credentials may not see it."""

    code = "product_unknown"
    remedy = "Compare `product:` in the manifest with the console, and see that the OAuth client is that product's."


class StationMissing(InputRefused):
    """No station fits what was asked for."""

    code = "station_missing"
    remedy = "Name the stations of this computer under `stations:` in the settings (README, Setting up a real line)."


class BackendUnknown(InputRefused):
    """No switcher of that name is installed."""

    code = "backend_unknown"
    remedy = "Use one of the switchers that the message names as `switcher:` in the settings."


class BackendBroken(InputRefused):
    """An installed switcher cannot be loaded; the message names the distribution it came with."""

    code = "backend_broken"
    remedy = "Install a version of that distribution that fits, or remove it."


# --- cloud ---


class CloudError(ProvisionerError):
    """The Particle cloud did not do what was asked."""

    code = "cloud_error"
    blame = Blame.SITE
    again = Again.THIS_RUN
    remedy = "Check the uplink and status.particle.io. A running line asks again by itself; else run it again."


class CloudUnreachable(CloudError):
    """No connection: the request has certainly not been carried out."""

    code = "cloud_unreachable"


class CloudAnswerLost(CloudError):
    """The request went out and no usable answer came back: it may or may not have been carried out."""

    code = "cloud_answer_lost"


class CloudSlow(CloudError):
    """The cloud did not say in time who owns a device; nothing was written to it, the station let it go."""

    code = "cloud_slow"
    remedy = "Nothing to do: the board comes round again. If it repeats, check the uplink and status.particle.io."


class CloudBusy(CloudError):
    """Too many requests from this site's public address (429, 529): not carried out."""

    code = "cloud_busy"
    remedy = "Nothing to do: all stations pause together and go on. If it repeats, lower `cloud.requests_per_5min`."

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class CloudReplyUnreadable(CloudError):
    """An answer that is not the API's: HTML, too long, or a field that must be there is missing."""

    code = "cloud_reply_unreadable"
    remedy = "Is a proxy or captive portal between this computer and api.particle.io? If not, report this message."


class CredentialsRefused(CloudError):
    """The cloud refused this site's credentials. Asking again would lock the whole factory out for 30 minutes."""

    code = "credentials_refused"
    again = Again.NEXT_RUN
    remedy = "Correct PROVISIONER_CLIENT_SECRET and `cloud.client_id` (console, Authentication), then start again."


class CloudRefused(CloudError):
    """The cloud understood and said no (4xx). `status` and `reason` are its own."""

    code = "cloud_refused"
    again = Again.NEXT_RUN
    remedy = "Read the cloud's reason; the OAuth client may lack the right, or the request does not fit the product."

    def __init__(self, detail: str, *, status: int, reason: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason


class PermissionRefused(CloudRefused):
    """A valid token without the right to do this (403)."""

    code = "permission_refused"


class NotInCloud(CloudRefused):
    """The thing asked for is not there (404, or the legacy 403 for a device that is not ours)."""

    code = "not_in_cloud"


class CustomerExists(CloudRefused):
    """That customer is there already: ask for a scoped token instead."""

    code = "customer_exists"


class DeviceNotOnline(CloudRefused):
    """Claim by ID refused because the device is not online."""

    code = "device_not_online"
    blame = Blame.DEVICE
    again = Again.THIS_RUN


class OwnedBySomeoneElse(CloudRefused):
    """Claim by ID refused because somebody else owns the device."""

    code = "owned_by_someone_else"
    blame = Blame.OPERATOR
    remedy = "Set the board aside; ask whose it is. Only the owner, or `restore --unclaim`, can free it."


# --- adapters and setup networks ---


class SwitchError(ProvisionerError):
    """An adapter could not be moved. `backend_code` keeps the back end's own word (`nm-device:53`)."""

    code = "switch_failed"
    blame = Blame.DEVICE
    again = Again.THIS_RUN
    remedy = "Press RESET on the board, hold SETUP until it blinks blue, and let the station try again."

    def __init__(self, detail: str, *, backend_code: str = "", remedy: str | None = None) -> None:
        super().__init__(detail, remedy=remedy)
        self.backend_code = backend_code


class NetworkNotFound(SwitchError):
    """The setup network was gone when the adapter came to join it."""

    code = "setup_network_not_found"


class NetworkAmbiguous(SwitchError):
    """Two units answer to one name and this back end cannot tell them apart."""

    code = "setup_network_ambiguous"
    blame = Blame.OPERATOR
    remedy = "Switch off one of the two boards that have the same setup network name."


class AssociationFailed(SwitchError):
    """The Photon's radio did not let the adapter in."""

    code = "association_failed"


class NoAddress(SwitchError):
    """Joined, but the Photon's DHCP server gave no address, nor did the static one work."""

    code = "no_address"
    remedy = "Press RESET on the board and bring it back within ten seconds; set it aside if it happens twice."


class WrongNetwork(SwitchError):
    """The adapter ended on another network than the one asked for. Nothing was sent."""

    code = "wrong_network"


class JoinTimeout(SwitchError):
    """The join took longer than its budget."""

    code = "join_timeout"


class LinkLost(SwitchError):
    """The setup network vanished while we were on it."""

    code = "link_lost"


class AdapterUnavailable(SwitchError):
    """The adapter is missing, switched off or broken."""

    code = "adapter_unavailable"
    blame = Blame.STATION
    remedy = "Unplug the Wi-Fi adapter and plug it in again; run `provisioner run` again if the station stays drained."


class LeaveFailed(SwitchError):
    """The adapter would not leave the setup network. The device is not to blame."""

    code = "leave_failed"
    blame = Blame.STATION
    remedy = "Unplug the Wi-Fi adapter and plug it in again."


class SwitchingNotAllowed(SwitchError):
    """This account may not move the adapter."""

    code = "switching_not_allowed"
    blame = Blame.STATION
    again = Again.NEXT_RUN
    remedy = "Give this account the right to control the network (README, Setting up a real line)."


class BackendGone(SwitchError):
    """The service that moves the adapter went away."""

    code = "backend_gone"
    blame = Blame.STATION
    again = Again.NEXT_RUN
    remedy = "Restart the network service, then run the same command again."


class UplinkNotRestored(SwitchError):
    """The adapter could not be brought back to the uplink network."""

    code = "uplink_not_restored"
    blame = Blame.STATION
    again = Again.NEXT_RUN
    remedy = "Join the uplink network by hand, then run the same command again: nothing is lost."


class OperatorDeclined(SwitchError):
    """The person asked to join the network said no."""

    code = "operator_declined"
    blame = Blame.OPERATOR
    remedy = "Bring the board back when it can be joined."


# --- one Photon over SoftAP ---


class SoftAPError(ProvisionerError):
    """One exchange with one Photon went wrong. `command` is the wire name (`device-id`, `set`, ...)."""

    code = "softap_failed"
    blame = Blame.DEVICE
    again = Again.THIS_RUN
    remedy = "Press RESET on the board, hold SETUP until it blinks blue, and let the station try again."

    def __init__(self, detail: str, *, command: str = "", remedy: str | None = None) -> None:
        super().__init__(detail, remedy=remedy)
        self.command = command


class SoftAPUnreachable(SoftAPError):
    """The Photon did not take the connection: the command was certainly not received."""

    code = "softap_unreachable"


class SoftAPSilent(SoftAPError):
    """No whole answer within the budget."""

    code = "softap_silent"


class SoftAPCutShort(SoftAPError):
    """The connection ended in the middle of the answer."""

    code = "softap_cut_short"


class SoftAPBusy(SoftAPError):
    """503: no free socket on the Photon; another client is talking to it."""

    code = "softap_busy"


class SoftAPNotFound(SoftAPError):
    """404: what answers does not know this command, so it is not a Photon in listening mode."""

    code = "softap_not_found"


class SoftAPEmptyReply(SoftAPError):
    """200 with an empty body: the firmware could not parse the request and stored nothing."""

    code = "softap_empty_reply"


class SoftAPReplyUnreadable(SoftAPError):
    """An answer that is not the firmware's: no JSON, a missing field, or longer than 64 KiB."""

    code = "softap_reply_unreadable"


class CommandRefused(SoftAPError):
    """The firmware answered with a result other than 0. `result` is its `r`."""

    code = "command_refused"
    again = Again.NEXT_RUN

    def __init__(self, detail: str, *, command: str, result: int, remedy: str | None = None) -> None:
        super().__init__(detail, command=command, remedy=remedy)
        self.result = result


class FactoryNetworkNotHeard(CommandRefused):
    """configure-ap answered -2: this Photon does not hear the factory Wi-Fi (hidden, 5 GHz, or out of range)."""

    code = "factory_network_not_heard"
    blame = Blame.SITE
    remedy = "Is the factory Wi-Fi on, on 2.4 GHz, not hidden, and in range of this bench? Then run again."


class WifiProfileRefused(CommandRefused):
    """configure-ap answered -1, -3 or -4: this SSID, security or password cannot be stored."""

    code = "wifi_profile_refused"
    blame = Blame.SITE
    remedy = "Correct the Wi-Fi profile in config/line.yaml (SSID 1-32 bytes, WPA password 8-64 bytes), run again."


class WifiPasswordUndecipherable(CommandRefused):
    """configure-ap answered an RSA error: the Photon's key pair does not fit together."""

    code = "wifi_password_undecipherable"
    again = Again.NEVER
    remedy = "Set the board aside for rework: its keys are damaged (`particle keys doctor`)."


# --- what the line finds out about a device ---


class DeviceError(ProvisionerError):
    """What the line itself found out about one device."""

    code = "device_error"
    blame = Blame.DEVICE
    again = Again.NEVER
    remedy = "Set the board aside."


class StrangerDevice(DeviceError):
    """A Photon that is in no tray of this manifest answered. Nothing was written to it."""

    code = "stranger_device"
    blame = Blame.OPERATOR
    remedy = "Take the board off the bench; find its tray; run that tray's manifest instead."


class DeviceChanged(DeviceError):
    """Another device answers than the one this visit began with. Nothing more was written."""

    code = "device_changed"
    blame = Blame.OPERATOR
    again = Again.THIS_RUN
    remedy = "Leave boards on the bench until the station says done; put one board down at a time."


class NotTheScannedDevice(DeviceError):
    """The board on the jig is not the one that was scanned. Nothing was written to it."""

    code = "not_the_scanned_device"
    blame = Blame.OPERATOR
    again = Again.THIS_RUN
    remedy = "Scan the label of the board that is on the jig."


class TakeoverRefused(DeviceError):
    """Somebody else owns the device and the manifest does not allow taking it. Nothing was written to it."""

    code = "takeover_refused"
    blame = Blame.OPERATOR
    remedy = "Set the board aside and ask whose it is. To take it on purpose, name its ID in `allow_takeover`."


class NotInManifest(DeviceError):
    """What was scanned names no device of this manifest."""

    code = "not_in_manifest"
    blame = Blame.OPERATOR
    remedy = "Scan the label on the board, or find the tray this board belongs to."


class NotVisitable(DeviceError):
    """The device is listed, but import refused it, or it needs no visit. Nothing was written to it."""

    code = "not_visitable"
    blame = Blame.OPERATOR
    remedy = "Take the board off the bench; the report says why it is not worked here."


class ImportRefused(DeviceError):
    """The cloud would not take this device into the product, or took the list without ever naming it."""

    code = "import_refused"
    again = Again.NEXT_RUN
    remedy = "Run the import again; if the same device is refused twice, send its ID to Particle support."


class ImportInvalid(ImportRefused):
    """The cloud lists the ID as invalid: unknown to Particle, another platform, or in another product."""

    code = "import_invalid"
    remedy = "Compare the ID with the board's label; if it is right, ask Particle which product holds it."


class ImportNonmember(ImportRefused):
    """The device belongs to somebody who is not in the product's team."""

    code = "import_nonmember"
    remedy = "Set the board aside; its owner has to unclaim it, or join the product's team."


class ImportProtected(ImportRefused):
    """The device is protected and this product is not."""

    code = "import_protected"
    remedy = "Set the board aside; only its owner can take the protection off."


class ImportQuarantined(ImportRefused):
    """The device is in the product's quarantine, or denied, also after the import asked for its approval."""

    code = "import_quarantined"
    remedy = "Approve the device in the console (product, Devices, quarantine), then run again."


class WifiCredentialsRejected(DeviceError):
    """The setup network came back after connect-ap: the Photon could not join the factory Wi-Fi."""

    code = "wifi_credentials_rejected"
    blame = Blame.SITE
    again = Again.NEXT_RUN
    remedy = "Check the factory Wi-Fi: its name and password (PROVISIONER_WIFI_...), is it up, does its DHCP answer."


class ConnectIgnored(DeviceError):
    """The setup network never went away after connect-ap: the Photon is still listening."""

    code = "connect_ignored"
    again = Again.THIS_RUN


class NotProven(DeviceError):
    """The cloud did not prove the device within the budget. Unknown, not failed: the night job settles it."""

    code = "not_proven"
    again = Again.NEXT_RUN
    remedy = "Leave the board powered in reach of the factory Wi-Fi; the next run or the night job asks again."


class WrongOwner(DeviceError):
    """The device came online, but the cloud shows another owner than the manifest wants."""

    code = "wrong_owner"
    again = Again.NEXT_RUN
    remedy = "Set the board aside; run again to give it a new claim code."


class Quarantined(DeviceError):
    """The cloud holds the device in quarantine, or denies it: it is not a member of the product."""

    code = "quarantined"
    blame = Blame.SITE
    again = Again.NEXT_RUN
    remedy = "Approve the device in the console (product, Devices, quarantine), then run again."


class NotInProduct(DeviceError):
    """The device is online but the cloud does not list it in the product."""

    code = "not_in_product"
    again = Again.NEXT_RUN
    remedy = "Run the same manifest again: it is imported once more."


class ClaimCodeUnavailable(DeviceError):
    """No claim code was ready, so the device was left untouched."""

    code = "claim_code_unavailable"
    blame = Blame.SITE
    again = Again.THIS_RUN
    remedy = "Nothing to do: the device comes round again when a code is there."


class NotSeen(DeviceError):
    """The device's setup network never appeared in this run."""

    code = "not_seen"
    blame = Blame.OPERATOR
    again = Again.NEXT_RUN
    remedy = "Power the board and hold SETUP until it blinks blue, then run the same manifest again."


class RunEnded(DeviceError):
    """The run ended before this device had its turn: stopped, held by the site, or no station left."""

    code = "run_ended"
    blame = Blame.STATION
    again = Again.NEXT_RUN
    remedy = "Run the same manifest again: it goes on where it stopped."


class NotClaimed(DeviceError):
    """The device came online, but the cloud did not honour its claim code: nobody owns it."""

    code = "not_claimed"
    again = Again.THIS_RUN
    remedy = "Hold SETUP until the board blinks blue: the station gives it a new claim code."


# --- the run's record ---


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


class JournalTooNew(JournalError):
    """A journal was written by a newer program, in a schema this one does not know. It is not touched."""

    code = "journal_too_new"
    remedy = "Use the newer provisioner that wrote it; an older one would read it wrongly."
