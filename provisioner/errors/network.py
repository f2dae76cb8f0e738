"""An adapter could not be moved onto a setup network, or back."""

from __future__ import annotations

from provisioner.errors.base import Again, Blame, ProvisionerError


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


class ProfileDropped(SwitchError):
    """The service took another profile than ours: it could be the default route, or join by itself."""

    code = "profile_dropped"
    blame = Blame.STATION
    again = Again.NEXT_RUN
    remedy = "Report this with the version of NetworkManager (`nmcli --version`); the station must not be used."


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
