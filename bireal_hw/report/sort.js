// Makes the columns of the layer and FIFO tables sortable; without it they stay in the order of the data.
for (const table of document.querySelectorAll("table.layers, table.fifos")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    const value = row => {
      const cell = row.cells[column];
      return "value" in cell.dataset ? Number(cell.dataset.value) : head.classList.contains("n") ? -1 : cell.textContent;
    };
    const compare = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0);
    button.onclick = () => {
      const order = { none: "descending", descending: "ascending", ascending: "none" }[head.ariaSort ?? "none"];
      for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
      head.ariaSort = order;
      const rows = [...original];
      if (order !== "none") rows.sort((a, b) => (order === "ascending" ? compare(a, b) : compare(b, a)));
      body.append(...rows);
    };
  });
}
