"""Stage 1 of the flow: a manifest file and its device lists become a `Manifest`, or every mistake in them is named.

Rule 1: all mistakes in one pass. A part that is wrong is told and stood in for, and the rest is checked all the
same; what would only follow from a mistake already told is not told again.
Rule 2: the pydantic models say which keys there are and of what type, and make the JSON Schema for editors. What
one value says about another (counts, duplicates, templates, profiles) is checked here and in `manifest_rows`.
Rule 3: nothing is touched but the manifest and the plain files it names inside its own folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from provisioner.errors import FileRefused, Mistake
from provisioner.line import device_list
from provisioner.line.manifest_rows import MistakeList, Roll, TrayRows
from provisioner.line.manifest_shape import (
    BROKEN_CLAIM,
    KNOWN_KEYS,
    ClaimPart,
    DeviceRow,
    ManifestFile,
    Part,
    TrayPart,
    manifest_schema,
)
from provisioner.line.tray import CustomerName, Manifest, Tray, TrayDevices, customer_template, customer_trouble
from provisioner.model import ClaimPolicy, ClaimTo, DeviceID, TrayLayout, printable
from provisioner.packed import IDIndex
from provisioner.strict_yaml import Block, Items, KeyPath, Text, mistakes_of, parse, place_of, read, secrets_in

__all__ = ["Manifest", "Site", "Tray", "load_manifest", "manifest_schema"]

_P = TypeVar("_P", bound=Part)
_LIST_TOO_BIG = "split the list: one file a tray"


class Site(Protocol):
    """What a manifest is checked against: the product guard and the Wi-Fi profiles of the settings."""

    @property
    def product(self) -> str | None:
        """The only product this line works, or None."""

    @property
    def wifi(self) -> Mapping[str, object]:
        """Wi-Fi profiles by name."""


def load_manifest(path: Path, settings: Site | None) -> Manifest:
    """Read and check a manifest and every list it names.

    Without settings, names of Wi-Fi profiles and the product are taken as written. Raises FileRefused with every
    mistake, the manifest's before those of its lists, in the order of lines.
    """
    name = str(path)
    data = read(path, name)
    return _Loader(path, parse(data, name), settings).load(data)


@dataclass(frozen=True, slots=True)
class _Policy:
    """A claim policy as far as it could be read, and where it stands. `sure` is False if it has mistakes."""

    claim: ClaimPolicy
    customer: CustomerName | None
    path: KeyPath
    sure: bool = True


@dataclass(frozen=True, slots=True)
class _ReadTray:
    """One tray, read; it becomes a `Tray` when the whole manifest is known to be right."""

    id: str
    policy: _Policy
    wifi: str | None
    rows: TrayRows
    file: str | None
    layout: str | None


class _Loader:
    """One loading: the nodes, the mistakes so far, and what the trays have in common."""

    def __init__(self, path: Path, root: Block, site: Site | None) -> None:
        self.path = path
        self.name = str(path)
        self.root = root
        self.site = site
        self.mistakes = MistakeList(self.name)
        self.roll = Roll(self.mistakes)
        self.digests: list[str] = []
        self.lists: dict[Path, str] = {}  # list file -> the tray it belongs to
        self.secrets = dict(secrets_in(root, self.name))
        self.told: set[tuple[KeyPath, str]] = set()  # about a customer's name that several trays share

    def load(self, data: bytes) -> Manifest:
        for mistake in self.secrets.values():
            self.mistakes.add(mistake)
        self.digests.append(hashlib.sha256(data).hexdigest())
        header = self._part(ManifestFile, self.root, ())
        policy = self._policy(header.claim, ("claim",), lot=header.lot)
        wifi = self._wifi(header.wifi, ("wifi",))
        trays = self._trays(header, policy, wifi)
        self._check_product(header, trays)
        takeover = self._takeover()
        if self.mistakes.count:
            raise self.mistakes.refused()
        rows = self.roll.packed()
        return Manifest(
            self.path,
            hashlib.sha256("".join(f"{digest}\n" for digest in self.digests).encode()).hexdigest(),
            header.product,
            header.lot,
            tuple(_finished(tray, rows, header.lot, takeover) for tray in trays),
            rows,
        )

    # --- telling mistakes ---

    def _tell(self, path: KeyPath, what: str, remedy: str, where: str = "") -> None:
        if not any(path[: len(secret)] == secret for secret in self.secrets):
            self.mistakes.add(Mistake(self.name, *place_of(self.root, path), where, what, remedy))

    def _part(self, model: type[_P], node: Block, path: KeyPath, where: str = "") -> _P:
        """Validate one block; where it is wrong, tell it and go on with stand-ins for what was wrong."""
        known = {key: value for key, value in node.items() if (*path, key) not in self.secrets}
        try:
            return model.model_validate(known)
        except ValidationError as error:
            found = mistakes_of(
                error,
                self.root,
                self.name,
                prefix=path,
                where=where,
                known_keys=KNOWN_KEYS,
                secret=self.secrets,
            )
            for mistake in found:
                self.mistakes.add(mistake)
            bad = {str(finding["loc"][0]) for finding in error.errors(include_url=False)}
            good = {key: value for key, value in known.items() if key not in bad}
            return model.model_validate(good | {key: model.stand_ins[key] for key in bad & set(model.stand_ins)})

    # --- what the trays have in common ---

    def _policy(self, claim: ClaimPart, path: KeyPath, *, lot: str | None, where: str = "") -> _Policy:
        policy = ClaimPolicy(claim.to, claim.customer)
        path = (*path, "customer")
        if claim is BROKEN_CLAIM:
            return _Policy(policy, None, path, sure=False)
        try:
            return _Policy(policy, customer_template(policy, has_lot=lot is not None), path)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            self._tell(path, what, remedy, where)
            return _Policy(policy, None, path, sure=False)

    def _wifi(self, profile: str | None, path: KeyPath, where: str = "") -> str | None:
        if profile is None or profile == "none":
            return None
        if self.site is not None and profile not in self.site.wifi:
            known = ", ".join(map(printable, self.site.wifi)) or "no profile yet"
            what = f"Wi-Fi profile '{printable(profile)}' is not in the settings"
            self._tell(path, what, f"add it there, or use one that is ({known}), or none", where)
        return profile

    def _check_product(self, header: ManifestFile, trays: list[_ReadTray]) -> None:
        if header.product is None:
            needed = any(tray.policy.sure and tray.policy.claim.to is not ClaimTo.ACCOUNT for tray in trays)
            if needed and "product" not in self.root:
                remedy = "add the product's number or short name; only trays that claim to: account need none"
                self._tell((), "'product' is missing", remedy)
        elif self.site is not None and self.site.product not in (None, header.product):
            what = f"product '{header.product}' is not this line's, which is '{printable(str(self.site.product))}'"
            self._tell(("product",), what, "correct it, or run the manifest with that product's settings")

    def _takeover(self) -> frozenset[str]:
        named = self.root.get("allow_takeover")
        if not isinstance(named, Items):
            return frozenset()  # absent, or told by the shape
        for index, text in enumerate(named):
            path = ("allow_takeover", index)
            try:
                device = DeviceID.parse(text if isinstance(text, Text) else "")
            except ValueError as error:
                self._tell(path, f"'allow_takeover': {error}", "compare it with the label")
                continue
            if device not in self.roll:
                self._tell(path, f"'allow_takeover' names {device}, which is in no tray", "correct it, or remove it")
        return frozenset(str(text).strip().lower() for text in named)

    # --- trays ---

    def _trays(self, header: ManifestFile, policy: _Policy, wifi: str | None) -> list[_ReadTray]:
        nodes = self.root.get("trays")
        if not isinstance(nodes, Items):
            return []  # told by the shape
        if not nodes:
            self._tell(("trays",), "'trays' is empty", "list at least one tray")
        trays = []
        first: dict[str, Block] = {}
        for index, node in enumerate(nodes):
            if not isinstance(node, Block):
                self._tell(("trays", index), "a tray is a block of keys (id, and devices or file)", "write it so")
                continue
            written = node.get("id")
            label = f"tray #{index + 1}"
            if isinstance(written, Text) and written and ("trays", index, "id") not in self.secrets:
                label = f"tray {printable(written, 40)}"
            tray = self._tray(node, ("trays", index), label, header=header, policy=policy, wifi=wifi)
            trays.append(tray)
            other = first.setdefault(label, node)
            if other is not node:
                what = f"tray '{tray.id}' is there twice, first at line {other.line}"
                self._tell(("trays", index, "id"), what, "give each tray its own id", label)
        return trays

    def _tray(
        self, node: Block, path: KeyPath, label: str, *, header: ManifestFile, policy: _Policy, wifi: str | None
    ) -> _ReadTray:
        part = self._part(TrayPart, node, path, label)
        if part.claim is not None:
            policy = self._policy(part.claim, (*path, "claim"), lot=header.lot, where=label)
        if part.wifi is not None:
            wifi = self._wifi(part.wifi, (*path, "wifi"), label)
        rows = self._rows(node, part, path, label)
        if part.expect is not None and rows.whole and part.expect != len(rows):
            what = f"'expect' says {part.expect}, and {len(rows)} devices are listed"
            self._tell((*path, "expect"), what, "count the tray, then correct the list or 'expect'", label)
        self._check_customers(part.id, header.lot, policy, rows)
        return _ReadTray(part.id, policy, wifi, rows, part.file, part.layout or header.layout)

    def _rows(self, node: Block, part: TrayPart, path: KeyPath, label: str) -> TrayRows:
        """Read a tray's rows, inline or from its list."""
        if "devices" in node and "file" in node:
            self._tell((*path, "file"), "a tray has either 'devices' or 'file', this one has both", "keep one", label)
        elif "devices" not in node and "file" not in node:
            self._tell(path, "a tray without devices", "add 'devices', or 'file' with the name of a list", label)
        if isinstance(node.get("devices"), Items):
            return self._inline_rows(node["devices"], (*path, "devices"), label)
        rows = None if part.file is None else self._list_rows(part.file, (*path, "file"), label)
        if rows is None:
            rows = self.roll.tray(label, self.name)
            rows.whole = False
        return rows

    def _inline_rows(self, nodes: Items, path: KeyPath, label: str) -> TrayRows:
        rows = self.roll.tray(label, self.name)
        if not nodes:
            self._tell(path, "'devices' is empty", "list the tray's devices, or remove the tray", label)
            rows.whole = False
        for index, node in enumerate(nodes):
            if isinstance(node, Text) and (*path, index) not in self.secrets:
                rows.add(node.line, node.column, node, yaml=node.plain)
            elif isinstance(node, Block):
                self._inline_block(node, (*path, index), rows)
            else:
                rows.skip(node.line, node.column)
                if isinstance(node, Items):
                    rows.refuse(index, "a device is an ID, or a block of keys (id, slot, serial)", "write it so")
        return rows

    def _inline_block(self, node: Block, path: KeyPath, rows: TrayRows) -> None:
        position = len(rows)
        texts = {
            key: value for key, value in node.items() if isinstance(value, Text) and (*path, key) not in self.secrets
        }
        device = texts.get("id")
        if device is not None:
            rows.add(device.line, device.column, device, texts.get("slot"), texts.get("serial"), yaml=device.plain)
        else:
            rows.skip(node.line, node.column)
        self._part(DeviceRow, node, path, rows.where(position))

    def _list_rows(self, file: str, path: KeyPath, label: str) -> TrayRows | None:
        found = self._list_file(file, path, label)
        if found is None:
            return None
        shown = str(self.path.parent / file)
        try:
            data = read(found, shown, bytes_max=device_list.BYTES_MAX, too_big=_LIST_TOO_BIG)
        except FileRefused as refused:
            for mistake in refused.mistakes:
                self._tell(path, f"'{printable(file)}': {mistake.what}", mistake.remedy, label)
            return None
        self.digests.append(hashlib.sha256(data).hexdigest())
        rows = self.roll.tray(label, shown)

        def refuse(line: int, column: int, what: str, remedy: str) -> None:
            rows.whole = False
            self.mistakes.add(Mistake(shown, line, column, label, what, remedy))

        for row in device_list.rows(data, refuse):
            rows.add(row.line, row.column, row.id, row.slot, row.serial, yaml=False)
        if not rows and rows.whole:
            self._tell(path, f"'{printable(file)}' lists no device", "see that it is the right list", label)
            rows.whole = False
        return rows

    def _list_file(self, file: str, path: KeyPath, label: str) -> Path | None:
        """The list's file, or None with the mistake told: lists stay inside the manifest's folder."""
        folder = self.path.parent.resolve()
        try:
            found = (folder / file).resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long, a NUL
            self._tell(path, f"'{printable(file)}' is not a file name", "give the name of the list", label)
            return None
        if Path(file).is_absolute() or not found.is_relative_to(folder):
            what = f"'{printable(file)}' does not stay inside the manifest's folder"
            self._tell(path, what, "put the list there and give its name as seen from there", label)
            return None
        other = self.lists.setdefault(found, label)
        if other != label:
            what = f"'{printable(file)}' is the list of {other} already"
            self._tell(path, what, "give each tray its own list", label)
            return None
        return found

    def _check_customers(self, tray: str, lot: str | None, policy: _Policy, rows: TrayRows) -> None:
        customer = policy.customer
        if customer is None:
            return
        if not customer.differs_by_row:
            trouble = customer_trouble(customer.resolve(tray=tray, lot=lot, slot=0, device="", serial=None))
            if trouble and (policy.path, trouble) not in self.told:
                self.told.add((policy.path, trouble))
                self._tell(policy.path, f"'customer': {trouble}", "change the template", rows.label)
            return
        for position, (slot, device, serial) in enumerate(rows.rows()):
            if serial is None and "serial" in customer.fields:
                remedy = "add the serial, or take {serial} out of 'customer'"
                rows.refuse(position, "has no serial, and 'customer' names {serial}", remedy)
                continue
            name = customer.resolve(tray=tray, lot=lot, slot=slot, device=device or "0" * 24, serial=serial)
            if trouble := customer_trouble(name):
                rows.refuse(position, f"'customer': {trouble}", "change the template, or this row's serial")


def _finished(tray: _ReadTray, rows: IDIndex, lot: str | None, takeover: frozenset[str]) -> Tray:
    claim, customer, read = tray.policy.claim, tray.policy.customer, tray.rows
    ids = rows.part(read.start, read.start + len(read))
    slots, serials = read.packed_slots(), read.packed_serials()
    devices = TrayDevices(tray.id, claim, tray.wifi, ids, slots, serials, lot, customer, takeover)
    layout = TrayLayout.parse(tray.layout) if tray.layout is not None else None
    return Tray(tray.id, claim, tray.wifi, devices, tray.file, layout)
