#include <cstdlib>
#include <cstring>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "internal.h"

namespace teasel {

static thread_local std::string last_error;

int fail(int status, const std::string& message) {
  last_error = message;
  bool timeout = message.find("imed out") != std::string::npos || message.find("imeout") != std::string::npos;
  return timeout ? TEASEL_TIMEOUT : status;
}

}  // namespace teasel

using teasel::guard;

extern "C" {

const char* teasel_last_error(void) { return teasel::last_error.c_str(); }

int teasel_store_tcp(const char* host, uint16_t port, int is_server, int64_t timeout, teasel_store** out) {
  return guard([&] {
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = is_server != 0;
    options.waitWorkers = false;
    options.timeout = teasel::milliseconds(timeout);
    *out = new teasel_store{c10::make_intrusive<c10d::TCPStore>(std::string(host), options)};
  });
}

int teasel_store_port(teasel_store* store, uint16_t* out) {
  return guard([&] {
    auto* tcp = dynamic_cast<c10d::TCPStore*>(store->store.get());
    TORCH_CHECK(tcp, "not a TCP store");
    *out = tcp->getPort();
  });
}

int teasel_store_set(teasel_store* store, const char* key, const uint8_t* value, size_t length) {
  return guard([&] { store->store->set(key, std::vector<uint8_t>(value, value + length)); });
}

int teasel_store_get(teasel_store* store, const char* key, int64_t timeout, uint8_t** value, size_t* length) {
  return guard([&] {
    store->store->wait({std::string(key)}, teasel::milliseconds(timeout));
    auto bytes = store->store->get(key);
    auto* copy = static_cast<uint8_t*>(std::malloc(bytes.empty() ? 1 : bytes.size()));
    TORCH_CHECK(copy, "out of memory");
    std::memcpy(copy, bytes.data(), bytes.size());
    *value = copy;
    *length = bytes.size();
  });
}

int teasel_store_add(teasel_store* store, const char* key, int64_t amount, int64_t* out) {
  return guard([&] { *out = store->store->add(key, amount); });
}

int teasel_store_check(teasel_store* store, const char* key, int* out) {
  return guard([&] { *out = store->store->check({std::string(key)}); });
}

void teasel_bytes_free(uint8_t* bytes) { std::free(bytes); }

void teasel_store_free(teasel_store* store) {
  guard([&] { delete store; });
}

}  // extern "C"
