// The views. Each has `element`, and `draw()`, which shows the state; `pick()` shows a new selection only.

const STATE = { metric: "", record: null, allowed: {}, range: null, setting: 0, selected: null, count: 0 };

const folderText = () => PAGE.description.folder;
const pythonText = () => `ds = jaxsgd.load(${JSON.stringify(folderText())})`;
const shellWord = (text) => (/^[\w.,:=\/+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function selectWords(but = []) {
  // The options of a command that select what is selected here, along the axes that are not in `but`.
  const words = [];
  for (const axis of PAGE.description.axes) {
    const allowed = STATE.allowed[axis.dim];
    if (but.includes(axis.dim) || allowed.every(Boolean)) continue;
    axis.values.forEach((value, i) => { if (allowed[i]) words.push("--select " + shellWord(`${axis.name}=${value}`)); });
  }
  return words.length ? " " + words.join(" ") : "";
}

function settingText(setting) {
  const cell = PAGE.cellsOf[setting][0];
  return PAGE.description.axes.filter((axis) => !axis.seed)
    .map((axis) => `${axis.words} ${axis.texts[PAGE.place[axis.dim][cell]]}`).join(", ") || "the only setting";
}

function cellText(cell) {
  return PAGE.description.axes.filter((axis) => axis.seed)
    .map((axis) => `${axis.words} ${axis.texts[PAGE.place[axis.dim][cell]]}`).join(", ") || "the run";
}

const settingButton = (setting) => make("button", { type: "button", onclick: () => chooseSetting(setting) }, "curves");
const signOf = (name) => (metricOf(name).better === "higher" ? -1 : 1);

// ---- Parallel coordinates

function axisPositions(axis) {
  const { values, numeric, log } = axis;
  if (values.length === 1) return [0.5];
  if (!numeric) return values.map((_, i) => i / (values.length - 1));
  const at = values.map((value) => (log ? Math.log(value) : value));
  const low = Math.min(...at), high = Math.max(...at);
  return at.map((value) => (high > low ? (value - low) / (high - low) : 0.5));
}

const FINE = 400, ABOVE = 1.08, BINS = 450;

function parallelView() {
  const view = viewOf("parallel", "All runs: axes and metric", true, "Drag over an axis to select the runs that pass there; "
    + "the other views follow. Double-click to select all. Colours: the metric, dark is low. With the keyboard: open “Select by values” above.", () => {
    const axes = PAGE.description.axes;
    const cells = selectedCells();
    const columns = [...axes.map((axis) => ({ words: axis.words, text: (cell) => axis.texts[PAGE.place[axis.dim][cell]] })),
      { words: metricOf(STATE.metric).words, text: (cell) => short(valueAt(STATE.metric, cell, STATE.record)) },
      { words: "", text: (cell) => settingButton(PAGE.setting[cell]) }];
    return tableOf(columns, cells.slice(0, 200),
      { caption: cells.length > 200 ? `The first 200 of ${cells.length} selected runs; the CSV file has all.` : "" });
  });
  const axes = PAGE.description.axes;
  const places = axes.map((axis) => axisPositions(axis).map((at) => Math.round(at * FINE)));
  const metricBin = new Int32Array(PAGE.count);
  const sources = {};
  let scale = { low: 0, high: 1, log: false };

  function scaleMetric() {
    const values = Float64Array.from({ length: PAGE.count }, (_, cell) => valueAt(STATE.metric, cell, STATE.record));
    const gone = Uint8Array.from(values, (value, cell) =>
      !Number.isFinite(value) || (STATE.record === null && number("diverged", cell)) ? 1 : 0);
    const finite = values.filter((_, cell) => !gone[cell]);
    const log = isLog(finite);
    const low = finite.reduce((a, b) => Math.min(a, b), Infinity), high = finite.reduce((a, b) => Math.max(a, b), -Infinity);
    scale = { low, high, log, values, gone };
    const share = (value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low || 1));
    for (let cell = 0; cell < PAGE.count; cell++)
      metricBin[cell] = number("missing", cell) ? -1 : gone[cell] ? Math.round(ABOVE * FINE)
        : Math.round((high > low ? share(values[cell]) : 0.5) * FINE);
  }

  function segments(wanted) {
    // Runs that pass through the same two places share a line, which is the darker the more they are.
    // Its colour is that of the mean of their metric.
    const x0 = [], y0 = [], x1 = [], y1 = [], alpha = [], shade = [];
    const bins = new Int32Array(BINS * BINS), sums = new Float64Array(BINS * BINS);
    for (let a = 0; a < axes.length; a++) {
      bins.fill(0);
      const last = a === axes.length - 1;
      const own = places[a], place = PAGE.place[axes[a].dim];
      const next = last ? null : places[a + 1], nextPlace = last ? null : PAGE.place[axes[a + 1].dim];
      const used = [];
      for (let cell = 0; cell < PAGE.count; cell++) {
        if (metricBin[cell] < 0 || !wanted(cell)) continue;
        const key = own[place[cell]] * BINS + (last ? metricBin[cell] : next[nextPlace[cell]]);
        if (bins[key]++ === 0) { used.push(key); sums[key] = 0; }
        sums[key] += metricBin[cell];
      }
      for (const key of used) {
        x0.push(a); x1.push(a + 1);
        y0.push(Math.floor(key / BINS) / FINE); y1.push((key % BINS) / FINE);
        alpha.push(Math.min(1, 0.35 + 0.1 * Math.log2(bins[key])));
        shade.push(viridis(sums[key] / bins[key] / FINE));
      }
    }
    return { x0, y0, x1, y1, alpha, shade };
  }

  view.pick = () => {
    sources.chosen.data = segments((cell) => STATE.selected[cell] && !scale.gone[cell]);
    sources.diverged.data = segments((cell) => STATE.selected[cell] && scale.gone[cell]);
    view.holder.setAttribute("aria-label", `${STATE.count} of ${PAGE.count} runs are selected`);
    view.command.textContent = `jaxsgd export ${shellWord(folderText())} --to csv\n\n${pythonText()}\n`
      + `ds[${JSON.stringify(STATE.metric)}]   # of every run`;
    view.refresh();
  };

  view.draw = async () => {
    scaleMetric();
    const metric = metricOf(STATE.metric);
    const figure = makeFigure({
      height: 380, x_range: new Bokeh.Range1d({ start: -0.35, end: axes.length + 0.45 }),
      y_range: new Bokeh.Range1d({ start: -0.05, end: scale.gone.some(Boolean) ? 1.14 : 1.05 }),
    });
    for (const name of ["all", "chosen", "diverged"]) sources[name] = source(segments(() => false));
    sources.all.data = segments(() => true);
    const look = { all: ["pale", 1], chosen: [null, 1.3], diverged: ["red", 1.3] };
    for (const [name, [shade, width]] of Object.entries(look))
      figure.segment({ field: "x0" }, { field: "y0" }, { field: "x1" }, { field: "y1" }, {
        source: sources[name], line_color: shade === null ? { field: "shade" } : colour(shade), line_width: width,
        line_alpha: name === "all" ? 0.35 : { field: "alpha" },
      });
    const ticks = { x: [], y: [], text: [] };
    const tick = (x, y, text) => { ticks.x.push(x); ticks.y.push(y); ticks.text.push(safe(text)); };
    axes.forEach((axis, a) => {
      const count = axis.values.length, every = Math.ceil(count / 9);
      const order = [...axis.values.keys()].sort((i, j) => places[a][i] - places[a][j]);
      order.forEach((i, rank) => { if (rank % every === 0 || rank === count - 1) tick(a, places[a][i] / FINE, axis.texts[i]); });
    });
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const { low, high, log } = scale;
      if (high > low) tick(axes.length, share, short(log ? low * (high / low) ** share : low + share * (high - low), 3));
    }
    if (scale.gone.some(Boolean)) tick(axes.length, ABOVE, "diverged");
    const upright = axes.map((_, a) => a).concat(axes.length);
    figure.segment(upright, upright.map(() => 0), upright, upright.map(() => 1), { line_color: colour("ink"), line_width: 1.2 });
    figure.text({ field: "x" }, { field: "y" }, { field: "text" }, {
      source: source(ticks), text_color: colour("ink"), text_font_size: "11px", text_baseline: "middle", x_offset: 4,
      background_fill_color: colour("paper"), background_fill_alpha: 0.75,
    });
    nameTicks(figure.xaxis, [...axes.map((axis) => axis.words), metric.words]);
    figure.xaxis.axis_line_color = null;
    figure.yaxis.visible = false;
    const box = new Bokeh.BoxSelectTool({ renderers: [] });
    figure.add_tools(box);
    figure.toolbar.active_drag = box;
    figure.on_event("selectiongeometry", (event) => { if (event.final) brush(event.geometry); });
    figure.on_event("doubletap", () => selectAll());
    await view.show(figure);
    view.pick();
  };

  function brush({ x0, x1, y0, y1 }) {
    const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)], [low, high] = [Math.min(y0, y1), Math.max(y0, y1)];
    let hit = [...axes.keys(), axes.length].filter((a) => a >= left && a <= right);
    if (!hit.length) hit = [Math.min(axes.length, Math.max(0, Math.round((left + right) / 2)))];
    const missed = [];
    for (const a of hit) {
      if (a === axes.length) {
        const value = (share) => (scale.log ? scale.low * (scale.high / scale.low) ** share
          : scale.low + share * (scale.high - scale.low));
        STATE.range = [low <= 0 ? -Infinity : value(low), high >= 1 ? Infinity : value(high)];
        continue;
      }
      const inside = places[a].map((at) => (at / FINE >= low && at / FINE <= high ? 1 : 0));
      if (inside.some(Boolean)) STATE.allowed[axes[a].dim].set(inside);
      else missed.push(axes[a].words);
    }
    selectionChanged(missed.length ? `; no value of ${missed.join(" or ")} lies in the part that was dragged over` : "");
  }
  view.brush = brush;
  return view;
}

