#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "internal.h"

using teasel::guard;

extern "C" {

int teasel_group_gloo(teasel_store* store, int rank, int world, const char* host, int64_t timeout, const char* name,
                      teasel_group** out) {
  return guard([&] {
    auto options = c10d::ProcessGroupGloo::Options::create(teasel::milliseconds(timeout));
    options->threads = 2;
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(host, false));
    // A group of its own prefix: a re-formed group never meets the keys of the one before.
    auto prefixed = c10::make_intrusive<c10d::PrefixStore>(std::string(name) + "/", store->store);
    auto backend = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>("cpu/", prefixed), rank, world, options);
    auto group = c10::make_intrusive<c10d::ProcessGroup>(prefixed, rank, world);
    group->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
    group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO,
                      std::optional<c10::intrusive_ptr<c10d::Backend>>(backend));
    group->setGroupName(name);
    *out = new teasel_group{group};
  });
}

int teasel_group_all_reduce(teasel_group* group, teasel_tensor* handles, size_t count, int operation) {
  return guard([&] {
    at::NoGradGuard no_gradient;
    for (auto& tensor : teasel::tensors(handles, count)) {
      std::vector<at::Tensor> one{tensor.detach()};
      c10d::AllreduceOptions options;
      options.reduceOp = static_cast<c10d::ReduceOp::RedOpType>(operation);
      group->group->allreduce(one, options)->wait();
    }
  });
}

int teasel_group_broadcast(teasel_group* group, teasel_tensor* handles, size_t count, int root) {
  return guard([&] {
    at::NoGradGuard no_gradient;
    for (auto& tensor : teasel::tensors(handles, count)) {
      std::vector<at::Tensor> one{tensor.detach()};
      c10d::BroadcastOptions options;
      options.rootRank = root;
      group->group->broadcast(one, options)->wait();
    }
  });
}

int teasel_group_barrier(teasel_group* group) {
  return guard([&] { group->group->barrier()->wait(); });
}

int teasel_group_abort(teasel_group* group) {
  return guard([&] { group->group->abort(); });
}

void teasel_group_free(teasel_group* group) {
  guard([&] { delete group; });
}

}  // extern "C"
