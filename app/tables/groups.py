"""How sites mix among neighbours, as a table."""

from app.tables.analyses import caption
from app.tables.view import Column, TableView, number, p_text
from search.groups.mixing import Mixing


def mixing_table(found: Mixing, *, provenance: str) -> TableView:
    """A row for all items, each site and each label."""
    headings = (
        "items",
        f"{found.unit}s",
        f"same {found.site}",
        "expected",
        "ratio",
        "effective",
        "expected",
        "p",
        "FDR",
    )
    return TableView(
        title=f"Neighbours of the same {found.site}, {found.modality}, k = {found.k}",
        columns=(Column("of"), Column("group"), *(Column(heading, "right") for heading in headings)),
        rows=[
            (
                row["stratum"],
                row["group"],
                f"{row['n_items']:,}",
                str(row["n_units"]),
                number(row["same_site"]),
                number(row["expected"]),
                number(row["enrichment"], 2),
                number(row["effective_sites"], 2),
                number(row["expected_effective"], 2),
                p_text(row["p_value"]),
                p_text(row["fdr"]),
            )
            for row in found.table.to_pylist()
        ],
        caption=caption(found.notes, provenance),
    )
