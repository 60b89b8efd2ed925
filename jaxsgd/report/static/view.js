// The header of a page, and a view: a section with a figure, its values as a table, and the command that gives its numbers.

function header(about, ...more) {
  // The question, what was run or read, `more`, the facts, and what the page leaves out.
  const { description } = PAGE;
  const facts = description.facts.flatMap(([label, text]) => [make("dt", {}, label), make("dd", {}, text)]);
  const notes = description.notes.map((note) => make("li", {}, note));
  return make("header", {}, make("h1", {}, description.question), make("p", { class: "soft" }, description.ran), ...more,
    make("details", { id: "facts" }, make("summary", {}, about), make("dl", {}, ...facts)),
    ...(notes.length ? [make("details", { id: "notes", open: true }, make("summary", {}, "What this page leaves out"), make("ul", {}, ...notes))] : []));
}

function viewOf(id, title, wide, about, table) {
  const holder = make("div", { class: "figure", id: id + "-figure", role: "img", "aria-label": title });
  const controls = make("div", { class: "row" });
  const caption = make("p", { class: "soft" }, about);
  const values = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title + ": values" });
  const details = make("details", { ontoggle: () => { if (details.open) values.replaceChildren(table()); } },
    make("summary", {}, "Values as a table"), values);
  const command = make("pre", {});
  const element = make("section", { id, "aria-labelledby": id + "-title", ...(wide ? { class: "wide" } : {}) },
    make("h2", { id: id + "-title" }, title), caption, controls, holder, details,
    make("details", {}, make("summary", {}, "The command for this"), command));
  let shown = null;
  return {
    id, element, controls, holder, caption, command, pick: () => {}, draw: () => {},
    async show(figure, place = holder) {
      const old = shown;
      const now = await show(figure, place);
      if (place === holder) { old?.remove?.(); shown = now; }
    },
    refresh() { if (details.open) values.replaceChildren(table()); },
  };
}
