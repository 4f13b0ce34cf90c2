"""`histoseek index optimize | delete | versions | tag | rollback | unlock`: what an index that grows needs."""

import os
import time
from datetime import timedelta
from typing import Annotated

import typer

from app.cli.options import DEFAULT_DB, AsJson, Db
from app.cli.output import say, show
from app.cli.progress import bars
from app.tables.view import Column, TableView, size_text

Wait = Annotated[float, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait so long for another writer.")]
Slides = Annotated[list[str], typer.Option("--slide", help="The slide; may be repeated.")]
Version = Annotated[str, typer.Argument(metavar="VERSION|TAG", help="Number or tag, see `histoseek index versions`.")]
OfVersion = Annotated[str | None, typer.Option("--version", help="Number or tag; default: the present version.")]

_LOW_PRIORITY = 10


def register(verbs: typer.Typer) -> None:
    """Add the verbs to `verbs`."""
    verbs.command("optimize")(optimize)
    verbs.command("delete")(delete)
    verbs.command("versions")(versions)
    verbs.command("tag")(tag)
    verbs.command("rollback")(rollback)
    verbs.command("unlock")(unlock)


def optimize(
    *,
    db: Db = DEFAULT_DB,
    keep_hours: Annotated[
        float,
        typer.Option("--keep-hours", min=0, help="Keep versions replaced within so many hours; tagged ones stay."),
    ] = 24.0,
    lance_index: Annotated[
        bool,
        typer.Option(
            "--lance-index", help="Also make LanceDB's own index, for `--engine lance`; later runs keep it up."
        ),
    ] = False,
    watch: Annotated[
        float | None, typer.Option("--watch", min=1, metavar="SECONDS", help="Go on, and look again every so often.")
    ] = None,
    wait: Wait = 0.0,
    as_json: AsJson = False,
) -> None:
    """Fold newly added rows in and let go of old versions; searches go on meanwhile."""
    from indexer.upkeep.lance_upkeep import make_lance_indexes
    from indexer.upkeep.maintenance import optimize_index

    os.nice(_LOW_PRIORITY)  # searches on this machine come first
    if lance_index:
        with bars() as progress:
            make_lance_indexes(db, wait_s=wait, progress=progress)
    while True:
        with bars() as progress:
            report = optimize_index(db, keep=timedelta(hours=keep_hours), wait_s=wait, progress=progress)
        size = f"{size_text(report.bytes_before)} to {size_text(report.bytes_after)}"
        line = (
            f"Version {report.version}: {report.fragments_before} data files became {report.fragments_after}, {size}; "
            f"{len(report.versions_removed)} versions let go, {len(report.versions_kept)} kept; {report.seconds:.1f} s."
        )
        show({"db": db, "report": report}, [line], as_json=as_json)
        if watch is None:
            return
        time.sleep(watch)


def delete(slide: Slides, *, db: Db = DEFAULT_DB, wait: Wait = 0.0, as_json: AsJson = False) -> None:
    """Take slides out of an index, in one commit; `rollback` brings them back."""
    from indexer.upkeep.editing import delete_slides

    card = delete_slides(db, slide, wait_s=wait)
    line = f"{len(set(slide))} slides deleted; version {card.version} holds {sum(card.counts.values()):,} items."
    show({"db": db, "version": card.version, "deleted": sorted(set(slide))}, [line], as_json=as_json)


def versions(*, db: Db = DEFAULT_DB, as_json: AsJson = False) -> None:
    """List the versions of an index that can be opened (`--db INDEX@VERSION`) or gone back to."""
    from indexer.store.location import locate
    from indexer.store.versions import history, read_tags

    location = locate(db)
    names: dict[int, list[str]] = {}
    for name, number in read_tags(location).items():
        names.setdefault(number, []).append(name)
    cards = history(location)
    rows = [
        {
            "version": card.version,
            "committed_at": card.committed_at,
            "change": card.change,
            "slides": card.n_slides,
            "items": sum(card.counts.values()),
            "tags": names.get(card.version, []),
        }
        for card in cards
    ]
    columns = (
        Column("version", "right"),
        Column("committed at"),
        Column("change", wrap=True),
        Column("slides", "right"),
        Column("items", "right"),
        Column("tags"),
    )
    lines = [
        (
            str(card.version),
            card.committed_at,
            card.change,
            str(card.n_slides),
            f"{sum(card.counts.values()):,}",
            ", ".join(names.get(card.version, [])),
        )
        for card in cards
    ]
    show({"db": db, "versions": rows}, [TableView(title="Versions", columns=columns, rows=lines)], as_json=as_json)


def tag(
    name: Annotated[str, typer.Argument(help="Name to give.")],
    *,
    version: OfVersion = None,
    move: Annotated[bool, typer.Option("--move", help="Take the name from the version that has it.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the name away.")] = False,
    db: Db = DEFAULT_DB,
    wait: Wait = 0.0,
    as_json: AsJson = False,
) -> None:
    """Name a version, so that it is kept for ever and can be opened as INDEX@NAME."""
    from indexer.store.versions import remove_tag, tag_version

    if remove:
        remove_tag(db, name, wait_s=wait)
        show({"db": db, "removed": name}, [f"Tag {name} removed."], as_json=as_json)
        return
    card = tag_version(db, name, version, move=move, wait_s=wait)
    show({"db": db, "tag": name, "version": card.version}, [f"Version {card.version} is {name}."], as_json=as_json)


def rollback(version: Version, *, db: Db = DEFAULT_DB, wait: Wait = 0.0, as_json: AsJson = False) -> None:
    """Make an earlier version the present one, as a new commit."""
    from indexer.upkeep.editing import roll_back

    card = roll_back(db, version, wait_s=wait)
    line = f"Version {card.version} is as {version} was: {card.n_slides} slides, {sum(card.counts.values()):,} items."
    show({"db": db, "version": card.version, "restored": version}, [line], as_json=as_json)


def unlock(*, db: Db = DEFAULT_DB) -> None:
    """Take away the lock that a killed writer left in a bucket; a folder needs none."""
    from indexer.store.location import locate
    from indexer.store.locks import break_lock

    holder = break_lock(locate(db))
    say("There was no lock." if holder is None else f"The lock of {holder} is taken away.")
