"""The demo: on generated sections when no data can be had, and on the real data; its pictures, page and report."""

import json
import re

import pytest

from app.demo import data as data_module
from app.demo.choice import choose
from app.demo.questions import questions
from indexer.datasets.download import fetch
from indexer.errors import FetchError, UnreachableError
from indexer.generated.sections import generated_sections
from search.engine import Engine

ANSWERS = {
    "overview", "image_to_expression", "expression_to_image", "slide_to_slide", "item_to_item", "cohorts",
    "predicted_expression", "cell_types",
}  # fmt: skip
PICTURES = ANSWERS | {"similarity_map", "regions"}


@pytest.fixture(scope="module")
def no_data():
    """Neither mirror nor upstream: every fetch fails. Generated sections are small."""

    def fail(*_, **__):
        raise UnreachableError("no route to the mirror.")

    def small(**_):
        return generated_sections(n_patients=3, side_px=1000)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_module, "fetch", fail)
        patch.setattr("indexer.generated.sections.generated_sections", small)
        yield


@pytest.fixture(scope="module")
def ran(no_data, tmp_path_factory):
    """Folder of a demo on generated data."""
    from app.cli.progress import bars
    from app.demo.pipeline import run_demo

    out = tmp_path_factory.mktemp("demo")
    with bars() as progress:
        report = run_demo(out, watcher=progress)
    return out, report


def test_without_data_the_demo_says_so_and_marks_everything(ran):
    out, report = ran
    page = (out / "gallery" / "index.html").read_text()
    assert report.data.generated
    assert report.db.name == "index-generated"
    assert "no route to the mirror" in report.data.notices[0]
    assert "no route to the mirror" in page
    for section in report.sections:
        for table in section.tables:
            assert "GENERATED DATA" in table.caption
        for figure in section.figures:
            assert "GENERATED DATA" in [text.get_text() for text in figure.draw().texts]


def test_every_question_is_answered_and_pictured(ran):
    out, report = ran
    assert {section.key for section in report.sections} == ANSWERS
    pictures = {path.stem for path in (out / "gallery").glob("*.png")}
    assert pictures == PICTURES
    assert not list((out / "gallery").glob("*.part"))
    hits = report.to_dict()["answers"]["image_to_expression"]["hits"]
    assert hits
    assert {hit["slide"] for hit in hits}.isdisjoint({report.choice.slide})


def test_the_page_holds_all_it_shows(ran):
    out, _ = ran
    page = (out / "gallery" / "index.html").read_text()
    assert page.count("data:image/png;base64,") == len(PICTURES)
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert page.count("<section") == len(ANSWERS) + 1
    assert page.count("<table>") >= 8


def test_items_are_chosen_by_their_rule(ran):
    _, report = ran
    engine = Engine.open(report.db)
    gene = engine.index.genes.index("ERBB2")
    rows = [
        row
        for row, (slide, kind) in enumerate(
            zip(engine.catalogue.column("slide"), engine.catalogue.column("kind"), strict=True)
        )
        if slide == report.choice.slide and kind == "spot"
    ]
    counts = engine.index.expression(rows).toarray()[:, gene]
    chosen = rows.index(engine.catalogue.row_of(report.choice.spot))
    assert counts[chosen] == counts.max()
    assert report.choice == choose(engine)
    assert f"({counts.max():.0f})" in report.choice.spot_rule


def test_a_second_run_adds_nothing_and_answers_the_same(ran):
    from app.cli.progress import bars
    from app.demo.pipeline import run_demo

    out, first = ran
    with bars() as progress:
        second = run_demo(out, watcher=progress)
    assert second.build.added == ()
    assert set(second.build.skipped) == set(first.build.added)
    one, two = (report.to_dict()["answers"]["item_to_item"]["hits"] for report in (first, second))
    assert one == two


def test_an_index_of_another_space_is_refused_with_the_way_out(ran, tmp_path, histoseek):
    import shutil

    out, _ = ran
    shutil.copytree(out, tmp_path / "old")
    card = tmp_path / "old" / "index-generated" / "card.json"
    content = json.loads(card.read_text())
    content["space"]["revision"] = "0-older"
    card.write_text(json.dumps(content))
    done = histoseek("demo", "--no-serve", "--out", tmp_path / "old")
    assert done.code == 1
    assert "0-older" in done.stderr
    assert "--out" in done.stderr


def test_cells_that_cannot_be_had_leave_the_cell_types_out(monkeypatch, ran):
    _, report = ran

    def fetched(name, *_):
        if name == data_module.CELLS:
            raise UnreachableError("wu2021 is in neither mirror nor cache.")
        return list(report.data.sources)

    monkeypatch.setattr(data_module, "_fetched", fetched)
    data = data_module.demo_data(lambda *_: lambda *_: None)
    asked = [name for name, _ in questions(Engine.open(report.db), report.choice, data)]
    assert not data.generated
    assert "wu2021" in data.notices[0]
    assert "cell types" not in asked


def test_a_wrong_file_of_the_mirror_is_an_error_and_no_reason_to_generate(monkeypatch, tmp_path):
    wrong = tmp_path / "her2st" / "counts" / "A1.tsv.gz"
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"not the counts")
    monkeypatch.setenv("HISTOSEEK_MIRROR", str(tmp_path))
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(data_module, "fetch", fetch)  # the real one
    with pytest.raises(FetchError, match=r"A1\.tsv\.gz is wrong"):
        data_module.demo_data(lambda *_: lambda *_: None)
