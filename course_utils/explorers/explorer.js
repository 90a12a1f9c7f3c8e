// The front end of every explorer: frames and numbers indexed by controls.
// Everything shown is in the model's state, so it works without a kernel, without a network, in a saved page.
// Uses of the model: get, set, save_changes, on, off.

function render({ model, el }) {
  const controls = model.get("controls");
  const panels = model.get("panels");
  const readouts = model.get("readouts");
  const padAt = controls.findIndex((c) => c.kind === "pad");
  const pad = padAt < 0 ? null : controls[padAt];
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  // What is shown now. `dims` indexes everything: one number a control, then the pad's nearest point.
  const now = { dims: [], position: null, shown: null, live: null };
  const id = `cx${Math.random().toString(36).slice(2)}`; // names this view's radio groups on the page
  const app = { id, controls, panels, readouts, pad, now, still, set, move };
  app.livePanel = model.get("live_panel"); // -1: no panel is decoded live
  app.sprites = model.get("sprites").map((sprite) => loadSprite(sprite, () => refresh()));

  const style = h("style", {}, CSS);
  const status = h("p", { class: "cx-status", role: "status", "aria-live": "polite" });
  const root = h("div", { class: "cx", role: "group", "aria-label": model.get("title") || "Explorer" });
  const parts = [];
  root.append(style, ...layOut(app, model.get("title"), parts), status);
  el.append(root);

  // State ------------------------------------------------------------------------------------------------------

  function set(control, value) {
    const index = [...model.get("index")];
    if (index[control] === value) return;
    index[control] = value;
    change({ index });
  }

  // Puts the pad's cursor at (x, y). Without a kernel to decode in between, it stands on the nodes.
  function move(x, y) {
    const position = [clamp(x, ...pad.x), clamp(y, ...pad.y)];
    const node = nodeAt(pad, position);
    const index = [...model.get("index")];
    index[padAt] = node;
    change({ index, position: app.livePanel < 0 ? nodePosition(pad, node) : position });
  }

  let quiet = false;
  function change(values) {
    quiet = true; // one refresh for all
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    quiet = false;
    refresh();
    save();
  }

  // Tell the kernel, if there is one: now and then, always the latest.
  let saving = 0;
  function save() {
    if (saving) return;
    saving = setTimeout(() => {
      saving = 0;
      try {
        model.save_changes();
      } catch {
        // The kernel is gone: what is stored here goes on working.
      }
    }, 30);
  }

  function refresh() {
    if (quiet) return;
    const index = model.get("index");
    now.dims = [...index, 0];
    if (pad) {
      const node = nodePosition(pad, index[padAt]);
      const asked = model.get("position") || [];
      now.position = asked.length === 2 && nodeAt(pad, asked) === index[padAt] ? asked : node;
      // Of the stored frame and the last one decoded, the one nearer to the cursor is shown.
      const near = now.live && distance(now.live.position, now.position) <= distance(node, now.position);
      now.shown = near ? now.live.position : node;
      now.fresh = near;
      now.dots = pad.points ? dotsNow(pad, now.dims) : null;
      now.dims[index.length] = now.dots ? nearestPoint(now.dots, now.shown) : 0;
    }
    for (const part of parts) part.update();
    announce();
  }

  function receive() {
    const { position, src } = model.get("live_frame") || {};
    if (!src || !pad) return;
    const image = new Image();
    image.onload = () => {
      now.live = { position, image };
      refresh();
    };
    image.src = src;
  }

  // A sentence for screen readers, once the reader has come to rest.
  let announcing = 0;
  let first = true;
  function announce() {
    clearTimeout(announcing);
    if (first) return void (first = false);
    announcing = setTimeout(() => (status.textContent = sentence(app)), 500);
  }

  const themes = new MutationObserver(() => parts.forEach((part) => part.repaint?.()));
  themes.observe(document.body, { attributes: true });
  themes.observe(document.documentElement, { attributes: true });
  const names = ["index", "position"];
  for (const name of names) model.on(`change:${name}`, refresh);
  model.on("change:live_frame", receive);
  receive();
  refresh();

  return () => {
    for (const name of names) model.off(`change:${name}`, refresh);
    model.off("change:live_frame", receive);
    themes.disconnect();
    clearTimeout(announcing);
    clearTimeout(saving);
    for (const part of parts) part.stop?.();
    root.remove();
  };
}

