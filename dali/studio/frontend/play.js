// A person acts in four runs at once. The browser keeps the time: at every step of the environment it notes what is
// held and what the sliders say, sends what has gathered as soon as the last answer is there, and shows the frames that
// come back at the environment's own pace. So a slow answer delays a frame and never drops or doubles a step.

const KEYS = [["ArrowLeft", "ArrowRight"], ["ArrowDown", "ArrowUp"], ["a", "d"], ["s", "w"], ["j", "l"], ["k", "i"]];
const NAMES = { ArrowLeft: "←", ArrowRight: "→", ArrowDown: "↓", ArrowUp: "↑" };
const MOST = 64; // steps in one piece, as the server takes them
const DECODED = 8; // pieces whose pictures are kept decoded; the others are decoded when they are looked at
const stages = new WeakMap();

class Stage {
  constructor(root, send) {
    this.root = root;
    this.send = send;
    this.find = (selector) => root.querySelector(selector);
    this.pieces = []; // {first, count, panes: [{sheets: [{blob, columns, picture}]}]}
    this.errors = [[], []];
    this.pending = []; // steps that have not been sent
    this.held = new Set(); // "dimension:end"
    this.physics = {};
    this.turned = false;
    this.choice = 0; // of a discrete action: what was held last
    this.running = false;
    this.looking = false;
    this.waiting = false;
    this.speed = 1;
    this.head = 0;
    this.shown = -1;
    this.painted = []; // times of the last frames
    root.dataset.shown = 0;
    root.addEventListener("click", (event) => this.onClick(event));
    this.find(".scrub").addEventListener("input", (event) => this.lookAt(Number(event.target.value)));
    this.onKey = (event) => this.key(event);
    this.onBlur = () => this.held.clear() || this.showPads();
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("keyup", this.onKey);
    window.addEventListener("blur", this.onBlur);
    this.loop = requestAnimationFrame((now) => this.tick(now));
  }

  destroy() {
    cancelAnimationFrame(this.loop);
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("keyup", this.onKey);
    window.removeEventListener("blur", this.onBlur);
    for (const piece of this.pieces) this.free(piece);
  }

  get records() {
    const last = this.pieces.at(-1);
    return last ? last.first + last.count : 0;
  }

  // What the server sends ---------------------------------------------------------------------------------------

  async receive({ header, body }) {
    if (header.serial === this.serial) return;
    this.serial = header.serial;
    const error = this.find(".error");
    error.textContent = header.said;
    error.hidden = !header.said;
    if (header.fresh) this.begin(header);
    this.cut(header.first);
    if (header.count) {
      const part = ([offset, length]) => new Blob([body.subarray(offset, offset + length)], { type: "image/png" });
      const panes = header.panes.map((pane) => ({
        sheets: pane.sheets.map(({ png, columns }) => ({ blob: part(png), columns })),
        width: pane.width,
        height: pane.height,
      }));
      const piece = { first: header.first, count: header.count, panes };
      await this.decode(piece);
      this.pieces.push(piece);
      header.errors.forEach((values, i) => this.errors[i].push(...values));
    }
    header.panes.forEach((pane, i) => this.caption(pane, i));
    this.find(".scrub").max = Math.max(0, this.records - 1);
    this.waiting = false;
    if (header.said) this.setRunning(false);
    if (!this.running || performance.now() - (this.plotted ?? 0) > 300) this.plot();
    if (this.shown < 0 || header.fresh) this.lookAt(this.records - 1);
    this.root.dataset.records = this.records;
  }

  begin(header) {
    this.header = header;
    this.root.dataset.timestep = header.timestep;
    this.cut(0);
    [this.pending, this.owed, this.head, this.shown] = [[], 0, 0, -1];
    this.setRunning(false);
    for (const feature of header.features) this.physics[feature.name] = feature.asked;
    this.buildPanes(header.panes);
    this.buildPads(header);
    this.buildKnobs(header.features);
  }

  cut(records) {
    while (this.pieces.length && this.pieces.at(-1).first >= records) this.free(this.pieces.pop());
    const last = this.pieces.at(-1);
    if (last) last.count = Math.min(last.count, records - last.first);
    for (const values of this.errors) values.length = Math.min(values.length, records);
  }

  async decode(piece) {
    await Promise.all(
      piece.panes.flatMap(({ sheets }) =>
        sheets.map(async (sheet) => {
          sheet.picture ??= await createImageBitmap(sheet.blob);
        })
      )
    );
    piece.decoded = performance.now();
    const old = this.pieces.filter((p) => p.decoded && p !== piece).sort((a, b) => b.decoded - a.decoded);
    for (const other of old.slice(DECODED)) this.free(other);
  }

  free(piece) {
    for (const { sheets } of piece.panes)
      for (const sheet of sheets) {
        sheet.picture?.close();
        sheet.picture = null;
      }
    piece.decoded = 0;
  }

  // Time --------------------------------------------------------------------------------------------------------

