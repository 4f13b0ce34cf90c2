"""Columns of the tables of an index: `items`, `slides`, `genes`, `failed_items`.

An index lives in exactly one space, so both vector columns have the space's dim. Expression is kept sparse: column
numbers into the `genes` table and raw counts, with the library size over all genes of the file beside them.
"""

import pyarrow as pa

#: Of the card: 2 numbers the commits and says when and why each was made; the columns of the tables are those of 1.
FORMAT_VERSION = 2
READABLE_FORMATS = (1, 2)

#: Facts of a slide that every item repeats, so that one `where` text filters either table.
SHARED_FACTS = (
    pa.field("slide", pa.string(), nullable=False),
    pa.field("patient", pa.string(), nullable=False),
    pa.field("cohort", pa.string(), nullable=False),
    pa.field("organ", pa.string(), nullable=False),
    pa.field("diagnosis", pa.string(), nullable=False),
    pa.field("technology", pa.string(), nullable=False),
    pa.field("species", pa.string(), nullable=False),
    pa.field("licence", pa.string(), nullable=False),
    pa.field("generated", pa.bool_(), nullable=False),
    pa.field("mpp", pa.float32()),
)

#: What may be filtered on and what a hit carries.
ITEM_METADATA = (
    pa.field("id", pa.string(), nullable=False),  # slide/kind/name, stable across runs
    pa.field("kind", pa.string(), nullable=False),  # slide, tile, spot, cell, transcriptome
    *SHARED_FACTS,
    pa.field("label", pa.string()),  # known region or cell type
    pa.field("x_px", pa.float32()),  # centre, level-0 pixels
    pa.field("y_px", pa.float32()),
    pa.field("side_um", pa.float32()),  # the patch the image vector was computed from
    pa.field("side_px", pa.float32()),  # the same in level-0 pixels
    pa.field("spot_um", pa.float32()),  # diameter of the spot
    pa.field("total_counts", pa.float32()),  # library size over all genes of the file
)

ITEM_COLUMNS = tuple(field.name for field in ITEM_METADATA)


def items_schema(dim: int) -> pa.Schema:
    """Schema of the `items` table for a space of `dim` dimensions."""
    vector = pa.list_(pa.float32(), dim)
    return pa.schema(
        [
            *ITEM_METADATA,
            pa.field("gene_index", pa.list_(pa.int32())),  # rows of `genes`, ascending
            pa.field("gene_count", pa.list_(pa.float32())),
            pa.field("thumbnail", pa.binary()),  # JPEG of the patch
            pa.field("image_vector", vector),
            pa.field("expression_vector", vector),
        ]
    )


SLIDES_SCHEMA = pa.schema(
    [
        *SHARED_FACTS,
        pa.field("citation", pa.string(), nullable=False),
        pa.field("mpp_source", pa.string()),
        pa.field("width_px", pa.int32()),
        pa.field("height_px", pa.int32()),
        pa.field("image_path", pa.string()),
        pa.field("n_spots", pa.int32(), nullable=False),
        pa.field("n_cells", pa.int32(), nullable=False),
        pa.field("n_tiles", pa.int32(), nullable=False),
        pa.field("n_genes_read", pa.int32(), nullable=False),
        pa.field("n_genes_outside_panel", pa.int32(), nullable=False),
        pa.field("thumbnail", pa.binary()),  # JPEG of the whole slide
        pa.field("thumbnail_scale", pa.float32()),  # thumbnail pixels per level-0 pixel
        pa.field("section_stats", pa.list_(pa.float32())),  # encoders.SectionStats.to_list()
        pa.field("content_sha256", pa.string(), nullable=False),  # of the source files and the build settings
    ]
)

GENES_SCHEMA = pa.schema(
    [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("ensembl_id", pa.string()),
    ]
)

FAILED_SCHEMA = pa.schema(
    [
        pa.field("slide", pa.string(), nullable=False),
        pa.field("error", pa.string(), nullable=False),  # class name
        pa.field("reason", pa.string(), nullable=False),
    ]
)