// Layout: one section for each group, its controls to the left of its panels ------------------------------------

function layOut(app, title, parts) {
  const groups = new Map();
  const section = (group) => {
    if (!groups.has(group)) groups.set(group, { controls: [], panels: [], readouts: [] });
    return groups.get(group);
  };
  const add = (part) => (parts.push(part), part.node);
  app.controls.forEach((control, c) => {
    const make = { slider: makeSlider, choice: makeChoice, pad: makePad }[control.kind];
    section(control.group).controls.push(add(make(app, control, c)));
  });
  app.panels.forEach((panel, p) => section(panel.group).panels.push(add(makePanel(app, panel, p, add))));
  app.readouts.forEach((readout) => {
    if (readout.panel < 0) section(readout.group).readouts.push(add(makeReadout(app, readout)));
  });
  const nodes = title ? [h("div", { class: "cx-title", role: "heading", "aria-level": "3" }, title)] : [];
  for (const [name, { controls, panels, readouts }] of groups) {
    const body = h("div", { class: "cx-body" });
    if (controls.length) body.append(h("div", { class: "cx-controls" }, ...lines(controls)));
    if (panels.length) body.append(h("div", { class: "cx-panels" }, ...panels));
    if (readouts.length) body.append(h("div", { class: "cx-readouts" }, ...readouts));
    const heading = name ? [h("div", { class: "cx-heading" }, name)] : [];
    nodes.push(h("div", { class: "cx-section", role: "group", "aria-label": name || title }, ...heading, body));
  }
  return nodes;
}

// Small controls that follow each other stay on one line.
function lines(nodes) {
  const out = [];
  for (const node of nodes) {
    const small = node.classList.contains("cx-small");
    if (small && out.at(-1)?.classList.contains("cx-line")) out.at(-1).append(node);
    else out.push(small ? h("div", { class: "cx-line" }, node) : node);
  }
  return out;
}

// Controls: each gives its node, and `update` to follow the state -------------------------------------------------

function makeSlider(app, slider, c) {
  const last = slider.size - 1;
  const input = h("input", { type: "range", min: 0, max: last, step: 1, "aria-label": slider.name });
  const value = h("span", { class: "cx-value" });
  const ends = [h("span", {}), h("span", {})];
  input.addEventListener("input", () => app.set(c, Number(input.value)));
  const row = h("div", { class: "cx-slide" }, input);
  let timer = 0;
  let button = null;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    if (!button) return;
    button.setAttribute("aria-label", `Play ${slider.name}`);
    button.innerHTML = ICON.play;
  };
  if (slider.play) {
    button = h("button", { class: "cx-play", type: "button" });
    button.addEventListener("click", () => {
      if (timer) return stop();
      button.setAttribute("aria-label", `Pause ${slider.name}`);
      button.innerHTML = ICON.pause;
      if (app.now.dims[c] === last) app.set(c, 0);
      const interval = Math.max(slider.interval * 1000, app.still.matches ? 1000 : 0);
      timer = setInterval(() => {
        if (app.now.dims[c] < last) app.set(c, app.now.dims[c] + 1);
        if (app.now.dims[c] >= last) stop();
      }, interval);
    });
    stop();
    row.prepend(button);
  }
  const label = (k) => valueAt(slider.ticks, slider.strides, with_(app.now.dims, c, k));
  return {
    node: h(
      "div",
      { class: "cx-control cx-small" },
      h("div", { class: "cx-label" }, slider.name, value),
      row,
      h("div", { class: `cx-ends${slider.play ? " cx-indent" : ""}`, "aria-hidden": "true" }, ...ends),
    ),
    update() {
      const k = app.now.dims[c];
      input.value = k;
      value.textContent = label(k);
      input.setAttribute("aria-valuetext", label(k));
      ends[0].textContent = label(0);
      ends[1].textContent = label(last);
    },
    stop,
  };
}

