// One slide in OpenSeadragon with its items over it. Python sends what to show; only what differs is changed, so that
// the place and the zoom stay when colours do not.

import { notePlace, placeOf } from "./script?name=address.js";
import { Link } from "./script?name=linking.js";
import { Overlay } from "./script?name=overlay.js";
import { Panel, element, readable } from "./script?name=panel.js";
import { RegionPen } from "./script?name=region.js";

const HOME_MARGIN = 0.04;
const ASK_AGAIN_MS = 700;
const WIDEST_SCALE_PX = 300; // of the scale bar, and a quarter of the view at most
const JUMP_SIDES = 12; // a jump shows so many item sides
const CLOSEST = 4; // screen pixels a level-0 pixel
const BLANK_PX = 256; // longest side of what stands for a picture: it is scaled, and a large one takes seconds to paint
const BUTTONS = [ // name, strokes of its sign in a box of 16, what it does
  ["in", "M8 3v10M3 8h10", "Zoom in"],
  ["out", "M3 8h10", "Zoom out"],
  ["home", "M2 8l6-5.5L14 8M4 7v6.5h8V7", "Show the tissue"],
  ["turn", "M13 8a5 5 0 1 1-1.6-3.7M13.2 1.6v3.2H10", "Turn by 90 degrees"],
  ["region", "M3 11.5c-1-4 1-8 4.5-8s6.5 2.5 5.5 6-6 4.5-7.5 3.5M3 11.5l-1.3 2.3", "Draw a region to ask with"],
  ["full", "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10", "Full screen"],
];

let library = null;

function openSeadragon(base) {
  library ??= new Promise((resolve, reject) => {
    if (window.OpenSeadragon) return resolve(window.OpenSeadragon);
    const script = element("script");
    script.src = `${base}/script?name=openseadragon.min.js`;
    script.onload = () => resolve(window.OpenSeadragon);
    script.onerror = () => { library = null; reject(new Error("OpenSeadragon did not load")); };
    document.head.append(script);
  });
  return library;
}

export async function mount(root, send) {
  const view = new SlideView(root, send);
  root.hsViewer = view;
  return view;
}

class SlideView {
  constructor(root, send) {
    this.root = root;
    this.send = send;
    this.data = {};
    this.wanted = 0; // number of the slide asked for last; answers to earlier questions are dropped
    root.replaceChildren();
    this.stage = root.appendChild(element("div", "hs-v-stage"));
    this.canvas = element("canvas", "hs-v-canvas");
    this.overlay = new Overlay(this.canvas);
    this.tools = root.appendChild(element("div", "hs-v-tools"));
    this.panelRoot = root.appendChild(element("div", "hs-v-panel"));
    this.panel = new Panel(this.panelRoot, (change) => this.recolour(change));
    this.scale = root.appendChild(element("div", "hs-v-scale"));
    this.said = root.appendChild(element("div", "hs-v-said"));
    this.said.setAttribute("role", "status");
    this.hint = root.appendChild(element("div", "hs-v-hint"));
    // The page has shortcuts of its own, such as "r": they are not meant while the slide has the focus.
    root.addEventListener("keydown", (event) => {
      event.stopPropagation();
      const drawing = this.tools.querySelector(".hs-v-on");
      if (event.key === "Escape" && drawing) this.toggleRegion(drawing);
    });
  }

  // One after the other; of those that come meanwhile the last one counts.
  async update(data) {
    this.next = data;
    if (this.busy) return;
    this.busy = true;
    while (this.next) {
      const next = this.next;
      this.next = null;
      await this.apply(next).catch((error) => this.say(`The slide could not be drawn (${error.message}). Load the page again.`));
    }
    this.busy = false;
  }

  async apply(data) {
    const before = this.data;
    this.data = data;
    this.root.style.height = `${data.height}px`;
    if (!this.osd) await this.begin(data);
    if (before.slide !== data.slide || before.base !== data.base) this.open();
    const itemsNew = before.items?.places !== data.items.places || before.items?.names !== data.items.names;
    if (itemsNew) await this.takeItems();
    if (itemsNew || JSON.stringify(before.colours) !== JSON.stringify(data.colours)) await this.takeColours();
    this.overlay.chosen = this.overlay.items ? this.overlay.items.names.indexOf(data.chosen) : -1;
    if (this.region && data.cleared !== before.cleared) this.setRegion(null);
    if (!this.region && !this.pen.drawing) this.overlay.polygons = data.outlines ?? [];
    this.link(data.link);
    const place = before.slide === data.slide && data.regions ? placeOf(data.slide, true) : null;
    if (place) this.goTo(place);
    else if (before.slide === data.slide && data.target && data.target.id !== before.target?.id) this.lookAt(data.target);
    this.canvas.setAttribute("aria-label", data.alt);
    this.redraw();
  }

