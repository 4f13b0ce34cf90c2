"""TCGA from the GDC: slides and STAR counts that are open, found by its search, each with its MD5."""

import csv
import hashlib
import io
from typing import TYPE_CHECKING

from indexer.datasets.collection import Collection, Plan, Row, Selection, complete_ones, is_chosen, some
from indexer.datasets.gdc_search import COUNTS, Hit, count_controlled, filters_of, hit_of, open_files
from indexer.datasets.web import ask_json
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

if TYPE_CHECKING:
    import httpx

TAKES = frozenset({"ids", "organ", "project"})
_SHEET = ("File ID", "File Name", "Data Category", "Data Type", "Project ID", "Case ID", "Sample ID", "Sample Type")
_CONTROLLED = (
    "HistoSeek fetches open files only; for controlled ones ask for the study on dbGaP "
    "(https://gdc.cancer.gov/access-data), then take the GDC's own gdc-client and your token."
)


def plan_of(
    collection: Collection, program: str, client: "httpx.Client", selection: Selection, settings: Settings
) -> Plan:
    """Files of a program of the GDC. Raises `FetchError`."""
    release = ask_json(client, f"{settings.gdc_url}/status").get("data_release", "unknown")
    if selection.revision not in {None, release}:
        raise FetchError(
            f"The GDC is at {release!r}; it serves no earlier release, and {selection.revision!r} was asked."
        )
    hits, closed = [], 0
    for part in selection.part or collection.usual:
        wanted = filters_of(program, part, selection)
        hits += [hit_of(one, part, settings) for one in open_files(client, settings, wanted)]
        closed += count_controlled(client, settings, wanted)
    hits = [hit for hit in hits if is_chosen(hit.file.expected.path, selection.pattern)]
    hits = sorted(hits, key=lambda hit: (hit.case_name, hit.name))
    if selection.complete:
        parts = selection.part or collection.usual
        whole = complete_ones(((hit.case_name, hit.part) for hit in hits), parts)
        hits = [hit for hit in hits if hit.case_name in whole]
    if selection.limit is not None:
        cases = list(dict.fromkeys(hit.case_name for hit in hits))[: selection.limit]
        hits = [hit for hit in hits if hit.case_name in cases]
    notes = [f"Not counted: {closed:,} files that are controlled. {_CONTROLLED}"] if closed else []
    if not hits:
        raise FetchError(
            f"The GDC has no open file of {collection.name} for that choice. " + " ".join([*notes, _advice(selection)])
        )
    lost = [one for one in selection.ids if not any(_is_of(hit, one) for hit in hits)]
    if lost and selection.limit is None:
        notes.append(f"Nothing open of {some(lost)}.")
    counted = sorted((hit for hit in hits if hit.part == COUNTS), key=lambda hit: hit.name)
    return Plan(
        collection,
        str(release),
        collection.licence,
        tuple(hit.file for hit in hits),
        slides=tuple(_row(hit, hit.name.rsplit(".", 1)[0], collection) for hit in hits if hit.part != COUNTS),
        samples=tuple(_row(hit, name, collection) for name, hit in _sample_names(counted).items()),
        sheets=_sheet(counted) | _manifest(hits),
        notes=tuple(notes),
    )


def explain(error: RefusedError, settings: Settings) -> str:
    """What to do about a refusal of the GDC."""
    if error.status in {401, 403}:
        return _CONTROLLED
    return f"See {settings.gdc_url}/status and https://portal.gdc.cancer.gov; run again later."


def _is_of(hit: Hit, one: str) -> bool:
    samples = [sample.get("submitter_id") for sample in hit.case.get("samples") or ()]
    return one in {hit.about.get("file_id"), hit.case.get("submitter_id"), *samples}


def _sample_names(hits: list[Hit]) -> dict[str, Hit]:
    """Samples by the name that the format `gdc-star` gives them, in order of their files."""
    named: dict[str, Hit] = {}
    for hit in hits:
        name = str(hit.sample.get("submitter_id") or hit.name)
        named[f"{name}_{hit.name[:8]}" if name in named else name] = hit
    return named


