"""The report of a run: `page` is what it says, `render` writes it as HTML, `layers` makes the table of layers."""
