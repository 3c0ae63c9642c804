"""The tables of the catalog."""

import sqlalchemy as sa

VERSION = 3
"""Of the schema: 2 has vectors for each sentence, 3 has the persona, sessions and ways to ask."""

metadata = sa.MetaData()
facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    comment="embedding: the store's embedding model; generation: the published one; last_chunk: highest id ever given",
)
documents = sa.Table(
    "documents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, nullable=False, unique=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("loader", sa.Text, nullable=False),
)
chunks = sa.Table(
    "chunks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("document_id", sa.Integer, sa.ForeignKey("documents.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("question", sa.Text),
    sa.Column("locator", sa.Text, nullable=False),
    sa.Column("speaker", sa.Text),
    sa.Column("date", sa.Text),
    sa.Column("text_hash", sa.LargeBinary, nullable=False),
    sa.Column("question_hash", sa.LargeBinary),
)
embeddings = sa.Table(
    "embeddings",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.Column("pieces", sa.Integer, nullable=False, server_default="1"),
    comment="vector: float32, little-endian, of unit length; pieces: how many there are, one after the other",
)
ways = sa.Table(
    "ways",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("text_hash", sa.LargeBinary, nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("question_hash", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("text_hash", "question_hash"),
    comment="questions that a language model wrote to a text; kept under the text, whichever documents hold it",
)
augmented = sa.Table(
    "augmented",
    metadata,
    sa.Column("text_hash", sa.LargeBinary, primary_key=True),
    sa.Column("asked_for", sa.Integer, nullable=False),
    comment="how many ways to ask a language model was asked for, so that it is not asked for them again",
)
assets = sa.Table(
    "assets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
    comment="the persona: persona.toml, card.json, card.png, voice.json",
)
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False, server_default=""),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False, server_default=""),
    sa.Column("summarised", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("owner", "id"),
    comment="owner: whose it is, where several share a server; summary: of the first `summarised` turns",
)
turns = sa.Table(
    "turns",
    metadata,
    sa.Column("session_key", sa.Integer, sa.ForeignKey("sessions.key", ondelete="CASCADE"), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False, server_default=""),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("mode", sa.Text),
    sa.Column("sources", sa.Text, nullable=False, server_default="[]"),
    sa.Column("given", sa.Text),
    comment="n: from 1; state: open, done, stopped, erased; sources: JSON, as `ask --json` gives them; given: JSON, the"
    " documents whose words the answer may hold, where that is known",
)
