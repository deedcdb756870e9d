#include <dlfcn.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/cuda.h>

#include "internal.h"
#include "nccl_plugin.h"

using teasel::guard;

extern "C" {

int teasel_load_library(const char* path) {
  return guard([&] { TORCH_CHECK(dlopen(path, RTLD_NOW | RTLD_GLOBAL), dlerror()); });
}

int teasel_cuda_devices(int* out) {
  return guard([&] { *out = torch::cuda::device_count(); });
}

int teasel_group_add_nccl(teasel_group* group, const char* plugin, int device, int64_t timeout) {
  return guard([&] {
    void* library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
    TORCH_CHECK(library, dlerror());
    auto* make = reinterpret_cast<teasel_nccl_backend_t*>(dlsym(library, TEASEL_NCCL_BACKEND));
    TORCH_CHECK(make, dlerror());
    auto& processes = *group->group;
    auto store = c10::make_intrusive<c10d::PrefixStore>("cuda/", processes.getStore());
    auto backend = c10::intrusive_ptr<c10d::Backend>::reclaim(
        make(store, processes.getRank(), processes.getSize(), device, timeout));
    backend->setGroupUid(processes.getGroupName());
    processes.setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::BackendType::NCCL,
                         std::optional<c10::intrusive_ptr<c10d::Backend>>(backend));
  });
}

}  // extern "C"
