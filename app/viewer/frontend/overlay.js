// Items over the slide, on a canvas of its own that is drawn anew with every frame of the viewer.

const N_COLOURS = 64;
const GREY = "#8b95a1";
const PLAIN = "#0f766e";
const CHOSEN = "#ea580c";
const UNKNOWN_RADIUS = 4.5; // screen pixels, of items whose size is not known
const LEAST_RADIUS = 1.8;
const REACH = 7; // screen pixels beside an item that still count as a click on it
const CELL_PX = 64; // of the grid that finds the item under the pointer, per item radius unknown

export class Overlay {
  constructor(canvas) {
    this.canvas = canvas;
    this.items = null; // {x, y: Float32Array, names: [], radius, shape}
    this.colours = null; // {values, ...} as Python sends them
    this.opacity = 0.6;
    this.shown = true;
    this.chosen = -1;
    this.polygons = []; // arrays of [x, y], level-0 pixels
  }

  setItems(xy, names, sizePx, shape) {
    const n = names.length;
    const x = new Float32Array(n), y = new Float32Array(n);
    for (let i = 0; i < n; i++) { x[i] = xy[2 * i]; y[i] = xy[2 * i + 1]; }
    this.items = { x, y, names, radius: sizePx ? sizePx / 2 : 0, shape };
    this.grid = null;
    this.setColours(null);
  }

  // Values become numbers of a palette, and items are put in the order of their colour: one fill a colour.
  setColours(colours) {
    this.colours = colours;
    const n = this.items ? this.items.x.length : 0;
    this.palette = colours ? palette(colours) : [PLAIN];
    const bins = new Uint8Array(n), last = this.palette.length - 1;
    if (colours) {
      const { values, low, high } = colours, span = high > low ? high - low : 1;
      for (let i = 0; i < n; i++) {
        const value = values[i];
        if (!(value === value)) bins[i] = last; // NaN: grey, the last colour
        else if (colours.names) bins[i] = Math.min(last, value);
        else bins[i] = Math.max(0, Math.min(last - 1, Math.floor(((value - low) / span) * (last - 1) + 0.5)));
      }
    }
    this.starts = new Uint32Array(this.palette.length + 1);
    for (let i = 0; i < n; i++) this.starts[bins[i] + 1]++;
    for (let c = 0; c < this.palette.length; c++) this.starts[c + 1] += this.starts[c];
    const next = this.starts.slice();
    this.order = new Uint32Array(n);
    for (let i = 0; i < n; i++) this.order[next[bins[i]]++] = i;
  }

  // `frame` maps level-0 pixels to screen pixels: sx = a x + c y + e, sy = b x + d y + f.
  draw(frame) {
    const { canvas } = this, ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (this.items && this.shown) this.drawItems(pen, frame, width, height);
    if (this.items && this.chosen >= 0) this.drawChosen(pen, frame);
    this.drawPolygons(pen, frame);
  }

