// What the shim's translation units share: the handles' contents and the exception boundary.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <torch/csrc/distributed/c10d/exception.h>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <vector>

#include "shim.h"

struct teasel_store {
  c10::intrusive_ptr<c10d::Store> store;
};

struct teasel_group {
  c10::intrusive_ptr<c10d::ProcessGroup> group;
};

struct teasel_reducer {
  std::shared_ptr<c10d::Reducer> reducer;
  std::shared_ptr<c10d::Logger> logger;
};

namespace teasel {

// Keeps the message for teasel_last_error() and returns the status. A timeout is told by its text: c10d throws the
// same types for it.
int fail(int status, const std::string& message);

// Runs `body` and turns every exception into a status.
template <typename Body>
int guard(Body body) noexcept {
  try {
    body();
    return TEASEL_OK;
  } catch (const c10::DistNetworkError& error) {
    return fail(TEASEL_NETWORK, error.what_without_backtrace());
  } catch (const c10::DistStoreError& error) {
    return fail(TEASEL_STORE, error.what_without_backtrace());
  } catch (const c10::DistBackendError& error) {
    return fail(TEASEL_BACKEND, error.what_without_backtrace());
  } catch (const c10::Error& error) {
    return fail(TEASEL_OTHER, error.what_without_backtrace());
  } catch (const std::exception& error) {
    return fail(TEASEL_OTHER, error.what());
  } catch (...) {
    return fail(TEASEL_OTHER, "unknown C++ exception");
  }
}

inline std::vector<at::Tensor> tensors(teasel_tensor* handles, size_t count) {
  std::vector<at::Tensor> result;
  result.reserve(count);
  for (size_t index = 0; index < count; index++) result.push_back(*static_cast<at::Tensor*>(handles[index]));
  return result;
}

inline std::chrono::milliseconds milliseconds(int64_t count) { return std::chrono::milliseconds(count); }

}  // namespace teasel
