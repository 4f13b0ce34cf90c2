"""How the screens look: their mark and one style sheet; colours are flags (`app.serving.theme`)."""

import streamlit as st

#: Icon of the page, inline: a named one would be loaded from another host.
ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 46 46" width="46" height="46">
<g fill="none" stroke="#12958a" stroke-width="4"><circle cx="19" cy="19" r="15"/>
<path d="M30 30 L42 42" stroke-linecap="round"/></g>
<g fill="#be5a97"><circle cx="14" cy="15" r="4"/><circle cx="24" cy="16" r="3"/><circle cx="18" cy="25" r="3.4"/></g>
</svg>"""

WORDMARK = """<svg xmlns="http://www.w3.org/2000/svg" width="236" height="48" viewBox="0 0 236 48">
<g fill="none" stroke="#12958a" stroke-width="3.4"><circle cx="22" cy="22" r="15"/>
<path d="M33 33 L43 43" stroke-linecap="round"/></g>
<g fill="#be5a97"><circle cx="17" cy="18" r="4"/><circle cx="27" cy="19" r="3"/><circle cx="21" cy="28" r="3.4"/></g>
<text x="54" y="33" font-family="Source Sans Pro, Source Sans 3, Segoe UI, Helvetica, Arial, sans-serif" font-size="28"
 font-weight="600" fill="#12958a">HistoSeek</text></svg>"""

_STYLE = """<style>
.block-container, [data-testid="stMainBlockContainer"] {padding: 4.8rem 2rem 3rem; max-width: 1840px;}
.hs-answer {display: flex; gap: 14px; align-items: flex-start;}
.hs-gallery {flex: 1; display: grid; grid-template-columns: repeat(auto-fill, 156px); gap: 14px;}
.hs-query {flex: 0 0 156px; position: sticky; top: 4.6rem;}
.hs-card {margin: 0; border: 1px solid rgba(128,140,152,.28); border-radius: 8px; overflow: hidden;
  display: flex; flex-direction: column; color: inherit; text-decoration: none;}
a.hs-card:hover, a.hs-card:focus-visible {border-color: #0f766e; box-shadow: 0 0 0 1px #0f766e;}
.hs-query {border: 2px solid #ea580c;}
.hs-picture {position: relative; aspect-ratio: 1; background: rgba(128,140,152,.10);
  display: flex; align-items: center; justify-content: center;}
.hs-picture img {display: block; height: auto;}
.hs-frame {position: relative; line-height: 0;}
.hs-frame img {width: 100%;}
.hs-bar {position: absolute; left: 5%; bottom: 5%; height: 2.5%; background: #111827; outline: 1px solid #fff;}
.hs-length {position: absolute; left: 5%; bottom: 10%; font-size: .68rem; line-height: 1; font-weight: 600;
  color: #111827; background: rgba(255,255,255,.78); padding: 2px 4px; border-radius: 3px;}
.hs-ring {position: absolute; border: 1.5px dashed rgba(17,24,39,.8); border-radius: 50%;}
.hs-genes {padding: 9px 10px; font-size: .7rem; text-align: left; align-self: stretch; width: 100%;
  overflow: hidden; display: flex; flex-direction: column; gap: 1px;}
.hs-genes b {font-weight: 600; opacity: .75; margin-bottom: 2px; white-space: nowrap; font-size: .66rem;}
.hs-gene {position: relative; display: flex; justify-content: space-between; line-height: 14px; padding: 0 4px;
  font-variant-numeric: tabular-nums;}
.hs-gene span {position: relative;}
.hs-gene-bar {position: absolute !important; left: 0; top: 0; bottom: 0; background: rgba(18,149,138,.24);
  border-radius: 2px;}
.hs-text {padding: 8px 10px 9px; font-size: .76rem; line-height: 1.4;}
.hs-head {display: flex; justify-content: space-between; font-size: .9rem; font-weight: 600;
  font-variant-numeric: tabular-nums;}
.hs-head span:last-child {font-weight: 400; font-size: .78rem; opacity: .75; align-self: center;}
.hs-dim {opacity: .75; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;}
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {color: inherit;}
[data-testid="stCaptionContainer"] {opacity: .75;}
.st-key-open-hits {position: absolute;}
.st-key-map-side {position: sticky; top: 4.6rem;}
</style>"""


def apply_style() -> None:
    """Put the style sheet on the page."""
    st.html(_STYLE)
