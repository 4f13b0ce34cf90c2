"""Build an index or bring it up to date, slide by slide; a killed build goes on where it stopped."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore

from encoders.aggregates import SlideAggregator
from encoders.aggregators import MEAN, open_aggregator
from encoders.space import Space
from indexer.building.ingesting import Ingest, Listener, wants_process
from indexer.building.patch_encoding import PatchEncoder
from indexer.building.readers import ProcessReader
from indexer.building.report import BuildReport, FailedSlide, slides_with
from indexer.building.run_log import note_slide
from indexer.building.run_options import RunOptions
from indexer.building.run_progress import RunProgress
from indexer.building.run_writer import RunWriter
from indexer.building.slide_aggregates import stored_aggregator
from indexer.building.slide_encoder import SlideEncoder, aggregator_of
from indexer.building.slide_reading import STAIN_SAMPLE, ReadPlan
from indexer.errors import DataError, SlideError
from indexer.genes.panel import Panel, panel_from_sources, panel_of
from indexer.index import Index
from indexer.progress import Progress, Silent, StageClock, peak_rss_mb
from indexer.readers.samples import BulkSample
from indexer.runs.recorder import RunRecorder
from indexer.safety.leaks import find_leaks
from indexer.safety.names import NameHasher, identifying
from indexer.slides import SlideSource
from indexer.store.card import BuildSettings, Tiling
from indexer.store.location import locate
from indexer.store.writer import IndexWriter, stored_panel
from indexer.upkeep.maintenance import Folding, refresh_after_writing

_LOG = logging.getLogger(__name__)
#: Patches that are encoded at once where nothing else is said.
BATCH = 32
#: One moves the stain of a batch while the network runs on another.
_ENCODING_THREADS = 2
#: Samples of patches that are in memory at once may take so much, or one sample.
_SAMPLE_BYTES = 320 << 20


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
    asked: Mapping[str, str] | None = None,
    names: NameHasher | None = None,
    run: RunOptions | None = None,
    progress: Progress | None = None,
    on_wait: Callable[[str], None] | None = None,
    listener: Listener | None = None,
) -> BuildReport:
    """Put slides into an index, making it if there is none.

    A slide that is in the index with the same files and settings is skipped; one that has changed is replaced; one that
    cannot be read is noted in `failed_items` and the others go on. Slides are committed as they get ready, those within
    two seconds together: searches find them at once.

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
    asked : mapping of str to str, optional
        What was asked, for the record of the run.
    names : NameHasher, optional
        Replaces the names of slides and patients, and of files in what is said of them, by keyed hashes.
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
    SlideFailedError
        If a slide fails in a run that is to end then.
    """
    start = time.perf_counter()
    location, options = locate(uri), run or RunOptions()
    every = list(sources) if names is None else [names.source(source) for source in sources]
    redact = str if names is None else names.sentence
    listed = every if options.shard is None else options.shard.take(every)
    watch, clock = progress or Silent(), StageClock()
    with ExitStack() as stack:
        readers = _start_readers(listed, options, stack)
        writing = RunWriter(location, wait_s=wait_s, in_turns=options.shard is not None, on_wait=on_wait)
        stack.enter_context(writing)
        with writing.opening():
            with clock.stage("read"):
                # All shards look at all slides, and so find the same panel.
                genes = panel or stored_panel(location) or _default_panel(every, space, gene_table)
            whole = open_aggregator(aggregator or stored_aggregator(location) or MEAN)
            settings = _settings(space, genes, tile_stride_um, thumbnails=thumbnails, aggregator=whole.name)
            writer = writing.opened_by(partial(IndexWriter.open, location, settings, genes))
        counted = RunProgress(watch, len(listed))
        patches = _patch_encoder(space, whole, counted, stack)
        recorder = stack.enter_context(
            RunRecorder(location, space.card, len(listed), asked, redact, keep_others=options.shard is not None)
        )
        ingest = Ingest(
            writing=writing,
            settings=settings,
            encoder=SlideEncoder(space, genes, thumbnails, watch, clock, patches, whole),
            plan=_read_plan(space, tile_stride_um, options, thumbnails=thumbnails),
            options=options,
            progress=counted,
            folding=Folding(sum(writer.card.counts.values()), watch),
            committed=dict(writer.committed),
            had_failed=writer.failed,
            listeners=(partial(note_slide, recorder), *(() if listener is None else (listener,))),
            redact=redact,
        )
        ingest.run(listed, readers, again=again)
        with writing.turn(), clock.stage("sidecar"):
            index = Index.open(location)
            refresh_after_writing(index, watch)
        return _ended(ingest, index, clock, readers, recorder, watch, start=start, names_shown=names is None)


def _ended(
    ingest: Ingest,
    index: Index,
    clock: StageClock,
    readers: Sequence[ProcessReader],
    recorder: RunRecorder,
    watch: Progress,
    *,
    start: float,
    names_shown: bool,
) -> BuildReport:
    """Look for slides that are there twice and names that tell a person, and end the record of the run."""
    with clock.stage("leaks"):
        new = [one.slide for one in ingest.runs if one.n_items]
        leaks = find_leaks(index, new=new, progress=watch)
    report = _report(ingest, index, clock, readers, time.perf_counter() - start)
    warnings = identifying(one.slide for one in ingest.runs) if names_shown else []
    recorder.end(
        seconds=report.seconds,
        n_items=report.n_items,
        peak_rss_mb=report.peak_rss_mb,
        notes=report.notes,
        leaks=[leak.sentence() for leak in leaks],
        warnings=[f"{warning}: ingest with --hash-names, if they are." for warning in warnings],
    )
    return replace(report, run_id=recorder.record.id, leaks=leaks, warnings=tuple(recorder.record.warnings))


def _report(
    ingest: Ingest, index: Index, clock: StageClock, readers: Sequence[ProcessReader], wall_s: float
) -> BuildReport:
    runs = ingest.runs
    for run in runs:
        for stage, seconds in run.seconds.items():
            clock.add(stage, seconds)
    return BuildReport(
        added=slides_with(runs, "added"),
        replaced=slides_with(runs, "replaced"),
        skipped=slides_with(runs, "skipped"),
        failed=tuple(FailedSlide(run.slide, run.error, run.reason) for run in runs if run.outcome == "failed"),
        n_items=sum(index.card.counts.values()),
        seconds=clock.seconds,
        peak_rss_mb=round(peak_rss_mb() + sum(reader.peak_rss_mb for reader in readers), 1),
        notes=tuple(ingest.notes),
        slides=tuple(runs),
        wall_s=round(wall_s, 3),
    )


def _start_readers(sources: Sequence[SlideSource], options: RunOptions, stack: ExitStack) -> list[ProcessReader]:
    """Processes that get ready to read while the index is opened."""
    n = min(options.workers, sum(wants_process(source) for source in sources))
    readers = [ProcessReader(options.start_reader) for _ in range(n)]
    for reader in readers:
        stack.callback(reader.close)
        reader.open()
    return readers


def _patch_encoder(space: Space, whole: SlideAggregator, counted: RunProgress, stack: ExitStack) -> PatchEncoder:
    threads = stack.enter_context(ThreadPoolExecutor(_ENCODING_THREADS, thread_name_prefix="encode"))
    return PatchEncoder(space.image, aggregator_of(whole, "image"), threads, _sample_room(space), counted.encoded)


def _read_plan(space: Space, stride_um: float, options: RunOptions, *, thumbnails: bool) -> ReadPlan:
    patch = space.image.patch
    return ReadPlan(patch.side_um, patch.side_px, stride_um, thumbnails, options.batch_size or BATCH)


def _sample_room(space: Space) -> BoundedSemaphore:
    """Lets so many slides have their sample of patches in memory at once as there is room for."""
    sample_bytes = STAIN_SAMPLE * 3 * space.image.patch.side_px**2
    return BoundedSemaphore(max(1, _SAMPLE_BYTES // sample_bytes))


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
    tables: set[int] = set()
    for source in sources:
        if isinstance(source, BulkSample):
            if id(source.table) in tables:  # whose genes its first sample has given
                continue
            tables.add(id(source.table))
        try:
            symbols.update(panel_from_sources([source]).symbols)
        except (DataError, OSError) as error:  # reported with the slide itself, when its turn comes
            _LOG.debug("No genes of slide %s for the panel: %s", source.facts.slide, error)
    return panel_of(symbols, gene_table=gene_table)
