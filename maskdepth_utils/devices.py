"""Where and in which precision a network computes."""

import torch

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """Choose where to compute; "auto" is the first GPU, or the CPU if there is none."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_precision(precision: str = "auto", device: str | torch.device = "cpu") -> str:
    """Choose a key of `DTYPES`; "auto" is bf16 where the chip computes in it, fp16 on other GPUs, else float32."""
    if precision != "auto":
        if precision not in DTYPES:
            raise ValueError(f"precision: expected auto, {', '.join(DTYPES)}; found {precision!r}")
        return precision
    kind = torch.device(device).type
    if kind == "cuda":
        # Older GPUs, such as Colab's T4, emulate bf16 slowly; capability 8.0 is the first that computes in it.
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    checks = (getattr(torch.cpu, f"_is_{name}_supported", bool) for name in ("avx512_bf16", "amx_tile"))
    return "bf16" if kind == "cpu" and any(check() for check in checks) else "float32"