function makeChoice(app, choice, c) {
  const pictures = choice.frames !== undefined;
  const inputs = [];
  const items = choice.options.map((option, k) => {
    const input = h("input", { type: "radio", name: `${app.id}-${c}`, value: k, "aria-label": option });
    input.addEventListener("change", () => app.set(c, k));
    inputs.push(input);
    const face = pictures ? makeTile(app, choice.sprite, 44) : null;
    face?.draw(choice.frames[k]);
    return { item: h("label", { class: "cx-item", title: option }, input, face ? face.node : h("span", {}, option)), face };
  });
  const group = h("div", { class: pictures ? "cx-thumbs" : "cx-words", role: "radiogroup", "aria-label": choice.name });
  group.append(...items.map(({ item }) => item));
  group.style.setProperty("--n", Math.min(8, choice.size));
  const label = h("div", { class: "cx-label", "aria-hidden": "true" }, choice.name);
  return {
    node: h("div", { class: `cx-control${pictures ? "" : " cx-small"}` }, label, group),
    update() {
      inputs[app.now.dims[c]].checked = true;
      items.forEach(({ face }, k) => face?.draw(choice.frames[k]));
    },
  };
}

// The map: a still layer (dots, axes) and above it a quick one (cursor, path), redrawn at each move.
function makePad(app, pad, c) {
  const below = h("canvas", {});
  const above = h("canvas", {});
  const [across, up] = pad.axes.map((axis, a) =>
    h("input", {
      ...{ type: "range", class: "cx-hidden", min: 0, max: (a ? pad.rows : pad.columns) - 1, step: 1 },
      ...{ "aria-label": axis, "aria-roledescription": "2-D slider", tabIndex: a ? -1 : 0 },
    }),
  );
  const board = h("div", { class: "cx-board" }, below, above, across, up);
  board.style.aspectRatio = `${pad.columns} / ${pad.rows}`;
  board.style.width = `${Math.min(1, pad.columns / pad.rows) * 100}%`;
  const caption = h("div", { class: "cx-caption" });
  const legend = makeLegend(pad, (k) => {
    lit = k;
    paint();
  });
  let lit = -1; // the class that stands out, -1: all
  let mosaic = false;
  let [width, height] = [0, 0];
  let ink = "#000"; // of the page's text; `paper` is its opposite
  let paper = "#fff";

  // Each node sits in the middle of its cell; columns x rows cells fill the board.
  const cells = [(pad.x[1] - pad.x[0]) / (pad.columns - 1), (pad.y[1] - pad.y[0]) / (pad.rows - 1)];
  const [left, bottom] = [pad.x[0] - cells[0] / 2, pad.y[0] - cells[1] / 2];
  const px = (x) => ((x - left) / cells[0] / pad.columns) * width;
  const py = (y) => (1 - (y - bottom) / cells[1] / pad.rows) * height;

  const pointTo = (event) => {
    const box = below.getBoundingClientRect();
    const x = left + ((event.clientX - box.left) / box.width) * cells[0] * pad.columns;
    const y = bottom + (1 - (event.clientY - box.top) / box.height) * cells[1] * pad.rows;
    app.move(x, y);
  };
  board.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    board.setPointerCapture(event.pointerId);
    across.focus({ preventScroll: true });
    board.classList.add("cx-pointed");
    pointTo(event);
  });
  board.addEventListener("pointermove", (event) => {
    if (board.hasPointerCapture(event.pointerId)) pointTo(event);
  });

  const step = (dx, dy) => {
    const [row, column] = rowColumn(pad, app.now.dims[c]);
    const next = [clamp(row + dy, 0, pad.rows - 1), clamp(column + dx, 0, pad.columns - 1)];
    app.move(...nodePosition(pad, next[0] * pad.columns + next[1]));
  };
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  board.addEventListener("keydown", (event) => {
    board.classList.remove("cx-pointed");
    const by = KEYS[event.key];
    if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const stride = event.shiftKey ? 4 : 1;
    step(by[0] * stride, by[1] * stride);
  });
  // Screen readers set a slider's value without keys.
  across.addEventListener("input", () => step(across.value - rowColumn(pad, app.now.dims[c])[1], 0));
  up.addEventListener("input", () => step(0, up.value - rowColumn(pad, app.now.dims[c])[0]));

  const decoded = app.panels.find((panel) => panel.strides[c]);
  const toggle = h("input", { type: "checkbox" });
  toggle.addEventListener("change", () => {
    mosaic = toggle.checked;
    paint();
  });
  const box = h("label", { class: "cx-check" }, toggle, "show the images on the map");

  // What the picture below the cursor depends on: which dots, and which decoded images.
  const scene = () => {
    const { dims } = app.now;
    const images = mosaic && decoded ? valueAt(decoded.frames, decoded.strides, with_(dims, c, 0)) : -1;
    return `${pad.points ? offset(pad.strides, dims) : 0} ${images}`;
  };
  let painted = "";

  function paint() {
    painted = scene();
    const scale = devicePixelRatio || 1;
    [width, height] = [board.clientWidth, board.clientHeight];
    if (!width) return;
    for (const canvas of [below, above]) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const g = below.getContext("2d");
    g.setTransform(scale, 0, 0, scale, 0, 0);
    ink = getComputedStyle(board).color;
    paper = isLight(ink) ? "#000" : "#fff";
    board.closest(".cx").style.colorScheme = isLight(ink) ? "dark" : "light";
    if (mosaic && decoded) paintMosaic(g);
    else paintAxes(g);
    paintDots(g);
    trace();
  }

  function paintMosaic(g) {
    const sprite = app.sprites[decoded.sprite];
    const [w, h] = [width / pad.columns, height / pad.rows];
    g.imageSmoothingQuality = "high";
    for (let k = 0; k < pad.size; k++) {
      const [row, column] = rowColumn(pad, k);
      const number = valueAt(decoded.frames, decoded.strides, with_(app.now.dims, c, k));
      sprite.draw(g, number, column * w, (pad.rows - 1 - row) * h, w, h);
    }
  }

  function paintAxes(g) {
    g.font = "italic 12px system-ui, sans-serif";
    const named = pad.axes.map((name) => g.measureText(`${name} →`).width + 20); // no number stands there
    g.font = "10px system-ui, sans-serif";
    g.fillStyle = g.strokeStyle = ink;
    g.lineWidth = 1;
    for (const [range, across] of [[pad.x, true], [pad.y, false]]) {
      for (const value of niceTicks(range)) {
        const at = Math.round(across ? px(value) : py(value)) + 0.5;
        g.globalAlpha = value === 0 ? 0.3 : 0.1;
        g.beginPath();
        g.moveTo(...(across ? [at, 0] : [0, at]));
        g.lineTo(...(across ? [at, height] : [width, at]));
        g.stroke();
        g.globalAlpha = 0.65;
        g.textAlign = across ? "center" : "left";
        if (across && at > 24 && at < width - named[0]) g.fillText(minus(value), at, height - 4);
        if (!across && at > named[1] && at < height - 20) g.fillText(minus(value), 4, at - 3);
      }
    }
    g.globalAlpha = 0.9;
    g.font = "italic 12px system-ui, sans-serif";
    g.textAlign = "right";
    g.fillText(`${pad.axes[0]} →`, width - 6, height - 5);
    g.save();
    g.translate(13, 6);
    g.rotate(-Math.PI / 2);
    g.fillText(`${pad.axes[1]} →`, 0, 0);
    g.restore();
    g.globalAlpha = 1;
  }

  function paintDots(g) {
    const dots = app.now.dots;
    if (!dots) return;
    const radius = pad.count > 800 ? 2 : 2.8;
    const order = [...Array(pad.count).keys()];
    if (lit >= 0) order.sort((a, b) => (pad.labels[a] === lit) - (pad.labels[b] === lit));
    g.lineWidth = 0.75;
    for (const k of order) {
      const label = pad.labels ? pad.labels[k] : 0;
      const pale = lit >= 0 && label !== lit;
      g.globalAlpha = pale ? 0.13 : 0.9;
      g.fillStyle = colorOf(pad, label);
      g.strokeStyle = paper;
      g.beginPath();
      g.arc(px(dots[2 * k]), py(dots[2 * k + 1]), radius, 0, 2 * Math.PI);
      g.fill();
      if (!pale) g.stroke();
    }
    g.globalAlpha = 1;
  }

  function trace() {
    if (!width || !app.now.shown) return;
    const scale = devicePixelRatio || 1;
    const g = above.getContext("2d");
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, width, height);
    if (pad.paths) tracePath(g);
    const [x, y] = [px(app.now.position[0]), py(app.now.position[1])];
    const dots = app.now.dots;
    if (dots) {
      const k = app.now.dims[app.controls.length];
      const [nx, ny] = [px(dots[2 * k]), py(dots[2 * k + 1])];
      const link = () => {
        g.moveTo(x, y);
        g.lineTo(nx, ny);
      };
      outlined(g, 1, link, ink, paper);
      outlined(g, 1.5, () => g.arc(nx, ny, 5.5, 0, 2 * Math.PI), ink, paper);
    }
    const cross = () => {
      g.arc(x, y, 9, 0, 2 * Math.PI);
      for (const [dx, dy] of Object.values(KEYS)) {
        g.moveTo(x + 5 * dx, y + 5 * dy);
        g.lineTo(x + 14 * dx, y + 14 * dy);
      }
    };
    outlined(g, 2, cross, ink, paper);
  }

  function tracePath(g) {
    const { xy, length, strides, mark } = pad.paths;
    const start = offset(strides, app.now.dims) * length;
    const at = (k) => [px(xy[2 * (start + k)]), py(xy[2 * (start + k) + 1])];
    const points = Array.from({ length }, (_, k) => at(k));
    outlined(g, 2, () => points.forEach((p, k) => (k ? g.lineTo(...p) : g.moveTo(...p))), PATH, "#fff");
    for (const [ex, ey] of [points[0], points[length - 1]]) {
      outlined(g, 3, () => g.rect(ex - 2.5, ey - 2.5, 5, 5), PATH, "#fff");
    }
    if (mark < 0) return;
    const [mx, my] = points[app.now.dims[mark]];
    outlined(g, 6, () => g.arc(mx, my, 3, 0, 2 * Math.PI), PATH, "#fff");
  }

  const sizes = new ResizeObserver(() => {
    if (board.clientWidth !== width) paint();
  });
  sizes.observe(board);
  return {
    node: h("div", { class: "cx-pad" }, board, caption, ...(legend ? [legend] : []), ...(decoded ? [box] : [])),
    update() {
      const [row, column] = rowColumn(pad, app.now.dims[c]);
      across.value = column;
      up.value = row;
      const where = placeText(pad, app.now.shown);
      for (const input of [across, up]) input.setAttribute("aria-valuetext", where);
      caption.textContent = where;
      if (app.now.fresh) caption.append(h("span", { class: "cx-live" }, "decoded live"));
      if (scene() !== painted) paint();
      else trace();
    },
    repaint: paint,
    stop: () => sizes.disconnect(),
  };
}

