"""`histoseek data collections | get`: public collections, chosen, fetched and verified."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson
from app.cli.output import DONE_WITH_FAILURES, say, show
from app.cli.progress import Bars, bars
from app.tables.collection import (
    chosen_table,
    collection_row,
    collections_table,
    failures_table,
    plan_row,
    plan_table,
)
from app.tables.view import TableView, size_text

if TYPE_CHECKING:
    from indexer.datasets.collection import Plan
    from indexer.datasets.receiving import Outlook, Received
    from indexer.datasets.transfer import FetchProgress

Several = list[str] | None


def _option(name: str, what: str) -> object:
    return typer.Option(name, help=f"{what}; several by commas or repeated.")


def list_collections(*, as_json: AsJson = False) -> None:
    """List the public collections that can be fetched: licence, access, size, route."""
    from indexer.datasets.catalogue import COLLECTIONS

    rows = [collection_row(one) for one in COLLECTIONS.values()]
    show({"collections": rows}, [collections_table(COLLECTIONS.values())], as_json=as_json)


def get_collection(
    name: Annotated[str, typer.Argument(metavar="NAME", help="hest, stimage, tcga, gtex or cptac.")],
    *,
    to: Annotated[Path, typer.Option("--to", help="Folder for the files; a second run adds to it.")],
    ids: Annotated[Several, _option("--ids", "Samples, slides or cases; @FILE has one a line")] = None,
    organ: Annotated[Several, _option("--organ", "Organ, as the collection writes it")] = None,
    species: Annotated[Several, _option("--species", "human, mouse ...")] = None,
    technology: Annotated[Several, _option("--technology", "Visium, Xenium ...")] = None,
    diagnosis: Annotated[Several, _option("--diagnosis", "OncoTree code, such as IDC")] = None,
    project: Annotated[Several, _option("--project", "Project of the GDC, such as TCGA-BRCA")] = None,
    tissue: Annotated[Several, _option("--tissue", "Tissue of GTEx, such as Whole_Blood")] = None,
    part: Annotated[Several, _option("--part", "Kind of files; `data collections` lists them")] = None,
    pattern: Annotated[Several, _option("--pattern", "Only files whose path matches, such as 'st/*'")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Commit or release; default the newest.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many samples.")] = None,
    complete: Annotated[bool, typer.Option("--complete", help="Only samples or cases that have every part.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Nothing narrows it: the whole collection.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched, and fetch nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=16, help="Files at a time.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Fetch a choice of a public collection: resumed, verified, with tables of its slides and its licence.

    What it would be is shown first. The folder is then ready for `histoseek ingest`.
    """
    from indexer.datasets.catalogue import plan_collection
    from indexer.datasets.collection import Selection
    from indexer.datasets.receiving import outlook, receive_plan
    from indexer.settings import Settings

    selection = Selection(
        ids=_values(ids),
        organ=_values(organ),
        species=_values(species),
        technology=_values(technology),
        diagnosis=_values(diagnosis),
        project=_values(project),
        tissue=_values(tissue),
        part=_values(part),
        pattern=_values(pattern),
        revision=revision,
        limit=limit,
        complete=complete,
        everything=everything,
    )
    settings = Settings()
    with bars() as progress, progress.working(f"asking for {name}"):
        plan = plan_collection(name, selection, folder=to, settings=settings)
    ahead = outlook(plan, to)
    if dry_run:
        views: list[TableView | str] = [chosen_table(plan), plan_table(plan, ahead), "Nothing was fetched."]
        show({"plan": plan_row(plan, ahead)}, views, as_json=as_json)
        return
    if not yes:
        _ask(plan, ahead)
    with bars() as progress:
        received = receive_plan(plan, to, settings, workers=parallel, progress=_bar(progress, plan))
    _show(plan, plan_row(plan, ahead), to, received, as_json=as_json)


def _bar(progress: Bars, plan: "Plan") -> "FetchProgress":
    """One bar over all files, in MB; without an end where a size is not known."""
    had: dict[str, int] = {}
    total = None if any(file.expected.bytes is None for file in plan.files) else plan.bytes / 1e6
    done = 0

    def listen(path: str, have: int, _: int) -> None:
        nonlocal done
        done += have - had.get(path, 0)
        had[path] = have
        progress.update(plan.collection.name, done / 1e6, total, path.rsplit("/", 1)[-1])

    return listen


def _ask(plan: "Plan", ahead: "Outlook") -> None:
    """Have the user agree to size and licence."""
    from app.cli.output import stderr_console

    if not sys.stdin.isatty():
        what = f"{ahead.n_files:,} files, {size_text(ahead.n_bytes)}"
        raise typer.BadParameter(f"{what}: nobody is there to agree; add --yes, or look at it with --dry-run.")
    console = stderr_console()
    view = plan_table(plan, ahead)
    console.print(view.title)
    for row in view.rows:
        console.print("  ".join(row))
    console.print(view.caption)
    typer.confirm("Fetch them?", abort=True, err=True)


def _show(plan: "Plan", planned: dict[str, Any], to: Path, received: "Received", *, as_json: bool) -> None:
    commands = _commands(plan, to)
    line = (
        f"{len(received.fetched):,} files fetched, {len(received.kept):,} were there, {len(received.failed):,} failed; "
        f"{plan.collection.name} at {plan.revision} in {to}. Licence: {plan.licence}."
    )
    payload = {
        "plan": planned,
        "folder": to,
        "fetched": received.fetched,
        "kept": received.kept,
        "failed": received.failed,
        "next": commands,
    }
    views = [line, *plan.notes, *(f"next: {command}" for command in commands)]
    failures = [failures_table(received.failed)] if received.failed else []
    show(payload, [*views, *failures], as_json=as_json)
    if received.failed:
        say("Run the same command again: what came is kept.")
        raise typer.Exit(DONE_WITH_FAILURES)


def _commands(plan: "Plan", to: Path) -> list[str]:
    """Commands of the collection that read what is there now."""
    place = shlex.quote(str(to))
    ready = {"slides.csv": bool(plan.slides), "samples.csv": bool(plan.samples)}
    return [
        command.format(to=place)
        for command in plan.collection.ingest
        if all(is_there or table not in command for table, is_there in ready.items())
    ]


def _values(given: Several) -> tuple[str, ...]:
    """Values of an option, split at commas; `@FILE` stands for its lines."""
    values: list[str] = []
    for one in given or ():
        if one.startswith("@"):
            try:
                values += Path(one[1:]).read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise typer.BadParameter(f"cannot read {one[1:]}: {error.strerror}.") from error
        else:
            values += one.split(",")
    return tuple(dict.fromkeys(value.strip() for value in values if value.strip()))
