import pytest

from app.screens import gallery
from app.screens.gallery import Card, show_gallery
from search.expression.standouts import StandoutGene

FACTS = {
    "id": "S/spot/1x2", "kind": "spot", "slide": "S", "patient": "P", "cohort": "c", "licence": "CC0",
    "rank": 1, "score": 0.5, "p_value": 0.00001, "x_px": 10.0, "y_px": 20.0, "side_um": 100.0, "spot_um": 50.0,
}  # fmt: skip


@pytest.fixture
def html(monkeypatch):
    drawn: list[str] = []
    monkeypatch.setattr(gallery.st, "html", drawn.append)

    def show(*cards: Card, query: Card | None = None) -> str:
        drawn.clear()
        show_gallery(cards, query=query)
        return drawn[0]

    return show


def test_names_from_data_are_escaped(html):
    text = html(Card({**FACTS, "slide": "<script>alert(1)</script>", "label": '"><img src=x>'}, b"jpeg"))
    assert "<script>" not in text
    assert "<img src=x>" not in text


def test_pictures_share_one_scale(html):
    text = html(Card({**FACTS, "side_um": 50.0}, b"a"), query=Card(FACTS, b"b"))
    assert 'style="width: 50.0%"' in text
    assert 'style="width: 100.0%"' in text


def test_scale_bar_and_spot_have_their_length(html):
    text = html(Card(FACTS, b"jpeg"))
    # 20 um of 100 um, and a spot of 50 um in the middle.
    assert 'class="hs-bar" style="width: 20.00%"' in text
    assert "20 µm" in text
    assert "width: 50.00%; height: 50.00%; left: 25.00%; top: 25.00%" in text


def test_provenance_and_score_are_on_the_card(html):
    text = html(Card(FACTS, b"jpeg"))
    for part in ("1. 0.500", "p &lt;.0001", "<b>S</b>, patient P", "at 10, 20 px", "c; CC0"):
        assert part in text


def test_an_item_without_a_picture_shows_its_genes(html):
    genes = (StandoutGene("ERBB2", fold=34.2, excess=4.0), StandoutGene("KRT19", fold=2.54, excess=1.0))
    text = html(Card(FACTS, None, genes=genes))
    assert 'style="width: 100%"></span><span>ERBB2</span><span>34x</span>' in text
    assert 'style="width: 25%"></span><span>KRT19</span><span>2.5x</span>' in text
    assert "<img" not in text
    assert "no gene stands out" in html(Card(FACTS, None))


def test_generated_items_say_so(html):
    assert "c (generated); CC0" in html(Card({**FACTS, "generated": True}, b"jpeg"))


def test_a_card_links_to_its_item(html):
    assert 'href="./?slide=S&amp;item=S%2Fspot%2F1x2"' in html(Card(FACTS, b"jpeg"))