// The classes; pressing one makes it stand out on the map.
function makeLegend(pad, onLit) {
  if (!pad.labels || !pad.classes.length) return null;
  const present = [...new Set(pad.labels)].sort((a, b) => a - b);
  const buttons = present.map((k) => {
    const swatch = h("span", { class: "cx-swatch", style: `background:${colorOf(pad, k)}` });
    const button = h("button", { type: "button", "aria-pressed": "false" }, swatch, pad.classes[k] ?? String(k));
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      for (const other of buttons) other.setAttribute("aria-pressed", String(on && other === button));
      onLit(on ? k : -1);
    });
    return button;
  });
  return h("div", { class: "cx-legend", role: "group", "aria-label": "classes: press to highlight" }, ...buttons);
}

// Panels and read-outs --------------------------------------------------------------------------------------------

function makePanel(app, panel, p, add) {
  const children = app.readouts.filter((r) => r.panel === p).map((readout) => add(makeReadout(app, readout)));
  const title = h("figcaption", {}, panel.title);
  if (panel.strip >= 0) return makeStrip(app, panel, title, children);
  const tile = panel.count > 1 ? makeSheet(app, panel) : makeTile(app, panel.sprite, 168);
  tile.node.setAttribute("role", "img");
  tile.node.setAttribute("aria-label", panel.title);
  return {
    node: h("figure", { class: "cx-panel", style: `--w:${tile.width}px` }, title, tile.node, ...children),
    update() {
      const live = app.now.fresh && app.livePanel === p && app.now.live;
      if (live) tile.drawImage(live.image);
      else if (panel.count > 1) tile.draw(offset(panel.strides, app.now.dims));
      else tile.draw(valueAt(panel.frames, panel.strides, app.now.dims));
    },
  };
}