// ---- Two axes: heat map or slices

function planeView() {
  const axes = PAGE.description.axes;
  const free = axes.filter((axis) => !axis.seed);
  if (!free.length) return null;
  const named = (name) => free.find((axis) => axis.name === name);
  let x = named("learning_rate") ?? free[0];
  let y = [named("batch_count"), named("batch_size"), ...free, ...axes].find((axis) => axis && axis.dim !== x.dim) ?? null;
  let kind = free.length > 1 ? "heat" : "slices";
  let cells = [], heatShown = null;
  const view = viewOf("plane", "Two axes", false, "", () => tableOf([
    { words: x.words, text: (cell) => x.texts[cell.i] }, ...(y ? [{ words: y.words, text: (cell) => y.texts[cell.j] }] : []),
    { words: metricOf(STATE.metric).words, text: (cell) => short(signOf(STATE.metric) * cell.cost) },
    { words: "diverged", text: (cell) => `${cell.diverged} of ${cell.runs}` },
    { words: "", text: (cell) => (cell.setting === null ? "" : settingButton(cell.setting)) },
  ], cells));
  const byOrder = (axis) => (axis.numeric ? [...axis.values.keys()].sort((a, b) => axis.values[a] - axis.values[b])
    : [...axis.values.keys()]);
  const others = () => PAGE.settingDims.filter((dim) => dim !== x.dim && dim !== y?.dim && PAGE.description.dims[dim] > 1);

  function count() {
    // At each pair of values, the best setting of the other axes by the median over its seeds.
    const groups = new Map();
    const rest = others();
    for (let cell = 0; cell < PAGE.count; cell++) {
      if (!STATE.selected[cell]) continue;
      const key = PAGE.place[x.dim][cell] * 100000 + (y ? PAGE.place[y.dim][cell] : 0);
      let group = groups.get(key);
      if (!group) groups.set(key, (group = new Map()));
      let inner = 0;
      for (const dim of rest) inner = inner * PAGE.description.dims[dim] + PAGE.place[dim][cell];
      const own = group.get(inner);
      if (own) own.push(cell); else group.set(inner, [cell]);
    }
    cells = [];
    for (const [key, group] of groups) {
      const own = { i: Math.floor(key / 100000), j: key % 100000, cost: NaN, setting: null, diverged: 0, runs: 0 };
      for (const members of group.values()) {
        const costs = members.map((cell) => costAt(STATE.metric, cell, STATE.record));
        const cost = seedMedian(costs);
        if (own.setting === null || cost < own.cost || Number.isNaN(own.cost))
          Object.assign(own, { cost, setting: PAGE.setting[members[0]], runs: members.length,
            diverged: costs.filter((value) => value === Infinity).length });
      }
      cells.push(own);
    }
    cells.sort((a, b) => a.j - b.j || a.i - b.i);
  }
  view.values = () => cells;

  const upOrder = () => (y ? byOrder(y) : [0]);
  const placeIn = (order) => new Map(order.map((value, at) => [value, at]));

  function heatColumns() {
    // What the squares show, and the places of those with runs that diverged.
    const column = placeIn(byOrder(x)), row = placeIn(upOrder()), sign = signOf(STATE.metric);
    const shown = cells.map((cell) => sign * cell.cost);
    const finite = shown.filter(Number.isFinite);
    const log = isLog(finite), low = Math.min(...finite), high = Math.max(...finite);
    const share = (value) => (high > low ? (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low)) : 0.5);
    const shares = shown.map((value) => (Number.isFinite(value) ? share(value) : NaN));
    const marked = cells.filter((cell, i) => Number.isNaN(shares[i]) || cell.diverged);
    const places = (some) => ({ x: some.map((cell) => column.get(cell.i)), y: some.map((cell) => row.get(cell.j)) });
    return [{
      ...places(cells),
      fill: shares.map((at) => (Number.isNaN(at) ? colour("paper") : viridis(at))),
      ink: shares.map((at) => (Number.isNaN(at) ? colour("red") : at < 0.55 ? "#ffffff" : "#222222")),
      text: shown.map((value) => (Number.isFinite(value) ? short(value, 3) : Number.isNaN(value) ? "" : "div.")),
      value: shown.map((value) => short(value, 5)), across: cells.map((cell) => safe(x.texts[cell.i])),
      up: cells.map((cell) => (y ? safe(y.texts[cell.j]) : "")), lost: cells.map((cell) => `${cell.diverged} of ${cell.runs}`),
      setting: cells.map((cell) => safe(settingText(cell.setting))),
    }, places(marked)];
  }

  function heat() {
    const acrossOrder = byOrder(x), column = placeIn(acrossOrder), row = placeIn(upOrder());
    const figure = makeFigure({
      height: Math.min(620, 110 + 34 * Math.max(upOrder().length, 5)),
      x_range: new Bokeh.Range1d({ start: -0.5, end: acrossOrder.length - 0.5 }),
      y_range: new Bokeh.Range1d({ start: -0.5, end: upOrder().length - 0.5 }),
    });
    const [data, hatched] = heatColumns().map((columns) => source(columns));
    heatShown = { x, y, metric: STATE.metric, sources: [data, hatched] };
    const squares = figure.rect({ field: "x" }, { field: "y" }, 0.98, 0.96, {
      source: data, fill_color: { field: "fill" }, line_color: colour("line"),
    });
    // A pattern for each square would take most of the time of a selection.
    figure.rect({ field: "x" }, { field: "y" }, 0.98, 0.96, {
      source: hatched, fill_alpha: 0, line_color: null, hatch_pattern: "/", hatch_color: colour("red"), hatch_alpha: 0.5, hatch_scale: 9,
    });
    if (view.holder.clientWidth / acrossOrder.length > 44)
      figure.text({ field: "x" }, { field: "y" }, { field: "text" }, {
        source: data, text_color: { field: "ink" }, text_align: "center", text_baseline: "middle", text_font_size: "11px" });
    nameTicks(figure.xaxis, acrossOrder.map((i) => x.texts[i]));
    nameTicks(figure.yaxis, upOrder().map((j) => (y ? y.texts[j] : "")));
    if (acrossOrder.length * 52 > view.holder.clientWidth) figure.xaxis.major_label_orientation = 1;
    addHover(figure, [squares], [["setting", "@setting"], [safe(metricOf(STATE.metric).words), "@value"], ["diverged", "@lost"]]);
    figure.on_event("tap", (event) => {
      const cell = cells.find((own) => column.get(own.i) === Math.round(event.x) && row.get(own.j) === Math.round(event.y));
      if (cell) chooseSetting(cell.setting);
    });
    return figure;
  }

  function slices() {
    const order = byOrder(x), column = new Map(order.map((i, at) => [i, at])), sign = signOf(STATE.metric);
    const finite = cells.map((cell) => sign * cell.cost).filter(Number.isFinite);
    const figure = makeFigure({ height: 400, y_axis_type: isLog(finite) ? "log" : "linear" });
    const lines = y ? byOrder(y) : [0];
    lines.forEach((j, at) => {
      const own = cells.filter((cell) => cell.j === j && Number.isFinite(cell.cost)).sort((a, b) => column.get(a.i) - column.get(b.i));
      const shade = lines.length > 1 ? viridis((0.85 * at) / (lines.length - 1)) : colour("blue");
      const data = source({ x: own.map((cell) => column.get(cell.i)), y: own.map((cell) => sign * cell.cost),
        setting: own.map((cell) => safe(settingText(cell.setting))), lost: own.map((cell) => `${cell.diverged} of ${cell.runs}`) });
      figure.line({ field: "x" }, { field: "y" }, { source: data, line_color: shade, line_width: 2 });
      const points = figure.scatter({ field: "x" }, { field: "y" }, { source: data, size: 8, color: shade });
      addHover(figure, [points], [["setting", "@setting"], [safe(metricOf(STATE.metric).words), "@y{0.00000}"], ["diverged", "@lost"]]);
    });
    figure.on_event("tap", (event) => {
      const near = cells.filter((cell) => column.get(cell.i) === Math.round(event.x) && Number.isFinite(cell.cost));
      const apart = (cell) => Math.abs(sign * cell.cost - event.y);
      if (near.length) chooseSetting(near.reduce((a, b) => (apart(b) < apart(a) ? b : a)).setting);
    });
    nameTicks(figure.xaxis, order.map((i) => x.texts[i]));
    logTicks(figure.yaxis, finite);
    figure.yaxis.axis_label = safe(metricOf(STATE.metric).label);
    return figure;
  }

  view.pick = async () => {
    const { x: across, y: up, metric, sources } = heatShown ?? {};
    if (kind !== "heat" || !y || across !== x || up !== y || metric !== STATE.metric) return view.draw();
    // The same squares with other values: the figure stays.
    count();
    heatColumns().forEach((columns, at) => { sources[at].data = columns; });
    view.refresh();
  };

  view.draw = async () => {
    heatShown = null;
    count();
    const pairs = free.length > 1 || axes.length > 1;
    view.controls.replaceChildren(
      ...(pairs ? [choice("shown as", [["heat", "heat map"], ["slices", "slices"]], kind, (value) => { kind = value; view.draw(); })] : []),
      choice("across", axes.map((axis) => [axis.name, axis.words]), x.name, (name) => {
        x = axisOf(name);
        if (y?.dim === x.dim) y = axes.find((axis) => axis.dim !== x.dim) ?? null;
        view.draw();
      }),
      ...(y ? [choice("up, or lines", axes.filter((axis) => axis.dim !== x.dim).map((axis) => [axis.name, axis.words]), y.name,
        (name) => { y = axisOf(name); view.draw(); })] : []));
    const rest = others().map((dim) => axes.find((axis) => axis.dim === dim)?.words ?? dim);
    view.caption.textContent = `${metricOf(STATE.metric).label}: median over the selected seeds${rest.length
      ? `, at the best ${rest.join(", ")}` : ""}. Click a place to see its seeds’ curves. Hatched: runs diverged.`;
    const figure = kind === "heat" && y ? heat() : slices();
    figure.xaxis.axis_label = safe(x.words);
    if (kind === "heat" && y) figure.yaxis.axis_label = safe(y.words);
    await view.show(figure);
    view.command.textContent = rest.length ? `jaxsgd measure ${shellWord(folderText())} --metric ${STATE.metric}`
      : `jaxsgd plot heatmap ${shellWord(folderText())} --x ${x.name}${y ? ` --y ${y.name}` : ""} --metric ${STATE.metric}${selectWords([x.dim, y?.dim])}`;
    view.refresh();
  };
  return view;
}

