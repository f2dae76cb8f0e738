"""What a person gave us: manifest, settings, secrets, folders. Exit code 2, nothing was touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provisioner.errors.base import Blame, ProvisionerError


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a file a person wrote: where it is, what it is, what to do about it.

    `line` and `column` count from 1; 0 means the file as a whole. `where` is `tray T-0001, slot 3` or empty.
    """

    file: str
    line: int
    column: int
    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        subject = f"{self.where}: " if self.where else ""
        return f"{place}: {subject}{self.what}; {self.remedy}"


class InputRefused(ProvisionerError):
    """What the person gave us cannot be worked with; nothing was touched. Exit code 2."""

    code = "input_refused"
    blame = Blame.OPERATOR
    remedy = "Correct what the message names, then run the same command again."


class FileRefused(InputRefused):
    """A manifest or settings file has mistakes; all of them are listed."""

    code = "file_refused"
    remedy = "Correct every line named, then run the same command again."

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class SecretMissing(InputRefused):
    """A secret that this work needs is neither in the environment nor in a file."""

    code = "secret_missing"
    remedy = "Set the PROVISIONER_... variable the message names, or name a file of mode 0600 in the settings."


class SecretUnsafe(InputRefused):
    """A secret stands where others can read it."""

    code = "secret_unsafe"
    remedy = "Run `chmod 600` on that file; if others may have read the secret, make a new one in the console."


class RunsFolderUnusable(InputRefused):
    """The runs folder cannot be written: nothing may start, because nothing could be recorded."""

    code = "runs_folder_unusable"
    remedy = "Get the right to write there, free some space, or name a folder on a local disk with --runs-dir."


class WrongPlatform(InputRefused):
    """The product is not made of Photons."""

    code = "wrong_platform"
    remedy = "Correct `product:` in the manifest; only a Photon (6) or P1 (8) product can be worked here."


class ProductUnknown(InputRefused):
    """The cloud does not know this product, or these credentials may not see it."""

    code = "product_unknown"
    remedy = "Compare `product:` in the manifest with the console, and see that the OAuth client is that product's."


class StationMissing(InputRefused):
    """No station fits what was asked for."""

    code = "station_missing"
    remedy = "Name the stations of this computer under `stations:` in the settings (README, Setting up a real line)."


class BackendUnknown(InputRefused):
    """No switcher of that name is installed."""

    code = "backend_unknown"
    remedy = "Use one of the switchers that the message names as `switcher:` in the settings."


class BackendBroken(InputRefused):
    """An installed switcher cannot be loaded; the message names the distribution it came with."""

    code = "backend_broken"
    remedy = "Install a version of that distribution that fits, or remove it."


class PageNotServed(InputRefused):
    """The console's page cannot be served at that address, or not in that way."""

    code = "page_not_served"
    remedy = "Name another address with --bind HOST:PORT, or end the program that uses this one."
