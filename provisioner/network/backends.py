"""Switchers by name: the ones that come with this program, and those that other distributions bring.

Rule 1: a back end is imported when it is asked for, so one platform's parts never stop another platform.
Rule 2: another distribution's entry point (group `provisioner.switchers`) names a class or function that, called
without arguments, gives a `SwitcherFactory`. It cannot take the name of a built-in one.
Rule 3: what is broken is said with the name of the distribution to mend; it is never left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from provisioner.errors import BackendBroken, BackendUnknown
from provisioner.model import printable
from provisioner.network.switcher import SwitcherFactory

GROUP = "provisioner.switchers"
_BUILT_IN = {
    "manual": ("provisioner.network.manual", "ManualFactory"),
    "networkmanager": ("provisioner.network.networkmanager", "NetworkManagerFactory"),
    "wpa_supplicant": ("provisioner.network.wpa_supplicant", "WpaSupplicantFactory"),
}


def names() -> list[str]:
    """Return every back end that `switcher:` in the settings may name, sorted. Imports none of them."""
    return sorted(_BUILT_IN.keys() | {point.name for point in _installed()})


def load(name: str) -> SwitcherFactory:
    """Import the back end of that name and make its factory.

    Raises BackendUnknown, with all names, or BackendBroken, with the distribution.
    """
    if name in _BUILT_IN:
        module, factory = _BUILT_IN[name]
        made: SwitcherFactory = getattr(import_module(module), factory)()
        return made
    found = [point for point in _installed() if point.name == name]
    if not found:
        raise BackendUnknown(
            f"there is no switcher called {printable(name)!r}",
            remedy=f"Use one of {', '.join(names())} as `switcher:`, or install the distribution that brings it.",
        )
    if len(found) > 1:
        sources = " and ".join(sorted(_source(point) for point in found))
        raise BackendBroken(f"{sources} both bring a switcher called {name!r}", remedy="Remove one of them.")
    return _made_from(found[0])


def _installed() -> Iterable[EntryPoint]:
    return entry_points(group=GROUP)


def _made_from(point: EntryPoint) -> SwitcherFactory:
    try:
        made = point.load()()
    except Exception as error:
        why = f"{type(error).__name__}: {printable(str(error), limit=200)}"
        raise BackendBroken(f"the switcher {point.name!r} of {_source(point)} cannot be loaded ({why})") from error
    if not callable(getattr(made, "session", None)):
        raise BackendBroken(f"the switcher {point.name!r} of {_source(point)} is no SwitcherFactory: it has no session")
    factory: SwitcherFactory = made
    return factory


def _source(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