// ---- The curves of the seeds of a setting

function curvesView() {
  let rows = [];
  const view = viewOf("curves", "The seeds’ curves of a setting", false, "", () => {
    const cells = PAGE.cellsOf[STATE.setting];
    return tableOf([
      { words: metricOf(STATE.metric).unit_of_x || "run", text: (row) => short(row.x, 6) },
      { words: "median", text: (row) => short(row.median, 5) },
      ...cells.slice(0, 12).map((cell, c) => ({ words: cellText(cell), text: (row) => short(row.values[c], 5) })),
    ], rows.slice(0, 400));
  });
  let seed = 0;
  const seedChoice = make("div", { class: "row" });
  const second = make("div", { class: "figure", id: "striped-figure", role: "img", "aria-label": "striped view" });
  view.holder.after(seedChoice, second);
  view.values = () => rows;

  view.draw = async () => {
    const metric = metricOf(STATE.metric);
    const name = metric.time ? STATE.metric : PAGE.description.metrics.find((other) => other.time).name;
    const cells = PAGE.cellsOf[STATE.setting];
    const xs = array("x:" + name);
    rows = records(name).map((record, at) => {
      const values = cells.map((cell) => number(name, cell, at));
      const x = number("x:" + name, cells[0], record);
      return { record, x, values, median: seedMedian(values.map((value) => (Number.isFinite(value) ? value : Infinity))) };
    }).filter((row) => !Number.isNaN(row.x));
    const finite = rows.flatMap((row) => row.values).filter(Number.isFinite);
    view.caption.textContent = `${settingText(STATE.setting)}: ${metricOf(name).label}, ${cells.length} seeds and their median`
      + ` (thick). Hover over a point for its value.`;
    const figure = makeFigure({ height: has("striped") ? 260 : 400, y_axis_type: isLog(finite) ? "log" : "linear" });
    const x = rows.map((row) => row.x);
    const shaded = (value) => (Number.isFinite(value) ? value : NaN);
    figure.multi_line(cells.map(() => x), cells.map((_, c) => rows.map((row) => shaded(row.values[c]))),
      { line_color: colour("blue"), line_alpha: 0.35, line_width: 1.2 });
    const every = Math.max(1, Math.ceil((rows.length * cells.length) / 6000));
    const points = { x: [], y: [], seed: [], value: [], chosen: [] };
    rows.forEach((row, r) => row.values.forEach((value, c) => {
      if (r % every && r !== rows.length - 1) return;
      points.x.push(row.x); points.y.push(shaded(value)); points.seed.push(safe(cellText(cells[c]))); points.value.push(short(value, 6));
    }));
    points.chosen = points.x.map(() => 1);
    const dots = figure.scatter({ field: "x" }, { field: "y" }, { source: source(points), size: rows.length > 60 ? 4 : 6,
      fill_color: colour("blue"), fill_alpha: 0.25, line_color: null });
    figure.line(x, rows.map((row) => shaded(row.median)), { line_color: colour("ink"), line_width: 3 });
    if (STATE.record !== null && metric.time) {
      const at = rows.find((row) => row.record >= STATE.record)?.x;
      if (at !== undefined) figure.add_layout(new Bokeh.Span({ location: at, dimension: "height", line_color: colour("green"), line_width: 2, line_dash: "dashed" }));
    }
    addHover(figure, [dots], [["", "@seed"], [metricOf(name).unit_of_x, "@x"], [safe(metricOf(name).words), "@value"]]);
    logTicks(figure.yaxis, finite);
    figure.xaxis.axis_label = metricOf(name).unit_of_x;
    figure.yaxis.axis_label = safe(metricOf(name).words);
    await view.show(figure);
    await striped(cells);
    const cell = cells[0];
    const fixed = PAGE.description.axes.filter((axis) => !axis.seed)
      .map((axis) => `${axis.dim}=${PAGE.place[axis.dim][cell]}`).join(", ");
    view.command.textContent = `${pythonText()}\nds[${JSON.stringify(name)}].isel(${fixed})`;
    view.refresh();
  };

  async function striped(cells) {
    if (!has("striped")) return;
    const windows = array("striped").shape.at(-1);
    const points = { x: [], y: [], shade: [], seed: [], stripe: [] };
    const shades = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
    seed = Math.min(seed, cells.length - 1);
    seedChoice.replaceChildren(choice("striped view of", cells.map((cell, c) => [String(c), cellText(cell)]), String(seed),
      (value) => { seed = Number(value); striped(cells); }));
    for (const cell of [cells[seed]])
      for (let w = 0; w < windows; w++) {
        const value = number("striped", cell, w);
        if (!Number.isFinite(value)) continue;
        const stripe = number("window_stripe", cell, w);
        points.x.push(number("window_time", cell, w)); points.y.push(value); points.stripe.push(stripe + 1);
        points.shade.push(shades[stripe % shades.length]); points.seed.push(safe(cellText(cell)));
      }
    const figure = makeFigure({ height: 260, y_axis_type: isLog(points.y) ? "log" : "linear" });
    const dots = figure.scatter({ field: "x" }, { field: "y" }, { source: source(points), size: 5,
      color: { field: "shade" }, alpha: 0.85, line_color: null });
    addHover(figure, [dots], [["", "@seed"], ["epoch", "@x"], ["loss", "@y{0.000000}"], ["stripe", "@stripe"]]);
    logTicks(figure.yaxis, points.y);
    figure.xaxis.axis_label = "epoch";
    figure.yaxis.axis_label = `loss, printed every ${PAGE.description.eval_interval} batches`;
    await view.show(figure, second);
  }
  return view;
}