  tick(now) {
    const passed = Math.min(0.25, (now - (this.last ?? now)) / 1000);
    this.last = now;
    if (this.header) {
      const steps = (passed * this.speed) / this.header.timestep;
      if (this.running) this.note(steps);
      if (!this.waiting && this.pending.length) this.post();
      this.follow(steps);
      while (this.painted.length && now - this.painted[0] > 1000) this.painted.shift();
      this.root.dataset.fps = this.painted.length;
    }
    this.loop = requestAnimationFrame((time) => this.tick(time));
  }

  // Notes a step for each that is due. Where the server cannot follow, time passes slower instead of skipping steps.
  note(steps) {
    this.owed = Math.min((this.owed ?? 0) + steps, MOST - this.pending.length);
    while (this.owed >= 1) {
      this.owed -= 1;
      this.pending.push({ action: this.action(), physics: this.turned ? { ...this.physics } : null });
      this.turned = false;
    }
  }

  post() {
    const steps = this.pending.splice(0, MOST);
    this.waiting = true;
    this.send({ from: this.records - 1, steps });
  }

  // Shows what has come at the pace of the environment, a little faster where more has gathered than a piece.
  follow(steps) {
    const end = this.records - 1;
    if (this.looking || this.head >= end) return;
    const behind = end - this.head - (this.pieces.at(-1)?.count ?? 0);
    this.head = Math.min(end, this.head + steps * (behind > 1 ? 1.25 : 1));
    if (Math.floor(this.head) !== this.shown) this.show(Math.floor(this.head));
  }

  show(record) {
    const piece = this.pieces.findLast(({ first }) => first <= record);
    if (!piece) return;
    if (!piece.decoded) return void this.decode(piece).then(() => this.show(record));
    const sheetFrames = 64;
    this.canvases.forEach((pen, i) => drawFrame(pen, piece.panes[i], record - piece.first, sheetFrames));
    this.shown = record;
    this.painted.push(performance.now());
    this.root.dataset.shown = Number(this.root.dataset.shown) + 1;
    this.root.dataset.frame = record;
    const time = (record * this.header.timestep).toFixed(2);
    const text = `frame ${record}/${this.records - 1}, t = ${time} s`;
    this.find(".readout").textContent = text;
    this.find(".scrub").value = record;
    this.find(".scrub").setAttribute("aria-valuetext", text);
    this.tracePlot?.moveTo(Math.min(record, this.tracePlot.frames - 1));
  }

  // A frame that was looked for stays, until the take goes on.
  lookAt(record) {
    this.setRunning(false);
    this.looking = true;
    this.head = record;
    this.show(record);
  }

  plot() {
    this.plotted = performance.now();
    if (this.records < 2) return this.find(".traces").replaceChildren();
    const series = ["own", "asked"].map((name, i) => ({
      label: name,
      style: i ? "dream_counterfactual" : "dream_factual",
      values: Float32Array.from(this.errors[i]),
    }));
    const trace = { name: "Error of the dream", unit: "σ of the data", series };
    this.tracePlot = new TracePlot(trace, 0, this.header.timestep, (frame) => this.lookAt(Math.max(0, Math.min(frame, this.records - 1))));
    this.find(".traces").replaceChildren(this.tracePlot.element);
    this.tracePlot.layout(this.find(".traces").clientWidth || 320, new Set());
    this.tracePlot.moveTo(Math.max(0, Math.min(this.shown, this.records - 1)));
  }

  // What a person does ------------------------------------------------------------------------------------------

  action() {
    const { actions, discrete } = this.header;
    if (discrete) {
      for (const name of this.held) this.choice = Number(name.split(":")[0]);
      return actions.map((_, i) => Number(i === this.choice));
    }
    return actions.map((_, i) => Number(this.held.has(`${i}:1`)) - Number(this.held.has(`${i}:0`)));
  }

