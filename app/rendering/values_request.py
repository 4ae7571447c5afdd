"""How exact values may be asked for; apart, so that the web role need not load what answers."""

from __future__ import annotations

MOST_DESCRIBED = 64  # frames of one description
HTJ2K, RAW, GZIP = "htj2k", "raw", "gzip"