// ---- Stripes by position

function stripesView() {
  if (!has("level")) return null;
  let rows = [];
  const view = viewOf("stripes", "Stripes by position", false, "", () => tableOf([
    { words: "position of the print", text: (row) => row.position + 1 }, { words: "median level", text: (row) => short(row.median, 5) },
    { words: "seeds", text: (row) => row.values.length }], rows));
  view.draw = async () => {
    const cells = PAGE.cellsOf[STATE.setting], most = array("level").shape.at(-1);
    rows = Array.from({ length: most }, (_, position) => {
      const values = cells.map((cell) => number("level", cell, position)).filter(Number.isFinite);
      return { position, values, median: seedMedian(values) };
    }).filter((row) => row.values.length);
    view.caption.textContent = `${settingText(STATE.setting)}: mean loss printed at each position of the epoch, every `
      + `${PAGE.description.eval_interval} batches, without the trend; ${rows.length} ${rows.length === 1 ? "stripe" : "stripes"}.`;
    const figure = makeFigure({ height: 300 });
    const data = source({ x: rows.flatMap((row) => row.values.map(() => row.position + 1)), y: rows.flatMap((row) => row.values) });
    const dots = figure.scatter({ field: "x" }, { field: "y" }, { source: data, size: 6, fill_color: colour("blue"), fill_alpha: 0.35, line_color: null });
    figure.scatter(rows.map((row) => row.position + 1), rows.map((row) => row.median), { marker: "dash", size: 26, line_color: colour("ink"), line_width: 3 });
    addHover(figure, [dots], [["position", "@x"], ["level", "@y{0.000000}"]]);
    figure.xaxis.axis_label = "position of the print in the epoch";
    figure.xaxis.ticker = new Bokeh.BasicTicker({ min_interval: 1 });
    figure.yaxis.axis_label = "level (loss)";
    await view.show(figure);
    view.command.textContent = `${pythonText()}\njaxsgd.stripes(ds.loss.isel(...), eval_interval=${PAGE.description.eval_interval}).level`;
    view.refresh();
  };
  return view;
}

