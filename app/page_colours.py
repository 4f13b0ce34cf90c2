"""Colours of the pages, light and dark, under the names of Streamlit's theme."""

LIGHT = {
    "primaryColor": "#0f766e",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f5f6f7",
    "textColor": "#1f2933",
    "borderColor": "#dfe3e8",
}
DARK = {
    "primaryColor": "#2dd4bf",
    "backgroundColor": "#14181d",
    "secondaryBackgroundColor": "#1e242b",
    "textColor": "#e5e9ee",
    "borderColor": "#333c46",
}


def text_colour(*, dark: bool) -> str:
    """Colour of the text of a page, `#RRGGBB`."""
    return (DARK if dark else LIGHT)["textColor"]
