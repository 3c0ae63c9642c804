"""The claim check on answers with planted mistakes: precision and recall, by language and split.

    python benchmarks/claims.py [--misses]

Each line of data/claims.jsonl has an answer, what it was made from and the spans of it that are wrong. A found span is
right when it overlaps a wrong one; a wrong one is found when a found span overlaps it. Lines marked "held-out" were
written when the code was finished.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from persona_cli.claims import unsupported

DATA = Path(__file__).parent / "data" / "claims.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--misses", action="store_true", help="show the lines that were got wrong")
    arguments = parser.parse_args()
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in DATA.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        answer, group = case["answer"], (case["language"], case["split"])
        found = unsupported(answer, case["evidence"])
        wrong = [(answer.index(span), answer.index(span) + len(span)) for span in case["wrong"]]
        right = sum(any(s < end and start < e for s, e in wrong) for start, end in found)
        caught = sum(any(s < end and start < e for s, e in found) for start, end in wrong)
        for name, number in zip(
            ("lines", "found", "right", "wrong", "caught"), (1, len(found), right, len(wrong), caught), strict=True
        ):
            counts[*group, name] += number
        if arguments.misses and (right < len(found) or caught < len(wrong)):
            print(
                case["evidence"], answer, "found", [answer[s:e] for s, e in found], "wrong", case["wrong"], sep="\n  "
            )
    for language, split in sorted({(language, split) for language, split, _ in counts}):
        n = {name: counts[language, split, name] for name in ("lines", "found", "right", "wrong", "caught")}
        precision, recall = n["right"] / max(n["found"], 1), n["caught"] / max(n["wrong"], 1)
        print(
            f"{language} {split:8} {n['lines']:3} lines  precision {precision:.3f} ({n['right']}/{n['found']})"
            f"  recall {recall:.3f} ({n['caught']}/{n['wrong']})"
        )


if __name__ == "__main__":
    main()
