"""One exchange with one Photon went wrong."""

from __future__ import annotations

from provisioner.errors.base import Again, Blame, ProvisionerError


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
