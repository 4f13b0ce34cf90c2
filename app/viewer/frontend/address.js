// The place of a view in the page's address, `at=x,y,width` in level-0 pixels: written by the browser alone, since the
// server need not run the page again when somebody moves a slide.

const KEY = "at";
let popped = false; // the browser went back or forward: the next view of that slide goes where its address says
window.addEventListener("popstate", () => { popped = true; });

// Place that the address names for a slide, null where it names none; `onlyPopped` where a view that stands is not to
// move for any other reason.
export function placeOf(slide, onlyPopped) {
  const asked = new URL(window.location).searchParams, was = popped;
  if (asked.get("slide") !== slide || (onlyPopped && !was)) return null;
  popped = false;
  const [x, y, width] = (asked.get(KEY) ?? "").split(",").map(parseFloat);
  return [x, y, width].every(Number.isFinite) && width > 0 ? { x, y, width } : null;
}

// Put a place into the address; what writes addresses later keeps it there as long as they name this slide.
export function notePlace(slide, { x, y, width }) {
  const at = [x, y, width].map((value) => Number(value.toPrecision(6))).join(",");
  window.hsPlace = { slide, at, path: window.location.pathname };
  const address = new URL(window.location);
  if (address.searchParams.get("slide") !== slide) return;
  window.history.replaceState(window.history.state, "", withPlace(address));
}

function withPlace(address) {
  const place = window.hsPlace;
  address.search = address.search.replace(/([?&])at=[^&]*&?/, "$1").replace(/[?&]$/, "");
  if (place) address.search += `${address.search ? "&" : "?"}${KEY}=${place.at}`;
  return address;
}
