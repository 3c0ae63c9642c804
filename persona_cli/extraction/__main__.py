"""The process that takes documents apart: requests on standard input, answers on standard output, until it closes."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from queue import SimpleQueue
from typing import BinaryIO, NamedTuple

from persona_cli.extraction.blocks import Extract, Fault, Unreadable

READERS = {
    ".pdf": ("pdf", "read_pdf"),
    ".docx": ("documents", "read_docx"),
    ".pptx": ("documents", "read_pptx"),
    ".odt": ("documents", "read_open_document"),
    ".odp": ("documents", "read_open_document"),
    ".hwpx": ("documents", "read_hwpx"),
    ".hwp": ("hwp", "read_hwp"),
    ".xlsx": ("sheets", "read_sheets"),
    ".ods": ("sheets", "read_sheets"),
    ".xls": ("sheets", "read_xls"),
    ".rtf": ("rtf", "read_rtf"),
    ".epub": ("books", "read_epub"),
    ".html": ("web", "read_html"),
    ".eml": ("mail", "read_eml"),
}
"""By suffix, the module of this package and its function."""
GRACE_S = 5
"""How much longer than its time a file may take before the system ends this process, should nobody else do so."""


class _Request(NamedTuple):
    suffix: str
    seconds: float
    data: bytes


def main() -> None:
    """Answer requests until there will be no more, which is noticed even while a file is being read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _bound_memory(int(sys.argv[1]))
    requests, answers = _private_streams()
    queue: SimpleQueue[_Request] = SimpleQueue()
    threading.Thread(target=_receive, args=(requests, queue), daemon=True).start()
    while True:
        request = queue.get()
        _set_alarm(request.seconds + GRACE_S)
        answer = _answer(request)
        _set_alarm(0)
        answers.write(len(answer).to_bytes(8, "big") + answer)
        answers.flush()


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, out of reach of libraries, which find nothing there."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, answers


def _receive(requests: BinaryIO, queue: "SimpleQueue[_Request]") -> None:
    try:
        while len(size := requests.read(8)) == 8:
            head = json.loads(requests.readline())
            queue.put(_Request(head["suffix"], head["seconds"], requests.read(int.from_bytes(size, "big"))))
    finally:
        os._exit(0)


def _answer(request: _Request) -> bytes:
    try:
        extract = _read(request)
        about = {"title": extract.title, "author": extract.author, "date": extract.date}
        return json.dumps({"blocks": extract.blocks, **about}).encode()
    except MemoryError:
        fault: Fault = "no memory"
    except ImportError:
        fault = "part missing"
    except Unreadable as error:
        fault = error.fault
    except BaseException:  # a damaged file leads its reader anywhere; what a library in Rust raises is no Exception
        fault = "damaged"
    return json.dumps({"fault": fault}).encode()  # out here nothing keeps in memory what was read


def _read(request: _Request) -> Extract:
    module, function = READERS[request.suffix]
    read: Callable[[bytes], Extract] = getattr(import_module(f"persona_cli.extraction.{module}"), function)
    return read(request.data)


def _bound_memory(megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, allowed = resource.getrlimit(resource.RLIMIT_DATA)
    if allowed == resource.RLIM_INFINITY or allowed > megabytes << 20:
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what is in the memory of a reader that crashes is nobody's


def _set_alarm(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main()
