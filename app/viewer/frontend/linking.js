// Views that move together: each knows the affine map from its slide to a frame that all of a group share.

const groups = new Map();

export class Link {
  // `view` has `osd`, `frame()` and `size`; `matrix` is [[a, b, c], [d, e, f]], level-0 pixels to shared pixels.
  constructor(view, group, matrix) {
    Object.assign(this, { view, group, matrix, following: false });
    this.size = Math.sqrt(Math.abs(matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]));
    this.turn = (Math.atan2(matrix[1][0], matrix[0][0]) * 180) / Math.PI;
    this.tell = () => this.following || this.lead();
    view.osd.addHandler("viewport-change", this.tell);
    if (!groups.has(group)) groups.set(group, new Set());
    groups.get(group).add(this);
  }

  // Moves the others to where this one is.
  lead() {
    const frame = this.view.frame();
    if (!frame) return;
    const [x, y] = apply(this.matrix, this.view.centre());
    const shared = { x, y, scale: frame.scale / this.size, turn: this.view.osd.viewport.getRotation(true) - this.turn };
    for (const other of groups.get(this.group)) if (other !== this) other.follow(shared);
  }

  follow({ x, y, scale, turn }) {
    if (!this.view.frame()) return;
    this.following = true;
    this.view.moveTo(invert(this.matrix, [x, y]), scale * this.size, turn + this.turn);
    this.following = false;
  }

  end() {
    this.view.osd.removeHandler("viewport-change", this.tell);
    groups.get(this.group)?.delete(this);
  }
}

function apply([[a, b, c], [d, e, f]], [x, y]) {
  return [a * x + b * y + c, d * x + e * y + f];
}

function invert([[a, b, c], [d, e, f]], [x, y]) {
  const det = a * e - b * d;
  return [(e * (x - c) - b * (y - f)) / det, (a * (y - f) - d * (x - c)) / det];
}