// All frames along one control, side by side; the current one is framed.
function makeStrip(app, panel, title, children) {
  const c = panel.strip;
  const tiles = Array.from({ length: app.controls[c].size }, () => makeTile(app, panel.sprite, 56));
  tiles.forEach((tile, k) => tile.node.addEventListener("click", () => app.set(c, k)));
  const row = h("div", { class: "cx-strip", role: "img", "aria-label": panel.title }, ...tiles.map((t) => t.node));
  return {
    node: h("figure", { class: "cx-wide" }, title, row, ...children),
    update() {
      tiles.forEach((tile, k) => {
        tile.draw(valueAt(panel.frames, panel.strides, with_(app.now.dims, c, k)));
        tile.node.classList.toggle("cx-on", k === app.now.dims[c]);
      });
    },
  };
}

function makeReadout(app, readout) {
  const value = h("span", { class: "cx-value" });
  const bar = h("i", {});
  const node = h("div", { class: "cx-readout" }, h("span", {}, readout.label), value);
  if (readout.maximum !== undefined) node.append(h("div", { class: "cx-bar" }, bar));
  return {
    node,
    update() {
      value.textContent = readoutText(app, readout);
      const share = valueAt(readout.values, readout.strides, app.now.dims) / readout.maximum;
      if (readout.maximum) bar.style.width = `${100 * clamp(share, 0, 1)}%`;
    },
  };
}

