"""`data_manifest.yaml`: which data sets exist, where each file lies, and what every slide is."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from indexer.datasets.yaml_file import UniqueKeys, first_problem
from indexer.errors import ManifestError
from indexer.slides import SlideFacts

#: Readers that exist (`indexer.sources`), and `reference` for files that are no slide: gene tables, signatures.
Format = Literal["her2st", "h5ad_cells", "openslide", "visium", "reference"]

Role = Literal[
    "image",
    "counts",
    "barcodes",
    "features",
    "spots",
    "scale_factors",
    "labels",
    "clusters",
    "cells",
    "gene_table",
    "orthologs",
    "proportions",
    "signatures",
    "supplement",
]
ROLES: tuple[Role, ...] = get_args(Role)

_MANIFEST = "data_manifest.yaml"

Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class DataFile(_Entry):
    """One file of a data set.

    Attributes
    ----------
    path : str
        Where the file lies below a mirror's root and below the cache.
    url : str or None
        Upstream address, absolute once loaded; `None` where upstream has no such file, with the reason in `note`.
    bytes : int
        Exact size.
    sha256 : str
        64 hexadecimal digits.
    note : str or None
        Anything to know about the file.
    """

    path: Text
    url: Text | None = None
    bytes: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    note: str | None = None

    @field_validator("path")
    @classmethod
    def _inside_the_mirror(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if path.startswith("/") or "\\" in path or ".." in parts:
            raise ValueError("expected a path relative to the mirror's root, without '..'")
        return path


class SlideEntry(_Entry):
    """One slide: its patient, its files by role, and what differs from its data set."""

    patient: Text
    files: dict[Role, str]
    organ: Text | None = None
    diagnosis: Text | None = None
    technology: Text | None = None
    species: Text | None = None
    licence: Text | None = None
    mpp: Positive | None = None


class Dataset(_Entry):
    """One data set; its name is its key in the manifest and the `cohort` of its slides.

    Attributes
    ----------
    format : str
        Which reader opens its slides.
    base_url : str or None
        Prefix of the relative `url`s of its files, at a fixed revision.
    upstream : str or None
        Page where people find the data.
    mpp : float or None
        Micrometres per pixel at level 0 where the files do not say; a slide may have its own.
    spot_um, pitch_um : float or None
        Diameter and centre-to-centre distance of the spots, in micrometres.
    label_column : str or None
        For cells: the column of `obs` that names the cell type.
    shared : dict of str to tuple of str
        Paths, by role, of files that belong to no single slide.
    """

    name: Text
    title: Text
    format: Format
    organ: Text
    diagnosis: Text = "unknown"
    technology: Text
    species: Text
    licence: Text
    citation: Text
    upstream: Text | None = None
    base_url: Text | None = None
    note: str | None = None
    mpp: Positive | None = None
    spot_um: Positive | None = None
    pitch_um: Positive | None = None
    label_column: Text | None = None
    shared: dict[Role, tuple[str, ...]] = Field(default_factory=dict)
    slides: dict[Text, SlideEntry] = Field(default_factory=dict)
    files: Annotated[tuple[DataFile, ...], Field(min_length=1)]

    @field_validator("files")
    @classmethod
    def _paths_differ(cls, files: tuple[DataFile, ...]) -> tuple[DataFile, ...]:
        seen: set[str] = set()
        for file in files:
            if file.path in seen:
                raise ValueError(f"path '{file.path}' is listed twice; expected each path once")
            seen.add(file.path)
        return files

    @model_validator(mode="after")
    def _resolve_urls(self) -> Self:
        resolved = tuple(file.model_copy(update={"url": self._absolute(file)}) for file in self.files)
        object.__setattr__(self, "files", resolved)  # the model is frozen; this is its construction
        return self

    def _absolute(self, file: DataFile) -> str | None:
        if file.url is None or file.url.startswith(("http://", "https://")):
            return file.url
        if self.base_url is None:
            raise ValueError(f"file '{file.path}' has the relative url '{file.url}'; expected http(s):// or a base_url")
        return f"{self.base_url.rstrip('/')}/{file.url}"

    def file(self, path: str) -> DataFile:
        """Entry of a file by its path. Raises `ManifestError` for an unknown one."""
        for file in self.files:
            if file.path == path:
                return file
        raise ManifestError(f"Data set '{self.name}' lists no file '{path}'; expected one of its {len(self.files)}.")

    def slide(self, name: str) -> SlideEntry:
        """Entry of a slide by its name. Raises `ManifestError`, which lists the known ones."""
        if name not in self.slides:
            known = ", ".join(self.slides) or "none"
            raise ManifestError(f"Data set '{self.name}' has no slide '{name}'; it has: {known}.")
        return self.slides[name]

    def paths(self, *, slides: Iterable[str] | None = None, roles: Iterable[Role] | None = None) -> tuple[str, ...]:
        """Paths of the files of some slides (default all) in some roles (default all), each once, in order."""
        wanted = ROLES if roles is None else tuple(roles)
        entries = [self.slide(name) for name in (self.slides if slides is None else slides)]
        return tuple(dict.fromkeys(entry.files[role] for entry in entries for role in wanted if role in entry.files))

    def facts(self, slide: str) -> SlideFacts:
        """Facts of a slide, the data set's where the slide has none of its own."""
        entry = self.slide(slide)
        mpp = entry.mpp or self.mpp
        return SlideFacts(
            slide=slide,
            patient=entry.patient,
            cohort=self.name,
            organ=entry.organ or self.organ,
            diagnosis=entry.diagnosis or self.diagnosis,
            technology=entry.technology or self.technology,
            species=entry.species or self.species,
            licence=entry.licence or self.licence,
            citation=self.citation,
            mpp=mpp,
            mpp_source="manifest" if mpp is not None else None,
        )


