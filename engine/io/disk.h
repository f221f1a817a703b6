// Every system call that changes the disk for good, in one place, so that tests can make each of them fail.
//
// FT_FAULT=KIND:N[+][:HOW] makes the N-th call of a kind (1 is the first of the process) fail, with + every
// later one too, as on a disk that is full and stays so. KIND: create, write, sync, rename or any. HOW:
// ENOSPC (the default), EIO, kill, which ends the process as `kill -9` does, or lie: a write says that all is
// well and has stored zeros. A write that is to fail takes half of its bytes first, as real ones do. Said on
// stderr when it happens; unset, it costs a comparison a call.
//
// All return 0 or an errno value.
#pragma once

#include <cstddef>
#include <filesystem>

#include "engine/io/file_descriptor.h"

namespace ft::disk {

/// open(2) with O_CREAT; `flags` beside that.
int create_file(const std::filesystem::path& path, int flags, FileDescriptor& file);
/// mkdir(2).
int create_folder(const std::filesystem::path& path);
/// All `bytes`; after a failure any part of them may be written.
int write(const FileDescriptor& file, const void* data, size_t bytes, const std::filesystem::path& path);
/// Cuts or grows the file.
int resize(const std::filesystem::path& path, size_t bytes);
/// fsync(2).
int sync(const FileDescriptor& file, const std::filesystem::path& path);
int rename(const std::filesystem::path& from, const std::filesystem::path& to);
/// Both exist, and each takes the other's name. EINVAL, ENOSYS or ENOTSUP where the file system cannot.
int exchange(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace ft::disk
