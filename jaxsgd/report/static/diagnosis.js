// The page of a diagnosis: the log with its lines, its fold by epoch, and the causes.

const VIEWS = [];
const STATE = { length: 0, count: 1, folded: null };
const MOST_DOTS = 6000;

const logOf = () => PAGE.description.log;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function everyText() {
  const batches = STATE.count * logOf().interval;
  if (logOf().unit === "batches") return batches === 1 ? "batch" : `${short(batches)} batches`;
  return STATE.count === 1 ? "value of the log" : `${STATE.count} values of the log`;
}

function thinned(count) {
  // Evenly spread positions, no more than can be drawn.
  const every = Math.max(1, Math.ceil(count / MOST_DOTS));
  return Array.from({ length: Math.ceil(count / every) }, (_, i) => i * every);
}

function lineText(last) {
  // The line of a loss, or the lines that a mean over several losses comes from.
  const lines = array("line").values, first = last - STATE.count + 1;
  if (!lines.length) return STATE.count === 1 ? `value ${last + 1}` : `values ${first + 1} to ${last + 1}`;
  return STATE.count === 1 ? `line ${lines[last]}` : `lines ${lines[first]} to ${lines[last]}`;
}

function change(length, count) {
  if (!(length >= 1) || !(count >= 1)) return;
  const most = Math.floor(array("loss").values.length / PAGE.description.constants.fewest_values);
  STATE.length = length;
  STATE.count = Math.min(Math.round(count), Math.max(most, 1));
  STATE.folded = refold(array("loss").values, array("batch").values, STATE.length, STATE.count);
  for (const [id, value] of [["period", STATE.length], ["count", STATE.count]]) {
    document.getElementById(id).value = String(value);
    document.getElementById(id + "-exact").value = String(Number(value.toPrecision(9)));
  }
  const { folded } = STATE;
  document.getElementById("status").textContent = folded
    ? `printed every ${everyText()}: the position explains ${shareText(folded.share)} of the variance` : "too few values to fold";
  return Promise.all(VIEWS.map((view) => view.draw()));
}

const shareText = (share) => (share < 0.005 ? "none" : `${short(100 * share, 2)} %`);

function controls() {
  const { length, unit } = logOf(), count = array("loss").values.length;
  const batches = array("batch").values, total = count ? batches[count - 1] + 1 : 1;
  const mostLength = Math.max(length, Math.min(3 * length, Math.floor(total / 2)));
  const perEpoch = Math.max(1, Math.round((count * length) / Math.max(total, 1)));
  const mostCount = Math.max(1, Math.min(Math.floor(count / PAGE.description.constants.fewest_values), 2 * perEpoch));
  const pair = (id, words, value, most, set) => {
    const slider = make("input", { type: "range", id, min: "1", max: String(Math.ceil(most)), step: Number.isInteger(value) ? "1" : "any",
      value: String(value), onchange: () => set(Number(slider.value)) });
    const exact = make("input", { type: "number", id: id + "-exact", min: "1", step: "any", value: String(value),
      "aria-label": words + ", exact", onchange: () => set(Number(exact.value)) });
    return make("div", { class: "pair" }, make("label", { for: id }, words), slider, exact);
  };
  return make("div", { class: "bar", role: "group", "aria-label": "period and print interval" },
    pair("period", `period: ${unit} in an epoch`, length, mostLength, (value) => change(value, STATE.count)),
    pair("count", "print interval: losses in a value", 1, mostCount, (value) => change(STATE.length, value)),
    make("button", { type: "button", id: "own", onclick: () => change(logOf().length, 1) }, "As the log has it"),
    make("span", { id: "status", role: "status", "aria-live": "polite" }));
}

// ---- The log

