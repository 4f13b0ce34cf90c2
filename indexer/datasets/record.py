"""What a fetched folder is: its record with a digest for each file, its licence, its tables of slides and samples."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

from indexer.datasets.collection import Plan, Row
from indexer.datasets.digests import Expected, FileState, check_file
from indexer.errors import FetchError
from indexer.settings import Settings

#: In a fetched folder: what it is, and what each of its files must be.
RECORD = "histoseek_collection.json"


def verify_folder(folder: Path, settings: Settings) -> list[FileState]:
    """State of every file of a fetched folder. Raises `FetchError` if the folder is none."""
    return [check_file(file, folder / file.path, settings.cache_dir) for file in recorded_files(folder)]


def recorded_files(folder: Path) -> list[Expected]:
    """What each file of a fetched folder must be. Raises `FetchError` if its record cannot be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return [Expected(str(one["path"]), one["bytes"], str(one["digest"])) for one in record["files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FetchError(
            f"{folder} has no readable {RECORD} ({error}); expected a folder that `histoseek data get` filled."
        ) from error


def recorded_revision(folder: Path, collection: str) -> str | None:
    """Revision that a folder was fetched at before; `None` for a new one.

    Raises `FetchError` if it holds another collection.
    """
    if not (folder / RECORD).is_file():
        return None
    recorded_files(folder)
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    if record.get("collection") != collection:
        raise FetchError(f"{folder} holds {record.get('collection')!r}, not {collection!r}; take another folder.")
    return str(record.get("revision")) if record.get("revision") else None


def inside(folder: Path, path: str) -> Path:
    """Where a file goes. Raises `FetchError` if a link on the way leads out of the folder."""
    target = folder / path
    if not target.resolve().is_relative_to(folder.resolve()):
        raise FetchError(f"{path} would be written outside {folder}, over a link; remove the link.")
    return target


def write_record(plan: Plan, folder: Path) -> None:
    """Write what the folder is: record, licence, tables of slides and samples, sheets of the collection's own."""
    about = plan.collection
    before = {file.path: file for file in recorded_files(folder)} if (folder / RECORD).is_file() else {}
    files = before | {file.expected.path: file.expected for file in plan.files}
    record = {
        "collection": about.name,
        "revision": plan.revision,
        "licence": plan.licence,
        "citation": about.citation,
        "page": about.page,
        "files": [{"path": one.path, "bytes": one.bytes, "digest": one.digest} for one in files.values()],
    }
    licence = (
        f"{about.title}\n\nLicence: {plan.licence}\nCite: {about.citation}\nPage: {about.page}\n"
        f"Revision: {plan.revision}\nAccess: {about.access}\n"
    )
    _write(folder / RECORD, json.dumps(record, indent=1))
    _write(folder / "LICENCE.txt", licence)
    for name, rows in (("slides.csv", plan.slides), ("samples.csv", plan.samples)):
        if rows:
            _write(folder / name, _table(rows, folder / name))
    for name, text in plan.sheets.items():
        _write(inside(folder, name), text)


def _table(rows: Sequence[Row], path: Path) -> str:
    """Rows as csv, after those of other slides that an earlier run left in the table."""
    merged: dict[str, Row] = {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as stream:
            merged = {row["slide"]: row for row in csv.DictReader(stream) if row.get("slide")}
    merged |= {row["slide"]: row for row in rows}
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(merged.values())
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
