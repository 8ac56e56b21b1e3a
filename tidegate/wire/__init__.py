"""Bytes to values and back, one package per surface. No I/O: a codec is fed bytes and hands back values."""
