"""The app and its HTTP API under use: `python -m benchmarks.app [--db INDEX] [--json]`.

Rows of the screens in headless Chromium: seconds from the command to the first page, from a click on a tile to its hits
on the screen, ten people at once, milliseconds of a tile of a slide. Rows of the HTTP API: seconds to the first answer,
p50 and p95 of each verb, ten people at once for two minutes (errors, p95, memory), and 1,000 hostile uploads (answers
of 500 and above, files written). `--quick` takes less of each, within 50 s on the small generated index that is made
where `--db` names none. `--items 1000000` measures the screens on an index of that size. `--fuzz` asks all that the
schema allows, and what it does not, for `--minutes`.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.app_fuzz import fuzz
from benchmarks.app_people import BENCH, people_rows, verb_rows
from benchmarks.app_screens import screen_rows
from benchmarks.app_server import Served, make_index, make_large_index, serving
from benchmarks.app_uploads import hostile_uploads
from benchmarks.report import Row, markdown, show, write_between_marks


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked."""

    clicks: int = 50
    tabs_s: float = 30.0
    questions: int = 50
    seconds: float = 120.0
    uploads: int = 1_000


_QUICK = Size(clicks=10, tabs_s=0.0, questions=5, seconds=5.0, uploads=32)


def measure(db: Path, folder: Path, size: Size) -> Iterator[Row]:
    """All rows."""
    yield from screen_rows(db, folder, clicks=size.clicks, people_s=size.tabs_s)
    with serving(db, folder) as served:
        yield Row(BENCH, "HTTP first answer after the command", served.started_s, "s", "bar 5 s", 1)
        yield from verb_rows(served, size.questions)
        yield from people_rows(served, size.seconds)
        yield from upload_rows(served, db, size.uploads)


def upload_rows(served: Served, db: Path, n: int) -> Iterator[Row]:
    """Hostile uploads: answers that are a mistake of the server, and files of the index that changed."""
    before = _state(db)
    wrong = []
    with httpx.Client(base_url=served.url, timeout=60, trust_env=False) as client:
        for upload in hostile_uploads(n):
            sent = {"image": (upload.file_name, upload.content, upload.media_type)}
            status = client.post("/v1/search/patch", files=sent, data=upload.fields).status_code
            wrong += [f"{upload.name}: {status}"] if status >= 500 else []
    yield Row(BENCH, "HTTP hostile uploads, server errors", len(wrong), "answers", "bar 0", n, "; ".join(wrong[:3]))
    changed = {path for path, _ in _state(db) ^ before}
    yield Row(BENCH, "HTTP hostile uploads, files of the index written", len(changed), "files", "bar 0", n)


def fuzz_rows(db: Path, folder: Path, minutes: float) -> Iterator[Row]:
    """All that the schema allows, and what it does not."""
    with serving(db, folder) as served:
        found = fuzz(served.url, minutes * 60)
    note = f"{minutes:g} minutes; {found.n_answered:,} were answered"
    yield Row(BENCH, "HTTP fuzz, server errors", found.n_server_errors, "answers", "bar 0", found.n_asked, note)
    told = "; ".join(found.failures)
    yield Row(BENCH, "HTTP fuzz, other than published", len(found.failures), "answers", "bar 0", found.n_asked, told)


def _state(db: Path) -> set[tuple[Path, int]]:
    return {(path, path.stat().st_mtime_ns) for path in db.rglob("*") if path.is_file()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=__doc__)
    parser.add_argument("--db", type=Path, help="index to ask; a small generated one if not given")
    parser.add_argument("--items", type=int, help="the screens alone, on a generated index of so many tiles")
    parser.add_argument("--quick", action="store_true", help="less of everything, within 50 s")
    parser.add_argument("--fuzz", action="store_true", help="ask what the schema allows and what it does not")
    parser.add_argument("--minutes", type=float, default=10.0, help="of --fuzz")
    parser.add_argument("--write", type=Path, help="page whose table is replaced, such as docs/api.md")
    parser.add_argument("--json", action="store_true", dest="as_json")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        size = _QUICK if chosen.quick else Size()
        if chosen.items is not None:
            db = make_large_index(folder / "index", chosen.items)
            rows = screen_rows(db, folder, clicks=size.clicks, people_s=size.tabs_s)
        else:
            db = chosen.db or make_index(folder / "index")
            rows = fuzz_rows(db, folder, chosen.minutes) if chosen.fuzz else measure(db, folder, size)
        shown = show(rows, as_json=chosen.as_json)
    if chosen.write is not None:
        write_between_marks(chosen.write, markdown(shown))


if __name__ == "__main__":
    main()
