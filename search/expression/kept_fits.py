"""Fitted weightings in the cache folder, one small file for each index, commit, side and patient left out."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from encoders.contracts import Modality
from indexer.index import Index
from search.expression.temperature import NEIGHBOURS_TRIED, TEMPERATURES, Fit


def recalled(index: Index, modality: Modality, without: tuple[str, ...]) -> Fit | None:
    """The fit that was kept for this state of the index, if there is a whole one."""
    try:
        text = _file_of(index, modality, without).read_text(encoding="utf-8")
        return Fit(**json.loads(text))
    except (FileNotFoundError, ValueError, TypeError):  # none, or not one of this version: it is fitted again
        return None


def kept(index: Index, fit: Fit, without: tuple[str, ...]) -> None:
    """Keep a fit, whole or not at all; where the cache cannot be written, the next process fits again."""
    file = _file_of(index, fit.modality, without)
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(asdict(fit)), encoding="utf-8")
        part.replace(file)
    except OSError:
        return


def _file_of(index: Index, modality: Modality, without: tuple[str, ...]) -> Path:
    card = index.card
    stated = (
        str(index.location),
        card.digest(),
        str(card.version),
        card.committed_at,
        json.dumps(card.table_versions, sort_keys=True),
        modality,
        repr(tuple(sorted(without))),
        repr((TEMPERATURES, NEIGHBOURS_TRIED)),
    )
    name = hashlib.sha256("\n".join(stated).encode()).hexdigest()[:32]
    from indexer.settings import Settings  # takes 25 ms, which a search does without

    return Settings().cache_dir / "predictions" / f"{name}.json"
