"""LangChain's usual way from a folder of texts to a Chroma store: `langchain_ingest.py FOLDER STORE`.

The endpoint is in OPENAI_BASE_URL. Prints how many chunks there are, as JSON.
"""

import json
import sys

from langchain_chroma import Chroma
from langchain_community.document_loaders import DirectoryLoader, TextLoader
from langchain_openai import OpenAIEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

folder, store = sys.argv[1:]
documents = DirectoryLoader(folder, glob="**/*.txt", loader_cls=TextLoader).load()
chunks = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).split_documents(documents)
# the check would first fetch a tokenizer from the network; without it LangChain has less to do
embeddings = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
Chroma.from_documents(chunks, embeddings, persist_directory=store)
print(json.dumps({"chunks": len(chunks)}))
