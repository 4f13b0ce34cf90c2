"""What HistoSeek finds around it: spaces and their weights, settings, and an index."""

import os
from pathlib import Path
from urllib.request import getproxies

from pydantic import ValidationError

from encoders.errors import HistoSeekError
from encoders.registry import describe_spaces, shipped_spaces
from encoders.weights import weights_folder
from indexer.doctor.findings import Finding, State
from indexer.index import Index
from indexer.settings import Settings
from indexer.upkeep.inventory import leftovers, version_problems
from indexer.vectors.sidecar_card import MODALITIES


def look_at_spaces() -> list[Finding]:
    """Every space: shipped ones must be ready, others say what they lack."""
    found = []
    for status in describe_spaces():
        if status.state == "ready":
            licence = "" if status.card is None else f", revision {status.card.revision}, licence {status.card.licence}"
            found.append(Finding("spaces", status.name, f"ready{licence}"))
        else:
            state: State = "broken" if status.name in shipped_spaces() else "note"
            found.append(Finding("spaces", status.name, status.state, state, status.hint))
    return found


def look_at_settings() -> list[Finding]:
    """Mirror, cache, weights folder, and proxies, from the environment."""
    try:
        settings = Settings()
    except ValidationError as error:
        problem = error.errors()[0]
        name = f"HISTOSEEK_{'_'.join(map(str, problem['loc'])).upper()}"
        return [Finding("settings", name, str(problem["msg"]), "broken", f"Correct {name} in the environment.")]
    return [_mirror(settings), Finding("settings", "weights", f"looked for in {weights_folder()}"), *_proxies()]


def look_at_index(uri: str) -> list[Finding]:
    """Whether an index opens, its versions can be opened, and its vectors fit; `index verify` compares every row."""
    try:
        index = Index.open(uri)
        card = index.card
        counts = ", ".join(f"{count:,} {kind}s" for kind, count in card.counts.items())
        found = [
            Finding("index", uri, f"version {card.version}, space {card.space.name} {card.space.revision}: {counts}")
        ]
        n_rows = {modality: len(index.vectors(modality)) for modality in MODALITIES}
        found.append(Finding("index", "vectors", ", ".join(f"{n:,} {modality}" for modality, n in n_rows.items())))
        found += [Finding("index", "versions", problem, "broken") for problem in version_problems(index)]
        left = "; ".join(leftovers(index))
        failed = index.failed().num_rows
    except HistoSeekError as error:
        return [Finding("index", uri, str(error), "broken", "See the sentence; `histoseek index verify` says more.")]
    if left:
        step = "Harmless; `histoseek index optimize` removes it."
        found.append(Finding("index", "left by killed writers", left, "note", step))
    if failed:
        step = "`histoseek index runs last` says why and what to do."
        found.append(Finding("index", "failed slides", f"{failed}", "note", step))
    return found


def _mirror(settings: Settings) -> Finding:
    if settings.mirror is None:
        return Finding("settings", "mirror", "none: data sets are fetched from their publishers")
    folder = settings.mirror_folder
    if folder is not None and not folder.is_dir():
        step = "Set HISTOSEEK_MIRROR to a folder that is there or to an address, or unset it."
        return Finding("settings", "mirror", f"{folder} is no folder", "broken", step)
    return Finding("settings", "mirror", str(folder or settings.mirror_url))


def _proxies() -> list[Finding]:
    """Proxies by name; their passwords are not shown."""
    known = {name: address for name, address in getproxies().items() if name in {"http", "https", "all"}}
    shown = ", ".join(f"{name} through {address.rpartition('@')[2]}" for name, address in sorted(known.items()))
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates and not Path(certificates).is_file():
        step = "Set SSL_CERT_FILE to the certificates of your proxy, or unset it."
        return [Finding("settings", "certificates", f"{certificates} is not there", "broken", step)]
    return [Finding("settings", "proxies", shown or "none")]
