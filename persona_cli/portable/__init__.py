"""A persona in one file, to be moved from store to store: all that a store holds but its sessions."""
