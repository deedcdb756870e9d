// A C ABI over the parts of libtorch's c10d that Teasel uses.
//
// Every fallible call returns a teasel_status; the message of the last failure on this thread is at
// teasel_last_error(). No C++ exception crosses this boundary. Tensors are `at::Tensor*`, as torch-sys hands them out;
// callers keep ownership. Times are in milliseconds.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum teasel_status {
  TEASEL_OK = 0,
  TEASEL_OTHER = 1,
  TEASEL_TIMEOUT = 2,
  TEASEL_NETWORK = 3,
  TEASEL_STORE = 4,
  TEASEL_BACKEND = 5,
};

typedef struct teasel_store teasel_store;
typedef struct teasel_group teasel_group;
typedef struct teasel_reducer teasel_reducer;
typedef void* teasel_tensor;

const char* teasel_last_error(void);

int teasel_store_tcp(const char* host, uint16_t port, int is_server, int64_t timeout, teasel_store** out);
int teasel_store_port(teasel_store* store, uint16_t* out);
int teasel_store_set(teasel_store* store, const char* key, const uint8_t* value, size_t length);
// The value is freed with teasel_bytes_free.
int teasel_store_get(teasel_store* store, const char* key, int64_t timeout, uint8_t** value, size_t* length);
int teasel_store_add(teasel_store* store, const char* key, int64_t amount, int64_t* out);
int teasel_store_check(teasel_store* store, const char* key, int* out);
void teasel_bytes_free(uint8_t* bytes);
void teasel_store_free(teasel_store* store);

int teasel_group_gloo(teasel_store* store, int rank, int world, const char* host, int64_t timeout, const char* name,
                      teasel_group** out);
// Adds NCCL, from the library at `plugin`, for tensors on CUDA device `device`.
int teasel_group_add_nccl(teasel_group* group, const char* plugin, int device, int64_t timeout);
// operation: 0 sum, 3 minimum, 4 maximum.
int teasel_group_all_reduce(teasel_group* group, teasel_tensor* tensors, size_t count, int operation);
int teasel_group_broadcast(teasel_group* group, teasel_tensor* tensors, size_t count, int root);
int teasel_group_barrier(teasel_group* group);
int teasel_group_abort(teasel_group* group);
void teasel_group_free(teasel_group* group);

int teasel_reducer_new(teasel_group* group, teasel_tensor* parameters, size_t count, int64_t first_bucket_bytes,
                       int64_t bucket_bytes, teasel_reducer** out);
int teasel_reducer_bucket_count(teasel_reducer* reducer, size_t* out);
int teasel_reducer_prepare_forward(teasel_reducer* reducer, int* rebuilt);
int teasel_reducer_prepare_backward(teasel_reducer* reducer);
void teasel_reducer_free(teasel_reducer* reducer);

int teasel_zero_gradients(teasel_tensor* parameters, size_t count);
int teasel_fused_adam(teasel_tensor* parameters, teasel_tensor* averages, teasel_tensor* squares, teasel_tensor* steps,
                      size_t count, double learning_rate, double beta1, double beta2, double epsilon);

// For all to see: what is loaded later finds its symbols.
int teasel_load_library(const char* path);
// libtorch keeps the first answer, so libtorch_cuda.so is loaded before.
int teasel_cuda_devices(int* out);

#ifdef __cplusplus
}
#endif
