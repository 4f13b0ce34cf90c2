"""The genes named for an item are those of its tissue, in order, and each with the multiple it is counted at."""

import numpy as np
import pytest

from search.errors import ItemMissingError


def spots_of(engine, tissue):
    labels, kinds = engine.catalogue.column("label"), engine.catalogue.column("kind")
    return engine.catalogue.column("id")[(labels == tissue) & (kinds == "spot")].tolist()


@pytest.mark.parametrize("tissue", ["tumour", "stroma", "immune"])
def test_a_spot_stands_out_by_the_genes_of_its_tissue(engine, tissue):
    spots = spots_of(engine, tissue)[:5]
    assert spots
    for genes in engine.standout_genes(spots, n=4):
        assert len(genes) == 4
        assert {gene.symbol[:3] for gene in genes} == {tissue[:3].upper()}
        excesses = [gene.excess for gene in genes]
        assert excesses == sorted(excesses, reverse=True)
        assert min(excesses) > 0


def test_the_multiple_is_that_of_the_mean_share_over_the_slides(engine):
    item = spots_of(engine, "tumour")[0]
    (genes,) = engine.standout_genes([item], n=1)
    catalogue = engine.catalogue
    column = engine.index.genes.index(genes[0].symbol)
    slides = np.flatnonzero((catalogue.column("kind") == "slide") & (catalogue.column("total_counts") > 0))
    shares = engine.index.expression(slides).toarray()[:, column] / catalogue.column("total_counts")[slides]
    row = catalogue.row_of(item)
    counted = engine.index.expression([row]).toarray()[0, column]
    assert genes[0].fold == pytest.approx(counted / (catalogue.column("total_counts")[row] * shares.mean()), rel=1e-4)


def test_an_item_without_counts_has_none_and_an_unknown_one_is_said(engine):
    kinds = engine.catalogue.column("kind")
    tile = str(engine.catalogue.column("id")[kinds == "tile"][0])
    assert engine.standout_genes([tile]) == [()]
    with pytest.raises(ItemMissingError, match="nowhere"):
        engine.standout_genes(["nowhere"])
