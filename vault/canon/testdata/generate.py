#!/usr/bin/env python3
"""Writes vectors.json: the encoding rule of package canon, from its text alone."""
import json, os, struct

def enc(domain, fields):
    return b"".join(struct.pack(">H", len(p)) + p for p in (s.encode() for s in [domain, *fields]))

cases = [
    ("photovault/test/v1", []),
    ("photovault/test/v1", [""]),
    ("photovault/test/v1", ["", ""]),
    ("photovault/test/v1", ["a", "bc"]),
    ("photovault/test/v1", ["ab", "c"]),
    ("photovault/test/v1", ["é", "\x00", "x" * 300]),
    ("photovault/test/v2", ["a", "bc"]),
]
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "vectors.json"), "w") as f:
    json.dump([{"domain": d, "fields": x, "hex": enc(d, x).hex()} for d, x in cases], f, indent=1)
    f.write("\n")
