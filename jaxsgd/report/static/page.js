// The page: header, controls, and the state that all views share.

const VIEWS = [];

const selectedCells = () => Array.from(STATE.selected.keys()).filter((cell) => STATE.selected[cell]);

function selectionChanged(remark = "") {
  const begun = performance.now();
  const { range } = STATE;
  STATE.count = 0;
  for (let cell = 0; cell < PAGE.count; cell++) {
    let kept = PAGE.dims.every((dim) => STATE.allowed[dim][PAGE.place[dim][cell]]);
    if (kept && range) {
      const value = valueAt(STATE.metric, cell, STATE.record);
      const gone = !Number.isFinite(value) || (STATE.record === null && number("diverged", cell));
      kept = gone ? range[1] === Infinity : value >= range[0] && value <= range[1];
    }
    STATE.selected[cell] = kept ? 1 : 0;
    STATE.count += kept ? 1 : 0;
  }
  showStatus(remark);
  Promise.all(VIEWS.map((view) => view.pick())).then(() => requestAnimationFrame(() => requestAnimationFrame(() => {
    TIMES.brush = performance.now() - begun;
  })));
}

function showStatus(remark = "") {
  const text = STATE.count === PAGE.count ? `all ${PAGE.count.toLocaleString("en")} runs selected`
    : `${STATE.count.toLocaleString("en")} of ${PAGE.count.toLocaleString("en")} runs selected`;
  document.getElementById("status").textContent = text + remark;
  for (const box of document.querySelectorAll("[data-dim]")) box.checked = STATE.allowed[box.dataset.dim][box.dataset.place] === 1;
  for (const [id, place] of [["least", 0], ["most", 1]]) {
    const field = document.getElementById(id);
    const value = STATE.range?.[place];
    field.value = Number.isFinite(value) ? String(Number(value.toPrecision(6))) : "";
  }
}

function selectAll() {
  for (const dim of PAGE.dims) STATE.allowed[dim].fill(1);
  STATE.range = null;
  selectionChanged();
}

function chooseSetting(setting) {
  STATE.setting = setting;
  for (const view of VIEWS) if (["curves", "stripes", "best"].includes(view.id)) view.draw();
}

function bestSetting() {
  let best = 0, least = Infinity;
  PAGE.cellsOf.forEach((cells, setting) => {
    const cost = seedMedian(cells.map((cell) => costAt(STATE.metric, cell, null)));
    if (cost < least) [best, least] = [setting, cost];
  });
  return best;
}

async function drawAll() {
  for (const view of VIEWS) await view.draw();
}

function chooseMetric(name) {
  STATE.metric = name;
  STATE.record = null;
  STATE.range = null;
  setSlider();
  drawAll().then(selectionChanged);
}

function setSlider() {
  const metric = metricOf(STATE.metric), slider = document.getElementById("record");
  const length = metric.time ? array("x:" + STATE.metric).shape.at(-1) : 1;
  slider.max = String(length - 1);
  slider.value = slider.max;
  slider.disabled = length < 2;
  showRecord();
}

function showRecord() {
  const metric = metricOf(STATE.metric), slider = document.getElementById("record");
  const place = Number(slider.value);
  const at = metric.time ? number("x:" + STATE.metric, 0, place) : NaN;
  document.getElementById("record-text").textContent = !metric.time ? "of the whole run" : STATE.record === null
    ? "at the end of the run" : Number.isNaN(at) ? `at record ${place + 1}` : `after ${metric.unit_of_x} ${short(at)}`;
}

function moveSlider(value) {
  const slider = document.getElementById("record");
  STATE.record = Number(value) === Number(slider.max) ? null : Number(value);
  showRecord();
  Promise.all(VIEWS.filter((view) => ["parallel", "plane", "curves"].includes(view.id)).map((view) => view.draw()))
    .then(() => { if (STATE.range) selectionChanged(); });
}

function download() {
  const link = make("a", { href: URL.createObjectURL(new Blob([csvOf(selectedCells())], { type: "text/csv" })), download: "selected.csv" });
  document.body.append(link);
  link.click();
  link.remove();
}

function filters() {
  const sets = PAGE.description.axes.filter((axis) => axis.values.length <= 64).map((axis) => make("fieldset", {},
    make("legend", {}, axis.words), ...axis.texts.map((text, i) => {
      const box = make("input", { type: "checkbox", "data-dim": axis.dim, "data-place": String(i),
        onchange: () => { STATE.allowed[axis.dim][i] = box.checked ? 1 : 0; selectionChanged(); } });
      return make("label", {}, box, text);
    })));
  const end = (id, words, place, open) => {
    const field = make("input", { type: "number", step: "any", id, onchange: () => {
      STATE.range ??= [-Infinity, Infinity];
      STATE.range[place] = field.value === "" ? open : Number(field.value);
      selectionChanged();
    } });
    return make("label", {}, words, field);
  };
  const range = make("fieldset", {}, make("legend", {}, "metric"), end("least", "from", 0, -Infinity), end("most", "to", 1, Infinity));
  return make("details", { id: "filters" }, make("summary", {}, "Select by values"), make("div", { class: "row" }, ...sets, range));
}

function controls() {
  const metric = choice("metric", PAGE.description.metrics.map((own) => [own.name, own.label]), STATE.metric, chooseMetric);
  metric.querySelector("select").id = "metric";
  const slider = make("input", { type: "range", id: "record", min: "0", step: "1", "aria-describedby": "record-text",
    onchange: () => moveSlider(slider.value), oninput: () => { STATE.record = Number(slider.value) === Number(slider.max) ? null : Number(slider.value); showRecord(); } });
  return make("div", { class: "bar", role: "group", "aria-label": "for all views" }, metric,
    make("label", {}, make("span", {}, "record: ", make("span", { id: "record-text" })), slider),
    make("span", { id: "status", role: "status", "aria-live": "polite" }),
    make("button", { type: "button", id: "all", onclick: selectAll }, "Select all"),
    make("button", { type: "button", id: "download", onclick: download }, "Download selected runs (CSV)"));
}

async function begin() {
  readCells();
  STATE.metric = PAGE.description.metrics[0].name;
  STATE.selected = new Uint8Array(PAGE.count).fill(1);
  STATE.count = PAGE.count;
  for (const dim of PAGE.dims) STATE.allowed[dim] = new Uint8Array(PAGE.description.dims[dim]).fill(1);
  STATE.setting = bestSetting();
  VIEWS.push(...[parallelView, planeView, curvesView, bestView, scalingView, compareView, stripesView].map((view) => view()).filter(Boolean));
  const main = document.getElementById("main");
  main.append(header("What was run, with what, and how to check it"), controls(), filters(), make("div", { class: "views" }, ...VIEWS.map((view) => view.element)));
  showMain();
  setSlider();
  showStatus();
  await drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}

openPage(begin);
