#include "engine/core/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ft {
namespace {

TEST(Shape, counts_and_prints) {
  EXPECT_EQ(Shape({2, 3, 4}).numel(), 24);
  EXPECT_EQ(Shape({5, 0}).numel(), 0);
  EXPECT_EQ(Shape().numel(), 1);
  EXPECT_EQ(Shape({2, 3}).str(), "[2, 3]");
  EXPECT_TRUE(Shape({2, 3}) == Shape({2, 3}));
  EXPECT_FALSE(Shape({2, 3}) == Shape({2, 3, 1}));
  EXPECT_THROW(Shape({1, 2, 3, 4, 5}), Error);
}

TEST(Tensor, memory_is_counted_while_anybody_holds_it) {
  const auto live = [] { return memory_use()[static_cast<size_t>(MemoryClass::gradients)].live; };
  const size_t before = live();
  {
    Tensor view;
    {
      const Tensor t = Tensor::zeros({4, 16}, DType::f32, MemoryClass::gradients);
      EXPECT_EQ(live(), before + 256);
      EXPECT_FALSE(t.shared());
      view = t.rows(1, 2);
      EXPECT_TRUE(t.shared());
    }
    EXPECT_EQ(live(), before + 256);
    EXPECT_EQ(view.data<float>()[15], 0.0f);
  }
  EXPECT_EQ(live(), before);
}

TEST(Tensor, views_share_and_clones_do_not) {
  const Tensor t = Tensor::zeros({3, 4}, DType::f64);
  for (int i = 0; i < 12; ++i) t.data<double>()[i] = i;
  const Tensor rows = t.rows(1, 3), flat = rows.reshape({8});
  EXPECT_TRUE(rows.shape() == Shape({2, 4}));
  EXPECT_EQ(flat.data<double>()[7], 11);
  flat.data<double>()[0] = 100;
  EXPECT_EQ(t.data<double>()[4], 100);
  const Tensor copy = rows.clone(MemoryClass::weights);
  flat.data<double>()[0] = 200;
  EXPECT_EQ(copy.data<double>()[0], 100);
  EXPECT_EQ(copy.numel(), 8);
  EXPECT_EQ(t.rows(3, 3).numel(), 0);
  Tensor cleared = rows;
  cleared.zero();
  EXPECT_EQ(t.data<double>()[3], 3);
  EXPECT_TRUE(std::all_of(t.data<double>() + 4, t.data<double>() + 12, [](double v) { return v == 0; }));
}

TEST(Tensor, misuse_is_named) {
  const Tensor t = Tensor::empty({3, 4}, DType::f32);
  EXPECT_THROW(t.data<double>(), Error);
  EXPECT_THROW(t.reshape({5}), Error);
  EXPECT_THROW(t.rows(2, 4), Error);
  EXPECT_THROW(t.rows(2, 1), Error);
  EXPECT_THROW(t.rows(-1, 1), Error);
  EXPECT_THROW(Tensor().raw(), Error);
  EXPECT_FALSE(Tensor().defined());
  EXPECT_NO_THROW(Tensor::zeros({0, 7}, DType::f32).clone(MemoryClass::weights));
}

}  // namespace
}  // namespace ft
