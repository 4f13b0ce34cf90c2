"""HEST-1k: slides with spatial expression, one row of its table a sample, its files by folder and sample."""

import csv
import io
import re
from typing import TYPE_CHECKING

from indexer.datasets import hub
from indexer.datasets.collection import (
    Collection,
    Plan,
    RemoteFile,
    Row,
    Selection,
    complete_ones,
    is_chosen,
    nothing_found,
    some,
)
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

if TYPE_CHECKING:
    import httpx

REPO = "MahmoodLab/hest"
_LICENCE = "CC-BY-NC-SA-4.0"
_CITATION = "Jaume et al., HEST-1k: A Dataset for Spatial Transcriptomics and Histology Image Analysis, NeurIPS 2024"
_PARTS = {
    "wsis": "slides, pyramidal TIFF",
    "st": "counts and positions of spots, h5ad",
    "metadata": "what is known of a sample, json",
    "patches": "cut tiles, h5",
    "thumbnails": "small pictures",
    "tissue_seg": "outlines of tissue",
    "cellvit_seg": "outlines of nuclei",
    "spatial_plots": "pictures of spots on slides",
    "transcripts": "single transcripts of Xenium",
    "xenium_seg": "outlines of Xenium's cells",
}
_TABLE = re.compile(r"HEST_v(\d+)_(\d+)_(\d+)\.csv")
_SPECIES = {"homo sapiens": "human", "mus musculus": "mouse"}
_FIELDS = {
    "ids": "id",
    "organ": "organ",
    "species": "species",
    "technology": "st_technology",
    "diagnosis": "oncotree_code",
}


def _plan(client: "httpx.Client", selection: Selection, settings: Settings) -> Plan:
    dataset = hub.open_dataset(client, settings, REPO, selection.revision)
    rows = _samples(dataset)
    chosen = [row for row in rows if all(is_chosen(_value(row, name), getattr(selection, name)) for name in _FIELDS)]
    if not chosen:
        raise nothing_found("hest", selection, {name: [_value(row, name) for row in rows] for name in _FIELDS})
    parts = selection.part or HEST.usual
    listed = hub.chosen_files(dataset, HEST, parts, {part: (part,) for part in parts})
    if selection.complete:
        whole = complete_ones(((_sample(file), part) for part, file in listed), parts)
        chosen = [row for row in chosen if row["id"] in whole]
    chosen = sorted(chosen, key=lambda row: row["id"])[: selection.limit]
    names = {row["id"] for row in chosen}
    files = [(part, file) for part, file in listed if _sample(file) in names]
    files = [(part, file) for part, file in files if is_chosen(file.expected.path, selection.pattern)]
    have = {_sample(file) for _, file in files}
    notes = [f"No file of {some(names - have)} among the parts chosen."] if names - have else []
    lost = [one for one in selection.ids if not any(is_chosen(name, (one,)) for name in names)]
    if lost and selection.limit is None:
        notes.append(f"HEST-1k has no sample {some(lost)}.")
    return Plan(
        HEST,
        dataset.sha,
        dataset.licence or _LICENCE,
        tuple(file for _, file in files),
        slides=tuple(_slide(row, [file.expected.path for _, file in files]) for row in chosen),
        notes=tuple(notes),
        headers=hub.token_header(settings),
        access=dataset.access,
    )


def _samples(dataset: hub.HubDataset) -> list[dict[str, str]]:
    """Rows of the newest table of samples at the root of the data set."""
    tables = [
        (found.groups(), file)
        for file in dataset.files(recursive=False)
        if (found := _TABLE.fullmatch(file.expected.path))
    ]
    if not tables:
        raise FetchError(f"{REPO} has no table HEST_v*.csv at {dataset.sha[:12]}; choose another revision.")
    newest = max(tables, key=lambda one: tuple(map(int, one[0])))[1]
    rows = [
        {
            key: (value or "").strip()
            for key, value in row.items()
            if isinstance(key, str) and not isinstance(value, list)
        }
        for row in csv.DictReader(io.StringIO(dataset.text(newest)))
    ]
    if not rows or "id" not in rows[0]:
        raise FetchError(f"{newest.url} has no column 'id'; expected HEST's table of samples.")
    return [row for row in rows if row["id"]]


def _value(row: dict[str, str], name: str) -> str:
    """Value of a field of a selection; a species is known by both its names."""
    value = row.get(_FIELDS[name], "")
    if name == "diagnosis":
        return value or row.get("disease_state", "")
    return _SPECIES.get(value.lower(), value) if name == "species" else value


def _sample(file: RemoteFile) -> str:
    """Sample of a file: `TENX95` of `wsis/TENX95.tif` and of `cellvit_seg/TENX95_cellvit_seg.parquet`."""
    return re.split(r"[_.]", file.expected.path.rsplit("/", 1)[-1], maxsplit=1)[0]


def _slide(row: dict[str, str], paths: list[str]) -> Row:
    name, study = row["id"], row.get("dataset_title", "")
    mpp = row.get("pixel_size_um_estimated") or row.get("pixel_size_um_embedded") or ""
    image, counts = (
        next((path for path in paths if path.startswith(f"{folder}/{name}.")), "") for folder in ("wsis", "st")
    )
    return {
        "slide": name,
        # patients are numbered study by study
        "patient_id": " of ".join(filter(None, [row["patient"], study])) if row.get("patient") else name,
        "mpp": mpp,
        "organ": row.get("organ", "").lower() or "unknown",
        "diagnosis": row.get("oncotree_code") or row.get("disease_state") or "unknown",
        "cohort": study or "HEST-1k",
        "technology": row.get("st_technology") or "unknown",
        "species": _value(row, "species").lower() or "unknown",
        "licence": f"{_LICENCE} (HEST-1k)" + (f"; source: {row['license']}" if row.get("license") else ""),
        "citation": "; ".join(filter(None, [row.get("study_link"), "HEST-1k, Jaume et al., NeurIPS 2024"])),
        "image": image,
        "counts": counts,
    }


def _explain(error: RefusedError, settings: Settings) -> str:
    return hub.explain(error, settings, REPO, _LICENCE)


HEST = Collection(
    name="hest",
    title="HEST-1k: 1,200 slides with spatial transcriptomics",
    licence=_LICENCE,
    citation=_CITATION,
    page=f"https://huggingface.co/datasets/{REPO}",
    access="gated: accept the terms on its page, then a token in HF_TOKEN",
    size="about 1.9 TB",
    route="Hugging Face hub, SHA-256",
    takes=frozenset(_FIELDS),
    parts=_PARTS,
    usual=("wsis", "st", "metadata"),
    ingest=("histoseek ingest {to} --format hest --slides {to}/slides.csv --db INDEX",),
    plan=_plan,
    explain=_explain,
)
