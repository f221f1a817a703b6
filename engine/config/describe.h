// Every key of exp.yaml's sections in one table each: name, field, range, meaning.
//
// The reader, the writer of resolved.yaml, the hints for misplaced keys and the text of `ftengine list` all
// walk these tables, so a key added here is known to all of them. A visitor is called as
//   visit(key, field, range, meaning)
// with the field const where the section is. data.train, data.eval: read_data() reads them by hand.
#pragma once

#include <concepts>
#include <type_traits>

#include "engine/config/sections.h"

namespace ft {

template <class Section, class Wanted>
concept SectionOf = std::same_as<std::remove_const_t<Section>, Wanted>;

template <SectionOf<ModelSection> S, class Visitor>
void describe(S& s, Visitor&& visit) {
  visit("path", s.path, NumberRange{}, "Hugging Face folder, or a .gguf file");
  visit("dtype", s.dtype, NumberRange{},
        "storage of frozen weights: float32 | bfloat16 | float16; default of a .gguf: bfloat16");
  visit("task_type", s.task_type, NumberRange{},
        "CAUSAL_LM | SEQ_2_SEQ_LM | SEQ_CLS | TOKEN_CLS | MASKED_LM | FEATURE_EXTRACTION");
  visit("num_labels", s.num_labels, at_least(1), "classes of SEQ_CLS and TOKEN_CLS");
  visit("dropout", s.dropout, NumberRange{}, "apply the base model's own dropout (attn_pdrop ...)");
}

template <SectionOf<DataSet> S, class Visitor>
void describe(S& s, Visitor&& visit) {
  visit("path", s.path, NumberRange{}, "the file");
  visit("format", s.format, NumberRange{},
        "alpaca | chat | prompt_completion | text | classification | tokenized");
  visit("columns", s.columns, NumberRange{}, "fields that the file calls otherwise: {prompt: question}");
  visit("weight", s.weight, positive(), "of train: times that each row is seen in an epoch");
}

template <SectionOf<DataSection> S, class Visitor>
void describe(S& s, Visitor&& visit) {
  visit("eval_fraction", s.eval_fraction, probability(),
        "share of the training rows held out, instead of eval");
  visit("template", s.prompt_template, NumberRange{},
        "a template's name, tokenizer, an inline mapping, or a list of which each row draws one; default: "
        "tokenizer where it has one, else human_assistant");
  visit("train_on", s.train_on, NumberRange{}, "completion (every answer) | last (answer) | all (the text)");
  visit("max_length", s.max_length, at_least(1),
        "tokens of a sample, virtual ones not counted; default: what the model takes");
  visit("truncation", s.truncation, NumberRange{}, "of longer samples: keep_start | keep_end | drop | error");
  visit("block_size", s.block_size, at_least(2),
        "of format text: tokens of a row; default: max_length, at most 1024");
  visit("shuffle", s.shuffle, NumberRange{}, "a new order every epoch");
  visit("group_by_length", s.group_by_length, NumberRange{}, "rows of a step are of similar length");
  visit(
      "cache_dir", s.cache_dir, NumberRange{},
      "folder for tokenised rows; default: .ftengine-cache beside output_dir, for files of 64 MiB and more");
  visit("on_bad_row", s.on_bad_row, NumberRange{}, "error | skip");
}

template <SectionOf<TrainingSection> S, class Visitor>
void describe(S& s, Visitor&& visit) {
  visit("output_dir", s.output_dir, NumberRange{}, "folder for all that the run leaves");
  visit("per_device_train_batch_size", s.per_device_train_batch_size, at_least(1), "rows of a micro-batch");
  visit("per_device_eval_batch_size", s.per_device_eval_batch_size, at_least(1),
        "rows of a batch in evaluation");
  visit("gradient_accumulation_steps", s.gradient_accumulation_steps, at_least(1),
        "micro-batches of an optimizer step");
  visit("num_train_epochs", s.num_train_epochs, positive(), "passes over the training set");
  visit("max_steps", s.max_steps, at_least(-1), "optimizer steps, instead of num_train_epochs");
  visit("learning_rate", s.learning_rate, at_least(0), "peak rate; default: by method");
  visit("loraplus_lr_ratio", s.loraplus_lr_ratio, positive(), "LoRA+: rate of B over rate of A");
  visit("lr_scheduler_type", s.lr_scheduler_type, NumberRange{},
        "linear | cosine | constant | constant_with_warmup | polynomial | inverse_sqrt");
  visit("warmup_ratio", s.warmup_ratio, between(0, 1), "share of all steps that warm up");
  visit("warmup_steps", s.warmup_steps, at_least(0), "steps that warm up, instead of warmup_ratio");
  visit("weight_decay", s.weight_decay, at_least(0), "decoupled; not for biases and norms");
  visit("max_grad_norm", s.max_grad_norm, at_least(0), "clip gradients to this norm; 0: off");
  visit("optim", s.optim, NumberRange{}, "adamw | sgd");
  visit("adam_beta1", s.adam_beta1, probability(), "");
  visit("adam_beta2", s.adam_beta2, probability(), "");
  visit("adam_epsilon", s.adam_epsilon, at_least(0), "");
  visit("momentum", s.momentum, probability(), "of sgd");
  visit("logging_steps", s.logging_steps, at_least(1),
        "default: every step up to 100 steps, every tenth beyond");
  visit("logging_first_step", s.logging_first_step, NumberRange{}, "log step 1 too");
  visit("eval_strategy", s.eval_strategy, NumberRange{},
        "no | steps | epoch; default without an evaluation set: no");
  visit("eval_steps", s.eval_steps, at_least(1), "with eval_strategy: steps");
  visit("save_strategy", s.save_strategy, NumberRange{}, "no | steps | epoch | end");
  visit("save_steps", s.save_steps, at_least(1), "with save_strategy: steps");
  visit("save_total_limit", s.save_total_limit, at_least(1), "checkpoints kept; default: all");
  visit("metric_for_best_model", s.metric_for_best_model, NumberRange{}, "");
  visit("greater_is_better", s.greater_is_better, NumberRange{},
        "default: false for a metric that ends with loss, else true");
  visit("load_best_model_at_end", s.load_best_model_at_end, NumberRange{},
        "save the best checkpoint's weights as the result");
  visit("early_stopping_patience", s.early_stopping_patience, at_least(1),
        "evaluations without progress; default: off");
  visit("early_stopping_threshold", s.early_stopping_threshold, at_least(0), "what counts as progress");
  visit("gradient_checkpointing", s.gradient_checkpointing, NumberRange{},
        "recompute activations: less memory, same bits");
  visit("bf16", s.bf16, NumberRange{}, "compute in bfloat16 on CUDA; the CPU computes in float32");
  visit("fp16", s.fp16, NumberRange{}, "compute in float16 on CUDA, with loss scaling");
  visit("tf32", s.tf32, NumberRange{}, "allow TF32 products on CUDA");
  visit("seed", s.seed, at_least(0), "of everything random");
}

template <SectionOf<GenerationSection> S, class Visitor>
void describe(S& s, Visitor&& visit) {
  visit("prompts", s.prompts, NumberRange{}, "answered before and after training");
  visit("system", s.system, NumberRange{}, "system message");
  visit("max_new_tokens", s.max_new_tokens, at_least(1), "");
  visit("max_length", s.max_length, at_least(1), "prompt and new tokens together; max_new_tokens goes first");
  visit("do_sample", s.do_sample, NumberRange{}, "false: the likeliest token");
  visit("temperature", s.temperature, positive(), "");
  visit("top_k", s.top_k, at_least(0), "0: off");
  visit("top_p", s.top_p, share(), "");
  visit("min_p", s.min_p, between(0, 1), "");
  visit("repetition_penalty", s.repetition_penalty, positive(), "");
  visit("num_beams", s.num_beams, at_least(1), "");
  visit("length_penalty", s.length_penalty, NumberRange{}, "");
  visit("early_stopping", s.early_stopping, NumberRange{}, "of beam search");
  visit("stop", s.stop, NumberRange{}, "texts that end an answer");
  visit("ignore_eos", s.ignore_eos, NumberRange{}, "go on past the end token");
  visit("seed", s.seed, at_least(0), "of sampling; default: training.seed");
}

}  // namespace ft
