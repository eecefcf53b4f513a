from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwiksync_ops.connectors.http.body import PIECE, read_body

TEXT = b'{"data": []}' * 1_000


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.binary(max_size=5_000), st.integers(1, 600), st.integers(0, 3))
def test_gzip_in_any_pieces_and_members_comes_back(data: bytes, size: int, cut: int) -> None:
    packed = gzip.compress(data[:cut]) + gzip.compress(data[cut:])
    assert read_body(in_pieces(packed, size), "gzip", max_bytes=5_000) == data


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_output_around_the_piece_size_comes_back(extra: int) -> None:
    data = b"a" * (2 * PIECE + extra)
    assert read_body([gzip.compress(data)], "GZIP ", max_bytes=len(data)) == data


@pytest.mark.parametrize("cut", [1, 4, 9, 40])
def test_cut_gzip_is_told(cut: int) -> None:
    with pytest.raises(ValueError, match="cut off"):
        read_body([gzip.compress(TEXT)[:-cut]], "gzip", max_bytes=10**6)


def test_a_wrong_checksum_is_told() -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    with pytest.raises(ValueError, match="not valid gzip"):
        read_body([bytes(packed)], "gzip", max_bytes=10**6)


def test_what_follows_gzip_data_is_told() -> None:
    with pytest.raises(ValueError, match="not valid gzip"):
        read_body([gzip.compress(TEXT) + b"rubbish"], "gzip", max_bytes=10**6)


def test_a_bomb_is_stopped_before_it_fills_the_memory() -> None:
    packed = gzip.compress(bytes(200_000_000), 9)
    tracemalloc.start()
    with pytest.raises(ValueError, match="larger than 1,000,000 bytes"):
        read_body(in_pieces(packed, 65_536), "gzip", max_bytes=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def test_deflate_and_identity_are_read() -> None:
    assert read_body([zlib.compress(TEXT)], "deflate", max_bytes=10**6) == TEXT
    assert read_body([TEXT, TEXT], "", max_bytes=10**6) == TEXT + TEXT


def test_an_empty_gzip_answer_is_empty() -> None:
    assert read_body([], "gzip", max_bytes=10) == b""


def test_an_encoding_that_was_not_asked_for_is_told() -> None:
    with pytest.raises(ValueError, match="'zstd'"):
        read_body([b""], "zstd", max_bytes=10)
