-- Rows of a document, after they have been added to the index.
add_rows(KEYS[1], 3)
