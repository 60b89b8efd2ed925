// What every page has: its texts and arrays, unpacked, and numbers as text.

const PAGE = { description: null, packed: null, unpacked: new Map() };

async function inflate(text) {
  const binary = atob(text);
  const bytes = Uint8Array.from({ length: binary.length }, (_, i) => binary.charCodeAt(i));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function revived(value) {
  // The inverse of `plain` in packing.py.
  if (Array.isArray(value)) return value.map(revived);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, revived(inner)]));
  return { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity }[value] ?? value;
}

async function unpack(packed) {
  // The inverse of `pack_array` in packing.py.
  const planes = await inflate(packed.data);
  const size = packed.type === "truth" ? 1 : packed.type === "float32" ? 4 : 8;
  const count = planes.length / size;
  const bytes = new Uint8Array(planes.length);
  for (let byte = 0; byte < size; byte++)
    for (let i = 0, at = byte * count; i < count; i++) bytes[i * size + byte] = planes[at + i];
  const Kind = size === 1 ? Uint8Array : size === 4 ? Float32Array : Float64Array;
  return { ...packed, data: null, values: new Kind(bytes.buffer) };
}

async function readParts() {
  const text = (id) => document.getElementById(id).textContent;
  PAGE.description = revived(JSON.parse(new TextDecoder().decode(await inflate(text("contents")))));
  PAGE.packed = JSON.parse(text("arrays"));
  const names = Object.keys(PAGE.packed);
  const arrays = await Promise.all(names.map((name) => unpack(PAGE.packed[name])));
  names.forEach((name, i) => PAGE.unpacked.set(name, arrays[i]));
  PAGE.packed = null;
}

const has = (name) => PAGE.unpacked.has(name);
const array = (name) => PAGE.unpacked.get(name);

// ---- Numbers as text

function short(value, digits = 4) {
  if (typeof value !== "number") return String(value ?? "");
  if (Number.isNaN(value)) return "-";
  if (!Number.isFinite(value)) return value > 0 ? "diverged" : "-inf";
  return String(Number(value.toPrecision(digits))).replace("-", "\u2212");
}

function roundHalfEven(value) {
  // As NumPy rounds.
  const floor = Math.floor(value), rest = value - floor;
  return rest < 0.5 ? floor : rest > 0.5 ? floor + 1 : floor + (floor % 2);
}

// ---- Opening

const TIMES = {};

function showMain() {
  document.getElementById("opening").remove();
  document.getElementById("main").hidden = false;
}

async function openPage(begin) {
  // Unpack everything, run the script of the figures, and let `begin` build the page.
  const begun = performance.now();
  try {
    const [library] = await Promise.all([inflate(document.getElementById("library").textContent), readParts()]);
    document.head.append(make("script", {}, new TextDecoder().decode(library)));
    await begin();
    TIMES.open = performance.now() - begun;
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    const place = document.getElementById("opening") ?? document.body.appendChild(make("p", {}));
    place.textContent = `The report could not be opened: ${error.message}. It needs a browser of 2023 or later.`;
    throw error;
  }
}
