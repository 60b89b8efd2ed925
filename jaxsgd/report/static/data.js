// The cells of the result, and what is counted from them. A cell is known by its position, in the order of the dataset.

function readCells() {
  const dims = Object.keys(PAGE.description.dims);
  PAGE.dims = dims;
  PAGE.lengths = dims.map((dim) => PAGE.description.dims[dim]);
  PAGE.count = PAGE.lengths.reduce((a, b) => a * b, 1);
  // place[dim][cell]: the position of a cell along a dimension.
  PAGE.place = {};
  let stride = PAGE.count;
  dims.forEach((dim, d) => {
    stride /= PAGE.lengths[d];
    PAGE.place[dim] = Uint32Array.from({ length: PAGE.count }, (_, cell) => Math.floor(cell / stride) % PAGE.lengths[d]);
  });
  // setting[cell]: cells that differ in their seeds only share a setting.
  const seeds = new Set(PAGE.description.axes.filter((axis) => axis.seed).map((axis) => axis.dim));
  PAGE.seedDims = dims.filter((dim) => seeds.has(dim));
  PAGE.settingDims = dims.filter((dim) => !seeds.has(dim));
  PAGE.setting = new Uint32Array(PAGE.count);
  for (const dim of PAGE.settingDims)
    for (let cell = 0; cell < PAGE.count; cell++)
      PAGE.setting[cell] = PAGE.setting[cell] * PAGE.description.dims[dim] + PAGE.place[dim][cell];
  PAGE.settings = PAGE.settingDims.reduce((product, dim) => product * PAGE.description.dims[dim], 1);
  PAGE.cellsOf = Array.from({ length: PAGE.settings }, () => []);
  for (let cell = 0; cell < PAGE.count; cell++) PAGE.cellsOf[PAGE.setting[cell]].push(cell);
}

const metricOf = (name) => PAGE.description.metrics.find((metric) => metric.name === name);
const axisOf = (name) => PAGE.description.axes.find((axis) => axis.name === name);

function number(name, cell, record = 0, time = "") {
  // A variable's value for a cell, at a position along the one dimension that cells do not have.
  const own = array(name);
  let at = 0;
  own.dims.forEach((dim, d) => {
    const place = dim in PAGE.place ? PAGE.place[dim][cell] : record;
    at = at * own.shape[d] + place;
  });
  return own.values[at];
}

function records(name) {
  // The positions of a metric's records that the page has.
  const own = array(name);
  return own.records ?? Array.from({ length: own.shape[own.shape.length - 1] }, (_, i) => i);
}

function recordIn(name, record) {
  // The place in the page of the last kept record that is not after `record`; the first one before that.
  const own = array(name);
  if (own.records === null) return Math.min(record, own.shape[own.shape.length - 1] - 1);
  let at = 0;
  while (at + 1 < own.records.length && own.records[at + 1] <= record) at += 1;
  return at;
}

function valueAt(name, cell, record) {
  // A metric of a cell at a record; at the last one (null) the number by which settings are judged.
  if (record === null || !metricOf(name).time) return number("final:" + name, cell);
  let at = recordIn(name, record);
  let value = number(name, cell, at);
  // A run that stopped at its target keeps its last record.
  if (has("stopped_step") && Number.isFinite(number("stopped_step", cell)))
    while (Number.isNaN(value) && at > 0) value = number(name, cell, (at -= 1));
  return value;
}

function costAt(name, cell, record) {
  // Lower is better; infinite for a run that diverged, NaN for one that was not run, as `jaxsgd.results.metric.cost` has it.
  if (number("missing", cell)) return NaN;
  const metric = metricOf(name);
  const value = valueAt(name, cell, record);
  const diverged = record === null ? number("diverged", cell) === 1 : false;
  if (diverged || value === Infinity || value === -Infinity) return Infinity;
  if (Number.isNaN(value)) return metric.time || metric.of_stop ? Infinity : NaN;
  return metric.better === "higher" ? -value : value;
}

function seedMedian(costs) {
  // The median of all costs that are not NaN, as `jaxsgd.analysis.choice.seed_median` has it.
  const sorted = Float64Array.from(costs.filter((cost) => !Number.isNaN(cost))).sort();
  if (!sorted.length) return NaN;
  const low = sorted[(sorted.length - 1) >> 1], high = sorted[sorted.length >> 1];
  return low === high ? low : (low + high) / 2;
}

// ---- Numbers as text

function exact(value, type) {
  // The shortest text that is read back as the same number, as in the files of `jaxsgd export`.
  if (type === "truth") return value ? "True" : "False";
  if (Number.isNaN(value)) return "";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (type !== "float32") return String(value);
  for (let digits = 6; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(value);
}

function csvOf(cells) {
  // The selected cells as `jaxsgd export --to csv` writes them, but for the losses of single batches.
  const groups = PAGE.description.columns;
  const names = [];
  for (const group of groups)
    for (const name of [...group.coordinates, ...group.variables]) if (!names.includes(name)) names.push(name);
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [names.map(quoted).join(",")];
  const texts = PAGE.description.texts;
  for (const group of groups) {
    const own = new Set([...group.coordinates, ...group.variables]);
    const kept = new Map(group.variables.filter((name) => array(name).dims.includes(group.time)).map((name) => [name, new Map(
      records(name).map((record, at) => [record, at]))]));
    const shown = new Set([...kept.values()].flatMap((places) => [...places.keys()]));
    const steps = [...(kept.size ? shown : Array(group.length).keys())].sort((a, b) => a - b);
    for (const cell of cells)
      for (const record of steps)
        lines.push(names.map((name) => {
          if (!own.has(name)) return "";
          if (name in texts) return quoted(texts[name].values[PAGE.place[texts[name].dim][cell]]);
          if (!kept.has(name)) return exact(number(name, cell, record), array(name).type);
          const at = kept.get(name).get(record);
          return at === undefined ? "" : exact(number(name, cell, at), array(name).type);
        }).join(","));
  }
  return lines.join("\n") + "\n";
}
