// One clock for all panes and plots: every change of the present frame goes through Player.seek.
// Streamlit calls the exported function again on every rerun and theme change with the same parentElement.

// Position and speed by the caller's key, so that they outlive a remount, as on a change of page and back.
const memory = new Map();
const players = new WeakMap();
// In the order of mounting. Keys that nothing else on the page wants drive the first one that can be seen.
const mounted = new Set();

// What uses the keys of a film itself. A button does nothing with arrows, so it leaves those to the film.
const TYPED_INTO = [
  "input, textarea, select, video, summary, [contenteditable=true], .js-plotly-plot, dialog, [role=dialog]",
  "[role=slider], [role=radio], [role=option], [role=listbox], [role=combobox], [role=tab], [role=menuitem], [role=grid]",
].join();

function onPageKey(event) {
  const target = event.composedPath()[0];
  if (event.defaultPrevented || !["ArrowLeft", "ArrowRight", " "].includes(event.key)) return;
  if (target instanceof Element && target.closest(TYPED_INTO)) return;
  if (event.key === " " && target instanceof Element && target.closest("button, a, [role=button]")) return;
  for (const player of mounted) if (player.root.isConnected && player.root.offsetParent) return player.onKey(event);
}


class Player {
  constructor(root, { key, frame_in_url }) {
    this.root = root;
    this.frameInUrl = frame_in_url;
    this.state = memory.get(key) ?? { frame: this.frameOfUrl(), speed: 1, loop: true, playing: false, hidden: new Set() };
    memory.set(key, this.state);
    this.film = null;
    this.plots = [];
    this.canvases = [];
    this.find = (selector) => root.querySelector(selector);
    this.scrub = this.find(".scrub");
    this.resizing = new ResizeObserver(() => {
      if (this.find(".traces").clientWidth !== this.tracesWidth) this.layoutTraces();
    });
    this.resizing.observe(this.find(".traces"));
    root.addEventListener("click", (event) => this.onClick(event));
    root.addEventListener("keydown", (event) => this.onKey(event));
    this.scrub.addEventListener("input", () => this.seek(Number(this.scrub.value)));
    // Keys drive the film again after the mouse has dragged the bar.
    this.scrub.addEventListener("pointerup", () => root.focus({ preventScroll: true }));
    if (!mounted.size) document.addEventListener("keydown", onPageKey);
    mounted.add(this);
    this.showControls();
  }

  destroy() {
    mounted.delete(this);
    if (!mounted.size) document.removeEventListener("keydown", onPageKey);
    clearTimeout(this.writing);
    cancelAnimationFrame(this.request);
    this.resizing.disconnect();
    this.wanted = null;
    releaseFilm(this.film);
  }

  frameOfUrl() {
    const text = this.frameInUrl && new URLSearchParams(location.search).get(this.frameInUrl);
    return /^\d{1,6}$/.test(text ?? "") ? Number(text) : 0;
  }

  // Where the film stands is no step of the browser's history, and needs no rerun of the script.
  writeUrl() {
    clearTimeout(this.writing);
    if (!this.frameInUrl || this.state.playing) return;
    this.writing = setTimeout(() => {
      const url = new URL(location);
      if (this.state.frame) url.searchParams.set(this.frameInUrl, this.state.frame);
      else url.searchParams.delete(this.frameInUrl);
      if (url.href !== location.href) history.replaceState(history.state, "", url);
    }, 300);
  }

  get last() {
    return this.film.frames - 1;
  }

  async show(packed) {
    const { digest } = packed.header;
    if (this.wanted === digest) return;
    this.wanted = digest;
    const error = this.find(".error");
    error.hidden = true;
    let film;
    try {
      film = await decodeFilm(packed, this.film);
    } catch (reason) {
      error.textContent = `The film could not be decoded: ${reason.message}`;
      error.hidden = false;
      return;
    }
    // A newer film may have come while this one was decoded.
    if (this.wanted === digest) this.replace(film);
    else releaseFilm(film, this.film);
  }

