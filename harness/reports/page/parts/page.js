"use strict";
document.documentElement.classList.add("with-js");

// A heading that sorts is a button; what a cell is sorted by is its data-v, else its text.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numbers = head.classList.contains("n");
      const was = head.getAttribute("aria-sort");
      const down = was ? was === "ascending" : numbers;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map(row => [keyOf(row.cells[column]), row]);
      rows.sort(([a], [b]) => compare(a, b, down));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

function keyOf(cell) {
  const text = cell.dataset.v ?? cell.textContent.trim();
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

// Numbers before words, words as people count (subject2 before subject10); empty cells stay last.
function compare(a, b, down) {
  const [noA, noB] = [typeof a !== "number", typeof b !== "number"];
  if (noA !== noB) return noA ? 1 : -1;
  const order = noA ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  return down ? -order : order;
}

const rows = [...document.querySelectorAll("#every tbody tr")];
const find = document.querySelector("#find"), far = document.querySelector("#far");
const choices = [...document.querySelectorAll(".filters select")];
const texts = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const shown = words.every(word => texts.get(row).includes(word))
      && choices.every(one => !one.value || row.dataset[one.dataset.column] === one.value)
      && (!far.checked || row.classList.contains("far"));
    row.hidden = !shown;
    count += shown;
  }
  document.querySelector("#shown").value = `${count} of ${rows.length} shown`;
}
document.querySelector(".filters").addEventListener("input", filter);
document.querySelector(".filters").addEventListener("submit", event => event.preventDefault());

// Paper cannot be opened.
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});
