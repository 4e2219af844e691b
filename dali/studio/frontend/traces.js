// Plots of the observation dimensions over time, with a cursor at the film's present frame.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 46, right: 10, top: 8, bottom: 34 };
const PLOT_HEIGHT = 156;

function html(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function svg(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function swatch(style) {
  const node = svg("svg", { class: "swatch", viewBox: "0 0 28 8", preserveAspectRatio: "none", "aria-hidden": "true" });
  node.append(svg("path", { class: `line ${style}`, d: "M1 4H27" }));
  return node;
}

// About `count` round numbers (1, 2 or 5 times a power of ten apart) within [low, high].
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough * 0.999) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const label = (v) => (Math.abs(v) >= 1e5 || decimals > 4 ? v.toExponential(1) : v.toFixed(decimals));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step).map((v) => [v, label(v).replace("-", "−")]);
}

// One edge of the band around a line.
function edge(values, spread, sign) {
  return Array.from(values, (value, frame) => value + sign * spread[frame]);
}

function readable(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e5 || size < 1e-3) ? value.toExponential(1) : value.toFixed(size < 10 ? 3 : size < 100 ? 2 : 1);
  return text.replace("-", "−");
}

class TracePlot {
  constructor(trace, index, timestep, seek) {
    this.trace = trace;
    this.timestep = timestep;
    this.frames = trace.series[0].values.length;
    this.element = html("figure", "trace");
    this.plot = svg("svg", { class: "plot", role: "img", "data-testid": `player-trace-${index}` });
    this.plot.setAttribute("aria-label", `${trace.name} over time`);
    const caption = html("figcaption");
    const name = html("span", "name", trace.name);
    if (trace.unit) name.append(html("span", "unit", ` (${trace.unit})`));
    const values = html("span", "values");
    this.values = trace.series.map((series) => {
      const item = html("span");
      const number = html("b", "", "");
      item.title = series.label;
      item.append(swatch(series.style), number);
      values.append(item);
      return { item, number };
    });
    caption.append(name, values);
    this.element.append(caption, this.plot);
    const seekTo = (event) => {
      const room = this.width - MARGIN.left - MARGIN.right;
      const share = (event.clientX - this.plot.getBoundingClientRect().left - MARGIN.left) / room;
      seek(Math.round(share * (this.frames - 1)));
    };
    this.plot.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.plot.setPointerCapture(event.pointerId);
      seekTo(event);
    });
    this.plot.addEventListener("pointermove", (event) => {
      if (this.plot.hasPointerCapture(event.pointerId)) seekTo(event);
    });
  }

  x(frame) {
    return MARGIN.left + (frame / Math.max(1, this.frames - 1)) * (this.width - MARGIN.left - MARGIN.right);
  }

  // Draws everything but the cursor's position; `hidden` holds the labels of series that are switched off.
  layout(width, hidden) {
    this.width = width;
    const shown = this.trace.series.filter((series) => !hidden.has(series.label));
    const reach = ({ values, spread }) => (spread ? [...edge(values, spread, 1), ...edge(values, spread, -1)] : [...values]);
    const finite = shown.flatMap(reach).filter(Number.isFinite);
    let low = finite.reduce((a, b) => Math.min(a, b), Infinity);
    let high = finite.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!finite.length) [low, high] = [0, 1];
    const pad = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    [low, high] = [low - pad, high + pad];
    const bottom = PLOT_HEIGHT - MARGIN.bottom;
    const right = width - MARGIN.right;
    this.y = (value) => bottom - ((value - low) / (high - low)) * (bottom - MARGIN.top);
    this.plot.setAttribute("viewBox", `0 0 ${width} ${PLOT_HEIGHT}`);

    const nodes = [];
    for (const [value, label] of ticks(low, high, 4)) {
      const y = this.y(value);
      nodes.push(svg("path", { class: "grid", d: `M${MARGIN.left} ${y}H${right}` }));
      nodes.push(svg("text", { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, label));
    }
    const end = (this.frames - 1) * this.timestep;
    for (const [value, label] of end > 0 ? ticks(0, end, 5) : []) {
      const x = this.x(value / this.timestep);
      nodes.push(svg("path", { class: "axis", d: `M${x} ${bottom}v4` }));
      nodes.push(svg("text", { x, y: bottom + 15, "text-anchor": "middle" }, label));
    }
    nodes.push(svg("path", { class: "axis", d: `M${MARGIN.left} ${bottom}H${right}` }));
    nodes.push(svg("text", { x: (MARGIN.left + right) / 2, y: PLOT_HEIGHT - 5, "text-anchor": "middle" }, "time (s)"));
    for (const { values, spread, style } of shown.filter((series) => series.spread)) {
      const down = edge(values, spread, -1).map((value, frame) => [frame, value]).reverse();
      const back = down.map(([frame, value]) => `L${this.x(frame).toFixed(2)} ${this.y(value).toFixed(2)}`).join("");
      nodes.push(svg("path", { class: `band ${style}`, d: `${this.path(edge(values, spread, 1))}${back}Z` }));
    }
    for (const series of shown) nodes.push(svg("path", { class: `line ${series.style}`, d: this.path(series.values) }));
    this.cursor = svg("path", { class: "cursor", "data-testid": "player-cursor", d: `M0 ${MARGIN.top}V${bottom}` });
    this.marks = this.trace.series.map((series) => svg("circle", { class: `mark ${series.style}`, r: 3.5, cx: 0 }));
    this.group = svg("g", {});
    this.group.append(this.cursor, ...this.marks);
    this.plot.replaceChildren(...nodes, this.group);
    this.hidden = hidden;
    this.trace.series.forEach((series, i) => (this.values[i].item.hidden = hidden.has(series.label)));
  }

  // A gap wherever a value is not finite.
  path(values) {
    let pen = "M";
    let d = "";
    values.forEach((value, frame) => {
      if (Number.isFinite(value)) d += `${pen}${this.x(frame).toFixed(2)} ${this.y(value).toFixed(2)}`;
      pen = Number.isFinite(value) ? "L" : "M";
    });
    return d;
  }

  moveTo(frame) {
    this.group.setAttribute("transform", `translate(${this.x(frame).toFixed(2)} 0)`);
    this.plot.dataset.frame = frame;
    this.trace.series.forEach((series, i) => {
      const value = series.values[frame];
      this.values[i].number.textContent = readable(value);
      const visible = Number.isFinite(value) && !this.hidden.has(series.label);
      this.marks[i].style.display = visible ? "" : "none";
      if (visible) this.marks[i].setAttribute("cy", this.y(value).toFixed(2));
    });
  }
}
