"""The checksum of a whole state, as control plane and gateway compute it."""

import hashlib

HALF = 1 << 64


class Digest:
    """The checksum of a whole state."""

    def __init__(self):
        self.low = self.high = 0

    def change(self, key, record, sign):
        parts = hashlib.sha256(f"{key}\n{record}".encode()).digest()
        self.low = (self.low + sign * int.from_bytes(parts[:8], "little")) % HALF
        self.high = (self.high + sign * int.from_bytes(parts[8:16], "little")) % HALF

    def __str__(self):
        return f"{self.low:016x}{self.high:016x}"
