"""What an evaluation reads of an index: paired spots of each section, labelled items, and who was trained on."""

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.contracts import Modality
from encoders.sections import ExpressionSection, PairedSection
from search.catalogue import Catalogue, Mask, Rows
from search.errors import ItemMissingError, QueryError
from search.item_rows import is_item, vectors_of
from search.profiles import has_counts
from search.quality.retrieval_quality import PairedVectors

#: Labels that name no region or type, so nothing is to be found by them.
NO_LABEL = ("undetermined", "unknown", "unlabelled", "nan", "")
#: Side of stored pictures as the colour baseline reads them.
COLOUR_PX = 64


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which slides are asked about.

    Attributes
    ----------
    asked : frozenset of str
        Slides whose items are the queries.
    trained : frozenset of str
        Patients of the index that the space was trained on.
    refused : tuple of str
        Slides left out because their patients were trained on.
    """

    asked: frozenset[str]
    trained: frozenset[str]
    refused: tuple[str, ...]


def choose_slides(
    catalogue: Catalogue, trained_on: Collection[str], *, slides: Sequence[str] | None, include_trained: bool
) -> Chosen:
    """Settle which slides may be asked about: those named, or all; no patient of the training unless wanted.

    Raises
    ------
    ItemMissingError
        If a named slide is not in the index.
    QueryError
        If no slide is left.
    """
    patients = {str(s): str(p) for s, p in zip(catalogue.column("slide"), catalogue.column("patient"), strict=True)}
    unknown = [slide for slide in slides or () if slide not in patients]
    if unknown:
        raise ItemMissingError(
            f"No slide {unknown[0]!r} in this index; it has {', '.join(list(patients)[:8])}"
            f"{' and others' if len(patients) > 8 else ''}. See `histoseek index stats`."
        )
    wanted = list(dict.fromkeys(slides)) if slides else list(patients)
    trained = frozenset(patients.values()) & frozenset(trained_on)
    refused = () if include_trained else tuple(slide for slide in wanted if patients[slide] in trained)
    asked = frozenset(wanted) - frozenset(refused)
    if not asked:
        named = ", ".join(sorted({patients[slide] for slide in refused}))
        raise QueryError(
            f"The space was trained on every patient asked about ({named or 'none'}), so figures would flatter it. Ask "
            "about another patient, or pass --include-trained, which marks those rows."
        )
    return Chosen(asked, trained, refused)


def labelled(catalogue: Catalogue, modality: Modality) -> Mask:
    """Items of the commonest labelled kind that bear a label and a vector of that modality, bool `(n_items,)`."""
    labels = catalogue.column("label")
    named = np.array([label is not None and str(label).lower() not in NO_LABEL for label in labels], dtype=np.bool_)
    usable = named & catalogue.has(modality) & is_item(catalogue)
    if modality == "expression":
        usable &= has_counts(catalogue)
    if not usable.any():
        return usable
    kinds, counts = np.unique(catalogue.column("kind")[usable].astype(str), return_counts=True)
    return np.asarray(usable & (catalogue.column("kind") == kinds[counts.argmax()]))


def pairs_of(catalogue: Catalogue, slide: str, rows: Rows, trained: Collection[str]) -> PairedVectors:
    """Both vectors and the positions of the paired spots of one section."""
    patient = str(catalogue.column("patient")[rows[0]])
    xy = np.column_stack([catalogue.column("x_px")[rows], catalogue.column("y_px")[rows]]).astype(np.float64)
    return PairedVectors(
        slide=slide,
        patient=patient,
        images=vectors_of(catalogue, rows, "image"),
        expression=vectors_of(catalogue, rows, "expression"),
        xy_px=xy if np.isfinite(xy).all() else None,
        trained_on=patient in trained,
    )


def thumbnail_section(catalogue: Catalogue, slide: str, rows: Rows) -> PairedSection | None:
    """Stored pictures and counts of paired spots, for a baseline that sees colour; `None` without the pictures."""
    jpegs = catalogue.index.thumbnails(rows)
    if not all(jpegs):
        return None
    patches = np.stack([_decoded(jpeg) for jpeg in jpegs if jpeg])
    counts = catalogue.index.expression(rows)
    return PairedSection(slide, str(catalogue.column("patient")[rows[0]]), patches, counts, catalogue.index.genes)


def transcriptome_section(catalogue: Catalogue, slide: str, rows: Rows) -> ExpressionSection:
    """Counts of a section's spots over the panel."""
    patient = str(catalogue.column("patient")[rows[0]])
    return ExpressionSection(slide, patient, catalogue.index.expression(rows), catalogue.index.genes)


def _decoded(jpeg: bytes) -> npt.NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(jpeg)) as picture:
        return np.asarray(picture.convert("RGB").resize((COLOUR_PX, COLOUR_PX)), dtype=np.uint8)
