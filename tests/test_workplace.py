"""What a node needs of its machine, and what it remembers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from serve_config.errors import InputError
from serve_config.settings import parse_settings
from serve_config.workplace import Memory, held_ports


def test_memory_outlives_the_node_and_a_broken_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counter and good version are kept; where they cannot be, the node says so and goes on."""
    first = Memory(tmp_path / "state", "m")
    first.remember_counter(7)
    first.remember_good("v7")
    again = Memory(tmp_path / "state", "m")
    assert (again.counter, again.good) == (7, "v7")
    (tmp_path / "file").touch()
    (tmp_path / "state" / "m.counter").write_text("x")
    with pytest.raises(InputError, match="--state holds a broken"):
        Memory(tmp_path / "state", "m")
    nowhere = Memory(tmp_path / "file" / "below", "m")
    nowhere.remember_counter(3)
    assert nowhere.counter == 3
    assert "--state cannot keep" in capsys.readouterr().err


def test_ports_are_held_for_the_server_and_for_nobody_else() -> None:
    """A server that asks for address reuse can listen on a held port; others cannot have it."""
    with held_ports() as ports, socket.socket() as server, socket.socket() as other:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", ports.inference))
        server.bind(("127.0.0.1", ports.inference))
        server.listen()
        socket.create_connection(("127.0.0.1", ports.inference), timeout=5).close()


def test_a_node_that_is_not_among_the_nodes_is_refused() -> None:
    """Its turn would never come."""
    words = ["--models", "x", "--name", "m", "--public-key", "x", "--nodes", "a, b", "--node-id"]
    assert parse_settings([*words, "b"]).node_ids == ("a", "b")
    with pytest.raises(InputError, match="--nodes must name this node, `c` is not in"):
        parse_settings([*words, "c"])
