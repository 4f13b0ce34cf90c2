"""Colours and shapes of the screens as flags of Streamlit, which hold from any working directory."""

from typing import Any

from app.page_colours import DARK, LIGHT

_SHARED: dict[str, Any] = {
    "baseRadius": "8px",
    "baseFontSize": 15,
    "headingFontWeights": [600, 600, 600],
    "headingFontSizes": ["1.7rem", "1.25rem", "1.05rem"],
    "showWidgetBorder": True,
}


def theme_flags() -> dict[str, Any]:
    """Streamlit options of the theme, light and dark."""
    flags = {f"theme.{name}": value for name, value in _SHARED.items()}
    for mode, colours in (("light", LIGHT), ("dark", DARK)):
        flags |= {f"theme.{mode}.{name}": value for name, value in colours.items()}
    return flags