class Manifest(_Entry):
    """All data sets by name."""

    version: Literal[1]
    datasets: dict[Text, Dataset]

    def dataset(self, name: str) -> Dataset:
        """Data set by name. Raises `ManifestError`, which lists the known ones."""
        if name not in self.datasets:
            raise ManifestError(f"No data set '{name}' in the manifest; it has: {', '.join(self.datasets) or 'none'}.")
        return self.datasets[name]


def default_manifest() -> Path:
    """`data_manifest.yaml`: the one at the top of a checkout, in an installation the copy beside this module."""
    top = Path(__file__).resolve().parents[2] / _MANIFEST
    return top if top.is_file() else Path(__file__).with_name(_MANIFEST)


def load_manifest(path: Path | None = None) -> Manifest:
    """Read and check a manifest.

    Parameters
    ----------
    path : Path, optional
        Defaults to `default_manifest`.

    Raises
    ------
    ManifestError
        If the file is missing or says something wrong; the message names data set, slide and key.
    """
    path = default_manifest() if path is None else path
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"Cannot read the manifest {path}: {error.strerror}; expected a YAML file.") from error
    try:
        content = yaml.load(text, Loader=UniqueKeys)  # noqa: S506 - a SafeLoader that also refuses repeated keys
    except yaml.YAMLError as error:
        raise ManifestError(f"{path.name} is not YAML: {' '.join(str(error).split())}.") from error
    try:
        manifest = Manifest.model_validate(_with_names(content))
    except ValidationError as error:
        raise ManifestError(f"{path.name}, {first_problem(error)}") from error
    for dataset in manifest.datasets.values():
        _check_references(path.name, dataset)
    _check_slides_differ(path.name, manifest)
    return manifest


def _with_names(content: Any) -> Any:
    """Copy each data set's key into it; anything of another shape is left to the validation."""
    if not isinstance(content, Mapping) or not isinstance(content.get("datasets"), Mapping):
        return content
    named = {
        key: {"name": key, **entry} if isinstance(entry, Mapping) else entry
        for key, entry in content["datasets"].items()
    }
    return {**content, "datasets": named}


def _check_references(manifest: str, dataset: Dataset) -> None:
    """Raise `ManifestError` if a slide or a shared role names a file that is not listed."""
    listed = {file.path for file in dataset.files}
    named = [(f"slide '{name}', ", role, path) for name, s in dataset.slides.items() for role, path in s.files.items()]
    named += [("shared, ", role, path) for role, paths in dataset.shared.items() for path in paths]
    for place, role, path in named:
        if path not in listed:
            raise ManifestError(
                f"{manifest}, data set '{dataset.name}', {place}key '{role}': file '{path}' is not among the data "
                "set's files; add it there with bytes and sha256, or correct the path."
            )


def _check_slides_differ(manifest: str, content: Manifest) -> None:
    """Raise `ManifestError` if two data sets use one slide name, which must be unique in an index."""
    owner: dict[str, str] = {}
    for dataset in content.datasets.values():
        for slide in dataset.slides:
            if slide in owner:
                raise ManifestError(
                    f"{manifest}, data set '{dataset.name}', slide '{slide}': data set '{owner[slide]}' has a slide of "
                    "that name; expected names that differ in the whole manifest."
                )
            owner[slide] = dataset.name
