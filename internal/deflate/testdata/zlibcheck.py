"""Reads compressed messages from standard input and checks that zlib, with a
window of the size that was agreed, makes of them what it should.

zlib looks at distances only where its window ends, and a large output buffer
serves it as a longer window: so it is given one octet of output per call.

A record is: octets window bits and flags, two 32-bit lengths, little endian,
the compressed message and the plain one. Flag 1: nothing before this message
may be referred to. Flag 2: zlib is to refuse the message.
"""

import struct
import sys
import zlib

NEW_CONTEXT, REFUSED = 1, 2


def read(n):
    data = sys.stdin.buffer.read(n)
    if len(data) != n:
        sys.exit("the input ends in the middle of a record")
    return data


def inflate(z, data):
    plain = bytearray()
    data += b"\x00\x00\xff\xff"
    while True:
        octet = z.decompress(data, 1)
        data = z.unconsumed_tail
        plain += octet
        if not octet and not data:
            return bytes(plain)


count = 0
while header := sys.stdin.buffer.read(10):
    bits, flags, compressed, plain = struct.unpack("<BBII", header)
    compressed, plain = read(compressed), read(plain)
    if flags & NEW_CONTEXT:
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
        sys.exit(f"message {count}, window 2^{bits}: {len(got)} octets differ from {len(plain)}")
print(count)
