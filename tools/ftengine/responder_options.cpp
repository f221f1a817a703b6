// The flags of every command that talks to a model: which model and adapters, and how it answers.
#include <CLI/CLI.hpp>

#include "tools/ftengine/responder.h"

namespace ft {
namespace {

void add_model_options(CLI::App& c, ResponderArgs& args) {
  c.add_option("--model", args.model, "Hugging Face folder or .gguf file")->required();
  c.add_option("--adapter", args.adapters,
               "adapter folder in PEFT's format; repeated: all of them act together")
      ->allow_extra_args(false);
  c.add_option(
      "--ensemble", args.ensemble,
      "prompts and prefixes of one task answer together: mean (of their probabilities) or vote; `generate` "
      "shows each one's own answer on stderr, with --file in `members`");
  c.add_option("--adapter-scale", args.scales,
               "multiplies a LoRA's change; repeated: one for each --adapter, in their order")
      ->allow_extra_args(false);
  c.add_option("--dtype", args.dtype, "storage of the weights: float32, bfloat16, float16");
  c.add_option("--device", args.device, "auto, cpu, cuda, cuda:N or cuda-sim");
  c.add_option("--threads", args.threads, "default: FT_NUM_THREADS, else the processors there are")
      ->check(CLI::Range(1, 1024));
}

void add_generation_options(CLI::App& c, GenerationSection& g) {
  c.add_option("--system", g.system, "system message");
  c.add_option("--max-new-tokens", g.max_new_tokens, "default: the model folder's, else 20 (chat: 512)");
  c.add_option("--max-length", g.max_length, "prompt and new tokens together; --max-new-tokens goes first");
  c.add_flag_function(
      "--do-sample", [&g](int64_t count) { g.do_sample = count > 0; },
      "draw tokens; =false: take the likeliest");
  c.add_option("--temperature", g.temperature);
  c.add_option("--top-k", g.top_k, "0: off");
  c.add_option("--top-p", g.top_p);
  c.add_option("--min-p", g.min_p);
  c.add_option("--repetition-penalty", g.repetition_penalty);
  c.add_option("--num-beams", g.num_beams);
  c.add_option("--length-penalty", g.length_penalty, "of beam search");
  c.add_flag_function(
      "--early-stopping", [&g](int64_t count) { g.early_stopping = count > 0; }, "of beam search");
  c.add_option("--seed", g.seed, "of sampling; default 42");
  c.add_flag("--ignore-eos", g.ignore_eos, "go on past end tokens");
  c.add_option("--stop", g.stop, "a text that ends the answer; may be repeated")->allow_extra_args(false);
}

}  // namespace

void add_responder_options(CLI::App& command, ResponderArgs& args) {
  add_model_options(command, args);
  command.add_option("--template", args.prompt_template,
                     "a template's name, tokenizer, or none: the prompt as it is");
  add_generation_options(command, args.generation);
}

}  // namespace ft