  // Swaps the film in place at the present frame, without waiting in between: nothing half-done is ever painted.
  replace(film) {
    const old = this.film;
    this.film = film;
    this.showPanes();
    this.showLegend();
    this.plots = film.traces.map((trace, i) => new TracePlot(trace, i, film.timestep, (frame) => this.seek(frame)));
    this.find(".traces").replaceChildren(...this.plots.map((plot) => plot.element));
    this.scrub.max = this.last;
    this.layoutTraces();
    this.root.dataset.frames = film.frames;
    this.root.dataset.digest = film.digest;
    releaseFilm(old, film);
    if (this.state.playing) this.play();
  }

  showPanes() {
    const { panes } = this.film;
    const grid = this.find(".panes");
    const layout = (suffix, columns) => {
      grid.style.setProperty(`--columns-${suffix}`, columns);
      grid.style.setProperty(`--rows-${suffix}`, Math.ceil(panes.length / columns));
    };
    // More rows than two leave the first screen anyway; then they are large enough to be seen.
    grid.style.setProperty("--least", panes.length > 4 ? "200px" : "150px");
    layout("wide", Math.min(panes.length, panes.length > 8 ? 4 : 2));
    layout("narrow", Math.min(2, panes.length));
    while (grid.children.length > panes.length) grid.lastChild.remove();
    while (grid.children.length < panes.length) {
      const pane = html("figure", "pane");
      const caption = html("figcaption");
      const canvas = html("canvas");
      canvas.dataset.testid = `player-pane-${grid.children.length}`;
      canvas.dataset.act = "play";
      canvas.setAttribute("role", "img");
      const screen = html("div", "screen");
      const arrow = html("div", "gravity");
      arrow.title = "Gravity, to scale";
      caption.append(html("span", "title"), html("span", "caption"));
      screen.append(canvas, arrow);
      pane.append(caption, screen);
      grid.append(pane);
    }
    this.canvases = panes.map((pane, i) => {
      const figure = grid.children[i];
      const canvas = figure.querySelector("canvas");
      figure.querySelector(".title").replaceChildren(...(pane.style ? [swatch(pane.style)] : []), pane.title);
      figure.querySelector(".caption").textContent = pane.caption;
      figure.className = `pane tint ${pane.style}${pane.drawn ? " drawn" : ""}`;
      figure.querySelector(".gravity").style.setProperty("--share", pane.gravity);
      figure.querySelector(".gravity").hidden = !pane.gravity;
      if (canvas.width !== pane.width) canvas.width = pane.width;
      if (canvas.height !== pane.height) canvas.height = pane.height;
      return canvas.getContext("2d");
    });
  }

  showLegend() {
    const styles = new Map(this.film.traces.flatMap((trace) => trace.series.map((s) => [s.label, s.style])));
    const buttons = Array.from(styles, ([label, style]) => {
      const button = html("button");
      button.type = "button";
      button.dataset.act = "toggle";
      button.dataset.label = label;
      button.title = "Show or hide";
      button.setAttribute("aria-pressed", String(!this.state.hidden.has(label)));
      button.append(swatch(style), html("span", "", label));
      return button;
    });
    this.find(".legend").replaceChildren(...buttons);
  }

  layoutTraces() {
    const grid = this.find(".traces");
    this.tracesWidth = grid.clientWidth;
    const most = Math.max(1, Math.floor(this.tracesWidth / 280));
    const rows = Math.ceil(this.plots.length / most);
    grid.style.setProperty("--columns", Math.ceil(this.plots.length / Math.max(1, rows))); // rows of even length
    for (const plot of this.plots) plot.layout(plot.plot.clientWidth || 320, this.state.hidden);
    if (this.film) this.seek(this.state.frame);
  }

  seek(frame) {
    const { film, state, root } = this;
    if (!film) return;
    state.frame = Math.max(0, Math.min(frame, this.last));
    this.canvases.forEach((context, i) => {
      drawFrame(context, film.panes[i], state.frame, film.sheet_frames);
      context.canvas.dataset.frame = state.frame;
    });
    for (const plot of this.plots) plot.moveTo(state.frame);
    const time = (state.frame * film.timestep).toFixed(film.timestep < 0.01 ? 3 : 2);
    const text = `frame ${state.frame}/${this.last}, t = ${time} s`;
    this.canvases.forEach(({ canvas }, i) => {
      const { title, caption } = film.panes[i];
      canvas.setAttribute("aria-label", `${title}: ${caption}; ${text}`);
    });
    this.writeUrl();
    this.scrub.value = state.frame;
    this.scrub.setAttribute("aria-valuetext", text);
    this.find(".readout").textContent = text;
    root.dataset.frame = state.frame;
  }

