// Sorts a table by the column whose button is pressed: largest first, then smallest first. The last row, that of the majority,
// stays last.

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], last = body.lastElementChild;
  const value = (row, i) => {
    const text = row.cells[i].textContent.trim();
    return i === 0 ? text : parseFloat(text.replace("−", "-").replace(/^-\./, "-0.").replace(/^\./, "0."));
  };
  table.querySelectorAll("thead th").forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent || "model";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === (i === 0 ? null : "descending");
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = Array.from(body.rows).filter((row) => row !== last);
      const compare = (a, b) => (i === 0 ? a.localeCompare(b) : (Number.isNaN(a) ? -1 : Number.isNaN(b) ? 1 : a - b));
      rows.sort((a, b) => (up ? 1 : -1) * compare(value(a, i), value(b, i)));
      body.replaceChildren(...rows, last);
    });
  });
}
