"""Examples beside a hit: labelled items that are nearest to the query, and items of the query nearest to the hit."""

from typing import Any

import numpy as np

from encoders.contracts import Modality, Vectors
from search.catalogue import Catalogue
from search.encoding import EncodedQuery
from search.item_rows import is_item, vectors_of
from search.retrieval.plan import score

_LABELLED, _OF_QUERY = 10, 5
_UNKNOWN = ("undetermined", "unknown", "unlabelled", "nan", "")


def nearest_labelled(catalogue: Catalogue, query: EncodedQuery, target: Modality) -> tuple[dict[str, Any], ...]:
    """Labelled items of other patients nearest to a query, the nearest first.

    They are compared on the target side where any has it, else on the other.
    """
    codes, code_of = catalogue.codes("label")
    named = [code for name, code in code_of.items() if name is not None and name.lower() not in _UNKNOWN]
    labelled = np.isin(codes, named) & is_item(catalogue)
    for name in query.patients:
        labelled[catalogue.rows_where("patient", name)] = False
    sides: tuple[Modality, ...] = (target, "image" if target == "expression" else "expression")
    for side in sides:
        allowed = labelled & catalogue.has(side)
        if allowed.any():
            break
    else:
        return ()
    found = score(catalogue, query.vector, side, allowed, k=_LABELLED)
    return tuple(
        {name: catalogue.value(row, name) for name in ("id", "label", "slide", "patient")}
        | {"score": cosine, "side": side}
        for row, cosine in zip(found.rows[:_LABELLED].tolist(), found.scores[:_LABELLED].tolist(), strict=True)
    )


def nearest_of_query(catalogue: Catalogue, query: EncodedQuery, hit: Vectors) -> tuple[dict[str, Any], ...]:
    """Of a query made of several items, those nearest to the hit, on the side it was asked with."""
    rows = np.array(query.rows, dtype=np.int64)
    rows = rows[catalogue.has(query.modality)[rows]] if len(rows) > 1 else rows[:0]
    if not len(rows):
        return ()
    cosines = vectors_of(catalogue, rows, query.modality) @ hit
    best = np.argsort(-cosines, kind="stable")[:_OF_QUERY]
    return tuple({"id": catalogue.value(int(rows[i]), "id"), "score": float(cosines[i])} for i in best)
