"""`histoseek data`: the data sets of the manifest and the public collections, fetched and verified."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.collection_verbs import get_collection, list_collections
from app.cli.options import AsJson, ManifestPath
from app.cli.output import DONE_WITH_FAILURES, say, show
from app.cli.progress import bars
from app.tables.data import dataset_row, datasets_table, files_table
from app.tables.view import size_text
from indexer.datasets.manifest import Dataset, Manifest, load_manifest
from indexer.errors import FetchError

if TYPE_CHECKING:
    from indexer.datasets.digests import FileState

Names = Annotated[list[str] | None, typer.Argument(help="Data sets of the manifest; all by default.")]
Slides = Annotated[list[str] | None, typer.Option("--slide", help="Only this slide's files; may be repeated.")]


def register(command: typer.Typer) -> None:
    """Add the verbs to `command`."""
    verbs = typer.Typer(help="Public data sets: list them, get them, check their files.", no_args_is_help=True)
    verbs.command("list")(list_datasets)
    verbs.command("fetch")(fetch_datasets)
    verbs.command("verify")(verify_datasets)
    verbs.command("collections")(list_collections)
    verbs.command("get")(get_collection)
    verbs.command("aliases")(make_aliases)
    command.add_typer(verbs, name="data")


def list_datasets(*, manifest: ManifestPath = None, as_json: AsJson = False) -> None:
    """List the data sets with their size and licence."""
    loaded = load_manifest(manifest)
    rows = [dataset_row(dataset) for dataset in loaded.datasets.values()]
    show({"datasets": rows}, [datasets_table(loaded)], as_json=as_json)


def fetch_datasets(
    names: Names = None, *, slide: Slides = None, manifest: ManifestPath = None, as_json: AsJson = False
) -> None:
    """Get data sets from the mirror (HISTOSEEK_MIRROR) or upstream, verified by SHA-256; resumes."""
    from indexer.datasets.download import fetch

    fetched: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with bars() as progress:
        for dataset in _chosen(load_manifest(manifest), names):
            files = dataset.paths(slides=slide) if slide else tuple(file.path for file in dataset.files)
            total = sum(dataset.file(path).bytes for path in files)
            try:
                paths = fetch(dataset, files=files, progress=progress.download(dataset.name, total))
            except FetchError as error:
                failed.append({"dataset": dataset.name, "error": str(error)})
                continue
            fetched.append({"dataset": dataset.name, "files": len(paths), "bytes": total, "paths": paths})
    lines = [f"{row['dataset']}: {row['files']} files, {size_text(row['bytes'])}, verified" for row in fetched]
    show({"fetched": fetched, "failed": failed}, lines, as_json=as_json)
    _finish(failed)


def make_aliases(
    hgnc: Annotated[
        Path | None,
        typer.Argument(metavar="HGNC_COMPLETE_SET", help="hgnc_complete_set.txt of HGNC; by default it is fetched."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a newer table of previous gene symbols and aliases than the one that comes with HistoSeek.

    HGNC's complete set (CC0) is fetched if no file is named; ingest then uses what is made of it as well.
    """
    from indexer.datasets.gene_names import fetch_hgnc
    from indexer.genes.aliases import aliases_of_hgnc, write_aliases
    from indexer.settings import Settings
    from indexer.sources import ALIASES

    if hgnc is None:
        with bars() as progress:
            hgnc = fetch_hgnc(Settings(), lambda _, have, size: progress.update("HGNC", have / 1e6, size / 1e6 or None))
    aliases = aliases_of_hgnc(hgnc)
    path = Settings().cache_dir / ALIASES
    write_aliases(aliases, path)
    several = sum(len(symbols) > 1 for symbols in aliases.values())
    line = f"{len(aliases):,} previous symbols and aliases, {several:,} of several genes: {path}"
    show({"aliases": len(aliases), "ambiguous": several, "path": path}, [line], as_json=as_json)


def verify_datasets(
    names: Annotated[
        list[str] | None, typer.Argument(help="Data sets of the manifest, or folders of `data get`; all data sets.")
    ] = None,
    *,
    manifest: ManifestPath = None,
    as_json: AsJson = False,
) -> None:
    """Check every local file of data sets, or of folders that `data get` filled; nothing is downloaded."""
    from indexer.datasets.download import verify
    from indexer.datasets.record import RECORD, recorded_files, verify_folder
    from indexer.settings import Settings

    states: dict[str, list[dict[str, Any]]] = {}
    folders = [name for name in names or () if (Path(name) / RECORD).is_file()]
    others = [name for name in names or () if name not in folders]
    for name in folders:
        sizes = {file.path: file.bytes for file in recorded_files(Path(name))}
        states[name] = [_state_row(state, sizes[state.path]) for state in verify_folder(Path(name), Settings())]
    for dataset in _chosen(load_manifest(manifest), others) if others or not folders else ():
        states[dataset.name] = [_state_row(state, dataset.file(state.path).bytes) for state in verify(dataset)]
    wrong = {name: [row for row in rows if row["state"] != "verified"] for name, rows in states.items()}
    lines = [
        f"{name}: {len(rows) - len(wrong[name])} of {len(rows)} files are here and match"
        for name, rows in states.items()
    ]
    tables = [files_table(f"{name}: files to fetch again", rows) for name, rows in wrong.items() if rows]
    show({"datasets": states}, [*lines, *tables], as_json=as_json)
    _finish(
        [
            {"dataset": name, "error": f"{len(rows)} of its files are missing or differ"}
            for name, rows in wrong.items()
            if rows
        ]
    )


def _state_row(state: "FileState", n_bytes: int | None) -> dict[str, Any]:
    return {"path": state.path, "bytes": n_bytes, "state": state.state, "note": state.reason}


def _chosen(manifest: Manifest, names: list[str] | None) -> list[Dataset]:
    return [manifest.dataset(name) for name in names or manifest.datasets]


def _finish(failed: list[dict[str, str]]) -> None:
    for row in failed:
        say(f"failed: {row['dataset']}: {row['error']}")
    if failed:
        raise typer.Exit(DONE_WITH_FAILURES)
