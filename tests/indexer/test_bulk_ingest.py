"""Thousands of bulk samples share a commit; what is in the index is what one commit a sample would have put there."""

import pytest

from encoders.contracts import ExpressionEncoding
from indexer.building import bulk
from indexer.building.build import build_index
from indexer.errors import CountsError
from indexer.format import Circumstances
from indexer.formats import find_slides
from indexer.index import Index
from tests.indexer.store_doubles import GENES, fake_space, rows_of


def write_table(path, n=8, **harms):
    names = [f"TCGA-A2-{i:04}-01" for i in range(n)]
    lines = ["\t".join(["gene", *names])]
    for g, gene in enumerate(GENES):
        lines.append("\t".join([gene, *(str(harms.get(f"s{i}", (i + 1) * (g + 1) % 7 + 1)) for i in range(n))]))
    path.write_text("\n".join(lines) + "\n")
    return names


def ingest(tmp_path, name, **options):
    sources = find_slides(tmp_path / "bulk.tsv", "genes-by-samples", Circumstances())
    return build_index(tmp_path / name, sources, fake_space(), **options)


def test_samples_of_a_table_share_commits_and_are_the_same_rows(tmp_path, monkeypatch):
    names = write_table(tmp_path / "bulk.tsv")
    monkeypatch.setattr(bulk, "BATCH", 5)
    together = ingest(tmp_path, "together")
    monkeypatch.setattr(bulk, "BATCH", 1)
    alone = ingest(tmp_path, "alone")
    assert together.added == alone.added == tuple(names)
    assert together.n_items == alone.n_items == 2 * len(names)
    assert together.notes == alone.notes
    assert rows_of(tmp_path / "together") == rows_of(tmp_path / "alone")
    versions = [Index.open(tmp_path / name).card.version for name in ("together", "alone")]
    assert versions[1] - versions[0] == len(names) - 2  # commits of 5 and 3


def test_a_second_run_skips_and_a_changed_table_replaces(tmp_path, monkeypatch):
    names = write_table(tmp_path / "bulk.tsv", n=4)
    ingest(tmp_path, "db")
    assert ingest(tmp_path, "db").skipped == tuple(names)
    write_table(tmp_path / "bulk.tsv", n=4, s2=5)
    report = ingest(tmp_path, "db")
    assert report.replaced == tuple(names)
    index = Index.open(tmp_path / "db")
    totals = index.metadata().to_pandas().query("kind == 'transcriptome'").set_index("slide").total_counts
    assert (len(totals), totals[names[2]]) == (4, 100)


def test_a_sample_without_counts_is_told_and_the_others_go_in(tmp_path):
    names = write_table(tmp_path / "bulk.tsv", n=3, s1=0)
    report = ingest(tmp_path, "db")
    assert report.added == (names[0], names[2])
    assert [(one.slide, one.error) for one in report.failed] == [(names[1], "CountsError")]
    assert "without counts" in report.failed[0].reason
    write_table(tmp_path / "bulk.tsv", n=3)
    assert ingest(tmp_path, "db").added == (names[1],)
    assert len(Index.open(tmp_path / "db").failed()) == 0


def test_samples_of_other_genes_are_encoded_apart(tmp_path):
    for number, genes in enumerate((GENES[:4], GENES[4:9])):
        rows = "\n".join(f"{gene}\t{number + 2}" for gene in genes)
        (tmp_path / f"{number}.tsv").write_text(f"gene\tS{number}\n{rows}\n")
    sources = find_slides(tmp_path, "genes-by-samples", Circumstances())
    report = build_index(tmp_path / "db", sources, fake_space())
    assert report.added == ("S0", "S1")
    totals = Index.open(tmp_path / "db").metadata().to_pandas().query("kind == 'slide'").total_counts
    assert sorted(totals) == [8, 15]


def test_an_encoder_that_refuses_the_genes_fails_their_samples_alone(tmp_path, monkeypatch):
    write_table(tmp_path / "bulk.tsv", n=3)
    space = fake_space()

    def refuse(counts, genes, *, by_section=False) -> ExpressionEncoding:
        raise CountsError("no gene is known")

    monkeypatch.setattr(space.expression, "encode_counts", refuse)
    report = build_index(tmp_path / "db", find_slides(tmp_path, "genes-by-samples", Circumstances()), space)
    assert (len(report.failed), report.n_items) == (3, 0)


@pytest.mark.parametrize("again", [False, True])
def test_again_encodes_samples_anew(tmp_path, again):
    write_table(tmp_path / "bulk.tsv", n=2)
    ingest(tmp_path, "db")
    assert len(ingest(tmp_path, "db", again=again).replaced) == 2 * again
