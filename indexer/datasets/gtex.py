"""GTEx: read counts by tissue from its public storage, slides by its portal's list, samples by its portal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from indexer.datasets.collection import (
    Collection,
    Plan,
    RemoteFile,
    Row,
    Selection,
    checked_path,
    is_chosen,
    nothing_found,
)
from indexer.datasets.digests import Expected
from indexer.datasets.storage import stored_file
from indexer.datasets.web import ask_json
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

if TYPE_CHECKING:
    import httpx

#: Releases whose files by tissue have known names, the newest last.
_FILES = {
    "v8": "bulk-gex/v8/rna-seq/counts-by-tissue/gene_reads_2017-06-05_v8_{tissue}.gct.gz",
    "v10": "bulk-gex/v10/rna-seq/counts-by-tissue/gene_reads_v10_{tissue}.gct.gz",
}
_PAGE = 1_000
_MOST_PAGES = 1_000
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CITATION = (
    "GTEx Consortium, The GTEx Consortium atlas of genetic regulatory effects across human tissues, Science 2020"
)


def _plan(client: "httpx.Client", selection: Selection, settings: Settings) -> Plan:
    version = (selection.revision or max(_FILES, key=lambda one: int(one[1:]))).lower()
    if version not in _FILES:
        raise FetchError(f"GTEx {version!r} is not known; expected one of {', '.join(_FILES)}.")
    if selection.complete:
        raise FetchError("GTEx's counts are of all samples of a tissue: choose by tissue, and slides by ids of donors.")
    asked = {"datasetId": f"gtex_{version}"}
    tissues = list(_pages(client, settings, "dataset/tissueSiteDetail", asked))
    chosen = [one for one in tissues if _is_tissue(one, selection)]
    if not chosen:
        known = {"tissue": [one["tissueSiteDetailId"] for one in tissues], "organ": [_organ(one) for one in tissues]}
        raise nothing_found("gtex", selection, known)
    parts = selection.part or GTEX.usual
    files: list[RemoteFile] = []
    samples: list[Row] = []
    if "counts" in parts:
        files += [_counts(client, settings, version, one) for one in chosen]
        samples += [row for one in chosen for row in _samples(client, settings, asked, one)]
    slides = _slides(client, settings, chosen, selection) if "slides" in parts else []
    files += [RemoteFile(Expected(row["image"]), f"{settings.gtex_slides_url}/{row['slide']}", _TIFF) for row in slides]
    files = [file for file in files if is_chosen(file.expected.path, selection.pattern)]
    notes = [f"{len(slides):,} slides whose server states neither size nor digest."] if slides else []
    if selection.ids and "counts" in parts:
        notes.append("Counts come by tissue, so all samples of a tissue are in its file; ids choose slides.")
    return Plan(
        GTEX, version, GTEX.licence, tuple(files), slides=tuple(slides), samples=tuple(samples), notes=tuple(notes)
    )


def _is_tissue(one: dict[str, Any], selection: Selection) -> bool:
    names = (one["tissueSiteDetailId"], one["tissueSiteDetail"])
    by_tissue = any(is_chosen(name, selection.tissue) for name in names)
    return by_tissue and is_chosen(_organ(one), selection.organ)


def _organ(one: dict[str, Any]) -> str:
    """`adipose tissue` of the tissue's group, else the first part of its name."""
    return str(one.get("tissueSite") or one["tissueSiteDetail"].partition(" - ")[0]).lower()


def _counts(client: "httpx.Client", settings: Settings, version: str, one: dict[str, Any]) -> RemoteFile:
    """Counts of a tissue, with the size and MD5 that the storage states."""
    tissue = str(one["tissueSiteDetailId"]).lower()
    url = f"{settings.gtex_files_url}/{_FILES[version].format(tissue=checked_path(tissue))}"
    path = f"counts/{url.rsplit('/', 1)[-1]}"
    return stored_file(client, url, path, begins=(b"\x1f\x8b",))


