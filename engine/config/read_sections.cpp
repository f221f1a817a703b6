#include "engine/config/read_sections.h"

#include <algorithm>
#include <cctype>

#include "engine/config/describe.h"
#include "engine/config/fields.h"

namespace ft {
namespace {

/// Reads all keys of a section's table.
template <class Section>
void read_table(Fields& fields, Section& section) {
  describe(section, [&](std::string_view key, auto& field, const NumberRange& range, std::string_view) {
    fields.get(key, field, range);
  });
}

void refuse_other_names(Fields& fields,
                        std::initializer_list<std::pair<std::string_view, std::string_view>> names) {
  for (const auto& [other, ours] : names) fields.renamed(other, ours);
}

void check_file(const Fields& fields, const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) fields.fail("path", fmt::format("no such file: {}", path.string()));
  if (std::filesystem::is_directory(status)) {
    fields.fail("path", fmt::format("a file is expected, but this is a folder: {}", path.string()));
  }
}

DataSet read_set(const ConfigNode& node, const std::string& name, const LoadOptions& options) {
  Fields fields(node, name);
  DataSet set;
  read_table(fields, set);
  refuse_other_names(fields,
                     {{"file", "path"}, {"file_name", "path"}, {"type", "format"}, {"formatting", "format"}});
  fields.finish();
  fields.require("path", "name the data file");
  fields.require("format", "alpaca, chat, prompt_completion, text, classification or tokenized");
  for (const auto& [ours, theirs] : set.columns)
    if (ours.empty() || theirs.empty()) fields.fail("columns", "a name is empty; write {prompt: question}");
  if (options.check_files) check_file(fields, set.path);
  return set;
}

/// One set, or a list of them.
std::vector<DataSet> read_train(const ConfigNode& node, const LoadOptions& options) {
  if (!node.is_list()) return {read_set(node, "data.train", options)};
  std::vector<DataSet> sets;
  for (size_t i = 0; i < node.size(); ++i)
    sets.push_back(read_set(node[i], fmt::format("data.train[{}]", i), options));
  if (sets.empty()) bad_value(node, "data.train", "at least one {path: FILE, format: NAME}");
  return sets;
}

/// A template's name or an inline mapping.
bool is_template(const ConfigNode& node) {
  return node.is_map() || (node.is_string() && !node.string().empty());
}

/// A name becomes part of metric names and of file names.
bool is_set_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
}

/// One set {path, format}, or a mapping of names to such sets.
std::vector<NamedDataSet> read_eval(const ConfigNode& node, const LoadOptions& options) {
  if (!node.is_map() || node.size() == 0)
    bad_value(node, "data.eval", "{path: FILE, format: NAME} or names of such sets");
  const bool named = std::ranges::all_of(node.items(), [](const ConfigNode& item) { return item.is_map(); });
  if (!named) return {{"", read_set(node, "data.eval", options)}};
  std::vector<NamedDataSet> sets;
  for (size_t i = 0; i < node.size(); ++i) {
    const std::string& name = node.key(i);
    if (!is_set_name(name)) {
      bad_input("{}: data.eval: a set's name consists of letters, digits, _ and -", node.key_where(i));
    }
    sets.push_back({name, read_set(node[i], "data.eval." + name, options)});
  }
  return sets;
}

}  // namespace

bool ModelSection::is_gguf() const {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".gguf";
}

ModelSection read_model(const ConfigNode& node, const LoadOptions& options) {
  Fields fields(node, "model");
  if (const ConfigNode* dtype = fields.node("dtype"); dtype && dtype->is_string()) {
    if (dtype->string() == "int8" || dtype->string() == "nf4") {
      fields.fail("dtype",
                  fmt::format("{} comes with quantised storage, which this version does not have yet; use "
                              "float32, bfloat16 or float16",
                              dtype->string()));
    }
  }
  ModelSection model;
  read_table(fields, model);
  refuse_other_names(fields, {{"model_name_or_path", "path"},
                              {"base_model_name_or_path", "path"},
                              {"name", "path"},
                              {"torch_dtype", "dtype"},
                              {"task", "task_type"}});
  fields.finish(other_section);
  fields.require("path", "name a Hugging Face folder or a .gguf file");
  if (!fields.has("dtype")) model.dtype = model.is_gguf() ? DType::bf16 : DType::f32;
  std::error_code error;
  if (options.check_files && !std::filesystem::exists(model.path, error)) {
    fields.fail("path",
                fmt::format("no such folder or file: {}; models are not fetched, give one that is on this "
                            "machine",
                            model.path.string()));
  }
  return model;
}

