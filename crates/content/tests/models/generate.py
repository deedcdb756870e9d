"""Writes small models with random weights, one folder for each family, and what `transformers` makes of some input.

    pip install torch==2.13.0 transformers==5.24.0 sentence-transformers==6.2.0
    python generate.py "$(../../../../scripts/minilm)"

`expected.safetensors` holds the input (`ids` and `lengths`, or `images`) and, for each layer, the tokens' vectors:
`layer.0` is what the first block reads, and the last one has passed the norm at the end. `minilm/` holds what `sentence_transformers` makes of some texts with the real
model, whose folder is the argument.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import transformers as hf
from PIL import Image
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HERE = Path(__file__).parent
WORDS = 40
TEXT = dict(vocab_size=WORDS, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
LLAMA = {**TEXT, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32}
IMAGE = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=12, patch_size=4)
SLOW = {
    "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16, "rope_theta": 100.0,
}

MODELS = {
    # As a part of a larger model, whose names have a prefix.
    "bert": (hf.BertForMaskedLM, hf.BertConfig(**TEXT, max_position_embeddings=20)),
    "roberta": (hf.RobertaModel, hf.RobertaConfig(**TEXT, max_position_embeddings=22, pad_token_id=1)),
    "mpnet": (hf.MPNetModel, hf.MPNetConfig(**TEXT, max_position_embeddings=60)),
    "distilbert": (
        hf.DistilBertModel,
        hf.DistilBertConfig(
            vocab_size=WORDS, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=20, activation="relu"
        ),
    ),
    "gpt2": (hf.GPT2Model, hf.GPT2Config(vocab_size=WORDS, n_embd=16, n_layer=2, n_head=2, n_positions=20)),
    "llama": (hf.LlamaModel, hf.LlamaConfig(**LLAMA, rope_parameters=SLOW)),
    "mistral": (hf.MistralModel, hf.MistralConfig(**LLAMA, head_dim=6, sliding_window=None)),
    "qwen2": (hf.Qwen2ForCausalLM, hf.Qwen2Config(**LLAMA, tie_word_embeddings=True)),
    "qwen3": (hf.Qwen3Model, hf.Qwen3Config(**LLAMA, head_dim=6)),
    "vit": (hf.ViTModel, hf.ViTConfig(**IMAGE)),
    "clip": (hf.CLIPVisionModel, hf.CLIPVisionConfig(**IMAGE)),
}
# Stored otherwise than in one file of 32-bit floats.
STORED = {"llama": dict(max_shard_size="6KB"), "mistral": dict(dtype=torch.bfloat16), "gpt2": dict(dtype=torch.float16)}


def randomise(model: torch.nn.Module) -> None:
    """Weights of such a size that nothing of the architecture goes unnoticed."""
    for name, parameter in model.named_parameters():
        deviation = 0.3 if parameter.dim() > 1 else 0.2
        centre = 1.0 if "norm" in name.lower() and name.endswith("weight") or ".ln_" in name and name.endswith("weight") else 0.0
        torch.nn.init.normal_(parameter, centre, deviation)


def tokens(family: str) -> dict[str, torch.Tensor]:
    lengths = [45, 9, 1] if family == "mpnet" else [12, 5, 1]
    ids = torch.randint(4, WORDS, (len(lengths), max(lengths)))
    return {"ids": ids, "lengths": torch.tensor(lengths)}


def expected(family: str, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    if family in ("vit", "clip"):
        given = {"images": torch.randn(2, 3, 12, 12)}
        found = model(pixel_values=given["images"], output_hidden_states=True)
    else:
        given = tokens(family)
        mask = torch.arange(given["ids"].shape[1]) < given["lengths"][:, None]
        ids = given["ids"]
        if family == "roberta":
            # It counts positions by what is no padding.
            ids = torch.where(mask, ids, torch.tensor(1))
        model = getattr(model, model.base_model_prefix, model)
        found = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True)
    layers = list(found.hidden_states)
    last = found.last_hidden_state
    if family == "clip":
        last = model.vision_model.post_layernorm(last) if hasattr(model, "vision_model") else model.post_layernorm(last)
    layers[-1] = last
    return given | {f"layer.{depth}": layer.contiguous() for depth, layer in enumerate(layers)}


def picture() -> Image.Image:
    """Wider than high, with large and small shapes."""
    coarse = torch.rand(4, 6, 3) * 255
    fine = torch.rand(28, 42, 3) * 60
    large = torch.nn.functional.interpolate(coarse.permute(2, 0, 1)[None], size=(28, 42), mode="bilinear")[0].permute(1, 2, 0)
    return Image.fromarray((large * 0.75 + fine).clamp(0, 255).byte().numpy())


def images() -> None:
    """What the two ways to prepare an image make of one."""
    (HERE / "images").mkdir(exist_ok=True)
    made = picture()
    made.save(HERE / "images" / "picture.png")
    made.save(HERE / "images" / "picture.jpg", quality=95)
    processors = {
        "vit": hf.ViTImageProcessorPil(size={"height": 12, "width": 12}),
        "clip": hf.CLIPImageProcessorPil(size={"shortest_edge": 14}, crop_size={"height": 12, "width": 12}),
    }
    for family, processor in processors.items():
        processor.save_pretrained(HERE / family)
        pixels = processor(made, return_tensors="pt")["pixel_values"]
        save_file({"pixels": pixels.contiguous()}, HERE / "images" / f"{family}.safetensors")


TEXTS = [
    "Toy Story Animation Children's Comedy",
    "Amélie, a café in PARIS — and a garden gnome!",
    "short",
    "A farmer looks for his daughter. " * 80,
    "七人の侍 Seven Samurai",
]


def minilm(folder: str) -> None:
    (HERE / "minilm").mkdir(exist_ok=True)
    (HERE / "minilm" / "texts.json").write_text(json.dumps(TEXTS, ensure_ascii=False, indent=1) + "\n")
    vectors = SentenceTransformer(folder, device="cpu").encode(TEXTS, convert_to_tensor=True)
    save_file({"vectors": vectors.clone()}, HERE / "minilm" / "expected.safetensors")


def tokenizer() -> Tokenizer:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + "a the film of war love space night ##s ##er ##ing star".split()
    made = Tokenizer(models.WordPiece({word: row for row, word in enumerate(words)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return made


torch.manual_seed(1)
for family, (kind, config) in MODELS.items():
    folder = HERE / family
    shutil.rmtree(folder, ignore_errors=True)
    model = kind(config).eval()
    with torch.no_grad():
        randomise(model)
        stored = dict(STORED.get(family, {}))
        if dtype := stored.pop("dtype", None):
            model = model.to(dtype)
        model.save_pretrained(folder, **stored)
        # Read again: what is no weight was rounded too.
        model = kind.from_pretrained(folder, dtype=torch.float32).eval()
        save_file(expected(family, model), folder / "expected.safetensors")
    (folder / "generation_config.json").unlink(missing_ok=True)
tokenizer().save(str(HERE / "bert" / "tokenizer.json"))
(HERE / "bert" / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10}) + "\n")
minilm(sys.argv[1])
images()
