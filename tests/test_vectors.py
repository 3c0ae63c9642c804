"""The files Chroma writes, by themselves."""

from pathlib import Path

import numpy as np

from persona_cli.models import Matrix
from persona_cli.vectors import VectorIndex, write_vectors

DIMENSIONS = 384
ROUNDS = 40


def test_a_small_index_holds_nothing_that_was_in_memory_before(tmp_path: Path) -> None:
    """Chroma writes out room for a hundred vectors, unfilled: vectors of another index were seen there."""
    draw = np.random.default_rng(1)

    def made(count: int) -> Matrix:
        vectors = draw.standard_normal((count, DIMENSIONS)).astype(np.float32)
        found: Matrix = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return found

    secrets: list[bytes] = []
    for n in range(ROUNDS):
        secret, open_one = made(1 + n % 7), made(1 + n % 5)
        secrets += [vector.tobytes() for vector in secret]
        for name, vectors in (("secret", secret), ("open", open_one)):
            folder = tmp_path / name / str(n)
            ids = [str(i) for i in range(len(vectors))]
            assert write_vectors(folder, [(ids, vectors)]) == len(vectors)
            index = VectorIndex(folder)
            assert [found for found, _ in index.nearest(vectors[0], 1)] == ["0"]
            index.close()
    written = b"".join(path.read_bytes() for path in (tmp_path / "open").rglob("*") if path.is_file())
    assert not [secret for secret in secrets if secret in written]
