// A page of findings and figures that only show their values.

const VIEWS = [];
const SHADES = ["blue", "red", "green", "soft"], MARKERS = ["circle", "square", "diamond", "triangle", "inverted_triangle", "hex"];

function chartView(chart) {
  const wide = chart.series.length > 0 && chart.name !== "own_share" && !chart.name.startsWith("claim_map");
  const rows = chart.cells
    ? chart.cells.flatMap((row, i) => row.map((value, j) => ({ name: "", x: j + 1, y: i + 1, value })))
    : chart.series.flatMap((own) => own.x.map((x, i) => ({ name: own.name, x, y: own.y[i] })));
  const columns = [...(chart.cells ? [] : [{ words: "series", text: (row) => row.name }]), { words: chart.x, text: (row) => short(row.x, 6) },
    { words: chart.y, text: (row) => short(row.y, 6) }, ...(chart.cells ? [{ words: "change of the loss", text: (row) => short(row.value, 4) }] : [])];
  const view = viewOf(chart.name, chart.title, wide, chart.about, () => tableOf(columns, rows.slice(0, 500),
    { caption: rows.length > 500 ? `The first 500 of ${rows.length} values.` : "" }));
  view.values = () => rows;
  view.command.textContent = PAGE.description.command;
  const many = chart.series.length > SHADES.length;
  const shadeOf = (i) => (many ? viridis(0.9 * i / (chart.series.length - 1)) : colour(SHADES[i]));
  view.draw = () => view.show(chart.cells ? matrix() : lines());
  if (!chart.cells && chart.series.length > 1)
    view.holder.after(make("div", { class: "key" }, ...chart.series.map((own, i) =>
      make("span", { style: `--c: ${many ? shadeOf(i) : `var(--${SHADES[i]})`}` }, own.name))));

  function lines() {
    const figure = makeFigure({ height: wide ? 340 : 320, ...(chart.log_x ? { x_axis_type: "log" } : {}),
      ...(chart.most === null ? {} : { y_range: new Bokeh.Range1d({ start: 0, end: chart.most }) }) });
    if (chart.mark !== null)
      figure.add_layout(new Bokeh.Span({ location: chart.mark, dimension: "width", line_color: colour("soft"), line_dash: "dashed" }));
    const dots = [];
    chart.series.forEach((own, i) => {
      const kept = own.x.map((_, at) => at).filter((at) => Number.isFinite(own.y[at]));
      const data = source({ x: kept.map((at) => own.x[at]), y: kept.map((at) => own.y[at]), name: kept.map(() => safe(own.name)) });
      if (own.look !== "dots") figure.line({ field: "x" }, { field: "y" }, { source: data, line_color: shadeOf(i), line_width: own.look === "line" ? 2.5 : 1.2 });
      dots.push(figure.scatter({ field: "x" }, { field: "y" }, { source: data, marker: MARKERS[i % MARKERS.length], size: own.look === "line" ? 3 : i % MARKERS.length ? 8 : 6,
        fill_color: shadeOf(i), fill_alpha: 0.75, line_color: null }));
    });
    addHover(figure, dots, [["", "@name"], [safe(chart.x), "@x{0.00}"], [safe(chart.y), "@y{0.00000}"]]);
    figure.xaxis.axis_label = safe(chart.x);
    figure.yaxis.axis_label = safe(chart.y);
    if (chart.log_x) logTicks(figure.xaxis, chart.series.flatMap((own) => own.x), true);
    return figure;
  }

  function matrix() {
    const size = chart.cells.length, most = Math.max(...rows.map((row) => Math.abs(row.value)).filter(Number.isFinite), 0) || 1;
    const figure = makeFigure({ height: 320, x_range: new Bokeh.Range1d({ start: 0.5, end: chart.cells[0].length + 0.5 }),
      y_range: new Bokeh.Range1d({ start: size + 0.5, end: 0.5 }) });
    const data = source({ x: rows.map((row) => row.x), y: rows.map((row) => row.y), value: rows.map((row) => short(row.value, 3)),
      fill: rows.map((row) => viridis(Math.abs(row.value) / most)) });
    const squares = figure.rect({ field: "x" }, { field: "y" }, 0.97, 0.97, { source: data, fill_color: { field: "fill" }, line_color: null });
    addHover(figure, [squares], [[safe(chart.x), "@x"], [safe(chart.y), "@y"], ["change of the loss", "@value"]]);
    figure.xaxis.axis_label = safe(chart.x);
    figure.yaxis.axis_label = safe(chart.y);
    return figure;
  }
  return view;
}

function numbersSection() {
  const [head, ...rows] = PAGE.description.numbers;
  return make("section", { id: "numbers", class: "wide", "aria-labelledby": "numbers-title" }, make("h2", { id: "numbers-title" }, "The numbers"),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The numbers" },
      tableOf(head.map((words, i) => ({ words, text: (row) => row[i] })), rows)));
}

async function begin() {
  VIEWS.push(...PAGE.description.charts.map(chartView));
  const findings = make("section", { id: "findings", class: "wide", "aria-labelledby": "findings-title" },
    make("h2", { id: "findings-title" }, "What the runs show"), make("ul", {}, ...PAGE.description.findings.map((line) => make("li", {}, line))));
  document.getElementById("main").append(header("How this page was made"),
    make("div", { class: "views loose" }, findings, ...VIEWS.map((view) => view.element), numbersSection()));
  showMain();
  for (const view of VIEWS) await view.draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => VIEWS.map((view) => view.draw()));
}

openPage(begin);
