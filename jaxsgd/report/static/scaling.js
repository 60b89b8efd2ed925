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

function resampledSteps(rows) {
  // [row][draw]: the steps at the best value of the tuned axis, chosen again at every draw of seeds; null where there are no draws.
  const { drawn } = PAGE.description.constants, seeds = rows[0].seeds;
  if (!has("drawn:" + seeds)) return null;
  const places = array("drawn:" + seeds).values, own = new Float64Array(seeds);
  return rows.map((row) => Float64Array.from({ length: drawn }, (_, n) => {
    let fewest = Infinity;
    for (const steps of row.runs) {
      for (let r = 0; r < seeds; r++) own[r] = steps[places[n * seeds + r]];
      own.sort();
      const low = own[(seeds - 1) >> 1], high = own[seeds >> 1];
      fewest = Math.min(fewest, low === high ? low : (low + high) / 2);
    }
    return fewest;
  }));
}

function percentileInterval(values) {
  // As `jaxsgd.analysis.confidence.interval`; values that are NaN are left out.
  const { confidence } = PAGE.description.constants;
  const sorted = values.filter((value) => !Number.isNaN(value)).sort(), last = sorted.length - 1;
  const at = (share) => (last < 0 ? NaN : sorted[Math.min(Math.max(roundHalfEven(share * last), 0), last)]);
  return [at((1 - confidence) / 2), at((1 + confidence) / 2)];
}

function withIntervals(rows, resampled) {
  // The percentile interval of a bootstrap over the seeds, in which the axis is tuned again at every draw.
  return rows.map((row, k) => {
    const none = { ...row, low: NaN, high: NaN };
    if (!Number.isFinite(row.steps) || !resampled || row.seeds < PAGE.description.constants.fewest_seeds) return none;
    const ownBest = Float64Array.from(row.atBest).sort();
    if (ownBest[0] === ownBest.at(-1)) return none;
    const [low, high] = percentileInterval(resampled[k]);
    return low === high || Math.abs(low - high) <= 1e-9 * Math.abs(high) ? none : { ...row, low, high };
  });
}

function bendOn(sizes) {
  // The tried critical batch sizes of `jaxsgd.analysis.scaling.fit_bend`, with the bend of the curve at each.
  const { fine } = PAGE.description.constants;
  const low = Math.log(Math.min(...sizes) / 1000), high = Math.log(Math.max(...sizes) * 1000);
  const tried = Float64Array.from({ length: fine }, (_, i) => (i === fine - 1 ? high : low + (i * (high - low)) / (fine - 1)));
  const bendAt = (log) => sizes.map((size) => Math.log1p(Math.exp(log) / size));
  return { tried, bendAt, bends: Array.from(tried, bendAt) };
}

function fitBend(steps, grid) {
  // McCandlish's curve S = S_min (1 + B_crit / B), as `fit_bend` has it; NaN with too few sizes.
  const known = [...steps.keys()].filter((k) => Number.isFinite(steps[k]) && steps[k] > 0);
  if (known.length < PAGE.description.constants.fewest_sizes) return { critical: NaN, fewest: NaN, most: NaN };
  const logs = known.map((k) => Math.log(steps[k]));
  const residual = (bend) => {
    let mean = 0, square = 0;
    known.forEach((k, i) => { mean += logs[i] - bend[k]; });
    mean /= known.length;
    known.forEach((k, i) => { square += (logs[i] - bend[k] - mean) ** 2; });
    return [square, mean];
  };
  const all = grid.bends.map((bend) => residual(bend)[0]), last = all.length - 1;
  let best = 0;
  all.forEach((square, i) => { if (square < all[best]) best = i; });
  const inner = Math.min(Math.max(best, 1), last - 1), [a, b, c] = [all[inner - 1], all[inner], all[inner + 1]];
  const moved = (a - c) / (2 * (a - 2 * b + c));
  const shift = Number.isNaN(moved) ? 0 : Math.min(Math.max(moved, -0.5), 0.5);
  const log = grid.tried[inner] + shift * (grid.tried[1] - grid.tried[0]);
  const fewest = Math.exp(residual(grid.bendAt(log))[1]), critical = Math.exp(log);
  return { critical: best === 0 ? 0 : best === last ? Infinity : critical, fewest: best === last ? 0 : fewest,
    most: best === 0 ? 0 : fewest * critical };
}

function criticalBatchSize(rows, resampled) {
  // The fit with its interval, as `jaxsgd.scaling` gives it; neither reaches past the batch sizes of the fit.
  const sizes = rows.map((row) => row.size), grid = bendOn(sizes);
  const counted = rows.map((row) => !row.bound);
  const steps = rows.map((row, k) => (counted[k] ? row.steps : NaN));
  const fit = fitBend(steps, grid);
  const differs = rows.some((row) => row.seeds >= PAGE.description.constants.fewest_seeds
    && row.runs.some((own) => own.some((value) => value !== own[0])));
  let low = NaN, high = NaN;
  if (differs && resampled) {
    const fits = Float64Array.from({ length: PAGE.description.constants.drawn }, (_, n) =>
      fitBend(resampled.map((own, k) => (counted[k] ? own[n] : NaN)), grid).critical);
    [low, high] = percentileInterval(fits);
  }
  const finite = sizes.filter((_, k) => Number.isFinite(steps[k])), of = finite.length ? finite : sizes;
  const first = Math.min(...of), last = Math.max(...of);
  low = low < first ? 0 : Math.min(low, last);
  high = high > last ? Infinity : Math.max(high, first);
  if (Number.isNaN(fit.critical)) low = high = NaN;
  return { ...fit, critical: fit.critical >= first && fit.critical <= last ? fit.critical : NaN, low, high };
}
