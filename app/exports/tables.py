"""Hits as tables (CSV, Parquet, JSON, h5ad by the conventions of scverse), and the question behind them."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.exports.asked_hits import AskedHits
from app.exports.saved_queries import SavedQuery
from encoders.contracts import Modality, Vectors
from search.catalogue import Rows
from search.engine import Engine
from search.item_rows import vectors_of

if TYPE_CHECKING:
    import pandas as pd


def write_csv(hits: AskedHits, path: Path) -> None:
    """Write a row a hit, every column of `HITS_SCHEMA`."""
    hits.result.to_pandas().to_csv(path, index=False)


def write_parquet(hits: AskedHits, path: Path) -> None:
    """Write the hits with their types; what was asked, notes and licences stand in the file's metadata `histoseek`."""
    table: pa.Table = hits.result.table
    metadata = {**(table.schema.metadata or {}), b"histoseek": json.dumps(_origin(hits)).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def write_json(hits: AskedHits, path: Path) -> None:
    """Write what `--json` prints."""
    path.write_text(json.dumps(hits.result.to_dict(), ensure_ascii=False, indent=2), encoding="utf-8")


def write_yaml(hits: AskedHits, path: Path) -> None:
    """Write the question, to be asked again by `histoseek run`."""
    saved = SavedQuery.of("search", hits.query, hits.result.query, hits.engine)
    path.write_text(saved.to_yaml(), encoding="utf-8")


def write_h5ad(hits: AskedHits, path: Path) -> None:
    """Write the hits with their counts over the panel of the index.

    `X` and `layers['counts']` hold counts (sparse), `obs` the columns of the hits, `obsm['spatial']` the centres in
    level-0 pixels `(x, y)`, `obsm['X_<space>_<modality>']` the vectors compared, `var['gene_id']` Ensembl ids and
    `uns['histoseek']` what was asked and under which licences.
    """
    import anndata as ad
    import pandas as pd

    frame = hits.result.to_pandas().set_index("id", drop=False).rename_axis(None)
    index, catalogue = hits.engine.index, hits.engine.catalogue
    rows = catalogue.rows_of(frame["id"].tolist())
    counts = index.expression(rows)
    ids = [name or "" for name in index.ensembl_ids]
    var = pd.DataFrame({"gene_name": index.genes, "gene_id": ids}, index=pd.Index(index.genes))
    made = ad.AnnData(X=counts, obs=_written(frame), var=var)
    made.layers["counts"] = counts.copy()
    made.obsm["spatial"] = frame[["x_px", "y_px"]].to_numpy(dtype=np.float64)
    made.obs["library_id"] = frame["slide"].astype("category")
    for modality in dict.fromkeys(frame["modality"]):
        made.obsm[f"X_{hits.engine.space.card.name}_{modality}"] = _vectors(hits.engine, rows, modality)
    made.uns["histoseek"] = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in _origin(hits).items()
    }
    made.write_h5ad(path, compression="gzip")


def _written(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Columns of text with nothing missing: h5ad keeps no text that is not there."""
    texts = frame.select_dtypes(include="object").columns
    return frame.assign(**{name: frame[name].fillna("").astype(str) for name in texts})


def _vectors(engine: Engine, rows: Rows, modality: Modality) -> Vectors:
    """Vectors of rows, NaN for those that have none of that modality."""
    held = engine.catalogue.has(modality)[rows]
    made = np.full((len(rows), engine.space.card.dim), np.nan, dtype=np.float32)
    made[held] = vectors_of(engine.catalogue, rows[held], modality)
    return made


def _origin(hits: AskedHits) -> dict[str, Any]:
    card = hits.engine.space.card
    return {
        "query": hits.result.query,
        "notes": list(hits.result.notes),
        "provenance": hits.provenance,
        "space": f"{card.name} {card.revision}",
        "histoseek": version("histoseek"),
    }