function seriesView() {
  const limits = { from: NaN, to: NaN };
  const epochOf = (batch) => (batch + 1) / STATE.length;
  const view = viewOf("series", "The loss as printed", true, "", () => {
    const { folded } = STATE;
    const rows = folded ? [...folded.loss.keys()] : [...array("loss").values.keys()];
    const last = (i) => (folded ? folded.last[i] : i);
    return tableOf([{ words: "in the log", text: (i) => lineText(last(i)) }, { words: "epochs done", text: (i) => short(epochOf(array("batch").values[last(i)]), 5) },
      { words: "loss", text: (i) => short(folded ? folded.loss[i] : array("loss").values[i], 6) }], rows.slice(0, 500),
    { caption: rows.length > 500 ? `The first 500 of ${rows.length} values; the log has all.` : "" });
  });
  const field = (name, words) => {
    const input = make("input", { type: "number", step: "any", id: name + "-epoch", onchange: () => {
      limits[name] = input.value === "" ? NaN : Number(input.value);
      view.draw();
    } });
    return make("label", {}, words, input);
  };
  view.controls.append(field("from", "from epoch"), field("to", "to epoch"));
  view.draw = async () => {
    const loss = array("loss").values, batch = array("batch").values, { folded } = STATE;
    const low = Number.isNaN(limits.from) ? -Infinity : limits.from, high = Number.isNaN(limits.to) ? Infinity : limits.to;
    const inside = [...loss.keys()].filter((i) => epochOf(batch[i]) >= low && epochOf(batch[i]) <= high);
    const dots = thinned(inside.length).map((i) => inside[i]);
    const figure = makeFigure({ height: 340, ...(isLog(loss) ? { y_axis_type: "log" } : {}) });
    const most = loss.length ? epochOf(batch[loss.length - 1]) : 1;
    const begins = Array.from({ length: Math.max(0, Math.ceil(Math.min(most, high)) - 1) }, (_, i) => i + 1).filter((at) => at >= low);
    if (begins.length <= 60)
      for (const at of begins) figure.add_layout(new Bokeh.Span({ location: at, dimension: "height", line_color: colour("line"), line_width: 1 }));
    const before = STATE.count;
    const lines = array("line").values;
    const data = source({ x: dots.map((i) => epochOf(batch[i])), y: dots.map((i) => loss[i]),
      line: dots.map((i) => (lines.length ? `line ${lines[i]}` : `value ${i + 1}`)),
      batch: dots.map((i) => short(batch[i] + 1, 9)) });
    const printed = figure.scatter({ field: "x" }, { field: "y" }, { source: data, size: 5, fill_color: colour(before > 1 ? "pale" : "blue"),
      line_color: null, fill_alpha: 0.75 });
    addHover(figure, [printed], [["in the log", "@line"], ["loss", "@y{0.000000}"], ["epochs done", "@x{0.000}"], [`${logOf().unit} done`, "@batch"]]);
    if (folded && before > 1) {
      const own = thinned(folded.loss.length).filter((i) => { const at = epochOf(batch[folded.last[i]]); return at >= low && at <= high; });
      const means = source({ x: own.map((i) => epochOf(batch[folded.last[i]])), y: own.map((i) => folded.loss[i]),
        line: own.map((i) => lineText(folded.last[i])) });
      figure.line({ field: "x" }, { field: "y" }, { source: means, line_color: colour("blue"), line_width: 1.5 });
      addHover(figure, [figure.scatter({ field: "x" }, { field: "y" }, { source: means, size: 6, fill_color: colour("blue"), line_color: null })],
        [["in the log", "@line"], ["mean loss", "@y{0.000000}"], ["epochs done", "@x{0.000}"]]);
    }
    figure.xaxis.axis_label = "epochs done";
    figure.yaxis.axis_label = safe(logOf().column);
    logTicks(figure.yaxis, dots.map((i) => loss[i]));
    view.caption.textContent = "Every dot is a loss of the log; hover over it for its line. Lines mark where epochs begin."
      + (before > 1 ? ` Blue: the loss printed every ${everyText()}.` : "")
      + (dots.length < inside.length ? ` ${dots.length} of ${inside.length} losses are drawn, evenly spread.` : "");
    await view.show(figure);
    view.holder.setAttribute("aria-label", `${loss.length} losses of ${logOf().name} over ${short(most, 4)} epochs`);
    view.refresh();
  };
  view.command.textContent = logOf().command;
  view.values = () => (STATE.folded ? [...STATE.folded.loss] : []);
  return view;
}

// ---- The fold

function levelsOf(folded) {
  // Means by position of the first and the second half of the log; positions are sorted.
  const half = median(Array.from(folded.at, (i) => folded.period.epoch[i]));
  const groups = new Map();
  const add = (key, phase, early, left) => {
    const own = groups.get(key) ?? groups.set(key, { phases: [], early: [], late: [] }).get(key);
    own.phases.push(phase);
    own[early ? "early" : "late"].push(left);
  };
  folded.at.forEach((i, k) => add(folded.group[k], folded.phase[k], folded.period.epoch[i] <= half, folded.left[k]));
  folded.lastAt.forEach((i, k) => add(Infinity, folded.period.position[i] / folded.period.length,
    k < folded.lastAt.length / 2, folded.lastLeft[k]));
  const level = (values) => (values.length ? mean(values) : NaN);
  return [...groups.values()].map((own) => ({ phase: mean(own.phases), first: level(own.early), second: level(own.late),
    all: level([...own.early, ...own.late]), count: own.phases.length })).sort((a, b) => a.phase - b.phase);
}

