"""Bulk samples, of which a table holds thousands: read and encoded together, many in one commit.

The rows are those of samples ingested one by one, but for the last bit of vectors of encoders that work on many rows at
once.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from encoders.errors import HistoSeekError, SpaceMismatchError, UnknownSpaceError, WeightsMissingError
from indexer.building.checks import check_name
from indexer.building.encoded import EncodedSlide, ExpressionSide
from indexer.building.items import sample_tables, slide_row
from indexer.building.panel_counts import on_panel
from indexer.building.report import SlideRun
from indexer.building.slide_encoder import SlideEncoder
from indexer.errors import CountsError, StoreError
from indexer.slides import Expression, HasRemarks, SlideSource
from indexer.store.writer import IndexWriter

_LOG = logging.getLogger(__name__)
#: Samples of one commit, and the stored numbers at which it is full before that.
BATCH = 512
_MAX_NUMBERS = 8_000_000
_FATAL = (StoreError, WeightsMissingError, UnknownSpaceError, SpaceMismatchError)


@dataclass(frozen=True, slots=True)
class _Sample:
    source: SlideSource
    content: str
    expression: Expression


def is_bulk(source: SlideSource) -> bool:
    """Whether a slide is a bulk sample, which can share its commit with others."""
    return source.kind == "transcriptome" and source.image_path is None


def ingest_samples(
    sources: Sequence[SlideSource],
    writer: IndexWriter,
    encoder: SlideEncoder,
    notes: list[str],
    *,
    content_of: Callable[[SlideSource], str],
    again: bool,
    redact: Callable[[str], str] = str,
) -> Iterator[list[SlideRun]]:
    """Put bulk samples into the index, yielding after each commit what became of its samples.

    Parameters
    ----------
    sources : sequence of SlideSource
        Of different names; `is_bulk`.
    writer : IndexWriter
        The index.
    encoder : SlideEncoder
        Encodes them.
    notes : list of str
        What the user should know is added to it.
    content_of : callable
        Digest of all that decides the rows of a sample.
    again : bool
        Whether samples that have not changed are encoded too.
    redact : callable
        Takes identifiers out of reasons.
    """
    waiting: list[_Sample] = []
    done: list[SlideRun] = []
    n_numbers = 0
    for source in sources:
        slide = source.facts.slide
        try:
            with encoder.clock.stage("read"):
                content = content_of(source)
                if writer.committed.get(slide) == content and not again:
                    writer.forget_failure(slide)
                    done.append(SlideRun(slide, "skipped", {}))
                    continue
                found = _read(source)
            notes += source.remarks() if isinstance(source, HasRemarks) else ()
            waiting.append(_Sample(source, content, found))
            n_numbers += found.counts.nnz
        except _FATAL:
            raise
        except (HistoSeekError, OSError) as error:
            done.append(_failed(slide, error, writer, redact))
        if len(waiting) >= BATCH or n_numbers >= _MAX_NUMBERS:
            yield done + _commit(waiting, writer, encoder, redact)
            waiting, done, n_numbers = [], [], 0
    yield done + _commit(waiting, writer, encoder, redact)


def _failed(slide: str, error: Exception, writer: IndexWriter, redact: Callable[[str], str]) -> SlideRun:
    _LOG.warning("Slide %s is left out: %s", slide, error)
    reason = redact(str(error))
    writer.commit_failure(slide, type(error).__name__, reason)
    return SlideRun(slide, "failed", {}, error=type(error).__name__, reason=reason)


def _commit(
    samples: Sequence[_Sample], writer: IndexWriter, encoder: SlideEncoder, redact: Callable[[str], str]
) -> list[SlideRun]:
    done: list[SlideRun] = []
    encoded: list[EncodedSlide] = []
    contents: list[str] = []
    for alike in _by_genes(samples):
        try:
            with encoder.clock.stage("encode"):
                encoded += _encoded(alike, encoder)
            contents += [one.content for one in alike]
        except _FATAL:
            raise
        except HistoSeekError as error:  # of their genes, which they have in common
            done += [_failed(one.source.facts.slide, error, writer, redact) for one in alike]
    if not encoded:
        return done
    names = [one.facts.slide for one in encoded]
    done += [SlideRun(name, "replaced" if name in writer.committed else "added", {}, 0, 2) for name in names]
    with encoder.clock.stage("write"):
        rows = pa.concat_tables(slide_row(one, content) for one, content in zip(encoded, contents, strict=True))
        writer.commit(sample_tables(encoded, writer.settings.space.dim), rows.combine_chunks())
    encoder.progress.update("write", len(encoded), len(encoded), names[-1])
    return done


def _by_genes(samples: Iterable[_Sample]) -> Iterator[list[_Sample]]:
    """Samples next to each other that have the same genes."""
    alike: list[_Sample] = []
    for sample in samples:
        if alike and sample.expression.genes != alike[0].expression.genes:
            yield alike
            alike = []
        alike.append(sample)
    if alike:
        yield alike


def _read(source: SlideSource) -> Expression:
    """The one row of a sample. Raises `CountsError` or `JoinError`."""
    slide = source.facts.slide
    check_name(slide)
    found = source.read_expression()
    if found is None or found.counts.shape[0] != 1:
        n = 0 if found is None else found.counts.shape[0]
        raise CountsError(f"Bulk sample {slide} has {n} rows of counts; expected one. Give each sample its own name.")
    if not found.counts.nnz:
        raise CountsError(f"Bulk sample {slide} is without counts; give at least one count.")
    return found


def _encoded(samples: Sequence[_Sample], encoder: SlideEncoder) -> list[EncodedSlide]:
    """Samples that have the same genes. Raises `EncoderError`."""
    genes = samples[0].expression.genes
    counts = sp.csr_matrix(sp.vstack([one.expression.counts for one in samples]), dtype=np.float32)
    vectors = encoder.space.expression.encode_counts(counts, genes, by_section=False).vectors
    panel_counts, n_outside = on_panel(encoder.panel, counts, genes)
    totals = np.asarray(counts.sum(axis=1), dtype=np.float32).ravel()
    made = []
    for row, sample in enumerate(samples):
        one = slice(row, row + 1)
        side = ExpressionSide(sample.expression, vectors[one], vectors[row], panel_counts[one], totals[one], n_outside)
        facts = sample.source.facts
        made.append(EncodedSlide(facts, "transcriptome", None, None, None, np.empty((0, 2)), None, side))
    return made
