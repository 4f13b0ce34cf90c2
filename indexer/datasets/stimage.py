"""STimage-1K4M: pictures, spots and counts by technology; its table names slides, tissues and studies, no patients."""

import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexer.datasets import hub
from indexer.datasets.collection import Collection, Plan, Row, Selection, is_chosen, nothing_found, some
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

if TYPE_CHECKING:
    import httpx

REPO = "jiawennnn/STimage-1K4M"
_LICENCE = "research use; the authors state MIT for their code only"
_CITATION = (
    "Chen et al., STimage-1K4M: A histopathology image-gene expression dataset for spatial transcriptomics, "
    "NeurIPS 2024"
)
_TABLE = re.compile(r"meta/meta_all_gene(\d{8})?\.csv")
_FIELDS = {"ids": "slide", "organ": "tissue", "species": "species", "technology": "tech"}
_ENDS = {"gene_exp": "_count.csv", "coord": "_coord.csv", "image": ".png"}
_TECHNOLOGIES = {"Visium": "10x Visium", "VisiumHD": "10x Visium HD", "ST": "Spatial Transcriptomics"}
_NOTES = (
    "STimage-1K4M does not say its patients: slides of one study count as one patient, so that no split divides one.",
    "Its scale is told from the distance of spots of ST and Visium; for Visium HD fill the column mpp of slides.csv.",
)


def _plan(client: "httpx.Client", selection: Selection, settings: Settings) -> Plan:
    dataset = hub.open_dataset(client, settings, REPO, selection.revision)
    rows = _slides(dataset)
    chosen = [
        row for row in rows if all(is_chosen(row[column], getattr(selection, name)) for name, column in _FIELDS.items())
    ]
    chosen = sorted(chosen, key=lambda row: row["slide"])[: selection.limit]
    if not chosen:
        raise nothing_found(
            "stimage", selection, {name: [row[column] for row in rows] for name, column in _FIELDS.items()}
        )
    parts = selection.part or STIMAGE.usual
    technologies = sorted({row["tech"] for row in chosen})
    folders = {part: tuple(f"{technology}/{part}" for technology in technologies) for part in parts}
    wanted = {path for row in chosen for path in _paths(row, parts)}
    files = [file for _, file in hub.chosen_files(dataset, STIMAGE, parts, folders) if file.expected.path in wanted]
    lost = wanted - {file.expected.path for file in files}
    files = [file for file in files if is_chosen(file.expected.path, selection.pattern)]
    if selection.complete:
        chosen = [row for row in chosen if not any(path in lost for path in _paths(row, parts))]
        kept = {path for row in chosen for path in _paths(row, parts)}
        files = [file for file in files if file.expected.path in kept]
    notes = (f"Not in the data set, though its table names them: {some(lost)}.",) if lost else ()
    licence = dataset.licence or _LICENCE
    return Plan(
        STIMAGE,
        dataset.sha,
        licence,
        tuple(files),
        slides=tuple(_row(row, licence) for row in chosen),
        notes=(*notes, *_NOTES),
        headers=hub.token_header(settings),
        access=dataset.access,
    )


def _paths(row: dict[str, str], parts: Sequence[str]) -> list[str]:
    return [f"{row['tech']}/{part}/{row['slide']}{_ENDS[part]}" for part in parts]


def _slides(dataset: hub.HubDataset) -> list[dict[str, str]]:
    """Rows of the newest table of slides; its name carries month, day and year."""
    tables = {
        (day[4:] + day[:4] if (day := found.group(1)) else ""): file
        for file in dataset.files("meta")
        if (found := _TABLE.fullmatch(file.expected.path))
    }
    if not tables:
        raise FetchError(f"{REPO} has no table meta/meta_all_gene*.csv at {dataset.sha[:12]}; choose another revision.")
    newest = tables[max(tables)]
    rows = list(csv.DictReader(io.StringIO(dataset.text(newest))))
    missing = [column for column in (*_FIELDS.values(), "pmid") if not rows or column not in rows[0]]
    if missing:
        raise FetchError(f"{newest.url} has no column {', '.join(missing)}; expected STimage's table of slides.")
    return [
        {key: (row.get(key) or "").strip() for key in (*_FIELDS.values(), "pmid", "involve_cancer")} for row in rows
    ]


def _row(row: dict[str, str], licence: str) -> Row:
    study = f"PMID {row['pmid'].replace(',', ', ')}" if row["pmid"] else row["slide"]
    return {
        "slide": row["slide"],
        "patient_id": study,
        "mpp": "",
        "organ": row["tissue"].lower() or "unknown",
        "diagnosis": {"true": "cancer", "false": "no cancer"}.get(row["involve_cancer"].lower(), "unknown"),
        "cohort": study,
        "technology": _TECHNOLOGIES.get(row["tech"], row["tech"]),
        "species": row["species"].lower() or "unknown",
        "licence": licence,
        "citation": f"{study}; {_CITATION}",
    }


def _explain(error: RefusedError, settings: Settings) -> str:
    return hub.explain(error, settings, REPO, _LICENCE)


STIMAGE = Collection(
    name="stimage",
    title="STimage-1K4M: 1,149 slides, 4 million spots",
    licence=_LICENCE,
    citation=_CITATION,
    page=f"https://huggingface.co/datasets/{REPO}",
    access="on the terms of its page; a token in HF_TOKEN where the hub wants one",
    size="1,149 slides with 4.3 million spots",
    route="Hugging Face hub, SHA-256",
    takes=frozenset(_FIELDS),
    parts={"gene_exp": "counts, a row a spot", "coord": "positions of spots", "image": "pictures"},
    usual=("gene_exp", "coord", "image"),
    ingest=("histoseek ingest {to} --format stimage --slides {to}/slides.csv --db INDEX",),
    plan=_plan,
    explain=_explain,
)
