"""The Particle cloud did not do what was asked."""

from __future__ import annotations

from provisioner.errors.base import Again, Blame, ProvisionerError


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


class OutOfBudget(CloudError):
    """A night's requests, or its time, were used up before everything was read."""

    code = "out_of_budget"
    again = Again.NEXT_RUN
    remedy = "Give it more with --budget or --deadline, or nothing: the next night starts from the beginning."
