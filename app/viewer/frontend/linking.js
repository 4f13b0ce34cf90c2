// Views that move together: each knows the affine map from its slide to a frame that all of a group share.

const groups = new Map();

export class Link {
  // `view` has `osd`, `frame()`, `centre()` and `moveTo()`; `matrix` is [[a, b, c], [d, e, f]], level-0 pixels to
  // shared pixels.
  constructor(view, group, matrix) {
    Object.assign(this, { view, group, matrix, following: false });
    this.tell = () => this.following || this.lead();
    view.osd.addHandler("viewport-change", this.tell);
    if (!groups.has(group)) groups.set(group, new Set());
    groups.get(group).add(this);
  }

  // Moves the others to where this one is.
  lead() {
    const frame = this.view.frame();
    if (!frame) return;
    const [[a, b], [c, d]] = this.matrix, det = a * d - b * c;
    const centre = apply(this.matrix, this.view.centre());
    const seen = product([[frame.a, frame.c], [frame.b, frame.d]], [[d / det, -b / det], [-c / det, a / det]]);
    for (const other of groups.get(this.group)) if (other !== this) other.follow(centre, seen);
  }

  // `seen` is how a step in shared pixels looks on the screen; a mirrored slide is seen flipped.
  follow(centre, seen) {
    if (!this.view.frame()) return;
    const [[a, c], [b, d]] = product(seen, this.matrix), det = a * d - b * c, flipped = det < 0;
    const turn = (Math.atan2(b, flipped ? -a : a) * 180) / Math.PI;
    this.following = true;
    this.view.moveTo(invert(this.matrix, centre), Math.sqrt(Math.abs(det)), turn, flipped);
    this.following = false;
  }

  end() {
    this.view.osd.removeHandler("viewport-change", this.tell);
    groups.get(this.group)?.delete(this);
  }
}

// Of the left two columns.
function product([[a, b], [c, d]], [[e, f], [g, h]]) {
  return [[a * e + b * g, a * f + b * h], [c * e + d * g, c * f + d * h]];
}

function apply([[a, b, c], [d, e, f]], [x, y]) {
  return [a * x + b * y + c, d * x + e * y + f];
}

function invert([[a, b, c], [d, e, f]], [x, y]) {
  const det = a * e - b * d;
  return [(e * (x - c) - b * (y - f)) / det, (a * (y - f) - d * (x - c)) / det];
}