  key(event) {
    if (!this.header || !this.root.isConnected || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.composedPath()[0];
    const inside = target instanceof Element && this.root.contains(target);
    const typed = target instanceof Element && target.closest("input, textarea, select, [role=slider], [role=combobox], [role=listbox]");
    if (typed && !(inside && this.running)) return;
    const down = event.type === "keydown";
    if (event.key === " ") {
      if (target instanceof Element && target.closest("button, a, [role=button]")) return;
      if (down && !event.repeat) this.setRunning(!this.running);
      return event.preventDefault();
    }
    const name = this.keys.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (name === undefined) return;
    this.hold(name, down);
    event.preventDefault();
    event.stopPropagation();
  }

  hold(name, down) {
    down ? this.held.add(name) : this.held.delete(name);
    this.showPads();
  }

  showPads() {
    for (const pad of this.root.querySelectorAll(".pad")) pad.setAttribute("aria-pressed", String(this.held.has(pad.dataset.name)));
  }

  setRunning(running) {
    if (running) {
      if (this.looking) this.head = this.records - 1;
      this.looking = false;
      this.owed = 0;
    }
    this.running = running;
    this.root.dataset.running = running;
    this.find(".run").textContent = running ? "Pause" : "Start";
    for (const button of this.root.querySelectorAll("[data-speed]"))
      button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === this.speed));
    if (!running && this.header) this.plot();
  }

  onClick(event) {
    const target = event.target.closest("[data-act]");
    if (!target || !this.header) return;
    if (target.dataset.act === "run") this.setRunning(!this.running);
    if (target.dataset.act === "speed") {
      this.speed = Number(target.dataset.speed);
      this.setRunning(this.running);
    }
    if (target.dataset.act === "branch" && !this.waiting && !this.pending.length) {
      this.setRunning(false);
      this.waiting = true;
      this.turned = true; // what the sliders say now is what the branch goes on under
      this.send({ act: "branch", from: this.shown });
    }
    if (event.detail > 0) this.root.focus({ preventScroll: true });
  }

  // Widgets -----------------------------------------------------------------------------------------------------

  buildPanes(panes) {
    const figures = panes.map((pane, i) => {
      const figure = html("figure", `pane tint drawn ${pane.style}`);
      const caption = html("figcaption");
      const title = html("span", "title");
      title.append(swatch(pane.style), pane.title);
      caption.append(title, html("span", "caption"));
      const screen = html("div", "screen");
      const canvas = html("canvas");
      [canvas.width, canvas.height] = [pane.width, pane.height];
      canvas.dataset.testid = `play-pane-${i}`;
      canvas.setAttribute("role", "img");
      screen.append(canvas, html("div", "gravity"));
      figure.append(caption, screen);
      return figure;
    });
    this.find(".panes").replaceChildren(...figures);
    this.canvases = figures.map((figure) => figure.querySelector("canvas").getContext("2d"));
  }

  caption(pane, i) {
    const figure = this.find(".panes").children[i];
    figure.querySelector(".caption").textContent = pane.caption;
    figure.querySelector("canvas").setAttribute("aria-label", `${pane.title}: ${pane.caption}`);
    figure.querySelector(".gravity").style.setProperty("--share", pane.gravity);
    figure.querySelector(".gravity").hidden = !pane.gravity;
  }

  buildPads({ actions, discrete }) {
    this.keys = new Map();
    const pads = actions.flatMap((action, i) => {
      const ends = discrete ? [[0, action]] : [[0, `${action} −`], [1, `${action} +`]];
      return ends.map(([end, label]) => {
        const key = discrete ? KEYS.flat()[i] : KEYS[i]?.[end];
        const pad = html("button", "pad", label);
        pad.type = "button";
        pad.dataset.name = `${i}:${end}`;
        pad.setAttribute("aria-pressed", "false");
        if (key) {
          this.keys.set(key, pad.dataset.name);
          pad.append(html("kbd", "", NAMES[key] ?? key.toUpperCase()));
        }
        const hold = (down) => () => this.hold(pad.dataset.name, down);
        pad.addEventListener("pointerdown", hold(true));
        for (const end of ["pointerup", "pointercancel", "pointerleave"]) pad.addEventListener(end, hold(false));
        return pad;
      });
    });
    this.find(".pads").replaceChildren(...pads);
  }

  buildKnobs(features) {
    const knobs = features.map((feature) => {
      const [low, high] = feature.limits;
      const place = (value) => `${(100 * (value - low)) / (high - low)}%`;
      const knob = html("div", "knob");
      const slider = html("input");
      const label = html("label", "", feature.label);
      const output = html("output");
      const digits = high - low >= 1 ? 2 : 3;
      Object.assign(slider, { type: "range", min: low, max: high, step: (high - low) / 200, value: feature.asked });
      slider.setAttribute("aria-label", feature.label);
      slider.dataset.testid = `play-${feature.name}`;
      const say = () => (output.textContent = Number(this.physics[feature.name]).toFixed(digits));
      slider.addEventListener("input", () => {
        this.physics[feature.name] = Number(slider.value);
        this.turned = true;
        say();
      });
      // Keys act again after the mouse has turned a slider.
      slider.addEventListener("pointerup", () => this.root.focus({ preventScroll: true }));
      const range = html("div", "range");
      const trained = feature.train.map(([from, to]) => {
        const part = html("i");
        part.style.left = place(from);
        part.style.width = `${(100 * (to - from)) / (high - low)}%`;
        return part;
      });
      const own = html("b");
      own.style.left = place(feature.own);
      const words = feature.train.map(([from, to]) => `${from} to ${to}`).join(" or ");
      range.title = `Trained on ${words}; the mark is the episode's own`;
      range.append(...trained, own);
      knob.append(label, slider, output, range);
      say();
      return knob;
    });
    this.find(".knobs").replaceChildren(...knobs);
  }
}

function darkPage(root) {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  pen.fillStyle = getComputedStyle(root).getPropertyValue("--st-background-color");
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}

export default function mount({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".play");
  let stage = stages.get(parentElement);
  if (stage?.root !== root) {
    stage?.destroy();
    stage = new Stage(root, (asked) => setTriggerValue("ask", asked));
    stages.set(parentElement, stage);
  }
  root.dataset.theme = darkPage(root) ? "dark" : "light";
  stage.receive(readHeader(data));
  return () => {
    stage.destroy();
    stages.delete(parentElement);
  };
}
