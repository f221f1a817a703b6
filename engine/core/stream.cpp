#include "engine/core/stream.h"

#include <charconv>

namespace ft {
namespace {

#ifdef FT_CUDA
#ifdef FT_CUDA_SIM
constexpr std::string_view kCudaName = "cuda-sim";
#else
constexpr std::string_view kCudaName = "cuda";
#endif

// N of "cuda:N", 0 of the bare name; nothing for another device's name.
std::optional<int> cuda_index(std::string_view name) {
  if (name == kCudaName) return 0;
  if (kCudaName != "cuda" || !name.starts_with("cuda:")) return std::nullopt;
  int index = 0;
  const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), index);
  if (error != std::errc() || end != name.data() + name.size() || index < 0) return std::nullopt;
  return index;
}
#endif

}  // namespace

std::vector<std::string> device_names() {
  std::vector<std::string> names = {"cpu"};
#ifdef FT_CUDA
  names.emplace_back(kCudaName);
#endif
  return names;
}

std::string cuda_description() {
#ifdef FT_CUDA
  return cuda::describe();
#else
  return "not compiled in";
#endif
}

std::optional<Stream> open_stream(std::string_view name, const CpuStream& host) {
  if (name == "cpu") return Stream(host);
#ifdef FT_CUDA
  if (name == "auto" && kCudaName == "cuda" && cuda::device_count() > 0) return Stream(CudaStream(0));
  if (const std::optional<int> index = cuda_index(name)) {
    if (*index >= cuda::device_count())
      bad_input("device: {}: this machine has {} CUDA devices that can be used; use device: cpu", name,
                cuda::device_count());
    return Stream(CudaStream(*index));
  }
#endif
  if (name == "auto") return Stream(host);
  return std::nullopt;
}

}  // namespace ft
