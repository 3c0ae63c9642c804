"""LlamaIndex's usual way from a folder of texts to a Chroma store: `llamaindex_ingest.py FOLDER STORE`.

The endpoint is in OPENAI_BASE_URL. Prints how many chunks there are, as JSON.
"""

import json
import os
import sys

import chromadb
from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.vector_stores.chroma import ChromaVectorStore

folder, store = sys.argv[1:]
documents = SimpleDirectoryReader(folder, recursive=True).load_data()
collection = chromadb.PersistentClient(store).get_or_create_collection("documents")
VectorStoreIndex.from_documents(
    documents,
    storage_context=StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=collection)),
    embed_model=OpenAIEmbedding(model="text-embedding-3-small", api_base=os.environ["OPENAI_BASE_URL"]),
)
print(json.dumps({"chunks": collection.count()}))
