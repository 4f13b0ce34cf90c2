"""The GDC's search: conditions in, files out, page by page, each with its size, MD5, case and sample."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from indexer.datasets.collection import RemoteFile, Selection, checked_path
from indexer.datasets.digests import Expected
from indexer.datasets.web import ask_json
from indexer.errors import FetchError
from indexer.settings import Settings

if TYPE_CHECKING:
    import httpx

COUNTS = "counts"
_PAGE = 1_000
_FIELDS = (
    "file_id,file_name,file_size,md5sum,access,data_category,data_type,experimental_strategy,cases.submitter_id,"
    "cases.primary_site,cases.disease_type,cases.project.project_id,cases.project.name,cases.samples.submitter_id,"
    "cases.samples.sample_type"
)

#: What the GDC calls the files of a part.
PARTS: Mapping[str, Mapping[str, str]] = {
    COUNTS: {"data_type": "Gene Expression Quantification", "analysis.workflow_type": "STAR - Counts"},
    "diagnostic-slides": {"data_type": "Slide Image", "experimental_strategy": "Diagnostic Slide"},
    "tissue-slides": {"data_type": "Slide Image", "experimental_strategy": "Tissue Slide"},
}


@dataclass(frozen=True)
class Hit:
    """A file as the GDC describes it, with its first case and sample."""

    file: RemoteFile
    name: str
    part: str
    about: Mapping[str, Any]
    case: Mapping[str, Any]
    sample: Mapping[str, Any]

    @property
    def case_name(self) -> str:
        """The patient's name, as `TCGA-A2-A04R`; empty if the GDC gives none."""
        return str(self.case.get("submitter_id") or "")

    @property
    def normal(self) -> bool:
        """Whether the sample is normal tissue."""
        return "normal" in str(self.sample.get("sample_type", "")).lower()


def filters_of(program: str, part: str, selection: Selection) -> list[dict[str, Any]]:
    """Conditions of the GDC's search; ids are files, cases or samples."""
    wanted = [_in("cases.project.program.name", (program,))]
    wanted += [_in(name, (value,)) for name, value in PARTS[part].items()]
    if selection.project:
        wanted.append(_in("cases.project.project_id", tuple(one.upper() for one in selection.project)))
    if selection.organ:  # as the GDC writes them: "Breast", "Bronchus and lung"
        wanted.append(_in("cases.primary_site", tuple(one[:1].upper() + one[1:].lower() for one in selection.organ)))
    if selection.ids:
        fields = ("cases.submitter_id", "cases.samples.submitter_id", "file_id")
        wanted.append({"op": "or", "content": [_in(name, selection.ids) for name in fields]})
    return wanted


def _in(name: str, values: tuple[str, ...]) -> dict[str, Any]:
    return {"op": "in", "content": {"field": name, "value": list(values)}}


def open_files(client: "httpx.Client", settings: Settings, wanted: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Open files that match, as the GDC describes them, page by page. Raises `FetchError`."""
    start = 0
    while True:
        data = _page(client, settings, wanted, "open", start, _PAGE)
        yield from data["hits"]
        start += len(data["hits"])
        if not data["hits"] or start >= data["pagination"]["total"]:
            return


def count_controlled(client: "httpx.Client", settings: Settings, wanted: list[dict[str, Any]]) -> int:
    """How many files match that not everyone may have. Raises `FetchError`."""
    return int(_page(client, settings, wanted, "controlled", 0, 0)["pagination"]["total"])


def _page(
    client: "httpx.Client", settings: Settings, wanted: list[dict[str, Any]], access: str, start: int, size: int
) -> dict[str, Any]:
    body = {
        "filters": {"op": "and", "content": [*wanted, _in("access", (access,))]},
        "fields": _FIELDS,
        "format": "JSON",
        "sort": "file_id:asc",
        "from": start,
        "size": size,
    }
    answer = ask_json(client, f"{settings.gdc_url}/files", method="POST", body=body)
    data = answer.get("data") if isinstance(answer, dict) else None
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("hits"), list)
        or "total" not in data.get("pagination", {})
    ):
        raise FetchError(f"{settings.gdc_url}/files answered without hits and pagination; expected the GDC's search.")
    return data


def hit_of(one: dict[str, Any], part: str, settings: Settings) -> Hit:
    """A file as the GDC describes it, checked. Raises `FetchError`."""
    try:
        name, folder = str(one["file_name"]), "counts" if part == COUNTS else "slides"
        if "/" in name:
            checked_path(f"/{name}")
        expected = Expected(checked_path(f"{folder}/{name}"), int(one["file_size"]), f"md5:{one['md5sum'].lower()}")
        file = RemoteFile(expected, f"{settings.gdc_url}/data/{checked_path(str(one['file_id']))}")
        case = (one.get("cases") or [{}])[0]
        return Hit(file, name, part, one, case, (case.get("samples") or [{}])[0])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FetchError(
            f"The GDC describes a file without {error}; expected name, size, MD5 and id. Run again."
        ) from error
