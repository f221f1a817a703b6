// The section .nv_fatbin holds containers {magic, version, header size, size}, each with entries {kind,
// version, header size, payload size, ..., architecture at byte 28}; kind 2 is an ELF file. Its section
// .nv.info is a list of {format, attribute, 16 bits}; with format 4 the 16 bits are the size of a value that
// follows, and attribute 0x2f is {symbol, registers of that kernel}.
#include "tests/cuda/cubin.h"

#include <cxxabi.h>
#include <elf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string_view>

#include "engine/core/check.h"

namespace ft::test {
namespace {

constexpr uint32_t kContainerMagic = 0xba55ed50;
constexpr uint16_t kElf = 2;
constexpr uint8_t kSized = 4, kRegisterCount = 0x2f;

/// Some bytes, read with bounds.
struct Bytes {
  std::string_view data;

  template <class T>
  T at(size_t offset) const {
    FT_CHECK(offset <= data.size() && sizeof(T) <= data.size() - offset,
             "[cubin] a read of {} bytes at {} of {}", sizeof(T), offset, data.size());
    T value;
    std::memcpy(&value, data.data() + offset, sizeof value);
    return value;
  }
  Bytes part(size_t offset, size_t count) const {
    FT_CHECK(offset <= data.size() && count <= data.size() - offset, "[cubin] {} bytes at {} of {}", count,
             offset, data.size());
    return {data.substr(offset, count)};
  }
  std::string text(size_t offset) const {
    const std::string_view rest = part(offset, data.size() - offset).data;
    return std::string(rest.substr(0, rest.find('\0')));
  }
};

struct ElfFile {
  explicit ElfFile(Bytes file_) : file(file_), header(file_.at<Elf64_Ehdr>(0)) {
    FT_CHECK(std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0, "[cubin] not an ELF file");
  }
  Elf64_Shdr section(size_t i) const { return file.at<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr)); }
  Bytes contents(const Elf64_Shdr& s) const { return file.part(s.sh_offset, s.sh_size); }
  /// The section of that name; it must be there.
  Elf64_Shdr named(std::string_view name) const {
    const Bytes names = contents(section(header.e_shstrndx));
    for (size_t i = 0; i < header.e_shnum; ++i)
      if (names.text(section(i).sh_name) == name) return section(i);
    fail("[cubin] no section {}", name);
  }

  Bytes file;
  Elf64_Ehdr header;
};

std::string signature_of(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), std::free);
  std::string signature = status == 0 ? text.get() : symbol;
  constexpr std::string_view anonymous = "(anonymous namespace)::";
  for (size_t at; (at = signature.find(anonymous)) != signature.npos;) signature.erase(at, anonymous.size());
  return signature;
}

void read_cubin(Bytes bytes, int architecture, std::vector<MachineKernel>& kernels) {
  const ElfFile elf(bytes);
  const Elf64_Shdr symbols = elf.named(".symtab");
  const Bytes names = elf.contents(elf.section(symbols.sh_link)), table = elf.contents(symbols),
              info = elf.contents(elf.named(".nv.info"));
  for (size_t at = 0; at < info.data.size();) {
    const auto format = info.at<uint8_t>(at), attribute = info.at<uint8_t>(at + 1);
    const auto size = info.at<uint16_t>(at + 2);
    if (format == kSized && attribute == kRegisterCount) {
      const auto symbol = table.at<Elf64_Sym>(info.at<uint32_t>(at + 4) * sizeof(Elf64_Sym));
      kernels.push_back({signature_of(names.text(symbol.st_name)), architecture,
                         static_cast<int>(info.at<uint32_t>(at + 8))});
    }
    at += 4 + (format == kSized ? size : 0);
  }
}

}  // namespace

std::string MachineKernel::base_name() const {
  const size_t begin = signature.rfind("void ", 0) == 0 ? 5 : 0;
  return signature.substr(begin, signature.find_first_of("<(", begin) - begin);
}

std::vector<MachineKernel> machine_kernels() {
  std::ifstream in("/proc/self/exe", std::ios::binary);
  const std::string program{std::istreambuf_iterator<char>(in), {}};
  const ElfFile elf(Bytes{program});
  const Bytes code = elf.contents(elf.named(".nv_fatbin"));
  std::vector<MachineKernel> kernels;
  for (size_t at = 0; at < code.data.size();) {
    if (code.at<uint32_t>(at) == 0) {  // between containers
      at += 4;
      continue;
    }
    FT_CHECK(code.at<uint32_t>(at) == kContainerMagic, "[cubin] expected a container at {}", at);
    size_t entry = at + code.at<uint16_t>(at + 6);
    const size_t end = entry + code.at<uint64_t>(at + 8);
    while (entry < end) {
      const auto header = code.at<uint32_t>(entry + 4);
      const auto size = code.at<uint64_t>(entry + 8);
      if (code.at<uint16_t>(entry) == kElf)
        read_cubin(code.part(entry + header, size), static_cast<int>(code.at<uint32_t>(entry + 28)), kernels);
      entry += header + size;
    }
    at = end;
  }
  return kernels;
}

int registers_of(const std::vector<MachineKernel>& kernels, const std::string& name, int architecture) {
  int registers = -1;
  for (const MachineKernel& k : kernels) {
    const size_t at = k.signature.find(name + "(");
    if (k.architecture != architecture || at == std::string::npos) continue;
    if (at > 0 && k.signature[at - 1] != ' ') continue;
    registers = std::max(registers, k.registers);
  }
  return registers;
}

}  // namespace ft::test
