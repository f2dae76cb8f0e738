"""YAML as people write it, read as text, with the place of everything. For settings and manifests.

Rule 1: every scalar stays the text that was written. `001234567012345670123456` is those 24 characters: plain
YAML would make it an octal number and lose it, and nearly one Photon ID in ten is all digits (facts: stack 3).
Rule 2: no aliases, anchors, tags, duplicate keys or second documents; size, depth and node caps. The builder
works on the event stream, so a bomb is refused before anything is built from it.
Rule 3: this module knows nothing of trays or stations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from pydantic import ValidationError

from provisioner.errors import FileRefused, Mistake
from provisioner.model import printable

BYTES_MAX = 16 * 1024 * 1024
DEPTH_MAX = 16
NODES_MAX = 2_000_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is three times as fast where it is built in


class Text(str):
    """A scalar as written; `line` and `column` count from 1; `plain` is False when it was quoted."""

    __slots__ = ("column", "line", "plain")
    line: int
    column: int
    plain: bool


class Block(dict[str, Any]):
    """A mapping with its place, and the place of each key in `key_marks`."""

    line: int
    column: int
    key_marks: dict[str, tuple[int, int]]


class Items(list[Any]):
    """A sequence with its place."""

    line: int
    column: int


Node: TypeAlias = Text | Block | Items


def load(path: Path, *, shown_as: str | None = None) -> Block:
    """Read one mapping from a YAML file.

    Raises FileRefused with one Mistake: not readable, too big, not text, not YAML, not a mapping, or using a
    feature this reader leaves out on purpose.
    """
    name = shown_as or str(path)
    try:
        size = path.stat().st_size
        if size > BYTES_MAX:
            raise _refused(
                name,
                None,
                f"the file has {size:,} bytes, more than {BYTES_MAX:,}",
                "put long device lists into `file:` lists",
            )
        data = path.read_bytes()
    except OSError as error:
        raise _refused(
            name, None, f"cannot be read: {error.strerror or error}", "check the name and the rights"
        ) from None
    return parse(data, name)


def parse(data: bytes, name: str) -> Block:
    """Parse bytes as one mapping; `name` is shown in mistakes. Raises FileRefused as `load` does."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(name, (line, 1), "not UTF-8 text", "save the file as UTF-8 text") from None
    if "\0" in text:
        raise _refused(
            name,
            (text.count("\n", 0, text.index("\0")) + 1, 1),
            "this is a binary file, not YAML",
            "give the manifest's own file name",
        )
    try:
        root = _Builder(name).build(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark is not None else None
        raise _refused(
            name,
            place,
            f"not valid YAML: {error.problem or error.context}",
            "correct the indentation or the quotes here",
        ) from None
    except yaml.YAMLError as error:
        raise _refused(name, None, f"not valid YAML: {printable(str(error))}", "correct the file") from None
    except RecursionError:
        raise _refused(name, None, "nested too deeply", f"use at most {DEPTH_MAX} levels") from None
    if not isinstance(root, Block):
        raise _refused(name, (1, 1), "not a mapping of keys to values", "start from the example in the README")
    return root


def place_of(root: Node, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
    """Line and column of what `path` leads to, or of the nearest thing above it that exists.

    `key=True` gives the place of the last key rather than of its value (for keys that should not be there).
    """
    node: Any = root
    line, column = root.line, root.column
    for index, step in enumerate(path):
        try:
            if isinstance(node, Block) and (key and index == len(path) - 1):
                return node.key_marks[str(step)]
            node = node[step]
        except (KeyError, IndexError, TypeError):
            break
        line, column = getattr(node, "line", line), getattr(node, "column", column)
    return line, column


def mistakes_of(
    error: ValidationError, root: Node, name: str, *, prefix: Sequence[str | int] = (), where: str = ""
) -> Iterator[Mistake]:
    """Turn pydantic's findings into Mistakes with places in the file. `prefix` leads to what was validated."""
    for found in error.errors(include_url=False):
        path = [*prefix, *(step for step in found["loc"] if not str(step).startswith(("function-", "tagged-")))]
        what, remedy = _sentence(found["type"], found["msg"], path, found.get("ctx", {}))
        line, column = place_of(root, path, key=found["type"] == "extra_forbidden")
        yield Mistake(name, line, column, where, what, remedy)


def _sentence(kind: str, message: str, path: Sequence[str | int], context: dict[str, Any]) -> tuple[str, str]:
    key = printable(str(path[-1])) if path else "the file"
    if kind == "extra_forbidden":
        return f"unknown key '{key}'", "remove it or correct its spelling"
    if kind == "missing":
        return f"'{key}' is missing", "add it"
    if kind == "value_error":
        what, _, remedy = str(context.get("error", message)).partition("; ")
        return f"'{key}': {what}", remedy or "correct it"
    return f"'{key}': {message[:1].lower()}{message[1:]}", "correct it"


def _refused(name: str, place: tuple[int, int] | None, what: str, remedy: str) -> FileRefused:
    line, column = place or (0, 0)
    return FileRefused([Mistake(name, line, column, "", what, remedy)])


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


class _Builder:
    """Builds nodes from YAML events, refusing what rule 2 leaves out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes = 0

    def build(self, events: Iterator[Any]) -> Node | None:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._refuse(event, "a second document (---)", "keep one manifest in one file")
                root = self._node(next(events), events, depth=1)
        return root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        self._check(event, depth)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Text(event.value)
            node.plain = event.style is None
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Items()
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                node.append(self._node(item, events, depth + 1))
        else:
            node = self._block(events, depth)
        node.line, node.column = _place(event)
        return node

    def _block(self, events: Iterator[Any], depth: int) -> Block:
        block = Block()
        block.key_marks = {}
        while not isinstance(item := next(events), yaml.MappingEndEvent):
            self._check(item, depth)
            if not isinstance(item, yaml.ScalarEvent):
                raise self._refuse(item, "a key that is not plain text", "write keys as single words")
            if item.value in block:
                first = block.key_marks[item.value][0]
                raise self._refuse(
                    item, f"duplicate key '{printable(item.value)}' (first at line {first})", "keep one of the two"
                )
            block.key_marks[item.value] = _place(item)
            block[item.value] = self._node(next(events), events, depth + 1)
        return block

    def _check(self, event: Any, depth: int) -> None:
        self.nodes += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._refuse(event, "aliases and anchors (* and &) are not allowed", "write the value out")
        if getattr(event, "tag", None) is not None:
            raise self._refuse(event, f"tags ({printable(str(event.tag))}) are not allowed", "remove the tag")
        if depth > DEPTH_MAX:
            raise self._refuse(event, "nested too deeply", f"use at most {DEPTH_MAX} levels")
        if self.nodes > NODES_MAX:
            raise self._refuse(event, f"more than {NODES_MAX:,} entries", "put long device lists into `file:` lists")

    def _refuse(self, event: Any, what: str, remedy: str) -> FileRefused:
        return _refused(self.name, _place(event), what, remedy)
