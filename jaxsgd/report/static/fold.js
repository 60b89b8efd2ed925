// A log's losses laid over the epoch: the same numbers as `jaxsgd.diagnosis.refold`, with the period and the interval that the
// reader chooses. Each function has the name of its counterpart in jaxsgd/diagnosis/fold.py, period.py or series.py.

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const largest = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);

function median(values) {
  const sorted = Float64Array.from(values).sort();
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const at = share * (sorted.length - 1), low = Math.floor(at), high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

function numbered(values) {
  // The rank of each value among the different ones, as `numpy.unique(..., return_inverse=True)`.
  const ranks = new Map([...new Set(values)].sort((a, b) => a - b).map((value, rank) => [value, rank]));
  return Int32Array.from(values, (value) => ranks.get(value));
}

function periodOf(batch, length) {
  const epoch = Float64Array.from(batch, (at) => Math.floor((at + 1e-6) / length));
  const position = Float64Array.from(batch, (at, i) => Math.max(at - epoch[i] * length, 0));
  const count = batch.length, time = epoch.map((number, i) => number + position[i] / length);
  const perEpoch = count < 2 ? 1 : (count - 1) / Math.max(time[count - 1] - time[0], 1e-9);
  const places = new Set(Array.from(position, (at) => roundHalfEven(at * 1000))).size;
  const gaps = Float64Array.from({ length: count - 1 }, (_, i) =>
    epoch[i + 1] * length + position[i + 1] - (epoch[i] * length + position[i]));
  const usual = gaps.length ? median(gaps) : 0;
  const steady = !gaps.length || gaps.filter((gap) => Math.abs(gap - usual) < 0.01).length / gaps.length > 0.8;
  const slides = steady && places > Math.max(1, perEpoch + 0.5);
  return { batch, length, epoch, position, time, count, perEpoch, places, steady, slides, epochs: count / perEpoch,
    cycle: cycleOf(position, perEpoch) };
}

function cycleOf(position, perEpoch) {
  if (perEpoch >= 2) return perEpoch;
  const count = position.length, span = largest(position) - least(position), stop = Math.floor(count / 3);
  for (let later = 2; later < stop; later++) {
    const away = Float64Array.from({ length: count - later }, (_, i) => Math.abs(position[i + later] - position[i]));
    if (median(away) <= PAGE.description.constants.near_return * span) return later;
  }
  return Math.max(stop, 2);
}

function cycleWidth(period) {
  let cycle = period.slides ? period.places : roundHalfEven(period.perEpoch);
  if (period.slides && cycle > period.count / 3) cycle = roundHalfEven(Math.max(2, period.cycle));
  return Math.max(2, Math.min(cycle, Math.floor(period.count / 2)));
}

function standsApart(period) {
  const apart = new Uint8Array(period.count);
  if (period.slides || !period.steady || period.places < 4 || period.count < 3 * period.places) return apart;
  const last = largest(period.position);
  return apart.map((_, i) => (Math.abs(period.position[i] - last) < 0.01 ? 1 : 0));
}

function cycleTrend(values, width) {
  // `jaxsgd.measure.trend.cycle_trend` with the step 1.
  const n = values.length, middle = mean(values), last = n - width;
  const total = new Float64Array(n + 1);
  for (let i = 0; i < n; i++) total[i + 1] = total[i] + (values[i] - middle);
  const means = Float64Array.from({ length: last + 1 }, (_, i) =>
    (width === 1 ? values[i] : (total[i + width] - total[i]) / width + middle));
  return Float64Array.from({ length: n }, (_, i) => {
    const at = i - (width - 1) / 2;
    const before = Math.min(Math.max(Math.floor(at), 0), Math.max(last - 1, 0)), share = at - before;
    return (1 - share) * means[before] + share * means[Math.min(before + 1, last)];
  });
}

function movingMean(values, width) {
  const half = Math.floor(width / 2);
  return cycleTrend(values, width).slice(half, values.length - half);
}

function padded(values, before, after) {
  return Float64Array.from({ length: before + values.length + after }, (_, i) =>
    values[Math.min(Math.max(i - before, 0), values.length - 1)]);
}

function gradient(values) {
  const end = values.length - 1;
  return Float64Array.from(values, (_, i) => (i === 0 ? values[1] - values[0] : i === end ? values[end] - values[end - 1]
    : (values[i + 1] - values[i - 1]) / 2));
}

function unevenness(trend, time, width, first, stop) {
  const middle = cycleTrend(time, width).slice(first, stop);
  const away = middle.map((at, i) => time[first + i] - at);
  if (trend.length < 3 || largest(away.map(Math.abs)) < 1e-6) return trend.map(() => 0);
  const slope = gradient(trend), pace = gradient(middle);
  return away.map((distance, i) => (distance * slope[i]) / Math.max(pace[i], 1e-9));
}

const squares = (values) => values.reduce((total, value) => total + value * value, 0);

function bendOf(left, width, most) {
  if (left.length < 2 * width) return left.map(() => 0);
  const around = movingMean(left, width), before = Math.floor(width / 2);
  const bend = padded(around, before, left.length - around.length - before);
  return squares(bend) > most * squares(left) ? bend : left.map(() => 0);
}

function isSmooth(loss, left, trend) {
  const { smooth, one_way } = PAGE.description.constants, count = loss.length - 1;
  if (count < 2) return false;
  let up = 0, down = 0;
  for (let i = 0; i < count; i++) { up += loss[i + 1] >= loss[i] ? 1 : 0; down += loss[i + 1] <= loss[i] ? 1 : 0; }
  if (Math.max(up, down) / count < one_way) return false;
  const steps = Float64Array.from({ length: count }, (_, i) =>
    Math.abs(left[i + 1]) / Math.max(Math.abs(trend[i + 1] - trend[i]), 1e-300));
  return quantile(steps, 0.9) < smooth;
}

function localScale(left, width) {
  const span = Math.min(3 * width, left.length), square = left.map((value) => value * value);
  let around = span < left.length ? movingMean(square, span) : Float64Array.of(mean(square));
  const before = Math.floor((left.length - around.length) / 2);
  around = padded(around, before, left.length - around.length - before);
  const floor = 1e-9 * Math.sqrt(Math.max(0, largest(square)));
  return around.map((value) => { const scale = Math.sqrt(Math.max(value, 0)); return scale > floor ? scale : 1; });
}

function isSteep(loss, first, steep) {
  const range = (values) => values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
  return first > 0 && first < loss.length && range(loss.slice(0, first)) > steep * range(loss.slice(first));
}

function detrended(loss, period) {
  const { most_bend, many_epochs, some_epochs, steep } = PAGE.description.constants;
  const apart = standsApart(period), width = cycleWidth(period) - (apart.includes(1) ? 1 : 0), half = Math.floor(width / 2);
  const kept = [...apart.keys()].filter((i) => !apart[i]);
  const ofKept = (values) => Float64Array.from(kept, (i) => values[i]);
  const own = ofKept(loss), ofFirst = kept.filter((i) => period.epoch[i] < period.epoch[0] + 1).length;
  const isFirstSteep = isSteep(own, ofFirst, steep);
  const isLeftOut = period.epochs >= many_epochs || (period.epochs >= some_epochs && isFirstSteep);
  let skipped = isLeftOut ? ofFirst + (isFirstSteep ? half : 0) : 0;
  if (period.perEpoch < 2) skipped = Math.max(skipped, Math.min(width, Math.floor(kept.length / 4)));
  const first = Math.max(half, skipped), stop = kept.length - half;
  const inner = own.slice(first, stop);
  let trend = cycleTrend(own, width).slice(first, stop);
  const uneven = unevenness(trend, ofKept(period.time), width, first, stop);
  trend = trend.map((value, i) => value + uneven[i]);
  let left = inner.map((value, i) => value - trend[i]);
  const bend = bendOf(left, width, period.perEpoch < 2 ? 0 : most_bend);
  left = left.map((value, i) => value - bend[i]);
  trend = trend.map((value, i) => value + bend[i]);
  const rest = bendOf(left, width, 0);
  if (isSmooth(inner, left.map((value, i) => value - rest[i]), trend)) left = left.map(() => 0);
  return { left, trend, scale: localScale(left, width), at: kept.slice(first, stop), apart };
}

function between(x, xs, ys) {
  // As `numpy.interp`.
  if (x <= xs[0]) return ys[0];
  const end = xs.length - 1;
  if (x >= xs[end]) return ys[end];
  let low = 0, high = end;
  while (high - low > 1) { const middle = (low + high) >> 1; if (xs[middle] <= x) low = middle; else high = middle; }
  return ys[low] + ((x - xs[low]) / (xs[high] - xs[low])) * (ys[high] - ys[low]);
}

function groupsOf(position, period) {
  const exact = numbered(Array.from(position, (at) => roundHalfEven(at * 1000)));
  if (position.length >= 3 * (largest(exact) + 1)) return exact;
  const bins = Math.max(2, Math.min(Math.floor(position.length / 4), roundHalfEven((period.perEpoch >= 2 ? 4 : 1) * period.cycle)));
  const low = period.perEpoch < 2 ? least(position) : 0;
  const length = period.perEpoch < 2 ? largest(position) - low : period.length;
  return numbered(Array.from(position, (at) => Math.floor(((at - low) / length) * bins * (1 - 1e-9))));
}

function explainedShare(left, group) {
  const count = [], total = [];
  group.forEach((at, i) => { count[at] = (count[at] ?? 0) + 1; total[at] = (total[at] ?? 0) + left[i]; });
  const groups = count.length;
  if (groups < 2 || left.length - groups < 2) return 0;
  const all = mean(left), square = squares(left.map((value) => value - all));
  if (square <= 1e-18 * left.length) return 0;
  const within = squares(left.map((value, i) => value - total[group[i]] / count[group[i]]));
  return 1 - within / (left.length - groups) / (square / (left.length - 1));
}

function refold(loss, batch, length, count) {
  // The means of `count` successive losses, and their fold with epochs of `length`; null where there are too few.
  const number = Math.floor(loss.length / count);
  if (number < PAGE.description.constants.fewest_values) return null;
  const last = Int32Array.from({ length: number }, (_, i) => i * count + count - 1);
  const means = Float64Array.from(last, (at) => mean(loss.subarray(at - count + 1, at + 1)));
  const period = periodOf(Float64Array.from(last, (at) => batch[at]), length);
  const { left, trend, scale, at, apart } = detrended(means, period);
  if (!left.length) return null;
  const position = Float64Array.from(at, (i) => period.position[i]);
  const group = groupsOf(position, period);
  const scaled = left.map((value, i) => value / scale[i]);
  const times = Float64Array.from(at, (i) => period.time[i]);
  const lastAt = [...apart.keys()].filter((i) => apart[i] && i > at[0] && i < at.at(-1));
  const lastLeft = lastAt.map((i) => (left.some(Boolean)
    ? (means[i] - between(period.time[i], times, trend)) / between(period.time[i], times, scale) : 0));
  return { loss: means, last, period, left: scaled, group, at, phase: position.map((value) => value / length), lastAt, lastLeft,
    share: explainedShare(scaled, group) };
}
