"""Build an index or bring it up to date, slide by slide; a killed build goes on where it stopped."""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path

from encoders.aggregators import MEAN, open_aggregator
from encoders.errors import HistoSeekError, SpaceMismatchError, UnknownSpaceError, WeightsMissingError
from encoders.space import Space
from indexer.building.bulk import ingest_samples, is_bulk
from indexer.building.encoded import SlideEncoder
from indexer.building.items import item_tables, slide_row
from indexer.building.report import BuildReport, FailedSlide, SlideRun, slides_with
from indexer.building.slide_aggregates import aggregates_of, stored_aggregator, write_aggregates
from indexer.datasets.digests import sha256_of
from indexer.errors import DataError, JoinError, SlideError, StoreError
from indexer.features.tiled_slides import TiledSlide
from indexer.genes.panel import Panel, panel_from_sources, panel_of
from indexer.index import Index
from indexer.progress import Progress, Silent, StageClock, peak_rss_mb
from indexer.slides import HasRemarks, SlideSource
from indexer.store.card import BuildSettings, Tiling
from indexer.store.location import locate
from indexer.store.locks import writer_lock
from indexer.store.writer import IndexWriter, stored_panel
from indexer.upkeep.maintenance import Folding, refresh_after_writing

_LOG = logging.getLogger(__name__)
#: What no other slide would fare better with: the run ends.
_FATAL = (StoreError, WeightsMissingError, UnknownSpaceError, SpaceMismatchError)


def build_index(  # noqa: PLR0913  # a keyword for each choice of a build
    uri: str | Path,
    sources: Iterable[SlideSource],
    space: Space,
    *,
    panel: Panel | None = None,
    gene_table: Mapping[str, str] | None = None,
    tile_stride_um: float = 200.0,
    thumbnails: bool = True,
    aggregator: str | None = None,
    again: bool = False,
    wait_s: float = 0.0,
    progress: Progress | None = None,
) -> BuildReport:
    """Put slides into an index, making it if there is none.

    A slide that is in the index with the same files and settings is skipped; one that has changed is replaced; one that
    cannot be read is noted in `failed_items` and the others go on. Each slide is one commit: readers find it at once.

    Parameters
    ----------
    uri : str or Path
        Folder of the index.
    sources : iterable of SlideSource
        Slides to ingest; nothing else in the index is touched.
    space : Space
        Encoders; the same as before for an index that exists.
    panel : Panel, optional
        Genes whose counts are stored; by default the index's own, or for a new index all that any source or the
        space knows.
    gene_table : mapping of str to str, optional
        Ensembl id of each symbol, for a new index's default panel.
    tile_stride_um : float
        Distance of the centres of tissue tiles, micrometres.
    thumbnails : bool
        Keep a JPEG of every patch and slide.
    aggregator : str, optional
        What stands for a whole slide beside its mean (`encoders.aggregators`); by default the index's own, and the
        mean alone for a new index.
    again : bool
        Encode the slides anew even if nothing about them has changed.
    wait_s : float
        Seconds to wait for another writer to end.
    progress : Progress, optional
        Is told of every advance.

    Raises
    ------
    SpaceMismatchError
        If the index lives in another space or revision.
    WriteError
        If another process writes the index, it has other settings, or the disk is full; committed slides are intact.
    IndexFormatError
        If the index is damaged beyond what can be derived again.
    """
    start = time.perf_counter()
    location, listed = locate(uri), list(sources)
    watch = progress or Silent()
    clock = StageClock()
    with writer_lock(location, wait_s=wait_s):
        with clock.stage("read"):
            genes = panel or stored_panel(location) or _default_panel(listed, space, gene_table)
        whole = open_aggregator(aggregator or stored_aggregator(location) or MEAN)
        settings = _settings(space, genes, tile_stride_um, thumbnails=thumbnails, aggregator=whole.name)
        writer = IndexWriter.open(location, settings, genes)
        encoder = SlideEncoder(space, genes, tile_stride_um, thumbnails, watch, clock, whole)
        notes: list[str] = []
        runs = _ingest(listed, writer, encoder, notes, again=again)
        index = Index.open(location)
        with clock.stage("sidecar"):
            refresh_after_writing(index, watch)
    return BuildReport(
        added=slides_with(runs, "added"),
        replaced=slides_with(runs, "replaced"),
        skipped=slides_with(runs, "skipped"),
        failed=tuple(FailedSlide(run.slide, run.error, run.reason) for run in runs if run.outcome == "failed"),
        n_items=sum(index.card.counts.values()),
        seconds=clock.seconds,
        peak_rss_mb=peak_rss_mb(),
        notes=tuple(notes),
        slides=tuple(runs),
        wall_s=round(time.perf_counter() - start, 3),
    )