function readoutText(app, readout) {
  const value = valueAt(readout.values, readout.strides, app.now.dims);
  return typeof value === "number" ? minus(value.toFixed(readout.decimals)) : value;
}

function sentence(app) {
  const parts = app.pad ? [placeText(app.pad, app.now.shown)] : [];
  for (const readout of app.readouts) {
    const of = readout.panel < 0 ? "" : `${app.panels[readout.panel].title}: `;
    parts.push(`${of}${readout.label} ${readoutText(app, readout)}`);
  }
  return parts.join(", ");
}

// A canvas that shows one tile of a sprite, enlarged by a whole factor to about `size` pixels.
function makeTile(app, number, size) {
  const sprite = app.sprites[number];
  const [height, width] = sprite.tile;
  const node = h("canvas", { class: "cx-tile", width, height });
  const factor = Math.max(1, Math.round(size / Math.max(width, height)));
  node.style.width = `${width * factor}px`;
  const g = node.getContext("2d");
  let drawn = -1;
  return {
    node,
    width: width * factor,
    draw(frame) {
      if (frame !== drawn && sprite.draw(g, frame, 0, 0, width, height)) drawn = frame;
    },
    drawImage(image) {
      g.drawImage(image, 0, 0);
      drawn = -1;
    },
  };
}

// A canvas that shows the images of a panel in columns, one pixel between them.
function makeSheet(app, panel) {
  const sprite = app.sprites[panel.sprite];
  const [height, width] = sprite.tile.map((side) => side + 1);
  const [w, h_] = [panel.columns * width - 1, Math.ceil(panel.count / panel.columns) * height - 1];
  const node = h("canvas", { class: "cx-tile", width: w, height: h_ });
  const factor = Math.max(1, Math.round(360 / Math.max(w, h_)));
  node.style.width = `${w * factor}px`;
  const g = node.getContext("2d");
  return {
    node,
    width: w * factor,
    draw(first) {
      for (let k = 0; k < panel.count; k++) {
        const [row, column] = rowColumn(panel, k);
        sprite.draw(g, panel.frames[first + k], column * width, row * height, width - 1, height - 1);
      }
    },
  };
}

function loadSprite({ src, columns, tile }, onload) {
  const image = new Image();
  image.onload = onload;
  image.src = src;
  const [height, width] = tile;
  return {
    tile,
    draw(g, frame, x, y, w, h) {
      if (!image.complete || !image.naturalWidth) return false;
      g.drawImage(image, (frame % columns) * width, Math.floor(frame / columns) * height, width, height, x, y, w, h);
      return true;
    },
  };
}

// Small tools -----------------------------------------------------------------------------------------------------

function h(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  // In JupyterLab the arrow keys would otherwise leave the cell.
  if (tag === "input" || tag === "button") node.setAttribute("data-lm-suppress-shortcuts", "true");
  node.append(...children);
  return node;
}

const offset = (strides, dims) => strides.reduce((sum, stride, i) => sum + stride * dims[i], 0);
const valueAt = (values, strides, dims) => values[offset(strides, dims)];
const with_ = (dims, at, value) => dims.map((old, i) => (i === at ? value : old));
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
const minus = (value) => (Number(value) === 0 ? String(value).replace("-", "") : String(value).replace("-", "−"));
const colorOf = (pad, label) => pad.palette[label % pad.palette.length];
const rowColumn = (pad, node) => [Math.floor(node / pad.columns), node % pad.columns];

