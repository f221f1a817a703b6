// Text to token ids and back, as Hugging Face's tokenizers do it.
//
// A tokenizer is a chain, each link of which a file describes: added tokens are cut out of the text, the rest
// is normalised, pre-tokenised into pieces, and each piece goes through the model; a post-processor puts
// special tokens around the whole, and a decoder makes text of tokens. Objects are immutable and may be
// shared by threads. Bytes that are not UTF-8 do no harm: to a byte-level model they are tokens of their own,
// so that decode_bytes(encode(text)) is the text wherever each byte has a token and nothing is normalised; to
// all others they are U+FFFD.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ft {

struct TokenizerParts;

struct EncodeOptions {
  bool add_special = false;   // what the post-processor adds (bos, for instance)
  bool parse_special = true;  // a special token written out in the text is that token, else it is plain text
};

/// The tokenizer in a GGUF file's metadata (`tokenizer.ggml.*`).
struct GgufTokenizerData {
  std::string source;  // the file, for messages
  std::string model;   // "gpt2", "llama", "bert"
  std::string pre;     // of "gpt2": "smollm", "qwen2", "llama-bpe", …
  std::vector<std::string> tokens;
  std::vector<int32_t>
      token_type;  // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 a byte; empty: all normal
  std::vector<std::string> merges;  // "left right"
  std::vector<float> scores;        // of "llama"
  std::optional<int32_t> bos_id, eos_id, unk_id, pad_id, cls_id, sep_id;
  std::optional<bool> add_bos, add_eos, add_space_prefix;  // not in the file: as the family does
  std::string chat_template;
};

/// What decoding token by token remembers.
struct DecodeState {
  bool begun = false;   // a token has been decoded
  bool shown = false;   // … and gave text
  size_t stripped = 0;  // blanks taken from the beginning
};

class Tokenizer {
 public:
  /// A folder (tokenizer.json, else vocab.json + merges.txt, vocab.txt, a SentencePiece model or a tiktoken
  /// rank file; with what tokenizer_config.json, special_tokens_map.json, added_tokens.json,
  /// chat_template.jinja and config.json say), or one of these files. A bare vocab.txt or SentencePiece model
  /// (none of those beside it; the latter also when it is opened as a file) does not look for its special
  /// tokens in the text, as the programs do that such a file is written for.
  /// Throws InputError where a file is missing, broken, or of a kind that is not supported.
  static std::shared_ptr<const Tokenizer> open(const std::filesystem::path& path);
  static std::shared_ptr<const Tokenizer> from_gguf(const GgufTokenizerData& data);
  explicit Tokenizer(TokenizerParts parts);
  ~Tokenizer();

  /// Ids of `text`, which may be any bytes. Throws InputError for a text of 1 GiB or more.
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

  /// Text of `ids`, always UTF-8 (U+FFFD for what is not). Ids without a token give nothing.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;
  std::string decode_bytes(std::span<const int32_t> ids, bool skip_special = true) const;
  /// Appends what `id` adds to the bytes of the ids decoded with `state` so far.
  void decode_token(int32_t id, bool skip_special, DecodeState& state, std::string& out) const;

  /// One more than the largest id.
  int32_t vocab_size() const;
  std::optional<int32_t> token_to_id(std::string_view content) const;
  /// The token as the vocabulary writes it ("Ġthe"); empty for an id without a token.
  std::string_view id_to_token(int32_t id) const;
  bool is_special(int32_t id) const;

  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  std::optional<int32_t> pad_id() const;
  std::optional<int32_t> unk_id() const;
  /// What the post-processor puts before and behind a text.
  std::span<const int32_t> prefix_ids() const;
  std::span<const int32_t> suffix_ids() const;
  /// The Jinja template of conversations; empty if there is none.
  const std::string& chat_template() const;
  /// The file or folder it came from.
  const std::string& source() const;
  /// How its model works: "BPE", "Unigram", "WordPiece", "SentencePiece".
  std::string kind() const;

  /// Writes tokenizer.json and tokenizer_config.json into `folder`, for Hugging Face's tokenizers and
  /// transformers. Throws Error for a SentencePiece model, whose own file serves.
  void write_tokenizer_json(const std::filesystem::path& folder) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

/// Text of a growing sequence, for output while it is being generated: what push() and flush() return,
/// joined, is decode() of all ids, and each part is complete UTF-8.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = true)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}
  /// The text that `id` completes; empty while a character is still cut.
  std::string push(int32_t id);
  /// What is left, a cut character as U+FFFD. The decoder is then as new.
  std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  DecodeState state_;
  std::string pending_;  // at most 3 bytes between calls
};

}  // namespace ft
