"""A slide that is another one in all but what a kind of wrapping adds to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from indexer.genes.report import GeneReport, ReportsGenes
from indexer.slides import Expression, HasRemarks, SlideFacts, SlideImage, SlideSource


@dataclass(frozen=True)
class WrappedSlide:
    """Passes on what a slide says of itself.

    Attributes
    ----------
    base : SlideSource
        The slide.
    """

    base: SlideSource

    @property
    def facts(self) -> SlideFacts:
        """Metadata of the slide."""
        return self.base.facts

    @property
    def kind(self) -> Literal["spot", "cell", "transcriptome"]:
        """What a row of the expression is."""
        return self.base.kind

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the slide."""
        return self.base.files

    @property
    def image_path(self) -> Path | None:
        """Where the picture lies, if there is one."""
        return self.base.image_path

    @property
    def read_with(self) -> str:
        """What besides facts and files decides the rows."""
        return self.base.read_with if isinstance(self.base, HasRemarks) else ""

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the slide."""
        return self.base.remarks() if isinstance(self.base, HasRemarks) else ()

    def gene_report(self) -> GeneReport | None:
        """What became of the genes of the slide."""
        return self.base.gene_report() if isinstance(self.base, ReportsGenes) else None

    def open_image(self) -> SlideImage | None:
        """Picture of the slide, or `None`. Raises `SlideError`."""
        return self.base.open_image()

    def read_genes(self) -> Sequence[str]:
        """Symbols of the genes of the slide. Raises what its source raises."""
        source: Any = self.base
        if hasattr(source, "read_genes"):
            genes: Sequence[str] = source.read_genes()
            return genes
        expression = self.base.read_expression()
        return () if expression is None else expression.genes

    def read_expression(self) -> Expression | None:
        """Counts of the slide, or `None`. Raises `CountsError` or `JoinError`."""
        return self.base.read_expression()
