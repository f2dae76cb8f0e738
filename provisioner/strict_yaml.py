"""YAML as people write it, read as text, with the place of everything. For settings and manifests.

Rule 1: every scalar stays the text that was written. `001234567012345670123456` is those 24 characters: plain
YAML would make it an octal number and lose it, and nearly one Photon ID in ten is all digits (facts: stack 3).
Rule 2: no aliases, anchors, tags, duplicate keys or second documents; size, depth and node caps. The builder
works on the event stream, so a bomb is refused before anything is built from it.
Rule 3: a secret in YAML is a mistake, and no message ever repeats it.
Rule 4: this module knows nothing of trays or stations.
"""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from provisioner.errors import FileRefused, Mistake
from provisioner.model import printable
from provisioner.secrets import looks_secret

BYTES_MAX = 16 * 1024 * 1024
DEPTH_MAX = 16
NODES_MAX = 2_000_000
TOO_BIG = "put long device lists into `file:` lists"
_TOO_DEEP = ("nested too deeply", f"use at most {DEPTH_MAX} levels")

_SECRET_KEY = re.compile(r"(password|passwd|passphrase|secret|token|api_?key|psk)$", re.IGNORECASE)

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
KeyPath: TypeAlias = tuple[str | int, ...]


# --- typed values: YAML hands us text, so these read it ---


def _whole_number(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,9}", value):
            raise ValueError(f"not a whole number: '{printable(value)}'")
        return int(value)
    return value


def _seconds(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", value):
            raise ValueError(f"not a number of seconds: '{printable(value)}'")
        return float(value)
    return value


Whole = Annotated[int, BeforeValidator(_whole_number)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]


def load(path: Path, *, shown_as: str | None = None) -> Block:
    """Read one mapping from a YAML file.

    Raises FileRefused with one Mistake: not readable, too big, not text, not YAML, not a mapping, or using a
    feature this reader leaves out on purpose.
    """
    name = shown_as or str(path)
    return parse(read(path, name), name)


def read(path: Path, name: str, *, bytes_max: int = BYTES_MAX, too_big: str = TOO_BIG) -> bytes:
    """Read a plain file of at most `bytes_max` bytes, whole; `name` is shown in mistakes, `too_big` is a remedy.

    Raises FileRefused with one Mistake. A bigger file is refused by its size; a device or pipe is never opened,
    since reading it might never end.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise _refused(name, None, "not a plain file", "give the name of a file")
        if state.st_size > bytes_max:
            raise _refused(name, None, f"the file has {state.st_size:,} bytes, more than {bytes_max:,}", too_big)
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _refused(name, None, f"cannot be read: {reason}", "check the name and the rights") from None
    except ValueError:  # a NUL in the name
        raise _refused(name, None, "not a file name", "give the name of a file") from None
    if len(data) > bytes_max:  # it grew while we read
        raise _refused(name, None, f"the file has more than {bytes_max:,} bytes", too_big)
    return data


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
        if "nesting depth" in str(error.problem):  # libyaml's own limit, met while it looks ahead of our events
            raise _refused(name, place, *_TOO_DEEP) from None
        raise _refused(
            name,
            place,
            f"not valid YAML: {printable(str(error.problem or error.context), 160)}",
            "correct the indentation or the quotes here",
        ) from None
    except yaml.reader.ReaderError as error:  # its position counts bytes or characters, as the loader likes
        line = text.count("\n", 0, max(0, text.find(chr(error.character)))) + 1
        what = f"a character that does not belong in a text file (U+{error.character:04X})"
        raise _refused(name, (line, 1), what, "remove it") from None
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
    error: ValidationError,
    root: Node,
    name: str,
    *,
    prefix: KeyPath = (),
    where: str = "",
    known_keys: Collection[str] = (),
    secret: Collection[KeyPath] = (),
) -> Iterator[Mistake]:
    """Turn pydantic's findings into Mistakes with places in the file. `prefix` leads to what was validated.

    `known_keys` are the spellings to suggest for an unknown key; findings at or below a path in `secret` are left
    out, because they might repeat it.
    """
    for found in error.errors(include_url=False):
        path = (*prefix, *(step for step in found["loc"] if not str(step).startswith(("function-", "tagged-"))))
        if any(path[: len(hidden)] == hidden for hidden in secret):
            continue
        what, remedy = _sentence(found["type"], found["msg"], path, found.get("ctx", {}))
        if found["type"] == "extra_forbidden":
            remedy = _spelling(str(path[-1]), known_keys) or remedy
        line, column = place_of(root, path, key=found["type"] == "extra_forbidden")
        yield Mistake(name, line, column, where, what, remedy)


def secrets_in(node: Node, name: str, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Mistake]]:
    """Find secrets that somebody wrote into YAML, by the key's name or the value's shape, and where each stands."""
    if isinstance(node, Block):
        for key, value in node.items():
            if _SECRET_KEY.search(key) or looks_secret(value):
                verb = "is" if _SECRET_KEY.search(key) else "holds"
                yield (*path, key), _secret(f"'{printable(key)}' {verb} a secret", name, node.key_marks[key])
            else:
                yield from secrets_in(value, name, (*path, key))
    elif isinstance(node, Items):
        for index, value in enumerate(node):
            if looks_secret(value):
                yield (*path, index), _secret("this is a secret", name, (value.line, value.column))
            elif not isinstance(value, Text):
                yield from secrets_in(value, name, (*path, index))


def _secret(what: str, name: str, place: tuple[int, int]) -> Mistake:
    return Mistake(
        name,
        *place,
        "",
        f"{what}; secrets never stand in YAML",
        "use PROVISIONER_CLIENT_SECRET, PROVISIONER_USER_TOKEN, PROVISIONER_WIFI_<PROFILE>, "
        "or a file of mode 0600 named in the settings (client_secret_file)",
    )


def _spelling(key: str, known_keys: Collection[str]) -> str | None:
    if key in known_keys:
        return "it does not belong here: move it or remove it"
    near = difflib.get_close_matches(key.lower(), known_keys, n=1, cutoff=0.7)
    return f"did you mean '{near[0]}'?" if near else None


_MUST_BE = {
    "string_type": "a single text",
    "string_too_short": "at least {min_length} characters long",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "a block of keys and values",
    "mapping_type": "a block of keys and values",
    "dict_type": "a block of keys and values",
    "list_type": "a list",
    "tuple_type": "a list",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}


def _sentence(kind: str, message: str, path: KeyPath, context: dict[str, Any]) -> tuple[str, str]:
    subject = f"'{printable(str(path[-1]))}'" if path else "the file"
    if kind == "extra_forbidden":
        return f"unknown key {subject}", "remove it or correct its spelling"
    if kind == "missing":
        return f"{subject} is missing", "add it"
    if kind == "value_error":
        what, _, remedy = str(context.get("error", message)).partition("; ")
        return f"{subject}: {what}", remedy or "correct it"
    if kind in _MUST_BE:
        return f"{subject} must be {_MUST_BE[kind].format(**context)}", "correct it"
    return f"{subject}: {message[:1].lower()}{message[1:]}", "correct it"


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
            node.plain = not event.style  # None from the Python scanner, "" from libyaml
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
            raise self._refuse(event, *_TOO_DEEP)
        if self.nodes > NODES_MAX:
            raise self._refuse(event, f"more than {NODES_MAX:,} entries", TOO_BIG)

    def _refuse(self, event: Any, what: str, remedy: str) -> FileRefused:
        return _refused(self.name, _place(event), what, remedy)