function nodePosition(pad, node) {
  const [row, column] = rowColumn(pad, node);
  const at = ([low, high], k, n) => low + ((high - low) * k) / (n - 1);
  return [at(pad.x, column, pad.columns), at(pad.y, row, pad.rows)];
}

function nodeAt(pad, [x, y]) {
  const k = (value, [low, high], n) => clamp(Math.round(((value - low) / (high - low)) * (n - 1)), 0, n - 1);
  return k(y, pad.y, pad.rows) * pad.columns + k(x, pad.x, pad.columns);
}

// The dots of the map: the same always, or others for each position of some controls.
function dotsNow(pad, dims) {
  const start = 2 * pad.count * offset(pad.strides, dims);
  return pad.points.slice(start, start + 2 * pad.count);
}

function nearestPoint(points, [x, y]) {
  let best = 0;
  let least = Infinity;
  for (let k = 0; k < points.length / 2; k++) {
    const d = (points[2 * k] - x) ** 2 + (points[2 * k + 1] - y) ** 2;
    if (d < least) [best, least] = [k, d];
  }
  return best;
}

function placeText(pad, [x, y]) {
  const decimals = Math.max(0, 2 - Math.floor(Math.log10((pad.x[1] - pad.x[0]) / 2)));
  return `${pad.name} = (${minus(x.toFixed(decimals))}, ${minus(y.toFixed(decimals))})`;
}

function niceTicks([low, high]) {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) ticks.push(Number((k * step).toPrecision(6)));
  return ticks;
}

function isLight(color) {
  const [r, g, b] = (color.match(/[\d.]+/g) || [0, 0, 0]).map(Number);
  return 0.3 * r + 0.6 * g + 0.1 * b > 128;
}

const PATH = "#d6007a";

// A line on a wider one of another shade: seen on any ground.
function outlined(g, width, draw, line, rim) {
  for (const [style, w] of [[rim, width + 2], [line, width]]) {
    g.beginPath();
    draw();
    g.strokeStyle = style;
    g.lineWidth = w;
    g.stroke();
  }
}

const ICON = {
  play: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4.5 2.5v11l9-5.5z"/></svg>',
  pause: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2.5h3v11H4zM9 2.5h3v11H9z"/></svg>',
};

