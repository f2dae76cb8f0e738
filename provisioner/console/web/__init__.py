"""The page: what the screen knows, served to browsers by the run itself.

feed    the screen in parts, each sent again when it has changed
guard   who may look and who may act
pages   what can be asked for and posted
server  Hypercorn: binding, serving, closing
follow  the same page over another process's run, from its journal
static  the page itself: hand-written, nothing from anywhere else
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable


def static_folder() -> Traversable:
    """The page's own files."""
    return resources.files(__name__) / "static"
