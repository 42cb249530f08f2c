"""One pass: the table of contents of the product."""
