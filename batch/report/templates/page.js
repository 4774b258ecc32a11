"use strict";

// A link into a folded section opens it, also by the address, and by going back.
function reveal(id) {
  const target = document.getElementById(id);
  if (!target) return;
  for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  for (const each of target.querySelectorAll(":scope > details")) each.open = true;
}
addEventListener("hashchange", () => reveal(location.hash.slice(1)));
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link) reveal(link.hash.slice(1));
});
if (location.hash) {
  reveal(location.hash.slice(1));
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

// One button folds all sections, and opens them again.
const sections = [...document.querySelectorAll("main > section > details")];
const fold = document.getElementById("fold");
const label = () => {
  fold.textContent = sections.some((each) => each.open) ? "Fold all" : "Open all";
};
fold.hidden = false;
fold.addEventListener("click", () => {
  const isOpen = !sections.some((each) => each.open);
  for (const each of sections) each.open = isOpen;
});
for (const each of sections) each.addEventListener("toggle", label);

// Everything is open on paper, and afterwards as it was.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const each of opened) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of opened) each.open = false;
});

// What is wider than the page scrolls, and so the keyboard has to reach it.
const pictures = [...document.querySelectorAll(".picture")];
const reach = () => {
  for (const each of pictures) {
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  }
};
addEventListener("resize", reach);
reach();

// The numbers of the figures: base64 of JSON in zlib's format, unpacked when the first is saved.
let unpacked;
async function unpack() {
  const packed = document.getElementById("figure-data").textContent;
  const bytes = Uint8Array.from(atob(packed), (each) => each.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front; a number stays one.
function cell(value) {
  if (value === null) return "";
  const isFormula = typeof value === "string" && /^[=+\-@\t\r＝＋－＠]/.test(value) && !/^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(value);
  const text = isFormula ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
async function csv(id) {
  unpacked ??= unpack();
  const { columns, figures } = await unpacked;
  const own = figures[id].columns.map((i) => columns[i]);
  const lines = [figures[id].head, ...own[0].map((_, row) => own.map((values) => values[row]))];
  return lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}
async function save(id) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([await csv(id)], { type: "text/csv;charset=utf-8" }));
  link.download = `${id}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
if ("DecompressionStream" in window) {
  for (const button of document.querySelectorAll("button.save")) {
    button.hidden = false;
    button.addEventListener("click", () => save(button.dataset.figure));
  }
}
