"""Writing a sidecar: vectors go from the table, or as they were kept aside, to the disk, and are mapped from there."""

import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from encoders.contracts import Modality, Vectors
from indexer.errors import WriteError
from indexer.vectors.ann import AnnIndex, faiss_version, files_of
from indexer.vectors.columns import COLUMNS_FILE, ROW_IDS_FILE, ItemColumns, RowIds
from indexer.vectors.evidence import measure
from indexer.vectors.knobs import TUNING_FILE, last_tuning
from indexer.vectors.sidecar_card import (
    CARD_FILE,
    ROWS_FILE,
    SIDECAR_FORMAT,
    VECTORS_FILE,
    SidecarCard,
    VectorTable,
)
from indexer.vectors.spill import mapped, write_head

_SORTED_ROWS = 16_384


def write_sidecar(folder: Path, modality: Modality, table: VectorTable) -> tuple[Path, SidecarCard]:
    """Derive the sidecar of the table's rows and put it in place in one step; raises `WriteError`."""
    digest = table.digest
    path = folder / "sidecar" / modality / digest[:16]
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    items, row_ids = table.items(None)
    try:
        part.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(1) as pool:
            saved = pool.submit(_put_columns, part, items, row_ids)
            rows, vectors = _put_vectors(part, table, modality, items, row_ids)
            np.save(part / ROWS_FILE, rows)
            ann = AnnIndex.build(vectors)
            ann.save(part)
            saved.result()
        names = (VECTORS_FILE, ROWS_FILE, COLUMNS_FILE, ROW_IDS_FILE, *files_of(ann.kind))
        card = SidecarCard(
            format=SIDECAR_FORMAT,
            modality=modality,
            items_version=table.version,
            manifest=table.manifest,
            identity=table.identity(),
            n_items=len(row_ids),
            n_vectors=len(rows),
            dim=vectors.shape[1],
            digest=digest,
            space_revision=table.space_revision,
            kind=ann.kind,
            evidence=None if ann.kind == "flat" else measure(vectors, ann),
            faiss_version=faiss_version(),
            file_bytes={name: (part / name).stat().st_size for name in names if (part / name).exists()},
            fragments=tuple(sorted(table.fragments())),
        )
        (part / CARD_FILE).write_text(card.model_dump_json(indent=1))
        tuning = last_tuning(path.parent) if card.evidence is not None else None
        if tuning is not None:  # what was set goes on being used, until `index tune` measures again
            (part / TUNING_FILE).write_text(tuning.model_dump_json(indent=1))
        if path.exists():  # one that was refused
            shutil.rmtree(path)
        part.rename(path)
    except (OSError, RuntimeError) as error:  # FAISS reports a failed write as RuntimeError
        shutil.rmtree(part, ignore_errors=True)
        raise WriteError(
            f"The vector sidecar {path} could not be written: {error}. The rows themselves are committed; free some "
            "space or mend the permissions and open the index again."
        ) from error
    return path, card


def _put_columns(part: Path, items: pa.Table, row_ids: RowIds) -> None:
    ItemColumns.of_table(items, row_ids).save(part)


def _put_vectors(
    part: Path, table: VectorTable, modality: Modality, items: pa.Table, row_ids: RowIds
) -> tuple[npt.NDArray[np.int64], Vectors]:
    """Write the vectors of a modality; gives the item of each, and the vectors as they are mapped from the file."""
    file = part / VECTORS_FILE
    places = None if table.spill is None else table.spill.take(modality, items.column("id"), file)
    if places is not None:
        return places, mapped(file, len(places))
    ids = _stream_to(file, table.vectors(modality, None), table.dim)
    vectors = mapped(file, len(ids))
    if len(ids) and not (ids[1:] > ids[:-1]).all():  # Lance scans in order as a rule
        order = np.argsort(ids)
        ids = ids[order]
        scanned = file.rename(part / "scanned.npy")
        steps = range(0, len(order), _SORTED_ROWS)
        sorted_ids = (
            (vectors[order[start : start + _SORTED_ROWS]], ids[start : start + _SORTED_ROWS]) for start in steps
        )
        _stream_to(file, sorted_ids, table.dim)
        scanned.unlink()
        vectors = mapped(file, len(ids))
    return np.searchsorted(row_ids, ids), vectors


def _stream_to(file: Path, batches: Iterable[tuple[Vectors, RowIds]], dim: int) -> RowIds:
    """Write batches into one NumPy file behind each other; gives the row ids of all."""
    ids = [np.empty(0, np.uint64)]
    with file.open("wb") as sink:
        write_head(sink, 0, dim)
        for vectors, its in batches:
            sink.write(np.ascontiguousarray(vectors, dtype=np.float32).data)
            ids.append(its)
        n = sum(map(len, ids))
        sink.seek(0)
        write_head(sink, n, dim)
    return np.concatenate(ids)
