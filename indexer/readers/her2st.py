"""Reader of her2st: legacy Spatial Transcriptomics sections of Andersson et al. (Nat Commun 2021).

A section has counts (spots x genes), spot centres in pixels of the full image, and for some sections the image and the
pathologist's region of each spot. Rows of the counts are named `<x>x<y>` after the array coordinates of the spot.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from indexer.datasets.manifest import Role
from indexer.errors import CountsError, JoinError
from indexer.genes.panel import sum_duplicates, unique_genes
from indexer.readers.counts_table import read_counts_table, read_gene_header
from indexer.readers.flat_image import FlatImage, image_size
from indexer.readers.spot_positions import check_positions, join_counts, read_positions, read_table
from indexer.slides import Expression, SlideFacts

_LOG = logging.getLogger(__name__)

ROLES: tuple[Role, ...] = ("image", "counts", "spots", "labels")


@dataclass(frozen=True)
class Her2stSlide:
    """One section; nothing is opened before it is asked for.

    Attributes
    ----------
    facts : SlideFacts
        With the manifest's mpp.
    counts, spots : Path
        `counts/<S>.tsv.gz` and `spots/<S>_selection.tsv`.
    image_path, labels : Path or None
        Picture and `labels/<S>_labeled_coordinates.tsv`, where the section has them.
    spot_um, pitch_um : float or None
        Diameter of a spot and distance of neighbouring ones, micrometres.
    """

    facts: SlideFacts
    counts: Path
    spots: Path
    image_path: Path | None = None
    labels: Path | None = None
    spot_um: float | None = None
    pitch_um: float | None = None

    kind: Literal["spot"] = "spot"

    @property
    def files(self) -> tuple[Path, ...]:
        """Files whose bytes decide whether the slide must be read again."""
        optional = (self.image_path, self.labels)
        return (self.counts, self.spots, *(path for path in optional if path is not None))

    def open_image(self) -> FlatImage | None:
        """Image of the section, or `None`. Raises `SlideError`."""
        return None if self.image_path is None else FlatImage(self.image_path)

    def read_genes(self) -> Sequence[str]:
        """Unique symbols of the counts, from their header alone. Raises `CountsError`."""
        return unique_genes(read_gene_header(self.counts))[0]

    def read_expression(self) -> Expression:
        """Counts of the section's spots with their centres and regions.

        Raises
        ------
        CountsError
            If the counts table is malformed.
        JoinError
            If counts, positions, labels and image do not fit together.
        SlideError
            If the section has an image whose size cannot be read.
        """
        where = f"Slide {self.facts.slide}"
        names, genes, counts = read_counts_table(self.counts)
        if not names:
            raise CountsError(f"{self.counts.name} has no rows; expected one for each spot.")
        positions = read_positions(self.spots)
        rows = join_counts(names, positions, where)
        pitch_px = self.pitch_um / self.facts.mpp if self.pitch_um and self.facts.mpp else None
        size_px = None if self.image_path is None else image_size(self.image_path)
        check_positions(positions, where, size_px=size_px, pitch_px=pitch_px)
        counts, genes, duplicated = sum_duplicates(counts, genes)
        if duplicated:
            _LOG.warning("%s: added up the repeated columns of %d genes: %s", where, len(duplicated), duplicated[:5])
        return Expression(
            names=names,
            counts=counts,
            genes=genes,
            xy_px=positions.xy_px[rows],
            spot_um=self.spot_um,
            labels=None if self.labels is None else read_regions(self.labels, names, where),
        )


def read_regions(path: Path, names: Sequence[str], where: str) -> list[str | None]:
    """Pathologist's region of each spot, `None` for a spot without one.

    The file's x and y are the measured array coordinates, so they are rounded to meet the names of the counts. Rows
    without coordinates are tissue between the spots and are left out.

    Raises
    ------
    JoinError
        If no region meets a spot.
    """
    regions = {}
    for row in read_table(path, ("x", "y", "label")):
        if row["x"] in {"", "NA"} or row["y"] in {"", "NA"}:
            continue
        try:
            name = f"{round(float(row['x']))}x{round(float(row['y']))}"
        except ValueError as error:
            raise JoinError(f"{path.name}: got coordinates {row['x']}, {row['y']}; expected numbers.") from error
        regions[name] = row["label"]
    found = [regions.get(name) for name in names]
    if not any(found):
        examples = ", ".join(list(regions)[:3]) or "(none)"
        raise JoinError(
            f"{where}: no region of {path.name} meets a spot; regions are at {examples}, spots at {names[:3]}."
        )
    return found