def _ingest(
    sources: list[SlideSource], writer: IndexWriter, encoder: SlideEncoder, notes: list[str], *, again: bool
) -> list[SlideRun]:
    runs: list[SlideRun] = []
    names: set[str] = set()
    samples: list[SlideSource] = []  # thousands of which share a commit
    folding = Folding(writer, encoder.progress)
    for done, source in enumerate(sources):
        slide = source.facts.slide
        encoder.progress.update("slides", done, len(sources), slide)
        before = encoder.clock.seconds
        try:
            if slide in names:
                raise JoinError(f"Slide {slide} is given twice; expected one source for each. Rename one of them.")
            names.add(slide)
            if is_bulk(source) and writer.settings.aggregator == MEAN:
                samples.append(source)
                continue
            run = _ingest_one(source, writer, encoder, notes, again=again)
            folding.after_commit()
        except _FATAL:
            raise
        except (HistoSeekError, OSError) as error:
            _LOG.warning("Slide %s is left out: %s", slide, error)
            run = SlideRun(slide, "failed", {}, error=type(error).__name__, reason=str(error))
            with encoder.clock.stage("write"):
                writer.commit_failure(slide, type(error).__name__, str(error))
        spent = {stage: round(s - before.get(stage, 0.0), 3) for stage, s in encoder.clock.seconds.items()}
        runs.append(replace(run, seconds={stage: s for stage, s in spent.items() if s}))
    content_of = partial(content_sha256, settings=writer.settings)
    for some in ingest_samples(samples, writer, encoder, notes, content_of=content_of, again=again):
        runs += some
        folding.after_commit()
        encoder.progress.update("slides", len(runs), len(sources), "")
    encoder.progress.update("slides", len(sources), len(sources), "")
    return runs


def _ingest_one(
    source: SlideSource, writer: IndexWriter, encoder: SlideEncoder, notes: list[str], *, again: bool
) -> SlideRun:
    slide = source.facts.slide
    with encoder.clock.stage("read"):
        content = content_sha256(source, writer.settings)
    before = writer.committed.get(slide)
    if before == content and not again:
        writer.forget_failure(slide)
        return SlideRun(slide, "skipped", {})
    encoded = encoder.encode(source)
    notes += encoded.notes
    notes += source.remarks() if isinstance(source, HasRemarks) else ()
    with encoder.clock.stage("write"):
        encoder.progress.update("write", 0, 1, slide)
        tables = item_tables(encoded, writer.settings.space.dim, writer.settings.tiling.side_um)
        if writer.settings.aggregator != MEAN:
            write_aggregates(writer.location, content, aggregates_of(encoded))
        writer.commit(tables, slide_row(encoded, content))
        encoder.progress.update("write", 1, 1, slide)
    n_items = sum(part.num_rows for part in tables)
    return SlideRun(slide, "added" if before is None else "replaced", {}, len(encoded.tiles_px), n_items)


def content_sha256(source: SlideSource, settings: BuildSettings) -> str:
    """Digest of all that decides the rows of a slide: its files, its facts, and the settings of the build."""
    facts = json.dumps(asdict(source.facts), sort_keys=True)
    files = sorted(f"{path.name} {_digest_once(path, *_stamp(path))}" for path in source.files)
    files += [source.tiles.stated] if isinstance(source, TiledSlide) else []
    files += [source.read_with] if isinstance(source, HasRemarks) else []
    return hashlib.sha256("\n".join([settings.digest(), source.kind, facts, *files]).encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=256)
def _digest_once(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - the stamp is part of the cache's key
    """Digest of a file that many slides may share, as the samples of one bulk matrix do."""
    return sha256_of(path)


def _settings(space: Space, panel: Panel, stride_um: float, *, thumbnails: bool, aggregator: str) -> BuildSettings:
    if not stride_um > 0:
        raise SlideError(f"Tiles every {stride_um} um cannot be laid; expected a distance above 0.")
    patch = space.image.patch
    return BuildSettings(
        space=space.card,
        encoders={"image": space.image.info, "expression": space.expression.info},
        panel_sha256=panel.sha256,
        tiling=Tiling(stride_um=stride_um, side_um=patch.side_um, side_px=patch.side_px),
        thumbnails=thumbnails,
        aggregator=aggregator,
    )


def _default_panel(sources: list[SlideSource], space: Space, gene_table: Mapping[str, str] | None) -> Panel:
    symbols = set(space.expression.genes)
    for source in sources:
        try:
            symbols.update(panel_from_sources([source]).symbols)
        except (DataError, OSError) as error:  # reported with the slide itself, when its turn comes
            _LOG.debug("No genes of slide %s for the panel: %s", source.facts.slide, error)
    return panel_of(symbols, gene_table=gene_table)
