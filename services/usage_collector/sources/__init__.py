"""One file per vendor; the listing is the list of vendors."""
