"""Taking documents apart: the bytes of an office or web file → its headings, paragraphs and tables, in order.

This package runs in a process of its own (`python -m persona_cli.extraction`), for a document may be made to hang,
crash or exhaust whatever reads it. It imports nothing else of the house, and no library before a file needs it; it
opens no other file and no connection.
"""