def _sheet(hits: list[Hit]) -> dict[str, str]:
    """Sample sheet as the portal's cart gives it; its name is of the files it lists."""
    if not hits:
        return {}
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(_SHEET)
    for hit in hits:
        said = (hit.about.get("data_category"), hit.about.get("data_type"), _project(hit), hit.case.get("submitter_id"))
        sample = (hit.sample.get("submitter_id"), hit.sample.get("sample_type"))
        writer.writerow([hit.about["file_id"], hit.name, *(value or "" for value in (*said, *sample))])
    digest = hashlib.sha256(text.getvalue().encode()).hexdigest()[:8]
    return {f"gdc_sample_sheet.{digest}.tsv": text.getvalue()}


def _manifest(hits: list[Hit]) -> dict[str, str]:
    """Manifest of the files for the GDC's own gdc-client, which some prefer for terabytes."""
    lines = ["id\tfilename\tmd5\tsize\tstate"]
    for hit in hits:
        expected = hit.file.expected
        lines.append(
            f"{hit.about['file_id']}\t{hit.name}\t{expected.digest.partition(':')[2]}\t{expected.bytes}\treleased"
        )
    text = "\n".join(lines) + "\n"
    return {f"gdc_manifest.{hashlib.sha256(text.encode()).hexdigest()[:8]}.txt": text}


def _project(hit: Hit) -> str:
    return str((hit.case.get("project") or {}).get("project_id", ""))


def _row(hit: Hit, name: str, collection: Collection) -> Row:
    project = hit.case.get("project") or {}
    diagnosis = "normal" if hit.normal else str(project.get("name") or hit.case.get("disease_type") or "unknown")
    is_slide = hit.part != COUNTS
    return {
        "slide": name,
        "patient_id": str(hit.case.get("submitter_id") or name),
        "mpp": "",
        "organ": str(hit.case.get("primary_site") or "unknown").lower(),
        "diagnosis": diagnosis,
        "cohort": str(project.get("project_id") or collection.name),
        "technology": str(hit.about.get("experimental_strategy") or "histology") if is_slide else "bulk RNA-seq",
        "species": "human",
        "licence": collection.licence,
        "citation": collection.citation,
        "image": hit.file.expected.path if is_slide else "",
        "counts": "",
    }


def _advice(selection: Selection) -> str:
    if selection.organ:
        return "Organs are the GDC's primary sites, such as Breast or 'Bronchus and lung'."
    return "Check the project (TCGA-BRCA) and the ids (TCGA-A2-A04R, TCGA-A2-A04R-01A, or ids of files)."


def _plan(client: "httpx.Client", selection: Selection, settings: Settings) -> Plan:
    return plan_of(TCGA, "TCGA", client, selection, settings)


TCGA = Collection(
    name="tcga",
    title="The Cancer Genome Atlas: slides and RNA-seq of 33 cancers",
    licence="open access at the GDC, NIH Genomic Data Sharing policy; no attempt to identify participants",
    citation="The results are based upon data generated by the TCGA Research Network: https://www.cancer.gov/tcga",
    page="https://portal.gdc.cancer.gov",
    access="open; raw reads and genotypes are controlled",
    size="11,000 FFPE slides, often over 1 GB each, and counts of a few MB a sample",
    route="GDC API, MD5",
    takes=TAKES,
    parts={
        COUNTS: "STAR gene counts, a file a sample",
        "diagnostic-slides": "FFPE slides, svs",
        "tissue-slides": "frozen slides, svs",
    },
    usual=(COUNTS,),
    ingest=(
        "histoseek ingest {to} --format gdc-star --slides {to}/samples.csv --db INDEX",
        "histoseek ingest --slides {to}/slides.csv --db INDEX",
    ),
    plan=_plan,
    explain=explain,
    keeps_revision=False,
)
