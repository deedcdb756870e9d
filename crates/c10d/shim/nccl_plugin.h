// What the shim and its NCCL plugin agree on.
//
// The plugin is a library of its own, since it needs libtorch_cuda.so and NCCL, which only a machine with GPUs has. Both
// sides are compiled by one build and throw libtorch's exceptions; the shim catches them.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

// The plugin's only function.
#define TEASEL_NCCL_BACKEND "teasel_nccl_backend"

// A backend of `size` ranks for tensors on CUDA device `device`, which becomes the calling thread's. The caller owns
// what is returned. `timeout` is in milliseconds.
using teasel_nccl_backend_t = c10d::Backend*(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                             int device, int64_t timeout);
