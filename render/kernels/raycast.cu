// CUDA entry points over raycast.h: one thread per ray. Neighbouring threads of a warp are neighbouring pixels.
#include "raycast.h"

template <int kind, bool fused>
static __device__ void ray_pixel(const CfRayScene& scene) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= scene.width || y >= scene.height) return;
  cf_ray_pixel<kind, fused>(scene, x, y);
}

#define CF_RAYCAST(NAME, KIND)                                                                                  \
  extern "C" __global__ void NAME(const __grid_constant__ CfRayScene scene) { ray_pixel<KIND, false>(scene); }  \
  extern "C" __global__ void NAME##_fused(const __grid_constant__ CfRayScene scene) { ray_pixel<KIND, true>(scene); }
CF_RAYCAST(cf_raycast_i16, CF_KIND_I16)
CF_RAYCAST(cf_raycast_u16, CF_KIND_U16)
CF_RAYCAST(cf_raycast_f32, CF_KIND_F32)
