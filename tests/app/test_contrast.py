"""Contrast of what is shown, by the formulas of WCAG 2.2: 4.5 to 1 for text, 3 to 1 for marks that say something."""

import pytest

from app.figures.class_colours import class_colours, text_on
from app.figures.style import BLUE, GREEN, INK, MUTED, PAPER, VERMILION
from app.maps import CHOSEN_COLOUR, POINT_COLOUR
from app.page_colours import text_colour
from app.screens.charts import BAR, FAINT_BAR, LINE, OUTLINE
from app.serving.theme import theme_flags

THEME = theme_flags()
PAGES = [THEME[f"theme.{mode}.backgroundColor"] for mode in ("light", "dark")]
DIMMED = 0.75  # opacity of `.hs-dim`


def channels(colour: str) -> list[float]:
    return [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]


def luminance(rgb: list[float]) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour: str, ground: str, opacity: float = 1.0) -> float:
    below = channels(ground)
    mixed = [opacity * over + (1 - opacity) * under for over, under in zip(channels(colour), below, strict=True)]
    high, low = sorted((luminance(mixed), luminance(below)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_is_21_to_1():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
def test_text_of_the_pages(mode, ground):
    text, below = (THEME[f"theme.{mode}.{name}"] for name in ("textColor", ground))
    assert contrast(text, below, DIMMED) >= 4.5
    assert contrast(THEME[f"theme.{mode}.primaryColor"], below) >= 4.5


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("mark", [BAR, FAINT_BAR, LINE, OUTLINE["color"], CHOSEN_COLOUR, POINT_COLOUR])
def test_marks_of_the_charts(mark, page):
    assert contrast(mark, page) >= 3


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("bar", [BAR, FAINT_BAR])
def test_marks_over_the_bars_of_charts(dark, bar):
    assert contrast(text_colour(dark=dark), bar) >= 3


@pytest.mark.parametrize("colour", class_colours([f"type {i}" for i in range(20)]).values())
def test_numbers_in_the_bars_of_classes(colour):
    assert contrast(text_on(colour), colour) >= 4.5


def test_figures_for_paper():
    assert all(contrast(text, PAPER) >= 4.5 for text in (INK, MUTED))
    assert all(contrast(mark, PAPER) >= 3 for mark in (BLUE, GREEN, VERMILION))
