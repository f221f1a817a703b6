// Ids held and ids looked at read alike; writing never reaches what is looked at.
#include "engine/data/id_list.h"

#include <gtest/gtest.h>

namespace ft {
namespace {

using Ids = std::vector<int32_t>;

TEST(IdList, WritingCopiesWhatIsOnlyLookedAt) {
  const Ids there = {1, 2, 3};
  IdList view = IdList::view(there), same = view;
  EXPECT_EQ(view.begin(), there.data());
  view[1] = 9;
  view.push_back(4);
  view.insert(view.begin(), there.begin(), there.end());
  EXPECT_EQ(Ids(view), (Ids{1, 2, 3, 1, 9, 3, 4}));
  EXPECT_EQ(there, (Ids{1, 2, 3}));
  EXPECT_EQ(same.begin(), there.data());
}

TEST(IdList, CopiesOfHeldIdsAreTheirOwn) {
  IdList a = {1, 2}, b = a;
  b.insert(b.begin(), 2u, 7);
  a = {5};
  EXPECT_EQ(Ids(b), (Ids{7, 7, 1, 2}));
  const IdList moved = std::move(b);
  EXPECT_EQ(moved.size(), 4u);
  EXPECT_FALSE(moved == a);
  EXPECT_TRUE(IdList().empty());
}

}  // namespace
}  // namespace ft
