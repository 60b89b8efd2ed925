// Steps to a target that the reader changes: the same numbers as `jaxsgd measure --target`, from the same records.

function stepsToTarget(values, steps, target, rising, exactSteps) {
  let at = -1;
  for (let i = 0; i < values.length && at < 0; i++)
    if ((rising ? target - values[i] : values[i] - target) <= 0) at = i;
  if (at < 0) return NaN;
  const before = Math.max(at - 1, 0);
  const high = rising ? target - values[before] : values[before] - target;
  const low = rising ? target - values[at] : values[at] - target;
  const between = at > 0 && Number.isFinite(high) && high > low && !exactSteps;
  const share = between ? high / (high - low) : 1;
  return steps[before] + share * (steps[at] - steps[before]);
}

function medianSteps(steps) {
  return seedMedian(steps.map((value) => (Number.isFinite(value) ? value : Infinity)));
}

function bestPlace(medians) {
  let best = -1;
  medians.forEach((median, i) => {
    if (Number.isFinite(median) && (best < 0 || median < medians[best])) best = i;
  });
  return best;
}

function regimesOf(steps, sizes) {
  const known = steps.map(Number.isFinite);
  const names = known.map((is) => (is ? "diminishing" : ""));
  if (!known.some(Boolean)) return names;
  const cost = steps.map((value, i) => (known[i] ? value : Infinity));
  const samples = cost.map((value, i) => value * sizes[i]);
  const within = PAGE.description.constants.within;
  for (const [name, needed] of [["none", cost], ["perfect", samples]]) {
    const least = Math.min(...needed);
    const near = needed.map((value) => value <= within * least);
    const own = sizes.filter((_, i) => near[i]);
    if (Math.max(...own) >= 2 * Math.min(...own)) near.forEach((is, i) => { if (is) names[i] = name; });
  }
  return names;
}

function scalingAt(metricName, target, fixed) {
  // A row for each batch count, the smallest batch first; `fixed` has the position along each other dimension.
  const table = PAGE.description.scaling[metricName];
  const tune = { values: table.tune_values, dim: table.tune_dim }, along = table.along;
  const rising = metricOf(metricName).better === "higher";
  const tuned = [...tune.values.keys()].sort((a, b) => tune.values[a] - tune.values[b]);
  const counts = Array.from({ length: PAGE.description.dims[along] }, (_, i) => array("batch_count").values[i]);
  const bySize = [...counts.keys()].sort((a, b) => counts[b] - counts[a]);
  const cells = new Map();
  for (let cell = 0; cell < PAGE.count; cell++) {
    if (!table.others.every((dim) => PAGE.place[dim][cell] === fixed[dim])) continue;
    const key = PAGE.place[along][cell] + "," + PAGE.place[tune.dim][cell];
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(cell);
  }
  const total = records(metricName).length;
  const taken = array("steps:" + metricName);
  const rows = bySize.map((k) => {
    const steps = Array.from({ length: total }, (_, r) =>
      taken.dims.length > 1 ? taken.values[(taken.dims[0] === along ? k * total + r : r * counts.length + k)] : taken.values[r]);
    const whole = metricName !== "loss_epoch" && steps[0] <= 1
      && steps.every((step, r) => r === 0 || !(step - steps[r - 1] > 1));
    const runs = tuned.map((place) => cells.get(k + "," + place).map((cell) => {
      const values = Float64Array.from({ length: total }, (_, r) => number(metricName, cell, r));
      const early = !whole && (rising ? values[0] >= target && values[0] !== Infinity
        : values[0] <= target && values[0] !== -Infinity);
      for (let r = 0; r < total; r++) if (values[r] === (rising ? Infinity : -Infinity)) values[r] = NaN;
      return { steps: stepsToTarget(values, steps, target, rising, whole), early };
    }));
    const medians = runs.map((own) => medianSteps(own.map((run) => run.steps)));
    const best = bestPlace(medians);
    const own = best < 0 ? [] : runs[best];
    const value = best < 0 ? NaN : tune.values[tuned[best]];
    const edge = best >= 0 && new Set(tune.values).size >= 3 && value !== 0 && (best === 0 || best === tuned.length - 1);
    const reached = own.filter((run) => Number.isFinite(run.steps)).length;
    return {
      batch_count: counts[k], size: table.samples / counts[k], steps: best < 0 ? NaN : medians[best],
      runs: runs.map((seeds) => seeds.map((run) => (Number.isFinite(run.steps) ? run.steps : Infinity))),
      atBest: own.map((run) => (Number.isFinite(run.steps) ? run.steps : Infinity)),
      value, edge, reached, bounds: own.filter((run) => run.early).length, seeds: cells.get(k + "," + tuned[0]).length,
    };
  });
  for (const row of rows) row.bound = row.bounds * 2 > row.reached;
  const regimes = regimesOf(rows.map((row) => (row.bound ? NaN : row.steps)), rows.map((row) => row.size));
  return rows.map((row, i) => ({
    ...row, epochs: row.steps / row.batch_count, samples: row.steps * row.size, regime: row.bound ? "bound" : regimes[i],
  }));
}

function withIntervals(metricName, rows) {
  // The percentile interval of a bootstrap over the seeds, in which the axis is tuned again at every draw.
  const { drawn, fewest_seeds, confidence } = PAGE.description.constants;
  return rows.map((row) => {
    const none = { ...row, low: NaN, high: NaN };
    if (!Number.isFinite(row.steps) || !has("drawn:" + row.seeds) || row.seeds < fewest_seeds) return none;
    const ownBest = Float64Array.from(row.atBest).sort();
    if (ownBest[0] === ownBest.at(-1)) return none;
    const places = array("drawn:" + row.seeds).values;
    const resampled = new Float64Array(drawn);
    const own = new Float64Array(row.seeds);
    for (let n = 0; n < drawn; n++) {
      let least = Infinity;
      for (const steps of row.runs) {
        for (let r = 0; r < row.seeds; r++) own[r] = steps[places[n * row.seeds + r]];
        own.sort();
        const low = own[(row.seeds - 1) >> 1], high = own[row.seeds >> 1];
        least = Math.min(least, low === high ? low : (low + high) / 2);
      }
      resampled[n] = least;
    }
    resampled.sort();
    const at = (share) => resampled[Math.min(Math.max(roundHalfEven(share * (drawn - 1)), 0), drawn - 1)];
    const low = at((1 - confidence) / 2), high = at((1 + confidence) / 2);
    return low === high || Math.abs(low - high) <= 1e-9 * Math.abs(high) ? none : { ...row, low, high };
  });
}