  drawItems(pen, frame, width, height) {
    const { x, y } = this.items, { a, b, c, d, e, f } = frame;
    const radius = this.screenRadius(frame), outlined = radius > 4;
    const square = radius < 2.5 || this.items.shape === "square";
    const turned = square && radius >= 2.5 && Math.abs(b) > 1e-9; // a turned view shows turned tiles
    const ux = (a / frame.scale) * radius, uy = (b / frame.scale) * radius;
    pen.globalAlpha = this.opacity;
    const hollow = !this.colours && radius > 9; // large and without a colour to show: let the tissue be seen
    pen.lineWidth = hollow ? 2.5 : 1;
    pen.strokeStyle = hollow ? PLAIN : "rgba(255,255,255,0.75)";
    for (let colour = 0; colour < this.palette.length; colour++) {
      const from = this.starts[colour], to = this.starts[colour + 1];
      if (from === to) continue;
      pen.fillStyle = this.palette[colour];
      pen.beginPath();
      for (let k = from; k < to; k++) {
        const i = this.order[k], px = a * x[i] + c * y[i] + e, py = b * x[i] + d * y[i] + f;
        if (px < -radius || py < -radius || px > width + radius || py > height + radius) continue;
        if (turned) {
          pen.moveTo(px - ux + uy, py - uy - ux);
          pen.lineTo(px + ux + uy, py + uy - ux);
          pen.lineTo(px + ux - uy, py + uy + ux);
          pen.lineTo(px - ux - uy, py - uy + ux);
          pen.closePath();
        } else if (square) {
          pen.rect(px - radius, py - radius, 2 * radius, 2 * radius);
        } else {
          pen.moveTo(px + radius, py);
          pen.arc(px, py, radius, 0, 2 * Math.PI);
        }
      }
      if (hollow) pen.globalAlpha = 0.12 * this.opacity;
      pen.fill();
      pen.globalAlpha = hollow ? Math.min(1, 1.5 * this.opacity) : this.opacity;
      if (outlined) pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  drawChosen(pen, frame) {
    const [px, py] = this.place(this.chosen, frame), radius = this.screenRadius(frame) + 3;
    for (const [colour, width] of [["#ffffff", 6], [CHOSEN, 3.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.beginPath();
      if (this.items.shape === "square") {
        pen.save();
        pen.translate(px, py);
        pen.rotate(Math.atan2(frame.b, frame.a));
        pen.rect(-radius, -radius, 2 * radius, 2 * radius);
        pen.restore();
      } else pen.arc(px, py, radius, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  drawPolygons(pen, frame) {
    const { a, b, c, d, e, f } = frame;
    for (const polygon of this.polygons) {
      pen.beginPath();
      polygon.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](a * x + c * y + e, b * x + d * y + f));
      if (!polygon.open) pen.closePath();
      for (const [colour, width] of [["rgba(255,255,255,0.9)", 4.5], ["#be185d", 2.2]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.stroke();
      }
    }
  }

  place(i, { a, b, c, d, e, f }) {
    const { x, y } = this.items;
    return [a * x[i] + c * y[i] + e, b * x[i] + d * y[i] + f];
  }

  screenRadius(frame) {
    const radius = this.items.radius ? this.items.radius * frame.scale : UNKNOWN_RADIUS;
    return Math.max(LEAST_RADIUS, radius);
  }

  // Number of the item under a place of the slide, -1 if there is none.
  at(x, y, frame) {
    if (!this.items || !this.items.x.length) return -1;
    const reach = (this.screenRadius(frame) + REACH) / frame.scale;
    this.grid ??= new Grid(this.items.x, this.items.y, this.items.radius || CELL_PX);
    return this.grid.nearest(x, y, reach);
  }
}

// Items by the cell they lie in, so that none of the others is looked at.
class Grid {
  constructor(x, y, radius) {
    this.x = x;
    this.y = y;
    this.side = Math.max(4 * radius, 1);
    this.cells = new Map();
    for (let i = 0; i < x.length; i++) {
      const key = this.key(Math.floor(x[i] / this.side), Math.floor(y[i] / this.side));
      if (!this.cells.has(key)) this.cells.set(key, []);
      this.cells.get(key).push(i);
    }
  }

  key(column, row) { return column * 1e6 + row; }

  nearest(x, y, reach) {
    const first = [Math.floor((x - reach) / this.side), Math.floor((y - reach) / this.side)];
    const last = [Math.floor((x + reach) / this.side), Math.floor((y + reach) / this.side)];
    if ((last[0] - first[0]) * (last[1] - first[1]) > 4 * this.cells.size) return this.nearestOf(this.x.keys(), x, y, reach);
    const candidates = [];
    for (let column = first[0]; column <= last[0]; column++) {
      for (let row = first[1]; row <= last[1]; row++) candidates.push(...(this.cells.get(this.key(column, row)) || []));
    }
    return this.nearestOf(candidates, x, y, reach);
  }

  nearestOf(candidates, x, y, reach) {
    let best = -1, least = reach * reach;
    for (const i of candidates) {
      const distance = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      if (distance <= least) { least = distance; best = i; }
    }
    return best;
  }
}

// Colours of a scale or of classes, the one for "no value" last.
function palette(colours) {
  if (colours.names) return [...colours.palette, GREY];
  const stops = colours.maps[colours.map].map(rgb);
  const mixed = Array.from({ length: N_COLOURS }, (_, i) => {
    const at = (i / (N_COLOURS - 1)) * (stops.length - 1), k = Math.min(stops.length - 2, Math.floor(at)), t = at - k;
    return `rgb(${stops[k].map((low, j) => Math.round(low + t * (stops[k + 1][j] - low))).join(",")})`;
  });
  return [...mixed, GREY];
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
