"""Colours and shapes of the screens as flags of Streamlit, which hold from any working directory."""

from typing import Any

PRIMARY = "#0f766e"

_SHARED: dict[str, Any] = {
    "baseRadius": "8px",
    "baseFontSize": 15,
    "headingFontWeights": [600, 600, 600],
    "headingFontSizes": ["1.7rem", "1.25rem", "1.05rem"],
    "showWidgetBorder": True,
}
_LIGHT = {
    "primaryColor": PRIMARY,
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f5f6f7",
    "textColor": "#1f2933",
    "borderColor": "#dfe3e8",
}
_DARK = {
    "primaryColor": "#2dd4bf",
    "backgroundColor": "#14181d",
    "secondaryBackgroundColor": "#1e242b",
    "textColor": "#e5e9ee",
    "borderColor": "#333c46",
}


def theme_flags() -> dict[str, Any]:
    """Streamlit options of the theme, light and dark."""
    flags = {f"theme.{name}": value for name, value in _SHARED.items()}
    for mode, colours in (("light", _LIGHT), ("dark", _DARK)):
        flags |= {f"theme.{mode}.{name}": value for name, value in colours.items()}
    return flags


def text_colour(*, dark: bool) -> str:
    """Colour of the text of a page, `#RRGGBB`."""
    return str((_DARK if dark else _LIGHT)["textColor"])
