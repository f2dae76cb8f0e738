"""NetworkManager over the system bus: calls with deadlines, properties, and one device's changes of state.

Rule 1: one connection for the whole run, because our profiles are bound to it: when it closes, however this process
ends, NetworkManager itself leaves the setup network (facts: network 0.6).
Rule 2: jeepney has no deadlines and drops signals that do not fit: every call has one here, and the queue is long.
Rule 3: jeepney's word occurs in this file only.
Rule 4: what an answer holds is checked by its D-Bus signature; what has another one is refused, never taken apart.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol

import trio
from jeepney import DBusAddress, HeaderFields, MatchRule, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.common import RouterClosed
from jeepney.io.trio import DBusRouter, open_dbus_connection

from provisioner.errors import AdapterUnavailable, BackendGone, SwitchError, SwitchingNotAllowed
from provisioner.model import printable

NM = "org.freedesktop.NetworkManager"
ROOT = "/org/freedesktop/NetworkManager"
SETTINGS = f"{ROOT}/Settings"
CALL_S = 5.0
SIGNALS_MAX = 512
_PROPERTIES = "org.freedesktop.DBus.Properties"
# What we read, as the interface declares it; GetAll's properties are checked one by one.
_PROPERTY_TYPES: Mapping[str, str] = {
    "Version": "s", "Connections": "ao", "DeviceType": "u", "State": "u", "StateReason": "(uu)", "Connection": "o",
    "ActiveConnection": "o", "ActiveAccessPoint": "o", "Ip4Config": "o", "AddressData": "aa{sv}", "LastScan": "x",
    "HwAddress": "s", "Ssid": "ay", "Flags": "u", "WpaFlags": "u", "RsnFlags": "u", "Strength": "y", "LastSeen": "i",
}  # fmt: skip
_ANSWER_TYPES: Mapping[str, str] = {
    "GetDeviceByIpIface": "o", "GetSettings": "a{sa{sv}}", "GetPermissions": "a{ss}", "GetAllAccessPoints": "ao",
    "AddAndActivateConnection2": "ooa{sv}", "ActivateConnection": "o", "Get": "v", "GetAll": "a{sv}",
}  # fmt: skip
_STATE_CHANGED = "uuu"
_GONE = ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected")


class Router(Protocol):
    """As much of jeepney's DBusRouter as is used: a test has one over memory."""

    async def send_and_get_reply(self, message: Any) -> Any:
        """Send a call and return its reply or error."""
        ...

    def filter(self, rule: Any, *, channel: Any = None, bufsize: int = 1) -> Any:
        """Messages that match, for the length of a block."""
        ...


OpenRouter = Callable[[], AbstractAsyncContextManager[Router]]


