#include "nccl_plugin.h"

#include <c10/cuda/CUDAFunctions.h>

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

// As the wheel's own libtorch_python.so allocates them for the constructors below: other headers, or other flags, would
// make objects that libtorch_cuda.so writes beyond.
static_assert(sizeof(c10d::ProcessGroupNCCL) == 1152);
static_assert(sizeof(c10d::ProcessGroupNCCL::Options) == 256);

extern "C" c10d::Backend* teasel_nccl_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                              int device, int64_t timeout) {
  auto index = static_cast<c10::DeviceIndex>(device);
  c10::cuda::set_device(index);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = std::chrono::milliseconds(timeout);
  auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
  // Collectives without tensors, such as barriers, would guess a device by the rank.
  backend->setBoundDeviceId(at::Device(c10::DeviceType::CUDA, index));
  return backend.release();
}
