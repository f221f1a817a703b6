// safetensors files: what a model, an adapter or an optimizer's state comes in.
#include <cstring>

#include "engine/io/safetensors.h"
#include "tests/fuzz/fuzz.h"

namespace ft::fuzz {
namespace {

std::string file(const std::string& header, size_t data) {
  const uint64_t bytes = header.size();
  return std::string(reinterpret_cast<const char*>(&bytes), 8) + header + std::string(data, '\x3c');
}

}  // namespace

std::vector<std::string> seeds() {
  return {
      file(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", 24),
      file(
          R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]},)"
          R"("b.weight":{"dtype":"F16","shape":[1,2,1],"data_offsets":[8,12]},"c":{"dtype":"I64","shape":[],"data_offsets":[12,20]}}  )",
          20),
      file(R"({"empty":{"dtype":"F64","shape":[0,5],"data_offsets":[0,0]}})", 0), file("{}", 0)};
}

std::vector<std::string> words() {
  return {"\"dtype\"",
          "\"shape\"",
          "\"data_offsets\"",
          "\"F64\"",
          "\"F8_E4M3\"",
          "\"U8\"",
          "\"BOOL\"",
          "[",
          "]",
          "{",
          "}",
          ",",
          ":",
          "__metadata__",
          "[0,0]",
          "[18446744073709551615,2]",
          "\\u0000",
          "null",
          "\xff"};
}

}  // namespace ft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ft;
  return fuzz::take_or_refuse([&] {
    const SafetensorsFile file(fuzz::put("model.safetensors", fuzz::text_of(data, size)));
    for (const TensorInfo& tensor : file.tensors()) {
      if (file.find(tensor.name) != &tensor) throw std::logic_error("a tensor is not found by its name");
      std::vector<float> values(static_cast<size_t>(element_count(tensor)));
      try {
        file.read_all(tensor, values.data());
      } catch (const InputError&) {  // a type that is no number for us
      }
      file.release(tensor);
    }
  });
}
