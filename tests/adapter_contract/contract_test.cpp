// What every method promises, whatever it is. A method's row says where it starts and whether it merges; all
// else holds for all of them. Full fine-tuning has no adapter to save, switch off or stack.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/adapter_contract/rows.h"
#include "tests/adapter_contract/subject.h"

namespace ft::contract {
namespace {

class Contract : public testing::TestWithParam<Row> {
 protected:
  const Row& row() const { return GetParam(); }
  bool full() const { return row().adapter.find("NONE") != std::string::npos; }
  Subject make(const SubjectOptions& options = {}) const {
    return Subject(row().fixture, {row().adapter}, options);
  }
  Subject base(const SubjectOptions& options = {}) const { return Subject(row().fixture, {}, options); }
};

TEST_P(Contract, StartsWhereItSays) {
  const std::vector<double> start = make().losses(), plain = base().losses();
  EXPECT_EQ(start == plain, row().start == Start::base);
  if (row().start == Start::near) {
    EXPECT_LT(distance(start, plain), 1e-2);
  }
}

TEST_P(Contract, TrainedIsSavedReloadedSwitchedOffAndOnToTheBit) {
  Subject s = make();
  const std::vector<double> plain = base().losses();
  const TemporaryFolder out, saved;
  s.train(out.path());
  const std::vector<double> trained = s.losses();
  for (const double loss : trained) EXPECT_TRUE(std::isfinite(loss));
  EXPECT_NE(trained, plain);
  if (full()) return;
  s.save(saved.path());
  Subject again = Subject::loaded(row().fixture, {saved.path()});
  EXPECT_EQ(again.losses(), trained);
  EXPECT_EQ(again.greedy(8), s.greedy(8));
  for (Subject* subject : {&s, &again}) {
    subject->set_active(false);
    EXPECT_EQ(subject->losses(), plain);
    subject->set_active(true);
    EXPECT_EQ(subject->losses(), trained);
  }
}

TEST_P(Contract, GeneratesTheSameInAnyBatch) {
  Subject s = make();
  const TemporaryFolder out;
  s.train(out.path());
  const auto one = s.greedy(1);
  EXPECT_EQ(s.greedy(2), one);
  EXPECT_EQ(s.greedy(8), one);
}

TEST_P(Contract, MergesOrSaysThatItCannot) {
  if (full()) return;
  Subject s = make();
  EXPECT_EQ(s.adapters().mergeable(), row().merges);
  if (!s.adapters().mergeable()) return;
  const TemporaryFolder out, folder;
  s.train(out.path());
  s.merge(folder.path());
  Subject merged(row().fixture, {}, {.model = folder.path()});
  EXPECT_LT(distance(merged.losses(), s.losses()), 1e-5);
}

TEST_P(Contract, RecomputeAndAccumulationDoNotMatter) {
  const auto run = [&](const std::vector<std::string>& overrides) {
    const TemporaryFolder out;
    return make({.overrides = overrides}).train(out.path());
  };
  const Trained whole = run({});
  EXPECT_EQ(run({"training.gradient_checkpointing=true"}), whole);
  EXPECT_EQ(run({"training.per_device_train_batch_size=2", "training.gradient_accumulation_steps=2"}), whole);
  EXPECT_EQ(run({"training.per_device_train_batch_size=1", "training.gradient_accumulation_steps=4"}), whole);
}

TEST_P(Contract, ResumesExactly) {
  const TemporaryFolder out, interrupted;
  const Trained whole = make().train(out.path());
  make().train(interrupted.path(), {}, 2);
  EXPECT_EQ(make().train(interrupted.path(), interrupted.path() / "checkpoint-2"), whole);
}

// The gradient of a tied weight is read at two places, whose contributions are added in another order.
TEST_P(Contract, PackedIsSingle) {
  const auto packed = make().gradients(1000), single = make().gradients(1);
  Subject s = make();
  const Parameter* tied = s.model().facts().tied ? s.model().head().weight.parameter : nullptr;
  const std::vector<Parameter*> trained = s.adapters().trainables();
  ASSERT_EQ(packed.size(), single.size());
  for (size_t i = 0; i < packed.size(); ++i)
    if (i == 0 || trained[i - 1] != tied) {
      EXPECT_EQ(packed[i], single[i]) << (i ? trained[i - 1]->name : "loss");
    }
}

TEST_P(Contract, WorksOnABfloat16Base) {
  const SubjectOptions narrow{.overrides = {"model.dtype=bfloat16"}};
  Subject s = make(narrow);
  const std::vector<double> plain = base(narrow).losses();
  EXPECT_NE(plain, base().losses());
  const TemporaryFolder out, saved;
  s.train(out.path());
  const std::vector<double> trained = s.losses();
  EXPECT_NE(trained, plain);
  if (full()) return;
  s.save(saved.path());
  EXPECT_EQ(Subject::loaded(row().fixture, {saved.path()}, narrow).losses(), trained);
  s.set_active(false);
  EXPECT_EQ(s.losses(), plain);
}

TEST_P(Contract, StacksWithLora) {
  if (!row().stacks) return;
  const std::string lora = "{peft_type: LORA, r: 2, init_lora_weights: false}";
  Subject s(row().fixture, {row().adapter, lora});
  const TemporaryFolder out, saved;
  s.train(out.path());
  const std::vector<double> both = s.losses(), plain = base().losses();
  s.save(saved.path());
  EXPECT_EQ(Subject::loaded(row().fixture, {saved.path()}).losses(), both);
  s.adapters().all()[1]->set_active(false);
  const std::vector<double> first = s.losses();
  s.adapters().all()[1]->set_active(true);
  s.adapters().all()[0]->set_active(false);
  const std::vector<double> second = s.losses();
  for (const auto& [a, b] : {std::pair(&both, &first), {&both, &second}, {&first, &second}})
    EXPECT_NE(*a, *b);
  s.set_active(false);
  EXPECT_EQ(s.losses(), plain);
}

INSTANTIATE_TEST_SUITE_P(Methods, Contract, testing::ValuesIn(rows()),
                         [](const auto& p) { return p.param.name; });

// The other devices of this program: near the CPU, and off means off there too.
using DeviceRow = std::tuple<std::string, Row>;
class DeviceContract : public testing::TestWithParam<DeviceRow> {};

std::vector<std::string> other_devices() {
  std::vector<std::string> names = device_names();
  std::erase(names, "cpu");
  return names;
}

TEST_P(DeviceContract, TrainsAsOnTheCpu) {
  const auto& [device, parameter] = GetParam();
  const Row& row = parameter;  // Clang 14 captures no part of a binding
  const auto run = [&](const std::string& where, std::vector<double>* off) {
    const TemporaryFolder out;
    Subject s(row.fixture, {row.adapter}, {.overrides = {"training.max_steps=2"}, .device = where});
    s.train(out.path());
    const std::vector<double> trained = s.losses();
    if (off) {
      s.set_active(false);
      *off = s.losses();
    }
    return trained;
  };
  std::vector<double> off;
  EXPECT_LT(distance(run(device, &off), run("cpu", nullptr)), 1e-4);
  if (row.adapter.find("NONE") == std::string::npos) {
    EXPECT_EQ(off, Subject(row.fixture, {}, {.device = device}).losses());
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceContract);
INSTANTIATE_TEST_SUITE_P(Methods, DeviceContract,
                         testing::Combine(testing::ValuesIn(other_devices()), testing::ValuesIn(rows())),
                         [](const auto& p) {
                           std::string name = std::get<0>(p.param) + "_" + std::get<1>(p.param).name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace ft::contract