// ---- Best settings

function rowIsAllowed(row, names) {
  // A row of a table is shown if what is selected has its values.
  return names.every((name) => {
    const axis = axisOf(name);
    return !axis || !(name in row) || axis.values.some((value, i) => value === row[name] && STATE.allowed[axis.dim][i]);
  });
}

function settingOf(row) {
  const axes = PAGE.description.axes.filter((axis) => !axis.seed && axis.name in row);
  return PAGE.cellsOf.findIndex((cells) => axes.every((axis) => axis.values[PAGE.place[axis.dim][cells[0]]] === row[axis.name]));
}

function bestView() {
  const name = () => (STATE.metric in PAGE.description.best ? STATE.metric : null);
  let order = { key: "median_value", down: false };
  let shown = [];
  const view = viewOf("best", "Best settings", true, "", () => make("span"));
  view.holder.removeAttribute("role");
  view.holder.classList.add("scroll");
  view.holder.tabIndex = 0;
  view.element.querySelector("details").remove();
  view.draw = view.pick = () => {
    if (!name()) { view.holder.replaceChildren("This metric only describes runs: no setting is best by it."); return; }
    const { places, searched, rows } = PAGE.description.best[name()];
    const varying = (key) => axisOf(key) || rows.some((row) => row[key] !== rows[0][key]);
    const key = (column) => (row) => row[column];
    const columns = [
      ...places.filter(varying).map((place) => ({ name: place, words: place.replaceAll("_", " "), text: (row) => short(row[place], 6), value: key(place) })),
      ...searched.map((axis) => ({ name: axis, words: axis.replaceAll("_", " "),
        text: (row) => `${short(row[axis])}${row[axis + "_at_edge"] ? "*" : ""}`, value: key(axis) })),
      { name: "median_value", words: "median " + metricOf(name()).words, text: (row) => short(row.median_value), value: key("median_value") },
      { name: "low", words: "95 % interval", text: (row) => (Number.isNaN(row.low) ? row.no_interval : `${short(row.low)} to ${short(row.high)}`), value: key("low") },
      { name: "diverged", words: "diverged", text: (row) => `${row.diverged} of ${row.seeds}`, value: key("diverged") },
      { name: "stripe_index", words: "stripe index", text: (row) => short(row.stripe_index, 2), value: key("stripe_index") },
      { name: "", words: "", text: (row) => (settingOf(row) < 0 ? "" : settingButton(settingOf(row))), value: () => 0 },
    ];
    const by = columns.find((column) => column.name === order.key) ?? columns[0];
    const sign = (order.down ? -1 : 1) * (order.key === "median_value" ? signOf(name()) : 1);
    shown = rows.filter((row) => rowIsAllowed(row, [...places, ...searched])).sort((a, b) => {
      const [u, v] = [by.value(a), by.value(b)];
      if (typeof u === "string" || typeof v === "string") return sign * String(u).localeCompare(String(v));
      return Number.isNaN(u) ? 1 : Number.isNaN(v) ? -1 : sign * (u - v);
    });
    view.caption.textContent = "The best setting of the other axes, with its bootstrap interval over the seeds, from all runs of the "
      + "result; rows that are not selected are hidden. * at the edge of its range: a better one may lie beyond.";
    view.holder.replaceChildren(tableOf(columns, shown, {
      sort: (column) => { order = { key: column.name, down: order.key === column.name && !order.down }; view.draw(); },
      chosen: (row) => settingOf(row) === STATE.setting,
    }));
    view.command.textContent = `jaxsgd measure ${shellWord(folderText())} --metric ${name()}`;
  };
  view.values = () => shown;
  return view;
}

