"""Site mixing: planted sites are told from planted biology, with patients as the unit."""

import json

import numpy as np
import pytest

from app.figures.groups import cohorts_figure, mixing_figure
from app.tables.groups import mixing_table
from encoders.given_space import given_space
from indexer.building.given_vectors import GivenVectors, index_vectors
from indexer.slides import SlideFacts
from search import Engine
from search.errors import QueryError
from search.groups.mixing import MixingQuestion
from search.groups.site_shares import Pairs, effective_sites, shares_of, shuffled_sites
from search.query import ItemQuery

DIM, PATIENTS, PER = 6, 10, 24


def engine_of(folder, *, by_label, by_site, confounded=False):
    """Ten patients at two labs; each item is its label's direction, its lab's and noise."""
    rng = np.random.default_rng(0)
    biology, labs = rng.normal(size=(2, DIM)), rng.normal(size=(2, DIM))
    slides = []
    for p in range(PATIENTS):
        lab = p % 2
        label = np.full(PER, lab) if confounded else np.arange(PER) % 2
        vectors = by_label * biology[label] + by_site * labs[lab] + rng.normal(size=(PER, DIM))
        facts = SlideFacts(f"S{p}", f"P{p}", f"lab{lab}", "breast", "d", "t", "human", "CC0", "none")
        names = [str(i) for i in range(PER)]
        columns = {"label": ["tumour" if one else "stroma" for one in label]}
        slides.append(GivenVectors(facts, names, vectors.astype(np.float32), columns=columns))
    index_vectors(folder, slides, given_space("mine", DIM).card)
    return Engine.open(folder)


@pytest.fixture(scope="module")
def biology(tmp_path_factory):
    return engine_of(tmp_path_factory.mktemp("biology") / "db", by_label=3.0, by_site=0.0)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return engine_of(tmp_path_factory.mktemp("site") / "db", by_label=0.5, by_site=3.0)


def rows(found, stratum):
    return [row for row in found.table.to_pylist() if row["stratum"] == stratum]


def test_neighbours_by_biology_are_mixed(biology):
    found = biology.mixing(MixingQuestion(target="image"))
    (whole,) = rows(found, "all")
    assert whole["enrichment"] == pytest.approx(1, abs=0.15)
    assert whole["p_value"] > 0.05
    assert whole["effective_sites"] == pytest.approx(whole["expected_effective"], rel=0.1)
    assert "No sign that neighbours share their cohort" in found.notes[1]


def test_neighbours_by_lab_are_not(site):
    found = site.mixing(MixingQuestion(target="image"))
    (whole,) = rows(found, "all")
    assert whole["same_site"] > 0.9
    assert whole["expected"] == pytest.approx(4 / 9, abs=0.02)  # four of the nine other patients
    assert whole["p_value"] < 0.02
    assert whole["effective_sites"] < 1.3 < whole["expected_effective"]
    assert [row["group"] for row in rows(found, "site")] == ["lab0", "lab1"]
    assert [row["group"] for row in rows(found, "label")] == ["stroma", "tumour"]
    assert all(row["n_units"] == 5 for row in rows(found, "site"))
    assert "beyond what their label explains" in found.notes[1]
    assert json.dumps(found.to_dict())
    assert len(mixing_table(found, provenance="here").rows) == 5
    assert mixing_figure(found, site).axes


def test_cohorts_warn_where_hits_share_a_lab(biology, site):
    for engine, warned in ((site, True), (biology, False)):
        found = engine.cohorts(ItemQuery("S0/tile/1"), by="label", target="image", k=40)
        assert any("share their cohort more than their label" in note for note in found.notes) == warned
        assert cohorts_figure(found, engine, title="t").axes


def test_a_label_of_one_lab_only_cannot_be_told_from_it(tmp_path):
    engine = engine_of(tmp_path / "db", by_label=3.0, by_site=0.0, confounded=True)
    found = engine.mixing(MixingQuestion(target="image"))
    (whole,) = rows(found, "all")
    assert whole["enrichment"] == pytest.approx(1)
    assert whole["p_value"] is None
    assert any("cannot be told apart" in note for note in found.notes)
    (blind,) = rows(engine.mixing(MixingQuestion(target="image", label="organ")), "all")
    assert blind["enrichment"] > 1.5  # without labels biology looks like a lab


def test_patients_are_held_against_slides(site):
    with pytest.raises(QueryError, match="are of technology 't', so there is nothing to mix"):
        site.mixing(MixingQuestion(target="image", site="technology"))
    found = site.mixing(MixingQuestion(target="image", site="patient", k=5))
    assert found.unit == "slide"
    assert rows(found, "all")[0]["same_site"] == 0  # one slide each, never its own neighbour


def random_pairs(rng, n_units=12, k=5):
    site = rng.permutation(np.arange(n_units) % 2)
    unit = np.repeat(np.arange(n_units), 8)
    item = np.repeat(np.arange(len(unit)), k)
    others = np.array([rng.permutation(np.delete(np.arange(n_units), u))[:k] for u in unit]).ravel()
    label = rng.integers(0, 2, len(unit))
    return Pairs(
        item, np.repeat(unit, k), others, np.repeat(label, k), rng.integers(0, 2, len(item)),
        np.full((n_units, 2), 8), site,
    )  # fmt: skip


def test_p_values_are_uniform_where_sites_do_not_matter():
    p = []
    for seed in range(40):
        pairs = random_pairs(np.random.default_rng(seed))
        p.append(shares_of(pairs, shuffled_sites(pairs)[:99])[0].p_value[0])
    assert np.mean(p) == pytest.approx(0.5, abs=0.12)
    assert np.mean(np.array(p) <= 0.1) < 0.25


def test_effective_sites_by_hand():
    pairs = Pairs(*(np.array(v) for v in ([0, 0, 1, 1], [0, 0, 1, 1], [1, 2, 2, 2], [0] * 4, [0] * 4)),
                  pool=np.array([[2], [2], [2]]), site=np.array([0, 0, 1]))  # fmt: skip
    found, expected = effective_sites(pairs)
    assert found == pytest.approx([2, 1])
    assert expected == pytest.approx([1 / 0.75, 1 / 0.75])  # half and half of the others, two draws


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (MixingQuestion(site="lab"), "site='lab' is not known; choose one of cohort"),
        (MixingQuestion(label="colour"), "label='colour' is not known"),
        (MixingQuestion(k=0), "k is 0"),
        (MixingQuestion(target="expression"), "No spot or cell or transcriptome with an expression vector"),
        (MixingQuestion(target="image", where="patient IN ('P0', 'P1')"), "are of 2 patients; mixing needs at least 3"),
    ],
)
def test_what_cannot_be_asked(biology, asked, message):
    with pytest.raises(QueryError, match=message):
        biology.mixing(asked)
