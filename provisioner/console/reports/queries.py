"""Parquet files and SQL over journals, by DuckDB: the `[reports]` extra. DuckDB's word occurs here and nowhere else.

Rule 1: what is asked sees two views, `devices` (a row a device and run) and `records` (a row a journal record), made
from verified journals; the files themselves are never handed to SQL, and neither is the network or another file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from provisioner.console.reports.run_report import RunReport
from provisioner.console.reports.tables import rows_of
from provisioner.errors import InputRefused
from provisioner.journal.fields import Record
from provisioner.journal.reader import RunFolder, replay

_DEVICES = (
    "run VARCHAR, tray VARCHAR, slot INTEGER, device VARCHAR, outcome VARCHAR, first_pass BOOLEAN, carried BOOLEAN,"
    " code VARCHAR, owner VARCHAR, visits INTEGER, stations VARCHAR, seconds DOUBLE, at VARCHAR, remedy VARCHAR"
)
_RECORDS = (
    "run VARCHAR, seq BIGINT, at VARCHAR, mono_ms BIGINT, event VARCHAR, station VARCHAR, tray VARCHAR, slot INTEGER,"
    " device VARCHAR, step VARCHAR, outcome VARCHAR, code VARCHAR, blame VARCHAR, detail VARCHAR, evidence JSON"
)
_TYPES = {"devices": _DEVICES, "records": _RECORDS}


def write_parquet(folders: Iterable[RunFolder], output: Path) -> None:
    """Write the devices of these runs into one Parquet file. Raises InputRefused, JournalError."""
    with _Tables(folders, "devices") as tables:
        tables.ask("COPY devices TO ? (FORMAT parquet)", [str(output)])


def ask(folders: Iterable[RunFolder], query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Answer one SQL question: the names of the columns, and the rows. Raises InputRefused, JournalError."""
    with _Tables(folders, "devices", "records") as tables:
        tables.close_the_doors()
        return tables.answer(query)


class _Tables:
    """A database in memory with what these journals say."""

    def __init__(self, folders: Iterable[RunFolder], *wanted: str) -> None:
        self._duckdb = _duckdb()
        self._database = self._duckdb.connect(":memory:")
        with tempfile.TemporaryDirectory(prefix="provisioner-report-") as folder:
            files = {name: Path(folder) / f"{name}.jsonl" for name in wanted}
            self._write_rows(folders, files)
            for name, file in files.items():
                columns = ", ".join("'{}': '{}'".format(*column.split()) for column in _TYPES[name].split(", "))
                reading = f"read_json(?, columns={{{columns}}}, format='newline_delimited')"
                self._database.execute(f"CREATE TABLE {name} AS SELECT * FROM {reading}", [str(file)])  # noqa: S608

    def _write_rows(self, folders: Iterable[RunFolder], files: dict[str, Path]) -> None:
        open_files = {name: path.open("w", encoding="utf-8") for name, path in files.items()}
        try:
            for folder in folders:
                report = RunReport()
                for record in replay(folder.journal):
                    report.see(record)
                    if "records" in open_files:
                        open_files["records"].write(json.dumps(_record_row(record), default=str) + "\n")
                for row in rows_of(report):
                    open_files["devices"].write(json.dumps(row) + "\n")
        finally:
            for file in open_files.values():
                file.close()

    def __enter__(self) -> _Tables:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def close_the_doors(self) -> None:
        """From now on a question sees these tables and nothing else."""
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")

    def ask(self, query: str, values: list[str]) -> None:
        """Run a statement of our own."""
        try:
            self._database.execute(query, values)
        except self._duckdb.Error as error:
            raise InputRefused(
                f"the report cannot be written: {error}", remedy="Name a file in a folder that you may write."
            ) from error

    def answer(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a person's question."""
        try:
            result = self._database.execute(query)
            return [str(column[0]) for column in result.description or ()], result.fetchall()
        except self._duckdb.Error as error:
            raise InputRefused(
                f"DuckDB does not take the question: {error}",
                remedy="The tables are `devices` and `records`; `SELECT * FROM devices LIMIT 5` shows their columns.",
            ) from error


def _duckdb() -> Any:
    try:
        return import_module("duckdb")
    except ImportError:
        raise InputRefused(
            "Parquet and SQL need DuckDB, which is not installed",
            remedy="Run: pip install 'provisioner[reports]'. The other formats need nothing.",
        ) from None


def _record_row(record: Record) -> dict[str, object]:
    names = [column.split()[0] for column in _RECORDS.split(", ")]
    row: dict[str, object] = {name: getattr(record, name) for name in names}
    row["at"] = record.at.isoformat(timespec="milliseconds")
    return row
