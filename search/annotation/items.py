"""Which items are annotated, by which of their sides, and which others say what a score is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from encoders.contracts import Modality
from search.annotation.classes import BulkClasses, Classes
from search.catalogue import Catalogue, Mask, Rows
from search.errors import AnnotationError
from search.profiles import has_counts

Using = Literal["counts", "expression", "image"]
USING: tuple[Using, ...] = ("counts", "expression", "image")
#: Items of other patients that scores are held against, and those taken of one slide, one after the other.
NULL_ITEMS, _RUN = 10_000, 2_500
_KINDS: dict[Using, tuple[str, ...]] = {
    "counts": ("spot", "tile", "cell"),
    "expression": ("spot", "tile", "cell"),
    "image": ("tile", "spot", "cell"),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is annotated.

    Attributes
    ----------
    rows : int64 (n,)
        Items of one kind, those of a slide in the order of the index.
    kind : str
        Their kind.
    using : {"counts", "expression", "image"}
        Own counts, or the side whose vector is compared.
    """

    rows: Rows
    kind: str
    using: Using

    @property
    def side(self) -> Modality:
        """The side whose vectors are compared; that of the counts is their expression."""
        return "image" if self.using == "image" else "expression"


def choose_items(
    catalogue: Catalogue, where: str | Sequence[str], classes: Classes, using: Using | None, kind: str | None
) -> Chosen:
    """Find what is to be annotated: the places of a slide, or items by id.

    Without `using`, items are annotated by their own counts where they have any and the classes are gene lists, else by
    the image, else by the expression vector. Without `kind`, the items of a slide are its tiles for images and its
    spots otherwise, as far as it has them.

    Raises
    ------
    AnnotationError
        If nothing is left to annotate, the items are of several kinds, or bulk profiles are to be used with counts.
    ItemMissingError
        If the slide or an item is not in the index.
    """
    if using is not None and using not in USING:
        raise AnnotationError(f"using={using!r} is not known; choose one of {', '.join(USING)}.")
    if using == "counts" and isinstance(classes, BulkClasses):
        raise AnnotationError(
            "Own counts are compared with gene lists; annotate by bulk profiles with using=expression or image."
        )
    if isinstance(where, str):
        catalogue.slide_row(where)
        rows, name = catalogue.rows_where("slide", where), f"Slide {where!r}"
        rows = rows[catalogue.column("kind")[rows] != "slide"]
    else:
        rows, name = np.unique(catalogue.rows_of(where)), f"The list of {len(where):,} items"
    for one in [using] if using else _fitting(classes):
        kept = rows[side_mask(catalogue, one)[rows]]
        kinds = catalogue.column("kind")[kept].astype(str)
        wanted = kind or next((known for known in _KINDS[one] if (kinds == known).any()), None)
        kept = kept[kinds == wanted]
        if len(kept):
            if kind is None and not isinstance(where, str) and (kinds != wanted).any():
                raise AnnotationError(
                    f"{name} holds {', '.join(sorted(set(kinds)))}; give items of one kind, or say which."
                )
            return Chosen(kept, str(wanted), one)
    asked = " or ".join([using] if using else _fitting(classes))
    raise AnnotationError(
        f"{name} has no {kind or 'tile, spot or cell'} with {asked}, so there is nothing to annotate."
    )


def side_mask(catalogue: Catalogue, using: Using) -> Mask:
    """Items that have counts, or a vector of that side, bool `(n_items,)`."""
    return has_counts(catalogue) if using == "counts" else np.asarray(catalogue.has(using))


def null_items(catalogue: Catalogue, chosen: Chosen) -> Rows:
    """Items of the same kind of other patients, int64, ascending within a slide.

    Slides are taken from each patient in turn until there are `NULL_ITEMS`; of a large slide `_RUN` items that follow
    each other are taken, so that neighbours stay together.
    """
    slides, patients = catalogue.column("slide"), catalogue.column("patient")
    own = set(patients[chosen.rows].tolist())
    mask = catalogue.is_one_of("kind", [chosen.kind]) & side_mask(catalogue, chosen.using)
    others = [name for name in patients[mask] if name not in own]
    turns: dict[str, list[str]] = {str(name): [] for name in dict.fromkeys(others)}
    for slide, patient in dict.fromkeys(zip(slides[mask].tolist(), patients[mask].tolist(), strict=True)):
        if str(patient) in turns:
            turns[str(patient)].append(str(slide))
    longest = max(map(len, turns.values()), default=0)
    order = [of[i] for i in range(longest) for of in turns.values() if i < len(of)]
    found: list[Rows] = []
    for slide in order:
        if sum(map(len, found)) >= NULL_ITEMS:
            break
        rows = catalogue.rows_where("slide", slide)
        rows = rows[mask[rows]]
        start = max(0, (len(rows) - _RUN) // 2)
        found.append(rows[start : start + _RUN])
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _fitting(classes: Classes) -> list[Using]:
    return ["image", "expression"] if isinstance(classes, BulkClasses) else ["counts", "image", "expression"]
