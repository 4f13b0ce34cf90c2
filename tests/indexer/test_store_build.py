"""What a build puts into an index, and what a second one leaves alone."""

import numpy as np
import pytest

from encoders.contracts import SectionStats
from encoders.errors import SpaceMismatchError
from indexer.building.build import build_index
from indexer.building.run_options import RunOptions
from indexer.errors import IndexMissingError, WriteError
from indexer.genes.panel import panel_of
from indexer.index import Index
from indexer.progress import Progress
from indexer.schema import ITEM_COLUMNS
from indexer.upkeep import maintenance
from indexer.verification import find_problems
from tests.indexer.store_doubles import DIM, GENES, fake_space, rows_of, write_source


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An index of an image section, an expression-only section, a data set of cells, bulk samples, a bare image."""
    folder = tmp_path_factory.mktemp("built")
    sources = [
        write_source(folder / "src", "A1"),
        write_source(folder / "src", "B1", image=False),
        write_source(folder / "src", "C1", image=False, kind="cell"),
        write_source(folder / "src", "D1", image=False, kind="transcriptome", spots=1),
        write_source(folder / "src", "E1", spots=None),
    ]
    report = build_index(folder / "idx", sources, fake_space(), tile_stride_um=60)
    return folder, sources, report


def test_every_kind_is_there_once(built):
    folder, _, report = built
    index = Index.open(folder / "idx")
    table = index.metadata()
    ids = table["id"].to_pylist()
    assert report.added == ("A1", "B1", "C1", "D1", "E1")
    assert len(set(ids)) == len(ids) == report.n_items == sum(index.card.counts.values())
    assert index.card.counts["slide"] == 5
    assert index.card.counts["spot"] == 24
    assert index.card.counts["cell"] == 12
    assert index.card.counts["transcriptome"] == 1
    assert index.card.counts["tile"] > 20
    assert table.column_names == list(ITEM_COLUMNS)
    assert {"A1/slide/A1", "A1/spot/s3", "C1/cell/s0", "D1/transcriptome/s0"} <= set(ids)
    assert find_problems(index) == []


def test_positions_are_centres_and_slides_have_none(built):
    index = Index.open(built[0] / "idx")
    for row in index.metadata().to_pylist():
        assert (row["x_px"] is None) == (row["kind"] == "slide")
        if row["kind"] == "tile":
            assert row["id"] == f"{row['slide']}/tile/{row['x_px']:.0f}x{row['y_px']:.0f}"
            assert row["side_px"] == pytest.approx(40.0)  # 40 um at 1 um/px


def test_vectors_are_unit_rows_of_the_items_that_have_the_modality(built):
    index = Index.open(built[0] / "idx")
    kinds = np.array(index.metadata()["kind"].to_pylist())
    slides = np.array(index.metadata()["slide"].to_pylist())
    image, expression = index.vectors("image"), index.vectors("expression")
    assert set(slides[image.rows]) == {"A1", "E1"}
    assert set(kinds[expression.rows]) == {"slide", "spot", "cell", "transcriptome"}
    for vectors in (image, expression):
        np.testing.assert_allclose(np.linalg.norm(vectors.vectors, axis=1), 1, atol=1e-5)
        assert vectors.vectors.dtype == np.float32


def test_a_section_is_centred_on_itself_and_its_slide_vector_is_not(built):
    index, image = Index.open(built[0] / "idx"), built[1][0].open_image()
    encoder = fake_space().image
    rows = [(i, row) for i, row in enumerate(index.metadata().to_pylist()) if row["slide"] == "A1"]
    patches = [image.read(row["x_px"], row["y_px"], 40.0, 16) for _, row in rows[1:]]
    features = encoder.features(np.stack(patches))
    stats = SectionStats.from_list(index.slides()["section_stats"][0].as_py())
    np.testing.assert_allclose(stats.centre, features.mean(axis=0), atol=1e-6)
    stored = dict(zip(index.vectors("image").rows.tolist(), index.vectors("image").vectors, strict=True))
    own = encoder.project(features, centre=features.mean(axis=0))
    np.testing.assert_allclose([stored[i] for i, _ in rows[1:]], own, atol=1e-4)
    mean = encoder.project(features).mean(axis=0)
    np.testing.assert_allclose(stored[rows[0][0]], mean / np.linalg.norm(mean), atol=1e-5)


def test_expression_comes_back_as_it_was_read(built):
    folder, sources, _ = built
    index = Index.open(folder / "idx")
    read = sources[0].read_expression()
    ids = index.metadata()["id"].to_pylist()
    rows = [ids.index(f"A1/spot/{name}") for name in read.names]
    stored = index.expression([*rows[::-1], rows[0]])
    columns = [index.genes.index(gene) for gene in read.genes]
    np.testing.assert_array_equal(stored[:, columns].toarray()[:-1], read.counts.toarray()[::-1])
    np.testing.assert_array_equal(stored[-1].toarray(), stored[-2].toarray())
    totals = [index.metadata()["total_counts"][row].as_py() for row in rows]
    np.testing.assert_array_equal(totals, np.asarray(read.counts.sum(axis=1)).ravel())
    whole = index.expression([ids.index("A1/slide/A1")])
    np.testing.assert_array_equal(whole[:, columns].toarray(), np.asarray(read.counts.sum(axis=0)))


def test_thumbnails_are_jpegs_of_items_with_a_patch(built):
    index = Index.open(built[0] / "idx")
    kinds = index.metadata()["kind"].to_pylist()
    images = set(index.vectors("image").rows.tolist())
    for row, jpeg in enumerate(index.thumbnails(range(len(index)))):
        assert (jpeg is not None) == (row in images and kinds[row] != "slide")
        assert jpeg is None or jpeg[:2] == b"\xff\xd8"


def test_totals_count_genes_outside_the_panel(tmp_path):
    source = write_source(tmp_path / "src", "A1", image=False)
    build_index(tmp_path / "idx", [source], fake_space(), panel=panel_of(GENES[:5]))
    index = Index.open(tmp_path / "idx")
    slide = index.slides().to_pylist()[0]
    assert (slide["n_genes_read"], slide["n_genes_outside_panel"]) == (21, 16)
    total = index.metadata()["total_counts"][0].as_py()
    assert total == source.read_expression().counts.sum() > index.expression([0]).sum()


def test_a_second_run_adds_nothing(built):
    folder, sources, _ = built
    before = rows_of(folder / "idx")
    versions = Index.open(folder / "idx").card.table_versions
    report = build_index(folder / "idx", sources, fake_space(), tile_stride_um=60)
    assert (report.added, report.replaced, report.failed) == ((), (), ())
    assert len(report.skipped) == 5
    assert rows_of(folder / "idx") == before
    assert Index.open(folder / "idx").card.table_versions == versions


def test_a_changed_slide_is_replaced_without_leftovers(tmp_path):
    sources = [write_source(tmp_path / "src", name) for name in ("A1", "B1", "C'1")]
    build_index(tmp_path / "idx", sources, fake_space())
    Index.open(tmp_path / "idx").vectors("image")
    changed = [write_source(tmp_path / "src", "A1", seed=99, spots=5), *sources[1:2]]
    quoted = write_source(tmp_path / "src", "C'1", seed=7, image=False)
    report = build_index(tmp_path / "idx", [*changed, quoted], fake_space())
    assert (report.replaced, report.skipped) == (("A1", "C'1"), ("B1",))
    build_index(tmp_path / "fresh", [*changed, quoted], fake_space())
    assert rows_of(tmp_path / "idx") == rows_of(tmp_path / "fresh")
    assert find_problems(Index.open(tmp_path / "idx")) == []


def test_a_bad_slide_is_noted_and_the_others_go_on(tmp_path):
    sources = [write_source(tmp_path / "src", "A1"), write_source(tmp_path / "src", "B1", bad=True)]
    sources += [write_source(tmp_path / "src", "C1"), write_source(tmp_path / "src", "D1")]
    (tmp_path / "src" / "D1.json").unlink()
    report = build_index(tmp_path / "idx", sources, fake_space())
    assert report.added == ("A1", "C1")
    assert [(failed.slide, failed.error) for failed in report.failed] == [
        ("B1", "CountsError"),
        ("D1", "FileNotFoundError"),
    ]
    index = Index.open(tmp_path / "idx")
    assert index.card.n_failed == 2
    assert "on purpose" in index.failed().to_pylist()[0]["reason"]
    sources[1] = write_source(tmp_path / "src", "B1")
    report = build_index(tmp_path / "idx", sources[:3], fake_space())
    assert (report.added, report.failed) == (("B1",), ())
    assert [row["slide"] for row in Index.open(tmp_path / "idx").failed().to_pylist()] == ["D1"]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ({"swap": True}, "JoinError", "swapped"),
        ({"names": ["s"] * 12}, "JoinError", "more than once"),
        ({"names": ["s", "t"]}, "JoinError", "12 rows of counts, 2 names"),
        ({"spots": 0}, "CountsError", "no rows"),
        ({"spots": None, "image": False}, "SlideError", "neither"),
    ],
)
def test_what_does_not_fit_together_says_so(tmp_path, content, error, says):
    report = build_index(tmp_path / "idx", [write_source(tmp_path / "src", "A1", **content)], fake_space())
    assert [failed.error for failed in report.failed] == [error]
    assert says in report.failed[0].reason
    assert len(Index.open(tmp_path / "idx")) == 0


def test_an_image_without_mpp_is_refused(tmp_path):
    source = write_source(tmp_path / "src", "A1")
    source._mpp = None
    report = build_index(tmp_path / "idx", [source], fake_space())
    assert "mpp None" in report.failed[0].reason


def test_a_slide_given_twice_is_said(tmp_path):
    source = write_source(tmp_path / "src", "A1")
    report = build_index(tmp_path / "idx", [source, source], fake_space())
    assert report.added == ("A1",)
    assert "given twice" in report.failed[0].reason


def test_another_space_revision_panel_or_tiling_is_refused(tmp_path):
    source = write_source(tmp_path / "src", "A1", image=False)
    build_index(tmp_path / "idx", [source], fake_space())
    with pytest.raises(SpaceMismatchError, match=r"'fake' revision '1'.*'fake' revision '2'"):
        build_index(tmp_path / "idx", [source], fake_space(revision="2"))
    with pytest.raises(SpaceMismatchError, match=r"'fake'.*'other'"):
        Index.open(tmp_path / "idx", space=fake_space(name="other").card)
    with pytest.raises(WriteError, match="gene panel"):
        build_index(tmp_path / "idx", [source], fake_space(), panel=panel_of(["X"]))
    with pytest.raises(WriteError, match="every 200 um"):
        build_index(tmp_path / "idx", [source], fake_space(), tile_stride_um=100)
    assert Index.open(tmp_path / "idx", space=fake_space().card).card.space.dim == DIM


def test_a_missing_index_names_the_command(tmp_path):
    with pytest.raises(IndexMissingError, match="histoseek ingest"):
        Index.open(tmp_path / "nothing")
    with pytest.raises(IndexMissingError, match="s3://BUCKET/PREFIX"):
        Index.open("gs://bucket/index")


def test_progress_hears_of_every_slide_and_patch(tmp_path):
    heard = []

    class Listener(Progress):
        def update(self, stage, done, total, slide):
            heard.append((stage, done, total, slide))

    sources = [write_source(tmp_path / "src", name) for name in ("A1", "B1")]
    report = build_index(tmp_path / "idx", sources, fake_space(), progress=Listener())
    assert ("slides", 2, 2, "B1") in heard
    ends = [(done, total) for stage, done, total, _ in heard if stage == "tiles"]
    assert ends[-1][0] == ends[-1][1] == report.n_items - 2
    assert {"read", "tile", "encode", "write", "sidecar", "leaks"} == set(report.seconds)
    assert report.peak_rss_mb > 10


def test_a_long_run_folds_rows_in_on_the_way(tmp_path, monkeypatch):
    sources = [write_source(tmp_path / "src", name) for name in ("A1", "B1", "C1", "D1")]
    build_index(tmp_path / "idx", sources[:1], fake_space())
    monkeypatch.setattr(maintenance, "ALWAYS_FOLDED_ITEMS", 5)
    monkeypatch.setattr(maintenance, "FOLDED_EVERY", 30)
    folded, refresh = [], maintenance.refresh_sidecar

    def noted(folder, modality, table, **options):
        folded.append(table.count())
        refresh(folder, modality, table, **options)

    monkeypatch.setattr(maintenance, "refresh_sidecar", noted)
    n_items = build_index(tmp_path / "idx", sources, fake_space(), run=RunOptions(commit_s=0)).n_items
    assert folded[-1] == n_items
    assert len(set(folded)) > 1
    assert find_problems(Index.open(tmp_path / "idx")) == []
