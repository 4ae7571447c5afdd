// Resampling of a 2-D image with separable weights, and the look-up to display values.
// Common subset of CUDA C++ and C++17: no library, no exceptions. One source for both backends.
//
// Weights: output column x sums taps weight[i * outputs + x], i < count[x], over source columns start[x] + i; rows
// likewise. They are made in Python (render/filters.py), so that both backends use the same numbers. The caller
// guarantees 0 <= start and start + count <= size of the source.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define CF_FN static __device__ __forceinline__
#else
#define CF_FN static inline
#endif

typedef unsigned char cf_u8;
typedef unsigned short cf_u16;
typedef short cf_i16;
typedef float cf_f32;

// Taps of one axis.
struct CfTaps {
  const int* start;     // first source index of each output index
  const int* count;     // number of taps of each output index
  const float* weight;  // [tap][output], 0 behind an output's last tap
  int outputs;
};

// Display values: entry i belongs to the index value first + i / steps; the ends repeat.
struct CfTable {
  const cf_u8* entries;
  float first;
  float steps;
  int size;
};

// Nearest entry of an interpolated index value. Not a number gives entry 0.
CF_FN int cf_table_index(float value, float first, float steps, int size) {
  const float place = (value - first) * steps + 0.5f;
  const float last = (float)(size - 1);
  return place >= 0.0f ? (place < last ? (int)place : size - 1) : 0;
}

// Weighted sum of one output pixel, rows first: the definition that the fast CPU path must equal.
template <typename T>
CF_FN float cf_resample_pixel(const T* source, int stride, int step, const CfTaps tx, const CfTaps ty, int x, int y) {
  float sum = 0.0f;
  for (int i = 0; i < tx.count[x]; ++i) {
    float column = 0.0f;
    const T* at = source + (long long)ty.start[y] * stride + (long long)(tx.start[x] + i) * step;
    for (int j = 0; j < ty.count[y]; ++j) {
      column += ty.weight[(long long)j * ty.outputs + y] * (float)at[(long long)j * stride];
    }
    sum += tx.weight[(long long)i * tx.outputs + x] * column;
  }
  return sum;
}

CF_FN cf_u8 cf_clamp_u8(float value) {
  return (cf_u8)(value <= 0.0f ? 0.0f : (value >= 255.0f ? 255.0f : value + 0.5f));
}
