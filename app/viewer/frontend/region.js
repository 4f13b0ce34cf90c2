// A region drawn with the pointer: pressed, led round, let go.

const LEAST_STEP = 4; // screen pixels between corners
const MOST_CORNERS = 100; // so that a region fits into a link

export class RegionPen {
  // `toSlide` maps screen pixels to level-0 pixels; `done` gets the corners, or null for too few.
  constructor(canvas, overlay, toSlide, redraw, done) {
    Object.assign(this, { canvas, overlay, toSlide, redraw, done, drawing: null });
    this.handlers = {
      pointerdown: (event) => this.begin(event),
      pointermove: (event) => this.add(event),
      pointerup: () => this.finish(),
      pointercancel: () => this.finish(),
    };
  }

  start() {
    this.canvas.classList.add("hs-v-drawing");
    for (const [name, handler] of Object.entries(this.handlers)) this.canvas.addEventListener(name, handler);
  }

  stop() {
    this.canvas.classList.remove("hs-v-drawing");
    for (const [name, handler] of Object.entries(this.handlers)) this.canvas.removeEventListener(name, handler);
    this.drawing = null;
  }

  begin(event) {
    event.stopPropagation();
    this.canvas.setPointerCapture(event.pointerId);
    this.last = [event.offsetX, event.offsetY];
    this.drawing = [this.toSlide(...this.last)];
    this.drawing.open = true;
    this.overlay.polygons = [this.drawing];
  }

  add(event) {
    if (!this.drawing) return;
    event.stopPropagation();
    const here = [event.offsetX, event.offsetY];
    if (Math.hypot(here[0] - this.last[0], here[1] - this.last[1]) < LEAST_STEP) return;
    this.last = here;
    this.drawing.push(this.toSlide(...here));
    this.redraw();
  }

  finish() {
    if (!this.drawing) return;
    const corners = thinned(this.drawing.slice());
    this.drawing = null;
    this.done(corners.length >= 3 ? corners : null);
  }
}

// Corners without those that lie nearest to the line between their neighbours (Visvalingam and Whyatt 1993).
export function thinned(corners) {
  const left = [...corners];
  const area = (i) => {
    const [[ax, ay], [bx, by], [cx, cy]] = [-1, 0, 1].map((step) => left[(i + step + left.length) % left.length]);
    return Math.abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay));
  };
  while (left.length > MOST_CORNERS) {
    let least = 0;
    for (let i = 1; i < left.length; i++) if (area(i) < area(least)) least = i;
    left.splice(least, 1);
  }
  return left;
}
