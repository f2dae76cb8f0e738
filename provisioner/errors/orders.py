"""What a person ordered of a running line, and cannot be done now. Nothing was changed."""

from __future__ import annotations

from provisioner.errors.base import Again, Blame, ProvisionerError


class OrderRefused(ProvisionerError):
    """What a person asked of the running line cannot be done now; nothing was changed."""

    code = "order_refused"
    blame = Blame.OPERATOR
    again = Again.THIS_RUN
    remedy = "Look at the line again, then ask again."


class NotRunning(OrderRefused):
    """No run takes orders: it has not begun to work, or it has ended. What was asked was not done."""

    code = "not_running"
    remedy = "Start the run again (`provisioner run`); it goes on where it stopped."


class AnotherRun(OrderRefused):
    """The page that asked shows another run than the one that is working now. What was asked was not done."""

    code = "another_run"
    remedy = "Wait until the page shows the run that works now, look again, then ask again."


class DeviceBusy(OrderRefused):
    """The device is with a station, or waits for its proof: nothing may be changed under it."""

    code = "device_busy"
    remedy = "Wait for its verdict, then ask again."


class AlreadySo(OrderRefused):
    """What was asked for is so already; there is nothing to do."""

    code = "already_so"
    remedy = "Nothing to do."


class HeldBySite(OrderRefused):
    """The line is held because of the site, not by a person: only the site can let it go on."""

    code = "held_by_site"
    blame = Blame.SITE
    remedy = "Mend what the line says holds it; it goes on by itself when the cloud answers again."


class HeldByOperator(ProvisionerError):
    """A person holds the line: no station begins a board until somebody resumes it."""

    code = "held_by_operator"
    blame = Blame.OPERATOR
    again = Again.THIS_RUN
    remedy = "Press RESUME when work may go on; boards that were told to connect are still proven."
