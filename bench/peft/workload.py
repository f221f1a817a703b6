#!/usr/bin/env python3
"""Writes one training workload that ftengine and PEFT both run: workload.py NAME DIR --steps N [--uniform LEN] [--seed S]

DIR/model and DIR/init (a real shape with random weights; the adapter at step 0, saved by PEFT) are
made once; DIR/<rows>/ gets train.jsonl and exp.yaml, where <rows> says kind, count and seed.  The
last line printed is that folder.  Mixed rows imitate instruction data: log-normal lengths, 16 to 400
tokens, of which the last 20 to 60 % are the answer and the only targets.  Uniform rows have one
length and every position is a target.
"""
import argparse
import json
import os
import random
import shutil
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
import peft
import torch
import transformers
import yaml


def llama(**kw):
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**kw))


def gpt2():
    return transformers.GPT2LMHeadModel(transformers.GPT2Config())


def qwen3(**kw):
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**kw))


ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# name: model at its real shape, LoRA fields (None: full fine-tuning), rows of a micro-batch, mean length
WORKLOADS = {
    "gpt2-lora": (gpt2, dict(target_modules=["c_attn"], fan_in_fan_out=True), 8, 90),
    "gpt2-full": (gpt2, None, 8, 90),
    "llama-lora": (
        lambda: llama(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                      num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True),
        dict(target_modules=ALL_LINEAR), 8, 90),
    "qwen3-lora": (
        lambda: qwen3(vocab_size=151936, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28,
                      num_attention_heads=16, num_key_value_heads=8, head_dim=128, tie_word_embeddings=True,
                      max_position_embeddings=40960, rope_parameters=dict(rope_type="default", rope_theta=1.0e6)),
        dict(target_modules=["q_proj", "v_proj"]), 4, 110),
    "tiny-lora": (
        lambda: llama(vocab_size=512, hidden_size=64, intermediate_size=172, num_hidden_layers=5,
                      num_attention_heads=8, num_key_value_heads=4),
        dict(target_modules=["q_proj", "v_proj"]), 4, 60),
}


def write_model(folder, make, fields, seed):
    """Appears under its name only when complete, so that an interrupted run is not taken for a model."""
    if (folder / "complete").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(seed)
    model = make()
    model.save_pretrained(folder / "model")
    if fields is not None:
        config = peft.LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, lora_dropout=0.0, **fields)
        peft.get_peft_model(model, config).save_pretrained(folder / "init")
    (folder / "complete").write_text("")


def make_row(rng, vocab, mean, uniform):
    length = uniform or max(16, min(400, int(mean * rng.lognormvariate(0.0, 0.5))))
    ids = [rng.randrange(5, vocab) for _ in range(length)]
    prompt = 0 if uniform else max(1, int(length * rng.uniform(0.4, 0.8)))
    return dict(input_ids=ids, labels=[-100] * prompt + ids[prompt:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=WORKLOADS)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rows", type=int, default=0, help="number of rows, instead of whole steps")
    parser.add_argument("--uniform", type=int, default=0, metavar="LEN")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    make, fields, batch, mean = WORKLOADS[args.name]
    write_model(args.dir, make, fields, args.seed)
    vocab = json.loads((args.dir / "model" / "config.json").read_text())["vocab_size"]
    count = args.rows or args.steps * batch
    folder = args.dir / f"{f'uniform{args.uniform}' if args.uniform else 'mixed'}-{count}-{args.seed}"
    folder.mkdir(exist_ok=True)
    rng = random.Random(args.seed)
    with open(folder / "train.jsonl", "w") as f:
        for _ in range(count):
            f.write(json.dumps(make_row(rng, vocab, mean, args.uniform)) + "\n")
    experiment = dict(
        model=dict(path="../model", dtype="float32", task_type="CAUSAL_LM"),
        adapter=dict(init_from="../init") if fields is not None else dict(peft_type="NONE"),
        data=dict(train=dict(path="train.jsonl", format="tokenized"), shuffle=False),
        training=dict(output_dir="out", per_device_train_batch_size=batch, gradient_accumulation_steps=1,
                      num_train_epochs=1, learning_rate=1.0e-4, lr_scheduler_type="constant", weight_decay=0.0,
                      max_grad_norm=1.0, logging_steps=1, save_strategy="end", seed=args.seed),
        device="cpu",
    )
    (folder / "exp.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))
    print(folder)


if __name__ == "__main__":
    sys.exit(main())
