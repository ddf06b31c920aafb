"""The program and `skylift wheels` agree on a folder: it follows the bytes of uv.lock."""

from __future__ import annotations

from pathlib import Path

from infra.lock_hash import lock_hash, wheels_folder


def test_another_lock_is_another_folder(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("a")
    first = lock_hash(tmp_path)
    assert first == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert wheels_folder(first) == f"wheels/{first}"
    (tmp_path / "uv.lock").write_text("b")
    assert lock_hash(tmp_path) != first
