"""A slide laid over another, as a table."""

from app.tables.analyses import caption
from app.tables.view import Column, TableView
from search.sections.section_alignment import SlideAlignment


def alignment_table(found: SlideAlignment, *, provenance: str) -> TableView:
    """What the slide did, and how well it lies."""
    table = found.to_pandas()
    (a, b, c), (d, e, f) = found.matrix_px
    rows = [
        ("compared", f"{found.using[0]} of {found.slide} with {found.using[1]} of {found.other}"),
        ("turned", f"{found.turned_degrees:.1f}°" + (", mirrored" if found.mirrored else "")),
        ("scale", f"{found.scale:.3f}"),
        ("residual, median and 90 %", f"{found.residual_um:.0f} and {table['residual_um'].quantile(0.9):.0f} µm"),
        ("places with a counterpart", f"{(table['matched'] > 0.5).sum():,} of {len(table):,}"),
        ("x on the other slide, px", f"{a:.4f} x {b:+.4f} y {c:+.1f}"),
        ("y on the other slide, px", f"{d:.4f} x {e:+.4f} y {f:+.1f}"),
    ]
    return TableView(
        title=f"{found.slide} laid over {found.other} ({found.model})",
        columns=(Column(""), Column("")),
        rows=rows,
        caption=caption(found.notes, provenance),
    )
