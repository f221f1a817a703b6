// ftengine tokenize: text to ids and back, by any tokenizer file; results on stdout.
#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "engine/core/check.h"
#include "engine/data/open_tokenizer.h"
#include "engine/io/json.h"
#include "engine/io/printable.h"
#include "tools/ftengine/commands.h"

namespace ft {
namespace fs = std::filesystem;
namespace {

struct Args {
  fs::path model;
  std::optional<std::string> text;
  std::optional<fs::path> file;
  bool add_special = false, decode = false, plain = false;
};

using Ids = std::vector<int32_t>;

void write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    fail("standard output cannot be written");
}

/// "1, 2,3" or "1 2 3", with or without brackets.
Ids parse_ids(std::string_view text) {
  Ids ids;
  const auto is_gap = [](char c) {
    return c == ' ' || c == ',' || c == '[' || c == ']' || c == '\n' || c == '\r' || c == '\t';
  };
  while (true) {
    while (!text.empty() && is_gap(text.front())) text.remove_prefix(1);
    if (text.empty()) return ids;
    int32_t id = -1;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    const bool ends = stop == text.data() + text.size() || is_gap(*stop);
    if (error != std::errc() || !ends || id < 0)
      bad_input("--text: \"{}\" is no list of ids like 1,2,3", printable(text, 40));
    ids.push_back(id);
    text.remove_prefix(static_cast<size_t>(stop - text.data()));
  }
}

Ids row_ids(const Json& row, const std::string& where) {
  if (!row.is_object() || !row.contains("ids") || !row["ids"].is_array())
    bad_input("{}: expected {{\"ids\": [1, 2, 3]}}", where);
  Ids ids;
  for (const Json& value : row["ids"]) {
    const auto id = whole_number(value);
    if (!id || *id > INT32_MAX) bad_input("{}: \"ids\" should hold whole numbers from 0 on", where);
    ids.push_back(static_cast<int32_t>(*id));
  }
  return ids;
}

void run_file(const Args& args, const Tokenizer& tokenizer, const EncodeOptions& options) {
  JsonlReader reader(*args.file);
  uint64_t rows = 0;
  for (Json row; reader.next(row); ++rows) {
    nlohmann::ordered_json out;
    if (args.decode) {
      out["text"] = tokenizer.decode(row_ids(row, reader.where()), !args.add_special);
    } else {
      if (!row.is_object() || !row.contains("text") || !row["text"].is_string())
        bad_input("{}: expected {{\"text\": \"…\"}}", reader.where());
      out["ids"] = tokenizer.encode(row["text"].get_ref<const std::string&>(), options);
    }
    write_out(out.dump() + "\n");
  }
  if (rows == 0) bad_input("{}: the file has no rows", args.file->string());
}

void run(const Args& args) {
  if (args.text.has_value() == args.file.has_value())
    bad_input("tokenize: give exactly one of --text and --file");
  const auto tokenizer = open_tokenizer(args.model);
  // As llama.cpp and Hugging Face, whose ids are to be compared with, each do without a wish.
  const bool parse = args.model.extension() == ".gguf" ? args.add_special : true;
  const EncodeOptions options{.add_special = args.add_special, .parse_special = parse && !args.plain};
  if (args.file)
    run_file(args, *tokenizer, options);
  else if (args.decode)
    write_out(tokenizer->decode(parse_ids(*args.text), !args.add_special) + "\n");
  else
    write_out(fmt::format("{}\n", fmt::join(tokenizer->encode(*args.text, options), ",")));
  if (std::fflush(stdout) != 0) fail("standard output cannot be written");
}

}  // namespace

void register_tokenize(CLI::App& app) {
  auto args = std::make_shared<Args>();
  CLI::App* c = app.add_subcommand("tokenize", "turn text into token ids, or ids into text");
  c->add_option("--model", args->model, "a model or tokenizer folder, a tokenizer file, or a .gguf file")
      ->required();
  c->add_option("--text", args->text, "the text; with --decode the ids, 1,2,3");
  c->add_option("--file", args->file,
                "JSONL of {text}; JSONL of {ids} out. With --decode the other way round");
  c->add_flag(
      "--add-special", args->add_special,
      "also the tokens that the tokenizer puts around a text (bos, [CLS] …); with --decode they are shown");
  c->add_flag("--plain", args->plain,
              "a special token written in the text is text, not that token; a .gguf file's is text unless "
              "--add-special is given");
  c->add_flag("--decode", args->decode, "ids to text");
  c->callback([args] { run(*args); });
}

}  // namespace ft
