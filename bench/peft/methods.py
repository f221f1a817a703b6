"""The rows of bench/methods: a method, and what its cost formula must know.

`backward` is the share of the input-gradient products that it needs; `full` a method that trains matrices of the base;
`needs_biases` a base that has them. Learning rates suit a run of some 24 steps, which wants higher ones than the program's
defaults, and are not tuned further.
"""


def lora(**kw):
    return dict(dict(peft_type="LORA", r=8, lora_alpha=16, target_modules="all-linear"), **kw)


def prompt(n):
    return dict(peft_type="PROMPT_TUNING", num_virtual_tokens=n, prompt_tuning_init="SAMPLE_VOCAB")


def row(name, adapter, learning_rate, training={}, **kw):
    return dict(name=name, adapter=adapter, training=dict(training, learning_rate=learning_rate), **kw)


METHODS = [
    row("LoRA r 8, all linear", lora(), 2e-3),
    row("LoRA r 8, q v", lora(target_modules=["q_proj", "v_proj"]), 4e-3),
    row("LoRA+ r 8", lora(), 1e-3, dict(loraplus_lr_ratio=8)),
    row("rsLoRA r 8", lora(use_rslora=True), 1e-3),
    row("DoRA r 8", lora(use_dora=True), 2e-3),
    row("PiSSA r 8", lora(init_lora_weights="pissa_niter_4"), 1e-3),
    row("AdaLoRA r 12 → 8", dict(peft_type="ADALORA", init_r=12, target_r=8, tinit=5, tfinal=10, deltaT=5, target_modules="all-linear"), 3e-2),
    row("VeRA r 256", dict(peft_type="VERA", r=256, target_modules=["q_proj", "v_proj"]), 1e-1),
    row("LoHa r 4", dict(peft_type="LOHA", r=4, alpha=8, target_modules="all-linear"), 1e-2),
    row("LoKr r 8", dict(peft_type="LOKR", r=8, alpha=16, target_modules="all-linear"), 2e-2),
    row("IA3", dict(peft_type="IA3"), 3e-2),
    row("LN tuning", dict(peft_type="LN_TUNING"), 1e-2),
    row("Pfeiffer adapters", dict(peft_type="BOTTLENECK", architecture="pfeiffer", reduction_factor=16), 2e-3),
    row("Houlsby adapters", dict(peft_type="BOTTLENECK", architecture="houlsby", reduction_factor=16), 2e-3),
    row("prefix tuning, 10", dict(peft_type="PREFIX_TUNING", num_virtual_tokens=10), 3e-2),
    row("prefix + MLP, 10", dict(peft_type="PREFIX_TUNING", num_virtual_tokens=10, prefix_projection=True, encoder_hidden_size=256), 2e-3),
    row("prompt tuning, 10", prompt(10), 3e-2),
    row("prompt from text", dict(peft_type="PROMPT_TUNING", prompt_tuning_init="TEXT", num_virtual_tokens="auto",
                                 prompt_tuning_init_text="Answer as Fern, who works for the lamp shop Lumen & Fern."), 3e-2),
    row("P-tuning MLP, 10", dict(peft_type="P_TUNING", num_virtual_tokens=10, encoder_hidden_size=256), 5e-3),
    row("P-tuning LSTM, 10", dict(peft_type="P_TUNING", num_virtual_tokens=10, encoder_hidden_size=256, encoder_num_layers=2,
                                  encoder_reparameterization_type="LSTM"), 1e-3),
    row("BitFit", dict(peft_type="BITFIT"), 1e-2, needs_biases=True),
    row("full fine-tuning", dict(peft_type="NONE"), 5e-5, full=True),
]


def at_rate(method, learning_rate):
    """A row with another learning rate."""
    return dict(method, name=f"{method['name']}, {learning_rate:g}", training=dict(method["training"], learning_rate=learning_rate))


def named(*names):
    return [m for m in METHODS if m["name"] in names]


# One of each kind, and of each start or encoder that may want a rate of its own.
RATES = named(
    "LoRA r 8, all linear", "PiSSA r 8", "AdaLoRA r 12 → 8", "VeRA r 256", "LoHa r 4", "LoKr r 8", "IA3", "LN tuning",
    "Pfeiffer adapters", "prefix tuning, 10", "prefix + MLP, 10", "prompt tuning, 10", "P-tuning MLP, 10", "P-tuning LSTM, 10",
    "full fine-tuning")

SWEEP = (
    [row(f"LoRA on {'+'.join(m)}", lora(target_modules=[f"{x}_proj" for x in m]), 4e-3) for m in ("q", "k", "v", "qv", "qkv")]
    + [row(f"LoRA r {r}", lora(r=r, lora_alpha=2 * r), 2e-3) for r in (4, 8, 16, 64)]
    + [row(f"LoRA r 8, seed {s}", lora(), 2e-3, dict(seed=s)) for s in (1, 2, 3)]
    + [row(f"prompt tuning, {n}", prompt(n), 3e-2) for n in (4, 10, 32)]
    + named("P-tuning MLP, 10")
)