def _samples(client: "httpx.Client", settings: Settings, asked: dict[str, str], one: dict[str, Any]) -> Iterator[Row]:
    """Lines for the samples of a tissue's counts; the portal lists aliquots of genotyping too."""
    params = {**asked, "tissueSiteDetailId": str(one["tissueSiteDetailId"])}
    for sample in _pages(client, settings, "dataset/sample", params):
        if sample.get("dataType") == "RNASEQ":
            yield _row(str(sample["sampleId"]), str(sample["subjectId"]), _organ(one), "bulk RNA-seq")


def _slides(
    client: "httpx.Client", settings: Settings, tissues: list[dict[str, Any]], selection: Selection
) -> list[Row]:
    """Lines for the slides of some tissues, from the portal's list of all."""
    organs = {one["tissueSiteDetail"]: _organ(one) for one in tissues}
    found = []
    for one in _pages(client, settings, "histology/image", {}):
        name = str(one["histologyImageId"])
        is_wanted = is_chosen(name, selection.ids) or is_chosen(str(one["subjectId"]), selection.ids)
        if one["tissueSiteDetail"] in organs and is_wanted and not one.get("hide"):
            row = _row(name, str(one["subjectId"]), organs[one["tissueSiteDetail"]], "histology")
            found.append({**row, "image": checked_path(f"slides/{name}.svs")})
    found = sorted(found, key=lambda row: row["slide"])[: selection.limit]
    if not found:
        raise FetchError("GTEx has no slide of that choice; ids are such as GTEX-1117F-0126, or a donor, GTEX-1117F.")
    return list(found)


def _row(name: str, donor: str, organ: str, technology: str) -> dict[str, str]:
    return {
        "slide": name,
        "patient_id": donor,
        "mpp": "",
        "organ": organ,
        "diagnosis": "non-diseased donor",
        "cohort": "GTEx",
        "technology": technology,
        "species": "human",
        "licence": GTEX.licence,
        "citation": _CITATION,
        "image": "",
        "counts": "",
    }


def _pages(client: "httpx.Client", settings: Settings, what: str, params: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Rows of a list of the portal, page by page."""
    url = f"{settings.gtex_url}/api/v2/{what}"
    for page in range(_MOST_PAGES):
        answer = ask_json(client, url, params={**params, "page": page, "itemsPerPage": _PAGE})
        try:
            rows, n_pages = list(answer["data"]), int(answer["paging_info"]["numberOfPages"])
        except (KeyError, TypeError, ValueError) as error:
            raise FetchError(f"{url} answered without {error}; expected a list of the GTEx portal.") from error
        yield from rows
        if page + 1 >= n_pages:
            return


def _explain(error: RefusedError, settings: Settings) -> str:
    if error.status == 404:
        return f"That release has no file of this tissue; see {settings.gtex_url}/home/downloads/adult-gtex."
    return f"See {settings.gtex_url}; genotypes and reads are controlled (dbGaP phs000424), counts and slides are open."


GTEX = Collection(
    name="gtex",
    title="GTEx: RNA-seq of 54 normal tissues, and slides of the same donors",
    licence="GTEx open access; no restriction on use, cite GTEx and dbGaP phs000424",
    citation=_CITATION,
    page="https://gtexportal.org/home/downloads/adult-gtex",
    access="open; genotypes and reads are controlled (dbGaP phs000424)",
    size="54 files of counts, 25,713 slides",
    route="Google Cloud Storage, MD5; slides by the portal's list, without digest",
    takes=frozenset({"tissue", "organ", "ids"}),
    parts={"counts": "gene read counts by tissue, GCT", "slides": "slides, svs"},
    usual=("counts",),
    ingest=(
        "histoseek ingest {to}/counts --format gct --slides {to}/samples.csv --db INDEX",
        "histoseek ingest --slides {to}/slides.csv --db INDEX",
    ),
    plan=_plan,
    explain=_explain,
)
