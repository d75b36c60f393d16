"""Reads compressed messages from standard input, and checks that zlib, with a
window of the size that each record gives, reads them.

zlib uses a large output buffer as a longer window, and then accepts distances
that are too long. So each call gives it room for one byte of output.

A record is one byte for the window, one for flags, two 32-bit lengths in little
endian order, the compressed message and the plain one. Flag 1: the message must
not refer to anything before it. Flag 2: zlib must refuse the message.
"""

import struct
import sys
import zlib

FORGET, REFUSED = 1, 2


def read(n):
    data = sys.stdin.buffer.read(n)
    if len(data) != n:
        sys.exit("the input ends in the middle of a record")
    return data


def inflate(z, data):
    plain = bytearray()
    data += b"\x00\x00\xff\xff"
    while True:
        byte = z.decompress(data, 1)
        data = z.unconsumed_tail
        plain += byte
        if not byte and not data:
            return bytes(plain)


count = 0
while header := sys.stdin.buffer.read(10):
    bits, flags, compressed, plain = struct.unpack("<BBII", header)
    compressed, plain = read(compressed), read(plain)
    if flags & FORGET:
        z = zlib.decompressobj(-bits)
    count += 1
    try:
        got = inflate(z, compressed)
    except zlib.error as err:
        if not flags & REFUSED:
            sys.exit(f"message {count}, window 2^{bits}: {err}")
        continue
    if flags & REFUSED:
        sys.exit(f"message {count}, window 2^{bits}: was not refused")
    if got != plain:
        sys.exit(f"message {count}, window 2^{bits}: {len(got)} bytes differ from {len(plain)}")
print(count)
