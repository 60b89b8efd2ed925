"""Damage to a log's bytes, as lost disks, mixed writers and hostile hands do it; a seed makes it again."""

import numpy as np

TOKENS = (
    b"nan", b"inf", b"-inf", b"1e400", b"-1", b"0", b"9" * 400, b"1e308", b"-1e308", b"1e-320", b"0.5", b"7" * 15,
    b"99999999999999999999", b",", b":", b"=", b"[", b"]", b"{", b"}", b'"', b"\\", b"\x00", b"\xff\xfe",
    b"\xef\xbb\xbf", b"\x1b[31m", b"\r", b"\x08", b"\t", b"\n\n", b"epoch 3", b"epoch 1e30", b"step -5", b"10/0",
    b"0/0", b"60/60", b"loss", b"loss: ", b"val", b"\xe2\x96\x88" * 9, b"1,000,000", b"null", b"[[[[", b"run 2",
    b"tensor(", b"1_0", b"'", b"%", b"#", b"Epoch: [",
)  # fmt: skip


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a log with one to eight pieces cut, doubled, replaced, swapped or put in."""
    content = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        if not content:
            break
        at = int(rng.integers(len(content)))
        stop = min(len(content), at + int(rng.choice([1, 3, 10, 60, 400])))
        piece = bytes(content[at:stop])
        kind = int(rng.integers(6))
        if kind == 0:
            del content[at:stop]
        elif kind == 1:
            content[at:at] = piece * int(rng.integers(1, 4))
        elif kind == 2:
            content[at:stop] = bytes(int(byte) for byte in rng.integers(0, 256, stop - at))
        elif kind == 3:
            content[at:at] = TOKENS[int(rng.integers(len(TOKENS)))]
        elif kind == 4:
            lines = bytes(content).split(b"\n")
            first, second = (int(place) for place in rng.integers(0, len(lines), 2))
            lines[first], lines[second] = lines[second], lines[first]
            content = bytearray(b"\n".join(lines))
        else:
            # The same token in place of every copy of a word of the log.
            words = bytes(content).split()
            if words:
                word, token = words[int(rng.integers(len(words)))], TOKENS[int(rng.integers(len(TOKENS)))]
                content = bytearray(bytes(content).replace(word, token, int(rng.choice([1, 5, 1000]))))
    return bytes(content)
