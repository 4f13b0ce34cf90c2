"""What HEST-1k says of its samples, in `metadata/<id>.json` or in the table of a release, `HEST_v1_1_0.csv`."""

import csv
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from indexer.errors import ManifestError
from indexer.slides import SlideFacts

MPP = ("pixel_size_um_estimated", "pixel_size_um_embedded")  # the first is measured, the second often a default
_SPECIES = {"homo sapiens": "human", "mus musculus": "mouse"}
_TABLE = re.compile(r"HEST_v(\d+)_(\d+)_(\d+)\.csv")
_MISSING = {"", "nan", "none"}


def hest_metadata(root: Path, name: str) -> dict[str, Any]:
    """Facts of a sample as HEST has them, empty if it has none; its own file goes before the table.

    Raises `ManifestError` if a file cannot be read.
    """
    own = root / "metadata" / f"{name}.json"
    if not own.is_file():
        tables = [path for folder in (root, root / "metadata", root / "assets") for path in folder.glob("HEST_v*.csv")]
        newest = max((path for path in tables if _TABLE.fullmatch(path.name)), key=_version, default=None)
        return {} if newest is None else dict(_table(newest).get(name, {}))
    try:
        content = json.loads(own.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{own} is no JSON ({error}); get the sample's metadata again.") from error
    return content if isinstance(content, dict) else {}


def hest_facts(name: str, known: Mapping[str, Any]) -> SlideFacts:
    """Facts of a sample.

    HEST numbers patients anew in each study, so a patient is named with the study. A sample of no known patient is one
    of its own.
    """
    study, patient = _text(known, "dataset_title"), _text(known, "patient")
    mpp = next((found for found in (hest_number(known, key) for key in MPP) if found), None)
    species = _text(known, "species")
    return SlideFacts(
        slide=name,
        patient=f"{patient} of {study}" if patient and study else patient or name,
        cohort=study or "HEST-1k",
        organ=(_text(known, "organ") or "unknown").lower(),
        diagnosis=_text(known, "oncotree_code") or _text(known, "disease_state") or "unknown",
        technology=_text(known, "st_technology") or "unknown",
        species=_SPECIES.get(species.lower(), species or "unknown"),
        licence=_text(known, "license") or "CC-BY-NC-SA-4.0 (HEST-1k)",
        citation=_text(known, "study_link") or "HEST-1k, Jaume et al., NeurIPS 2024",
        mpp=mpp,
        mpp_source=None if mpp is None else "file",
    )


def hest_number(known: Mapping[str, Any], key: str) -> float | None:
    """A number above 0 of the metadata, `None` where there is none. Raises `ManifestError` for text."""
    text = _text(known, key)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ManifestError(f"HEST metadata: {key} is {text!r}; expected a number.") from error
    return value if 0 < value < float("inf") else None


def _text(known: Mapping[str, Any], key: str) -> str:
    text = str(known.get(key) if known.get(key) is not None else "").strip()
    return "" if text.lower() in _MISSING else text


def _version(path: Path) -> tuple[int, ...]:
    found = _TABLE.fullmatch(path.name)
    return tuple(int(part) for part in found.groups()) if found else ()


@lru_cache(maxsize=4)
def _table(path: Path) -> dict[str, dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"Cannot read {path}: {error}; expected the table of a release of HEST.") from error
    if "id" not in (reader.fieldnames or ()):
        raise ManifestError(f"{path} has no column 'id'; expected the table of a release of HEST.")
    return {row["id"]: row for row in rows}