function foldView() {
  let rows = [];
  const view = viewOf("fold", "Folded by epoch", false, "", () => tableOf([
    { words: "position in the epoch", text: (row) => short(row.phase, 4) }, { words: "mean of the first half", text: (row) => short(row.first, 4) },
    { words: "mean of the second half", text: (row) => short(row.second, 4) }, { words: "values", text: (row) => row.count }], rows));
  const key = make("div", { class: "key" }, make("span", { style: "--c: var(--pale)" }, "a printed loss"),
    make("span", { style: "--c: var(--blue)" }, "mean of the first half (circles)"), make("span", { style: "--c: var(--red)" }, "mean of the second half (squares)"));
  view.holder.after(key);
  view.draw = async () => {
    const { folded } = STATE;
    rows = folded ? levelsOf(folded) : [];
    key.hidden = !folded;
    if (!folded) {
      view.caption.textContent = "There are too few values to fold.";
      view.holder.replaceChildren();
      view.refresh();
      return;
    }
    const figure = makeFigure({ height: 340, x_range: new Bokeh.Range1d({ start: -0.03, end: 1.03 }) });
    const dots = thinned(folded.left.length);
    const data = source({ x: [...dots.map((k) => folded.phase[k]), ...folded.lastAt.map((i) => folded.period.position[i] / folded.period.length)],
      y: [...dots.map((k) => folded.left[k]), ...folded.lastLeft],
      line: [...dots.map((k) => lineText(folded.last[folded.at[k]])), ...folded.lastAt.map((i) => lineText(folded.last[i]))],
      epoch: [...dots.map((k) => folded.period.epoch[folded.at[k]] + 1), ...folded.lastAt.map((i) => folded.period.epoch[i] + 1)] });
    figure.add_layout(new Bokeh.Span({ location: 0, dimension: "width", line_color: colour("line"), line_width: 1 }));
    const points = figure.scatter({ field: "x" }, { field: "y" }, { source: data, size: 5, fill_color: colour("pale"), fill_alpha: 0.6, line_color: null });
    addHover(figure, [points], [["in the log", "@line"], ["epoch", "@epoch"], ["detrended loss", "@y{0.00}"]]);
    for (const [half, shade, marker] of [["first", "blue", "circle"], ["second", "red", "square"]]) {
      const own = rows.filter((row) => Number.isFinite(row[half]));
      const x = own.map((row) => row.phase), y = own.map((row) => row[half]);
      figure.line(x, y, { line_color: colour(shade), line_width: 1.5 });
      figure.scatter(x, y, { marker, size: 8, fill_color: colour(shade), line_color: colour("paper") });
    }
    figure.xaxis.axis_label = "position in the epoch (share of its batches)";
    figure.yaxis.axis_label = "detrended loss (standard deviations)";
    view.caption.textContent = `An epoch of ${short(STATE.length, 6)} ${logOf().unit}, printed every ${everyText()}: ${rows.length} `
      + `${rows.length === 1 ? "position" : "positions"}, which explain ${shareText(folded.share)} of the variance of the detrended loss. `
      + "Where both lines agree, the pattern returns in every epoch.";
    await view.show(figure);
    view.holder.setAttribute("aria-label", view.caption.textContent);
    view.refresh();
  };
  view.command.textContent = "from jaxsgd.diagnosis import diagnose\nfrom jaxsgd.diagnosis.refold import refold\n\n"
    + `log = diagnose(${JSON.stringify(logOf().name)})\nrefold(log.log.loss, log.period, length=..., count=...).folded`;
  view.values = () => STATE.folded;
  return view;
}

// ---- The causes

function causeElement(cause) {
  const known = Number.isFinite(cause.probability);
  const bar = make("div", { class: "chance", role: "img", "aria-label": `probability ${cause.text}` },
    make("span", { style: `width: ${known ? 100 * cause.probability : 0}%` }));
  const link = (address) => make("li", {}, make("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, address.replace("https://", "")));
  return make("details", { class: "cause", "data-cause": cause.name, open: cause.is_likely },
    make("summary", {}, make("span", { class: "cause-title" }, `${capital(cause.title)}: ${cause.text}`), bar),
    make("p", {}, `What it looks like: ${cause.looks}.` + (cause.share ? ` It explains ${cause.share} of the variance.` : "")),
    make("p", {}, make("strong", {}, "What to do: "), cause.remedy),
    ...(cause.evidence.length ? [tableOf([{ words: "evidence", text: (row) => row.text },
      { words: "log odds", text: (row) => (row.log_odds > 0 ? "+" : "") + short(row.log_odds, 2) }], cause.evidence)]
      : [make("p", { class: "soft" }, "The log cannot show this cause.")]),
    ...cause.alike.map((line) => make("p", {}, line)),
    make("p", { class: "soft" }, "Others who met it (these links leave the page):"), make("ul", {}, ...cause.threads.map(link)));
}

function causesSection() {
  const { causes, nothing, unknown, averages } = PAGE.description;
  const rest = [...unknown, ...averages].map((line) => make("p", {}, line));
  const none = Number.isFinite(nothing.probability) ? [make("p", { class: "soft" }, `That none of them acts: ${nothing.text}.`)] : [];
  return make("section", { id: "causes", "aria-labelledby": "causes-title" }, make("h2", { id: "causes-title" }, "Causes and their evidence"),
    ...(causes.length ? causes.map(causeElement) : [make("p", {}, "The log is too short to judge any cause.")]), ...none, ...rest);
}

async function begin() {
  Object.assign(STATE, { length: logOf().length, count: 1 });
  VIEWS.push(seriesView(), foldView());
  document.getElementById("main").append(header("What was read", make("p", { class: "lead" }, make("strong", {}, "What to do: "), PAGE.description.remedy)), controls(),
    make("div", { class: "views loose" }, ...VIEWS.map((view) => view.element), causesSection()));
  showMain();
  await change(STATE.length, 1);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => VIEWS.map((view) => view.draw()));
}

openPage(begin);