  async begin(data) {
    const OSD = await openSeadragon(data.base);
    this.OSD = OSD;
    this.osd = OSD({
      element: this.stage, drawer: "canvas", showNavigationControl: false, showNavigator: true,
      navigatorPosition: "TOP_RIGHT", navigatorSizeRatio: 0.18, navigatorAutoFade: false, crossOriginPolicy: false,
      minZoomImageRatio: 0.5, visibilityRatio: 0.3, animationTime: 0.5, blendTime: 0.1,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true }, tabIndex: 0, imageLoaderLimit: 6,
      gestureSettingsTouch: { pinchRotate: true },
    });
    const focus = this.osd.canvas.focus.bind(this.osd.canvas);
    this.osd.canvas.focus = () => focus({ preventScroll: true }); // a click is not to move the page under the pointer
    this.osd.canvas.append(this.canvas);
    this.canvas.setAttribute("role", "img");
    this.osd.canvas.setAttribute("aria-label", "Slide. Arrow keys move, plus and minus zoom, 0 shows all, r turns.");
    this.osd.addHandler("update-viewport", () => this.redraw());
    // The one view of its page in which regions are drawn is the one whose place is in the address.
    if (data.regions) {
      for (const name of ["drag", "scroll", "pinch", "key", "double-click"]) this.osd.addHandler(`canvas-${name}`, () => { this.moved = true; });
      this.osd.addHandler("animation-finish", () => this.moved && this.frame() && notePlace(this.data.slide, this.shownPlace()));
    }
    this.osd.addHandler("canvas-click", (event) => this.click(event));
    this.osd.addHandler("canvas-key", (event) => { if (event.originalEvent.key.toLowerCase() === "f") event.preventDefaultAction = true; });
    this.osd.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.osd.canvas.addEventListener("pointerleave", () => { this.hint.textContent = ""; });
    this.pen = new RegionPen(this.canvas, this.overlay, (x, y) => this.toSlide(x, y), () => this.redraw(), (corners) => this.finishRegion(corners));
    for (const [name, strokes, title] of BUTTONS) {
      if (name === "region" && !data.regions) continue;
      const button = this.tools.appendChild(element("button"));
      Object.assign(button, { type: "button", title, onclick: () => this.press(name, button) });
      button.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${strokes}"/></svg>`;
      button.setAttribute("aria-label", title);
    }
  }

  // Pictures: the small one of the index at once, tiles over it when they are there.
  open() {
    const { slide, size, base, hasPicture } = this.data, number = ++this.wanted;
    this.osd.close();
    this.moved = false; // by hand: until then the slide opens there anyway
    this.region = null;
    this.overlay.polygons = [];
    this.say("");
    const place = { fitBounds: new this.OSD.Rect(0, 0, 1, size[1] / size[0]) };
    const url = hasPicture ? `${base}/picture?slide=${encodeURIComponent(slide)}` : blank(size);
    const home = () => { if (number === this.wanted) this.goHome(true); };
    this.osd.viewport.maxZoomLevel = (CLOSEST * size[0]) / this.osd.viewport.getContainerSize().x; // of the slide, not of its small picture
    this.osd.addTiledImage({ tileSource: { type: "image", url }, ...place, success: home });
    this.askTiles(number, place);
  }

  async askTiles(number, place) {
    const { base, slide } = this.data;
    const answer = await fetch(`${base}/slide?slide=${encodeURIComponent(slide)}`);
    if (number !== this.wanted) return;
    if (!answer.ok) return this.say("This slide is not in the index any more. Load the page again.");
    const shown = await answer.json();
    if (number !== this.wanted) return;
    this.say(shown.sentence);
    if (shown.state === "preparing") setTimeout(() => number === this.wanted && this.askTiles(number, place), ASK_AGAIN_MS);
    if (shown.state !== "ready") return;
    const url = `${base}/tile?slide=${encodeURIComponent(slide)}&stamp=${shown.stamp}`;
    this.osd.addTiledImage({
      tileSource: {
        width: shown.width, height: shown.height, tileSize: shown.tile_px, minLevel: 0, maxLevel: shown.top,
        getTileUrl: (level, x, y) => `${url}&level=${level}&x=${x}&y=${y}`,
      },
      ...place,
      success: () => this.root.classList.add("hs-v-ready"),
    });
  }

  async takeItems() {
    const { base, items } = this.data;
    const [places, names] = await Promise.all([numbers(base, items.places), text(base, items.names)]);
    if (!places || names === null) return this.say("The items of this slide did not come. Load the page again.");
    this.overlay.setItems(places, names ? names.split("\n") : [], items.size_px, items.shape);
  }

  async takeColours() {
    const { base, colours } = this.data;
    const values = colours ? await numbers(base, colours.values) : null;
    this.overlay.setColours(colours && values ? { ...colours, values } : null);
    this.panel.show(this.overlay.colours, this.overlay.opacity);
  }

  recolour({ opacity, shown, ...scale }) {
    if (opacity !== undefined) this.overlay.opacity = opacity;
    if (shown !== undefined) this.overlay.shown = shown;
    if (Object.keys(scale).length) this.overlay.setColours({ ...this.overlay.colours, ...scale });
    this.redraw();
  }

  press(name, button) {
    const { viewport } = this.osd;
    this.moved ||= !["region", "full"].includes(name);
    if (name === "in") viewport.zoomBy(1.6);
    if (name === "out") viewport.zoomBy(1 / 1.6);
    if (name === "home") this.goHome(false);
    if (name === "turn") viewport.setRotation(viewport.getRotation() + 90);
    if (name === "full") document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen();
    if (name === "region") this.toggleRegion(button);
    viewport.applyConstraints();
  }

  toggleRegion(button) {
    const on = !button.classList.contains("hs-v-on");
    button.classList.toggle("hs-v-on", on);
    this.osd.setMouseNavEnabled(!on);
    if (on) this.pen.start();
    else this.pen.stop();
    this.say(on ? "Press, lead the pointer round a region, let go." : "");
    if (on && this.overlay.polygons.length) this.setRegion(null);
  }

  finishRegion(corners) {
    this.toggleRegion(this.tools.querySelector(".hs-v-on"));
    this.setRegion(corners);
  }

  setRegion(corners) {
    this.region = corners;
    this.overlay.polygons = corners ? [corners] : [];
    const ring = corners && [...corners, corners[0]].map(([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10]);
    this.send.region(corners ? { slide: this.data.slide, geometry: { type: "Polygon", coordinates: [ring] } } : null);
    this.redraw();
  }

  click(event) {
    if (!event.quick) return;
    const i = this.itemAt(event.originalEvent);
    if (i < 0) return;
    if (this.region) this.setRegion(null); // it is this item that is asked with now
    this.overlay.chosen = i; // at once; Python says the same a moment later
    this.redraw();
    this.send.picked({ slide: this.data.slide, item: this.overlay.items.names[i] });
  }

  // Number of the item under the pointer; its place on the screen is the same whether the view is flipped or not.
  itemAt({ clientX, clientY }) {
    const frame = this.frame(), box = this.stage.getBoundingClientRect();
    return frame ? this.overlay.at(...this.toSlide(clientX - box.x, clientY - box.y), frame) : -1;
  }

  hover(event) {
    const i = this.itemAt(event), { colours, items } = this.overlay;
    this.stage.classList.toggle("hs-v-over", i >= 0);
    if (i < 0) { this.hint.textContent = ""; return; }
    const value = colours?.values[i];
    const known = value === value && value !== undefined;
    const told = !colours ? "" : !known ? ": no value" : `: ${colours.names ? colours.names[value] : `${colours.name} ${readable(value)}`}`;
    this.hint.textContent = items.names[i] + told;
  }

  // Affine map from level-0 pixels to screen pixels, null while nothing is open.
  frame() {
    const viewport = this.osd?.viewport, width = this.data.size?.[0];
    if (!viewport || !width || !this.osd.world.getItemCount()) return null;
    const [o, x, y] = [[0, 0], [1, 0], [0, 1]].map(([px, py]) => viewport.pixelFromPoint(new this.OSD.Point(px, py), true));
    const frame = { a: (x.x - o.x) / width, b: (x.y - o.y) / width, c: (y.x - o.x) / width, d: (y.y - o.y) / width, e: o.x, f: o.y };
    if (viewport.getFlip()) Object.assign(frame, { a: -frame.a, c: -frame.c, e: viewport.getContainerSize().x - o.x });
    return { ...frame, scale: Math.hypot(frame.a, frame.b) };
  }

  toSlide(sx, sy) {
    const { a, b, c, d, e, f } = this.frame(), det = a * d - b * c;
    return [(d * (sx - e) - c * (sy - f)) / det, (a * (sy - f) - b * (sx - e)) / det];
  }

  centre() {
    const centre = this.osd.viewport.getCenter(true);
    return [centre.x * this.data.size[0], centre.y * this.data.size[0]];
  }

  shownPlace() {
    const [x, y] = this.centre();
    return { x, y, width: this.data.size[0] / this.osd.viewport.getZoom(true) };
  }

  goTo({ x, y, width }) {
    this.moved = true;
    const { viewport } = this.osd, full = this.data.size[0];
    viewport.zoomTo(full / width, null, true);
    viewport.panTo(new this.OSD.Point(x / full, y / full), true);
    viewport.applyConstraints(true);
  }

  moveTo([x, y], scale, turn, flipped) {
    const { viewport } = this.osd, width = this.data.size[0];
    if (viewport.getFlip() !== flipped) viewport.setFlip(flipped);
    viewport.setRotation(turn, true);
    viewport.zoomTo((scale * width) / viewport.getContainerSize().x, null, true);
    viewport.panTo(new this.OSD.Point(x / width, y / width), true);
  }

  goHome(immediately) {
    const { slide, size, home, target, regions } = this.data;
    const place = immediately && regions ? placeOf(slide, false) : null;
    if (place) return this.goTo(place);
    if (immediately && target?.jump) return this.lookAt(target, true);
    const [x0, y0, x1, y1] = home, margin = HOME_MARGIN * Math.max(x1 - x0, y1 - y0);
    const box = new this.OSD.Rect((x0 - margin) / size[0], (y0 - margin) / size[0], (x1 - x0 + 2 * margin) / size[0], (y1 - y0 + 2 * margin) / size[0]);
    this.osd.viewport.setRotation(0, immediately);
    this.osd.viewport.fitBounds(box, immediately);
  }

  // A jump zooms to the item; otherwise the view moves only as far as is needed to see it.
  lookAt({ x, y, side_px, jump }, immediately = false) {
    const { viewport } = this.osd, width = this.data.size[0], at = new this.OSD.Point(x / width, y / width);
    if (jump) {
      const side = ((side_px || width / 40) * JUMP_SIDES) / width;
      viewport.fitBounds(new this.OSD.Rect(at.x - side / 2, at.y - side / 2, side, side), immediately);
    } else if (!viewport.getBounds().containsPoint(at)) viewport.panTo(at, immediately);
  }

  link(link) {
    if (JSON.stringify(link) === JSON.stringify(this.linked)) return;
    this.linked = link;
    this.partner?.end();
    this.partner = link ? new Link(this, link.group, link.matrix) : null;
  }

  redraw() {
    const frame = this.frame();
    if (!frame) return;
    this.overlay.draw(frame);
    this.drawScale(frame);
  }

  drawScale({ scale }) {
    const { mpp } = this.data;
    if (!mpp) { this.scale.textContent = "scale not known: no micrometres per pixel"; return; }
    const longest = (Math.min(WIDEST_SCALE_PX, this.stage.clientWidth / 4) / scale) * mpp, power = 10 ** Math.floor(Math.log10(longest));
    const length = [5, 2, 1].find((step) => step * power <= longest) * power;
    this.scale.textContent = length >= 1000 ? `${readable(length / 1000)} mm` : `${readable(length)} µm`;
    this.scale.style.setProperty("--hs-length", `${(length / mpp) * scale}px`);
    this.scale.dataset.um = length;
  }

  say(sentence) { this.said.textContent = sentence; }

  end() {
    this.partner?.end();
    this.wanted++;
    this.osd?.destroy();
  }
}

async function numbers(base, id) {
  const answer = await fetch(`${base}/numbers?id=${id}`);
  return answer.ok ? new Float32Array(await answer.arrayBuffer()) : null;
}

async function text(base, id) {
  const answer = await fetch(`${base}/numbers?id=${id}`);
  return answer.ok ? answer.text() : null;
}

function blank(size) {
  const [width, height] = size.map((side) => Math.max(1, Math.round((side * BLANK_PX) / Math.max(...size))));
  const shape = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#fff"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(shape)}`;
}
