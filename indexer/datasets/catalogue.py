"""The public collections that HistoSeek has a route to, by name."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from indexer.datasets.collection import Collection, Plan, Selection
from indexer.datasets.cptac import CPTAC
from indexer.datasets.gdc import TCGA
from indexer.datasets.gtex import GTEX
from indexer.datasets.hest import HEST
from indexer.datasets.record import recorded_revision
from indexer.datasets.stimage import STIMAGE
from indexer.datasets.web import open_client
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

COLLECTIONS: Mapping[str, Collection] = {one.name: one for one in (HEST, STIMAGE, TCGA, GTEX, CPTAC)}


def choose_collection(name: str) -> Collection:
    """Collection of a name. Raises `FetchError`, which lists them all."""
    if name not in COLLECTIONS:
        raise FetchError(f"There is no collection {name!r}; expected one of: {', '.join(COLLECTIONS)}.")
    return COLLECTIONS[name]


def plan_collection(
    name: str, selection: Selection, *, folder: Path | None = None, settings: Settings | None = None
) -> Plan:
    """Which files a selection of a collection is, asked of its server; none is fetched.

    Parameters
    ----------
    name : str
        One of `COLLECTIONS`.
    selection : Selection
        What is wanted.
    folder : Path, optional
        Where it will go; a data set of the hub that was fetched there before stays at its commit.
    settings : Settings, optional
        Default: from the environment.

    Raises
    ------
    FetchError
        If the selection does not fit the collection or matches nothing, the server is not there or refuses, or a name
        it gives leads out of the folder.
    """
    settings = settings or Settings()
    collection = choose_collection(name)
    collection.check(selection)
    before = recorded_revision(folder, name) if folder is not None else None
    if before is not None and selection.revision is None and collection.keeps_revision:
        selection = replace(selection, revision=before)
    try:
        with open_client() as client:
            plan = collection.plan(client, selection, settings)
    except RefusedError as error:
        raise FetchError(f"{error}. {collection.explain(error, settings)}") from error
    if not plan.files:
        raise FetchError(f"{name} has no file for that choice. {' '.join(plan.notes)} Choose other parts or patterns.")
    return plan
