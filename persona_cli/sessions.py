"""Sessions: conversations, kept turn by turn in the catalog's database."""
