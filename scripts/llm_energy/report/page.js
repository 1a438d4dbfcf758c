// Sorting and filtering of tables, and a word where something is wider than the screen; without
// scripts the page shows the same numbers.
"use strict";

const valueOf = (row, column) => {
  const text = row.cells[column].dataset.sort;
  if (text === undefined) return null;
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
};

const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });

const sortBy = (table, heading) => {
  const column = heading.cellIndex;
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, value: valueOf(row, column) }));
  rows.sort((a, b) => {
    // What has no value stays at the end, whichever way the rest is sorted.
    if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
    return ascending ? compare(a.value, b.value) : compare(b.value, a.value);
  });
  table.tBodies[0].append(...rows.map(({ row }) => row));
};

for (const table of document.querySelectorAll("table.sortable")) {
  if (table.tBodies[0].rows.length < 2) continue;
  for (const heading of table.tHead.rows[0].cells) {
    const title = heading.querySelector(".title");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title.textContent;
    button.addEventListener("click", () => sortBy(table, heading));
    title.replaceChildren(button);
  }
}

for (const filter of document.querySelectorAll(".filter")) {
  const input = filter.querySelector("input");
  const rows = document.getElementById(input.getAttribute("aria-controls")).tBodies[0].rows;
  filter.hidden = false;
  input.addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}

// What is cut at the edge says so, and can be reached with the keyboard; what fits is no stop.
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const cut = target.scrollWidth > target.clientWidth + 1;
    target.previousElementSibling.hidden = !cut;
    if (cut) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

for (const scroller of document.querySelectorAll(".scroll")) {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = "Wider than the screen: scroll sideways \u2192";
  scroller.before(hint);
  observer.observe(scroller);
}

window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
