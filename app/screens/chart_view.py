"""Charts on a page, written in its text colour, light or dark."""

import plotly.graph_objects as go
import streamlit as st

from app.page_colours import text_colour


def ink() -> str:
    """Colour of the text of the page as the browser shows it, `#RRGGBB`."""
    return text_colour(dark=st.context.theme.type == "dark")


def show_chart(figure: go.Figure, *, key: str, alt: str) -> None:
    """Draw a chart; what is written beside it is as readable as the page, which Streamlit's grey of charts is not."""
    colour = ink()
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(tickfont_color=colour, title_font_color=colour)
    write_legend(figure)
    figure.update_traces(outsidetextfont_color=colour, selector={"type": "bar"})
    figure.update_traces(textfont_color=colour, selector={"mode": "text"})
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt)


def write_legend(figure: go.Figure) -> None:
    """Let the legend and the colour bar of a chart be as readable as the page."""
    colour = ink()
    figure.update_layout(legend_font_color=colour, legend_title_font_color=colour)
    if figure.layout.coloraxis.colorbar.title.text:
        figure.update_coloraxes(colorbar_tickfont_color=colour, colorbar_title_font_color=colour)
