#!/usr/bin/env python3
"""PyTorch + PEFT on an exp.yaml with tokenized rows: run_peft.py EXP.yaml METRICS.jsonl [--steps N]

The peer as its users run it on a CPU at its best: float32, SDPA attention, all cores, rows padded to
the longest of their micro-batch, the loss divided by the targets of the optimizer step, AdamW.  Base
dropout is off.  One line a step goes to METRICS.jsonl: step, loss, grad_norm (before clipping),
seconds, input_tokens (real ones), learning_rate.  A key or value that is not honoured is refused,
so that two runs never differ in silence.
"""
import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", CUDA_VISIBLE_DEVICES="")
import peft
import torch
import transformers
import yaml

KNOWN = {
    "": {"model", "adapter", "data", "training", "device"},
    "model": {"path", "dtype", "task_type"},
    "adapter": {"init_from", "peft_type"},
    "data": {"train", "shuffle"},
    "training": {"output_dir", "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "learning_rate",
                 "lr_scheduler_type", "weight_decay", "max_grad_norm", "logging_steps", "save_strategy", "seed"},
}


def read_experiment(path):
    e = yaml.safe_load(path.read_text())
    for section, known in KNOWN.items():
        extra = set(e[section] if section else e) - known
        if extra:
            sys.exit(f"{path}: run_peft does not honour {section or 'top level'}: {', '.join(sorted(extra))}")
    t = e["training"]
    fixed = [("model.task_type", e["model"]["task_type"], "CAUSAL_LM"), ("data.shuffle", e["data"].get("shuffle"), False),
             ("data.train.format", e["data"]["train"]["format"], "tokenized"), ("training.num_train_epochs", t.get("num_train_epochs"), 1),
             ("training.lr_scheduler_type", t.get("lr_scheduler_type"), "constant"), ("training.weight_decay", t.get("weight_decay", 0.0), 0.0)]
    for key, value, only in fixed:
        if value != only:
            sys.exit(f"{path}: run_peft runs {key}: {only} only, not {value}")
    if not t["max_grad_norm"] > 0:
        sys.exit(f"{path}: run_peft runs training.max_grad_norm above 0 only")
    return e


def build(root, e):
    model = transformers.AutoModelForCausalLM.from_pretrained(root / e["model"]["path"], dtype=torch.float32)
    for key, value in vars(model.config).items():
        if isinstance(value, float) and ("dropout" in key or "pdrop" in key):
            setattr(model.config, key, 0.0)
    if "init_from" in e["adapter"]:
        model = peft.PeftModel.from_pretrained(model, root / e["adapter"]["init_from"], is_trainable=True)
    elif e["adapter"].get("peft_type") != "NONE":
        sys.exit("run_peft: adapter needs init_from, so that both sides start equal, or peft_type: NONE")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.train()


def collate(rows):
    length = max(len(r["input_ids"]) for r in rows)
    pad = lambda values, filler: values + [filler] * (length - len(values))
    return dict(
        input_ids=torch.tensor([pad(r["input_ids"], 0) for r in rows]),
        attention_mask=torch.tensor([pad([1] * len(r["input_ids"]), 0) for r in rows]),
        labels=torch.tensor([pad(r.get("labels", r["input_ids"]), -100) for r in rows]),
    )


def count_targets(rows):
    return sum(label != -100 for r in rows for label in r.get("labels", r["input_ids"])[1:])


def train_step(model, params, optimizer, rows, batch, max_grad_norm):
    total, loss_value = count_targets(rows), 0.0
    for start in range(0, len(rows), batch):
        part = rows[start:start + batch]
        loss = model(**collate(part), num_items_in_batch=total).loss
        loss.backward()
        loss_value += loss.item()
    norm = float(torch.nn.utils.clip_grad_norm_(params, max_grad_norm))
    optimizer.step()
    optimizer.zero_grad()
    return loss_value, norm


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("metrics", type=Path)
    parser.add_argument("--steps", type=int, default=0)
    args = parser.parse_args()
    e, root = read_experiment(args.experiment), args.experiment.parent
    t = e["training"]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(t.get("seed", 42))
    transformers.utils.logging.disable_progress_bar()
    model = build(root, e)
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=t["learning_rate"], weight_decay=0.0)
    rows = [json.loads(line) for line in open(root / e["data"]["train"]["path"])]
    batch = t["per_device_train_batch_size"]
    window = batch * t["gradient_accumulation_steps"]
    starts = range(0, len(rows), window)[: args.steps or None]
    with open(args.metrics, "w") as out:
        for step, start in enumerate(starts, 1):
            begin, part = time.perf_counter(), rows[start:start + window]
            loss, norm = train_step(model, params, optimizer, part, batch, t["max_grad_norm"])
            seconds = time.perf_counter() - begin
            tokens = sum(len(r["input_ids"]) for r in part)
            out.write(json.dumps(dict(step=step, loss=loss, grad_norm=norm, seconds=seconds, input_tokens=tokens,
                                      learning_rate=t["learning_rate"])) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
