"""How many items each class was given, as a table."""

import numpy as np

from app.tables.analyses import caption
from app.tables.view import Column, TableView, number, p_text
from search.annotation.annotate import Annotation
from search.annotation.classes import UNASSIGNED


def annotation_table(found: Annotation, *, title: str, provenance: str) -> TableView:
    """A row a class: its items, how sure they are, and where the surest lies."""
    frame = found.to_pandas()
    rows = []
    for name in (*found.classes, UNASSIGNED):
        own = frame[frame["class"] == name]
        if name == UNASSIGNED and own.empty:
            continue
        share = len(own) / len(frame)
        if own.empty or name == UNASSIGNED:
            rows.append((name, f"{len(own):,}", number(share), *[number(None)] * 4))
            continue
        surest = own.iloc[int(np.argmax(own[f"prob_{name}"].to_numpy()))]
        middle = [number(own[f"prob_{name}"].median()), number(own["margin"].median())]
        p_value = None if found.n_null == 0 else float(own["p_value"].median())
        rows.append((name, f"{len(own):,}", number(share), *middle, p_text(p_value), surest["id"]))
    headings = ("share", "probability", "margin", "p")
    columns = (Column("class"), Column(f"{found.kind}s", "right"), *(Column(one, "right") for one in headings))
    said = "Probability, margin and p are medians over the class."
    return TableView(title, (*columns, Column("surest")), rows, caption((said, *found.notes), provenance))