// ---- Paired comparison

function compareView() {
  const tables = PAGE.description.compare;
  const names = Object.keys(Object.values(tables)[0] ?? {});
  if (!names.length) return null;
  let axisName = names.find((name) => ["order", "optimizer"].includes(name)) ?? names[0];
  let shown = [];
  const words = (row) => {
    const { places } = tables[metric()][axisName];
    return [short(row[axisName]), ...places.filter((place) => place in row).map((place) => `${axisOf(place).words} ${short(row[place])}`)].join(", ");
  };
  const metric = () => (STATE.metric in tables ? STATE.metric : Object.keys(tables)[0]);
  const view = viewOf("compare", "Paired comparison", false, "", () => tableOf([
    { words: "setting", text: words }, { words: "difference", text: (row) => short(row.difference) },
    { words: "95 % interval", text: (row) => (Number.isNaN(row.low) ? row.no_interval : `${short(row.low)} to ${short(row.high)}`) },
    { words: "pairs", text: (row) => row.pairs }, { words: "verdict", text: (row) => (Number.isNaN(row.low) ? "no interval" : row.tie ? "tie" : "differs") },
  ], shown));
  view.values = () => shown;
  view.draw = view.pick = async () => {
    const table = tables[metric()][axisName];
    if (!table) return;
    view.controls.replaceChildren(choice("compare", names.map((name) => [name, axisOf(name).words]), axisName,
      (name) => { axisName = name; view.draw(); }));
    shown = table.rows.filter((row) => rowIsAllowed(row, [axisName, ...table.places]));
    const most = shown.filter((row) => Number.isFinite(row.difference)).slice(0, 20);
    view.caption.textContent = `Mean ${metricOf(metric()).words} less that of ${axisOf(axisName).words} ${short(table.reference)}, on the same `
      + `seeds, with 95 % intervals; orange differs, grey ties. ${shown.length > most.length ? `${most.length} of ${shown.length} rows; the table has all.` : ""}`;
    const figure = makeFigure({ height: Math.max(180, 70 + 20 * most.length),
      y_range: new Bokeh.Range1d({ start: most.length - 0.4, end: -0.6 }) });
    const shade = most.map((row) => (Number.isNaN(row.low) || row.tie ? colour("soft") : colour("red")));
    const y = most.map((_, i) => i);
    figure.add_layout(new Bokeh.Span({ location: 0, dimension: "height", line_color: colour("line"), line_width: 2 }));
    figure.segment(most.map((row) => row.low), y, most.map((row) => row.high), y, { line_color: shade, line_width: 2.5 });
    const data = source({ x: most.map((row) => row.difference), y, shade, words: most.map((row) => safe(words(row))),
      ends: most.map((row) => (Number.isNaN(row.low) ? safe(row.no_interval) : `${short(row.low)} to ${short(row.high)}`)) });
    const dots = figure.scatter({ field: "x" }, { field: "y" }, { source: data, size: 8, color: { field: "shade" } });
    addHover(figure, [dots], [["", "@words"], ["difference", "@x"], ["95 % interval", "@ends"]]);
    nameTicks(figure.yaxis, most.map(words));
    figure.xaxis.axis_label = safe(`difference of ${metricOf(metric()).words}`);
    if (view.holder.clientWidth < 480) figure.xaxis.ticker = new Bokeh.BasicTicker({ desired_num_ticks: 3 });
    await view.show(figure);
    view.command.textContent = `jaxsgd compare ${shellWord(folderText())} --axis ${axisName} --metric ${metric()}`;
    view.refresh();
  };
  return view;
}

