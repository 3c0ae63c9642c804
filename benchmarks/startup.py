"""How long commands take from their start to their end, beside `import typer`, which none of them can do without.

    python benchmarks/startup.py [--runs 9]

Ingests examples/ into a store of its own first. Prints medians, each also as a multiple of `import typer` in the same
run.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
PERSONA = [sys.executable, "-m", "persona_cli"]


def seconds(command: Sequence[str], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    commands = {
        "import typer": [sys.executable, "-c", "import typer"],
        "persona --help": [*PERSONA, "--help"],
        "persona ask, quoted": [*PERSONA, "ask", "고양이 이름이 뭐예요?"],
        "persona ingest, unchanged": [*PERSONA, "ingest", str(EXAMPLES)],
    }
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*PERSONA, "ingest", str(EXAMPLES)], cwd=folder, check=True)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):  # in turn, so that a machine that slows down slows all of them
            for name, command in commands.items():
                times[name].append(seconds(command, folder))
    floor = statistics.median(times["import typer"])
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"{name:26} {median:6.3f} s  {median / floor:5.1f} x")


if __name__ == "__main__":
    main()
