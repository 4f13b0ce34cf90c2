// The panel of colours: opacity, a scale with its limits, or the names of classes. Changes take effect at once.

export class Panel {
  constructor(root, changed) {
    this.root = root;
    this.changed = changed; // ({opacity, low, high, map, shown})
    this.limits = null; // set by hand; forgotten when the values change
  }

  show(colours, opacity) {
    this.root.replaceChildren();
    const rows = [this.title(colours)];
    if (colours && colours.names) rows.push(...this.classes(colours));
    else if (colours) rows.push(this.bar(colours), this.limitFields(colours), this.mapField(colours));
    rows.push(this.opacityField(opacity));
    this.root.append(...rows);
  }

  title(colours) {
    const label = element("label", "hs-v-title");
    const box = element("input");
    Object.assign(box, { type: "checkbox", checked: true });
    box.setAttribute("aria-label", "Show the items over the tissue");
    box.onchange = () => this.changed({ shown: box.checked });
    label.append(box, colours ? colours.name : "items");
    return label;
  }

  bar(colours) {
    const bar = element("div", "hs-v-bar");
    bar.style.background = `linear-gradient(90deg, ${colours.maps[colours.map].join(",")})`;
    return bar;
  }

  limitFields(colours) {
    const row = element("div", "hs-v-limits");
    const fields = ["low", "high"].map((name) => {
      const field = element("input");
      Object.assign(field, { type: "number", step: "any", value: readable(colours[name]) });
      field.setAttribute("aria-label", name === "low" ? "Lower colour limit" : "Upper colour limit");
      return field;
    });
    const apply = () => {
      const [low, high] = fields.map((field) => parseFloat(field.value));
      const good = Number.isFinite(low) && Number.isFinite(high) && low < high;
      fields.forEach((field) => field.classList.toggle("hs-v-bad", !good));
      if (good) this.changed({ low, high });
    };
    fields.forEach((field) => { field.onchange = apply; });
    row.append(...fields);
    return row;
  }

  mapField(colours) {
    const select = element("select");
    select.setAttribute("aria-label", "Colour map");
    for (const name of Object.keys(colours.maps)) select.append(new Option(name, name, false, name === colours.map));
    select.onchange = () => {
      this.changed({ map: select.value });
      this.root.querySelector(".hs-v-bar").style.background = this.bar({ ...colours, map: select.value }).style.background;
    };
    return select;
  }

  classes(colours) {
    return colours.names.map((name, i) => {
      const row = element("div", "hs-v-class"), swatch = element("span");
      swatch.style.background = colours.palette[i];
      row.append(swatch, name);
      row.title = name;
      return row;
    });
  }

  opacityField(opacity) {
    const label = element("label", "hs-v-opacity");
    const range = element("input");
    Object.assign(range, { type: "range", min: 0, max: 1, step: 0.05, value: opacity });
    range.oninput = () => this.changed({ opacity: parseFloat(range.value) });
    label.append("opacity", range);
    return label;
  }
}

export function element(tag, className) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  return made;
}

export function readable(value) {
  return Number(value.toPrecision(3)).toString();
}
