// Resampling of a 2-D image with separable weights, and the look-up to display values.
// Common subset of CUDA C++ and C++17: no library, no exceptions. One source for both backends.
//
// Weights: output column x sums taps wx[x * max_taps + i], i < nx[x], over source columns x0[x] + i; rows likewise.
// They are made in Python (render/engine.py) from the filter, so that both backends use the same numbers.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define CF_FN static __device__ __forceinline__
#else
#define CF_FN static inline
#endif

typedef unsigned char cf_u8;
typedef unsigned short cf_u16;
typedef short cf_i16;

// Taps of one axis.
struct CfTaps {
  const int* start;      // first source index of each output index
  const int* count;      // number of taps of each output index
  const float* weight;   // max_taps weights per output index
  int max_taps;
};

// Nearest table entry of an interpolated index value; the table covers [first, first + size).
CF_FN int cf_table_index(float value, int first, int size) {
  const int index = (int)(value + (value >= 0.0f ? 0.5f : -0.5f)) - first;
  return index < 0 ? 0 : (index >= size ? size - 1 : index);
}

// Weighted sum of one output pixel, rows first: the definition that the fast CPU path must equal.
template <typename T>
CF_FN float cf_resample_pixel(const T* source, int stride, int step, const CfTaps tx, const CfTaps ty, int x, int y) {
  float sum = 0.0f;
  const float* wx = tx.weight + (long long)x * tx.max_taps;
  const float* wy = ty.weight + (long long)y * ty.max_taps;
  for (int i = 0; i < tx.count[x]; ++i) {
    float column = 0.0f;
    const T* at = source + (long long)ty.start[y] * stride + (long long)(tx.start[x] + i) * step;
    for (int j = 0; j < ty.count[y]; ++j) {
      column += wy[j] * (float)at[(long long)j * stride];
    }
    sum += wx[i] * column;
  }
  return sum;
}

CF_FN cf_u8 cf_clamp_u8(float value) {
  return (cf_u8)(value <= 0.0f ? 0.0f : (value >= 255.0f ? 255.0f : value + 0.5f));
}
