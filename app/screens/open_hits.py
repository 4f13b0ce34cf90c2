"""What the screens hear of the browser: clicks on the cards of hits, and addresses that a page writes.

A click on a card opens the hit on its slide without a new page; as a link it still opens in other tabs. An address
that the page fills in by itself, before anybody touches a control, replaces the one it was come to by, so that the
browser's Back does not stop there.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

from app.screens.item_choice import choose_item
from app.screens.session import items_of, slides
from app.screens.slide_picker import KINDS

_KEY, _OPENED = "open-hits", "opened_hit"
_LISTEN = """
let listening = null, opening = false, touched = false;
const touch = () => { touched = true; };
for (const name of ["pointerdown", "keydown", "input"]) document.addEventListener(name, touch, true);
window.addEventListener("popstate", () => { touched = false; });
const write = window.history.pushState.bind(window.history);
window.history.pushState = (state, title, address) => {
  const { pathname, search } = window.location;
  const target = new URL(address ?? "", window.location), place = window.hsPlace;
  const samePage = target.pathname === pathname;
  // On its way to another page Streamlit empties the address of the one it leaves: Back would stop there.
  if (opening && samePage && !target.search) return;
  opening = false;
  // Where the viewer is (`address.js`) stays in the address of its slide.
  if (place && target.pathname === place.path && target.searchParams.get("slide") === place.slide) {
    target.search += `&at=${place.at}`;
  }
  if (samePage && (!search || !touched)) window.history.replaceState(state, title, target);
  else write(state, title, target);
};
export default function ({ setTriggerValue }) {
  if (listening) document.removeEventListener("click", listening);
  listening = (event) => {
    const card = event.target.closest?.("a.hs-card");
    if (!card || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const asked = new URL(card.href).searchParams;
    opening = true;
    setTriggerValue("opened", { slide: asked.get("slide"), item: asked.get("item") });
  };
  document.addEventListener("click", listening);
  return () => { document.removeEventListener("click", listening); listening = null; };
}
"""


def listen() -> None:
    """Put what listens on the page, before its address is written; it shows nothing."""
    _component()(key=_KEY, on_opened_change=_take)


def was_opened() -> bool:
    """Whether a hit was clicked on just now, so that its slide is to be shown; says so once."""
    return bool(st.session_state.pop(_OPENED, False))


def _take() -> None:
    asked: Any = st.session_state[_KEY].get("opened")
    # The browser may send anything: only an item of this index counts.
    slide, item = (str(asked.get("slide")), str(asked.get("item"))) if isinstance(asked, dict) else ("", "")
    if slide not in slides().index:
        return
    items = items_of(slide)
    kinds = list(items.loc[items["id"] == item, "kind"])
    if not kinds or kinds[0] not in KINDS:
        return
    st.session_state["slide"], st.session_state["layer"] = slide, kinds[0]
    choose_item(item, jump=True)
    st.session_state[_OPENED] = True


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component("histoseek.open_hits", html="<span></span>", js=_LISTEN, isolate_styles=False)
