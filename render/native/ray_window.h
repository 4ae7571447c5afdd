// The words of CfRayLayer.sights around a packet's next samples, in registers: a look there takes a third of a gather's
// time, and where all of them are 0 nothing has to be looked at.
#pragma once
#include "packet.h"

#if defined(__AVX512F__)
namespace {

// 4 words along each axis: 16 x 16 x 8 voxels.
struct Window {
  __m512i slabs[4];
  CfVecI first[3];  // voxels where it begins
  bool fits;        // all rays of the packet are within it at these samples
  bool empty;

  Window(const CfRayLayer& g, const CfBeam& beam, float t, float steps) {
    static const int kShift[3] = {2, 2, 1};
    int from[3], more[3];
    for (int i = 0; i < 3; ++i) {
      const float a = beam.o[i] + t * beam.d[i], b = a + steps * beam.d[i], most = (float)(g.size[i] - 2);
      const float low = (a < b ? a : b) - beam.radius[i], high = (a < b ? b : a) + beam.radius[i];
      from[i] = (int)(low > 0.0f ? (low < most ? low : most) : 0.0f) >> kShift[i];
      more[i] = ((int)(high > 0.0f ? (high < most ? high : most) : 0.0f) >> kShift[i]) - from[i];
      first[i] = CfVecI{} + (from[i] << kShift[i]);
    }
    fits = more[0] < 4 && more[1] < 4 && more[2] < 4;
    empty = false;
    if (!fits) return;
    const long long row = g.cells[0], slice = row * g.cells[1];
    const unsigned* corner = g.sights + from[2] * slice + from[1] * row + from[0];
    const long long rows[4] = {0, more[1] > 0 ? row : 0, (more[1] < 2 ? more[1] : 2) * row, more[1] * row};
    // Words behind the last are read, and left out.
    const unsigned columns = (2u << more[0]) - 1;
    const __mmask16 within = (__mmask16)(columns * 0x1111u & ((16u << 4 * more[1]) - 1));
    __m512i any = _mm512_setzero_si512();
    for (int z = 0; z < 4; ++z) {
      const unsigned* at = corner + (z < more[2] ? z : more[2]) * slice;
      const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(line(at)), line(at + rows[1]), 1);
      const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(line(at + rows[2])), line(at + rows[3]), 1);
      const __m512i both = _mm512_maskz_inserti64x4(0xff, _mm512_castsi256_si512(low), high, 1);
      slabs[z] = _mm512_maskz_mov_epi32(within, both);
      any = _mm512_or_si512(any, slabs[z]);
    }
    empty = _mm512_test_epi32_mask(any, any) == 0;
  }

  static __m128i line(const unsigned* at) { return _mm_loadu_si128((const __m128i*)at); }

  // What cf_ray_sight gives.
  CfVecI sight(const CfPlace<CfPacket>& p) const {
    const CfVecI x = p.voxel[0] - first[0], y = p.voxel[1] - first[1], z = p.voxel[2] - first[2];
    const CfVecI word = (z << 3 & 0x30) | (y & 12) | (x >> 2 & 3), bit = (z & 1) << 4 | (y & 3) << 2 | (x & 3);
    const __m512i low = _mm512_permutex2var_epi32(slabs[0], (__m512i)word, slabs[1]);
    const __m512i high = _mm512_permutex2var_epi32(slabs[2], (__m512i)word, slabs[3]);
    const __mmask16 upper = _mm512_test_epi32_mask((__m512i)word, _mm512_set1_epi32(32));
    return (CfVecI)_mm512_mask_mov_epi32(low, upper, high) >> bit;
  }
};

}  // namespace
#endif