  // The frame follows the time since the start of play, so that a late refresh skips frames instead of slowing down.
  play() {
    const { state } = this;
    cancelAnimationFrame(this.request);
    if (!state.loop && state.frame >= this.last) this.seek(0);
    let from = state.frame;
    let shown = from;
    let start;
    const tick = (now) => {
      start ??= now;
      if (state.frame !== shown) [from, start] = [state.frame, now]; // sought while playing
      const past = from + Math.floor(((now - start) / 1000) * (state.speed / this.film.timestep) + 1e-6);
      const frame = state.loop ? past % this.film.frames : Math.min(past, this.last);
      if (frame !== state.frame) this.seek(frame);
      shown = state.frame;
      if (!state.loop && frame === this.last) this.pause();
      else this.request = requestAnimationFrame(tick);
    };
    state.playing = true;
    this.request = requestAnimationFrame(tick);
    this.showControls();
  }

  pause() {
    cancelAnimationFrame(this.request);
    this.state.playing = false;
    this.writeUrl();
    this.showControls();
  }

  showControls() {
    const { speed, loop, playing } = this.state;
    this.root.dataset.playing = playing;
    this.root.dataset.speed = speed;
    this.find('[data-act="play"]').setAttribute("aria-label", playing ? "Pause" : "Play");
    this.find('[data-act="loop"]').setAttribute("aria-pressed", String(loop));
    for (const button of this.root.querySelectorAll("[data-speed]"))
      button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === speed));
  }

  act(name, target) {
    const { state } = this;
    const restart = state.playing && ["speed", "loop"].includes(name);
    if (name === "play") state.playing ? this.pause() : this.play();
    if (name === "back" || name === "forward") {
      this.pause();
      this.seek(state.frame + (name === "back" ? -1 : 1));
    }
    if (name === "loop") state.loop = !state.loop;
    if (name === "speed") state.speed = Number(target.dataset.speed);
    if (name === "toggle") {
      const { label } = target.dataset;
      if (!state.hidden.delete(label)) state.hidden.add(label);
      target.setAttribute("aria-pressed", String(!state.hidden.has(label)));
      this.layoutTraces();
    }
    if (restart) this.play();
    this.showControls();
  }

  onClick(event) {
    const target = event.target.closest("[data-act]");
    if (target && this.film) this.act(target.dataset.act, target);
    // A mouse click leaves the keys to the film; a key press on a button (detail 0) keeps its focus.
    if (event.detail > 0) this.root.focus({ preventScroll: true });
  }

  onKey(event) {
    if (!this.film || event.ctrlKey || event.metaKey || event.altKey) return;
    const stride = event.shiftKey ? 10 : 1;
    const moves = {
      ArrowLeft: () => this.state.frame - stride,
      ArrowRight: () => this.state.frame + stride,
      Home: () => 0,
      End: () => this.last,
    };
    if (event.key === " " && !event.target.closest("button")) this.act("play");
    else if (moves[event.key]) {
      this.pause();
      this.seek(moves[event.key]());
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

// Whether the page is dark, from the brightness of its background, which a theme may set in any notation.
function isDark(root) {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  pen.fillStyle = getComputedStyle(root).getPropertyValue("--st-background-color");
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}

export default function mount({ parentElement, data }) {
  const root = parentElement.querySelector(".player");
  const packed = readHeader(data);
  let player = players.get(parentElement);
  if (player?.root !== root) {
    player?.destroy();
    player = new Player(root, packed.header);
    players.set(parentElement, player);
  }
  root.dataset.theme = isDark(root) ? "dark" : "light";
  player.show(packed);
  return () => {
    player.destroy();
    players.delete(parentElement);
  };
}
