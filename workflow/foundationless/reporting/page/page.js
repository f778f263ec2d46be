// The page: which part is shown, tables that become sortable when they are opened, enlarged figures.
const byId = (id) => document.getElementById(id);
const pages = [...document.querySelectorAll("[data-page]")];
const links = [...document.querySelectorAll("#pages a")];
const title = document.title;
const FILTERED = ["analysis", "rule", "suite", "scope", "family", "task", "model", "init", "versus", "metric", "selection", "verdict", "item"];
const CHOICES = 80; // a list of more is no help

// Text into cells: nothing of a table is ever read as HTML.
function shown(value, type) {
  if (type !== "display" && type !== "filter") return value;
  if (value === null) return "";
  if (typeof value === "number" && !Number.isInteger(value)) value = String(Number(value.toPrecision(4))).replace("-", "−");
  return type === "filter" ? String(value) : String(value).replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

const read = new Map();
function content(name) {
  if (!read.has(name)) {
    const { columns, cells } = JSON.parse(byId(`data-${name}`).textContent);
    const whole = cells.map((part) => (Array.isArray(part) ? part : part.codes.map((code) => part.levels[code] ?? null)));
    const rows = (whole[0] ?? []).map((_, at) => whole.map((column) => column[at]));
    read.set(name, { columns, rows, numeric: cells.map(Array.isArray) });
  }
  return read.get(name);
}

function open(details) {
  if (details.dataset.drawn || !byId(`data-${details.dataset.table}`)) return;
  details.dataset.drawn = "yes";
  const { columns, rows, numeric } = content(details.dataset.table);
  const at = columns.indexOf("model");
  const models = details.dataset.models && JSON.parse(details.dataset.models);
  const chosen = models && at >= 0 ? rows.filter((row) => models.includes(row[at])) : rows;
  const table = document.createElement("table");
  table.createCaption().append(Object.assign(document.createElement("span"), { textContent: details.dataset.label }));
  const head = table.createTHead().insertRow();
  for (const name of columns) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name.replaceAll("_", " ");
    head.append(cell);
  }
  const selects = document.createElement("div");
  selects.className = "filters";
  details.append(selects, table);
  const shownTable = new DataTable(table, {
    data: chosen,
    columns: columns.map((name, index) => ({ type: numeric[index] ? "num" : "string", className: numeric[index] ? "n" : "", render: shown })),
    order: [],
    autoWidth: false,
    deferRender: true,
    pageLength: 25,
    lengthMenu: [10, 25, 100, { label: "all", value: -1 }],
    language: { emptyTable: "No rows.", search: "Search", lengthMenu: "_MENU_ rows a page" },
  });
  const area = table.closest(".dt-layout-table") ?? table.parentElement;
  Object.entries({ role: "region", tabindex: "0", "aria-label": details.dataset.label }).forEach((pair) => area.setAttribute(...pair));
  columns.forEach((name, index) => {
    const values = [...new Set(chosen.map((row) => row[index]))].filter((value) => value !== null).sort();
    if (!FILTERED.includes(name) || values.length < 2 || values.length > CHOICES) return;
    const label = document.createElement("label");
    const select = document.createElement("select");
    label.append(name.replaceAll("_", " "), " ", select);
    select.append(new Option("all", ""), ...values.map((value) => new Option(value, value)));
    select.addEventListener("change", () => {
      const only = select.value;
      shownTable.column(index).search(only ? (cell) => cell === only : "").draw();
    });
    selects.append(label);
  });
}

// The part of the page that the address names is shown, whatever within it the address names is opened.
function go(first) {
  const name = decodeURIComponent(location.hash.slice(1)) || pages[0].id;
  const target = byId(name) ?? pages[0];
  const page = target.closest("[data-page]");
  if (page === null) return; // the skip link
  pages.forEach((other) => { other.hidden = other !== page; });
  links.forEach((link) => {
    if (link.hash === `#${page.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  document.title = page === pages[0] ? title : `${page.querySelector("h1").textContent} – ${title}`;
  byId("menu").setAttribute("aria-expanded", "false");
  if (target.matches("details")) target.open = true;
  if (first === true && !location.hash) return;
  if (target === page) scrollTo(0, 0);
  else target.scrollIntoView();
  const focused = target === page ? page.querySelector("h1") : target.querySelector("summary, button") ?? target;
  focused.focus({ preventScroll: true });
}

document.querySelectorAll("[data-same]").forEach((image) => {
  image.src = document.querySelector(`#figure-${image.dataset.same} img`).src;
});
document.querySelectorAll("details.table").forEach((details) => {
  details.addEventListener("toggle", () => details.open && open(details));
});
addEventListener("hashchange", go);
go(true);

// A link to where one already is changes no address, and still leads there.
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link && link.hash === location.hash && link.className !== "skip") go();
});

byId("menu").addEventListener("click", (event) => {
  const button = event.currentTarget;
  button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") !== "true"));
});

byId("find-table").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  let found = 0;
  document.querySelectorAll("#tables .group").forEach((group) => {
    const members = [...group.querySelectorAll("details.table")];
    members.forEach((details) => {
      const text = details.querySelector("summary").textContent.toLowerCase();
      details.hidden = !words.every((word) => text.includes(word));
      found += !details.hidden;
    });
    group.hidden = members.every((details) => details.hidden);
  });
  byId("found-tables").textContent = event.target.value ? `${found} found` : "";
});

const large = byId("large");
document.querySelectorAll(".zoom").forEach((button) => {
  button.addEventListener("click", () => {
    const small = button.querySelector("img");
    Object.assign(large.querySelector("img"), { src: small.src, alt: small.alt });
    large.showModal();
  });
});
document.documentElement.dataset.ready = "yes";