// ---- Steps to a target

function scalingView() {
  const tables = PAGE.description.scaling;
  if (!Object.keys(tables).length) return null;
  const metric = () => (STATE.metric in tables ? STATE.metric : Object.keys(tables)[0]);
  const targets = {}, fixed = {};
  let rows = [], critical = {};
  const MARKS = { perfect: ["circle", "green"], diminishing: ["diamond", "blue"], none: ["square", "red"], bound: ["circle", "pale"] };
  const WORDS = { perfect: "twice the batch, half the steps", diminishing: "diminishing returns", none: "no further gain",
    bound: "only a bound: reached at the first record", "": "not reached by half of the seeds" };
  const view = viewOf("scaling", "Steps to a target, by batch size", false, "", () => tableOf([
    { words: "batch count", text: (row) => row.batch_count }, { words: "batch size", text: (row) => short(row.size) },
    { words: "steps", text: (row) => short(row.steps, 5) },
    { words: "95 % interval", text: (row) => (Number.isNaN(row.low) ? "" : `${short(row.low)} to ${row.high === Infinity ? "infinity" : short(row.high)}`) },
    { words: "epochs", text: (row) => short(row.epochs) },
    { words: tables[metric()].tune.replaceAll("_", " "), text: (row) => `${short(row.value)}${row.edge ? "*" : ""}` },
    { words: "seeds that reach it", text: (row) => `${row.reached} of ${row.seeds}` }, { words: "scaling", text: (row) => WORDS[row.regime] },
  ], rows));
  view.values = () => rows;
  view.critical = () => critical;
  view.controls.append(make("span"));

  view.setTarget = (text) => {
    const value = Number(text);
    if (text === "" || !Number.isFinite(value)) return;
    targets[metric()] = value;
    view.draw();
  };

  view.draw = async () => {
    const table = tables[metric()];
    const target = targets[metric()] ?? table.target;
    const open = table.others.filter((dim) => PAGE.description.dims[dim] > 1);
    for (const dim of table.others) fixed[dim] ??= 0;
    const input = make("input", { type: "number", step: "any", value: String(target), disabled: table.fixed !== "",
      "aria-label": "target", onchange: () => view.setTarget(input.value) });
    view.controls.replaceChildren(make("label", {}, `target of ${metricOf(metric()).words}`, input),
      ...open.map((dim) => {
        const axis = PAGE.description.axes.find((own) => own.dim === dim);
        return choice(axis.words, axis.texts.map((text, i) => [String(i), text]), String(fixed[dim]),
          (value) => { fixed[dim] = Number(value); view.draw(); });
      }));
    if (table.fixed) {
      rows = fixedRows(table);
      const [row] = rows;
      critical = { critical: row.critical_batch_size, low: row.critical_low, high: row.critical_high, fewest: row.fewest_steps, most: row.fewest_samples };
    } else {
      rows = scalingAt(metric(), target, fixed);
      const resampled = resampledSteps(rows);
      critical = criticalBatchSize(rows, resampled);
      rows = withIntervals(rows, resampled);
    }
    const known = rows.filter((row) => Number.isFinite(row.steps));
    view.caption.textContent = `Median steps to ${metricOf(metric()).words} ${short(target)} at the best ${table.tune.replaceAll("_", " ")}, `
      + `${table.resolution}; bars: 95 % intervals. Dashed: twice the batch, half the steps. ${criticalText()}`
      + (table.fixed ? ` The target cannot be changed here, because ${table.fixed}; the command below can.` : "");
    const figure = makeFigure({ height: 360, x_axis_type: "log", y_axis_type: "log" });
    if (known.length) {
      const first = known.reduce((a, b) => (b.size < a.size ? b : a));
      const ends = [Math.min(...rows.map((row) => row.size)), Math.max(...rows.map((row) => row.size))];
      figure.line(ends, ends.map((size) => (first.steps * first.size) / size), { line_color: colour("soft"), line_dash: "dashed" });
      const top = Math.max(...known.map((row) => row.steps)) * 2.5;
      if (Number.isFinite(critical.fewest) && Number.isFinite(critical.most)) {
        const at = Array.from({ length: 100 }, (_, i) => ends[0] * (ends[1] / ends[0]) ** (i / 99));
        figure.line(at, at.map((size) => critical.fewest + critical.most / size), { line_color: colour("ink"), line_width: 1.4 });
      }
      if (Number.isFinite(critical.critical)) {
        if (!Number.isNaN(critical.low)) figure.add_layout(new Bokeh.BoxAnnotation({ left: Math.max(critical.low, ends[0] / 1.35),
          right: Math.min(critical.high, ends[1] * 1.35), fill_color: colour("red"), fill_alpha: 0.15, line_color: null }));
        figure.add_layout(new Bokeh.Span({ location: critical.critical, dimension: "height", line_color: colour("red"), line_width: 2 }));
      }
      const whiskers = known.filter((row) => !Number.isNaN(row.low));
      figure.segment(whiskers.map((row) => row.size), whiskers.map((row) => row.low), whiskers.map((row) => row.size),
        whiskers.map((row) => Math.min(row.high, top)), { line_color: colour("soft"), line_width: 2 });
      const all = [];
      for (const [regime, [marker, shade]] of Object.entries(MARKS)) {
        const own = known.filter((row) => row.regime === regime);
        const data = source({ x: own.map((row) => row.size), y: own.map((row) => row.steps), m: own.map((row) => row.batch_count),
          value: own.map((row) => short(row.value) + (row.edge ? " (edge of the range)" : "")), regime: own.map((row) => WORDS[row.regime]),
          ends: own.map((row) => (Number.isNaN(row.low) ? "none" : `${short(row.low)} to ${short(row.high)}`)) });
        all.push(figure.scatter({ field: "x" }, { field: "y" }, { source: data, marker, size: 11, fill_color: colour(shade),
          line_color: colour("ink") }));
      }
      addHover(figure, all, [["batch size", "@x{0.0}"], ["batch count", "@m"], ["steps", "@y{0.0}"], ["95 % interval", "@ends"],
        [safe(table.tune.replaceAll("_", " ")), "@value"], ["scaling", "@regime"]]);
    }
    sparseTicks(figure.xaxis, rows.map((row) => row.size));
    logTicks(figure.yaxis, known.map((row) => row.steps), true);
    figure.xaxis.axis_label = "batch size (samples)";
    figure.yaxis.axis_label = "steps to the target";
    await view.show(figure);
    key.replaceChildren(...Object.entries(MARKS).filter(([regime]) => rows.some((row) => row.regime === regime))
      .map(([regime, [, shade]]) => make("span", { style: `--c: var(--${shade})` }, WORDS[regime])));
    view.command.textContent = `jaxsgd measure ${shellWord(folderText())} --metric ${metric()} --target ${target}`
      + (table.tune === "learning_rate" ? "" : ` --tune ${table.tune}`);
    view.refresh();
  };

  function criticalText() {
    const { low, high } = critical;
    const fitted = rows.filter((row) => Number.isFinite(row.steps) && row.regime !== "bound");
    if (fitted.length < PAGE.description.constants.fewest_sizes) return "Too few batch counts reach the target to fit the critical batch size.";
    const interval = Number.isNaN(low) ? "no interval"
      : `95 % interval ${low === 0 ? "0" : short(low, 3)} to ${high === Infinity ? "infinity" : short(high, 3)}`;
    return Number.isNaN(critical.critical)
      ? `The critical batch size is not between the batch sizes shown: the curve has no bend there (${interval}).`
      : `Critical batch size (orange): ${short(critical.critical, 3)} samples (${interval}), from the fitted curve.`;
  }

  function fixedRows(table) {
    const other = (row) => table.others.every((dim) => {
      const axis = PAGE.description.axes.find((own) => own.dim === dim);
      return !axis || row[axis.name] === axis.values[fixed[dim]];
    });
    return table.rows.filter(other).map((row) => ({ ...row, size: table.samples / row.batch_count, value: row[table.tune],
      edge: row.at_edge, low: row.steps_low, high: row.steps_high, seeds: PAGE.cellsOf[0].length }));
  }
  const key = make("div", { class: "key" });
  view.holder.after(key);
  return view;
}
