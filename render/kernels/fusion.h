// Fusion of two gray pictures of one place: a base in gray, an overlay in colour above it.
// Common subset of CUDA C++ and C++17. Whole numbers throughout, so that every backend gives the same bytes.
//
// Index 0 of the overlay is where it has nothing to show. The tables are made in Python (render/fusion.py):
// keep[i] is the base's share of 255, colour[3 * i + c] the overlay's part: its colour * (255 - keep[i]) + 127.
#pragma once

#include "resample.h"

CF_FN void cf_fuse_pixel(cf_u8 base, cf_u8 index, const cf_u8* keep, const cf_u16* colour, cf_u8* out) {
  const unsigned below = (unsigned)base * keep[index];
  const cf_u16* part = colour + 3 * (int)index;
  for (int c = 0; c < 3; ++c) out[c] = (cf_u8)((below + part[c]) / 255u);
}
