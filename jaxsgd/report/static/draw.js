// Figures drawn by Bokeh in the colours of the page. All texts go through `safe`.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];

function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2), part = at - low;
  const channel = (i) => Math.round(
    parseInt(VIRIDIS[low].slice(i, i + 2), 16) * (1 - part) + parseInt(VIRIDIS[low + 1].slice(i, i + 2), 16) * part);
  return `rgb(${channel(1)},${channel(3)},${channel(5)})`;
}

// Bokeh takes text between two dollar signs for a formula, and would fetch what sets it.
const safe = (text) => String(text).replaceAll("$$", "$\u200b$").replaceAll("\\", "\u2216");

function isLog(values) {
  // As `jaxsgd.plot.scale.is_log`.
  let low = Infinity, high = -Infinity;
  for (const value of values) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  return low > 0 && high >= PAGE.description.constants.log_from * low;
}

function makeFigure(options) {
  const figure = Bokeh.Plotting.figure({
    height: 360, sizing_mode: "stretch_width", tools: "", toolbar_location: null, min_border_right: 12,
    background_fill_color: null, border_fill_color: colour("paper"), outline_line_color: null, ...options,
  });
  for (const axis of [figure.xaxis, figure.yaxis]) {
    axis.axis_label_text_color = colour("ink");
    axis.axis_label_text_font_style = "normal";
    axis.major_label_text_color = colour("ink");
    axis.axis_line_color = axis.major_tick_line_color = colour("line");
    axis.minor_tick_line_color = null;
  }
  for (const grid of [figure.xgrid, figure.ygrid]) grid.grid_line_color = null;
  return figure;
}

function nameTicks(axis, texts) {
  axis.ticker = new Bokeh.FixedTicker({ ticks: texts.map((_, i) => i) });
  axis.major_label_overrides = new Map(texts.map((text, i) => [i, safe(text)]));
}

function logTicks(axis, values, always = false) {
  // 1, 2 and 5 of each power of ten, where the axis is logarithmic.
  const finite = values.filter((value) => Number.isFinite(value) && value > 0);
  if (!finite.length || !(always || isLog(finite))) return;
  const low = Math.floor(Math.log10(Math.min(...finite))), high = Math.ceil(Math.log10(Math.max(...finite)));
  const leads = high - low > 6 ? [1] : high - low > 3 ? [1, 3] : [1, 2, 5];
  const ticks = [];
  for (let power = low; power <= high; power++) for (const lead of leads) ticks.push(Number(`${lead}e${power}`));
  axis.ticker = new Bokeh.FixedTicker({ ticks });
  axis.major_label_overrides = new Map(ticks.map((tick) => [tick, short(tick)]));
}

function sparseTicks(axis, values) {
  // The values themselves, where they are far enough apart on a logarithmic axis.
  const ticks = [];
  for (const value of [...values].sort((a, b) => a - b)) if (!ticks.length || value >= 1.6 * ticks.at(-1)) ticks.push(value);
  axis.ticker = new Bokeh.FixedTicker({ ticks });
  axis.major_label_overrides = new Map(ticks.map((tick) => [tick, short(tick, 3)]));
}

function source(columns) {
  return new Bokeh.ColumnDataSource({ data: columns });
}

function addHover(figure, renderers, lines) {
  figure.add_tools(new Bokeh.HoverTool({ renderers, tooltips: lines, mode: "mouse" }));
}

async function show(figure, holder) {
  holder.replaceChildren();
  return Bokeh.Plotting.show(figure, holder);
}

// ---- Elements

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function choice(label, options, value, change) {
  const select = make("select", { onchange: () => change(select.value) },
    ...options.map(([name, text]) => make("option", { value: name }, text)));
  select.value = value;
  return make("label", {}, label, select);
}

function tableOf(columns, rows, { sort = null, chosen = null, caption = "" } = {}) {
  // columns: [{name, words, text(row), value(row)}]; a head is a button where the table sorts.
  const head = columns.map((column) => make("th", { scope: "col" }, sort
    ? make("button", { type: "button", onclick: () => sort(column) }, column.words) : column.words));
  const body = rows.map((row) => make("tr", chosen && chosen(row) ? { class: "chosen" } : {},
    ...columns.map((column) => {
      const content = column.text(row);
      return make("td", {}, content instanceof Node ? content : String(content));
    })));
  return make("table", {}, ...(caption ? [make("caption", {}, caption)] : []),
    make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
}
