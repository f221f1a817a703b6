// Token ids that are held, or looked at where they lie (in an arena or a mapped file). Reading is the same
// for both; writing to ids that are only looked at makes a copy first. 24 bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace ft {

class IdList {
 public:
  using value_type = int32_t;

  IdList() = default;
  IdList(std::vector<int32_t> ids) : own_(std::make_unique<std::vector<int32_t>>(std::move(ids))) {
    refresh();
  }
  IdList(std::initializer_list<int32_t> ids) : IdList(std::vector<int32_t>(ids)) {}
  /// Looks at `ids`, which must outlive this object and its copies.
  static IdList view(std::span<const int32_t> ids) {
    IdList list;
    list.data_ = ids.data();
    list.size_ = ids.size();
    return list;
  }
  IdList(const IdList& other) : data_(other.data_), size_(other.size_) {
    if (other.own_) *this = IdList(*other.own_);
  }
  IdList(IdList&&) noexcept = default;
  IdList& operator=(IdList other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(own_, other.own_);
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const int32_t* begin() const { return data_; }
  const int32_t* end() const { return data_ + size_; }
  int32_t operator[](size_t i) const { return data_[i]; }
  std::span<const int32_t> span() const { return {data_, size_}; }
  operator std::span<const int32_t>() const { return span(); }
  operator std::vector<int32_t>() const { return {begin(), end()}; }
  friend bool operator==(const IdList& a, const IdList& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

  int32_t& operator[](size_t i) { return held()[i]; }
  void push_back(int32_t id) {
    held().push_back(id);
    refresh();
  }
  /// As std::vector's.
  template <class... Args>
  void insert(const int32_t* place, Args&&... args) {
    const auto at = place - begin();
    std::vector<int32_t>& ids = held();
    ids.insert(ids.begin() + at, std::forward<Args>(args)...);
    refresh();
  }

 private:
  std::vector<int32_t>& held() {
    if (!own_) *this = IdList(std::vector<int32_t>(begin(), end()));
    return *own_;
  }
  void refresh() {
    data_ = own_->data();
    size_ = own_->size();
  }

  const int32_t* data_ = nullptr;
  size_t size_ = 0;
  std::unique_ptr<std::vector<int32_t>> own_;
};

}  // namespace ft