@asynccontextmanager
async def system_bus() -> AsyncIterator[Router]:
    """A router over a connection of its own to the system bus. Raises BackendGone where there is none."""
    try:
        with trio.fail_after(CALL_S):
            connection = await open_dbus_connection("SYSTEM")
    except (OSError, trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        why = printable(str(error), 200)
        raise BackendGone(f"the system bus cannot be reached: {why}", backend_code="dbus") from error
    async with connection, reading(DBusRouter(connection)) as router:
        yield router


@asynccontextmanager
async def reading(router: DBusRouter) -> AsyncIterator[DBusRouter]:
    """Let jeepney read the bus while the block runs. What the block raises comes out as it is, in no group."""
    raised: Exception | None = None
    async with trio.open_nursery() as nursery:
        await router.start(_Calm(nursery))
        try:
            yield router
        except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery that would wrap it
            raised = error
        await router.aclose()
        nursery.cancel_scope.cancel()
    if raised is not None:
        raise raised


class _Calm:
    """A nursery whose task may find the bus closed: that ends the replies, and no program."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    async def start(self, receiver: Callable[..., Awaitable[None]]) -> Any:
        """Start jeepney's receiver."""

        async def until_closed(task_status: Any) -> None:
            with suppress(trio.EndOfChannel, trio.BrokenResourceError, trio.ClosedResourceError):
                await receiver(task_status=task_status)

        return await self._nursery.start(until_closed)


class Bus:
    """Calls to NetworkManager."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def call(
        self, path: str, interface: str, method: str, signature: str | None = None, body: tuple[Any, ...] = ()
    ) -> tuple[Any, ...]:
        """Call a method and return what it answers. Raises BackendGone, SwitchingNotAllowed, AdapterUnavailable."""
        message = new_method_call(DBusAddress(path, NM, interface), method, signature, body)
        return await self._ask(message, f"{method} of {path}", _ANSWER_TYPES.get(method))

    async def _ask(self, message: Any, what: str, answers: str | None = None) -> tuple[Any, ...]:
        try:
            with trio.fail_after(CALL_S):
                reply = await self._router.send_and_get_reply(message)
        except trio.TooSlowError:
            raise BackendGone(f"NetworkManager did not answer within {CALL_S:g} s", backend_code="dbus:slow") from None
        # KeyError: jeepney 0.9 forgets its waiters when the bus closes, and then looks for them (`ReplyMatcher.catch`).
        except (OSError, KeyError, RouterClosed, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise BackendGone("the system bus went away", backend_code="dbus:closed") from error
        if reply.header.message_type is MessageType.error:
            name = str(reply.header.fields.get(HeaderFields.error_name, ""))
            raise _failure(name, str(reply.body[0]) if reply.body else "", what)
        if answers is not None and signature_of(reply) != answers:
            raise _unreadable(what)
        body: tuple[Any, ...] = reply.body
        return body

    async def get(self, path: str, interface: str, name: str) -> Any:
        """One property."""
        message = new_method_call(DBusAddress(path, NM, _PROPERTIES), "Get", "ss", (f"{NM}{interface}", name))
        ((kind, value),) = await self._ask(message, f"{name} of {path}", "v")
        if kind != _PROPERTY_TYPES[name]:
            raise _unreadable(f"{name} of {path}")
        return value

    async def get_all(self, path: str, interface: str) -> Mapping[str, Any]:
        """The properties of an interface that are what they should be."""
        message = new_method_call(DBusAddress(path, NM, _PROPERTIES), "GetAll", "s", (f"{NM}{interface}",))
        (values,) = await self._ask(message, f"properties of {path}", "a{sv}")
        return {name: value for name, (kind, value) in values.items() if _PROPERTY_TYPES.get(name) == kind}

    @asynccontextmanager
    async def states_of(self, device: str) -> AsyncIterator[trio.MemoryReceiveChannel[Any]]:
        """The signals of a device's changes of state from now on; their bodies are (new, old, reason)."""
        rule = MatchRule(type="signal", interface=f"{NM}.Device", member="StateChanged", path=device)
        send, receive = trio.open_memory_channel[Any](SIGNALS_MAX)
        await self._ask(message_bus.AddMatch(rule), "AddMatch")
        try:
            async with self._router.filter(rule, channel=send):
                yield receive
        finally:
            receive.close()
            with trio.move_on_after(1.0, shield=True), suppress(SwitchError):  # the bus may be gone, and its rules too
                await self._ask(message_bus.RemoveMatch(rule), "RemoveMatch")


def signature_of(message: Any) -> str:
    """The D-Bus types of a message's body; empty if it has none."""
    return str(message.header.fields.get(HeaderFields.signature, ""))


def state_changed(message: Any) -> tuple[int, int] | None:
    """The new state and the reason in a signal; None if it is not what NetworkManager sends."""
    if signature_of(message) != _STATE_CHANGED:
        return None
    state, _, reason = message.body
    return int(state), int(reason)


def _unreadable(what: str) -> SwitchError:
    return AdapterUnavailable(f"NetworkManager's answer about {what} is not readable", backend_code="dbus:types")


def _failure(name: str, text: str, what: str) -> SwitchError:
    code, text = f"dbus:{name}", printable(text, 200)
    if name.endswith(("PermissionDenied", "AccessDenied")):
        return SwitchingNotAllowed(f"NetworkManager does not let this account do that: {text}", backend_code=code)
    if name.rpartition(".")[2] in _GONE:
        return BackendGone("NetworkManager is not running", backend_code=code)
    return AdapterUnavailable(f"NetworkManager refused {what}: {text}", backend_code=code)
