// peft_type NONE: full fine-tuning. Every parameter of the model is trained; nothing is attached. A tied head
// and embedding stay one parameter.
#include "adapters/registry.h"
#include "engine/config/fields.h"

namespace ft {
namespace {

class Full : public Adapter {
 public:
  std::string_view peft_type() const override { return "NONE"; }
  void attach(Model& model, const AttachOptions& options) override {
    parameters_ = distinct_parameters(model);
    for (Parameter* p : parameters_) p->train(options.compute);
  }
  std::vector<AdapterTensor> tensors() const override { return {}; }
  bool passes_repeat() const override { return true; }
  std::vector<Parameter*> trainables() const override { return parameters_; }
  nlohmann::ordered_json config_json(const std::string&) const override { return {{"peft_type", "NONE"}}; }

 private:
  std::vector<Parameter*> parameters_;
};

}  // namespace

std::unique_ptr<Adapter> make_full(const ConfigNode& config, const std::string& section, bool) {
  Fields f(config, section);
  f.node("peft_type");
  f.node("task_type");
  f.finish();
  return std::make_unique<Full>();
}

}  // namespace ft