const CSS = `
.cx { --ink: var(--jp-ui-font-color1, currentColor); --accent: var(--jp-brand-color1, #1976d2);
  --line: color-mix(in srgb, currentColor 22%, transparent); --soft: color-mix(in srgb, currentColor 8%, transparent);
  box-sizing: border-box; width: 100%; max-width: 820px; padding: 12px 2px; color: var(--ink);
  font: 13px/1.4 var(--jp-ui-font-family, system-ui, sans-serif); }
.cx *, .cx *::before { box-sizing: border-box; }
.cx-title { font-size: 16px; font-weight: 600; margin-bottom: 8px; }
.cx-section + .cx-section { margin-top: 16px; padding-top: 12px; border-top: 1px solid var(--line); }
.cx-heading { font-weight: 600; margin-bottom: 8px; }
.cx-body { display: flex; flex-wrap: wrap; gap: 16px 24px; align-items: flex-start; }
.cx-controls { display: flex; flex-wrap: wrap; gap: 12px 24px; align-items: flex-start; flex: 0 1 auto; max-width: 100%; }
.cx-panels { display: flex; flex-wrap: wrap; gap: 12px 16px; align-items: flex-start; min-width: 0; max-width: 100%; }
.cx-readouts { display: flex; flex-direction: column; gap: 6px; min-width: 180px; }
.cx-control { min-width: 0; max-width: 100%; }
.cx-label { display: flex; justify-content: space-between; gap: 12px; margin-bottom: 4px; opacity: 0.85; }
.cx-value { font-weight: 600; font-variant-numeric: tabular-nums; }
.cx-pad { width: 360px; max-width: 100%; }
.cx-board { position: relative; border: 1px solid var(--line); border-radius: 6px;
  overflow: hidden; touch-action: none; cursor: crosshair; user-select: none; -webkit-user-select: none; }
.cx-board canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cx-board:focus-within:not(.cx-pointed) { outline: 2px solid var(--accent); outline-offset: 2px; }
.cx-hidden { position: absolute; left: 0; bottom: 0; width: 100%; height: 100%; margin: 0; opacity: 0;
  pointer-events: none; }
.cx-caption { display: flex; gap: 8px; margin-top: 6px; font-weight: 600; font-variant-numeric: tabular-nums; }
.cx-live { padding: 0 6px; border-radius: 8px; font-weight: 400; font-size: 11px; line-height: 18px;
  background: var(--soft); }
.cx-legend { display: flex; flex-wrap: wrap; gap: 2px; margin: 4px 0 0 -5px; }
.cx-legend button { display: inline-flex; align-items: center; gap: 4px; padding: 1px 5px; border: 1px solid transparent;
  border-radius: 4px; background: none; color: inherit; font: inherit; cursor: pointer; }
.cx-legend button:hover { background: var(--soft); }
.cx-legend button[aria-pressed="true"] { border-color: var(--line); background: var(--soft); font-weight: 600; }
.cx-swatch { width: 10px; height: 10px; border-radius: 50%; }
.cx-check { display: inline-flex; align-items: center; gap: 6px; margin-top: 4px; cursor: pointer; }
.cx-check input { margin: 0; accent-color: var(--accent); }
.cx-slide { display: flex; align-items: center; gap: 8px; width: 280px; max-width: 100%; }
.cx-slide input { flex: 1; min-width: 0; height: 20px; margin: 0; accent-color: var(--accent); cursor: pointer; }
.cx-ends { display: flex; justify-content: space-between; font-size: 11px; opacity: 0.65; }
.cx-indent { padding-left: 36px; }
.cx-play { display: grid; place-items: center; flex: none; width: 28px; height: 28px; padding: 0; border: 0;
  background: var(--accent); cursor: pointer; }
.cx .cx-play { border-radius: 50%; }
.cx-play svg { width: 14px; height: 14px; fill: var(--jp-ui-inverse-font-color1, #fff); }
.cx-line { display: flex; flex-wrap: wrap; gap: 12px 24px; max-width: 100%; }
.cx-words { display: flex; flex-wrap: wrap; gap: 4px; }
.cx-thumbs { display: grid; grid-template-columns: repeat(var(--n), minmax(0, max-content)); gap: 4px; }
.cx-item { position: relative; display: block; cursor: pointer; }
.cx-item input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.cx-item canvas, .cx-item span { display: block; border-radius: 4px; outline: 1px solid var(--line); outline-offset: 0; }
.cx-words .cx-item span { padding: 5px 10px; line-height: 18px; }
.cx-words .cx-item input:checked + span { background: var(--accent); color: var(--jp-ui-inverse-font-color1, #fff);
  outline-color: var(--accent); }
.cx-thumbs .cx-item { padding: 2px; }
.cx-thumbs .cx-item input:checked + canvas { outline: 3px solid var(--accent); }
.cx-item input:focus-visible + * { box-shadow: 0 0 0 5px color-mix(in srgb, var(--accent) 45%, transparent); }
.cx figure { margin: 0; min-width: 0; }
.cx-panel { width: var(--w); max-width: 100%; }
.cx figcaption { margin-bottom: 4px; opacity: 0.85; text-align: left; font: inherit; color: inherit; }
.cx-tile { display: block; max-width: 100%; image-rendering: pixelated; border-radius: 3px; }
.cx-wide { max-width: 100%; }
.cx-strip { display: flex; gap: 4px; padding: 3px; }
.cx-strip canvas { flex: 0 1 auto; min-width: 0; cursor: pointer; }
.cx-strip .cx-on { outline: 3px solid var(--accent); }
.cx-readout { display: grid; grid-template-columns: 1fr auto; gap: 2px 8px; margin-top: 6px; }
.cx-bar { grid-column: 1 / -1; height: 6px; border-radius: 3px; background: var(--soft); overflow: hidden; }
.cx-bar i { display: block; height: 100%; background: var(--accent); transition: width 0.12s; }
.cx-status { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); }
.cx button:focus-visible, .cx-slide input:focus-visible, .cx-check input:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
@media (prefers-reduced-motion: reduce) { .cx-bar i { transition: none; } }
`;

export default { render };