DataSection read_data(const ConfigNode& node, const LoadOptions& options) {
  Fields fields(node, "data");
  DataSection data;
  const ConfigNode* train = fields.node("train");
  const ConfigNode* eval = fields.node("eval");
  read_table(fields, data);
  refuse_other_names(fields, {{"cutoff_len", "max_length"},
                              {"max_seq_length", "max_length"},
                              {"max_seq_len", "max_length"},
                              {"val_set_size", "eval_fraction"},
                              {"test_size", "eval_fraction"},
                              {"dataset", "train"},
                              {"validation", "eval"},
                              {"valid", "eval"},
                              {"val", "eval"},
                              {"dev", "eval"},
                              {"chat_template", "template"}});
  fields.finish(other_section);
  fields.require("train", "write train: {path: FILE, format: alpaca}");
  data.train = read_train(*train, options);
  if (fields.has("eval")) data.eval = read_eval(*eval, options);
  for (const NamedDataSet& e : data.eval)
    if (e.set.weight != 1) bad_value(*eval, "data.eval", "sets without a weight: each row is evaluated once");
  if (!data.eval.empty() && data.eval_fraction > 0) {
    fields.fail("eval_fraction", "given beside eval; keep one of them");
  }
  const ConfigNode& form = data.prompt_template;
  const bool mixture = form.is_list() && form.size() > 0 && std::ranges::all_of(form.items(), is_template);
  if (!form.is_null() && !mixture && !is_template(form)) {
    bad_value(form, "data.template", "a template's name, 'tokenizer', an inline mapping or a list of these");
  }
  return data;
}

GenerationSection read_generation(const ConfigNode& node) {
  Fields fields(node, "generation");
  GenerationSection generation;
  read_table(fields, generation);
  refuse_other_names(
      fields, {{"max_tokens", "max_new_tokens"}, {"prompt", "prompts"}, {"template", "data.template"}});
  fields.finish(other_section);
  return generation;
}

TrainingSection read_training(const ConfigNode& node, const DataSection& data) {
  Fields fields(node, "training");
  TrainingSection training;
  read_table(fields, training);
  refuse_other_names(fields, {{"lr", "learning_rate"},
                              {"batch_size", "per_device_train_batch_size"},
                              {"train_batch_size", "per_device_train_batch_size"},
                              {"per_gpu_train_batch_size", "per_device_train_batch_size"},
                              {"eval_batch_size", "per_device_eval_batch_size"},
                              {"epochs", "num_train_epochs"},
                              {"num_epochs", "num_train_epochs"},
                              {"evaluation_strategy", "eval_strategy"},
                              {"scheduler", "lr_scheduler_type"},
                              {"lr_scheduler", "lr_scheduler_type"},
                              {"optimizer", "optim"},
                              {"grad_clip", "max_grad_norm"},
                              {"overwrite_output_dir", "--overwrite"},
                              {"resume_from_checkpoint", "--resume"}});
  fields.finish(other_section);
  fields.require("output_dir", "name a folder for what the run leaves");
  settle_training(fields, training, data);
  return training;
}

std::string other_section(std::string_view key) {
  std::string homes;
  const auto add = [&](std::string_view section) {
    homes += fmt::format("{}{}", homes.empty() ? "it belongs under " : " or ", section);
  };
  const auto look = [&](auto section, std::string_view name) {
    describe(section, [&](std::string_view known, auto&, const NumberRange&, std::string_view) {
      if (known == key) add(name);
    });
  };
  for (std::string_view known :
       {"peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "init_from"}) {
    if (known == key) add("adapter");
  }
  look(ModelSection{}, "model");
  look(DataSection{}, "data");
  look(TrainingSection{}, "training");
  look(GenerationSection{}, "generation");
  return homes;
}

}  // namespace ft
