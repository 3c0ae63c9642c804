"""A persona in one file, to be moved from store to store."""
