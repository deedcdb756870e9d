#include <torch/csrc/distributed/c10d/comm.hpp>

#include "internal.h"

using teasel::guard;

extern "C" {

int teasel_reducer_new(teasel_group* group, teasel_tensor* handles, size_t count, int64_t first_bucket_bytes,
                       int64_t bucket_bytes, teasel_reducer** out) {
  return guard([&] {
    auto parameters = teasel::tensors(handles, count);
    std::vector<bool> sparse(count, false);
    std::vector<size_t> limits{static_cast<size_t>(first_bucket_bytes), static_cast<size_t>(bucket_bytes)};
    auto [buckets, unused] = c10d::compute_bucket_assignment_by_size(parameters, limits, sparse, {}, {});
    // Gradients become ready from the last parameter to the first.
    std::reverse(buckets.begin(), buckets.end());
    auto reducer = std::make_shared<c10d::Reducer>(
        parameters, buckets, group->group, sparse, bucket_bytes, /*find_unused_parameters=*/false,
        /*gradient_as_bucket_view=*/true, std::unordered_map<size_t, std::string>{}, first_bucket_bytes,
        /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false, std::vector<int64_t>{}, false);
    auto logger = std::make_shared<c10d::Logger>(reducer);
    reducer->set_logger(logger);
    logger->set_construction_data_and_log("teasel", {}, -1, false, false, false);
    *out = new teasel_reducer{reducer, logger};
  });
}

int teasel_reducer_bucket_count(teasel_reducer* reducer, size_t* out) {
  return guard([&] { *out = reducer->logger->get_bucket_sizes().size(); });
}

int teasel_reducer_prepare_forward(teasel_reducer* reducer, int* rebuilt) {
  return guard([&] {
    reducer->reducer->prepare_for_forward();
    *rebuilt = reducer->reducer->rebuild_buckets();
  });
}

int teasel_reducer_prepare_backward(teasel_reducer* reducer) {
  return guard([&] { reducer->reducer->prepare_for_backward({}); });
}

void teasel_reducer_free(teasel_reducer* reducer) {
  guard([&] {
    reducer->reducer->remove_autograd_hooks();
    delete reducer;
  });
}

int teasel_zero_gradients(teasel_tensor* handles, size_t count) {
  return guard([&] {
    at::NoGradGuard no_gradient;
    for (auto& tensor : teasel::tensors(handles, count)) {
      // In place: the gradient is a view into a bucket of the reducer.
      if (tensor.mutable_grad().defined()) tensor.mutable_grad().zero_();
    }
  });
}

int teasel_fused_adam(teasel_tensor* handles, teasel_tensor* averages, teasel_tensor* squares, teasel_tensor* steps,
                      size_t count, double learning_rate, double beta1, double beta2, double epsilon) {
  return guard([&] {
    at::NoGradGuard no_gradient;
    auto parameters = teasel::tensors(handles, count);
    std::vector<at::Tensor> gradients;
    gradients.reserve(count);
    for (auto& parameter : parameters) {
      TORCH_CHECK(parameter.grad().defined(), "a parameter has no gradient");
      gradients.push_back(parameter.grad());
    }
    auto counts = teasel::tensors(steps, count);
    for (auto& step : counts) step.add_(1);
    at::_fused_adam_(parameters, gradients, teasel::tensors(averages, count), teasel::tensors(squares, count), {},
                     counts, learning_rate, beta1, beta2, /*weight_decay=*/0.0, epsilon, /*amsgrad=*/false,
                     /*maximize=*/false, {}, {});
  });
}

}  // extern "C"
