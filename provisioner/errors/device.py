"""What the line itself finds out about one device."""

from __future__ import annotations

from provisioner.errors.base import Again, Blame, ProvisionerError


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
    again = Again.THIS_RUN  # the import has just seen it there: one answer may come from a copy that is behind
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


class SetAside(DeviceError):
    """A person set the board aside before it was worked. Nothing was written to it."""

    code = "set_aside"
    blame = Blame.OPERATOR
    remedy = "Put the board into the rework bin; RERUN takes it back into this run."
